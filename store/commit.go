package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"
)

// Update runs fn and commits what it wrote, synced to disk, or nothing.
//
// Callers at the same time share one transaction and one sync: one of them, or a
// goroutine of the store, takes the functions that wait, runs them one after the
// other, each seeing the writes of those before it, and commits. A function that
// returns an error, which Update returns as it is, leaves nothing behind; the
// others of its batch then run again without it. So fn may run in another
// goroutine and more than once, and must only use tx and set variables
// that it sets from scratch; it must not call Update, and should not block.
//
// ctx ends the wait for a turn; once fn has had its turn Update waits for the
// result. Besides fn's errors: ErrDiskFull, ErrReadOnly, ErrTooLarge, ErrClosed, ErrDamaged,
// ctx's error; after any of them nothing of fn was kept.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	return s.do(ctx, &pending{fn: fn, synced: true, done: make(chan struct{})})
}

// Write is Update without the wait for the disk: what fn wrote is committed,
// can be read and outlives this process, but not yet a power cut. It is synced
// with the next Update or Sync, and within syncWithin by itself. So it is for
// what comes again if it is lost, and nobody may be told that it is held here
// before Sync has returned.
func (s *Store) Write(ctx context.Context, fn func(*Tx) error) error {
	return s.do(ctx, &pending{fn: fn, done: make(chan struct{})})
}

// Sync returns once all that was committed before it was called is on the disk.
func (s *Store) Sync(ctx context.Context) error {
	if s.unsynced() == 0 {
		return ctx.Err()
	}
	return s.Update(ctx, func(*Tx) error { return nil })
}

// do has a function run and returns its result. While nobody writes or waits the
// caller commits it himself, which saves the way to the writer and back.
func (s *Store) do(ctx context.Context, p *pending) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !s.enter() {
		return ErrClosed
	}
	defer s.inside.Done()
	if !s.writeAlone(p) {
		select {
		case s.queue <- p:
		case <-ctx.Done():
			return ctx.Err()
		}
		<-p.done
	}
	if p.panicked != nil {
		panic(p.panicked)
	}
	return p.err
}

// pending is one Update or Write that waits for its result.
type pending struct {
	fn       func(*Tx) error
	synced   bool // it waits for the disk
	err      error
	panicked any           // a panic of fn, to go on in its caller
	done     chan struct{} // closed when err is final
}

func (p *pending) finish(err error) {
	p.err = err
	close(p.done)
}

// writer writes what is queued and backs the log (SPEC.md U1). Open starts it,
// Close ends it by closing the queue and waits for writerDone.
func (s *Store) writer() {
	defer close(s.writerDone)
	for {
		select {
		case p, open := <-s.queue:
			if !open {
				return
			}
			s.turn <- struct{}{}
			s.write(p)
			<-s.turn
		case <-s.backDue:
			s.turn <- struct{}{}
			s.backLog()
			<-s.turn
		}
	}
}

// writeAlone commits a function, unless others write or wait.
func (s *Store) writeAlone(p *pending) bool {
	if len(s.queue) > 0 {
		return false
	}
	select {
	case s.turn <- struct{}{}:
	default:
		return false
	}
	defer func() { <-s.turn }()
	s.write(p)
	return true
}

// write commits a function and those that wait behind it. The turn is the caller's.
func (s *Store) write(p *pending) {
	batch := []*pending{p}
	for len(batch) < MaxBatchFuncs {
		p, ok := s.next()
		if !ok {
			break
		}
		batch = append(batch, p)
	}
	for len(batch) > 0 {
		batch = s.commit(batch)
	}
}

// next takes a waiting function without waiting for one.
func (s *Store) next() (*pending, bool) {
	select {
	case p, ok := <-s.queue:
		return p, ok
	default:
		return nil, false
	}
}

// commit runs functions of the batch in one transaction and returns those
// that still have to run.
func (s *Store) commit(batch []*pending) (rest []*pending) {
	defer s.took(time.Now())
	if err := s.Writable(); err != nil {
		for _, p := range batch {
			p.finish(err)
		}
		return nil
	}
	tx := &Tx{
		s: s, txn: s.db.NewTransaction(true), write: true,
		fresh: make(map[[32]byte]num), nextNum: s.nextNum, nextArr: s.nextArr,
	}
	defer tx.txn.Discard()
	ran := make([]*pending, 0, len(batch))
	for i, p := range batch {
		if tx.Full() {
			rest = batch[i:]
			break
		}
		before, changes := tx.rows, len(tx.changes)
		err := p.run(tx)
		if err == nil {
			ran = append(ran, p)
			continue
		}
		if tx.rows == before && len(tx.changes) == changes {
			p.finish(err) // it wrote nothing: the others need not run again
			continue
		}
		if len(ran) > 0 && errors.Is(err, ErrTooLarge) {
			// Maybe only beside the others. They first, then it anew.
			return s.split(ran, batch[i:])
		}
		p.finish(err)
		return append(ran, batch[i+1:]...)
	}
	if len(ran) == 0 {
		return rest
	}
	err := tx.finish(slices.ContainsFunc(ran, func(p *pending) bool { return p.synced }))
	if err != nil && len(ran) > 1 {
		// The sum was too large, or one function wrote what cannot be
		// committed: each alone tells which.
		return s.split(ran, rest)
	}
	if err == nil {
		s.committed(tx)
	}
	for _, p := range ran {
		p.finish(err)
	}
	return rest
}

// split commits functions whose batch failed one by one, and returns rest.
func (s *Store) split(alone, rest []*pending) []*pending {
	for _, p := range alone {
		s.commit([]*pending{p})
	}
	return rest
}

// run calls the function and keeps a panic of it for its caller.
func (p *pending) run(tx *Tx) (err error) {
	defer func() {
		if v := recover(); v != nil {
			p.panicked = fmt.Sprintf("%v [in store.Update]\n%s", v, debug.Stack())
			err = fmt.Errorf("internal error: panic in update")
		}
	}()
	return p.fn(tx)
}

// finish adds the rows that belong to the batch as a whole and commits. With
// synced it returns once that is on the disk, and all that its functions saw.
func (tx *Tx) finish(synced bool) (err error) {
	defer guard("committing", &err)
	if err := tx.writePlaces(); err != nil {
		return err
	}
	if err := tx.writeChanges(); err != nil {
		return err
	}
	if len(tx.fresh) > 0 {
		if err := tx.setMetaNumber(metaNum, uint64(tx.nextNum)); err != nil {
			return err
		}
	}
	if tx.nextArr != tx.s.nextArr {
		if err := tx.setMetaNumber(metaArr, tx.nextArr); err != nil {
			return err
		}
	}
	switch {
	case tx.rows == 0 && synced && tx.s.unsynced() > 0:
		return tx.s.flush()
	case tx.rows == 0:
		return nil
	case synced:
		err = tx.s.settle(tx.txn)
		tx.s.backSoon(tx.bytes)
		return err
	}
	return tx.s.leave(tx.txn, tx.bytes)
}

// committed takes over what the transaction decided and wakes the Tails.
func (s *Store) committed(tx *Tx) {
	s.nextNum, s.nextArr = tx.nextNum, tx.nextArr
	s.tidy = s.tidy && !tx.untidy
	s.keepBylines(tx)
	s.keepNums(tx)
	if len(tx.changes) == 0 {
		return
	}
	if tx.oldest != 0 {
		s.oldest.Store(tx.oldest)
	}
	s.last.Add(uint64(len(tx.changes)))
	s.mu.Lock()
	close(s.wake)
	s.wake = make(chan struct{})
	s.mu.Unlock()
}
