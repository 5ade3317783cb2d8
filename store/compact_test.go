package store

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	W "mutuals/identity/wire"
)

// bytesOf sums the files of a database whose names end in a suffix.
func bytesOf(t *testing.T, dir, suffix string) (sum int64) {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(dir, databaseFolder))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), suffix) {
			info, err := f.Info()
			if err != nil {
				t.Fatal(err)
			}
			sum += info.Size()
		}
	}
	return sum
}

// What was replaced by less is off the disk after Compact, and every row that
// is left reads as before.
func TestCompactGivesBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	small := Options{MemTable: MemTableBytes / 4} // so that not all is in the newest tables
	s := openTest(t, dir, small)
	g, inc := groupID("g"), opID("inc", 0)
	const many, each = 25_000, 125
	write := func(size int) {
		for from := uint64(1); from <= many; from += each {
			update(t, s, func(tx *Tx) error {
				var id W.OpID
				for seq := from; seq < from+each; seq++ {
					frame := make([]byte, size)
					rand.Read(frame)
					id = opID("op", seq)
					if err := tx.PutOp(g, inc, 1, seq, id, frame); err != nil {
						return err
					}
				}
				return tx.PutHead(g, inc, 1, Head{Seq: from + each - 1, ID: id})
			})
		}
		if err := s.Compact(); err != nil {
			t.Fatal(err)
		}
	}
	write(3000)
	if err := s.Close(); err != nil { // what is in memory goes into tables
		t.Fatal(err)
	}
	before := bytesOf(t, dir, ".sst")
	s = openTest(t, dir, small)
	write(100)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, dir, small)
	if err := s.Compact(); err != nil {
		t.Fatal(err)
	}
	after := bytesOf(t, dir, ".sst")
	if after > before/2 {
		t.Errorf("%d bytes of tables before, %d after", before, after)
	}
	n := 0
	view(t, s, func(tx *Tx) error {
		return tx.EachOp(g, inc, 1, 1, many, func(op StoredOp) error {
			if n++; op.Seq != uint64(n) || len(op.Frame) != 100 {
				t.Fatalf("operation %d with %d bytes where %d should be", op.Seq, len(op.Frame), n)
			}
			return nil
		})
	})
	if n != many {
		t.Errorf("%d of %d operations are left", n, many)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if log := bytesOf(t, dir, ".vlog"); log > 1<<10 {
		t.Errorf("%d bytes in the value log", log)
	}
	if err := s.Compact(); err != ErrClosed {
		t.Errorf("compacting a closed store: %v", err)
	}
}
