package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	W "mutuals/identity/wire"
)

// one gives the only, or the largest, file of a database that fits a pattern.
func one(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, databaseFolder, pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("no file %s: %v", pattern, err)
	}
	best, size := "", int64(-1)
	for _, path := range found {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > size {
			best, size = path, info.Size()
		}
	}
	return best
}

// A table that is gone is said to be; the others are left.
func TestTableDeleted(t *testing.T) {
	dir := filled(t, true)
	path, tables := one(t, dir, "*.sst"), tableFiles(t, dir)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir, testKey, Options{})
	if err == nil {
		s.Close()
	}
	if !isDamaged(err) {
		t.Errorf("Open: %v", err)
	}
	if left := tableFiles(t, dir); left != tables-1 {
		t.Errorf("%d tables of %d are left", left, tables-1)
	}
}

// The value log holds nothing: what becomes of it is no damage.
func TestValueLogIsNoLoss(t *testing.T) {
	for _, fault := range []string{"deleted", "cut", "DISCARD flipped", "DISCARD deleted"} {
		dir := filled(t, true)
		switch fault {
		case "DISCARD flipped", "DISCARD deleted":
			mangle(t, filepath.Join(dir, databaseFolder, "DISCARD"), fault[len("DISCARD "):])
		default:
			mangle(t, one(t, dir, "*.vlog"), fault)
		}
		t.Log(fault)
		isWhole(t, dir, Options{})
	}
}

// A damaged memtable log is cut where the damage begins: what was written last is
// gone, transaction by transaction, and what is there agrees with its heads.
// Numbers of changes that are given again have another epoch (SPEC.md C4); who
// asks members for what is above the heads gets it back.
func TestMemtableLogDamaged(t *testing.T) {
	for _, fault := range []string{"cut", "flipped"} {
		live := filepath.Join(t.TempDir(), "store")
		s := openTest(t, live, Options{})
		g, inc := groupID("g"), opID("inc", 0)
		const many = 200
		for seq := uint64(1); seq <= many; seq++ {
			update(t, s, func(tx *Tx) error {
				frame := fmt.Appendf(nil, "frame %d", seq)
				id := W.Hash(frame)
				return all(tx.PutOp(g, inc, 1, seq, id, frame), tx.PutEntry(g, seq, id, Byline{}, frame),
					tx.Change(Change{Type: "message.created", Group: g, Object: id}),
					tx.PutHead(g, inc, 1, Head{Seq: seq, ID: id}))
			})
		}
		dir := copyOf(t, live)
		path := one(t, dir, "*.mem")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		used := len(b)
		for used > 0 && b[used-1] == 0 {
			used--
		}
		if at := used / 2; fault == "cut" {
			err = os.WriteFile(path, b[:at], 0o600)
		} else {
			b[at] ^= 0x55
			err = os.WriteFile(path, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		hurt, err := Open(dir, testKey, Options{})
		if err != nil {
			t.Fatalf("%s: %v", fault, err)
		}
		rep, err := hurt.Check(t.Context(), hashOf)
		if err != nil || rep.Total > 0 || rep.Ops == 0 || rep.Ops >= many || rep.Ops != rep.Entries || rep.Ops != rep.Changes {
			t.Errorf("%s: %+v, error %v", fault, rep, err)
		}
		view(t, hurt, func(tx *Tx) error {
			if h, ok, err := tx.HeadOf(g, inc, 1); err != nil || !ok || h.Seq != uint64(rep.Ops) {
				t.Errorf("%s: head %d above %d operations: %v", fault, h.Seq, rep.Ops, err)
			}
			return nil
		})
		if err := hurt.Close(); err != nil && !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
}

// Of a store whose log was emptied what lies in tables is whole; where nothing does it is
// not taken for a new one.
func TestMemtableLogEmptied(t *testing.T) {
	empty := func(dir string) {
		if err := os.Truncate(one(t, dir, "*"+memSuffix), 0); err != nil {
			t.Fatal(err)
		}
	}
	dir := filled(t, false)
	empty(dir)
	isWhole(t, dir, Options{})

	live := filepath.Join(t.TempDir(), "store")
	s := openTest(t, live, Options{})
	update(t, s, func(tx *Tx) error { return tx.PutSetting("a", []byte{1}) })
	dir = copyOf(t, live)
	empty(dir)
	if _, err := Open(dir, testKey, Options{}); !errors.Is(err, ErrDamaged) {
		t.Errorf("a store without tables whose log was emptied: %v", err)
	}
}

// A process may be killed between making a log of Badger's and giving it its size, and
// while Badger deletes one, which it cuts first; later ones are there then.
func TestLogsBeingMade(t *testing.T) {
	for _, made := range []string{"000077.vlog", "00077.mem", "00000.mem"} {
		dir := filled(t, made != "00000.mem") // beside a log in use, or none
		path := filepath.Join(dir, databaseFolder, made)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Log(made)
		isWhole(t, dir, Options{})
	}
}
