package store

import (
	"errors"
	"fmt"
	"io"

	"github.com/dgraph-io/badger/v4"
)

// When what was committed is on the disk (SPEC.md U1, U5): at once, or later and beside
// the writes.

// settle commits a transaction and returns once it is on the disk, with all
// before it. Until then nobody begins to read: what is there is what a power cut
// leaves.
func (s *Store) settle(txn *badger.Txn) error {
	if s.torn != nil {
		return s.torn
	}
	s.settling.Lock()
	defer s.settling.Unlock()
	if err := txn.Commit(); err != nil {
		return writeError(err)
	}
	return s.flush()
}

// leave commits a transaction of some bytes and leaves the sync for later.
func (s *Store) leave(txn *badger.Txn, bytes int) error {
	if s.torn != nil {
		return s.torn
	}
	if s.sync != nil {
		// Before it can be read: who has read it and asks for a sync must not find that
		// all is synced.
		s.written.Add(int64(bytes))
	}
	if err := txn.Commit(); err != nil {
		return writeError(err)
	}
	if s.sync == nil {
		return nil
	}
	if s.unsynced() >= maxUnsynced+maxSyncing {
		return s.flush()
	}
	if err := s.wal.follow(); err != nil {
		return s.tear(err)
	}
	switch {
	case s.unsynced() >= maxUnsynced:
		s.due = true
		s.syncDue.Reset(0)
	case !s.due:
		s.due = true
		s.syncDue.Reset(syncWithin)
	}
	return nil
}

// unsynced is how many bytes were committed and are not synced yet.
func (s *Store) unsynced() int64 { return s.written.Load() - s.synced.Load() }

// syncer syncs what is due beside the writes, which the writer would else hold up. Open
// starts it, Close ends it by closing stop and waits for syncerDone.
func (s *Store) syncer() {
	defer close(s.syncerDone)
	for {
		select {
		case <-s.syncDue.C:
			s.syncBeside()
		case <-s.stop:
			return
		}
	}
}

// syncBeside syncs what was committed while others go on to write: who catches up with
// much waited for the disk an eighth of the time. It is called by the syncer.
func (s *Store) syncBeside() {
	s.turn <- struct{}{}
	due, written := s.due, s.written.Load()
	s.noneDue()
	<-s.turn
	if !due { // somebody synced it in between
		return
	}
	err := s.sync()
	if err == nil {
		s.isSynced(written)
		return
	}
	s.turn <- struct{}{}
	s.log.Error("what was written is not on the disk", "err", s.tear(err))
	<-s.turn
}

// isSynced notes up to where what was committed is on the disk.
func (s *Store) isSynced(upTo int64) {
	for was := s.synced.Load(); was < upTo && !s.synced.CompareAndSwap(was, upTo); {
		was = s.synced.Load()
	}
}

// backSoon has the writer back the log if a synced transaction of some bytes has
// brought it near what is not.
func (s *Store) backSoon(bytes int) {
	if s.sync == nil || !s.wal.grew(bytes) {
		return
	}
	select {
	case s.backDue <- struct{}{}:
	default:
	}
}

// backLog backs the log. Failing at it is no reason to fail: syncs take as long then as
// without.
func (s *Store) backLog() {
	if s.torn != nil {
		return
	}
	if err := s.wal.back(); err != nil && !errors.Is(err, io.EOF) {
		s.log.Warn("the log has no place on the disk yet", "err", err)
	}
	if err := s.wal.flush(); err != nil {
		s.log.Error("what was written may not be on the disk", "err", s.tear(err))
	}
}

// flush returns once all that was committed is on the disk.
func (s *Store) flush() error {
	if s.torn != nil || s.sync == nil {
		return s.torn
	}
	if err := s.wal.follow(); err != nil {
		return s.tear(err)
	}
	written := s.written.Load()
	if err := s.sync(); err != nil {
		return s.tear(err)
	}
	s.isSynced(written)
	s.noneDue()
	return nil
}

// tear notes that a sync failed. Nothing more is written then, for the system
// forgets what it could not write and the next sync would not speak of it.
func (s *Store) tear(err error) error {
	s.torn = fmt.Errorf("writing store: nothing more is written until it is opened anew: %w", err)
	s.noneDue()
	s.written.Add(1) // for good: whoever asks for a sync is told
	return s.torn
}

// noneDue stops the clock of the next sync: nothing is owed one, or none helps.
func (s *Store) noneDue() {
	s.due = false
	s.syncDue.Stop()
}
