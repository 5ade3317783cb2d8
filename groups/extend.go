package groups

import (
	"slices"

	"mutuals/identity/wire"
)

// extend is the state after an operation that was judged and accepted with
// all of s in its past, and that is no membership act: it can be voided by
// nothing and voids nothing, and changes at most who has seen what. ok is
// false for any other kind, which is resolved anew. That both give the same a
// property test holds (R39).
func (s *State) extend(n *node, kem map[wire.OpID]kemKey) (_ *State, ok bool) {
	switch n.op.Kind {
	case KindAck, KindRekey, KindInvite:
	default:
		return nil, false
	}
	r := *s.r
	at := len(r.nodes)
	r.nodes = append(r.nodes[:at:at], n)
	r.set = slices.Clone(r.set).with(at)
	r.in = append(slices.Clip(r.in), at)
	r.valid = append(slices.Clip(r.valid), true)
	r.incValid = append(slices.Clip(r.incValid), false)
	r.seen = append(slices.Clone(r.seen), -1)
	if r.isAck(at) {
		// Its order key is above all it builds on, so it comes last, and what
		// nobody of rank had seen keeps its order among itself.
		r.acks = append(slices.Clip(r.acks), at)
		for _, i := range r.in {
			if r.seen[i] < 0 {
				r.seen[i] = at
			}
		}
	}
	return &State{g: s.g, r: &r, kem: kem}, true
}
