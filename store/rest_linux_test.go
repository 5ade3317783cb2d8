package store

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/dgraph-io/badger/v4"

	W "mutuals/identity/wire"
)

// mappedTables is how much of a database's tables is mapped, in KiB.
func mappedTables(t *testing.T, dir string) (sum int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	table := false
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if !strings.HasSuffix(f[0], ":") {
			table = strings.Contains(line, dir) && strings.HasSuffix(line, ".sst\n")
		} else if f[0] == "Rss:" && table {
			kb, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			sum += kb
		}
	}
	return sum
}

// indexesKept is of how many of the tables the index is in memory.
func indexesKept(t *testing.T, s *Store, tables []badger.TableInfo) (n int) {
	t.Helper()
	indexes, ok := cachedIndexes(s.db)
	if !ok {
		t.Fatal("this Badger keeps its indexes in another way")
	}
	indexes.Wait()
	for _, table := range tables {
		if _, ok := indexes.Get(table.ID); ok {
			n++
		}
	}
	return n
}

// putOps writes operations from to to of a chain, each with its frame.
func putOps(t *testing.T, s *Store, g W.GroupID, inc W.OpID, from, to uint64) {
	t.Helper()
	update(t, s, func(tx *Tx) error {
		for seq := from; seq <= to; seq++ {
			if err := tx.PutOp(g, inc, 1, seq, opID("op", seq), restFrame(seq)); err != nil {
				return err
			}
		}
		return tx.PutHead(g, inc, 1, Head{Seq: to, ID: opID("op", to)})
	})
}

func restFrame(seq uint64) []byte {
	id := opID("frame", seq)
	return []byte(strings.Repeat(string(id[:]), 20))
}

// readOps reads the operations of a chain and compares them.
func readOps(s *Store, g W.GroupID, inc W.OpID, to uint64) (wrong int, err error) {
	err = s.View(func(tx *Tx) error {
		for seq := uint64(1); seq <= to; seq++ {
			ops, err := tx.Op(g, inc, 1, seq)
			if err != nil {
				return err
			}
			if len(ops) != 1 || string(ops[0].Frame) != string(restFrame(seq)) {
				wrong++
			}
		}
		return nil
	})
	return wrong, err
}

// A store at rest has no table mapped that it read, though the folder is named by
// a link; and reads as before.
func TestRest(t *testing.T) {
	real, dir := t.TempDir(), filepath.Join(t.TempDir(), "store")
	if err := os.Symlink(real, dir); err != nil {
		t.Fatal(err)
	}
	g, inc := groupID("g"), opID("inc", 0)
	const many = 3000
	s := openTest(t, dir, Options{})
	putOps(t, s, g, inc, 1, many)
	if err := s.Close(); err != nil { // what is in memory goes into tables
		t.Fatal(err)
	}
	s = openTest(t, dir, Options{})
	for range 2 {
		if wrong, err := readOps(s, g, inc, many); wrong > 0 || err != nil {
			t.Fatalf("%d operations are not what was written: %v", wrong, err)
		}
		tables := s.db.Tables()
		if indexesKept(t, s, tables) == 0 {
			t.Fatal("no index is kept of tables that were read")
		}
		if mappedTables(t, real) == 0 {
			t.Fatal("nothing is mapped of tables that were read")
		}
		if err := s.Rest(); err != nil {
			t.Fatal(err)
		}
		if kb := mappedTables(t, real); kb > 0 {
			t.Errorf("%d KiB of tables are mapped at rest", kb)
		}
		if n := indexesKept(t, s, tables); n > 0 {
			t.Errorf("the indexes of %d tables are kept at rest", n)
		}
		// Or it would be read from the cache of blocks.
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openTest(t, dir, Options{})
	}
}

// Tables come and go while the store rests, and none that took the place of
// another is harmed.
func TestRestBesideCompaction(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "store"), Options{})
	g, inc := groupID("g"), opID("inc", 0)
	const many, each = 20_000, 500
	var resting sync.WaitGroup
	stop := make(chan struct{})
	resting.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := s.Rest(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for from := uint64(1); from < many; from += each {
		putOps(t, s, g, inc, from, from+each-1)
	}
	if err := s.Compact(); err != nil {
		t.Error(err)
	}
	close(stop)
	resting.Wait()
	if wrong, err := readOps(s, g, inc, many); wrong > 0 || err != nil {
		t.Errorf("%d operations are not what was written: %v", wrong, err)
	}
}
