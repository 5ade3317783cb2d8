package node

import (
	"testing"

	"mutuals/groups/timeline"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// What was written just now is given once, as it was written last; what was taken
// away, or asked for by nobody, is not.
func TestRecent(t *testing.T) {
	t.Parallel()
	var n recent
	put := func(id byte, text string) entered {
		return entered{wire.OpID{id}, &timeline.Entry{ID: wire.OpID{id}, Text: text}}
	}
	is := func(id byte, want string) {
		t.Helper()
		e, ok := n.take(wire.OpID{id})
		if e.Text != want || ok != (want != "") {
			t.Errorf("entry %d is %q, want %q", id, e.Text, want)
		}
	}
	n.wrote([]entered{put(1, "one"), put(2, "two"), put(2, "two, moved"), put(3, "three"), {id: wire.OpID{3}}, put(4, "four"), put(5, "five"), put(6, "six")})
	is(1, "one")
	is(1, "")
	is(2, "two, moved")
	is(3, "")
	n.age()
	n.wrote([]entered{{id: wire.OpID{4}}, put(5, "five, folded")})
	is(4, "")
	is(5, "five, folded")
	is(6, "six")
	n.wrote([]entered{put(7, "seven")})
	n.age()
	n.age()
	is(7, "")
	for i := range 2 * maxRecent {
		n.wrote([]entered{{wire.OpID{1, byte(i), byte(i >> 8)}, &timeline.Entry{}}})
	}
	if len(n.now) != maxRecent {
		t.Errorf("%d entries are kept, want %d", len(n.now), maxRecent)
	}

	// The events of a group come from there, and are what the disk holds.
	ann := testNode(t, "Ann")
	g := newGroup(t, ann, api.GroupCreate{})
	from := ann.LastEventID(t.Context())
	say(t, ann, g, "so that there is an epoch")
	inRoom(t, ann, g, func(r *room) {
		c := &commit{}
		r.putEntry(c, *r.latest)
		r.recent.wrote(c.entered)
		if len(r.recent.now) == 0 {
			t.Error("nothing is kept for who follows")
		}
	})
	var shown [2]string
	for i := range shown { // the second reads the disk
		events, err := ann.NextEvents(t.Context(), from, 100)
		ok(t, err)
		for _, e := range events {
			if e.Type == api.EventMessageCreated {
				shown[i] = string(e.Object)
			}
		}
	}
	if shown[0] == "" || shown[0] != shown[1] {
		t.Errorf("shown first: %s\nand then: %s", shown[0], shown[1])
	}
}
