package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// TestTailMissesNothing runs writers and readers at once: every reader sees
// every committed change once, in one order (SPEC.md C2).
func TestTailMissesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		writers := rapid.IntRange(1, 6).Draw(rt, "writers")
		each := rapid.IntRange(1, 30).Draw(rt, "updates")
		size := rapid.IntRange(0, 3000).Draw(rt, "size")
		s, err := Open("", testKey, Options{InMemory: true})
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		total := 0
		var wg sync.WaitGroup
		for w := range writers {
			perUpdate := rapid.IntRange(1, 5).Draw(rt, "changes")
			total += each * perUpdate
			wg.Go(func() {
				for i := range each {
					s.Update(context.Background(), func(tx *Tx) error {
						for k := range perUpdate {
							c := Change{Type: fmt.Sprintf("%d/%d/%d", w, i, k), Data: make([]byte, size)}
							if err := tx.Change(c); err != nil {
								return err
							}
						}
						return nil
					})
				}
			})
		}
		seen := make([][]string, 3)
		for r := range seen {
			max := rapid.IntRange(1, 50).Draw(rt, "max")
			wg.Go(func() {
				for after := uint64(0); len(seen[r]) < total; {
					got, err := s.Tail(context.Background(), after, max)
					if err != nil {
						t.Error(err)
						return
					}
					for _, c := range got {
						if c.N != after+1 {
							t.Errorf("change %d after %d", c.N, after)
						}
						after = c.N
						seen[r] = append(seen[r], c.Type)
					}
				}
			})
		}
		wg.Wait()
		distinct := make(map[string]bool)
		for i, c := range seen[0] {
			distinct[c] = true
			if seen[1][i] != c || seen[2][i] != c {
				rt.Fatalf("readers differ at %d", i)
			}
		}
		if len(distinct) != total {
			rt.Fatalf("%d distinct changes of %d", len(distinct), total)
		}
	})
}

func TestChangesSurviveAndArePruned(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{KeepChanges: 100})
	epoch := s.Epoch()
	for range 60 {
		update(t, s, func(tx *Tx) error {
			for range 10 {
				if err := tx.Change(Change{Kind: Update, Type: "x", Ms: 7, Data: []byte("{}")}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, dir, Options{KeepChanges: 100})
	if s.Epoch() != epoch || s.LastChange() != 600 {
		t.Fatalf("epoch %s was %s, last %d", s.Epoch(), epoch, s.LastChange())
	}
	if _, err := s.Changes(300, 10); !errors.Is(err, ErrPruned) {
		t.Errorf("far behind: %v", err)
	}
	if _, err := s.Changes(0, 10); !errors.Is(err, ErrPruned) {
		t.Errorf("from the beginning: %v", err)
	}
	if _, err := s.Changes(601, 10); !errors.Is(err, ErrAhead) {
		t.Errorf("ahead: %v", err)
	}
	got, err := s.Changes(500, 1000)
	if err != nil || len(got) != 100 || got[0].N != 501 || got[99].Ms != 7 {
		t.Errorf("kept: %d, %v", len(got), err)
	}
	view(t, s, func(tx *Tx) error {
		if n, err := tx.LastChange(); n != 600 || err != nil {
			t.Errorf("last of the view: %d, %v", n, err)
		}
		return nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Tail(ctx, 600, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Tail: %v", err)
	}
}

// TestChangesComeBack: what is written is read, from wherever a reader is, also from a
// record of format 1, in which each change said all.
func TestChangesComeBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, err := Open("", testKey, Options{InMemory: true})
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		var want []Change
		for range rapid.IntRange(1, 3).Draw(rt, "batches") {
			batch := make([]Change, rapid.IntRange(1, 6).Draw(rt, "changes"))
			for i := range batch {
				batch[i] = Change{
					Kind: rapid.SampledFrom([]ChangeKind{Add, Update, Retract}).Draw(rt, "kind"),
					Type: rapid.SampledFrom([]string{"", "message.created", "typing"}).Draw(rt, "type"),
					Ms:   rapid.Uint64().Draw(rt, "ms"), Data: rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(rt, "data"),
				}
				if rapid.Bool().Draw(rt, "a record full") {
					batch[i].Data = append(batch[i].Data, make([]byte, changeRecordBytes)...)
				}
				for _, id := range [...]*[32]byte{(*[32]byte)(&batch[i].Group), (*[32]byte)(&batch[i].Object)} {
					id[0] = rapid.ByteMax(2).Draw(rt, "id")
				}
			}
			first := rapid.Bool().Draw(rt, "format 1")
			err := s.Update(context.Background(), func(tx *Tx) error {
				for _, c := range batch {
					if !first {
						if err := tx.Change(c); err != nil {
							return err
						}
					}
				}
				if !first {
					return nil
				}
				var record []byte
				for _, c := range batch {
					record = appendChange(record, c, Change{})
				}
				last := s.last.Add(uint64(len(batch)))
				return tx.set(changeKey(last), key(nil).u32(uint32(len(batch))), record)
			})
			if err != nil {
				rt.Fatal(err)
			}
			want = append(want, batch...)
		}
		for from := range want {
			got, err := s.Changes(uint64(from), len(want))
			if err != nil || len(got) != len(want)-from {
				rt.Fatalf("from %d: %d of %d, %v", from, len(got), len(want)-from, err)
			}
			for i, c := range got {
				if !reflect.DeepEqual(c, NumberedChange{uint64(from + i + 1), want[from+i]}) {
					rt.Fatalf("change %d is of %q in %s with %d bytes, not %q in %s with %d, or else another",
						c.N, c.Type, c.Group.Short(), len(c.Data), want[from+i].Type, want[from+i].Group.Short(), len(want[from+i].Data))
				}
			}
		}
		if rep, err := s.Check(context.Background(), hashOf); err != nil || rep.Changes != len(want) || rep.Total > 0 {
			rt.Fatalf("Check: %+v, %v", rep, err)
		}
	})
}

// TestChangeVector is a record as it lies on disks.
func TestChangeVector(t *testing.T) {
	first := Change{Kind: Update, Type: "x", Ms: 7, Data: []byte("{}")}
	first.Group[0], first.Object[0] = 1, 2
	second := first
	second.Object[0] = 3
	got := appendChange(appendChange(nil, first, Change{}), second, first)
	rest := func(object string) string {
		return object + strings.Repeat("00", 31) + "0000000000000007" + "00000002" + "7b7d"
	}
	want := "01" + "0178" + "01" + strings.Repeat("00", 31) + rest("02") + "81" + rest("03")
	if fmt.Sprintf("%x", got) != want {
		t.Errorf("%x, not %s", got, want)
	}
}
