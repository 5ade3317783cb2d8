package node

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// copyHome copies the home of a node that is off; the ports are the machine's.
func copyHome(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(to, fileListen)); err != nil {
		t.Fatal(err)
	}
	return to
}

// twoHomes is a group of Ann, whose home was copied while it was off, and Bo
// and Cy.
type twoHomes struct {
	bo, cy     *Node
	home, copy string
	g          wire.GroupID
}

func newTwoHomes(t *testing.T) *twoHomes {
	t.Helper()
	h := &twoHomes{bo: testNode(t, "Bo"), cy: testNode(t, "Cy"), home: t.TempDir()}
	ann := startNode(t, h.home, "Ann", nil)
	h.g = newGroup(t, ann, api.GroupCreate{})
	inv := invite(t, ann, h.g, 2, "")
	join(t, h.bo, inv)
	join(t, h.cy, inv)
	say(t, ann, h.g, "one")
	for _, n := range []*Node{h.bo, h.cy} {
		hears(t, n, h.g, "one")
	}
	same(t, h.g, ann, h.bo, h.cy)
	shut(t, ann)
	h.copy = copyHome(t, h.home)
	return h
}

func shut(t *testing.T, nodes ...*Node) {
	t.Helper()
	for _, n := range nodes {
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// findings are what the doctor has to say of copies.
func findings(t *testing.T, n *Node) (found int) {
	t.Helper()
	for _, f := range must[[]api.Finding](t)(n.Doctor(t.Context())) {
		if f.Check == "clone" && f.Level == "error" {
			found++
		}
	}
	return found
}

// Who starts an old copy of a home goes on behind what the home wrote since,
// at once and without a fork: it asks first.
func TestOldCopyGoesOnBehindItself(t *testing.T) {
	h := newTwoHomes(t)
	ann := startNode(t, h.home, "Ann", nil)
	for _, text := range []string{"two", "three"} {
		say(t, ann, h.g, text)
		hears(t, h.bo, h.g, text)
	}
	limit := 50
	must[api.Group](t)(ann.PatchGroup(t.Context(), h.g, api.GroupPatch{Cap: &limit}))
	same(t, h.g, ann, h.bo)
	shut(t, ann)

	old := startNode(t, h.copy, "Ann", nil)
	say(t, old, h.g, "four") // waits for Bo or Cy
	limit = 60
	must[api.Group](t)(old.PatchGroup(t.Context(), h.g, api.GroupPatch{Cap: &limit}))
	for _, text := range []string{"one", "two", "three", "four"} {
		hears(t, h.bo, h.g, text)
		hears(t, old, h.g, text)
	}
	same(t, h.g, h.bo, old, h.cy)
	if n := faults(t, h.bo, h.g); n != 0 {
		t.Errorf("%d faults", n)
	}
	if findings(t, old) != 0 {
		t.Error("the doctor takes the only home for a copy")
	}
	if cap := must[api.Group](t)(h.bo.Group(t.Context(), h.g)).Cap; cap != 60 {
		t.Errorf("cap %d", cap)
	}
	say(t, h.bo, h.g, "five")
	hears(t, old, h.g, "five")
}

// Two homes that run as one device: the first that hears the other speak stops
// in that group and says why; the group goes on, and so may it, once the other
// has ended.
func TestTwinsFindOut(t *testing.T) {
	t.Parallel()
	h := newTwoHomes(t)
	ann, twin := startNode(t, h.home, "Ann", nil), startNode(t, h.copy, "Ann", nil)
	caught := func(n *Node) {
		within(t, n, patience, "to have asked", func() (ok bool) {
			inRoom(t, n, h.g, func(r *room) { ok = r.self.done })
			return ok
		})
	}
	caught(ann)
	caught(twin)
	say(t, ann, h.g, "it is me")
	hears(t, h.bo, h.g, "it is me")
	within(t, twin, patience, "the twin to find out", func() bool {
		// By itself it asks once a minute: the others tell one of the two.
		inRoom(t, twin, h.g, func(r *room) {
			for _, l := range r.links {
				l.pullNow()
			}
		})
		return findings(t, twin) == 1
	})
	if _, err := twin.Send(t.Context(), h.g, api.MessageCreate{Text: "no, me"}); code(err) != api.Cloned {
		t.Errorf("the twin writes: %v", err)
	}
	say(t, ann, h.g, "still me")
	hears(t, h.cy, h.g, "still me")
	shut(t, ann, twin)
	twin = startNode(t, h.copy, "Ann", nil)
	say(t, twin, h.g, "me alone")
	hears(t, h.bo, h.g, "me alone")
	if findings(t, twin) != 0 || faults(t, h.bo, h.g) != 0 {
		t.Errorf("%d findings, %d faults", findings(t, twin), faults(t, h.bo, h.g))
	}
}

// Twins that both spoke where nobody could tell them have forked their chain:
// whoever meets both proves it, both are stopped, and the group goes on.
func TestForkedTwinsAreStopped(t *testing.T) {
	t.Parallel()
	h := newTwoHomes(t)
	boHome, cyHome := h.bo.home.dir, h.cy.home.dir
	shut(t, h.bo, h.cy)
	began := time.Now()
	ann := startNode(t, h.home, "Ann", nil)
	say(t, ann, h.g, "alone here")
	if took := time.Since(began); took < catchTime {
		t.Errorf("wrote after %v though nobody could be asked", took)
	}
	shut(t, ann)
	twin := startNode(t, h.copy, "Ann", nil)
	say(t, twin, h.g, "alone there")
	h.bo = startNode(t, boHome, "Bo", nil)
	hears(t, h.bo, h.g, "alone there")
	shut(t, twin)
	h.cy = startNode(t, cyHome, "Cy", nil)
	ann = startNode(t, h.home, "Ann", nil)
	for _, n := range []*Node{h.bo, h.cy} {
		isOver(t, n, h.g, ann.dev.id())
	}
	within(t, ann, patience, "to find out", func() bool { return findings(t, ann) == 1 })
	if _, err := ann.Send(t.Context(), h.g, api.MessageCreate{Text: "no, me"}); code(err) != api.Cloned {
		t.Errorf("the forked device writes: %v", err)
	}
	say(t, h.bo, h.g, "without Ann")
	hears(t, h.cy, h.g, "without Ann")
	say(t, h.cy, h.g, "good")
	hears(t, h.bo, h.g, "good")
}

// A home that was not closed properly may be a copy of one that ran on: it
// writes once somebody was heard, and says so until then.
func TestUncleanHomeAsksFirst(t *testing.T) {
	t.Parallel()
	h := newTwoHomes(t)
	ann := startNode(t, h.home, "Ann", nil)
	same(t, h.g, ann, h.bo)
	if err := os.RemoveAll(h.copy); err != nil {
		t.Fatal(err)
	}
	copied := copyHome(t, h.home) // while it runs
	say(t, ann, h.g, "after the copy")
	hears(t, h.bo, h.g, "after the copy")
	boHome := h.bo.home.dir
	shut(t, ann, h.bo, h.cy)
	old := startNode(t, copied, "Ann", nil)
	if _, err := old.Send(t.Context(), h.g, api.MessageCreate{Text: "too early"}); code(err) != api.NotSynced {
		t.Fatalf("an unclean home writes unasked: %v", err)
	}
	h.bo = startNode(t, boHome, "Bo", nil)
	hears(t, old, h.g, "after the copy")
	say(t, old, h.g, "now")
	hears(t, h.bo, h.g, "now")
	if n := faults(t, h.bo, h.g); n != 0 {
		t.Errorf("%d faults", n)
	}
}

// Nobody can make a device believe that it has a twin: what it did not sign
// proves nothing, and what comes back to it is an echo.
func TestNobodyMakesUpATwin(t *testing.T) {
	ann, bo := testNode(t, "Ann"), testNode(t, "Bo")
	g := newGroup(t, ann, api.GroupCreate{})
	join(t, bo, invite(t, ann, g, 1, ""))
	say(t, ann, g, "one")
	say(t, ann, g, "two")
	hears(t, bo, g, "two")
	same(t, g, ann, bo)
	r := ann.room(g)
	var own []*groups.Op
	inRoom(t, ann, g, func(r *room) {
		for chain := range groups.ChainKind(3) {
			at := chainOf{r.me, chain}
			own = append(own, r.storedFrom(at, 1)...)
		}
	})
	if len(own) < 3 {
		t.Fatalf("%d own operations", len(own))
	}
	forged := func() (out []*groups.Op) {
		inRoom(t, bo, g, func(b *room) {
			for _, op := range own {
				if op.Chain != groups.Content {
					continue
				}
				frame := op.Frame()
				frame[len(op.Core)-1] ^= 1 // the hash of its ciphertext
				if bad, refusal := groups.Decode(frame); refusal == nil {
					out = append(out, bad)
				}
			}
			e, _ := b.sendEpoch()
			me := b.me
			b.me = own[len(own)-1].IncID()
			if op, err := craft(b, e, "in her name"); err == nil {
				out = append(out, op)
			}
			b.me = me
		})
		return out
	}()
	if len(forged) == 0 {
		t.Fatal("nothing was forged")
	}
	if err := r.step(t.Context(), func(c *commit) error {
		for _, op := range append(own, forged...) {
			r.ingest(c, bo.mesh.Self(), []*groups.Op{op}, false)
			r.meetFork([]*groups.Op{op})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if findings(t, ann) != 0 {
		t.Error("a twin was made up")
	}
	say(t, ann, g, "three")
	hears(t, bo, g, "three")
}
