package node

import (
	"sync"

	"mutuals/groups"
	"mutuals/identity/wire"
)

const (
	// maxSeen is how many cores that came by gossip are remembered twice over,
	// beyond those that are stored: more than one author may send in a burst.
	maxSeen = 1 << 14
	// maxStraight bounds those that came straight, as words do from who is not on the
	// topic here yet, and what decides for some seconds after it was joined.
	maxStraight = 1 << 10
)

// seen tells gossip which operations a room has had: those on its disk and the
// newest that are on their way there. It is asked from other goroutines than
// the room's.
type seen struct {
	mu       sync.Mutex
	control  map[wire.OpID]struct{}
	content  map[chainOf]uint64 // the highest seq stored
	now, old map[wire.OpID]struct{}
	// straight came from a member and not by gossip yet: on disk or not, gossip
	// has to pass them on, for the member may be linked to nobody else.
	straight, straightOld map[wire.OpID]struct{}
}

// fresh counts the operations of one message, whose signatures were verified,
// that come for the first time: none, if its last does not.
func (s *seen) fresh(ops []*groups.Op) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.had(ops[len(ops)-1]) {
		return 0
	}
	for _, op := range ops {
		if s.had(op) {
			continue
		}
		n++
		delete(s.straight, op.ID)
		delete(s.straightOld, op.ID)
		remember(&s.now, &s.old, op.ID, maxSeen)
	}
	return n
}

// came notes operations that a member tells straight.
func (s *seen) came(ops []*groups.Op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, op := range ops {
		if !s.had(op) {
			remember(&s.straight, &s.straightOld, op.ID, maxStraight)
		}
	}
}

// remember keeps an id in the newer of two generations, of which the older goes
// when the newer is full.
func remember[K comparable](now, old *map[K]struct{}, id K, most int) {
	if *now == nil || len(*now) >= most {
		*now, *old = map[K]struct{}{}, *now
	}
	(*now)[id] = struct{}{}
}

// had tells whether gossip has nothing to pass on of an operation. The lock is
// held.
func (s *seen) had(op *groups.Op) bool {
	if s.owes(op.ID) {
		return false
	}
	_, had := s.control[op.ID]
	if op.Chain != groups.Control {
		had = op.Seq <= s.content[chainOf{op.IncID(), op.Chain}]
	}
	_, now := s.now[op.ID]
	_, old := s.old[op.ID]
	return had || now || old
}

// owes tells whether an operation came straight only. The lock is held.
func (s *seen) owes(id wire.OpID) bool {
	_, owes := s.straight[id]
	if !owes {
		_, owes = s.straightOld[id]
	}
	return owes
}

// stored notes operations that are on disk.
func (s *seen) stored(ops []*groups.Op) {
	if len(ops) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.control == nil {
		s.control, s.content = map[wire.OpID]struct{}{}, map[chainOf]uint64{}
	}
	for _, op := range ops {
		if op.Chain == groups.Control {
			s.control[op.ID] = struct{}{}
			continue
		}
		at := chainOf{op.IncID(), op.Chain}
		s.content[at] = max(s.content[at], op.Seq)
	}
}

// loaded notes what a room that was read from disk holds.
func (s *seen) loaded(control []*groups.Op, heads map[chainOf]groups.VectorEntry) {
	s.stored(control)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.content == nil {
		s.control, s.content = map[wire.OpID]struct{}{}, map[chainOf]uint64{}
	}
	for at, e := range heads {
		if at.chain != groups.Control {
			s.content[at] = max(s.content[at], e.Seq)
		}
	}
}
