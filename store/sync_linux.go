package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// syncsItself: here the store syncs after each commit, and Badger does not. On
// its own Badger syncs two files a commit, of which one is its value log, where
// nothing of ours lies (SPEC.md D2); a sync of a file without changes makes the
// disk flush what it holds all the same, which is most of what a sync takes.
const syncsItself = true

// wal is the log of Badger's memtable in use: the one of the highest number,
// into which each transaction goes whole. What lies in those before is synced.
//
// It belongs to who has the turn to write; anybody may flush it.
type wal struct {
	dir    string
	folder *os.File
	fid    int
	next   string // the name of the log that would be the next

	// mu is held by who syncs: of two at a time the system would tell one alone that
	// something was lost.
	mu   sync.Mutex
	f    *os.File // read with the turn or mu, written with both
	lost error    // of a sync that failed: no later one tells of what that was to write

	ended  int64 // where the log ended when it was looked at last, in whole pages
	backed int64 // up to where its pages have blocks on the disk
	grown  int   // bytes written since, in small transactions
}

// openWAL finds the log that an open database writes to.
func openWAL(dir string) (*wal, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the log: %w", err)
	}
	w := &wal{dir: dir}
	if w.folder, err = os.Open(dir); err != nil {
		return nil, fmt.Errorf("finding the log: %w", err)
	}
	var logs []int
	for _, e := range entries {
		if digits, ok := strings.CutSuffix(e.Name(), memSuffix); ok {
			if fid, err := strconv.Atoi(digits); err == nil {
				logs = append(logs, fid)
			}
		}
	}
	if len(logs) == 0 {
		w.close()
		return nil, fmt.Errorf("finding the log: %w", fs.ErrNotExist)
	}
	slices.Sort(logs)
	w.fid = logs[len(logs)-1]
	for _, fid := range logs[:len(logs)-1] {
		if err := w.syncOld(fid); err != nil {
			w.close()
			return nil, err
		}
	}
	f, err := w.open(w.fid)
	if err == nil {
		err = w.take(f, w.fid)
	}
	if err != nil {
		w.close()
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	return w, nil
}

// syncOld syncs a log that a killed process left, whose rows were read from it just now and
// may be in the memory of the system alone. Badger is making it a table, which it syncs, and
// may have deleted it by now.
func (w *wal) syncOld(fid int) error {
	f, err := w.open(fid)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = errors.Join(unix.Fdatasync(int(f.Fd())), f.Close())
	}
	if err != nil {
		return fmt.Errorf("syncing an old log: %w", err)
	}
	return nil
}

func (w *wal) open(fid int) (*os.File, error) { return os.OpenFile(w.path(fid), os.O_RDWR, 0) }

func (w *wal) path(fid int) string { return filepath.Join(w.dir, logName(fid)) }

func logName(fid int) string { return fmt.Sprintf("%05d%s", fid, memSuffix) }

// take goes on with a log; its name is to be on the disk before what lies in it
// counts.
func (w *wal) take(f *os.File, fid int) error {
	if err := w.folder.Sync(); err != nil {
		return errors.Join(fmt.Errorf("syncing the log's name: %w", err), f.Close())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.f != nil {
		_ = w.f.Close() // it was synced
	}
	w.f, w.fid, w.next = f, fid, logName(fid+1)
	w.ended, w.backed, w.grown = 0, 0, backStep
	return nil
}

// follow takes up the log that Badger began when the one before was full, and
// syncs that: what lies in a later log counts only with all before it. It is to
// be called after each commit, which begins one log at most.
func (w *wal) follow() error {
	// A look by the name in the folder, at each commit, takes a fourth of what
	// opening does.
	if err := unix.Faccessat(int(w.folder.Fd()), w.next, unix.F_OK, 0); errors.Is(err, unix.ENOENT) {
		return nil
	}
	// That the look failed otherwise says nothing: it asks what the real user may, without
	// the capabilities that he was given.
	next, err := w.open(w.fid + 1)
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

// flush returns once all that was committed is on the disk, if the log was followed
// since. Badger writes by a shared mapping; the kernel writes those
// pages at an fdatasync of the file as it does at the msync by which Badger would
// (both are vfs_fsync_range).
func (w *wal) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.lost == nil {
		err := unix.Fdatasync(int(w.f.Fd()))
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			w.lost = fmt.Errorf("syncing the log: %w", err)
		}
	}
	return w.lost
}

func (w *wal) close() {
	for _, f := range []*os.File{w.f, w.folder} {
		if f != nil {
			_ = f.Close() // all that was written was synced, or said not to be
		}
	}
}
