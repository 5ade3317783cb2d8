package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/y"

	W "mutuals/identity/wire"
)

// manyBlocks makes a store of some tables with a hundred blocks or so, in which rows were
// written over and deleted, and returns its folder.
func manyBlocks(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	g := groupID("g")
	for n := range uint64(8) {
		s := openTest(t, dir, Options{})
		inc := opID("inc", n)
		update(t, s, func(tx *Tx) error {
			var id W.OpID
			for seq := uint64(1); seq <= 400; seq++ {
				frame := fmt.Appendf(nil, "frame %d %d %s", n, seq, strings.Repeat("x", 200))
				id = W.Hash(frame)
				if err := all(tx.PutOp(g, inc, 1, seq, id, frame), tx.PutEntry(g, seq, id, Byline{}, frame)); err != nil {
					return err
				}
			}
			return tx.PutHead(g, inc, 1, Head{Seq: 400, ID: id})
		})
		update(t, s, func(tx *Tx) error {
			for i := range 50 {
				if err := tx.PutSetting(fmt.Sprint("s", i), fmt.Appendf(nil, "%d %s", n, strings.Repeat("y", 100))); err != nil {
					return err
				}
			}
			return tx.DeleteSetting(fmt.Sprint("s", n))
		})
		if err := s.Close(); err != nil { // a table of its own
			t.Fatal(err)
		}
	}
	return dir
}

// rowsOf are all rows that a store shows, but those of its own counts.
func rowsOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	s := openTest(t, dir, Options{})
	defer s.Close()
	rows := map[string]string{}
	if err := s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			v, err := it.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			if k := string(it.Item().Key()); k[0] != pMeta {
				rows[k] = string(v)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return rows
}

// where a block lies.
type place struct {
	id uint64
	at fb.BlockOffset
	n  int
}

// eachBlock calls fn for all blocks of a store's tables.
func eachBlock(t *testing.T, dir string, fn func(l *sstList, p place, rows []sstEntry, err error)) {
	t.Helper()
	l, err := openList(filepath.Join(dir, databaseFolder), testKey)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	for _, id := range slices.Sorted(maps.Keys(l.tables)) {
		tab, err := l.open(id)
		if err != nil {
			t.Fatal(err)
		}
		for i := range tab.blocks() {
			p := place{id: id, n: i}
			tab.index.Offsets(&p.at, i)
			rows, err := tab.block(i)
			fn(l, p, rows, err)
		}
		tab.close()
	}
}

// TestMend damages blocks here and there. Each is found; all rows but those that lay in
// them are there after Mend, and nothing that was written over or deleted since comes back
// but where the newer row was in such a block.
func TestMend(t *testing.T) {
	made := manyBlocks(t)
	before := rowsOf(t, made)
	for seed := range uint64(6) {
		draw := rand.New(rand.NewPCG(seed, 1))
		dir := copyOf(t, made)
		var all []place
		eachBlock(t, dir, func(_ *sstList, p place, _ []sstEntry, err error) {
			if err != nil {
				t.Fatalf("a block of a whole table: %v", err)
			}
			all = append(all, p)
		})
		if len(all) < 60 {
			t.Fatalf("%d blocks are too few", len(all))
		}
		hit := map[string]int{}
		for _, i := range draw.Perm(len(all))[:1+draw.IntN(4)] {
			p := all[i]
			path := filepath.Join(dir, databaseFolder, fmt.Sprintf("%06d.sst", p.id))
			flipAt(t, path, int64(p.at.Offset())+draw.Int64N(int64(p.at.Len())-8))
			hit[filepath.Base(path)]++
		}
		s := openTest(t, dir, Options{})
		found, err := s.Scrub(context.Background())
		if err != nil || !maps.Equal(bad(found), hit) {
			t.Fatalf("seed %d: Scrub finds %v, damaged are %v; %v", seed, found, hit, err)
		}
		if _, err := Mend(dir, testKey, Options{}); !errors.As(err, new(*InUseError)) {
			t.Errorf("Mend of an open store: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		// What is to be there: of each key the newest version that can be read.
		want, newest, lost := map[string]string{}, map[string]uint64{}, map[string]bool{}
		eachBlock(t, dir, func(_ *sstList, p place, rows []sstEntry, err error) {
			for _, r := range rows {
				k, ts := string(y.ParseKey(r.key)), y.ParseTs(r.key)
				if ts >= newest[k] && k[0] != pMeta && !strings.HasPrefix(k, "!badger!") {
					newest[k], want[k] = ts, string(r.value.Value)
					if r.value.Meta&1 != 0 { // a tombstone
						delete(want, k)
					}
				}
			}
		})
		for k, v := range before {
			if want[k] != v {
				lost[k] = true
			}
		}
		cut, err := Mend(dir, testKey, Options{})
		if err != nil || !maps.Equal(bad(cut), hit) {
			t.Fatalf("seed %d: Mend cuts %v; %v", seed, cut, err)
		}
		for name := range hit {
			if _, err := os.Stat(filepath.Join(dir, damagedFolder, name)); err != nil {
				t.Errorf("the damaged table is not kept: %v", err)
			}
		}
		after := rowsOf(t, dir)
		if !maps.Equal(after, want) {
			t.Errorf("seed %d: %d rows after Mend, want %d", seed, len(after), len(want))
		}
		for k, v := range before {
			if !lost[k] && after[k] != v {
				t.Errorf("seed %d: a row of table %q that was whole is %q", seed, k[0], after[k])
			}
		}
		if len(lost) > 800 { // a block of 16 KiB holds rows of 50 bytes and more
			t.Errorf("seed %d: %d rows are lost by %v", seed, len(lost), hit)
		}
		if again, err := Mend(dir, testKey, Options{}); again != nil || err != nil {
			t.Errorf("Mend again: %v %v", again, err)
		}
	}
}

func bad(all []TableDamage) map[string]int {
	out := map[string]int{}
	for _, d := range all {
		out[d.Name] = d.Bad
	}
	return out
}

func flipAt(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 8)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] ^= 0x55
	}
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// TestMendWholeTables damages tables so that nothing leads to their blocks: they are let
// go, and the others are read.
func TestMendWholeTables(t *testing.T) {
	made := manyBlocks(t)
	for _, fault := range []string{"cut", "emptied", "deleted", "index flipped"} {
		t.Run(fault, func(t *testing.T) {
			dir := copyOf(t, made)
			tables, _ := filepath.Glob(filepath.Join(dir, databaseFolder, "*.sst"))
			if len(tables) < 2 {
				t.Fatal("the test needs tables")
			}
			if fault == "index flipped" {
				info, err := os.Stat(tables[0])
				if err != nil {
					t.Fatal(err)
				}
				flipAt(t, tables[0], info.Size()-200)
			} else {
				mangle(t, tables[0], fault)
			}
			cut, err := Mend(dir, testKey, Options{})
			if err != nil || len(cut) != 1 || cut[0].Name != filepath.Base(tables[0]) || cut[0].Bad != cut[0].Blocks {
				t.Fatalf("Mend: %v %v", cut, err)
			}
			s := openTest(t, dir, Options{})
			if s.Clean() {
				t.Error("it counts as one that was closed")
			}
			rep, err := s.Check(context.Background(), hashOf)
			if err != nil || rep.Ops == 0 {
				t.Errorf("Check: %d operations, %v", rep.Ops, err)
			}
			s.Close()
			if _, err := os.Stat(filepath.Join(dir, damagedFolder, filepath.Base(tables[0]))); (err == nil) == (fault == "deleted") {
				t.Errorf("kept: %v", err)
			}
		})
	}
}

// TestMendRefuses: what is whole is left alone to the byte, and what Restore is for too.
func TestMendRefuses(t *testing.T) {
	for _, clean := range []bool{true, false} {
		dir := filled(t, clean)
		files := filesOf(t, dir)
		if cut, err := Mend(dir, testKey, Options{}); cut != nil || err != nil || !maps.EqualFunc(filesOf(t, dir), files, bytes.Equal) {
			t.Errorf("clean %v: a whole store: %v %v, or its files are others", clean, cut, err)
		}
		if _, err := Mend(dir, [32]byte{9}, Options{}); !errors.Is(err, ErrWrongKey) {
			t.Errorf("the wrong key: %v", err)
		}
	}
	dir := filled(t, true)
	mangle(t, filepath.Join(dir, databaseFolder, badger.ManifestFilename), "flipped")
	files := filesOf(t, dir)
	if _, err := Mend(dir, testKey, Options{}); !isDamaged(err) || !maps.EqualFunc(filesOf(t, dir), files, bytes.Equal) {
		t.Errorf("a damaged MANIFEST: %v, or its files are others", err)
	}
}

func filesOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, pattern := range []string{"*", "*/*"} {
		paths, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, path := range paths {
			if b, err := os.ReadFile(path); err == nil && !strings.HasSuffix(path, lockName) && !strings.HasSuffix(path, ballastFile) {
				files[path] = b
			}
		}
	}
	return files
}

// TestMendKeepsTheLog: what a killed process had committed lies in a log, and is there
// after its tables were mended.
func TestMendKeepsTheLog(t *testing.T) {
	dir := filled(t, false) // its setting "after" is in the log alone
	tables, _ := filepath.Glob(filepath.Join(dir, databaseFolder, "*.sst"))
	flipAt(t, tables[0], 100)
	if cut, err := Mend(dir, testKey, Options{}); err != nil || len(cut) != 1 {
		t.Fatalf("Mend: %v %v", cut, err)
	}
	s := openTest(t, dir, Options{})
	if err := s.View(func(tx *Tx) error {
		b, ok, err := tx.Setting("after")
		if !ok || string(b) != "x" {
			t.Errorf("the log's row: %q %v", b, ok)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
