package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// DiskState is what can be said of a disk in a word.
type DiskState string

// How a disk may stand; what is further down hides what is above it.
const (
	DiskOK       DiskState = "ok"
	DiskSlow     DiskState = "slow"      // a write took longer than SlowWrite, within SlowFor
	DiskLow      DiskState = "low"       // less than LowSpaceBytes are free
	DiskFull     DiskState = "full"      // less than MinSpaceBytes: nothing is written
	DiskReadOnly DiskState = "read_only" // nothing can be written
	DiskUnknown  DiskState = "unknown"   // the system cannot tell: nothing is written
)

// Disk is how the disk below a store stands.
type Disk struct {
	State DiskState
	Free  uint64        // bytes that a user may still write; 0 if that is not known
	Took  time.Duration // of the slow write, where State is DiskSlow
}

// Disk asks how the disk below the store stands, now.
func (s *Store) Disk() Disk {
	if s.opts.InMemory {
		return Disk{State: DiskOK}
	}
	free, err := s.opts.FreeSpace(s.dir)
	d := Disk{State: DiskOK, Free: free}
	s.mu.Lock()
	took, at := s.slowTook, s.slowAt
	s.mu.Unlock()
	switch {
	case errors.Is(err, ErrReadOnly):
		d.State = DiskReadOnly
	case err != nil:
		d.State = DiskUnknown
	case free < MinSpaceBytes:
		d.State = DiskFull
	case free < LowSpaceBytes:
		d.State = DiskLow
	case took > 0 && time.Since(at) < SlowFor:
		d.State, d.Took = DiskSlow, took
	}
	return d
}

// Writable tells why an Update would be refused before its function runs:
// ErrDiskFull, ErrReadOnly, or what the system says of a disk that cannot be
// asked; nil if it would not (SPEC.md F1). Badger maps its files, and a mapping
// that cannot be backed kills the process.
func (s *Store) Writable() error {
	if s.opts.InMemory {
		return nil
	}
	free, err := s.opts.FreeSpace(s.dir)
	switch {
	case errors.Is(err, ErrReadOnly):
		return ErrReadOnly
	case err != nil:
		return fmt.Errorf("asking for free space: %w", err)
	case free < MinSpaceBytes:
		return ErrDiskFull
	}
	return nil
}

// took notes how long a write took that began at a time.
func (s *Store) took(began time.Time) {
	d := time.Since(began)
	if d < SlowWrite {
		return
	}
	s.mu.Lock()
	s.slowTook, s.slowAt = d, time.Now()
	s.mu.Unlock()
}

// makeRoom gives up the ballast if the disk is so full that opening the
// database would kill the process; ErrDiskFull if that is not enough.
func (s *Store) makeRoom() error {
	free, err := s.opts.FreeSpace(s.dir)
	if err != nil {
		return fmt.Errorf("asking for free space: %w", err)
	}
	if free >= MinSpaceBytes {
		return nil
	}
	if err := os.Remove(s.ballast()); err == nil {
		s.log.Warn("disk is nearly full: gave up the store's ballast", "free", free)
		if free, err = s.opts.FreeSpace(s.dir); err != nil {
			return fmt.Errorf("asking for free space: %w", err)
		}
	}
	if free < BallastBytes {
		return ErrDiskFull
	}
	return nil
}

// makeWay gives up the ballast before the database is closed on a full disk:
// closing writes what is in memory only. What cannot be written then is in the
// log of the database, which the next start reads.
func (s *Store) makeWay() {
	if s.opts.InMemory || !errors.Is(s.Writable(), ErrDiskFull) {
		return
	}
	if err := os.Remove(s.ballast()); err == nil {
		s.log.Warn("disk is nearly full: gave up the store's ballast to close it")
	}
}

// roomy tells that nothing is known against writing a lot.
func roomy(d DiskState) bool { return d == DiskOK || d == DiskSlow }

// makeBallast makes the ballast where there is plenty of room. It is a
// precaution: failing at it is no reason to fail.
func (s *Store) makeBallast() {
	if s.opts.Ballast <= 0 || s.opts.InMemory || !roomy(s.Disk().State) {
		return
	}
	if info, err := os.Stat(s.ballast()); err == nil && info.Size() == s.opts.Ballast {
		return
	}
	if err := fill(s.ballast(), s.opts.Ballast); err != nil {
		os.Remove(s.ballast())
		s.log.Warn("store has no ballast", "error", err)
	}
}

func (s *Store) ballast() string { return filepath.Join(s.dir, ballastFile) }

// fill makes a file that holds its space: a sparse one would hold none.
func fill(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if reserve(f, size) == nil {
		return f.Close()
	}
	zeros := make([]byte, 1<<20)
	for size > 0 {
		n, err := f.Write(zeros[:min(size, int64(len(zeros)))])
		if err != nil {
			return err
		}
		size -= int64(n)
	}
	return f.Close()
}
