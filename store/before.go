package store

import (
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
func (g *sentinel) copyBefore() error {
	to := filepath.Join(g.dir, beforeFolder(g.Format))
	if _, err := os.Stat(to); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	half := to + ".new"
	if err := os.RemoveAll(half); err != nil {
		return err
	}
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
	if err := copyFile(filepath.Join(g.dir, sentinelFile), filepath.Join(half, sentinelFile)); err != nil {
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

// copyLog copies a file that may be larger than memory should hold, and syncs
// the copy.
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
	if _, err = io.Copy(out, in); err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
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
