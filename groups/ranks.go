package groups

import (
	"slices"

	"mutuals/identity/wire"
)

// Stage B: owner, grants, revokes, acks.

func (r *resolution) stageOwner() {
	r.stageOwnership()
	r.grants = map[wire.AccountID][]int{r.owners[0].owner: {r.in[0]}}
	r.revokes = map[wire.AccountID][]int{}
	for _, w := range r.owners[1:] {
		r.grants[w.owner] = append(r.grants[w.owner], w.op)
	}
	for _, i := range r.in[1:] {
		switch b := r.nodes[i].op.Body.(type) {
		case *RoleBody:
			if !r.ownerValid(i) {
				continue
			}
			if b.Role == uint64(RoleAdmin) {
				r.grants[b.Account] = append(r.grants[b.Account], i)
			} else {
				r.revokes[b.Account] = append(r.revokes[b.Account], i)
			}
		case *RemoveBody:
			if r.ownerValid(i) {
				r.revokes[b.Account] = append(r.revokes[b.Account], i)
			}
		}
	}
	r.stageAcks()
}

// owner is who owns the group now.
func (r *resolution) owner() wire.AccountID { return r.owners[len(r.owners)-1].owner }

// ownOp is the operation that made it so.
func (r *resolution) ownOp() int { return r.owners[len(r.owners)-1].op }

func (r *resolution) genesis() *GenesisBody { return r.nodes[r.in[0]].op.Body.(*GenesisBody) }

// ownerValid tells whether o is an act of whoever owned the group under the
// ownership it names, or the latest it has seen (R21).
func (r *resolution) ownerValid(o int) bool {
	at := r.ownership(o)
	if at < 0 || r.owners[at].owner != r.nodes[o].author || r.cut(o) {
		return false
	}
	return at == len(r.owners)-1 || r.before(o, r.owners[at+1].op)
}

func (r *resolution) ownership(o int) int {
	var named wire.OpID
	switch b := r.nodes[o].op.Body.(type) {
	case *RoleBody:
		named = b.OwnOp
	case *PolicyBody:
		named = b.OwnOp
	case *HarborBody:
		named = b.OwnOp
	default:
		for at := len(r.owners) - 1; at >= 0; at-- {
			if op := r.owners[at].op; op == o || r.before(op, o) {
				return at
			}
		}
		return -1
	}
	return slices.IndexFunc(r.owners, func(w ownership) bool {
		return r.nodes[w.op].op.ID == named && r.before(w.op, o)
	})
}

// adminAt tells whether a had owner's or admin's rank for an operation in the
// place of o (R22).
func (r *resolution) adminAt(a wire.AccountID, o int) bool {
	for _, g := range r.grants[a] {
		if r.before(g, o) && r.holds(a, g, func(v int) bool { return r.before(o, v) }) {
			return true
		}
	}
	return false
}

// adminNow is adminAt after everything.
func (r *resolution) adminNow(a wire.AccountID) bool {
	for _, g := range r.grants[a] {
		if r.holds(a, g, func(int) bool { return false }) {
			return true
		}
	}
	return false
}

// holds tells whether each revoke on a is in the past of the grant, or too
// late.
func (r *resolution) holds(a wire.AccountID, grant int, late func(revoke int) bool) bool {
	for _, v := range r.revokes[a] {
		if !r.before(v, grant) && !late(v) {
			return false
		}
	}
	return true
}

func (r *resolution) stageAcks() {
	for _, i := range r.in {
		if r.isAck(i) {
			r.acks = append(r.acks, i)
		}
	}
	r.sortByKey(r.acks)
	r.seen = make([]int, len(r.nodes))
	for i := range r.seen {
		r.seen[i] = -1
	}
	// In rising order each ack is the lowest of what no ack before it had.
	unseen := slices.Clone(r.set)
	for _, k := range r.acks {
		past := r.nodes[k].past
		for w := range min(len(past), len(unseen)) {
			fresh := indexes{past[w] & unseen[w]}
			fresh.each(func(i int) { r.seen[w<<6+i] = k })
			unseen[w] &^= fresh[0]
		}
		if unseen.has(k) {
			r.seen[k] = k
			unseen[k>>6] &^= 1 << (k & 63)
		}
	}
}

// isAck tells whether o counts as somebody of rank having seen its past: any
// uncut operation of the owner or an admin, but for those that end something
// of their own (R22).
func (r *resolution) isAck(o int) bool {
	n := r.nodes[o]
	switch n.op.Kind {
	case KindLeave, KindDevRevoke, KindFault:
		return false
	}
	return (n.author == r.owner() || r.adminAt(n.author, o)) && !r.cut(o)
}

func (r *resolution) sortByKey(list []int) {
	slices.SortFunc(list, func(a, b int) int { return r.nodes[a].key.Compare(r.nodes[b].key) })
}

// compareSeen orders by (seen, order key), what nobody of rank has seen last.
func (r *resolution) compareSeen(a, b int) int {
	sa, sb := r.seen[a], r.seen[b]
	switch {
	case sa == sb:
	case sa < 0:
		return 1
	case sb < 0:
		return -1
	default:
		return r.nodes[sa].key.Compare(r.nodes[sb].key)
	}
	return r.nodes[a].key.Compare(r.nodes[b].key)
}

// shielded tells whether somebody of rank had seen the admit without v, and
// is not the account whose own act v is (R22).
func (r *resolution) shielded(admit, v int) bool {
	own := r.actsOn(v)
	for _, k := range r.acks {
		if r.before(admit, k) && k != v && !r.before(v, k) && r.nodes[k].author != own {
			return true
		}
	}
	return false
}

// actsOn is the account that leaves, revokes or is cut by v; zero for a
// removal.
func (r *resolution) actsOn(v int) wire.AccountID {
	switch r.nodes[v].op.Kind {
	case KindLeave, KindInviteRevoke, KindDevRevoke:
		return r.nodes[v].author
	case KindFault:
		return r.nodes[r.nodes[v].target].account
	}
	return wire.AccountID{}
}
