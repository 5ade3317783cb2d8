package groups

import (
	"slices"

	"mutuals/identity/wire"
)

// extend is the state after one more operation, which was accepted with all of
// s in its past and nothing else; nil if it has to be resolved anew (R39).
//
// What was written with full knowledge changes nothing of what it has seen: a
// cut, a removal, a leave or a revoke is after it all, and so is a grant; an
// ack shields from nothing, since it has seen everything. Only who hands the
// group over makes others' operations acks that were none, and only what
// revives some void way in changes what stands on it. All else is the last
// step of each stage.
func (s *State) extend(nodes []*node, at int, kem map[wire.OpID]kemKey) *State {
	if nodes[at].isHandover() || s.r.revives(nodes[at]) {
		return nil
	}
	r := s.r.copy(nodes[: at+1 : at+1])
	r.set = r.set.with(at)
	r.enter(at)
	if nodes[at].op.Kind == KindDevRevoke {
		r.revoke(at)
	}
	r.promote(at)
	r.unseen = r.unseen.with(at)
	if r.isAck(at) {
		r.see(at)
	}
	r.putOut(at)
	r.validate(at)
	r.list(at)
	if nodes[at].op.Kind == KindPolicy && r.valid.has(at) {
		r.stagePolicy([]int{at})
	}
	if a := nodes[at].concerns(); a != (wire.AccountID{}) {
		r.reseat(a)
	}
	return &State{g: s.g, r: r, kem: kem, settled: &settled{}}
}

// copy is a resolution to go on from.
func (r *resolution) copy(nodes []*node) *resolution {
	own := *r
	own.nodes, own.grown = nodes, true
	for _, set := range []*indexes{&own.set, &own.exits, &own.acks, &own.unseen, &own.valid, &own.incValid, &own.live} {
		*set = slices.Clone(*set)
	}
	own.quiets, own.sleepProof, own.rekeys = slices.Clip(own.quiets), slices.Clip(own.sleepProof), slices.Clip(own.rekeys)
	return &own
}

// revives tells whether a grant makes an inc valid that was not (R26).
func (r *resolution) revives(n *node) bool {
	b, ok := n.op.Body.(*RoleBody)
	return ok && b.Role == uint64(RoleAdmin) && !r.all(r.of(b.Account).incs, r.incValid.has)
}

// see makes an operation that has everything in its past the ack of what none
// had. Its order key is above all of that, so what nobody of rank had seen
// keeps its order.
func (r *resolution) see(ack int) {
	r.acks = r.acks.with(ack)
	seen := make([]int32, ack+1)
	copy(seen, r.seen)
	for i := range r.unseen.all() {
		seen[i] = int32(ack)
	}
	r.seen, r.unseen = seen, nil
}

// concerns is the account whose standing an operation may change.
func (n *node) concerns() wire.AccountID {
	switch b := n.op.Body.(type) {
	case *RemoveBody:
		return b.Account
	case *RoleBody:
		return b.Account
	case *LeaveBody:
		return n.author
	}
	return n.account
}

// reseat finds the place of one account anew.
func (r *resolution) reseat(a wire.AccountID) {
	was, at := r.of(a), 0
	if was.here {
		at = r.seat(&was)
	}
	p := r.change(a)
	r.enliven(p)
	if r.present(a, p); p.here == was.here && p.rank == was.rank && p.first == was.first {
		return
	}
	r.seats = slices.Clone(r.seats)
	if was.here {
		r.seats = slices.Delete(r.seats, at, at+1)
	}
	if p.here {
		r.seats = slices.Insert(r.seats, r.seat(p), a)
	}
}
