package groups

import (
	"slices"

	"mutuals/identity/wire"
)

// Stage C: removals, leaves, revokes.

func (r *resolution) stageRemovals() {
	r.removes = map[wire.AccountID][]int{}
	r.leaves = map[wire.AccountID][]int{}
	r.ends = map[int][]int{}
	r.recalls = map[int][]int{}
	for _, i := range r.in {
		n := r.nodes[i]
		switch b := n.op.Body.(type) {
		case *RemoveBody:
			if r.outranks(i, b.Account) {
				r.removes[b.Account] = append(r.removes[b.Account], i)
			}
		case *LeaveBody:
			if !r.cut(i) && !r.ownerLeaves(i) {
				r.leaves[n.author] = append(r.leaves[n.author], i)
			}
		case *InviteRevokeBody:
			switch inviter := r.nodes[n.cites].author; {
			case inviter == n.author:
				if !r.cut(i) {
					r.recalls[n.cites] = append(r.recalls[n.cites], i)
				}
			case r.outranks(i, inviter):
				r.ends[n.cites] = append(r.ends[n.cites], i)
			}
		}
	}
}

// ownerLeaves tells whether a leave is the owner's, who stays: it left by a
// device that did not know of the ownership, which counts all the same.
func (r *resolution) ownerLeaves(o int) bool {
	return r.nodes[o].author == r.owner() && !r.before(o, r.ownOp()) && len(r.genesis().Policy.Direct) == 0
}

// outranks tells whether o is an act of a strictly higher rank on x (R23):
// the owner's on anybody else, or an admin's on who is none and was not being
// made one.
func (r *resolution) outranks(o int, x wire.AccountID) bool {
	author := r.nodes[o].author
	if author == x || x == r.owner() && !r.before(o, r.ownOp()) {
		return false
	}
	if r.ownerValid(o) {
		return true
	}
	if r.cut(o) || !r.adminAt(author, o) || r.adminAt(x, o) {
		return false
	}
	return !slices.ContainsFunc(r.grants[x], func(g int) bool { return r.concurrent(g, o) })
}

// Stage D: validity.

func (r *resolution) stageValidity() {
	r.uses = map[int][]int{}
	for _, i := range r.in {
		n := r.nodes[i]
		if n.op.Kind == KindAdmit && n.cites >= 0 {
			r.uses[n.cites] = append(r.uses[n.cites], i)
		}
	}
	for _, list := range r.uses {
		slices.SortFunc(list, r.compareSeen)
	}
	r.valid = make([]bool, len(r.nodes))
	r.incValid = make([]bool, len(r.nodes))
	for _, i := range r.in {
		r.valid[i] = r.isValid(i)
		if r.nodes[i].isInc() {
			r.incValid[i] = r.incIsValid(i)
		}
	}
	r.live = map[wire.AccountID][]int{}
	for a, incs := range r.incs {
		for _, i := range incs {
			if r.isLive(i) {
				r.live[a] = append(r.live[a], i)
			}
		}
	}
}

// incIsValid tells whether what an inc wrote can be in force (R26): wider
// than being in.
func (r *resolution) incIsValid(inc int) bool {
	n := r.nodes[inc]
	switch n.op.Kind {
	case KindDevAdd:
		return !r.cut(inc) && r.incValid[n.inc]
	case KindHarbor:
		return r.valid[inc]
	}
	return r.valid[inc] || slices.ContainsFunc(r.grants[n.account], func(g int) bool { return r.before(inc, g) })
}

// isLive: an admission that is valid, or on which its account was made owner,
// and that is past every valid removal and leave of the account; an added
// device that is valid, its base live (R27).
func (r *resolution) isLive(inc int) bool {
	n := r.nodes[inc]
	if n.base >= 0 {
		return r.valid[inc] && r.isLive(n.base)
	}
	own := n.account == r.owner() && r.before(inc, r.ownOp())
	return (r.valid[inc] || own) && r.all(r.removes[n.account], func(v int) bool { return r.before(v, inc) }) &&
		r.all(r.leaves[n.account], func(v int) bool { return r.before(v, inc) })
}

func (r *resolution) all(list []int, ok func(int) bool) bool {
	for _, v := range list {
		if !ok(v) {
			return false
		}
	}
	return true
}

// isValid judges one operation, everything in its past being judged (R24).
func (r *resolution) isValid(o int) bool {
	n := r.nodes[o]
	switch b := n.op.Body.(type) {
	case *GenesisBody:
		return true
	case *LeaveBody:
		return !r.cut(o) && !r.ownerLeaves(o)
	case *DevRevokeBody, *FaultBody:
		return true // a revocation is for good, and proof is proof
	case *TransferBody, *SucceedBody:
		return slices.ContainsFunc(r.owners, func(w ownership) bool { return w.op == o })
	case *RemoveBody:
		return slices.Contains(r.removes[b.Account], o)
	case *InviteRevokeBody:
		if r.nodes[n.cites].author != n.author {
			return slices.Contains(r.ends[n.cites], o)
		}
	case *RoleBody, *PolicyBody, *HarborBody:
		return r.ownerValid(o)
	case *AdmitBody:
		return r.admitValid(o, b)
	}
	return !r.cut(o) && r.incValid[n.inc] && r.outlives(o, n.author, n.inc, nil)
}

// outlives tells whether o, written under inc by a, is touched by no valid
// removal or leave of a: each was before the inc, or comes after o. A leave
// that spares o does not count.
func (r *resolution) outlives(o int, a wire.AccountID, inc int, spares func(leave int) bool) bool {
	base := r.base(inc)
	clear := func(v int) bool { return r.before(v, base) || r.before(o, v) }
	return r.all(r.removes[a], clear) &&
		r.all(r.leaves[a], func(v int) bool { return clear(v) || spares != nil && spares(v) })
}

// admitValid judges an admit (R25).
func (r *resolution) admitValid(o int, b *AdmitBody) bool {
	n := r.nodes[o]
	spares := func(v int) bool { return r.shielded(o, v) }
	if len(r.cuts) > 0 && !r.all(r.cutBy(o), spares) {
		return false
	}
	if !r.sponsorValid(o) || !r.outlives(o, n.author, n.inc, spares) {
		return false
	}
	if n.cites < 0 {
		return true
	}
	i := n.cites
	invite := r.nodes[i]
	inviter, base := invite.author, r.base(invite.inc)
	if !r.valid[i] && !(r.incValid[base] && r.all(r.voiders(i), spares)) {
		return false
	}
	body := invite.op.Body.(*InviteBody)
	if uint64(slices.Index(r.uses[i], o)) >= body.MaxUses {
		return false
	}
	after := func(v int) bool { return r.before(o, v) }
	return r.all(r.recalls[i], func(v int) bool { return after(v) || spares(v) }) &&
		r.all(r.ends[i], after) &&
		r.outlives(o, inviter, invite.inc, spares) &&
		r.all(r.removes[b.Request.Newcomer], func(v int) bool { return !r.before(v, o) || r.before(v, i) })
}

// sponsorValid tells whether the inc that wrote an admit could: valid, or
// added to one that is, if somebody of rank has seen the admit; a harbor while
// it had the right (R25).
func (r *resolution) sponsorValid(o int) bool {
	inc := r.nodes[o].inc
	if r.nodes[inc].isHarbor() {
		return r.incValid[inc] && r.sponsors(inc,
			func(g int) bool { return r.before(g, o) },
			func(t int) bool { return r.before(o, t) })
	}
	if r.incValid[inc] {
		return true
	}
	base := r.base(inc)
	return base != inc && r.incValid[base] &&
		slices.ContainsFunc(r.acks, func(k int) bool { return r.before(o, k) })
}

// voiders lists what takes an invite's validity: cuts of its inc, and
// removals and leaves of its author that neither precede the inc nor follow
// the invite.
func (r *resolution) voiders(invite int) []int {
	n := r.nodes[invite]
	out := r.cutBy(invite)
	for _, list := range [][]int{r.removes[n.author], r.leaves[n.author]} {
		for _, v := range list {
			if !r.before(v, r.base(n.inc)) && !r.before(invite, v) {
				out = append(out, v)
			}
		}
	}
	return out
}
