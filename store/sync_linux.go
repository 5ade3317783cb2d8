package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// syncsItself: here the store syncs after each commit, and Badger does not. On
// its own Badger syncs two files a commit, of which one is its value log, where
// nothing of ours lies (SPEC.md D2); a sync of a file without changes makes the
// disk flush what it holds all the same, which is most of what a sync takes.
const syncsItself = true

// wal is the log of Badger's memtable in use: the one of the highest number,
// into which each transaction goes whole. What lies in those before is synced.
type wal struct {
	dir string
	fid int
	f   *os.File
}

// openWAL finds the log that an open database writes to.
func openWAL(dir string) (*wal, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the log: %w", err)
	}
	w := &wal{dir: dir}
	for _, e := range entries {
		if digits, ok := strings.CutSuffix(e.Name(), memSuffix); ok {
			if fid, err := strconv.Atoi(digits); err == nil {
				w.fid = max(w.fid, fid)
			}
		}
	}
	f, err := os.Open(w.path(w.fid))
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	return w, w.take(f, w.fid)
}

func (w *wal) path(fid int) string {
	return filepath.Join(w.dir, fmt.Sprintf("%05d%s", fid, memSuffix))
}

// take goes on with a log; its name is to be on the disk before what lies in it
// counts.
func (w *wal) take(f *os.File, fid int) error {
	dir, err := os.Open(w.dir)
	if err == nil {
		err = errors.Join(dir.Sync(), dir.Close())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("syncing the log's name: %w", err), f.Close())
	}
	w.close()
	w.f, w.fid = f, fid
	return nil
}

// sync returns once all that was committed is on the disk.
func (w *wal) sync() error {
	if err := w.follow(); err != nil {
		return err
	}
	return w.flush()
}

// follow takes up the log that Badger began when the one before was full, and
// syncs that: what lies in a later log counts only with all before it. It is to
// be called after each commit, which begins one log at most.
func (w *wal) follow() error {
	next, err := os.Open(w.path(w.fid + 1))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	if err := w.flush(); err != nil {
		return errors.Join(err, next.Close())
	}
	return w.take(next, w.fid+1)
}

// flush syncs the log. Badger writes by a shared mapping; the kernel writes those
// pages at an fdatasync of the file as it does at the msync by which Badger would
// (both are vfs_fsync_range).
func (w *wal) flush() error {
	for {
		err := unix.Fdatasync(int(w.f.Fd()))
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("syncing the log: %w", err)
		}
	}
}

func (w *wal) close() {
	if w.f != nil {
		_ = w.f.Close() // read only: nothing is lost
	}
}
