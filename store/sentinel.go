package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

// Files in the folder given to Open.
const (
	databaseFolder = "db"         // Badger's own
	sentinelFile   = "store.json" // what the database must be
	copiesFolder   = "copies"     // MANIFEST and KEYREGISTRY at the last clean close
	asideFolder    = "aside"      // tables that Badger would have deleted
	ballastFile    = "ballast"
	lockName       = "lock"
)

// sentinel is store.json: what this program knew of the database when it
// last opened or closed it. Badger, given a folder whose MANIFEST is missing
// or cut, opens an empty database and deletes every table; so
// the sentinel is asked first, and Badger is not called if it objects
// (SPEC.md S1–S4).
type sentinel struct {
	dir string

	ID      string `json:"id"`               // the database's random name, also inside it
	Format  uint64 `json:"format"`           // for a person; the row in the database counts
	Clean   bool   `json:"clean"`            // closed by Close, not opened since
	Changes uint64 `json:"changes"`          // last change number at that time
	Mended  bool   `json:"mended,omitempty"` // tables were cut since it was closed last (SPEC.md D6)
	Boot    string `json:"boot"`             // the start of the system under which it was opened last; empty if that is not known
	Tables  int    `json:"tables"`           // tables in MANIFEST at that time
	// Size and hash of the two files Badger cannot live without. With Clean
	// they must fit exactly; else MANIFEST has grown, or was rewritten.
	Manifest    fileMark `json:"manifest"`
	KeyRegistry fileMark `json:"key_registry"`
}

// fileMark is how a file was.
type fileMark struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

func markOf(path string) (fileMark, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return fileMark{}, err
	}
	h := sha256.Sum256(b)
	return fileMark{int64(len(b)), hex.EncodeToString(h[:])}, nil
}

// guarded are the files that the sentinel watches and copies.
var guarded = [...]string{badger.ManifestFilename, badger.KeyRegistryFileName}

func (g *sentinel) mark(name string) fileMark {
	if name == badger.ManifestFilename {
		return g.Manifest
	}
	return g.KeyRegistry
}

// readSentinel returns nil if there is none.
func readSentinel(dir string) (*sentinel, error) {
	b, err := os.ReadFile(filepath.Join(dir, sentinelFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading sentinel: %w", err)
	}
	g := &sentinel{dir: dir}
	if err := json.Unmarshal(b, g); err != nil || g.ID == "" {
		return nil, damaged("%s is not readable", sentinelFile)
	}
	return g, nil
}

// CleanlyClosed tells whether the store in dir was closed by Close, or does
// not exist yet. After an unclean stop a caller may want to let a child
// process open it first: damage can end a process.
func CleanlyClosed(dir string) (bool, error) {
	g, err := readSentinel(dir)
	return err == nil && (g == nil || g.Clean), err
}

// inspect looks at the files before Badger may touch them and returns the
// sentinel, a new one for a new database; newest is the format this program
// knows. Every objection is a DamagedError.
func inspect(dir string, newest uint64) (*sentinel, error) {
	g, err := readSentinel(dir)
	if err != nil {
		return nil, err
	}
	onDisk, err := tablesOnDisk(dir)
	if err != nil {
		return nil, fmt.Errorf("reading tables: %w", err)
	}
	known := g != nil
	if !known {
		g = &sentinel{dir: dir}
	}
	if g.Format > newest {
		return nil, &NewerFormatError{Found: g.Format, Known: newest}
	}
	db := filepath.Join(dir, databaseFolder)
	if known {
		for _, name := range guarded {
			if err := g.unchanged(name); err != nil {
				return nil, err
			}
		}
	}
	listed, size, err := listedTables(db)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if known || len(onDisk) > 0 {
			return nil, damaged("MANIFEST is missing, %d tables are there", len(onDisk))
		}
		return g, nil
	case err != nil:
		return nil, damaged("MANIFEST: %v", err)
	}
	// MANIFEST only grows, but for rare rewrites that keep all tables.
	if known && size < g.Manifest.Size && len(listed) < g.Tables {
		return nil, damaged("MANIFEST is cut: %d tables of %d", len(listed), g.Tables)
	}
	for id := range listed {
		if _, ok := onDisk[id]; !ok {
			// Badger says so too, and leaves goroutines behind.
			return nil, damaged("table %d is missing", id)
		}
	}
	lost := make([]string, 0)
	for id, name := range onDisk {
		if _, ok := listed[id]; !ok {
			lost = append(lost, name)
		}
	}
	// A stop in the middle of a first flush leaves one table that is not
	// listed; more of them and none listed is a MANIFEST that was emptied.
	if len(listed) == 0 && len(lost) > 1 {
		return nil, damaged("MANIFEST lists no table, %d are there", len(lost))
	}
	if err := keepAside(dir, lost); err != nil {
		return nil, fmt.Errorf("keeping tables aside: %w", err)
	}
	return g, nil
}

// unchanged compares a guarded file with what the sentinel says.
func (g *sentinel) unchanged(name string) error {
	mark, err := markOf(filepath.Join(g.dir, databaseFolder, name))
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	if missing {
		return &DamagedError{What: name + " is missing", Restorable: g.restorable(name)}
	}
	if g.Clean && mark != g.mark(name) {
		return &DamagedError{What: name + " changed since the last clean close", Restorable: g.restorable(name)}
	}
	return nil
}

// restorable tells whether the copy of name is the file as it must be.
func (g *sentinel) restorable(name string) bool {
	mark, err := markOf(filepath.Join(g.dir, copiesFolder, name))
	return err == nil && g.Clean && mark == g.mark(name)
}

// Restore puts back MANIFEST and KEYREGISTRY from the copies of the last
// clean close of the store in dir, which must not be open, where they are
// exactly what the sentinel asks for; it returns the names of the files it
// mended. What was there is kept as NAME.damaged. It refuses with ErrDamaged
// if the store was written since, because old tables lists lose data.
func Restore(dir string) ([]string, error) {
	lock, err := takeLock(dir)
	if err != nil {
		return nil, err
	}
	defer lock.release()
	g, err := readSentinel(dir)
	if err != nil {
		return nil, err
	}
	if g == nil {
		return nil, damaged("%s is missing", sentinelFile)
	}
	if !g.Clean {
		return nil, damaged("it was written since its last clean close: the copies are too old")
	}
	var mended []string
	for _, name := range guarded {
		if g.unchanged(name) == nil {
			continue
		}
		if !g.restorable(name) {
			return mended, damaged("%s has no fitting copy", name)
		}
		path := filepath.Join(dir, databaseFolder, name)
		if err := os.Rename(path, path+".damaged"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return mended, fmt.Errorf("restoring %s: %w", name, err)
		}
		if err := copyFile(filepath.Join(dir, copiesFolder, name), path); err != nil {
			return mended, fmt.Errorf("restoring %s: %w", name, err)
		}
		mended = append(mended, name)
	}
	return mended, nil
}

// Doubt has the store in dir, which must not be open, count as one that was not closed:
// what it held may be missing, so who speaks from it asks others first what it said, and
// the epoch is another at the next open (SPEC.md C4).
func Doubt(dir string) error {
	lock, err := takeLock(dir)
	if err != nil {
		return err
	}
	defer lock.release()
	g, err := readSentinel(dir)
	if err != nil || g == nil {
		return err
	}
	g.Clean, g.Boot = false, ""
	return g.write()
}

// matches refuses a database that is not the one the sentinel was written for.
func (g *sentinel) matches(id string) error {
	if g.ID != "" && g.ID != id {
		return damaged("%s is of database %s, not of %s", sentinelFile, g.ID, id)
	}
	return nil
}

// opened records that the database is open: from now on it may change.
func (g *sentinel) opened(id string, format, changes uint64, boot string) error {
	g.ID, g.Format, g.Clean, g.Boot = id, format, false, boot
	return g.record(changes)
}

// closed records a clean close and copies the guarded files.
func (g *sentinel) closed(changes uint64) error {
	for _, name := range guarded {
		to := filepath.Join(g.dir, copiesFolder, name)
		if err := copyFile(filepath.Join(g.dir, databaseFolder, name), to); err != nil {
			return fmt.Errorf("copying %s: %w", name, err)
		}
	}
	g.Clean, g.Mended = true, false
	if err := g.record(changes); err != nil {
		return err
	}
	// A clean close proves that the listed tables are whole.
	return os.RemoveAll(filepath.Join(g.dir, asideFolder))
}

func (g *sentinel) record(changes uint64) error {
	db := filepath.Join(g.dir, databaseFolder)
	listed, _, err := listedTables(db)
	if err != nil {
		return fmt.Errorf("reading MANIFEST: %w", err)
	}
	g.Changes, g.Tables = changes, len(listed)
	if g.Manifest, err = markOf(filepath.Join(db, badger.ManifestFilename)); err != nil {
		return fmt.Errorf("reading MANIFEST: %w", err)
	}
	if g.KeyRegistry, err = markOf(filepath.Join(db, badger.KeyRegistryFileName)); err != nil {
		return fmt.Errorf("reading KEYREGISTRY: %w", err)
	}
	return g.write()
}

func (g *sentinel) write() error {
	b, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		panic("internal error: encoding sentinel: " + err.Error())
	}
	return writeFile(filepath.Join(g.dir, sentinelFile), append(b, '\n'))
}

// listedTables returns the tables that MANIFEST lists and its size.
func listedTables(db string) (map[uint64]badger.TableManifest, int64, error) {
	f, err := os.Open(filepath.Join(db, badger.ManifestFilename))
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	m, _, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions(db).WithLogger(nil))
	return m.Tables, info.Size(), err
}

// tablesOnDisk returns the table files by number.
func tablesOnDisk(dir string) (map[uint64]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, databaseFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	tables := make(map[uint64]string)
	for _, e := range entries {
		stem, isTable := strings.CutSuffix(e.Name(), ".sst")
		if id, err := strconv.ParseUint(stem, 10, 64); isTable && err == nil {
			tables[id] = e.Name()
		}
	}
	return tables, err
}

// keepAside gives tables that Badger is about to delete a second name. After
// a crash they are leftovers of a compaction; after damage they are data.
func keepAside(dir string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	aside := filepath.Join(dir, asideFolder)
	if err := os.MkdirAll(aside, 0o700); err != nil {
		return err
	}
	for _, name := range names {
		err := os.Link(filepath.Join(dir, databaseFolder, name), filepath.Join(aside, name))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	if old, err := os.ReadFile(to); err == nil && bytes.Equal(old, b) {
		return nil
	}
	return writeFile(to, b)
}

// writeFile writes a new file, syncs it and renames it into place: after a
// crash the old content is there or the new one.
func writeFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return syncDir(filepath.Dir(path))
}
