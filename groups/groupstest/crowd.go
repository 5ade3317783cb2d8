package groupstest

import (
	"crypto/ed25519"
	"io"
	"math/rand/v2"
	"strconv"

	"mutuals/groups"
)

// Crowd is a large group of honest people after some years, for measuring:
// every kind of control operation in the mixture such a group writes.
type Crowd struct {
	Members  int     // seats taken at least once the group is full grown
	Ops      int     // control operations in all
	Branches int     // people who write at the same time without hearing each other
	Apart    int     // operations each of them writes until all meet
	Tail     int     // operations at the end that are each written on all before
	Founder  *Person // nil: somebody new
}

// crowd is one at work.
type crowd struct {
	*World
	size    Crowd
	r       *rand.Rand
	sides   []*groups.Log // what each branch knows; the founder is of the first
	writers []*Person     // the admin of each branch
	members []*Person
	invites []Invite
	told    int // how many of Ops all sides know
}

// Play gives the group's operations, each after what it builds on, and the
// founder, whose log has them all. The last is written on all others, if any is
// of the tail.
func (c Crowd) Play(seed uint64) (founder *Person, ops []*groups.Op) {
	w := &crowd{World: NewWorld(seed), size: c, r: rand.New(rand.NewPCG(seed, 3))}
	w.found()
	for whole := c.Ops - c.Tail; len(w.Ops) < whole; w.gather() {
		for side := range w.sides {
			for k := 0; k < c.Apart && len(w.Ops) < whole; k++ {
				w.turn(side)
			}
		}
	}
	for len(w.Ops) < c.Ops {
		w.turn(w.r.IntN(c.Branches))
		w.gather()
	}
	return w.writers[0], w.Ops
}

func (w *crowd) found() {
	founder := w.size.Founder
	if founder == nil {
		founder = w.Add("founder")
	}
	policy := groups.DefaultPolicy()
	policy.SucceedDays = 365
	w.World.Found(founder, groups.MaxCap, policy)
	w.told = 1
	for range w.size.Branches {
		l, r := groups.Found(w.Ops[0])
		if r != nil {
			must(r)
		}
		w.sides = append(w.sides, l)
	}
	founder.Log = w.sides[0]
	w.writers, w.members = []*Person{founder}, []*Person{founder}
	for len(w.writers) < w.size.Branches {
		q := w.pull(0, founder)
		w.write(0, founder, groups.KindRole, groups.RoleBody{OwnOp: w.Ops[0].ID, Account: q.Account, Role: uint64(groups.RoleAdmin)})
		q.Side = len(w.writers)
		w.writers = append(w.writers, q)
	}
	w.gather()
}

// gather lets all sides know everything.
func (w *crowd) gather() {
	for _, o := range w.Ops[w.told:] {
		for _, l := range w.sides {
			l.Apply(o)
		}
	}
	w.told = len(w.Ops)
}

// write is one operation on a side; nil when the rules refuse it.
func (w *crowd) write(side int, p *Person, kind groups.Kind, body any) *groups.Op {
	w.NowMs += 60_000
	l := w.sides[side]
	o, r := w.compose(l, p, kind, body)
	if r != nil {
		return nil
	}
	if j := l.Judge(o, w.NowMs); j.Verdict != groups.Accept {
		return nil
	}
	l.Apply(o)
	w.Ops = append(w.Ops, o)
	return o
}

// turn is one act on a side, by its admin or anybody else there.
func (w *crowd) turn(side int) {
	admin := w.writers[side]
	member := w.someone(side)
	member.Log = w.sides[side]
	s := w.sides[side].State()
	growing := s.SeatCount()+s.WaitCount() < w.size.Members
	switch n := w.r.IntN(100); {
	case growing && n < 35:
		w.pull(side, admin)
	case growing && n < 50:
		w.device(side, member)
	case n < 55:
		w.write(side, member, groups.KindAck, groups.AckBody{})
	case n < 70:
		w.write(side, member, groups.KindRekey, nil)
	case n < 78:
		w.invite(side, member)
	case n < 86:
		w.redeem(side, admin)
	case n < 90:
		w.device(side, member)
	case n < 93:
		w.write(side, admin, groups.KindRemove, groups.RemoveBody{Account: member.Account})
	case n < 95:
		w.write(side, member, groups.KindLeave, groups.LeaveBody{})
	case n < 97:
		w.write(side, admin, groups.KindRole, groups.RoleBody{OwnOp: s.OwnOp(), Account: member.Account, Role: uint64(1 + w.r.IntN(2))})
	case n < 98:
		w.write(side, member, groups.KindDevRevoke, w.DevRevoke(member, w.sibling(member), false))
	case n < 99 && len(w.invites) > 0:
		w.write(side, admin, groups.KindInviteRevoke, groups.InviteRevokeBody{Invite: w.invites[w.r.IntN(len(w.invites))].ID})
	default:
		w.pull(side, admin)
	}
}

// someone is a device on a side: nobody writes on two, which would fork its
// chain.
func (w *crowd) someone(side int) *Person {
	for {
		if q := w.members[w.r.IntN(len(w.members))]; q.Side == side {
			return q
		}
	}
}

// sibling is another device of an account, or the same.
func (w *crowd) sibling(p *Person) *Person {
	for _, q := range w.members {
		if q.Account == p.Account && q != p {
			return q
		}
	}
	return p
}

// pull lets a newcomer in by hand.
func (w *crowd) pull(side int, by *Person) *Person {
	q := w.newcomer()
	by.Log = w.sides[side]
	if o := w.write(side, by, groups.KindAdmit, w.Request(q, by, nil)); o != nil {
		q.Inc, q.Side = o.ID, side
		w.members = append(w.members, q)
	}
	return q
}

// newcomer is a person who is only let in.
func (w *crowd) newcomer() *Person { return w.Add("p" + strconv.Itoa(len(w.People))) }

func (w *crowd) invite(side int, by *Person) {
	seed := make([]byte, ed25519.SeedSize)
	_, err := io.ReadFull(w.rand, seed)
	must(err)
	inv := Invite{Key: ed25519.NewKeyFromSeed(seed), Inviter: by}
	b := groups.InviteBody{InvitePk: [32]byte(inv.Key.Public().(ed25519.PublicKey)), MaxUses: 20,
		NotAfterMs: w.NowMs + 30*86_400_000, Role: uint64(groups.RoleMember)}
	if o := w.write(side, by, groups.KindInvite, b); o != nil {
		inv.ID = o.ID
		w.invites = append(w.invites, inv)
	}
}

// redeem lets a newcomer in by one of the newest invites.
func (w *crowd) redeem(side int, by *Person) {
	if len(w.invites) == 0 {
		return
	}
	inv := w.invites[len(w.invites)-1-w.r.IntN(min(8, len(w.invites)))]
	if !w.sides[side].Has(inv.ID) {
		return
	}
	q := w.newcomer()
	by.Log = w.sides[side]
	if o := w.write(side, by, groups.KindAdmit, w.Request(q, by, &inv)); o != nil {
		q.Inc, q.Side = o.ID, side
		w.members = append(w.members, q)
	}
}

// device adds one to an account, by itself.
func (w *crowd) device(side int, by *Person) {
	if len(by.Chain) > 2 {
		return
	}
	q := w.Device("device"+strconv.Itoa(len(w.People)), by, false)
	if o := w.write(side, by, groups.KindDevAdd, w.DevAdd(by, q)); o != nil {
		q.Inc, q.Side = o.ID, side
		w.members = append(w.members, q)
	}
}

// Kinds counts operations by kind, and of those the ones in force.
func Kinds(s *groups.State, ops []*groups.Op) (all, inForce map[groups.Kind]int) {
	all, inForce = map[groups.Kind]int{}, map[groups.Kind]int{}
	for _, o := range ops {
		all[o.Kind]++
		if s.Valid(o.ID) {
			inForce[o.Kind]++
		}
	}
	return all, inForce
}
