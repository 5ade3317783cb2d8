package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// Nobody reads what is not synced yet, and what could not be synced is the last
// that was written.
func TestSyncBeforeShown(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	put := func(name string) error {
		return s.Update(t.Context(), func(tx *Tx) error { return tx.PutSetting(name, []byte{1}) })
	}
	sync, synced := s.sync, 0
	s.sync = func() error {
		synced++
		if s.settling.TryRLock() {
			s.settling.RUnlock()
			t.Error("a reader may begin while a commit is not synced")
		}
		return sync()
	}
	if err := put("a"); err != nil || synced != 1 {
		t.Fatalf("%d syncs, %v", synced, err)
	}
	lost := errors.New("the disk is gone")
	s.sync = func() error { return lost }
	if err := put("b"); !errors.Is(err, lost) {
		t.Errorf("a commit that could not be synced: %v", err)
	}
	s.sync = sync
	if err := s.Sync(t.Context()); !errors.Is(err, lost) {
		t.Errorf("a sync after a commit that could not be synced: %v", err)
	}
	if err := put("c"); !errors.Is(err, lost) {
		t.Errorf("a commit after one that could not be synced: %v", err)
	}
	for name, want := range map[string]bool{"a": true, "c": false} {
		err := s.View(func(tx *Tx) error {
			_, ok, err := tx.Setting(name)
			if ok != want {
				t.Errorf("row %q is there: %v", name, ok)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// The log that is synced is the one that Badger writes to, also after it has
// filled one and begun the next.
func TestSyncFollowsTheLog(t *testing.T) {
	for name, update := range map[string]func(*Store, context.Context, func(*Tx) error) error{"synced": (*Store).Update, "later": (*Store).Write} {
		t.Run(name, func(t *testing.T) { syncFollows(t, update) })
	}
}

func syncFollows(t *testing.T, update func(*Store, context.Context, func(*Tx) error) error) {
	s := openTest(t, t.TempDir(), Options{})
	first, value := s.wal.fid, make([]byte, MaxValue)
	look := true
	for i := 0; s.wal.fid == first || look; i++ {
		if i > 1000 {
			t.Fatal("Badger begins no other log")
		}
		var before []byte
		was := s.wal.fid
		if look { // the first commit to each: to read them takes a while
			before = contentsOf(t, s.wal.path(was))
		}
		if err := update(s, t.Context(), func(tx *Tx) error { return tx.PutSetting("x", value[:len(value)-i]) }); err != nil {
			t.Fatal(err)
		}
		if look && bytes.Equal(before, contentsOf(t, s.wal.path(was))) {
			t.Fatalf("commit %d did not write to log %d, which was synced", i, was)
		}
		look = s.wal.fid != was
		if _, err := os.Stat(s.wal.path(s.wal.fid + 1)); err == nil {
			t.Fatalf("log %d was synced, and there is a later one", s.wal.fid)
		}
	}
	logs, err := filepath.Glob(filepath.Join(s.databaseDir(), "*"+memSuffix))
	if err != nil || len(logs) == 0 {
		t.Fatalf("logs: %v, %v", logs, err)
	}
}

// The system answers whether there is a next log for who began the process, maybe with
// fewer rights than it has; what can be opened counts.
func TestFollowWithoutALook(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	folder := s.wal.folder
	defer func() { s.wal.folder = folder }()
	s.wal.folder = s.wal.f // in which nothing is found, and not for want of it
	if err := s.Update(t.Context(), put("a")); err != nil {
		t.Errorf("a look for the next log that failed, of which there is none: %v", err)
	}
}

func contentsOf(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// slowDisk makes a store's syncs wait: begun tells of each that begins, and it
// ends with what is sent to end. As of the log itself one goes on at a time, and after one
// that failed all do.
func slowDisk(s *Store) (begun <-chan struct{}, end chan<- error) {
	b, e, log := make(chan struct{}), make(chan error), s.sync
	var mu sync.Mutex
	var lost error
	s.sync = func() error {
		mu.Lock()
		defer mu.Unlock()
		if lost == nil {
			b <- struct{}{}
			lost = <-e
		}
		if lost != nil {
			return lost
		}
		return log()
	}
	return b, e
}

func put(name string) func(*Tx) error {
	return func(tx *Tx) error { return tx.PutSetting(name, []byte{1}) }
}

func has(t *testing.T, s *Store, name string) (ok bool) {
	t.Helper()
	view(t, s, func(tx *Tx) (err error) {
		_, ok, err = tx.Setting(name)
		return err
	})
	return ok
}

// What is written without a wait can be read before it is synced, is synced by
// itself, and whoever asks for it, or waits for what came later, waits for it too.
func TestWriteIsSyncedLater(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	begun, end := slowDisk(s)
	if err := s.Write(t.Context(), put("a")); err != nil || !has(t, s, "a") {
		t.Fatalf("written without a wait: %v", err)
	}
	<-begun // nobody asked for it
	end <- nil
	for name, wait := range map[string]func(context.Context) error{
		"a sync":                        s.Sync,
		"an update":                     func(ctx context.Context) error { return s.Update(ctx, put("b")) },
		"an update that writes nothing": func(ctx context.Context) error { return s.Update(ctx, func(*Tx) error { return nil }) },
	} {
		if err := s.Write(t.Context(), put(name)); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- wait(t.Context()) }()
		<-begun
		select {
		case err := <-done:
			t.Errorf("%s did not wait for the disk: %v", name, err)
		default:
		}
		for end <- nil; ; end <- nil {
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			case <-begun: // what was synced by itself came first
				continue
			}
			break
		}
	}
	if err := s.Sync(t.Context()); err != nil { // nothing to sync: nobody would end it
		t.Error(err)
	}
	if err := s.Write(t.Context(), put("c")); err != nil {
		t.Fatal(err)
	}
	lost, done := errors.New("the disk is gone"), make(chan error, 1)
	go func() { done <- s.Sync(t.Context()) }()
	<-begun
	end <- lost
	if err := <-done; !errors.Is(err, lost) {
		t.Errorf("a sync that failed: %v", err)
	}
	if err := s.Sync(t.Context()); !errors.Is(err, lost) {
		t.Errorf("a sync after one that failed: %v", err)
	}
	if err := s.Write(t.Context(), put("d")); !errors.Is(err, lost) || has(t, s, "d") {
		t.Errorf("a write after a sync that failed: %v", err)
	}
}

// letSync has the disk take what it is given until done gives a result.
func letSync(begun <-chan struct{}, end chan<- error, done <-chan error) error {
	for {
		select {
		case end <- nil:
		case <-begun:
		case err := <-done:
			return err
		}
	}
}

// While the disk takes what was written others write on, up to a bound, and who waits for
// the disk waits until it has all; of a sync that failed everybody hears.
func TestWriteBesideASync(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	begun, end := slowDisk(s)
	ctx, value := t.Context(), make([]byte, MaxValue)
	const most = maxUnsynced + maxSyncing
	done := make(chan error, 1)
	go func() {
		for range 2 * most / MaxValue {
			err := s.Write(ctx, func(tx *Tx) error { return tx.PutSetting("much", value) })
			if n := s.unsynced(); err == nil && n >= most {
				err = fmt.Errorf("wrote on with %d bytes that are not on the disk", n)
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	<-begun
	for s.unsynced() < most { // beside the sync, which does not end
		runtime.Gosched()
	}
	if err := letSync(begun, end, done); err != nil {
		t.Error(err)
	}
	sync := func() { done <- s.Sync(ctx) }
	go sync()
	if err := letSync(begun, end, done); err != nil || s.unsynced() > 0 {
		t.Errorf("a sync that left %d bytes: %v", s.unsynced(), err)
	}

	if err := s.Write(ctx, put("lost")); err != nil {
		t.Fatal(err)
	}
	<-begun
	lost := errors.New("the disk is gone")
	end <- lost
	go sync()
	if err := <-done; !errors.Is(err, lost) {
		t.Errorf("a sync after one beside the writes that failed: %v", err)
	}
	if err := s.Write(ctx, put("after")); !errors.Is(err, lost) {
		t.Errorf("a write after that: %v", err)
	}
}

// Of a log that could not be synced no later sync says that it was: the system tells it
// once.
func TestLostOnce(t *testing.T) {
	broken, other, err := os.Pipe() // which cannot be synced
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	defer broken.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := &wal{f: broken}
	first := w.flush()
	w.f = file
	if again := w.flush(); first == nil || !errors.Is(again, first) {
		t.Errorf("a sync that failed: %v, and the next: %v", first, again)
	}
}

// Who waits for the turn while others write, and a sync goes on beside, gets it when they
// are done.
func TestQueueBesideASync(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	begun, end := slowDisk(s)
	ctx := t.Context()
	if err := s.Write(ctx, put("first")); err != nil {
		t.Fatal(err)
	}
	<-begun // by itself, and it does not end
	wrote, inside, goOn := make(chan error, 3), make(chan struct{}), make(chan struct{})
	go func() {
		wrote <- s.Write(ctx, func(tx *Tx) error {
			close(inside)
			<-goOn
			return put("a")(tx)
		})
	}()
	<-inside
	for _, name := range []string{"b", "c"} {
		go func() { wrote <- s.Write(ctx, put(name)) }()
	}
	for range 1000 { // until they wait, likely
		runtime.Gosched()
	}
	close(goOn)
	for range 3 {
		if err := <-wrote; err != nil {
			t.Error(err)
		}
	}
	go func() { wrote <- s.Sync(ctx) }()
	if err := letSync(begun, end, wrote); err != nil {
		t.Error(err)
	}
}

// A byline is written with each transaction that names it until it is on the disk: what a
// power cut takes of one log, what came first in the next does not lack.
func TestBylineIsWrittenUntilSynced(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	g, n := groupID("g"), uint64(0)
	writes := func() (writes bool) {
		n++
		err := s.Write(t.Context(), func(tx *Tx) error {
			err := tx.PutEntry(g, 7, opID("o", n), by(1), nil)
			writes = len(tx.bylined) == 1
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return writes
	}
	begun, end := slowDisk(s)
	if !writes() || !writes() {
		t.Error("not written though it is not on the disk")
	}
	<-begun // beside, of both
	end <- nil
	for s.unsynced() > 0 {
		runtime.Gosched()
	}
	if writes() {
		t.Error("written again though it is on the disk")
	}
}
