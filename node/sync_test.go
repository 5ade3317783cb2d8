package node

import (
	"strings"
	"testing"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// TestControlFirst: content of all chains is asked for together, but only once
// no control operation is missing.
func TestControlFirst(t *testing.T) {
	entry := func(inc byte, chain groups.ChainKind, seq uint64) groups.VectorEntry {
		return groups.VectorEntry{Inc: wire.OpID{inc}, Chain: uint64(chain), Seq: seq, Head: [16]byte{inc, byte(chain), byte(seq)}, Floor: 1}
	}
	var r *room
	theirs := groups.Vector{
		entry(1, groups.Control, 2), entry(1, groups.Content, 9),
		entry(2, groups.Control, 1), entry(2, groups.Content, 4), entry(3, groups.Content, 7),
	}
	control := groups.Vector{theirs[0], theirs[2]}
	for _, c := range []struct {
		name  string
		mine  groups.Vector
		chain groups.ChainKind
		want  int
	}{
		{"nothing here", nil, groups.Control, 2},
		{"control here", control, groups.Content, 3},
		{"all here", theirs, groups.Content, 0},
	} {
		got := r.wants(c.mine, theirs)
		if len(got) != c.want {
			t.Errorf("%s: %d chains asked for, want %d", c.name, len(got), c.want)
		}
		for _, w := range got {
			if groups.ChainKind(w.Chain) != c.chain {
				t.Errorf("%s: asks for chain %d", c.name, w.Chain)
			}
		}
	}
}

// A row on disk may be several times the message it is of: what fills a
// segment with such messages is taken in all the same, in smaller steps.
func TestHeavySegment(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	ann, bo := testNode(t, "Ann"), startNode(t, home, "Bo", nil)
	g := newGroup(t, ann, api.GroupCreate{})
	join(t, bo, invite(t, ann, g, 1, ""))
	same(t, g, ann, bo)
	if err := bo.Close(); err != nil {
		t.Fatal(err)
	}
	heavy := strings.Repeat("<", groups.MaxText) // six times as long in JSON
	const count = 64
	for range count {
		say(t, ann, g, heavy)
	}
	bo = startNode(t, home, "Bo", nil)
	same(t, g, ann, bo)
	page := must[api.MessagePage](t)(bo.Messages(t.Context(), g, api.Page{Limit: count}))
	if n := len(page.Items); n != count || page.Items[0].Text != heavy {
		t.Errorf("%d messages, want %d", n, count)
	}
}
