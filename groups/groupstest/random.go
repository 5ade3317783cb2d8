package groupstest

import (
	"crypto/ed25519"
	"io"
	"math/rand/v2"

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
	w.Found(w.People[0], uint64(2+d.r.IntN(people)), p)
	for range steps {
		d.turn()
	}
	for _, q := range w.People {
		w.Online(q)
	}
	return w
}

type dice struct {
	*World
	r       *rand.Rand
	invites []Invite
}

func (d *dice) someone() *Person { return d.People[d.r.IntN(len(d.People))] }

func (d *dice) turn() {
	d.NowMs += uint64(d.r.IntN(3_600_000))
	me := d.someone()
	switch d.r.IntN(10) {
	case 0:
		me.Offline = true
		return
	case 1, 2:
		d.Online(me)
		return
	}
	if me.Inc.IsZero() {
		me = d.People[0]
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

// act picks what somebody tries; KindGenesis means nothing. done is called
// when it was accepted.
func (d *dice) act(me *Person) (kind groups.Kind, body any, done func(*groups.Op)) {
	s, q := me.Log.State(), d.someone()
	done = func(*groups.Op) {}
	switch n := d.r.IntN(20); {
	case n < 4:
		return groups.KindAdmit, d.Request(q, me, nil), func(o *groups.Op) { q.Inc = o.ID }
	case n < 8 && len(d.invites) > 0:
		inv := d.invites[d.r.IntN(len(d.invites))]
		return groups.KindAdmit, d.Request(q, me, &inv), func(o *groups.Op) { q.Inc = o.ID }
	case n < 10:
		inv, b := d.invite(me)
		return groups.KindInvite, b, func(o *groups.Op) {
			inv.ID = o.ID
			d.invites = append(d.invites, inv)
		}
	case n < 12:
		return groups.KindRemove, groups.RemoveBody{Account: q.Account}, done
	case n < 13:
		return groups.KindLeave, groups.LeaveBody{}, done
	case n < 15:
		return groups.KindRole, groups.RoleBody{OwnOp: s.OwnOp(), Account: q.Account, Role: uint64(1 + d.r.IntN(2))}, done
	case n < 16:
		p := s.Policy()
		p.Waitlist = uint64(d.r.IntN(4))
		return groups.KindPolicy, groups.PolicyBody{OwnOp: s.OwnOp(), Cap: uint64(2 + d.r.IntN(6)), Policy: p}, done
	case n < 17 && len(d.invites) > 0:
		return groups.KindInviteRevoke, groups.InviteRevokeBody{Invite: d.invites[d.r.IntN(len(d.invites))].ID}, done
	case n < 19:
		return groups.KindRekey, nil, done
	}
	return groups.KindAck, groups.AckBody{}, done
}

func (d *dice) invite(me *Person) (Invite, groups.InviteBody) {
	seed := make([]byte, ed25519.SeedSize)
	_, err := io.ReadFull(d.rand, seed)
	must(err)
	inv := Invite{Key: ed25519.NewKeyFromSeed(seed), Inviter: me}
	b := groups.InviteBody{InvitePk: [32]byte(inv.Key.Public().(ed25519.PublicKey)), MaxUses: uint64(1 + d.r.IntN(3)),
		NotAfterMs: d.NowMs + uint64(d.r.IntN(40_000_000)), Role: uint64(groups.RoleMember)}
	if d.r.IntN(3) == 0 {
		b.KemPk = me.kemPublic()
	}
	return inv, b
}
