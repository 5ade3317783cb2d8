package store

import (
	"context"
	"errors"
	"fmt"
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
