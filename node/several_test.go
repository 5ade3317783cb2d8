package node

import (
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// TestFetchedOnce has a member who was away come back to three who all have what
// it missed: it fetches each operation once, the newest first, and a task tells
// how far it is.
func TestFetchedOnce(t *testing.T) {
	t.Parallel()
	const missed = 4000
	home := t.TempDir()
	ann, bo := testNode(t, "Ann"), startNode(t, home, "Bo", nil)
	cy, dee := testNode(t, "Cy"), testNode(t, "Dee")
	g := newGroup(t, ann, api.GroupCreate{})
	inv := invite(t, ann, g, 3, "")
	for _, n := range []*Node{bo, cy, dee} {
		join(t, n, inv)
	}
	people := crowdOf(t, ann, g, 12)
	fill(t, ann, g, people, 1, func() {})
	same(t, g, ann, bo, cy, dee)
	ok(t, bo.Close())
	fill(t, ann, g, people, missed, func() {})
	same(t, g, ann, cy, dee)
	whole := func(n *Node) (is bool) {
		inRoom(t, n, g, func(r *room) { is = len(r.olders) == 0 })
		return is
	}
	for _, n := range []*Node{cy, dee} {
		within(t, n, patience, "all of it", func() bool { return whole(n) })
	}
	far := ends(t, ann, g)
	bo = startNode(t, home, "Bo", nil)
	within(t, bo, patience, "all that was missed", func() bool { return hasAll(t, bo, g, far) && whole(bo) })
	if got := bo.stats.fetched.Load(); got < missed || got > missed+missed/20 {
		t.Errorf("%d operations were fetched for %d that were missed", got, missed)
	}
	within(t, bo, patience, "the task to end", func() bool {
		for _, task := range must[[]api.Task](t)(bo.Tasks(t.Context())) {
			if task.Kind == api.TaskSync && task.State == api.TaskDone {
				if p := task.Progress; p.Done < missed || p.Done != p.Total {
					t.Fatalf("the task ended at %d of %d", p.Done, p.Total)
				}
				return true
			}
		}
		return false
	})
	same(t, g, ann, bo)
}

// A chain is with one peer, until that brings nothing.
func TestWindowsAreTaken(t *testing.T) {
	r := &room{n: &Node{cfg: Config{Now: (&clock{}).now}}}
	at := chainOf{wire.OpID{1}, groups.Content}
	slow, other := wire.PeerKey{1}, wire.PeerKey{2}
	now := r.n.now()
	r.windows.list = []*window{{peer: slow, at: now, chains: map[chainOf]reached{at: {}}}}
	if !r.windows.taken(at, other, now) || r.windows.taken(chainOf{wire.OpID{2}, groups.Content}, other, now) {
		t.Error("what is on its way is not taken, or what is not is")
	}
	late := now.Add(stealAfter)
	if r.windows.taken(at, other, late) {
		t.Error("a peer that brings nothing keeps a chain")
	}
	if !r.windows.taken(at, slow, late) {
		t.Error("it is asked twice for the same")
	}
	r.windows.moved(slow, late)
	if !r.windows.taken(at, other, late) {
		t.Error("one that brings something loses it")
	}
	freed := r.windows.freed.wait()
	r.windows.free(r.windows.list[0])
	select {
	case <-freed:
	default:
		t.Error("who waits is not told")
	}
	if r.windows.taken(at, other, late) {
		t.Error("what was given back is still taken")
	}
}

// onDisk counts the operations of content on a stopped node's disk, which is whole.
func onDisk(t *testing.T, dir string, g wire.GroupID) (count uint64) {
	t.Helper()
	n := &Node{home: home{dir: dir}}
	dev := must[*device](t)(n.readDevice())
	s := must[*store.Store](t)(store.Open(n.home.path(dirStore), dev.storeKey(), store.Options{}))
	defer s.Close()
	rep := must[store.Report](t)(s.Check(t.Context(), func(frame []byte) (wire.OpID, error) {
		op, refusal := groups.Decode(frame)
		if refusal != nil {
			return wire.OpID{}, refusal
		}
		return op.ID, nil
	}))
	if rep.Total > 0 {
		t.Fatalf("after a kill: %v", rep.Problems)
	}
	ok(t, s.View(func(tx *store.Tx) error {
		heads, err := tx.Heads(g)
		for _, h := range heads {
			if groups.ChainKind(h.Chain) == groups.Content {
				count += h.Seq - max(h.Floor, 1) + 1 + h.Base
			}
		}
		return err
	}))
	return count
}

// TestCutOffCatchUp kills a process in the middle of a catch-up: what it had is
// there, whole, and the next one fetches the rest and no more.
func TestCutOffCatchUp(t *testing.T) {
	const missed, slack = 4000, 2 * groups.MaxSegmentOps
	ann, home := testNode(t, "Ann"), t.TempDir()
	g := newGroup(t, ann, api.GroupCreate{})
	s := startChild(t, home)
	s.do(t, "join "+invite(t, ann, g, 1, "").Passcode)
	s.reads(t, "joined")
	s.kill()
	people := crowdOf(t, ann, g, 12)
	fill(t, ann, g, people, missed, func() {})
	far, before := ends(t, ann, g), ann.stats.served.Load()
	s = startChild(t, home)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for give := time.After(patience); ann.stats.served.Load() < before+1000; {
		select {
		case <-look.C:
		case <-give:
			t.Fatal("nothing was served")
		}
	}
	s.kill()
	had := onDisk(t, home, g)
	t.Logf("killed with %d of %d", had, missed)
	if had >= missed {
		t.Fatal("it had all before it was killed: that tests nothing, let it miss more")
	}
	bo := startNode(t, home, "Sam", nil)
	within(t, bo, patience, "all that was missed", func() (all bool) {
		all = hasAll(t, bo, g, far)
		inRoom(t, bo, g, func(r *room) { all = all && len(r.olders) == 0 })
		return all
	})
	if got := bo.stats.fetched.Load(); got > missed-had+slack {
		t.Errorf("%d operations were fetched though %d of %d were here", got, had, missed)
	}
	for inc, chain := range chainsOf(t, ann, g, people) {
		if n := shown(t, bo, g, chain); n != len(chain) {
			t.Errorf("%d of %d messages of %s are shown", n, len(chain), inc.Short())
		}
	}
}
