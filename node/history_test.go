package node

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/node/api"
)

// What a newcomer reads of what was said before is the policy's to say. The
// grain is the epoch: "old" was said in one of a month ago, "recent" in one of
// now, and between them somebody was removed.
func TestHistory(t *testing.T) {
	for _, c := range []struct {
		policy   string // empty: the default, 7d
		want     []string
		withheld []string
	}{
		{"", []string{"recent"}, []string{"old"}},
		{"join", nil, []string{"old", "recent"}},
		{"all", []string{"old", "recent"}, nil},
	} {
		t.Run("history="+c.policy, func(t *testing.T) {
			t.Parallel()
			then := &clock{}
			then.shift(-30 * 24 * time.Hour)
			a, b, n := newClockedNode(t, "Ann", then), newClockedNode(t, "Bo", then), testNode(t, "Nu")
			in := api.GroupCreate{}
			if c.policy != "" {
				in.Policy = &api.PolicyPatch{History: &c.policy}
			}
			g := newGroup(t, a, in)
			join(t, b, invite(t, a, g, 1, ""))
			say(t, a, g, "old")
			hears(t, b, g, "old")

			then.shift(30 * 24 * time.Hour)
			must[api.Member](t)(a.RemoveMember(t.Context(), g, b.dev.account(), ""))
			say(t, a, g, "recent")
			join(t, n, invite(t, a, g, 1, ""))
			say(t, a, g, "since")
			hears(t, n, g, "since")
			for _, s := range c.want {
				hears(t, n, g, s)
			}
			say(t, n, g, "hello")
			hears(t, a, g, "hello")

			// All of it is on the newcomer's disk, and every key it may have has
			// been asked for and given: what is closed now stays closed.
			same(t, g, a, n)
			within(t, n, patience, "the newcomer to have asked for keys", func() (asked bool) {
				inRoom(t, n, g, func(r *room) {
					asked = !slices.ContainsFunc(r.wanted(), func(e groups.Epoch) bool { return !r.refused[refusal{a.dev.peer(), e.EID}] })
				})
				return asked
			})
			got := texts(t, n, g)
			for _, s := range c.withheld {
				if slices.Contains(got, s) {
					t.Errorf("the newcomer reads %q", s)
				}
			}
			if must[api.Group](t)(n.Group(t.Context(), g)).Name != "Hiking" {
				t.Error("the newcomer does not know what the group is called")
			}
		})
	}
}

// A member who was let in after the group got its name, and was given that one
// message's key, can hand it on: over a restart, with the founder away.
func TestNameOutlivesFounder(t *testing.T) {
	t.Parallel()
	policy, home := "join", t.TempDir()
	a, b, c := testNode(t, "Ann"), startNode(t, home, "Bo", nil), testNode(t, "Cy")
	g := newGroup(t, a, api.GroupCreate{Policy: &api.PolicyPatch{History: &policy}})
	join(t, b, invite(t, a, g, 1, ""))
	named := func(n *Node) {
		within(t, n, patience, n.ownName()+" to know the group's name", func() bool {
			return must[api.Group](t)(n.Group(t.Context(), g)).Name == "Hiking"
		})
	}
	named(b)
	if err := errors.Join(b.Close(), a.Close()); err != nil {
		t.Fatal(err)
	}
	b = startNode(t, home, "Bo", nil)
	join(t, c, invite(t, b, g, 1, ""))
	say(t, b, g, "hello")
	hears(t, c, g, "hello")
	named(c)
}

// A member that had not got a key itself when it was asked for it is asked
// again, though nothing it says shows that it has it now.
func TestKeysOfALateHolder(t *testing.T) {
	t.Parallel()
	policy := "all"
	a, b, c := testNode(t, "Ann"), testNode(t, "Bo"), testNode(t, "Cy")
	g := newGroup(t, a, api.GroupCreate{Policy: &api.PolicyPatch{History: &policy}})
	join(t, b, invite(t, a, g, 1, ""))
	say(t, a, g, "old")
	hears(t, b, g, "old")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	held := map[[32]byte]*epochKeys{}
	inRoom(t, b, g, func(r *room) { held, r.keys.epochs = r.keys.epochs, held })
	join(t, c, invite(t, b, g, 1, ""))
	within(t, c, patience, "Cy to be refused a key", func() (refused bool) {
		inRoom(t, c, g, func(r *room) {
			refused = slices.ContainsFunc(r.wanted(), func(e groups.Epoch) bool { return held[e.EID] != nil && r.refused[refusal{b.dev.peer(), e.EID}] })
		})
		return refused
	})
	inRoom(t, b, g, func(r *room) { maps.Copy(r.keys.epochs, held) })
	hears(t, c, g, "old")
}
