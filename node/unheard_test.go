package node

import (
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// sweeps has a node look at once for what is to be erased.
func sweeps(t *testing.T, n *Node, g wire.GroupID) {
	t.Helper()
	ok(t, n.room(g).step(t.Context(), n.room(g).sweep))
}

// leaves has a node make the next epoch and names the one it left.
func leaves(t *testing.T, n *Node, g wire.GroupID) (left groups.Epoch) {
	t.Helper()
	ok(t, n.room(g).step(t.Context(), func(c *commit) error {
		left = epochNow(n.room(g))
		return n.room(g).rekey(c)
	}))
	return left
}

// What was said while others were away waits for them with its secret, past
// the days of the history policy and past those of the wraps: for half a year
// if somebody has it already, and for ever if its author is the only one. A day
// after all have it the secret goes.
func TestUnheardWordsKeepTheirSecret(t *testing.T) {
	t.Parallel()
	c, annHome, boHome, cyHome := newStopped(), t.TempDir(), t.TempDir(), t.TempDir()
	ann, bo, cy := startNode(t, annHome, "Ann", c.config), startNode(t, boHome, "Bo", c.config), startNode(t, cyHome, "Cy", c.config)
	g := newGroup(t, ann, api.GroupCreate{})
	code := invite(t, ann, g, 5, "")
	for _, n := range []*Node{bo, cy} {
		join(t, n, code)
		say(t, n, g, "here is "+n.ownName())
		hears(t, ann, g, "here is "+n.ownName())
	}
	same(t, g, ann, bo, cy)

	ok(t, cy.Close())
	leaves(t, ann, g)
	say(t, ann, g, "to Bo")
	hears(t, bo, g, "to Bo")
	toBo := leaves(t, ann, g)
	within(t, ann, patience, "Bo to be seen to hold it", func() bool { return heldBy(t, ann, g, "to Bo") == 1 })
	ok(t, bo.Close())
	say(t, ann, g, "to nobody")
	toNobody := leaves(t, ann, g)
	keeps := func(n *Node, when string, e groups.Epoch, want bool) {
		t.Helper()
		sweeps(t, n, g)
		if holdsSecret(t, n, g, e.EID) != want {
			t.Errorf("%s: %s has the secret: %v, want %v", when, n.ownName(), !want, want)
		}
	}

	c.move(40 * aDay)
	keeps(ann, "after 40 days", toBo, true)
	keeps(ann, "after 40 days", toNobody, true)
	for _, e := range []groups.Epoch{toBo, toNobody} {
		if n := len(wrapsOf(t, ann, g, e.Rekey)); n != 0 {
			t.Errorf("after 40 days there are %d wraps", n)
		}
	}
	within(t, ann, patience, "who holds what to be on disk", func() bool { return !ann.room(g).heldDue() })
	ok(t, ann.Close())
	ann = startNode(t, annHome, "Ann", c.config)
	keeps(ann, "after a restart", toBo, true)
	keeps(ann, "after a restart", toNobody, true)

	c.move(150 * aDay)
	sweeps(t, ann, g) // it is a day from when nothing was found to wait
	c.move(25 * time.Hour)
	keeps(ann, "after 190 days", toBo, false)
	keeps(ann, "after 190 days", toNobody, true)

	bo = startNode(t, boHome, "Bo", c.config)
	hears(t, bo, g, "to nobody")
	cy = startNode(t, cyHome, "Cy", c.config)
	hears(t, cy, g, "to nobody")
	within(t, ann, patience, "all to be seen to hold it", func() bool { return heldBy(t, ann, g, "to nobody") == 2 })
	keeps(ann, "as soon as all have it", toNobody, true)
	c.move(25 * time.Hour)
	keeps(ann, "a day later", toNobody, false)
}

// heldBy counts the members a message's author was told have it.
func heldBy(t *testing.T, n *Node, g wire.GroupID, text string) int {
	t.Helper()
	for _, m := range must[api.MessagePage](t)(n.Messages(t.Context(), g, api.Page{Limit: api.MaxPage})).Items {
		if m.Text == text {
			return m.HeldBy
		}
	}
	return -1
}

// A look for the unheard ends, however much nobody reports, and erases nothing
// for not having come to it.
func TestUnheardLooksEnd(t *testing.T) {
	t.Parallel()
	c := &clock{}
	ann := startNode(t, t.TempDir(), "Ann", func(cfg *Config) { cfg.Now = c.now })
	g := newGroup(t, ann, api.GroupCreate{})
	people := crowdOf(t, ann, g, 2)
	fill(t, ann, g, people, unheardLooks+1000, func() {})
	inRoom(t, ann, g, func(r *room) {
		of := [32]byte{1} // nothing was said under it: a look would read everything
		epochs := []agedEpoch{{Epoch: groups.Epoch{EID: of}}}
		found, err := r.findUnheard(r.view.Load(), epochs)
		if err != nil {
			t.Fatal(err)
		}
		if found[of] == nil {
			t.Error("an epoch that was not come to is said to be heard by all")
		}
	})
}
