package node

import (
	"slices"
	"testing"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/groups/timeline"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// chainsOf reads every content chain that somebody of a crowd wrote, as it is
// served.
func chainsOf(t testing.TB, n *Node, g wire.GroupID, people []*groupstest.Person) map[wire.OpID][]*groups.Op {
	t.Helper()
	out := map[wire.OpID][]*groups.Op{}
	inRoom(t, n, g, func(r *room) {
		for _, p := range people {
			at := chainOf{p.Inc, groups.Content}
			ops, err := r.heldFrom(at, 1, r.heads[at].Seq)
			ok(t, err)
			out[p.Inc] = ops
		}
	})
	return out
}

// give hands a part of a chain over, from…to, as what a pull brings.
func give(t testing.TB, n *Node, g wire.GroupID, chain []*groups.Op, from, to int, newest bool) (got int) {
	t.Helper()
	r := n.room(g)
	one := runOf(t, r, chain[from-1:to])
	one.ahead = r.lookAhead(one.ops)
	return must[int](t)(r.takeRuns(t.Context(), wire.PeerKey{}, []run{one}, newest))
}

// hole is what a node lacks of a chain below its newest: nothing if it is zero.
func hole(t testing.TB, n *Node, g wire.GroupID, inc wire.OpID) (from, to uint64) {
	t.Helper()
	inRoom(t, n, g, func(r *room) {
		if o := r.olders[chainOf{inc, groups.Content}]; o != nil {
			from, to = o.base+1, o.above.Seq-1
		}
	})
	return from, to
}

// shown counts what a node shows of what an inc said.
func shown(t testing.TB, n *Node, g wire.GroupID, chain []*groups.Op) (count int) {
	t.Helper()
	inRoom(t, n, g, func(r *room) {
		for _, op := range chain {
			if e, is := r.entryBy([16]byte(op.ID[:16])); is && e.Folded == timeline.Shown {
				count++
			}
		}
	})
	return count
}

// sound checks a stopped node's store.
func sound(t testing.TB, dir string, n *Node) {
	t.Helper()
	key := n.dev.storeKey()
	ok(t, n.Close())
	s := must[*store.Store](t)(store.Open(n.home.path(dirStore), key, store.Options{}))
	defer s.Close()
	rep := must[store.Report](t)(s.Check(t.Context(), func(frame []byte) (wire.OpID, error) {
		op, refusal := groups.Decode(frame)
		if refusal != nil {
			return wire.OpID{}, refusal
		}
		return op.ID, nil
	}))
	if rep.Total > 0 {
		t.Fatalf("the store of %s: %v", dir, rep.Problems)
	}
}

// apart has a crowd say count things in a group while bo is away, and returns
// bo, started again with nobody to talk to, and what was said.
func apart(t testing.TB, size, count int) (bo *Node, home string, g wire.GroupID, people []*groupstest.Person, chains map[wire.OpID][]*groups.Op) {
	t.Helper()
	home = t.TempDir()
	ann := testNode(t, "Ann")
	bo = startNode(t, home, "Bo", nil)
	g = newGroup(t, ann, api.GroupCreate{})
	join(t, bo, invite(t, ann, g, 1, ""))
	people = crowdOf(t, ann, g, size)
	fill(t, ann, g, people, 1, func() {}) // under a key that all of them have
	same(t, g, ann, bo)
	within(t, bo, patience, "the key", func() bool {
		_, has := hasEpoch(t, bo, g)
		return has
	})
	ok(t, bo.Close())
	fill(t, ann, g, people, count, func() {})
	chains = chainsOf(t, ann, g, people)
	ok(t, ann.Close())
	return startNode(t, home, "Bo", nil), home, g, people, chains
}

func hasEpoch(t testing.TB, n *Node, g wire.GroupID) (e groups.Epoch, has bool) {
	inRoom(t, n, g, func(r *room) { e, has = r.sendEpoch() })
	return e, has
}

// TestNewestFirst takes in the end of a chain before its beginning: shown at
// once, with a hole that is told, not served, outlives a restart and closes.
func TestNewestFirst(t *testing.T) {
	t.Parallel()
	bo, home, g, people, chains := apart(t, 2, 600)
	ann, zoe := chains[people[0].Inc], chains[people[1].Inc] // one said before bo left, both after
	inc := people[1].Inc
	end := len(zoe)
	if got := give(t, bo, g, zoe, 257, end, false); got == 0 || shown(t, bo, g, zoe) != 0 {
		t.Fatal("what nobody asked for was taken in above a hole")
	}
	inRoom(t, bo, g, func(r *room) { r.parked = parking{} })
	if got := give(t, bo, g, zoe, 257, end, true); got != end-256 {
		t.Fatalf("took %d of %d", got, end-256)
	}
	if from, to := hole(t, bo, g, inc); from != 1 || to != 256 || shown(t, bo, g, zoe) != end-256 {
		t.Fatalf("a hole %d…%d, %d shown", from, to, shown(t, bo, g, zoe))
	}
	inRoom(t, bo, g, func(r *room) {
		for _, e := range r.vectorNow() {
			if e.Inc == inc && groups.ChainKind(e.Chain) == groups.Content && e.Floor != 257 {
				t.Errorf("it says that it has all from %d on", e.Floor)
			}
		}
		r.tickGaps()
	})
	now := must[api.Group](t)(bo.Group(t.Context(), g))
	if now.Synced || len(now.Gaps) != 1 || now.Gaps[0].Missing != 256 || !now.CompleteFrom.Equal(msTime(zoe[256].HLC)) {
		t.Fatalf("it tells synced %v, complete from %v, gaps %+v", now.Synced, now.CompleteFrom, now.Gaps)
	}
	// What does not lead to the edge, and what is served across it.
	if got := give(t, bo, g, zoe, 1, 64, true); got != 0 {
		t.Fatalf("took %d from the middle of a hole", got)
	}
	if got := give(t, bo, g, zoe, 177, 272, true); got != 80 {
		t.Fatalf("took %d of 80", got)
	}
	inRoom(t, bo, g, func(r *room) {
		if len(r.forks) > 0 || len(r.below) > 0 {
			t.Fatal("a hole was taken for a fork")
		}
	})
	part := must[served](t)(bo.room(g).read(groups.Want{Inc: inc, Chain: 1, From: 100, To: 200}, 100, 200, 0))
	if len(part.segments) != 1 || len(part.segments[0].Frames) != 32 {
		t.Fatalf("served of a hole and 24 above: %d segments", len(part.segments))
	}
	sound(t, home, bo)
	bo = startNode(t, home, "Bo", nil)
	if from, to := hole(t, bo, g, inc); from != 1 || to != 176 {
		t.Fatalf("after a restart a hole %d…%d", from, to)
	}
	// The other chain: what was here is the bottom of the hole.
	if got := give(t, bo, g, ann, 193, len(ann), true); got != len(ann)-192 {
		t.Fatalf("took %d", got)
	}
	if from, to := hole(t, bo, g, people[0].Inc); from != 2 || to != 192 {
		t.Fatalf("above what was here a hole %d…%d", from, to)
	}
	part = must[served](t)(bo.room(g).read(groups.Want{Inc: people[0].Inc, Chain: 1, From: 1, To: 200}, 1, 200, 0))
	if len(part.segments) != 2 {
		t.Fatalf("served on both sides of a hole: %d segments", len(part.segments))
	}
	sound(t, home, bo)
	bo = startNode(t, home, "Bo", nil)
	give(t, bo, g, ann, 1, 192, true)
	give(t, bo, g, zoe, 1, 176, true)
	for inc, chain := range chains {
		if from, _ := hole(t, bo, g, inc); from != 0 || shown(t, bo, g, chain) != len(chain) {
			t.Fatalf("in the end a hole from %d, %d of %d shown", from, shown(t, bo, g, chain), len(chain))
		}
	}
	inRoom(t, bo, g, func(r *room) {
		r.tickGaps()
		if len(r.olders) > 0 || slices.ContainsFunc(r.vectorNow(), func(e groups.VectorEntry) bool { return e.Floor > 1 }) {
			t.Fatal("a hole is left")
		}
	})
	if now := must[api.Group](t)(bo.Group(t.Context(), g)); !now.Synced || !now.CompleteFrom.IsZero() {
		t.Fatalf("synced %v", now.Synced)
	}
	sound(t, home, bo)
}

// TestNewestFirstOfALiar gives the end of another branch than the one held: it is
// let go when the two meet, and the chain asked for from below.
func TestNewestFirstOfALiar(t *testing.T) {
	t.Parallel()
	bo, home, g, people, chains := apart(t, 1, 600)
	chain, at := chains[people[0].Inc], chainOf{people[0].Inc, groups.Content}
	ok(t, bo.room(g).step(t.Context(), func(c *commit) error {
		people[0].Log = bo.room(g).g
		for range 20 {
			if err := sayAs(bo.room(g), c, people[0], babble()); err != nil {
				return err
			}
		}
		return nil
	}))
	give(t, bo, g, chain, 289, len(chain), true)
	if from, to := hole(t, bo, g, at.inc); from != 22 || to != 288 {
		t.Fatalf("a hole %d…%d", from, to)
	}
	give(t, bo, g, chain, 33, 288, true)
	give(t, bo, g, chain, 22, 32, true)
	within(t, bo, patience, "the branch to be let go", func() bool {
		from, _ := hole(t, bo, g, at.inc)
		return from == 0
	})
	inRoom(t, bo, g, func(r *room) {
		if r.heads[at].Seq != 21 || !r.upward[at] || r.mayTail(at) {
			t.Errorf("the chain ends at %d", r.heads[at].Seq)
		}
		if seq, _, _ := r.g.ChainHead(at.inc, at.chain); seq != 21 {
			t.Errorf("its tip is %d", seq)
		}
	})
	if n := shown(t, bo, g, chain); n != 1 {
		t.Errorf("%d of another branch are shown", n)
	}
	sound(t, home, bo)
}
