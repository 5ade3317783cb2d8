package groupstest

import (
	"math/rand/v2"
	"slices"

	"mutuals/groups"
	"mutuals/identity/wire"
)

// Besiege has those who do not own a group try on its owner what each kind of
// operation could do, tries times, on any past they had, at any hour since: all
// of them liars, none of them the owner. What l takes of it l then has, and it
// is returned.
func (w *World) Besiege(l *groups.Log, seed uint64, tries int) []*groups.Op {
	d := dice{World: w, r: rand.New(rand.NewPCG(seed, 11))}
	owner := l.State().Owner()
	var enemies []*Person
	for _, p := range w.People {
		if p.Account != owner && l.Has(p.Inc) {
			enemies = append(enemies, p)
		}
	}
	if len(enemies) == 0 {
		return nil
	}
	var taken []*groups.Op
	now := w.NowMs
	defer func() { w.NowMs = now }()
	ranked := slices.DeleteFunc(slices.Clone(enemies), func(p *Person) bool { return !everRanked(l, p.Account) })
	for range tries {
		me := enemies[d.r.IntN(len(enemies))]
		if len(ranked) > 0 && d.r.IntN(2) == 0 {
			me = ranked[d.r.IntN(len(ranked))]
		}
		knows := *me
		knows.Log = d.before(l, me)
		w.NowMs = now - uint64(d.r.Int64N(int64(now-StartMs)+1))
		kind, body := d.assault(l, &knows, enemies, owner)
		o, r := d.compose(knows.Log, &knows, kind, body)
		if r != nil {
			continue
		}
		if j := l.Judge(o, now); j.Verdict == groups.Accept || j.Verdict == groups.Void {
			l.Apply(o)
			taken = append(taken, o)
		}
	}
	return taken
}

// everRanked tells whether somebody ever made an account owner or admin.
func everRanked(l *groups.Log, a wire.AccountID) bool {
	for _, o := range l.Ops() {
		switch b := o.Body.(type) {
		case *groups.GenesisBody:
			if b.Owner == a {
				return true
			}
		case *groups.RoleBody:
			if b.Account == a && b.Role == uint64(groups.RoleAdmin) {
				return true
			}
		case *groups.TransferBody:
			if b.Heir == a {
				return true
			}
		case *groups.SucceedBody:
			if b.Heir == a {
				return true
			}
		}
	}
	return false
}

// before is what p's way in, or one of its operations, had seen of l; half of
// the time all of it.
func (d *dice) before(l *groups.Log, p *Person) *groups.Log {
	ops := l.Ops()
	known := map[wire.OpID]bool{p.Inc: true}
	if d.r.IntN(2) == 0 {
		known[l.Heads()[0]] = true
	}
	for _, o := range slices.Backward(ops) {
		if known[o.ID] || o.IncID() == p.Inc && d.r.IntN(3) == 0 {
			known[o.ID] = true
			for _, h := range o.Heads {
				known[h] = true
			}
		}
	}
	past, r := groups.Found(ops[0])
	if r != nil {
		must(r)
	}
	for _, o := range ops[1:] {
		if known[o.ID] {
			past.Apply(o)
		}
	}
	return past
}

// assault picks what me, who knows little, tries on the owner.
func (d *dice) assault(l *groups.Log, me *Person, friends []*Person, owner wire.AccountID) (groups.Kind, any) {
	s := me.Log.State()
	friend := friends[d.r.IntN(len(friends))]
	switch d.r.IntN(20) {
	case 0, 1, 2, 3:
		return groups.KindRemove, groups.RemoveBody{Account: owner, Pins: me.Log.PinsFor(owner)}
	case 4, 5:
		return groups.KindRole, groups.RoleBody{OwnOp: s.OwnOp(), Account: owner, Role: uint64(groups.RoleMember)}
	case 6:
		return groups.KindPolicy, d.policy(s)
	case 7:
		return groups.KindFault, d.madeUp(l, owner)
	case 8:
		return groups.KindDevRevoke, d.DevRevoke(me, d.of(owner), false)
	case 9:
		return groups.KindDevRevoke, d.DevRevoke(me, friend, d.r.IntN(2) == 0)
	case 10:
		return groups.KindTransfer, d.Transfer(me, friend)
	case 11:
		return groups.KindSucceed, d.Succeed(me, friend, d.electors(s, friends))
	case 12, 13:
		for _, v := range s.Invites() {
			if v.Inviter == owner {
				return groups.KindInviteRevoke, groups.InviteRevokeBody{Invite: v.ID}
			}
		}
	case 14, 15:
		return groups.KindRemove, groups.RemoveBody{Account: friend.Account}
	case 16:
		return groups.KindLeave, groups.LeaveBody{}
	case 17:
		return groups.KindAdmit, d.Request(friend, me, nil)
	case 18:
		return groups.KindRekey, nil
	}
	return groups.KindAck, groups.AckBody{}
}

// of is a device of an account.
func (d *dice) of(a wire.AccountID) *Person {
	return d.People[slices.IndexFunc(d.People, func(p *Person) bool { return p.Account == a })]
}

// electors are devices of those who are admins as far as s knows.
func (d *dice) electors(s *groups.State, among []*Person) (out []*Person) {
	for _, p := range among {
		if s.Role(p.Account) == groups.RoleAdmin && !slices.ContainsFunc(out, func(q *Person) bool { return q.Account == p.Account }) {
			out = append(out, p)
		}
	}
	return out
}

// madeUp accuses a device of the owner's by two operations that contradict
// nothing.
func (d *dice) madeUp(l *groups.Log, owner wire.AccountID) groups.FaultBody {
	s := l.State()
	var by []*groups.Op
	for _, o := range l.Ops() {
		if i, ok := s.Inc(o.IncID()); ok && i.Account == owner {
			by = append(by, o)
		}
	}
	if len(by) == 0 { // an heir who has written nothing yet
		by = l.Ops()
	}
	a := by[d.r.IntN(len(by))]
	f := groups.FaultBody{Inc: a.IncID(), Seq: a.Seq, A: groups.Evidence{Op: a.ID}}
	for _, b := range by { // the nearest to a contradiction
		if b.IncID() == a.IncID() && b.Seq != a.Seq || f.B.Op.IsZero() && b.ID != a.ID {
			f.B.Op = b.ID
		}
	}
	if slices.Compare(f.A.Op[:], f.B.Op[:]) > 0 {
		f.A, f.B = f.B, f.A
	}
	return f
}
