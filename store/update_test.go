package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestUpdateFailureLeavesNothing(t *testing.T) {
	s := openTest(t, "", Options{InMemory: true})
	boom := errors.New("boom")
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			err := s.Update(context.Background(), func(tx *Tx) error {
				name := fmt.Sprint("n", i)
				if err := all(tx.PutSetting(name, []byte("v")), tx.Change(Change{Type: name})); err != nil {
					return err
				}
				if err := tx.PutGroup(GroupRow{ID: groupID(name)}); err != nil {
					return err
				}
				if i%3 == 0 {
					return boom
				}
				return nil
			})
			if (i%3 == 0) != errors.Is(err, boom) {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	got, err := s.Changes(0, 1000)
	if err != nil || len(got) != 133 || s.LastChange() != 133 {
		t.Fatalf("%d changes, last %d, %v", len(got), s.LastChange(), err)
	}
	view(t, s, func(tx *Tx) error {
		for i := range 200 {
			name := fmt.Sprint("n", i)
			_, ok, err := tx.Setting(name)
			g, ok2, err2 := tx.Group(groupID(name))
			if err := all(err, err2); err != nil {
				return err
			}
			if ok != (i%3 != 0) || ok2 != ok || ok && g.ID != groupID(name) {
				t.Errorf("setting %d: %v, group: %v", i, ok, ok2)
			}
		}
		return nil
	})
}

func TestUpdateTooLargeHurtsOnlyItself(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			rows := 30
			if i == 7 {
				rows = 60 // of 60 KiB: more than Badger takes
			}
			err := s.Update(context.Background(), func(tx *Tx) error {
				for r := range rows {
					if err := tx.PutSetting(fmt.Sprint(i, "-", r), make([]byte, 60<<10)); err != nil {
						return err
					}
				}
				return nil
			})
			if (i == 7) != errors.Is(err, ErrTooLarge) {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	view(t, s, func(tx *Tx) error {
		_, ok, err := tx.Setting("7-0")
		if ok {
			t.Error("a part of the refused update was kept")
		}
		_, ok, err2 := tx.Setting("19-29")
		if !ok {
			t.Error("a good update was lost")
		}
		return all(err, err2)
	})
	err := s.Update(context.Background(), func(tx *Tx) error { return tx.PutSetting("big", make([]byte, MaxValue+1)) })
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("value past its bound: %v", err)
	}
}

func TestPanicGoesOnInItsCaller(t *testing.T) {
	s := openTest(t, "", Options{InMemory: true})
	defer func() {
		if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "mine") {
			t.Errorf("recovered %v", p)
		}
		update(t, s, func(tx *Tx) error { return tx.PutSetting("a", nil) })
	}()
	s.Update(context.Background(), func(*Tx) error { panic("mine") })
}

func TestClosed(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	waiting := make(chan error)
	go func() {
		_, err := s.Tail(context.Background(), 0, 1)
		waiting <- err
	}()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; !errors.Is(err, ErrClosed) {
		t.Errorf("Tail: %v", err)
	}
	if err := s.View(func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("View: %v", err)
	}
	if err := s.Update(context.Background(), func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("Update: %v", err)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	openTest(t, dir, Options{})
	_, err := Open(dir, testKey, Options{})
	var inUse *InUseError
	if !errors.As(err, &inUse) || !errors.Is(err, ErrInUse) || inUse.PID != os.Getpid() {
		t.Fatalf("got %v", err)
	}
}

func TestNothingReadableOnDisk(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	secret := []byte("the plaintext nobody may find on the disk")
	update(t, s, func(tx *Tx) error {
		return all(
			tx.PutEntry(groupID("g"), 1, opID("o", 1), Byline{}, secret),
			tx.PutSetting(string(secret), secret),
			tx.Change(Change{Type: "message.created", Data: secret}),
		)
	})
	search := func(when string) {
		files := 0
		filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
			if err != nil || info.IsDir() {
				return err
			}
			files++
			b, err := os.ReadFile(path)
			if bytes.Contains(b, secret[4:20]) {
				t.Errorf("%s: %s holds the plaintext", when, info.Name())
			}
			return err
		})
		if files < 4 {
			t.Errorf("%s: only %d files", when, files)
		}
	}
	search("open")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	search("closed")
	if _, err := Open(dir, [32]byte{9}, Options{}); !errors.Is(err, ErrWrongKey) {
		t.Errorf("wrong key: %v", err)
	}
	openTest(t, dir, Options{}) // the refusal broke nothing
}

// TestLargestValues stores a wrap set and values at their bounds.
func TestLargestValues(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
	g, big := groupID("g"), bytes.Repeat([]byte("big"), MaxValue/3-10)
	wraps := bytes.Repeat([]byte("wraps"), MaxWraps/5)
	update(t, s, func(tx *Tx) error { return tx.PutWraps(g, opID("r", 1), wraps) })
	update(t, s, func(tx *Tx) error { return tx.PutOp(g, opID("inc", 1), 0, 1, opID("o", 1), big) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	logs, _ := filepath.Glob(filepath.Join(dir, "db", "*.vlog"))
	for _, path := range logs {
		if info, err := os.Stat(path); err != nil || info.Size() > 64 { // its header
			t.Errorf("the value log was written to: %d bytes, %v", info.Size(), err)
		}
	}
	s = openTest(t, dir, Options{})
	view(t, s, func(tx *Tx) error {
		w, _, err := tx.Wraps(g, opID("r", 1))
		op, _, err2 := tx.OpByID(g, opID("o", 1))
		if !bytes.Equal(w, wraps) || !bytes.Equal(op.Frame, big) {
			t.Error("large values came back otherwise")
		}
		return all(err, err2)
	})
}

// TestPlaceOfWhatComesAndGoesInOneBatch: an operation, its entry and what takes
// them away again agree, though the row that both share is written at the end.
func TestPlaceOfWhatComesAndGoesInOneBatch(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	g, inc, id, other := groupID("g"), opID("inc", 0), opID("a", 1), opID("b", 2)
	update(t, s, func(tx *Tx) error {
		return all(
			tx.PutOp(g, inc, 1, 1, id, []byte("frame")),
			tx.PutEntry(g, 7, id, Byline{}, []byte("entry")),
			tx.PutOp(g, inc, 1, 2, other, []byte("frame")),
			tx.PutEntry(g, 8, other, Byline{}, []byte("entry")),
			tx.PutEntry(g, 9, other, Byline{}, []byte("moved")),
			tx.DeleteEntry(g, id),
			tx.DeleteOp(g, inc, 1, id),
		)
	})
	view(t, s, func(tx *Tx) error {
		_, here, err := tx.OpByID(g, id)
		_, entered, entryErr := tx.Entry(g, id)
		e, _, otherErr := tx.Entry(g, other)
		page, pageErr := tx.PageEntries(g, Cursor{}, Before, 10)
		if here || entered || e.OrderMs != 9 || string(e.Data) != "moved" || len(page) != 1 {
			t.Errorf("here %v, entered %v, the other at %d, %d entries", here, entered, e.OrderMs, len(page))
		}
		return all(err, entryErr, otherErr, pageErr)
	})
	rows := 0
	view(t, s, func(tx *Tx) error {
		return tx.EachRow(func(key, _ []byte) error {
			if key[0] == pWhere {
				rows++
			}
			return nil
		})
	})
	if rows != 1 {
		t.Errorf("%d places, not 1", rows)
	}
}

// With a smaller memtable a transaction is full earlier, and one that does not fit
// is still refused whole.
func TestMemTable(t *testing.T) {
	value := make([]byte, 64<<10)
	fill := func(o Options) (n int) {
		s := openTest(t, t.TempDir(), o)
		update(t, s, func(tx *Tx) error {
			for n = 0; !tx.Full(); n++ {
				if err := tx.PutSetting(fmt.Sprint("row", n), value); err != nil {
					return err
				}
			}
			return nil
		})
		err := s.Update(context.Background(), func(tx *Tx) error {
			for i := range 8 * n {
				if err := tx.PutSetting(fmt.Sprint("more", i), value); err != nil {
					return err
				}
			}
			return nil
		})
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("eight times what makes a transaction full: %v", err)
		}
		return n
	}
	if usual, small := fill(Options{}), fill(Options{MemTable: MemTableBytes / 4}); usual != 4*small {
		t.Errorf("full after %d rows, with a quarter of the memtable after %d", usual, small)
	}
}
