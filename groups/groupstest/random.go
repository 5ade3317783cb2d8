package groupstest

import (
	"crypto/ed25519"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"

	"mutuals/groups"
	"mutuals/identity/wire"
)

// Random plays a random story of honest people and liars: somebody founds a
// group, then steps times somebody does something it may or may not be
// allowed to, knowing all, or little, or pretending to know little at an
// earlier hour. At the end all know what any knew.
func Random(seed uint64, people, steps int) *World {
	w := NewWorld(seed)
	d := dice{World: w, r: rand.New(rand.NewPCG(seed, 7))}
	for i := range people {
		w.Add(string(rune('a' + i)))
	}
	p := groups.DefaultPolicy()
	p.Waitlist = uint64(d.r.IntN(3))
	if d.r.IntN(3) == 0 {
		p.HistoryDays = groups.HistoryNone
	}
	p.SucceedDays = uint64(d.r.IntN(2))
	w.Found(w.People[0], uint64(2+d.r.IntN(people)), p)
	if d.r.IntN(4) == 0 {
		d.council()
	}
	for range steps {
		d.turn()
	}
	w.Together()
	for _, q := range w.People {
		if q.Log != nil {
			w.Online(q)
		}
	}
	return w
}

type dice struct {
	*World
	r       *rand.Rand
	invites []Invite
	harbors []*Person
}

func (d *dice) someone() *Person { return d.People[d.r.IntN(len(d.People))] }

// council is a group with three admins from the beginning: what they do to
// one another, and to the owner, random acts alone reach too seldom.
func (d *dice) council() {
	owner := d.People[0]
	for _, q := range d.People[1:4] {
		if o, r := d.Write(owner, groups.KindAdmit, d.Request(q, owner, nil)); r == nil {
			d.letIn(owner, q, o)
			_, _ = d.Write(owner, groups.KindRole, groups.RoleBody{OwnOp: owner.Log.State().OwnOp(), Account: q.Account, Role: uint64(groups.RoleAdmin)})
		}
	}
}

// member is somebody who was let in, as far as it knows.
func (d *dice) member() *Person {
	for range 20 {
		if q := d.someone(); q.Log != nil && q.Log.Has(q.Inc) {
			return q
		}
	}
	return d.People[0]
}

func (d *dice) turn() {
	d.NowMs += uint64(d.r.IntN(3_600_000))
	if d.r.IntN(12) == 0 {
		d.NowMs += uint64(d.r.IntN(5)) * 86_400_000
	}
	me := d.member()
	switch d.r.IntN(16) {
	case 0:
		me.Offline = true
		return
	case 1, 2, 3:
		d.Online(me)
		return
	case 4:
		d.Apart([]*Person{d.member(), d.member(), d.member()})
		return
	case 5:
		d.Together()
		return
	case 6, 7:
		if !d.isHarbor(me) {
			_, _ = d.Say(me)
		}
		return
	case 8:
		d.restart(me)
		return
	}
	kind, body, done := d.act(me)
	if kind == groups.KindGenesis {
		return
	}
	if d.r.IntN(5) > 0 {
		if o, r := d.Write(me, kind, body); r == nil {
			done(o)
		}
		return
	}
	// A liar, or a machine restored from a copy: it writes on an old past, at
	// an hour of its choice, even over what it wrote since.
	stale := d.stale(me)
	now := d.NowMs
	d.NowMs -= uint64(d.r.IntN(7_200_000))
	o, r := d.compose(stale, me, kind, body)
	d.NowMs = now
	if r == nil && d.own(me, o) == nil {
		done(o)
	}
}

// stale is a log of what one of p's operations, or its admission, had seen.
func (d *dice) stale(p *Person) *groups.Log {
	ops := p.Log.Ops()
	pick := p.Inc
	for _, o := range ops {
		if o.IncID() == p.Inc && d.r.IntN(3) == 0 {
			pick = o.ID
		}
	}
	need := map[wire.OpID]bool{pick: true}
	for i := len(ops) - 1; i >= 0; i-- {
		if need[ops[i].ID] {
			for _, h := range ops[i].Heads {
				need[h] = true
			}
		}
	}
	l, r := groups.Found(ops[0])
	if r != nil {
		must(r)
	}
	for _, o := range ops[1:] {
		if need[o.ID] {
			l.Apply(o)
		}
	}
	return l
}

// restart is a device that begins anew with what is on its disk: what it
// accepted, in the order it came. What it had parked is gone, and comes again.
func (d *dice) restart(p *Person) {
	ops := p.Log.Ops()
	l, r := groups.Found(ops[0])
	if r != nil {
		must(r)
	}
	for _, o := range ops[1:] {
		l.Apply(o)
	}
	for _, o := range p.Heard {
		l.Apply(o)
	}
	p.Log, p.parked = l, nil
}

func (d *dice) isHarbor(p *Person) bool { return slices.Contains(d.harbors, p) }

// act picks what somebody tries; KindGenesis means nothing. done is called
// when it was accepted.
func (d *dice) act(me *Person) (kind groups.Kind, body any, done func(*groups.Op)) {
	s, q := me.Log.State(), d.someone()
	nothing := func(*groups.Op) {}
	if d.isHarbor(me) && d.r.IntN(4) > 0 && len(d.invites) > 0 {
		return d.admit(me, q, true)
	}
	switch n := d.r.IntN(46); {
	case n < 6:
		return d.admit(me, q, false)
	case n < 13 && len(d.invites) > 0:
		return d.admit(me, q, true)
	case n < 16:
		inv, b := d.invite(me)
		return groups.KindInvite, b, func(o *groups.Op) {
			inv.ID = o.ID
			d.invites = append(d.invites, inv)
		}
	case n < 19:
		return groups.KindRemove, groups.RemoveBody{Account: q.Account, Pins: me.Log.PinsFor(q.Account)}, nothing
	case n < 20:
		return groups.KindLeave, groups.LeaveBody{Pins: me.Log.PinsFor(me.Account)}, nothing
	case n < 24:
		return groups.KindRole, groups.RoleBody{OwnOp: s.OwnOp(), Account: q.Account, Role: uint64(1 + d.r.IntN(3)/2)}, nothing
	case n < 26:
		return groups.KindPolicy, d.policy(s), nothing
	case n < 28 && len(d.invites) > 0:
		return groups.KindInviteRevoke, groups.InviteRevokeBody{Invite: d.invites[d.r.IntN(len(d.invites))].ID}, nothing
	case n < 31:
		return groups.KindRekey, nil, nothing
	case n < 34:
		return d.handOver(me, s)
	case n < 38:
		return d.device(me)
	case n < 40:
		return groups.KindDevRevoke, d.revoke(me, q), nothing
	case n < 42:
		return d.accuse(me)
	case n < 44:
		return d.harbor(me)
	}
	return groups.KindAck, groups.AckBody{}, nothing
}

func (d *dice) admit(me, q *Person, byInvite bool) (groups.Kind, any, func(*groups.Op)) {
	var inv *Invite
	if byInvite {
		inv = &d.invites[d.r.IntN(len(d.invites))]
	}
	return groups.KindAdmit, d.Request(q, me, inv), func(o *groups.Op) { d.letIn(me, q, o) }
}

// letIn gives a device that had none a log.
func (d *dice) letIn(by, q *Person, o *groups.Op) {
	q.Inc = o.ID
	q.know(by.Log.Ops()[0])
	if !q.Offline && !by.Offline && q.Side == by.Side {
		d.Give(q, by.Log.Ops()...)
	}
}

func (d *dice) policy(s *groups.State) groups.PolicyBody {
	p := s.Policy()
	p.Waitlist = uint64(d.r.IntN(4))
	p.SucceedDays = uint64(d.r.IntN(3))
	p.WhoInvites = uint64(d.r.IntN(9)) / 3
	if p.WhoInvites == 0 {
		p.WhoInvites = groups.InviteMembers
	}
	p.Posting = uint64(d.r.IntN(4) / 3)
	return groups.PolicyBody{OwnOp: s.OwnOp(), Cap: uint64(2 + d.r.IntN(6)), Policy: p}
}

// handOver is a transfer by who may own the group, or a succession that all
// whom me takes for admins sign.
func (d *dice) handOver(me *Person, s *groups.State) (groups.Kind, any, func(*groups.Op)) {
	heir := d.member()
	if me.Account == s.Owner() || d.r.IntN(8) == 0 && s.Role(me.Account) != groups.RoleAdmin {
		return groups.KindTransfer, d.Transfer(me, heir), func(*groups.Op) {}
	}
	var signers []*Person
	for _, q := range d.People {
		if s.Role(q.Account) == groups.RoleAdmin && !q.Inc.IsZero() && d.r.IntN(6) > 0 &&
			!slices.ContainsFunc(signers, func(p *Person) bool { return p.Account == q.Account }) {
			signers = append(signers, q)
		}
	}
	if len(signers) < groups.MinSuccessors {
		return groups.KindGenesis, nil, nil
	}
	return groups.KindSucceed, d.Succeed(me, heir, signers), func(*groups.Op) {}
}

// device adds one to me's account, or to another's that asks.
func (d *dice) device(me *Person) (groups.Kind, any, func(*groups.Op)) {
	q := d.member()
	if d.r.IntN(3) > 0 {
		q = me
	}
	if d.isHarbor(q) || len(d.People) > 14 || len(q.Chain) > 2 {
		return groups.KindGenesis, nil, nil
	}
	fresh := d.Device(q.Name+"'", q, q != me || d.r.IntN(3) == 0)
	return groups.KindDevAdd, d.DevAdd(me, fresh), func(o *groups.Op) { d.letIn(me, fresh, o) }
}

func (d *dice) revoke(me, q *Person) groups.DevRevokeBody {
	for _, p := range d.People {
		if p.Account == me.Account && d.r.IntN(2) == 0 {
			q = p
		}
	}
	var keep []wire.DeviceID
	if d.r.IntN(2) == 0 {
		keep = append(keep, me.Keys.ID())
	}
	return d.DevRevoke(me, q, d.r.IntN(3) == 0, keep...)
}

// accuse proves the first control fork it sees, or lies.
func (d *dice) accuse(me *Person) (groups.Kind, any, func(*groups.Op)) {
	nothing := func(*groups.Op) {}
	for _, f := range me.Log.State().Forks() {
		b, err := me.Log.NewFault([]*groups.Op{me.Log.Op(f.A)}, []*groups.Op{me.Log.Op(f.B)})
		must(err)
		return groups.KindFault, b, nothing
	}
	ops := me.Log.Ops()
	a, b := ops[d.r.IntN(len(ops))].ID, ops[d.r.IntN(len(ops))].ID
	if slices.Compare(a[:], b[:]) >= 0 {
		return groups.KindGenesis, nil, nil
	}
	return groups.KindFault, groups.FaultBody{Inc: d.member().Inc, Seq: 1, A: groups.Evidence{Op: a}, B: groups.Evidence{Op: b}}, nothing
}

// harbor appoints one, or changes what one may.
func (d *dice) harbor(me *Person) (groups.Kind, any, func(*groups.Op)) {
	if len(d.harbors) > 1 || len(d.harbors) == 1 && d.r.IntN(2) == 0 {
		h := d.harbors[d.r.IntN(len(d.harbors))]
		return groups.KindHarbor, groups.HarborBody{Change: true, OwnOp: me.Log.State().OwnOp(), Harbor: h.Inc, Rights: uint64(d.r.IntN(4))},
			func(*groups.Op) {}
	}
	h := d.Add("harbor" + strconv.Itoa(len(d.harbors)))
	return groups.KindHarbor, d.Appoint(me, h, uint64(1+d.r.IntN(3))), func(o *groups.Op) {
		d.letIn(me, h, o)
		d.harbors = append(d.harbors, h)
	}
}

func (d *dice) invite(me *Person) (Invite, groups.InviteBody) {
	seed := make([]byte, ed25519.SeedSize)
	_, err := io.ReadFull(d.rand, seed)
	must(err)
	inv := Invite{Key: ed25519.NewKeyFromSeed(seed), Inviter: me}
	b := groups.InviteBody{InvitePk: [32]byte(inv.Key.Public().(ed25519.PublicKey)), MaxUses: uint64(1 + d.r.IntN(3)),
		NotAfterMs: d.NowMs + uint64(d.r.IntN(40_000_000)), Role: uint64(groups.RoleMember)}
	if d.r.IntN(6) == 0 {
		b.Redeem = groups.RedeemAdmins
	}
	if d.r.IntN(6) == 0 {
		b.Redeem, b.Incs = groups.RedeemListed, []wire.OpID{d.member().Inc}
	}
	if d.r.IntN(6) == 0 {
		b.Approval = 1
		return inv, b
	}
	if d.r.IntN(3) == 0 {
		b.KemPk = me.kemPublic()
	}
	return inv, b
}
