package groups

import "testing"

func TestTopicNamesDiffer(t *testing.T) {
	a, b := TopicName([32]byte{1}), TopicName([32]byte{2})
	if a == b || len(a) != 43 {
		t.Errorf("%q and %q", a, b)
	}
}

func TestDays(t *testing.T) {
	for ms, want := range map[uint64][3]uint32{
		0:             {0, 0, 1},
		dayMs - 1:     {0, 0, 1},
		dayMs:         {1, 0, 2},
		20000 * dayMs: {20000, 19999, 20001},
	} {
		if got := Days(ms); got != want {
			t.Errorf("days of %d: %v, want %v", ms, got, want)
		}
	}
}
