package groups

import (
	"slices"

	"mutuals/identity/wire"
)

// resolution is Resolve(S) at work: stages A to D of protocol section 4, each
// reading only earlier ones. Slices that are indexed by operation hold
// something for members of S only. Nothing is written after resolve returns,
// so a State built on it is immutable.
type resolution struct {
	nodes []*node
	set   indexes
	in    []int // members of S, ascending: each after its past

	// A (R20)
	cuts map[int][]int // by inc: operations that cut it

	// B (R21, R22)
	owners  []ownership // from genesis to now
	grants  map[wire.AccountID][]int
	revokes map[wire.AccountID][]int
	acks    []int // by order key
	seen    []int // per operation: the lowest ack that has it, or -1

	// C (R23)
	removes map[wire.AccountID][]int // valid ones, by target
	leaves  map[wire.AccountID][]int // uncut ones, by author
	ends    map[int][]int            // by invite: valid revokes of a higher rank
	recalls map[int][]int            // by invite: uncut revokes by the inviter

	// D (R24–R28)
	uses     map[int][]int // by invite: admits that cite it, by (seen, order key)
	valid    []bool
	incValid []bool
	incs     map[wire.AccountID][]int // every inc of an account, ascending
	live     map[wire.AccountID][]int // live ones
	seats    []wire.AccountID         // candidates in order: the first cap are seated
	seat     map[wire.AccountID]int
	cap      int
	policy   Policy
	quiets   []int // valid roles and policies that may take the right to post
}

// ownership is who the owner is from an operation on.
type ownership struct {
	op    int
	owner wire.AccountID
}

func resolve(nodes []*node, set indexes) *resolution {
	r := &resolution{nodes: nodes, set: set}
	set.each(func(i int) { r.in = append(r.in, i) })
	r.stageCuts()
	r.stageOwner()
	r.stageRemovals()
	r.stageValidity()
	r.stageSeats()
	return r
}

// before tells whether a is in the past of b.
func (r *resolution) before(a, b int) bool { return r.nodes[b].past.has(a) }

func (r *resolution) concurrent(a, b int) bool { return a != b && !r.before(a, b) && !r.before(b, a) }

// Stage A: base and cuts. Devices added later share their base's fate, and
// dev-revoke and fault cut; both come with their kinds.

func (r *resolution) stageCuts() { r.cuts = map[int][]int{} }

// base is the admission an inc rests on.
func (r *resolution) base(inc int) int { return inc }

// cutBy calls f with every cut of o.
func (r *resolution) cutBy(o int) []int {
	var out []int
	for _, c := range r.cuts[r.nodes[o].inc] {
		if !r.before(o, c) {
			out = append(out, c)
		}
	}
	return out
}

func (r *resolution) cut(o int) bool {
	return len(r.cuts) > 0 && len(r.cutBy(o)) > 0
}

// Stage B: owner, grants, revokes, acks.

func (r *resolution) stageOwner() {
	r.owners = []ownership{{op: r.in[0], owner: r.nodes[r.in[0]].account}}
	r.grants = map[wire.AccountID][]int{r.owners[0].owner: {r.in[0]}}
	r.revokes = map[wire.AccountID][]int{}
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
	case KindLeave, KindInviteRevoke:
		return r.nodes[v].author
	}
	return wire.AccountID{}
}

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
			if !r.cut(i) {
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

// outranks tells whether o is an act of a strictly higher rank on x (R23):
// the owner's on anybody else, or an admin's on who is none and was not being
// made one.
func (r *resolution) outranks(o int, x wire.AccountID) bool {
	author := r.nodes[o].author
	if author == x || x == r.owner() {
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
	r.incs = map[wire.AccountID][]int{}
	for _, i := range r.in {
		n := r.nodes[i]
		if n.isInc() {
			r.incs[n.account] = append(r.incs[n.account], i)
		}
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
			r.incValid[i] = r.valid[i] || r.granted(i)
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

// granted tells whether an inc was let in before its account was made admin
// by a valid grant, which then stands for it (R26).
func (r *resolution) granted(inc int) bool {
	return slices.ContainsFunc(r.grants[r.nodes[inc].account], func(g int) bool { return r.before(inc, g) })
}

// isLive: valid, and past every valid removal and leave of its account (R27).
func (r *resolution) isLive(inc int) bool {
	a := r.nodes[inc].account
	return r.valid[inc] && r.all(r.removes[a], func(v int) bool { return r.before(v, inc) }) &&
		r.all(r.leaves[a], func(v int) bool { return r.before(v, inc) })
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
		return !r.cut(o)
	case *RemoveBody:
		return slices.Contains(r.removes[b.Account], o)
	case *InviteRevokeBody:
		if r.nodes[n.cites].author != n.author {
			return slices.Contains(r.ends[n.cites], o)
		}
	case *RoleBody, *PolicyBody:
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
	if !r.incValid[n.inc] || !r.outlives(o, n.author, n.inc, spares) {
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

// Seats (R27, R28).

func (r *resolution) stageSeats() {
	r.stagePolicy()
	first := map[wire.AccountID]int{}
	for a, incs := range r.live {
		first[a] = slices.MinFunc(incs, r.compareSeen)
		r.seats = append(r.seats, a)
	}
	rank := func(a wire.AccountID) Role { return r.role(a) }
	ranks := make(map[wire.AccountID]Role, len(r.seats))
	for _, a := range r.seats {
		ranks[a] = rank(a)
	}
	slices.SortFunc(r.seats, func(a, b wire.AccountID) int {
		if d := int(ranks[a]) - int(ranks[b]); d != 0 {
			return d
		}
		return r.compareSeen(first[a], first[b])
	})
	r.seat = make(map[wire.AccountID]int, len(r.seats))
	for at, a := range r.seats {
		r.seat[a] = at
	}
}

func (r *resolution) role(a wire.AccountID) Role {
	switch {
	case a == r.owner():
		return RoleOwner
	case len(r.grants[a]) > 0 && r.adminNow(a):
		return RoleAdmin
	}
	return RoleMember
}

// stagePolicy takes the causally latest valid policy; of concurrent ones
// what is narrower (R28).
func (r *resolution) stagePolicy() {
	g := r.nodes[r.in[0]].op.Body.(*GenesisBody)
	r.cap, r.policy = int(g.Cap), g.Policy
	var set []int
	for _, i := range r.in {
		if r.nodes[i].op.Kind == KindPolicy && r.ownerValid(i) {
			set = append(set, i)
		}
	}
	first := true
	for _, i := range set {
		if slices.ContainsFunc(set, func(j int) bool { return r.before(i, j) }) {
			continue
		}
		b := r.nodes[i].op.Body.(*PolicyBody)
		if first {
			r.cap, r.policy, first = int(b.Cap), b.Policy, false
			continue
		}
		r.cap, r.policy = min(r.cap, int(b.Cap)), r.policy.narrower(b.Policy)
	}
	r.policy.Direct = g.Policy.Direct
	for _, i := range r.in {
		switch b := r.nodes[i].op.Body.(type) {
		case *PolicyBody:
			if r.valid[i] && b.Policy.Posting == PostAdmins {
				r.quiets = append(r.quiets, i)
			}
		case *RoleBody:
			if r.valid[i] && b.Role == uint64(RoleMember) {
				r.quiets = append(r.quiets, i)
			}
		}
	}
}

func (r *resolution) seated(a wire.AccountID) bool {
	at, ok := r.seat[a]
	return ok && at < r.cap
}
