package node

import (
	"slices"
	"testing"

	"mutuals/groups"
	"mutuals/identity/wire"
)

// What gossip brings is passed on once; also if a member told it straight, and it
// was stored, before: who is linked to that member may be linked to nobody else.
func TestSeen(t *testing.T) {
	op := func(seq uint64) *groups.Op {
		return &groups.Op{ID: wire.OpID{byte(seq), byte(seq >> 8)}, Chain: groups.Content, Seq: seq}
	}
	var s seen
	s.loaded(nil, map[chainOf]groups.VectorEntry{})
	fresh := func(what string, want int, ops ...*groups.Op) {
		t.Helper()
		if n := s.fresh(ops); n != want {
			t.Errorf("%s: %d operations to pass on, want %d", what, n, want)
		}
	}
	one, two, three := op(1), op(2), op(3)
	fresh("by gossip", 1, one)
	fresh("by gossip again", 0, one)
	s.stored([]*groups.Op{one})
	fresh("stored", 0, one)
	s.came([]*groups.Op{one, two})
	fresh("straight after gossip", 0, one)
	s.stored([]*groups.Op{two})
	fresh("straight, stored, then by gossip", 1, two)
	fresh("that again", 0, two)
	fresh("stored by sync only", 1, three)
	s.stored([]*groups.Op{op(4)})
	fresh("below what is stored", 0, op(4))
	for seq := range uint64(2*maxStraight + 2) {
		s.came([]*groups.Op{op(10 + seq)})
	}
	if n := len(s.straight) + len(s.straightOld); n > 2*maxStraight {
		t.Errorf("%d operations are remembered that came straight", n)
	}
}

// What a member tells straight is remembered for gossip if its signature holds, and
// not before that is known.
func TestSeenStraight(t *testing.T) {
	bo, _, g, people, chains := apart(t, 1, 8)
	r, chain := bo.room(g), chains[people[0].Inc]
	told := func(ops ...*groups.Op) error {
		seg := &groups.Segment{Inc: people[0].Inc, Chain: uint64(groups.Content)}
		for _, op := range ops {
			seg.Frames = append(seg.Frames, op.Frame())
		}
		_, err := r.takeSegment(t.Context(), wire.PeerKey{}, seg)
		return err
	}
	owed := func(ops ...*groups.Op) (n int) {
		r.seen.mu.Lock()
		defer r.seen.mu.Unlock()
		for _, op := range ops {
			if r.seen.owes(op.ID) {
				n++
			}
		}
		return n
	}
	if err := told(chain[0]); err != nil || owed(chain[0]) != 0 {
		t.Errorf("what is here already is owed: %v", err)
	}
	forged := *chain[len(chain)-1]
	forged.Sig[0] ^= 1
	if err := told(append(slices.Clone(chain[1:len(chain)-1]), &forged)...); err == nil || owed(chain...) != 0 {
		t.Errorf("of what is forged %d are owed, and it was refused with %v", owed(chain...), err)
	}
	if err := told(chain[1:]...); err != nil || owed(chain[1:]...) != len(chain)-1 {
		t.Errorf("%d of %d are owed: %v", owed(chain[1:]...), len(chain)-1, err)
	}
}
