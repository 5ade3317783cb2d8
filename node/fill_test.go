package node

import (
	"crypto/rand"
	"flag"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

var (
	fillHome     = flag.String("fill-home", "", "folder that TestFillHome makes a home in; make bench starts a daemon there")
	fillMessages = flag.Int("fill-messages", 10_000, "how many messages each of its groups holds")
	fillGroups   = flag.Int("fill-groups", 1, "how many groups it is in")
	fillMembers  = flag.Int("fill-members", 100, "how many members each of them has")
)

// TestFillHome writes the home of somebody whose groups have said much in four
// months, for those who measure what a daemon does with it.
func TestFillHome(t *testing.T) {
	if *fillHome == "" {
		t.Skip("no -fill-home")
	}
	const span = 120 * 24 * time.Hour
	c := &clock{}
	c.shift(-span)
	n := startNode(t, *fillHome, "Ann", func(cfg *Config) { cfg.Now = c.now })
	seats := max(*fillMembers, 128)
	began := time.Now()
	for range *fillGroups {
		g := newGroup(t, n, api.GroupCreate{Name: "Much", Cap: &seats})
		step := span / time.Duration(*fillMessages**fillGroups)
		fill(t, n, g, crowdOf(t, n, g, *fillMembers-1), *fillMessages, func() { c.shift(step) })
	}
	ok(t, n.Close())
	t.Logf("%d messages in each of %d groups in %v", *fillMessages, *fillGroups, time.Since(began))
}

// crowdOf seats people that are keys alone in a group of a node, by its hand.
func crowdOf(t testing.TB, n *Node, g wire.GroupID, count int) []*groupstest.Person {
	t.Helper()
	w := groupstest.NewWorld(1)
	r := n.room(g)
	people := make([]*groupstest.Person, count)
	err := r.step(t.Context(), func(c *commit) error {
		by := &groupstest.Person{Account: n.dev.account(), Log: r.g}
		for i := range people {
			p := w.Add("p" + strconv.Itoa(i))
			w.NowMs = n.nowMs()
			body := w.Request(p, by, nil)
			op, err := r.own(c, groups.KindAdmit, &body)
			if err != nil {
				return err
			}
			p.Inc, people[i] = op.ID, p
		}
		return nil
	})
	ok(t, err)
	return people
}

// fillStep is how many messages of fill share a transaction.
const fillStep = 500

// fill has the people of a group say count texts of 300 bytes in turn, signed,
// chained and sealed as theirs, and taken up the ladder as what sync brings. tick
// is called before each.
func fill(t testing.TB, n *Node, g wire.GroupID, people []*groupstest.Person, count int, tick func()) {
	t.Helper()
	r := n.room(g)
	for said := 0; said < count; {
		err := r.step(t.Context(), func(c *commit) error {
			if _, ok := r.freshEpoch(); !ok {
				return r.rekey(c)
			}
			for range min(fillStep, count-said) {
				tick()
				p := people[said%len(people)]
				said++
				if err := sayAs(r, c, p, babble()); err != nil {
					return err
				}
			}
			return nil
		})
		ok(t, err)
	}
}

// babble is 300 bytes of words made of random letters: no two alike, and no
// disk makes less of them, as it would of a language.
func babble() string {
	var b strings.Builder
	for b.Len() < 300 {
		for range 2 + mathrand.IntN(8) {
			b.WriteByte(byte('a' + mathrand.IntN(26)))
		}
		b.WriteByte(' ')
	}
	return b.String()[:300]
}

// sayAs writes a text of somebody's and takes it in.
func sayAs(r *room, c *commit, p *groupstest.Person, text string) error {
	op, err := textAs(r, p, text)
	if err != nil {
		return err
	}
	if v := r.judge(c, wire.PeerKey{}, op, true); v != groups.Accept {
		return fmt.Errorf("a message was not taken: %v", v)
	}
	return nil
}

// textAs writes a text of somebody's.
func textAs(r *room, p *groupstest.Person, text string) (*groups.Op, error) {
	plain, err := groups.EncodePlain(groups.Plain{Kind: groups.ContentText, Payload: groups.Text{Text: text}.Encode()})
	if err != nil {
		return nil, err
	}
	size, err := seal.SealedLen(len(plain))
	if err != nil {
		return nil, err
	}
	e, ok := r.sendEpoch()
	if !ok {
		return nil, fmt.Errorf("no epoch to write under")
	}
	var salt [16]byte
	rand.Read(salt[:])
	sender := r.keys.epochs[e.EID].keys.Sender(p.Inc)
	return r.g.ComposeContent(p.Inc, p.Keys.Op, r.n.nowMs(), e.EID, salt, size, func(aad []byte, seq uint64) ([]byte, error) {
		return sender.Message(seq, salt).Seal(aad, plain), nil
	})
}

// BenchmarkFilledHome is the limit of what a daemon does on the home that
// TestFillHome made: the same reads by the store alone, in this process.
func BenchmarkFilledHome(b *testing.B) {
	if *fillHome == "" {
		b.Skip("no -fill-home")
	}
	n := &Node{home: home{dir: *fillHome}}
	dev := must[*device](b)(n.readDevice())
	var opens, pages, jumps []time.Duration
	frame := 0
	for b.Loop() {
		began := time.Now()
		s := must[*store.Store](b)(store.Open(n.home.path(dirStore), dev.storeKey(), store.Options{}))
		opens = append(opens, time.Since(began))
		err := s.View(func(tx *store.Tx) error {
			var g wire.GroupID
			if err := tx.EachGroup(func(row store.GroupRow) error { g = row.ID; return nil }); err != nil {
				return err
			}
			oldest, err := tx.PageEntries(g, store.Cursor{}, store.After, 1)
			if err != nil {
				return err
			}
			newest, err := tx.PageEntries(g, store.Cursor{}, store.Before, 1)
			if err != nil {
				return err
			}
			from, to := oldest[0].OrderMs, newest[0].OrderMs
			for range 20 {
				began := time.Now()
				if _, err := tx.PageEntries(g, store.Cursor{}, store.Before, 50); err != nil {
					return err
				}
				pages = append(pages, time.Since(began))
				at := store.Cursor{OrderMs: from + mathrand.Uint64N(to-from)}
				began = time.Now()
				for _, side := range []store.Direction{store.Before, store.After} {
					if _, err := tx.PageEntries(g, at, side, 25); err != nil {
						return err
					}
				}
				jumps = append(jumps, time.Since(began))
			}
			w, err := tx.Heads(g)
			if err != nil {
				return err
			}
			for _, h := range w {
				if groups.ChainKind(h.Chain) == groups.Content && frame == 0 {
					ops, err := tx.Op(g, h.Inc, h.Chain, h.Seq)
					if err != nil {
						return err
					}
					frame = len(ops[0].Frame)
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(medianMs(opens), "open-ms")
	b.ReportMetric(medianMs(pages), "page-ms")
	b.ReportMetric(medianMs(jumps), "jump-ms")
	b.ReportMetric(float64(frame), "frame-bytes")
}
