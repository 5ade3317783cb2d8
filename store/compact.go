package store

import (
	"errors"

	"github.com/dgraph-io/badger/v4"
)

// Compact gives back to the disk what deleted and replaced rows take: Badger
// rewrites old tables only where new rows fall into them, and of those that lie
// deepest never by itself. It reads and writes the whole database, so it is for
// after much was deleted; reads and writes go on meanwhile. Close waits for it.
func (s *Store) Compact() (err error) {
	if !s.enter() {
		return ErrClosed
	}
	defer s.inside.Done()
	switch s.Disk().State {
	case DiskOK, DiskSlow:
	default:
		return ErrDiskFull // it needs room for what it rewrites
	}
	defer guard("compacting the database", &err)
	if err := s.db.Flatten(1); err != nil {
		return err
	}
	if s.opts.InMemory {
		return nil
	}
	// No value of ours lies in the value log (SPEC.md D2): there is nothing to
	// rewrite, but for what a later version may have put there. That would be
	// written to the log, which nobody does without the turn.
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	err = s.db.RunValueLogGC(0.5)
	if errors.Is(err, badger.ErrNoRewrite) || errors.Is(err, badger.ErrRejected) {
		return nil
	}
	return err
}
