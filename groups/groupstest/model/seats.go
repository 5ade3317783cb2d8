package model

import (
	"slices"

	"mutuals/groups"
	"mutuals/identity/wire"
)

// seat is a candidate's place: those below the cap sit, the rest wait (R27).
type seat struct {
	account wire.AccountID
	role    groups.Role
	via     *node // the base of a live inc, lowest by (seen, order key)
}

// live is R27.
func (v *View) live(i *node) bool {
	switch i.Kind {
	case groups.KindGenesis, groups.KindAdmit:
		for _, r := range slices.Concat(v.removes(i.who), v.leaves(i.who)) {
			if !r.before(i) {
				return false
			}
		}
		return v.validOp(i) || i.who == v.owner() && i.before(v.own())
	case groups.KindDevAdd:
		return v.validOp(i) && v.live(i.base)
	}
	return false
}

// incs are those of devices.
func (v *View) incs() (out []*node) {
	for _, i := range v.ops {
		if i.isInc && !i.isHarbor() {
			out = append(out, i)
		}
	}
	return out
}

func (v *View) findSeats() {
	first := map[wire.AccountID]*node{}
	for _, i := range v.incs() {
		if v.live(i) && (first[i.who] == nil || v.earlier(i.base, first[i.who])) {
			first[i.who] = i.base
		}
	}
	for a, via := range first {
		v.seats = append(v.seats, seat{a, v.role(a), via})
	}
	slices.SortFunc(v.seats, func(a, b seat) int {
		switch {
		case a.role != b.role:
			return int(a.role) - int(b.role)
		case v.earlier(a.via, b.via):
			return -1
		}
		return 1
	})
}

func (v *View) candidate(a wire.AccountID) bool {
	return slices.ContainsFunc(v.seats, func(s seat) bool { return s.account == a })
}

// seated are the first of the candidates, up to the cap.
func (v *View) seated() (out []wire.AccountID) {
	for i, s := range v.seats {
		if i < v.Cap() {
			out = append(out, s.account)
		}
	}
	return out
}

func (v *View) isSeated(a wire.AccountID) bool { return slices.Contains(v.seated(), a) }

// laws are cap and policy (R28).
func (v *View) laws() (cap uint64, p groups.Policy) { return v.lawsOf(v.in) }

// lawsOf looks at the policies of a part of S.
func (v *View) lawsOf(part map[*node]bool) (cap uint64, p groups.Policy) {
	var last []*groups.PolicyBody
	for _, o := range v.ops {
		b, ok := o.Body.(*groups.PolicyBody)
		if ok && part[o] && v.ownerValid(o) && !slices.ContainsFunc(v.ops, func(n *node) bool {
			return part[n] && n.Kind == groups.KindPolicy && n.after(o) && v.ownerValid(n)
		}) {
			last = append(last, b)
		}
	}
	if len(last) == 0 {
		b := v.ops[0].Body.(*groups.GenesisBody)
		return b.Cap, b.Policy
	}
	cap, p = last[0].Cap, last[0].Policy
	for _, b := range last[1:] {
		cap = min(cap, b.Cap)
		p.HistoryDays = min(p.HistoryDays, b.Policy.HistoryDays)
		p.WhoInvites = min(p.WhoInvites, b.Policy.WhoInvites)
		p.Posting = max(p.Posting, b.Policy.Posting)
		p.Waitlist = min(p.Waitlist, b.Policy.Waitlist)
		if p.SucceedDays == 0 || b.Policy.SucceedDays == 0 {
			p.SucceedDays = 0
		} else {
			p.SucceedDays = max(p.SucceedDays, b.Policy.SucceedDays)
		}
	}
	return cap, p
}

// Cap is the group's.
func (v *View) Cap() int {
	c, _ := v.laws()
	return int(c)
}

// Policy is the group's.
func (v *View) Policy() groups.Policy {
	_, p := v.laws()
	return p
}

// mayInvite: of a rank the policy lets invite.
func (v *View) mayInvite(a wire.AccountID) bool { return uint64(v.role(a)) <= v.Policy().WhoInvites }

// uncut is of an inc: nothing cuts it.
func (v *View) uncut(i *node) bool { return len(v.cutsOf[i]) == 0 }

// harborActs are the ownerValid acts on a harbor, its appointment first.
func (v *View) harborActs(h *node) (out []*node) {
	for _, o := range v.ops {
		b, ok := o.Body.(*groups.HarborBody)
		if ok && (o == h || b.Change && b.Harbor == h.ID) && v.ownerValid(o) {
			out = append(out, o)
		}
	}
	return out
}

// rights and quota: of the ownerValid acts no other is after, what all give and
// the lowest limit (R44).
func (v *View) rights(h *node) (rights, quota uint64) {
	acts := v.harborActs(h)
	rights = ^uint64(0)
	for _, o := range acts {
		if slices.ContainsFunc(acts, func(n *node) bool { return n.after(o) }) {
			continue
		}
		b := o.Body.(*groups.HarborBody)
		rights &= b.Rights
		if quota == 0 || b.Quota != 0 && b.Quota < quota {
			quota = b.Quota
		}
	}
	if len(acts) == 0 {
		rights = 0
	}
	return rights, quota
}

// inOffice: appointment ownerValid, no cut, some right (R44).
func (v *View) inOffice(h *node) bool {
	rights, _ := v.rights(h)
	return v.ownerValid(h) && v.uncut(h) && rights != 0
}

// sponsors: the right is held at o (R44).
func (v *View) sponsors(h, o *node) bool {
	acts := v.harborActs(h)
	gives := func(n *node) bool { return n.Body.(*groups.HarborBody).Rights&groups.RightSponsor != 0 }
	return slices.ContainsFunc(acts, func(g *node) bool {
		return gives(g) && g.before(o) && !slices.ContainsFunc(acts, func(n *node) bool {
			return !gives(n) && !n.before(g) && !n.after(o)
		})
	})
}
