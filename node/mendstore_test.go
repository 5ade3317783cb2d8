package node

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// TestDamagedTablesAreMended damages the tables of a home at random places. Repaired and
// started, it has all that was said in its groups again: what it could read, the rest from
// the other member; it speaks on without contradicting itself, and verifies.
func TestDamagedTablesAreMended(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	a, b := startNode(t, home, "Ann", nil), testNode(t, "Bo")
	var both []wire.GroupID
	for i := range 2 {
		g := newGroup(t, a, api.GroupCreate{Name: fmt.Sprint("Group ", i)})
		join(t, b, invite(t, a, g, 1, ""))
		both = append(both, g)
		var wg sync.WaitGroup
		for w := range 16 {
			wg.Go(func() {
				for j := range 60 {
					n := a
					if w%2 == 1 {
						n = b
					}
					n.Send(t.Context(), g, api.MessageCreate{Text: fmt.Sprintf("%d %d %d %0200d", i, w, j, j)})
				}
			})
		}
		wg.Wait()
	}
	const said = 960
	for _, g := range both {
		for _, n := range []*Node{a, b} {
			within(t, n, patience, "all to be there", func() bool { return len(allTexts(t, n, g)) == said })
		}
		within(t, a, patience, "Bo to hold what Ann said", func() bool {
			return must[api.Group](t)(a.Group(t.Context(), g)).OnlyHere == 0
		})
	}
	ok(t, a.Close())

	for seed := range uint64(5) {
		draw := rand.New(rand.NewPCG(seed, 7))
		dir := t.TempDir()
		ok(t, os.CopyFS(dir, os.DirFS(home)))
		tables, err := filepath.Glob(filepath.Join(dir, dirStore, "db", "*.sst"))
		if err != nil || len(tables) == 0 {
			t.Fatal("no tables", err)
		}
		for range 1 + draw.IntN(3) {
			flip(t, tables[draw.IntN(len(tables))], draw)
		}
		if seed == 0 {
			tellsOfDamage(t, dir)
		}
		found, err := MendStore(t.Context(), dir)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if slices.ContainsFunc(found, func(f api.Finding) bool { return f.Level == "error" }) {
			t.Errorf("seed %d: %v", seed, found)
		}
		again := startNode(t, dir, "Ann", nil)
		for _, g := range both {
			within(t, again, patience, fmt.Sprintf("seed %d: all to be back", seed), func() bool {
				return len(allTexts(t, again, g)) >= len(allTexts(t, b, g)) && must[api.Group](t)(again.Group(t.Context(), g)).Synced
			})
			if x, y := allTexts(t, again, g), allTexts(t, b, g); !slices.Equal(x, y) {
				t.Errorf("seed %d: %d are shown, not the %d that Bo shows, or in another order", seed, len(x), len(y))
			}
			say(t, again, g, fmt.Sprint("on after ", seed))
			hears(t, b, g, fmt.Sprint("on after ", seed))
		}
		inRoom(t, b, both[0], func(r *room) {
			if len(r.forks) > 0 {
				t.Errorf("seed %d: Ann contradicts herself", seed)
			}
		})
		sound(t, dir, again)
	}
}

// tellsOfDamage starts a node on a damaged home: once it has looked through its store it
// says so, to who asks and to who listens.
func tellsOfDamage(t *testing.T, dir string) {
	t.Helper()
	n := startNode(t, dir, "Ann", nil)
	defer n.Close()
	if d := n.Status(t.Context()).Disk; d.BadBlocks != 0 {
		t.Errorf("%d blocks are bad before it looked", d.BadBlocks)
	}
	ok(t, n.scrub(t.Context()))
	findings := must[[]api.Finding](t)(n.Doctor(t.Context()))
	told := slices.ContainsFunc(findings, func(f api.Finding) bool { return f.Code == api.FoundStoreDamaged })
	if d := n.Status(t.Context()).Disk; d.BadBlocks == 0 || !told {
		t.Errorf("status tells of %d bad blocks, doctor says %v", d.BadBlocks, findings)
	}
}

// flip changes bytes in a table where blocks of it lie, not what leads to them.
func flip(t *testing.T, path string, draw *rand.Rand) {
	t.Helper()
	b, err := os.ReadFile(path)
	ok(t, err)
	at := draw.IntN(len(b) * 9 / 10)
	for i := range 8 {
		b[at+i] ^= 0x55
	}
	ok(t, os.WriteFile(path, b, 0o600))
}

// allTexts is the whole timeline, oldest first.
func allTexts(t *testing.T, n *Node, g wire.GroupID) (out []string) {
	t.Helper()
	for before := ""; ; {
		page := must[api.MessagePage](t)(n.Messages(t.Context(), g, api.Page{Before: before, Limit: api.MaxPage}))
		var texts []string
		for _, m := range page.Items {
			texts = append(texts, m.Text)
		}
		out = append(texts, out...)
		if before = page.Before; before == "" {
			return out
		}
	}
}

// TestHeadOfWhatIsLeft: what a room can load has one hole, that ends where the part below
// ends on a signature.
func TestHeadOfWhatIsLeft(t *testing.T) {
	const every = groups.SignedEvery
	part := func(from, to uint64) stretch { return stretch{from, to, wire.OpID{byte(to)}} }
	for _, c := range []struct {
		parts  []stretch
		office bool
		want   store.Head
	}{
		{nil, false, store.Head{}},
		{[]stretch{part(1, 9)}, false, store.Head{Seq: 9, ID: wire.OpID{9}, Floor: 1}},
		{[]stretch{part(1, 9), part(12, 10*every)}, false, store.Head{Seq: 10 * every, ID: part(1, 10*every).last, Floor: every + 1, Base: 9}},
		{[]stretch{part(1, 9), part(20, 30), part(every+1, 2*every)}, false, store.Head{Seq: 2 * every, ID: part(1, 2*every).last, Floor: every + 1, Base: 9}},
		{[]stretch{part(1, 9), part(11, 12)}, false, store.Head{Seq: 9, ID: wire.OpID{9}, Floor: 1}},
		{[]stretch{part(3, 10*every)}, false, store.Head{Seq: 10 * every, ID: part(1, 10*every).last, Floor: every + 1}},
		{[]stretch{part(3, 9)}, false, store.Head{}},
		{[]stretch{part(1, 9), part(12, 30)}, true, store.Head{Seq: 30, ID: wire.OpID{30}, Floor: 12}},
	} {
		if got := headOf(c.parts, c.office); got != c.want {
			t.Errorf("of %v: %+v, want %+v", c.parts, got, c.want)
		}
	}
}
