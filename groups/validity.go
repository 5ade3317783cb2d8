package groups

import (
	"slices"

	"mutuals/identity/wire"
)

// Stage C: removals, leaves, revokes.

// putOut notes who is put out, or goes, and what becomes of invites.
func (r *resolution) putOut(i int) {
	n := r.nodes[i]
	switch b := n.op.Body.(type) {
	case *RemoveBody:
		if r.outranks(i, b.Account) {
			p := r.change(b.Account)
			p.removes = append(p.removes, i)
			r.exits = r.exits.with(i)
		}
	case *LeaveBody:
		if !r.cut(i) && !r.ownerLeaves(i) {
			p := r.change(n.author)
			p.leaves = append(p.leaves, i)
			r.exits = r.exits.with(i)
		}
	case *InviteRevokeBody:
		switch inviter := r.nodes[n.cites].author; {
		case inviter == n.author:
			if !r.cut(i) {
				v := r.changeIssue(n.cites)
				v.recalls = append(v.recalls, i)
			}
		case r.outranks(i, inviter):
			v := r.changeIssue(n.cites)
			v.ends = append(v.ends, i)
		}
	case *AdmitBody:
		if n.cites >= 0 {
			v := r.changeIssue(n.cites)
			v.uses = append(v.uses, i)
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
	return !slices.ContainsFunc(r.of(x).grants, func(g int) bool { return r.concurrent(g, o) })
}

// Stage D: validity.

func (r *resolution) stageValidity() {
	for _, v := range r.issued.all() {
		slices.SortFunc(v.uses, r.compareSeen)
	}
	for i := range r.set.all() {
		r.validate(i)
	}
	for _, p := range r.people.all() {
		r.enliven(p)
	}
}

// validate judges one operation, everything in its past being judged.
func (r *resolution) validate(i int) {
	if r.isValid(i) {
		r.valid = r.valid.with(i)
	}
	if r.nodes[i].isInc() && r.incIsValid(i) {
		r.incValid = r.incValid.with(i)
	}
}

// enliven finds the live devices of an account.
func (r *resolution) enliven(p *person) {
	for _, i := range p.incs {
		if r.isLive(i) {
			r.live = r.live.with(i)
		} else {
			r.live = r.live.without(i)
		}
	}
}

// liveOf lists the live devices among some of an account's, ascending.
func (r *resolution) liveOf(p person) []int {
	var out []int
	for _, i := range p.incs {
		if r.live.has(i) {
			out = append(out, i)
		}
	}
	return out
}

// incIsValid tells whether what an inc wrote can be in force (R26): wider
// than being in.
func (r *resolution) incIsValid(inc int) bool {
	n := r.nodes[inc]
	switch n.op.Kind {
	case KindDevAdd:
		return !r.cut(inc) && r.incValid.has(n.inc)
	case KindHarbor:
		return r.valid.has(inc)
	}
	return r.valid.has(inc) || slices.ContainsFunc(r.of(n.account).grants, func(g int) bool { return r.before(inc, g) })
}

// isLive: an admission that is valid, or on which its account was made owner,
// and that is past every valid removal and leave of the account; an added
// device that is valid, its base live (R27).
func (r *resolution) isLive(inc int) bool {
	n := r.nodes[inc]
	if n.base >= 0 {
		return r.valid.has(inc) && r.isLive(n.base)
	}
	own, p := n.account == r.owner() && r.before(inc, r.ownOp()), r.of(n.account)
	known := func(v int) bool { return r.before(v, inc) }
	return (r.valid.has(inc) || own) && r.all(p.removes, known) && r.all(p.leaves, known)
}

func (r *resolution) all(list []int, ok func(int) bool) bool {
	for _, v := range list {
		if !ok(v) {
			return false
		}
	}
	return true
}

// isValid is the judgement (R24).
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
		return slices.Contains(r.of(b.Account).removes, o)
	case *InviteRevokeBody:
		if r.nodes[n.cites].author != n.author {
			return slices.Contains(r.issue(n.cites).ends, o)
		}
	case *RoleBody, *PolicyBody, *HarborBody:
		return r.ownerValid(o)
	case *AdmitBody:
		return r.admitValid(o, b)
	}
	return !r.cut(o) && r.incValid.has(n.inc) && r.outlives(o, n.author, n.inc, nil)
}

// outlives tells whether o, written under inc by a, is touched by no valid
// removal or leave of a: each was before the inc, or comes after o. A leave
// that spares o does not count.
func (r *resolution) outlives(o int, a wire.AccountID, inc int, spares func(leave int) bool) bool {
	base, p := r.base(inc), r.of(a)
	clear := func(v int) bool { return r.before(v, base) || r.before(o, v) }
	return r.all(p.removes, clear) &&
		r.all(p.leaves, func(v int) bool { return clear(v) || spares != nil && spares(v) })
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
	invite, became := r.nodes[i], r.issue(i)
	inviter, base := invite.author, r.base(invite.inc)
	if !r.valid.has(i) && !(r.incValid.has(base) && r.all(r.voiders(i), spares)) {
		return false
	}
	body := invite.op.Body.(*InviteBody)
	if uint64(slices.Index(became.uses, o)) >= body.MaxUses {
		return false
	}
	after := func(v int) bool { return r.before(o, v) }
	return r.all(became.recalls, func(v int) bool { return after(v) || spares(v) }) &&
		r.all(became.ends, after) &&
		r.outlives(o, inviter, invite.inc, spares) &&
		r.all(r.of(b.Request.Newcomer).removes, func(v int) bool { return !r.before(v, o) || r.before(v, i) })
}

// sponsorValid tells whether the inc that wrote an admit could: a harbor while
// it had the right, a device that is valid, or that was added by one that is, if
// the admit is shielded against what cuts the dev-add (R25).
func (r *resolution) sponsorValid(o int) bool {
	inc := r.nodes[o].inc
	if r.nodes[inc].isHarbor() {
		return r.incValid.has(inc) && r.sponsors(inc,
			func(g int) bool { return r.before(g, o) },
			func(t int) bool { return r.before(o, t) })
	}
	for ; !r.incValid.has(inc); inc = r.nodes[inc].inc {
		if r.base(inc) == inc || !r.all(r.cutBy(inc), func(v int) bool { return r.shielded(o, v) }) {
			return false
		}
	}
	return true
}

// voiders lists what takes an invite's validity: cuts of its inc, and
// removals and leaves of its author that neither precede the inc nor follow
// the invite.
func (r *resolution) voiders(invite int) []int {
	n := r.nodes[invite]
	out, p := r.cutBy(invite), r.of(n.author)
	for _, list := range [][]int{p.removes, p.leaves} {
		for _, v := range list {
			if !r.before(v, r.base(n.inc)) && !r.before(invite, v) {
				out = append(out, v)
			}
		}
	}
	return out
}
