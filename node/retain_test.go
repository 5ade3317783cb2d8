package node

import (
	"slices"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

const aDay = 24 * time.Hour

// secretsOnDisk lists the epochs whose secret a node has stored.
func secretsOnDisk(t *testing.T, n *Node, g wire.GroupID) (eids [][32]byte) {
	t.Helper()
	ok(t, n.store.View(func(tx *store.Tx) error {
		rows, err := tx.Epochs(g)
		for _, row := range rows {
			eids = append(eids, row.EID)
		}
		return err
	}))
	return eids
}

// holdsSecret tells whether a node has an epoch's secret, in memory or on disk.
func holdsSecret(t *testing.T, n *Node, g wire.GroupID, eid [32]byte) (holds bool) {
	t.Helper()
	inRoom(t, n, g, func(r *room) { holds = r.keys.has(eid) })
	return holds || slices.Contains(secretsOnDisk(t, n, g), eid)
}

// Secrets of epochs that the history policy needs no more are erased, with all
// that opens them again: nobody with the home, every frame, every wrap and the
// passcode reads what was said then. Its owner does, and newcomers are still
// told names.
func TestOldSecretsAreErased(t *testing.T) {
	t.Parallel()
	c, annHome, boHome := newStopped(), t.TempDir(), t.TempDir()
	ann, bo := startNode(t, annHome, "Ann", c.config), startNode(t, boHome, "Bo", c.config)
	g := newGroup(t, ann, api.GroupCreate{})
	code := invite(t, ann, g, 5, "30d")
	join(t, bo, code)
	say(t, ann, g, "long ago")
	hears(t, bo, g, "long ago")
	within(t, ann, patience, "Bo's key and name", func() bool { return kemOf(t, ann, g, bo) == 1 && ann.nameOf(bo.dev.account()) == "Bo" })
	same(t, g, ann, bo)
	var old groups.Epoch
	inRoom(t, ann, g, func(r *room) { old = epochNow(r) })
	// What was on the disks that day, for a thief who comes in two months.
	early := &thief{group: g}
	for _, n := range []*Node{ann, bo} {
		ok(t, n.store.View(early.capture))
	}
	seeds := seedsOnDisk(t, bo, g)

	c.move(8 * aDay)
	say(t, ann, g, "a week later") // under the next epoch
	hears(t, bo, g, "a week later")
	c.move(6 * aDay)
	for _, n := range []*Node{ann, bo} {
		ok(t, n.room(g).step(t.Context(), n.room(g).sweep))
		if !holdsSecret(t, n, g, old.EID) {
			t.Errorf("%s has erased a secret of an epoch left six days ago", n.ownName())
		}
	}
	c.move(2 * aDay)
	for _, n := range []*Node{ann, bo} {
		within(t, n, patience, n.ownName()+" to erase a secret of an epoch left eight days ago", func() bool { return !holdsSecret(t, n, g, old.EID) })
	}

	cy := startNode(t, t.TempDir(), "Cy", c.config)
	join(t, cy, code)
	say(t, ann, g, "to Cy")
	hears(t, cy, g, "to Cy")
	within(t, cy, patience, "the names told in the erased epoch", func() bool {
		return must[api.Group](t)(cy.Group(t.Context(), g)).Name == "Hiking" && cy.nameOf(bo.dev.account()) == "Bo"
	})

	// A longer history brings nothing back, though a member had it still.
	all := "all"
	must[api.Group](t)(ann.PatchGroup(t.Context(), g, api.GroupPatch{Policy: &api.PolicyPatch{History: &all}}))
	same(t, g, ann, bo, cy)
	inRoom(t, ann, g, func(r *room) {
		if slices.ContainsFunc(r.wanted(), func(e groups.Epoch) bool { return e.EID == old.EID }) {
			t.Error("an erased secret is asked for")
		}
	})
	seven := "7d"
	must[api.Group](t)(ann.PatchGroup(t.Context(), g, api.GroupPatch{Policy: &api.PolicyPatch{History: &seven}}))

	for month := uint32(1); month <= 2; month++ {
		c.move(31 * aDay)
		within(t, ann, patience, "another month's KEM keys", func() bool { return kemOf(t, ann, g, bo) == 1+month && kemOf(t, ann, g, ann) == month })
	}
	say(t, ann, g, "today")
	hears(t, bo, g, "today")
	ok(t, bo.Close())
	bo = startNode(t, boHome, "Bo", c.config)
	for _, text := range []string{"long ago", "a week later", "today"} {
		hears(t, bo, g, text) // its owner reads all of it
	}
	ok(t, bo.Close())
	ok(t, ann.Close())
	ok(t, cy.Close())

	th := newThief(t, g, boHome, annHome, code.Passcode)
	th.wraps = append(th.wraps, early.wraps...)
	then := map[wire.OpID]bool{}
	for _, op := range early.content {
		then[op.ID] = true
	}
	reads := func() (n int) {
		for id := range th.opened() {
			if then[id] {
				n++
			}
		}
		return n
	}
	// Names stand, and are kept to be given to newcomers: each node's own profile
	// and the group-info are three of what was said that day.
	standing := 3
	if n := reads(); n > standing || len(then) <= standing || len(early.wraps) == 0 {
		t.Errorf("the thief opens %d of %d, with %d wrap sets", n, len(then), len(early.wraps))
	}
	for _, seed := range seeds {
		th.pool[seed] = true
	}
	if n := reads(); n < len(then)-1 {
		t.Errorf("with the KEM keys of then it opens %d of %d: that is no test", n, len(then))
	}
}

// A policy made shorter has secrets erased at once; one under which somebody
// speaks lives on.
func TestShorterHistoryErases(t *testing.T) {
	t.Parallel()
	c := newStopped()
	ann := startNode(t, t.TempDir(), "Ann", c.config)
	month, day := "30d", "1d"
	g := newGroup(t, ann, api.GroupCreate{Policy: &api.PolicyPatch{History: &month}})
	say(t, ann, g, "first")
	first := epochsOf(t, ann, g)[0]
	c.move(5 * aDay)
	say(t, ann, g, "still the first epoch")
	c.move(6 * aDay)
	say(t, ann, g, "another")
	look := func(holds bool) {
		t.Helper()
		ok(t, ann.room(g).step(t.Context(), ann.room(g).sweep))
		if holdsSecret(t, ann, g, first.EID) != holds {
			t.Errorf("the first secret is held: %v, want %v", !holds, holds)
		}
	}
	look(true)
	must[api.Group](t)(ann.PatchGroup(t.Context(), g, api.GroupPatch{Policy: &api.PolicyPatch{History: &day}}))
	look(true) // just left
	c.move(8 * aDay)
	within(t, ann, patience, "the secret to go unasked", func() bool { return !holdsSecret(t, ann, g, first.EID) })
}

func epochsOf(t *testing.T, n *Node, g wire.GroupID) (out []groups.Epoch) {
	t.Helper()
	inRoom(t, n, g, func(r *room) { out = r.g.Epochs() })
	return out
}

// A device's own wrap is not on its disk once it was opened, and what is left
// of the set still proves the others' leaves.
func TestOwnWrapIsNotKept(t *testing.T) {
	t.Parallel()
	ann, bo := testNode(t, "Ann"), testNode(t, "Bo")
	g := newGroup(t, ann, api.GroupCreate{})
	join(t, bo, invite(t, ann, g, 1, ""))
	say(t, bo, g, "here")
	hears(t, ann, g, "here")
	within(t, bo, patience, "Bo to know itself", func() bool { return kemOf(t, ann, g, bo) == 1 })
	ok(t, ann.room(g).step(t.Context(), ann.room(g).rekey))
	var rekey groups.Epoch
	inRoom(t, ann, g, func(r *room) { rekey = epochNow(r) })
	within(t, bo, patience, "Bo to hold the wraps", func() bool { return len(wrapsOf(t, bo, g, rekey.Rekey)) == 2 })
	for _, n := range []*Node{ann, bo} {
		own := n.room(g).view.Load().me
		for id, wrapped := range wrapsOf(t, n, g, rekey.Rekey) {
			if wrapped == (id == own) {
				t.Errorf("%s: wrap of %s on disk: %v, own inc %s", n.ownName(), id.Short(), wrapped, own.Short())
			}
		}
		ok(t, n.store.View(func(tx *store.Tx) error {
			_, hashes, err := n.room(g).wraps(tx, rekey.Rekey)
			if seal.Root(hashes) != rekey.WrapRoot {
				t.Errorf("%s: what is left of the set has another root", n.ownName())
			}
			return err
		}))
	}
}

// wrapsOf tells of which recipients a node has the wrap.
func wrapsOf(t *testing.T, n *Node, g wire.GroupID, rekey wire.OpID) map[wire.OpID]bool {
	t.Helper()
	out := map[wire.OpID]bool{}
	ok(t, n.store.View(func(tx *store.Tx) error {
		leaves, _, err := n.room(g).wraps(tx, rekey)
		for _, leaf := range leaves {
			out[leaf.ID] = len(leaf.Wrap) > 0
		}
		return err
	}))
	return out
}
