package groups

import (
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
	incs        map[wire.AccountID][]int // every device of an account, ascending
	revocations map[wire.AccountID][]int // dev-revokes by its devices
	cuts        map[int][]int            // by inc: operations that cut it

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
	live     map[wire.AccountID][]int // live devices
	seats    []wire.AccountID         // candidates in order: the first cap are seated
	seat     map[wire.AccountID]int
	cap      int
	policy   Policy
	quiets   []int // valid roles and policies that may take the right to post
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

// Stage A: bases and cuts (R20).

func (r *resolution) stageCuts() {
	r.incs = map[wire.AccountID][]int{}
	r.revocations = map[wire.AccountID][]int{}
	r.cuts = map[int][]int{}
	for _, i := range r.in {
		n := r.nodes[i]
		if n.isDevice() {
			r.incs[n.account] = append(r.incs[n.account], i)
		}
		switch n.op.Kind {
		case KindDevRevoke:
			r.revocations[n.author] = append(r.revocations[n.author], i)
		case KindFault:
			r.cuts[n.target] = append(r.cuts[n.target], i)
		}
	}
	for a, list := range r.revocations {
		for _, v := range list {
			revocation := r.nodes[v].op.Body.(*DevRevokeBody).Revocation
			for _, i := range r.incs[a] {
				if revocation.Reaches(r.nodes[i].chain) {
					r.cuts[i] = append(r.cuts[i], v)
				}
			}
		}
	}
}

// base is the admission an inc rests on: for a device that was added the one
// of its account, for any other itself.
func (r *resolution) base(inc int) int {
	if b := r.nodes[inc].base; b >= 0 {
		return b
	}
	return inc
}

// cutBy lists the cuts of o: those of its inc that had not seen it.
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
