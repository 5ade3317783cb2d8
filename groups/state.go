package groups

import (
	"math"
	"slices"

	"mutuals/identity/wire"
)

// State is what a set of accepted control operations resolves to. It is
// immutable and may be read by many at once.
type State struct {
	g       *graph
	r       *resolution
	kem     map[wire.OpID]kemKey
	settled *settled
}

func newState(g *graph, nodes []*node, set indexes, kem map[wire.OpID]kemKey) *State {
	// The nodes are capped and the set is copied: both grow on in the Log.
	own := make(indexes, len(set))
	copy(own, set)
	return &State{g: g, r: resolve(nodes[:len(nodes):len(nodes)], own), kem: kem, settled: &settled{}}
}

// Same tells whether two states of one log are of the same operations: they may
// differ in KEM keys.
func (s *State) Same(o *State) bool { return o != nil && s.r == o.r }

// find gives the place of an operation that is in the set.
func (s *State) find(id wire.OpID) (int, bool) {
	i, ok := s.g.find(id)
	return i, ok && s.r.set.has(i)
}

// Group is the group's id.
func (s *State) Group() wire.GroupID { return wire.GroupID(s.r.nodes[genesisAt].op.ID) }

// Owner is the account that owns the group.
func (s *State) Owner() wire.AccountID { return s.r.owner() }

// OwnOp is the operation that made the owner one: what role and policy
// operations name.
func (s *State) OwnOp() wire.OpID { return s.r.nodes[s.r.ownOp()].op.ID }

// Cap is the number of seats.
func (s *State) Cap() int { return s.r.cap }

// Policy is the policy in force.
func (s *State) Policy() Policy { return s.r.policy }

// CreatedMs is the genesis's clock.
func (s *State) CreatedMs() uint64 { return s.r.nodes[genesisAt].op.HLC }

// Heads are the operations of the set nobody in it has built on, ascending.
func (s *State) Heads() []wire.OpID { return headsOf(s.r.nodes, s.r.set) }

// Accepted tells whether an operation is one of the set.
func (s *State) Accepted(id wire.OpID) bool { _, ok := s.find(id); return ok }

// Valid tells whether an operation of the set is in force; false for one that
// is void or not of the set.
func (s *State) Valid(id wire.OpID) bool {
	i, ok := s.find(id)
	return ok && s.r.valid.has(i)
}

// Seated tells whether an account has a seat.
func (s *State) Seated(a wire.AccountID) bool { return s.r.seated(a) }

// SeatCount is the number of seats taken, never above Cap.
func (s *State) SeatCount() int { return min(len(s.r.seats), s.r.cap) }

// WaitCount is how many wait for a seat.
func (s *State) WaitCount() int { return len(s.r.seats) - s.SeatCount() }

// Role is an account's rank; RoleMember for one that is not here.
func (s *State) Role(a wire.AccountID) Role { return s.r.role(a) }

// MayInvite tells whether an account may make invites and pull people in.
func (s *State) MayInvite(a wire.AccountID) bool {
	if !s.Seated(a) || len(s.r.policy.Direct) > 0 {
		return false
	}
	return s.rankInvites(a)
}

// rankInvites tells whether the policy lets an account of that rank invite.
func (s *State) rankInvites(a wire.AccountID) bool {
	return uint64(s.Role(a)) <= s.r.policy.WhoInvites
}

// MayPost tells whether an account may write content.
func (s *State) MayPost(a wire.AccountID) bool {
	return s.Seated(a) && (s.r.policy.Posting == PostAll || s.Role(a) != RoleMember)
}

// Standing is what becomes of a content operation once the control
// operations are resolved.
type Standing uint8

// The standings.
const (
	Counts     Standing = iota // shown
	PastPin                    // written, as far as anybody knows, after its author was out
	IncInvalid                 // its author's way in is void
)

func (st Standing) String() string {
	switch st {
	case PastPin:
		return "past a pin"
	case IncInvalid:
		return "inc invalid"
	}
	return "counts"
}

// ContentStanding tells whether content seq of an inc counts: its inc is
// valid, and seq is within the pin of each valid removal and leave that came
// for the account without having been seen at the inc's admission, and of
// whatever cut the inc (R31). Of content by its frame ask [Log.Standing], which
// minds pins of posting too.
func (s *State) ContentStanding(inc wire.OpID, seq uint64) Standing {
	switch b := s.ContentBounds(inc); {
	case !b.Valid:
		return IncInvalid
	case seq > b.Limit:
		return PastPin
	}
	return Counts
}

// ContentBounds is how much of what an inc said counts (R31).
type ContentBounds struct {
	Valid bool // its inc is
	// Limit is the highest seq within all pins; math.MaxUint64 without one.
	Limit uint64
	// Silent is the highest seq within the pins of what took the right to
	// post: beyond it counts only what had seen that. math.MaxUint64 without.
	Silent uint64
	// Silences is what took it.
	Silences []wire.OpID
}

// ContentBounds tells how much of what an inc said counts; when it stays the
// same so does the standing of every message.
func (s *State) ContentBounds(inc wire.OpID) ContentBounds {
	b := ContentBounds{Limit: math.MaxUint64, Silent: math.MaxUint64}
	i, ok := s.find(inc)
	if !ok || !s.r.nodes[i].isDevice() {
		return b
	}
	b.Valid = s.r.incValid.has(i)
	base, a := s.r.base(i), s.r.nodes[i].account
	p := s.r.of(a)
	for _, list := range [][]int{p.removes, p.leaves} {
		for _, v := range list {
			if !s.r.before(v, base) {
				b.Limit = min(b.Limit, pinOf(pinsIn(s.r.nodes[v].op), inc))
			}
		}
	}
	for _, c := range s.r.cuts[i] {
		b.Limit = min(b.Limit, pinOf(pinsIn(s.r.nodes[c].op), inc))
	}
	for _, v := range s.silences(a) {
		b.Silent = min(b.Silent, pinOf(pinsIn(s.r.nodes[v].op), inc))
		b.Silences = append(b.Silences, s.r.nodes[v].op.ID)
	}
	return b
}

func pinsIn(o *Op) []Pin {
	switch b := o.Body.(type) {
	case *RemoveBody:
		return b.Pins
	case *LeaveBody:
		return b.Pins
	case *RoleBody:
		return b.Pins
	case *PolicyBody:
		return b.Pins
	case *DevRevokeBody:
		return b.Pins
	case *FaultBody:
		return b.Pins
	}
	return nil
}

// Standing is ContentStanding, and besides the pins of valid operations that
// took the right to post, for content that had not seen them (R31).
func (l *Log) Standing(o *Op) Standing {
	s := l.State()
	inc := o.IncID()
	if st := s.ContentStanding(inc, o.Seq); st != Counts {
		return st
	}
	if b, ok := s.NamedBranch(inc); ok && o.Seq == b.Seq && o.ID != b.Head {
		return PastPin
	}
	i, _ := s.find(inc)
	var past indexes
	for _, v := range s.silences(s.r.nodes[i].account) {
		if past == nil {
			past, _ = l.g.pastOf(o.Heads)
		}
		if !past.has(v) && o.Seq > pinOf(pinsIn(s.r.nodes[v].op), inc) {
			return PastPin
		}
	}
	return Counts
}

// silences lists the valid operations that took from an account the right to
// post.
func (s *State) silences(a wire.AccountID) []int {
	var out []int
	for _, i := range s.r.quiets {
		switch b := s.r.nodes[i].op.Body.(type) {
		case *PolicyBody:
			if a != s.r.owner() && !s.r.adminAt(a, i) {
				out = append(out, i)
			}
		case *RoleBody:
			if b.Account == a && s.r.postingBefore(i) == PostAdmins {
				out = append(out, i)
			}
		}
	}
	return out
}

// postingBefore is who might post by the policies before an operation: what a
// later one says does not make a demotion of old a silencing.
func (r *resolution) postingBefore(i int) uint64 {
	var known []int
	for j := range r.set.all() {
		if r.nodes[j].op.Kind == KindPolicy && r.valid.has(j) && r.before(j, i) {
			known = append(known, j)
		}
	}
	if len(known) == 0 {
		return r.genesis().Policy.Posting
	}
	posting := PostAll
	for _, j := range known {
		if !slices.ContainsFunc(known, func(k int) bool { return r.before(j, k) }) {
			posting = max(posting, r.nodes[j].op.Body.(*PolicyBody).Policy.Posting)
		}
	}
	return posting
}
