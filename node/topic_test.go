package node

import (
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/node/api"
)

// A room listens on the topics that were left within a week, and on no more
// than eight: an hour later on one less, though nothing happens.
func TestTopicsByAge(t *testing.T) {
	t.Parallel()
	c := newStopped()
	ann := startNode(t, t.TempDir(), "Ann", c.config)
	g := newGroup(t, ann, api.GroupCreate{})
	r := ann.room(g)
	rekey := func() (e groups.Epoch) {
		t.Helper()
		ok(t, r.step(t.Context(), r.rekey))
		inRoom(t, ann, g, func(r *room) { e = epochNow(r) })
		return e
	}
	listens := func(what string, want ...groups.Epoch) {
		t.Helper()
		inRoom(t, ann, g, func(r *room) {
			for _, e := range want {
				if r.topics[e.EID] == nil {
					t.Errorf("%s: not on the topic of generation %d", what, e.Gen)
				}
			}
			if len(r.topics) != len(want) {
				t.Errorf("%s: on %d topics, want %d", what, len(r.topics), len(want))
			}
		})
	}
	first := epochsOf(t, ann, g)[0]
	c.move(3 * aDay)
	second := rekey()
	c.move(3 * aDay)
	third := rekey()
	listens("on the sixth day", first, second, third)
	c.move(4 * aDay)
	ok(t, r.step(t.Context(), r.sweep))
	listens("a week after the first was left", first, second, third)
	c.move(time.Hour)
	within(t, ann, patience, "the topic to be left", func() (left bool) {
		inRoom(t, ann, g, func(r *room) { left = r.topics[first.EID] == nil })
		return left
	})
	listens("an hour later", second, third)
	many := []groups.Epoch{third}
	for range maxTopics {
		many = append(many, rekey())
	}
	listens("after many", many[1:]...)
	c.move(30 * aDay)
	ok(t, r.step(t.Context(), r.sweep))
	inRoom(t, ann, g, func(r *room) {
		if r.topics[epochNow(r).EID] == nil {
			t.Error("not on the topic of the epoch in use, a month old as it is")
		}
	})
}
