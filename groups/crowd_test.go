package groups_test

import (
	"testing"

	"mutuals/groups/groupstest"
)

// TestCrowdIsHonest: what the benchmarks measure is a group, not a quarrel.
func TestCrowdIsHonest(t *testing.T) {
	founder, ops := groupstest.Crowd{Members: 40, Ops: 600, Branches: 4, Apart: 10, Tail: 50}.Play(1)
	s := founder.Log.State()
	all, inForce := groupstest.Kinds(s, ops)
	t.Log(all, inForce, s.SeatCount())
	if len(s.Forks()) > 0 {
		t.Errorf("%d chains are forked", len(s.Forks()))
	}
	for kind, n := range all {
		if inForce[kind]*10 < n*8 {
			t.Errorf("%d of %d %v are in force", inForce[kind], n, kind)
		}
	}
	if len(all) < 11 || s.SeatCount() < 40 {
		t.Errorf("%d kinds, %d seats", len(all), s.SeatCount())
	}
}
