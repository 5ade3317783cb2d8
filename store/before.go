package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// beforeFolder is the copy of a store as it was before it was migrated, with
// the number of its format.
func beforeFolder(format uint64) string { return "before-" + strconv.FormatUint(format, 10) }

// copyBefore copies a store that is to be migrated, before Badger is called:
// whoever goes back to an older program puts the copy in the store's place
// (SPEC.md M3). Tables are never written again once they are there, so they get
// a second name; the rest is copied. Under its name the copy is whole: one that
// a crash cut off is made anew, and one that is there is not touched, for the
// store may be half migrated.
//
// The copy says that it was not closed properly. Whoever goes back to it may have spoken
// since in the newer format; a node that believed to have all it ever said would say other
// words under the same numbers, and be taken for two. And changes get their numbers anew.
func (g *sentinel) copyBefore() (err error) {
	to := filepath.Join(g.dir, beforeFolder(g.Format))
	if _, err := os.Stat(to); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	half := to + ".new"
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	defer func() {
		if err != nil { // maybe the disk is full
			err = errors.Join(err, os.RemoveAll(half))
		}
	}()
	if err := os.MkdirAll(filepath.Join(half, databaseFolder), 0o700); err != nil {
		return err
	}
	files, err := os.ReadDir(filepath.Join(g.dir, databaseFolder))
	if err != nil {
		return err
	}
	for _, f := range files {
		name := filepath.Join(databaseFolder, f.Name())
		if strings.HasSuffix(name, ".sst") {
			err = os.Link(filepath.Join(g.dir, name), filepath.Join(half, name))
		} else {
			err = copyLog(filepath.Join(g.dir, name), filepath.Join(half, name))
		}
		if err != nil {
			return err
		}
	}
	copied := *g
	copied.dir, copied.Clean, copied.Boot = half, false, ""
	if err := copied.write(); err != nil {
		return err
	}
	if err := syncDir(filepath.Join(half, databaseFolder)); err != nil {
		return err
	}
	if err := os.Rename(half, to); err != nil {
		return err
	}
	return syncDir(g.dir)
}

// copyLog copies a file that may be larger than memory should hold, and syncs the copy.
// Where it holds zeros the copy has a hole, as the file mostly has: of a store that was
// not closed the log and the value log take 160 MiB else, with next to nothing in them.
func copyLog(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err = copyData(in, out); err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

func copyData(in, out *os.File) error {
	b, zeros := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); ; {
		n, err := io.ReadFull(in, b)
		if n > 0 && !bytes.Equal(b[:n], zeros[:n]) {
			if _, err := out.WriteAt(b[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return out.Truncate(at)
		case err != nil:
			return err
		}
	}
}

// dropBefore removes the copies of older formats: of a store that was opened in
// its own, and so has been in use since it was migrated.
func dropBefore(dir string) error {
	found, err := filepath.Glob(filepath.Join(dir, "before-*"))
	if err != nil {
		return err
	}
	for _, path := range found {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("removing the copy of an older format: %w", err)
		}
	}
	return nil
}
