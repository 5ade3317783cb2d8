package node

import (
	"slices"
	"testing"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// A device comes back to a group of which all but one sleep, and that one is
// none of those it would dial if all were there: it finds it, and what it
// missed. Nobody can dial it, for its ports are new.
func TestFindsTheOneWhoIsThere(t *testing.T) {
	t.Parallel()
	seats := 200
	ann := testNode(t, "Ann")
	g := newGroup(t, ann, api.GroupCreate{Cap: &seats})
	crowdOf(t, ann, g, 120)
	var bo *Node
	var home string
	for far := false; !far; { // of what the keys are, one in four is near
		home = t.TempDir()
		bo = startNode(t, home, "Bo", nil)
		join(t, bo, invite(t, ann, g, 1, ""))
		same(t, g, ann, bo)
		var all []wire.PeerKey
		for p := range bo.room(g).view.Load().peers {
			if p != bo.mesh.Self() {
				all = append(all, p)
			}
		}
		near := slices.Collect(around(bo.mesh.Self(), all, ones))
		far = !slices.Contains(near[:searchLinks], ann.mesh.Self())
	}
	if err := bo.Close(); err != nil {
		t.Fatal(err)
	}
	say(t, ann, g, "while you slept")
	bo = startNode(t, home, "Bo", nil)
	hears(t, bo, g, "while you slept")
}

// Who could not be dialled is passed over for a while, longer each time, and
// not once it is linked.
func TestAbsences(t *testing.T) {
	a, p, now := newAbsences(), wire.PeerKey{1}, time.UnixMilli(1)
	for _, wait := range []time.Duration{absentFirst, 2 * absentFirst, 4 * absentFirst} {
		a.missed(p, now)
		if !a.away(p, now.Add(wait-1)) || a.away(p, now.Add(wait)) {
			t.Fatalf("not passed over for %v", wait)
		}
	}
	for range 20 {
		a.missed(p, now)
	}
	if a.away(p, now.Add(absentMost)) {
		t.Error("passed over for ever longer")
	}
	a.met(p)
	if a.away(p, now) {
		t.Error("passed over though it is linked")
	}
	a.missed(p, now)
	if a.sweep(now.Add(absentFirst + absentKept + 1)); len(a.of) != 0 {
		t.Error("remembered for ever")
	}
}
