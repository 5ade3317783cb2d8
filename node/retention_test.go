package node

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// whole checks the rows of a node's store against each other.
func whole(t *testing.T, n *Node) {
	t.Helper()
	if rep := must[store.Report](t)(n.store.Check(t.Context(), idOfFrame)); rep.Total > 0 {
		t.Errorf("the store of %s is not whole: %+v", n.ownName(), rep.Problems)
	}
}

// cipherBytes is how much of what was said lies on a node's disk.
func cipherBytes(t *testing.T, n *Node, g wire.GroupID) (sum int) {
	t.Helper()
	inRoom(t, n, g, func(r *room) {
		for at, head := range r.heads {
			ops, err := r.heldFrom(at, 1, head.Seq)
			if err != nil {
				t.Error(err)
			}
			for _, op := range ops {
				sum += len(op.Cipher)
			}
		}
	})
	return sum
}

// Who keeps messages for a week drops older ones: text and ciphertext, not the
// chain. Who joins through it is told so, takes the chain over, and gets what it
// dropped from a member who has it.
func TestRetention(t *testing.T) {
	t.Parallel()
	c, all := &clock{}, "all"
	annHome, boHome := t.TempDir(), t.TempDir()
	start := func(home, name string) *Node {
		return startNode(t, home, name, func(cfg *Config) { cfg.Now = c.now })
	}
	ann, bo := start(annHome, "Ann"), start(boHome, "Bo")
	g := newGroup(t, ann, api.GroupCreate{Name: "Books", Policy: &api.PolicyPatch{History: &all}})
	inv := invite(t, ann, g, 5, "")
	join(t, bo, inv)
	const old = 40
	for i := range old {
		say(t, ann, g, fmt.Sprintf("old %d", i))
	}
	say(t, bo, g, "old of Bo")
	hears(t, ann, g, "old of Bo")
	same(t, g, ann, bo)
	// Own words go too, once another disk has them.
	within(t, bo, patience, "Ann to have it all", func() bool { return must[api.Group](t)(bo.Group(t.Context(), g)).SafeToClose })
	before := cipherBytes(t, bo, g)
	c.shift(20 * 24 * time.Hour)
	say(t, ann, g, "new")
	hears(t, bo, g, "new")

	if kept := must[api.Group](t)(bo.Retain(t.Context(), g, 7)); kept.RetainDays != 7 {
		t.Errorf("kept for %d days", kept.RetainDays)
	}
	isOld := func(s string) bool { return strings.HasPrefix(s, "old") }
	within(t, bo, patience, "old words to go", func() bool { return !slices.ContainsFunc(texts(t, bo, g), isOld) })
	toldSo := func(n *Node) {
		t.Helper()
		within(t, n, patience, "the timeline to begin with a word of what is gone", func() bool {
			page := must[api.MessagePage](t)(n.Messages(t.Context(), g, api.Page{}))
			return !page.PrunedTo.IsZero() && page.PrunedTo.Before(c.now().AddDate(0, 0, -7))
		})
	}
	toldSo(bo)
	if after := cipherBytes(t, bo, g); after > before/4 {
		t.Errorf("%d bytes of what was said are left of %d", after, before)
	}
	whole(t, bo)
	if !slices.ContainsFunc(texts(t, ann, g), isOld) {
		t.Error("another member's messages went too")
	}

	// Over a restart; and Ann gives nothing back that is too old.
	ok(t, bo.Close())
	bo = start(boHome, "Bo")
	same(t, g, ann, bo)
	toldSo(bo)
	if got := texts(t, bo, g); slices.ContainsFunc(got, isOld) || !slices.Contains(got, "new") {
		t.Errorf("after a restart: %q", got)
	}

	// A newcomer through Bo alone.
	ok(t, ann.Close())
	cy := start(t.TempDir(), "Cy")
	join(t, cy, invite(t, bo, g, 1, ""))
	hears(t, cy, g, "new")
	same(t, g, bo, cy)
	toldSo(cy)
	if got := texts(t, cy, g); slices.ContainsFunc(got, isOld) {
		t.Errorf("the newcomer reads what nobody sent: %q", got)
	}
	whole(t, cy)
	if got := cy.nameOf(ann.dev.account()); got != "Ann" {
		t.Errorf("the newcomer calls Ann %q", got)
	}

	// Ann still has it.
	ann = start(annHome, "Ann")
	within(t, cy, patience, "the old words from Ann", func() bool {
		got := texts(t, cy, g)
		return len(slices.DeleteFunc(got, func(s string) bool { return !isOld(s) })) == old+1
	})
	within(t, cy, patience, "nothing to be missing", func() bool {
		return must[api.MessagePage](t)(cy.Messages(t.Context(), g, api.Page{})).PrunedTo.IsZero()
	})
	whole(t, cy)
	if got := texts(t, bo, g); slices.ContainsFunc(got, isOld) {
		t.Errorf("what was dropped is back: %q", got)
	}
}

// What no other disk has is kept, however old.
func TestRetentionKeepsTheOnlyCopy(t *testing.T) {
	t.Parallel()
	c := &clock{}
	home := t.TempDir()
	ann := startNode(t, home, "Ann", func(cfg *Config) { cfg.Now = c.now })
	bo := startNode(t, t.TempDir(), "Bo", func(cfg *Config) { cfg.Now = c.now })
	g := newGroup(t, ann, api.GroupCreate{})
	join(t, bo, invite(t, ann, g, 1, ""))
	say(t, ann, g, "heard")
	hears(t, bo, g, "heard")
	within(t, ann, patience, "Bo to say so", func() bool { return must[api.Group](t)(ann.Group(t.Context(), g)).SafeToClose })
	ok(t, bo.Close())
	say(t, ann, g, "only here")
	c.shift(20 * 24 * time.Hour)
	must[api.Group](t)(ann.Retain(t.Context(), g, 1))
	within(t, ann, patience, "what Bo has to go", func() bool { return !slices.Contains(texts(t, ann, g), "heard") })
	if !slices.Contains(texts(t, ann, g), "only here") {
		t.Error("the only copy of a message was dropped")
	}
	for _, days := range []int{-1, 3651} {
		if _, err := ann.Retain(t.Context(), g, days); code(err) != api.BadRequest {
			t.Errorf("%d days: %v", days, err)
		}
	}
}
