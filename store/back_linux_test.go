package store

import (
	"bytes"
	"crypto/rand"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Backing the log changes nothing that can be read in it, has blocks lie below what
// it comes to, and goes on from where the log has grown meanwhile.
func TestBackTheLog(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	value := make([]byte, 64<<10)
	for round := range 4 {
		rand.Read(value)
		for range 3 * (round % 2) { // past what was backed
			for i := range 4 {
				update(t, s, func(tx *Tx) error { return tx.PutSetting(string(rune('a'+i)), value) })
			}
		}
		s.turn <- struct{}{}
		before := contentsOf(t, s.wal.path(s.wal.fid))
		s.backLog()
		after := contentsOf(t, s.wal.path(s.wal.fid))
		ended, backed, f := s.wal.ended, s.wal.backed, s.wal.f
		<-s.turn
		if !bytes.Equal(before, after) {
			t.Fatalf("round %d: backing changed the log", round)
		}
		if end := int64(len(bytes.TrimRight(after, "\x00"))); ended < end || ended >= end+2*logPage {
			t.Errorf("round %d: the log ends at %d, found at %d", round, end, ended)
		}
		if hole := holeAfter(t, f, ended); backed < ended+backAhead || hole < backed {
			t.Errorf("round %d: backed up to %d, a hole at %d of a log that ends at %d", round, backed, hole, ended)
		}
	}
}

// holeAfter is where the first page without a block is.
func holeAfter(t *testing.T, f *os.File, at int64) int64 {
	t.Helper()
	hole, err := unix.Seek(int(f.Fd()), at, unix.SEEK_HOLE)
	if err != nil {
		t.Fatal(err)
	}
	return hole
}

// Small synced transactions have the writer back the log before they reach its end,
// and once more when Badger began another.
func TestSmallCommitsAreBacked(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	value := make([]byte, 4<<10)
	rand.Read(value)
	for i, first := 0, s.wal.fid; s.wal.fid == first; i++ {
		if i > 10_000 {
			t.Fatal("Badger begins no other log")
		}
		if err := s.Update(t.Context(), func(tx *Tx) error { return tx.PutSetting("x", value) }); err != nil {
			t.Fatal(err)
		}
		for grown := backStep; grown >= backStep; runtime.Gosched() { // until the writer had its turn
			s.turn <- struct{}{}
			grown = s.wal.grown
			<-s.turn
		}
	}
}
