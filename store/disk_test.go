package store

import (
	"testing"
	"testing/synctest"
	"time"
)

// A disk that answers late is slow for a while, and then as it is.
func TestSlowDisk(t *testing.T) {
	// What compresses tables is made once in a process, and belongs to the
	// bubble it is made in.
	outside := openTest(t, t.TempDir(), Options{})
	update(t, outside, func(tx *Tx) error { return tx.PutSetting("a", []byte("b")) })
	if err := outside.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var late time.Duration
		s, err := Open(dir, testKey, Options{FreeSpace: func(string) (uint64, error) {
			time.Sleep(late)
			return 1 << 40, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		put := func() { update(t, s, func(tx *Tx) error { return tx.PutSetting("a", []byte("b")) }) }
		put()
		if d := s.Disk(); d.State != DiskOK {
			t.Errorf("a quick disk is %+v", d)
		}
		late = SlowWrite
		put()
		late = 0
		if d := s.Disk(); d.State != DiskSlow || d.Took < SlowWrite {
			t.Errorf("a slow disk is %+v", d)
		}
		time.Sleep(SlowFor)
		put()
		if d := s.Disk(); d.State != DiskOK {
			t.Errorf("one that is quick again is %+v", d)
		}
	})
}
