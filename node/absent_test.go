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
// missed, though it knows where all of them were. Nobody can dial it, for its
// ports are new, and it dials nobody because something waits for them.
func TestFindsTheOneWhoIsThere(t *testing.T) {
	t.Parallel()
	seats := 200
	ann := testNode(t, "Ann")
	g := newGroup(t, ann, api.GroupCreate{Cap: &seats})
	crowd := recordsOf(t, crowdOf(t, ann, g, 120)...)
	var bo *Node
	var home string
	for far := false; !far; { // of what the keys are, one in four is near
		home = t.TempDir()
		bo = startNode(t, home, "Bo", nil)
		join(t, bo, invite(t, ann, g, 1, ""))
		same(t, g, ann, bo)
		bo.learnRecords(crowd)
		var all []wire.PeerKey
		for p := range bo.room(g).view.Load().peers {
			if p != bo.mesh.Self() {
				all = append(all, p)
			}
		}
		near := slices.Collect(around(bo.mesh.Self(), all, ones))
		far = !slices.Contains(near[:searchLinks], ann.mesh.Self())
	}
	within(t, bo, patience, "nothing to wait for anybody", func() bool { return len(bo.outboxAccounts()) == 0 })
	if err := bo.Close(); err != nil {
		t.Fatal(err)
	}
	say(t, ann, g, "while you slept")
	bo = startNode(t, home, "Bo", func(cfg *Config) { cfg.Listen = []string{"/ip4/127.0.0.1/tcp/0"} })
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

// When of those who were chosen nobody is left to wait for, the next are chosen at
// once; but only then, and not again as the same are missed again.
func TestNobodyIsAwaited(t *testing.T) {
	a, now := newAbsences(), time.UnixMilli(1)
	over := func() bool {
		select {
		case <-a.over:
			return true
		default:
			return false
		}
	}
	one, two, three := wire.PeerKey{1}, wire.PeerKey{2}, wire.PeerKey{3}
	for _, p := range []wire.PeerKey{one, two, three} {
		a.await(p, now)
	}
	a.missed(one, now)
	a.missed(one, now)
	a.forgo(two)
	if over() {
		t.Fatal("over while somebody is awaited")
	}
	a.met(three)
	if !over() {
		t.Fatal("not over though one came, one was missed and one is not chosen any more")
	}
	a.missed(one, now)
	a.missed(three, now)
	if over() {
		t.Error("over again though nobody was chosen since")
	}
}
