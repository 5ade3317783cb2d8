package store

import (
	"fmt"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"

	"mutuals/store/mapped"
)

// Rest lets go of what was read of tables: their indexes, which Badger keeps of those
// too that are gone, until others push them out; and, where the system offers such a
// thing, their pages: Badger maps them, so all
// that was ever read counts as memory of the process. They stay in the system's
// cache for as long as nobody needs the room, and reading them again asks no
// disk. It is for when little is read.
func (s *Store) Rest() (err error) {
	if !s.enter() {
		return ErrClosed
	}
	defer s.inside.Done()
	if s.opts.InMemory {
		return nil
	}
	defer guard("resting the database", &err)
	dir, err := filepath.Abs(s.databaseDir())
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir) // as the system names it
	}
	if err != nil {
		return fmt.Errorf("finding the database: %w", err)
	}
	files := map[string]bool{}
	defer s.holdTables(dir, files)()
	if indexes, ok := cachedIndexes(s.db); ok {
		indexes.Clear() // to list the tables was to read them all
	}
	return mapped.Drop(func(path string) bool { return files[path] })
}

// holdTables notes the tables in dir of this moment, none of which is unmapped
// until release is called.
func (s *Store) holdTables(dir string, files map[string]bool) (release func()) {
	before := map[uint64]bool{}
	for _, t := range s.db.Tables() {
		before[t.ID] = true
	}
	// An iterator holds all tables that are there when it is made, which those are
	// that were there before and are after: their numbers are not given again.
	txn := s.db.NewTransaction(false)
	it := txn.NewIterator(badger.IteratorOptions{})
	for _, t := range s.db.Tables() {
		if before[t.ID] {
			files[table.NewFilename(t.ID, dir)] = true
		}
	}
	return func() {
		it.Close()
		txn.Discard()
	}
}
