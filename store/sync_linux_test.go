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

	"golang.org/x/sys/unix"
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

// A number and a byline are written with each transaction that needs them until they are
// on the disk: what a power cut takes of one log, what came first in the next does not lack.
func TestWrittenUntilSynced(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	g, n := groupID("g"), uint64(0)
	writes := func() (numbers, bylines int) {
		n++
		err := s.Write(t.Context(), func(tx *Tx) error {
			err := tx.PutEntry(g, 7, opID("o", n), by(1), nil)
			numbers, bylines = len(tx.fresh), len(tx.bylined)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return numbers, bylines
	}
	begun, end := slowDisk(s)
	for range 2 {
		if numbers, bylines := writes(); numbers != 2 || bylines != 1 {
			t.Errorf("%d numbers and %d bylines are written while none is on the disk", numbers, bylines)
		}
	}
	<-begun // beside, of both
	end <- nil
	for s.unsynced() > 0 {
		runtime.Gosched()
	}
	if numbers, bylines := writes(); numbers+bylines > 0 {
		t.Errorf("%d numbers and %d bylines are written again though they are on the disk", numbers, bylines)
	}
	if len(s.unsure) > 0 {
		t.Errorf("%d numbers are remembered", len(s.unsure))
	}
}

// A number that came back from a log goes on to be counted from.
func TestNumberAgain(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	for _, name := range []string{"a", "b", "a", "b"} {
		err := s.Write(t.Context(), func(tx *Tx) error { return tx.PutGroup(GroupRow{ID: groupID(name)}) })
		if err != nil {
			t.Fatal(err)
		}
	}
	view(t, s, func(tx *Tx) error {
		a, b := mustNum(t, tx, groupID("a")), mustNum(t, tx, groupID("b"))
		next, err := tx.metaNumber(metaNum)
		if a != 1 || b != 2 || next != 3 {
			t.Errorf("numbers %d and %d, the next %d", a, b, next)
		}
		return err
	})
}

// What a killed process left in the memory of the system is on the disk once the log is
// found: nothing of it may be told to be held before.
func TestOldLogsAreSynced(t *testing.T) {
	dir := t.TempDir()
	for _, fid := range []int{7, 8, 12} {
		if err := os.WriteFile(filepath.Join(dir, logName(fid)), make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w, err := openWAL(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	if w.fid != 12 {
		t.Errorf("log %d is taken for the one in use", w.fid)
	}
	for _, fid := range []int{7, 8} {
		f, err := w.open(fid)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var whole unix.CachestatRange
		var pages unix.Cachestat_t
		err = unix.Cachestat(uint(f.Fd()), &whole, &pages, 0)
		if errors.Is(err, unix.ENOSYS) {
			t.Skip("before Linux 6.5 nobody tells what is not on the disk")
		}
		if err != nil || pages.Dirty+pages.Writeback > 0 {
			t.Errorf("%d pages of log %d are not on the disk: %v", pages.Dirty+pages.Writeback, fid, err)
		}
	}
}
