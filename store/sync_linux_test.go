package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
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
	dir := t.TempDir()
	s := openTest(t, dir, Options{})
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
		update(t, s, func(tx *Tx) error { return tx.PutSetting("x", value[:len(value)-i]) })
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

func contentsOf(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
