package node

import (
	"testing"

	"mutuals/groups"
	"mutuals/groups/timeline"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// much is more messages than one transaction of the store takes.
const much = 6000

// foldedAs counts entries of a group's timeline by their standing.
func foldedAs(t *testing.T, n *Node, g wire.GroupID) map[timeline.Folded]int {
	t.Helper()
	count := map[timeline.Folded]int{}
	if err := n.store.View(func(tx *store.Tx) error {
		rows, err := tx.PageEntries(g, store.Cursor{}, store.After, 1<<20)
		for _, row := range rows {
			e, err := entryOf(row)
			if err != nil {
				return err
			}
			count[e.Folded]++
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return count
}

// What somebody said for a long time is folded when a removal that did not
// know of it arrives, however much it is, and over restarts.
func TestFoldsMuch(t *testing.T) {
	t.Parallel()
	annHome, boHome := t.TempDir(), t.TempDir()
	ann, bo, cy := startNode(t, annHome, "Ann", nil), startNode(t, boHome, "Bo", nil), testNode(t, "Cy")
	g := newGroup(t, ann, api.GroupCreate{})
	inv := invite(t, ann, g, 2, "")
	join(t, bo, inv)
	join(t, cy, inv)
	same(t, g, ann, bo, cy)
	ok(t, ann.Close())
	inc := saySilently(t, cy, g, much).Inc
	same(t, g, cy, bo)
	cyAccount := cy.dev.account()
	ok(t, cy.Close())
	ok(t, bo.Close())
	ann = startNode(t, annHome, "Ann", nil)
	must[api.Member](t)(ann.RemoveMember(t.Context(), g, cyAccount, ""))
	bo = startNode(t, boHome, "Bo", nil)
	ok(t, bo.mesh.Connect(t.Context(), ann.mesh.Self(), ann.mesh.Bound())) // the ports of either may be another test's by now
	within(t, bo, patience, "all of it folded", func() bool { return foldedAs(t, bo, g)[timeline.PastPin] >= much })

	// A node that stopped on the way goes on when it starts.
	inRoom(t, bo, g, func(r *room) {
		if len(r.refolds) > 0 {
			t.Errorf("%d chains are still to be folded", len(r.refolds))
		}
	})
	r := bo.room(g)
	ok(t, r.step(t.Context(), func(c *commit) error {
		op := r.storedFrom(chainOf{inc, groups.Content}, much)[0]
		c.row(func(tx *store.Tx) error {
			row, _, err := tx.Entry(g, op.ID)
			if err != nil {
				return err
			}
			e, err := entryOf(row)
			if err != nil {
				return err
			}
			e.Folded = timeline.Shown
			return storeEntry(tx, e)
		})
		r.refolds[inc] = 1
		r.keepRefolds(c)
		return nil
	}))
	ok(t, bo.Close())
	bo = startNode(t, boHome, "Bo", nil)
	within(t, bo, patience, "the rest folded", func() bool { return foldedAs(t, bo, g)[timeline.PastPin] >= much })
}

// Content whose key comes late is opened, however much waits, and over
// restarts.
func TestOpensMuch(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	ann, bo := testNode(t, "Ann"), startNode(t, home, "Bo", nil)
	g := newGroup(t, ann, api.GroupCreate{})
	join(t, bo, invite(t, ann, g, 1, ""))
	say(t, bo, g, "here")
	// Who has just come replaces its KEM key, and everybody looks anew then.
	within(t, ann, patience, "a new KEM key", func() bool {
		inc, ok := ann.room(g).view.Load().state.IncOfDevice(bo.dev.id())
		return ok && inc.KemGen > 0
	})
	same(t, g, ann, bo)
	inRoom(t, bo, g, func(r *room) {
		for eid := range r.keys.epochs {
			r.refused[refusal{ann.mesh.Self(), eid}] = true // it is not asked again
		}
		clear(r.keys.epochs)
	})
	const count = much / 2
	saySilently(t, ann, g, count)
	same(t, g, ann, bo)
	shut := 0
	inRoom(t, bo, g, func(r *room) {
		for _, ops := range r.locked {
			shut += len(ops)
		}
	})
	if shut < count {
		t.Fatalf("%d messages wait for a key, want %d", shut, count)
	}
	ok(t, bo.Close())
	bo = startNode(t, home, "Bo", nil)
	within(t, bo, patience, "all of it open", func() bool { return foldedAs(t, bo, g)[timeline.Shown] >= count })
}
