package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// migrateEnv makes the test binary a child that migrates; its value is the
// folder.
const migrateEnv = "MUTUALS_STORE_MIGRATE"

// pieces is in how many transactions toNext does its work.
const pieces = 5

// toNext is a step of a program to come: it writes one row a piece, refusing to
// write one twice, and tells of each before the next.
func toNext(tell func(piece int)) []migration {
	return append(slices.Clone(steps), migration{To: Format + 1, Run: func(tx *Tx, at []byte) ([]byte, error) {
		piece := 0
		if len(at) > 0 {
			piece = int(at[0])
		}
		tell(piece)
		name := fmt.Sprint("piece ", piece)
		if _, there, err := tx.Setting(name); err != nil || there {
			return nil, errors.Join(err, fmt.Errorf("%s was written before", name))
		}
		if err := tx.PutSetting(name, []byte("x")); err != nil {
			return nil, err
		}
		if piece++; piece == pieces {
			return nil, nil
		}
		return []byte{byte(piece)}, nil
	}})
}

// migrateSlowly acknowledges each piece once it is committed, and hangs in the
// last.
func migrateSlowly(dir string) {
	_, err := Open(dir, testKey, Options{steps: toNext(func(piece int) {
		fmt.Println("ack", piece)
		if piece == pieces-1 {
			time.Sleep(time.Hour) // until the parent kills
		}
	})})
	fmt.Println("error", err)
	os.Exit(1)
}

// isWhole opens a store as some program does, and checks it.
func isWhole(t *testing.T, dir string, o Options) {
	t.Helper()
	s, err := Open(dir, testKey, o)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := s.Check(t.Context(), hashOf)
	if err != nil || rep.Total > 0 || rep.Ops != 500 {
		t.Errorf("%d operations, problems %+v, error %v", rep.Ops, rep.Problems, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A store is copied before it is migrated. The older program refuses the
// migrated one, by name and number, and opens the copy, which has everything; a
// store that was in use since has no copy any more (SPEC.md M3).
func TestMigrationCopiesFirst(t *testing.T) {
	for _, clean := range []bool{true, false} {
		dir := filled(t, clean)
		// A copy that a crash cut off counts as none.
		half := filepath.Join(dir, beforeFolder(Format)+".new")
		if err := os.MkdirAll(filepath.Join(half, "db", "000001.sst"), 0o700); err != nil {
			t.Fatal(err)
		}
		next := Options{steps: toNext(func(int) {})}
		isWhole(t, dir, next)
		var newer *NewerFormatError
		if _, err := Open(dir, testKey, Options{}); !errors.As(err, &newer) || newer.Found != Format+1 || newer.Known != Format {
			t.Errorf("the older program says: %v", err)
		}
		before := filepath.Join(dir, beforeFolder(Format))
		old := copyOf(t, before)
		isWhole(t, old, Options{})
		isWhole(t, dir, next)
		for _, gone := range []string{before, half} {
			if _, err := os.Stat(gone); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is still there: %v", filepath.Base(gone), err)
			}
		}
	}
}

// Killed in the middle, a migration goes on where it was, and the copy is of
// before it.
func TestMigrationKilled(t *testing.T) {
	for _, acks := range []int{1, 3, pieces} {
		dir := filled(t, true)
		runAndKill(t, migrateEnv, dir, acks)
		old := copyOf(t, filepath.Join(dir, beforeFolder(Format)))
		isWhole(t, old, Options{})
		s := openTest(t, dir, Options{steps: toNext(func(int) {})})
		view(t, s, func(tx *Tx) error {
			for piece := range pieces {
				if _, ok, err := tx.Setting(fmt.Sprint("piece ", piece)); err != nil || !ok {
					t.Errorf("piece %d is missing: %v", piece, err)
				}
			}
			return nil
		})
		rep, err := s.Check(t.Context(), hashOf)
		if err != nil || rep.Total > 0 || rep.Ops != 500 {
			t.Errorf("%d operations, problems %+v, error %v", rep.Ops, rep.Problems, err)
		}
	}
}

// Who goes back to the copy may have spoken since: it is not taken for a store that was
// closed properly, and gives its changes' numbers under another name (SPEC.md M3).
func TestCopyIsNotTheNewest(t *testing.T) {
	dir := filled(t, true)
	s := openTest(t, dir, Options{steps: toNext(func(int) {})})
	epoch := s.Epoch()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, copyOf(t, filepath.Join(dir, beforeFolder(Format))), Options{})
	if s.Clean() || syncsItself && s.Epoch() == epoch {
		t.Errorf("closed properly: %v; epoch %s after %s", s.Clean(), s.Epoch(), epoch)
	}
}

// A program that dies once it has begun leaves the way back: the copy goes when the store
// is opened after it was closed.
func TestCopyOutlivesADeath(t *testing.T) {
	dir, next := filled(t, true), Options{steps: toNext(func(int) {})}
	killed := func(dir string) string {
		s := openTest(t, dir, next)
		defer s.Close()
		return copyOf(t, dir)
	}
	there := func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, beforeFolder(Format)))
		return err == nil
	}
	dir = killed(killed(dir))
	isWhole(t, dir, next)
	if !there(dir) {
		t.Error("it went though the store was never closed")
	}
	isWhole(t, dir, next)
	if there(dir) {
		t.Error("it stays")
	}
}

// A copy that cannot be made leaves nothing behind: maybe it was that the disk is full.
func TestNoHalfCopyStays(t *testing.T) {
	dir := filled(t, true)
	if err := os.Mkdir(filepath.Join(dir, databaseFolder, "no file"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, testKey, Options{steps: toNext(func(int) {})}); err == nil {
		t.Fatal("copied")
	}
	if found, err := filepath.Glob(filepath.Join(dir, "before-*")); err != nil || len(found) > 0 {
		t.Errorf("%v stay: %v", found, err)
	}
}
