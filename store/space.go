package store

import (
	"fmt"
	"os"
	"path/filepath"
)

// checkSpace refuses a batch before the disk is full (SPEC.md F1): Badger
// maps its files, and a mapping that cannot be backed kills the process.
func (s *Store) checkSpace() error {
	if s.opts.InMemory {
		return nil
	}
	free, err := s.opts.FreeSpace(s.dir)
	if err != nil {
		return fmt.Errorf("asking for free space: %w", err)
	}
	if free < MinSpaceBytes {
		return ErrDiskFull
	}
	return nil
}

// LowSpace tells that less than LowSpaceBytes are free: time to pause sync
// and media. A disk that cannot be asked counts as low.
func (s *Store) LowSpace() bool {
	if s.opts.InMemory {
		return false
	}
	free, err := s.opts.FreeSpace(s.dir)
	return err != nil || free < LowSpaceBytes
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

// makeBallast makes the ballast where there is plenty of room. It is a
// precaution: failing at it is no reason to fail.
func (s *Store) makeBallast() {
	if s.opts.Ballast <= 0 || s.LowSpace() || s.opts.InMemory {
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

// fill writes real bytes: a sparse file would hold no space.
func fill(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
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
