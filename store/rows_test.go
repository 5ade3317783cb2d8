package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	W "mutuals/identity/wire"
)

// TestPages holds pages against a sorted list, entries being moved and
// deleted in between.
func TestPages(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, err := Open("", testKey, Options{InMemory: true})
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		g := groupID("g")
		want := map[W.OpID]uint64{}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			id := opID("o", rapid.Uint64Range(0, 20).Draw(rt, "op"))
			order := rapid.Uint64Range(0, 5).Draw(rt, "order")
			del := rapid.IntRange(0, 4).Draw(rt, "delete") == 0
			err := s.Update(context.Background(), func(tx *Tx) error {
				if del {
					return tx.DeleteEntry(g, id)
				}
				return all(
					tx.PutEntry(g, order, id, Byline{}, id[:3]),
					tx.PutEntry(groupID("other"), order, id, Byline{}, nil),
				)
			})
			if err != nil {
				rt.Fatal(err)
			}
			if delete(want, id); !del {
				want[id] = order
			}
		}
		var sorted []Cursor
		for id, order := range want {
			sorted = append(sorted, Cursor{order, id})
		}
		slices.SortFunc(sorted, func(a, b Cursor) int {
			if a.OrderMs != b.OrderMs {
				return int(a.OrderMs) - int(b.OrderMs)
			}
			return bytes.Compare(a.ID[:], b.ID[:])
		})
		limit := rapid.IntRange(1, 7).Draw(rt, "limit")
		s.View(func(tx *Tx) error {
			var back, forth []Cursor
			for at := (Cursor{}); ; {
				page, err := tx.PageEntries(g, at, Before, limit)
				if err != nil {
					rt.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				back = append(cursors(page), back...)
				at = page[0].Cursor
			}
			for at := (Cursor{}); ; {
				page, err := tx.PageEntries(g, at, After, limit)
				if err != nil {
					rt.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				forth = append(forth, cursors(page)...)
				at = page[len(page)-1].Cursor
			}
			if !slices.Equal(back, sorted) || !slices.Equal(forth, sorted) {
				rt.Fatalf("pages:\n%v\n%v\nwant\n%v", back, forth, sorted)
			}
			if n, err := tx.CountEntries(g, Cursor{}, After, 1000); err != nil || n != len(sorted) {
				rt.Fatalf("count %d, %v", n, err)
			}
			return nil
		})
	})
}

func cursors(page []EntryRow) []Cursor {
	var c []Cursor
	for _, e := range page {
		c = append(c, e.Cursor)
	}
	return c
}

func TestOperations(t *testing.T) {
	s := openTest(t, "", Options{InMemory: true})
	g, inc := groupID("g"), opID("inc", 0)
	update(t, s, func(tx *Tx) error {
		return all(
			tx.PutOp(g, inc, 1, 1, opID("a", 1), []byte("one")),
			tx.PutOp(g, inc, 1, 2, opID("a", 2), []byte("two")),
			tx.PutOp(g, inc, 1, 2, opID("fork", 2), []byte("fork")),
			tx.PutOp(g, opID("inc", 2), 0, 5, opID("c", 5), []byte("later chain, earlier")),
			tx.PutOp(g, inc, 0, 1, opID("c", 1), []byte("control")),
			tx.PutHead(g, inc, 1, Head{Seq: 2, ID: opID("a", 2)}),
			tx.PutHead(g, inc, 0, Head{Seq: 1, ID: opID("c", 1)}),
			tx.PutEntry(g, 9, opID("a", 1), Byline{}, []byte("e")),
		)
	})
	update(t, s, func(tx *Tx) error {
		return all(
			tx.PutOp(g, inc, 1, 1, opID("a", 1), []byte("one with body")), // keeps its entry
			tx.PutOp(g, inc, 0, 1, opID("c", 1), []byte("control")),       // arrives once
			tx.PutParked(g, opID("p", 1), []byte("waits")),
			tx.PutParked(g, opID("p", 2), []byte("waits too")),
			tx.DeleteParked(g, opID("p", 2)),
		)
	})
	view(t, s, func(tx *Tx) error {
		if e, ok, err := tx.Entry(g, opID("a", 1)); err != nil || !ok || e.OrderMs != 9 {
			t.Errorf("entry: %+v %v", e, err)
		}
		if ops, err := tx.Op(g, inc, 1, 2); err != nil || len(ops) != 2 {
			t.Errorf("fork: %v %v", ops, err)
		}
		op, ok, err := tx.OpByID(g, opID("a", 1))
		if err != nil || !ok || op.Inc != inc || op.Seq != 1 || string(op.Frame) != "one with body" {
			t.Errorf("by id: %+v %v", op, err)
		}
		if _, ok, err := tx.OpByID(g, opID("none", 1)); ok || err != nil {
			t.Errorf("unknown: %v %v", ok, err)
		}
		var arrived []string
		err = tx.EachControl(g, func(op StoredOp) error {
			arrived = append(arrived, fmt.Sprintf("%d %s", op.Seq, op.Frame))
			return nil
		})
		if err != nil || !slices.Equal(arrived, []string{"5 later chain, earlier", "1 control"}) {
			t.Errorf("arrived %q %v", arrived, err)
		}
		if heads, err := tx.Heads(g); err != nil || len(heads) != 2 || heads[1].Seq != 2 {
			t.Errorf("heads %+v %v", heads, err)
		}
		parked := 0
		err = tx.EachParked(g, func(p ParkedOp) error { parked++; return nil })
		if parked != 1 {
			t.Errorf("%d parked", parked)
		}
		return err
	})
	if err := s.ForgetGroup(context.Background(), g); err != nil {
		t.Fatal(err)
	}
	view(t, s, func(tx *Tx) error {
		heads, err := tx.Heads(g)
		_, ok, err2 := tx.OpByID(g, opID("a", 1))
		if len(heads) > 0 || ok {
			t.Error("something of the group is left")
		}
		return all(err, err2)
	})
}

func TestSmallTables(t *testing.T) {
	s := openTest(t, "", Options{InMemory: true})
	g, a := groupID("g"), W.AccountID{3}
	wraps := bytes.Repeat([]byte("wrap"), 30_000)
	update(t, s, func(tx *Tx) error {
		return all(
			tx.PutEpoch(g, [32]byte{1}, [32]byte{2}, 3), tx.PutEpoch(g, [32]byte{9}, [32]byte{}, 3), tx.DeleteEpoch(g, [32]byte{9}),
			tx.PutKEM(g, 2, [32]byte{4}, 5), tx.PutKEM(g, 1, [32]byte{}, 5), tx.DeleteKEM(g, 1),
			tx.PutInvite(g, InviteRow{opID("i", 1), []byte("code")}),
			tx.PutMessageKey(g, opID("m", 1), [32]byte{7}),
			tx.PutWraps(g, opID("r", 1), append(wraps, wraps...)), tx.PutWraps(g, opID("r", 1), wraps), tx.PutWraps(g, opID("r", 2), nil),
			tx.PutEdge(EdgeOut, a, []byte("out")), tx.PutEdge(EdgeIn, a, []byte("in")),
			tx.PutPerson(Profile, a, []byte("p")), tx.PutPerson(Block, a, nil), tx.PutRecord(W.PeerKey{1}, []byte("addr")),
			tx.PutOut(Out{To: a, Kind: 1, Key: "k", Frame: []byte("old")}), tx.PutOut(Out{To: a, Kind: 1, Key: "k", Frame: []byte("new")}),
			tx.PutOut(Out{To: W.AccountID{4}, Kind: 1, Key: "k"}),
			tx.PutRequest("r", []byte("1")), tx.PutTask("t", []byte("2")), tx.PutSetting("s", []byte("3")),
			tx.PutCounts(g, Counts{Unread: 1, Mentions: 2, Read: Cursor{3, opID("x", 1)}}),
			tx.PutHeld(g, HeldRow{opID("h", 1), []byte("old")}), tx.PutHeld(g, HeldRow{opID("h", 1), []byte("new")}),
			tx.PutReceipt(g, ReceiptRow{opID("h", 1), []byte("old")}), tx.PutReceipt(g, ReceiptRow{opID("h", 1), []byte("new")}),
		)
	})
	view(t, s, func(tx *Tx) error {
		epochs, e1 := tx.Epochs(g)
		kems, e2 := tx.KEMs(g)
		invites, e3 := tx.Invites(g)
		m, mok, e4 := tx.MessageKey(g, opID("m", 1))
		ms, e5 := tx.MessageKeys(g)
		w, wok, e6 := tx.Wraps(g, opID("r", 1))
		none, noneOK, e7 := tx.Wraps(g, opID("r", 2))
		out, _, e8 := tx.Edge(EdgeOut, a)
		in, _, e9 := tx.Edge(EdgeIn, a)
		_, blocked, e10 := tx.Person(Block, a)
		c, e11 := tx.Counts(g)
		held, e12 := tx.Held(g)
		read, e13 := tx.Receipts(g)
		if err := all(e1, e2, e3, e4, e5, e6, e7, e8, e9, e10, e11, e12, e13); err != nil {
			return err
		}
		var outs []Out
		each := all(
			tx.EachOut(a, func(o Out) error { outs = append(outs, o); return nil }),
			tx.EachOutbox(func(o Out) error { outs = append(outs, o); return nil }),
		)
		switch {
		case len(epochs) != 1 || epochs[0] != EpochRow{[32]byte{1}, [32]byte{2}, 3},
			len(kems) != 1 || kems[0] != KEMRow{2, [32]byte{4}, 5},
			len(invites) != 1 || string(invites[0].Data) != "code",
			!mok || m != [32]byte{7} || len(ms) != 1 || ms[0].Op != opID("m", 1),
			!wok || !bytes.Equal(w, wraps), !noneOK || len(none) != 0,
			string(out) != "out" || string(in) != "in" || !blocked,
			c != Counts{1, 2, Cursor{3, opID("x", 1)}},
			len(held) != 1 || held[0].Holder != opID("h", 1) || string(held[0].Data) != "new",
			len(read) != 1 || read[0].Reader != opID("h", 1) || string(read[0].Data) != "new",
			len(outs) != 3 || string(outs[0].Frame) != "new" || outs[0].To != a:
			t.Errorf("got %v %v %v %v %v %v %v", epochs, kems, invites, ms, len(w), c, outs)
		}
		return each
	})
}

func TestAnswersExpire(t *testing.T) {
	s := openTest(t, "", Options{InMemory: true})
	a := Answer{AtMs: 1000, RequestHash: [32]byte{1}, Status: 201, Body: []byte("{}")}
	update(t, s, func(tx *Tx) error { return tx.PutAnswer("key", a) })
	at := func(nowMs uint64) (got Answer, ok bool) {
		view(t, s, func(tx *Tx) (err error) { got, ok, err = tx.Answer("key", nowMs); return })
		return
	}
	if got, ok := at(1000 + AnswerMs - 1); !ok || got.Status != 201 || string(got.Body) != "{}" {
		t.Errorf("a millisecond before its end: %v %v", got, ok)
	}
	if _, ok := at(1000 + AnswerMs); ok {
		t.Error("kept too long")
	}
	update(t, s, func(tx *Tx) error { return tx.PruneAnswers(1000 + AnswerMs) })
	if _, ok := at(1000); ok {
		t.Error("not pruned")
	}
}

// An operation that is let go leaves its entry, and a chain of which nothing is
// left no head; one without an entry leaves nothing.
func TestOperationsLetGo(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	defer s.Close()
	g, inc, shown, shut := groupID("g"), opID("inc", 0), opID("o", 1), opID("o", 2)
	err := s.Update(context.Background(), func(tx *Tx) error {
		return all(
			tx.PutOp(g, inc, chainContent, 1, shown, []byte("frame")), tx.PutEntry(g, 7, shown, Byline{}, []byte("entry")),
			tx.PutOp(g, inc, chainContent, 2, shut, []byte("frame")), tx.PutHead(g, inc, chainContent, Head{Seq: 2, ID: shut}),
			tx.DeleteOp(g, inc, 2, shut), tx.DeleteOp(g, inc, 1, shown),
			tx.DeleteOp(g, inc, 3, opID("o", 3)), tx.DeleteHead(g, inc, chainContent),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.View(func(tx *Tx) error {
		for seq := range uint64(4) {
			if ops, err := tx.Op(g, inc, chainContent, seq); err != nil || len(ops) != 0 {
				t.Errorf("seq %d: %d operations, %v", seq, len(ops), err)
			}
		}
		if e, ok, err := tx.Entry(g, shown); !ok || string(e.Data) != "entry" {
			t.Errorf("the entry: %v, %v", ok, err)
		}
		if _, ok, err := tx.where(mustNum(t, tx, g), shut); ok || err != nil {
			t.Errorf("a place is left of what had no entry: %v", err)
		}
		_, ok, err := tx.HeadOf(g, inc, chainContent)
		if ok {
			t.Error("the head is left")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What is known to be new is stored as what is looked for; and once entries were left
// behind, in a store that says so or one that was made before it could, it finds its own.
func TestAddOp(t *testing.T) {
	for _, older := range []bool{false, true} {
		dir := t.TempDir()
		s := openTest(t, dir, Options{})
		g, inc, new, back := groupID("g"), opID("inc", 0), opID("o", 1), opID("o", 2)
		come := func(seq, order uint64, id W.OpID) func(*Tx) error {
			return func(tx *Tx) error {
				return all(tx.AddOp(g, inc, chainContent, seq, id, []byte("frame")), tx.PutEntry(g, order, id, Byline{}, []byte("entry")))
			}
		}
		if older {
			update(t, s, func(tx *Tx) error { return tx.del(metaKey(metaTidy)) })
		}
		update(t, s, come(1, 7, new))
		update(t, s, come(2, 8, back))
		view(t, s, func(tx *Tx) error {
			op, here, err := tx.OpByID(g, new)
			e, entered, err2 := tx.Entry(g, new)
			if !here || string(op.Frame) != "frame" || !entered || e.OrderMs != 7 {
				t.Errorf("what came: %v %q, %v at %d", here, op.Frame, entered, e.OrderMs)
			}
			return all(err, err2)
		})
		left := func() (left bool) {
			update(t, s, func(tx *Tx) error { left = tx.entriesLeft(); return nil })
			return left
		}
		if left() {
			t.Error("a new store has entries whose operations were deleted")
		}
		failed := errors.New("no")
		if err := s.Update(t.Context(), func(tx *Tx) error {
			return all(tx.DeleteOp(g, inc, 2, back), failed)
		}); !errors.Is(err, failed) || left() {
			t.Errorf("a batch that failed: %v, entries left: %v", err, left())
		}
		reopen := func() {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openTest(t, dir, Options{})
		}
		if older {
			reopen()
			if !left() {
				t.Error("a store that does not say has none")
			}
		}
		// In one batch, too: what is left by the first function the second finds.
		update(t, s, func(tx *Tx) error {
			return all(tx.DeleteOp(g, inc, 2, back), come(2, 9, back)(tx))
		})
		reopen()
		update(t, s, func(tx *Tx) error { return tx.DeleteOp(g, inc, 2, back) })
		update(t, s, come(2, 10, back))
		view(t, s, func(tx *Tx) error {
			page, err := tx.PageEntries(g, Cursor{}, After, 10)
			if len(page) != 2 || page[1].ID != back || page[1].OrderMs != 10 {
				t.Errorf("entries: %v", page)
			}
			return err
		})
		if !left() {
			t.Error("nothing tells of the entry that was left")
		}
	}
}

func mustNum(t *testing.T, tx *Tx, g W.GroupID) num {
	t.Helper()
	n, ok, err := tx.lookup(g)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	return n
}

// TestPlaces: the place of an operation comes back as it was, and as format 1 wrote it.
func TestPlaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := where{inc: num(rapid.Uint32().Draw(t, "inc")), chain: rapid.Byte().Draw(t, "chain"), seq: rapid.Uint64().Draw(t, "seq") >> rapid.IntRange(0, 63).Draw(t, "shift")}
		if rapid.Bool().Draw(t, "entered") {
			w.entered, w.order = true, rapid.Uint64().Draw(t, "order")
		}
		first := key(nil).num(w.inc).u8(w.chain).u64(w.seq)
		if w.entered {
			first = first.u64(w.order)
		}
		for _, v := range [][]byte{w.encode(), first} {
			if got, ok := readWhere(v); !ok || got != w {
				t.Fatalf("%x is read as %+v, %v, not %+v", v, got, ok, w)
			}
		}
	})
	for _, v := range [][]byte{nil, {0, 0, 0, 1, 1}, {0, 0, 0, 1, 1, 0x80}, {0, 0, 0, 1, 1, 5, 0}, make([]byte, 22)} {
		if w, ok := readWhere(v); ok {
			t.Errorf("%x is read as %+v", v, w)
		}
	}
}
