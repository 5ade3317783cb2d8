package groups

import (
	"maps"
	"slices"

	"mutuals/identity/wire"
)

// Stage B: grants, revokes, acks.

func (r *resolution) stageRanks() {
	for _, w := range r.owners {
		p := r.change(w.owner)
		p.grants = append(p.grants, w.op)
	}
	for i := range r.set.all() {
		r.promote(i)
	}
	r.stageAcks()
}

// promote notes what an act of the owner's gives or takes.
func (r *resolution) promote(i int) {
	switch b := r.nodes[i].op.Body.(type) {
	case *RoleBody:
		if !r.ownerValid(i) {
			return
		}
		if p := r.change(b.Account); b.Role == uint64(RoleAdmin) {
			p.grants = append(p.grants, i)
		} else {
			p.revokes = append(p.revokes, i)
		}
	case *RemoveBody:
		if r.ownerValid(i) {
			p := r.change(b.Account)
			p.revokes = append(p.revokes, i)
		}
	case *HarborBody:
		if r.ownerValid(i) {
			harbor := i
			if b.Change {
				harbor = r.nodes[i].target
			}
			if r.grown {
				r.acts = maps.Clone(r.acts)
			}
			r.acts[harbor] = append(slices.Clip(r.acts[harbor]), i)
		}
	}
}

// owner is who owns the group now.
func (r *resolution) owner() wire.AccountID { return r.owners[len(r.owners)-1].owner }

// ownOp is the operation that made it so.
func (r *resolution) ownOp() int { return r.owners[len(r.owners)-1].op }

func (r *resolution) genesis() *GenesisBody { return r.nodes[genesisAt].op.Body.(*GenesisBody) }

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
	p := r.of(a)
	for _, g := range p.grants {
		if r.before(g, o) && r.holds(p, g, func(v int) bool { return r.before(o, v) }) {
			return true
		}
	}
	return false
}

// adminNow is adminAt after everything.
func (r *resolution) adminNow(a wire.AccountID) bool {
	p := r.of(a)
	for _, g := range p.grants {
		if r.holds(p, g, func(int) bool { return false }) {
			return true
		}
	}
	return false
}

// holds tells whether each revoke on an account is in the past of the grant,
// or too late.
func (r *resolution) holds(p person, grant int, late func(revoke int) bool) bool {
	for _, v := range p.revokes {
		if !r.before(v, grant) && !late(v) {
			return false
		}
	}
	return true
}

func (r *resolution) stageAcks() {
	var acks []int
	for i := range r.set.all() {
		if r.isAck(i) {
			acks = append(acks, i)
			r.acks = r.acks.with(i)
		}
	}
	r.sortByKey(acks)
	r.seen = make([]int32, len(r.nodes))
	r.unseen = slices.Clone(r.set)
	// In rising order each ack is the lowest of what no ack before it had.
	for _, k := range acks {
		past := r.nodes[k].past
		for w := range min(len(past), len(r.unseen)) {
			fresh := past[w] & r.unseen[w]
			for i := range (indexes{fresh}).all() {
				r.seen[w<<6+i] = int32(k)
			}
			r.unseen[w] &^= fresh
		}
		if r.unseen.has(k) {
			r.seen[k] = int32(k)
			r.unseen = r.unseen.without(k)
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
	switch ua, ub := r.unseen.has(a), r.unseen.has(b); {
	case ua && !ub:
		return 1
	case ub && !ua:
		return -1
	case !ua && r.seen[a] != r.seen[b]:
		return r.nodes[r.seen[a]].key.Compare(r.nodes[r.seen[b]].key)
	}
	return r.nodes[a].key.Compare(r.nodes[b].key)
}

// shielded tells whether somebody of rank had seen the admit without v, and
// is not the account whose own act v is (R22).
func (r *resolution) shielded(admit, v int) bool {
	own := r.actsOn(v)
	for k := range r.acks.all() {
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
