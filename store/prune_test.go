package store

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	W "mutuals/identity/wire"
)

// A chain whose beginning was pruned is whole again to Verify once its floor
// says so, and what is gone is gone; its entry in the timeline stays.
func TestPrunedChain(t *testing.T) {
	s := openTest(t, "", Options{InMemory: true})
	g, inc := groupID("g"), opID("inc", 0)
	frame := func(i uint64) []byte { return fmt.Appendf(nil, "frame %d", i) }
	const last = 9
	update(t, s, func(tx *Tx) error {
		for i := uint64(1); i <= last; i++ {
			if err := tx.PutOp(g, inc, chainContent, i, opID("o", i), frame(i)); err != nil {
				return err
			}
		}
		return all(tx.PutEntry(g, 5, opID("o", 1), Byline{}, []byte("shown")), tx.PutHead(g, inc, chainContent, Head{Seq: last, ID: opID("o", last)}))
	})
	problems := func() int {
		rep, err := s.Check(context.Background(), func(b []byte) (W.OpID, error) {
			var i uint64
			_, err := fmt.Sscanf(string(b), "frame %d", &i)
			return opID("o", i), err
		})
		if err != nil {
			t.Fatal(err)
		}
		return len(rep.Problems)
	}
	if n := problems(); n != 0 {
		t.Fatalf("%d problems before anything was pruned", n)
	}
	update(t, s, func(tx *Tx) error {
		return all(tx.DeleteOp(g, inc, 1, opID("o", 1)), tx.DeleteOp(g, inc, 2, opID("o", 2)), tx.DeleteOp(g, inc, 77, opID("o", 77)))
	})
	if problems() == 0 {
		t.Error("a beginning that is missing is no problem")
	}
	update(t, s, func(tx *Tx) error {
		return tx.PutHead(g, inc, chainContent, Head{Seq: last, ID: opID("o", last), Floor: 3})
	})
	if n := problems(); n != 0 {
		t.Errorf("%d problems with a chain that says where it begins", n)
	}
	err := s.View(func(tx *Tx) error {
		left := 0
		if err := tx.EachOp(g, inc, chainContent, 0, last, func(StoredOp) error { left++; return nil }); err != nil {
			return err
		}
		if left != last-2 {
			t.Errorf("%d operations are left, want %d", left, last-2)
		}
		if _, ok, err := tx.OpByID(g, opID("o", 1)); ok || err != nil {
			t.Errorf("a pruned operation: found %v, %v", ok, err)
		}
		if _, ok, err := tx.Entry(g, opID("o", 1)); !ok || err != nil {
			t.Errorf("its entry: found %v, %v", ok, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The sizes of wrap sets, and every row there is.
func TestWrapsAndRowsAreListed(t *testing.T) {
	s := openTest(t, "", Options{InMemory: true})
	g := groupID("g")
	want := map[W.OpID]int{opID("r", 1): 3*partBytes + 7, opID("r", 2): 1, opID("r", 3): partBytes}
	update(t, s, func(tx *Tx) error {
		for rekey, n := range want {
			if err := tx.PutWraps(g, rekey, bytes.Repeat([]byte{1}, n)); err != nil {
				return err
			}
		}
		return all(tx.PutWraps(groupID("other"), opID("r", 4), []byte{1}), tx.PutSetting("name", []byte("a word to find")))
	})
	err := s.View(func(tx *Tx) error {
		got := 0
		err := tx.EachWraps(g, func(rekey W.OpID, wraps []byte) error {
			got++
			if want[rekey] != len(wraps) {
				t.Errorf("set %s of %d bytes, want %d", rekey.Short(), len(wraps), want[rekey])
			}
			return nil
		})
		if err != nil || got != len(want) {
			t.Errorf("%d sets, %v", got, err)
		}
		found := false
		if err := tx.EachRow(func(_, value []byte) error {
			found = found || bytes.Contains(value, []byte("a word to find"))
			return nil
		}); err != nil || !found {
			t.Errorf("a row is not met: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
