package node

import (
	"fmt"
	"testing"

	"mutuals/node/api"
)

// How much was said under the newest epoch outlives a restart: else a node that
// is started every day would write under one epoch for ever more messages.
func TestEpochIsWornOverARestart(t *testing.T) {
	home := t.TempDir()
	ann, bo := startNode(t, home, "Ann", nil), testNode(t, "Bo")
	g := newGroup(t, ann, api.GroupCreate{})
	join(t, bo, invite(t, ann, g, 1, ""))
	talk(t, g, ann, bo, "before ")
	leaves(t, ann, g)
	within(t, bo, patience, "the next epoch", func() bool { return bo.room(g).view.Load().epoch == ann.room(g).view.Load().epoch })
	for i := range 7 {
		say(t, ann, g, fmt.Sprint("ann ", i))
	}
	for i := range 3 {
		say(t, bo, g, fmt.Sprint("bo ", i))
	}
	hears(t, ann, g, "bo 2")
	hears(t, bo, g, "ann 6")
	same(t, g, ann, bo)
	count := func() (n int) {
		inRoom(t, ann, g, func(r *room) { n = r.sinceRekey })
		return n
	}
	was := count()
	ok(t, bo.Close())
	ok(t, ann.Close())
	ann = startNode(t, home, "Ann", nil)
	// Of quick talk the clocks run ahead by a millisecond a word, so that words
	// of just before the epoch may be counted with it.
	if now := count(); was != 10 || now < was {
		t.Errorf("%d messages before the restart, %d after, want 10 at least", was, now)
	}
	inRoom(t, ann, g, func(r *room) {
		e := epochNow(r)
		if r.worn(e) {
			t.Error("the epoch is worn")
		}
		if r.sinceRekey = epochOps + 1; !r.worn(e) {
			t.Error("the epoch is not worn by 5 001 messages")
		}
	})
}
