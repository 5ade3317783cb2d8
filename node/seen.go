package node

import (
	"sync"

	"mutuals/groups"
	"mutuals/identity/wire"
)

// maxSeen is how many cores that came by gossip are remembered twice over,
// beyond those that are stored: more than one author may send in a burst.
const maxSeen = 1 << 14

// seen tells gossip which operations a room has had: those on its disk and the
// newest that are on their way there. It is asked from other goroutines than
// the room's.
type seen struct {
	mu       sync.Mutex
	control  map[wire.OpID]struct{}
	content  map[chainOf]uint64 // the highest seq stored
	now, old map[wire.OpID]struct{}
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
		if s.now == nil || len(s.now) >= maxSeen {
			s.now, s.old = map[wire.OpID]struct{}{}, s.now
		}
		s.now[op.ID] = struct{}{}
	}
	return n
}

// had tells whether an operation came before. The lock is held.
func (s *seen) had(op *groups.Op) bool {
	_, had := s.control[op.ID]
	if op.Chain != groups.Control {
		had = op.Seq <= s.content[chainOf{op.IncID(), op.Chain}]
	}
	_, now := s.now[op.ID]
	_, old := s.old[op.ID]
	return had || now || old
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
