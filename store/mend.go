package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"google.golang.org/protobuf/proto"
)

// damagedFolder keeps what Mend took out of a database: files as they were.
const damagedFolder = "damaged"

// Mend cuts out of the tables of the store in dir, which must not be open, what cannot be
// read (SPEC.md D6), and returns which tables that were. All else is read again then; rows
// are missing, which MendPlaces and node deal with (SPEC.md D7). The store counts as one that
// was not closed. A store whose MANIFEST or KEYREGISTRY is damaged is refused as by Open:
// those Restore puts back.
//
// A table is written anew beside the old one, which is kept, before it takes its name; one
// of which nothing is left is taken out of MANIFEST after it was kept. So a stop at any
// moment leaves what Mend can be called for again.
func Mend(dir string, key [32]byte, o Options) (cut []TableDamage, err error) {
	lock, err := takeLock(dir)
	if err != nil {
		return nil, err
	}
	defer lock.release()
	g, err := readSentinel(dir)
	if err != nil || g == nil {
		return nil, err
	}
	for _, name := range guarded {
		if err := g.unchanged(name); err != nil {
			return nil, err
		}
	}
	list, err := openList(filepath.Join(dir, databaseFolder), key)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, list.close()) }()
	if cut, err = list.scrub(context.Background(), false); err != nil || len(cut) == 0 {
		return nil, err
	}
	// From here on it is not the store that was closed.
	g.Clean, g.Mended, g.Boot = false, true, ""
	if err := g.write(); err != nil {
		return nil, err
	}
	keep := filepath.Join(dir, damagedFolder)
	if err := os.MkdirAll(keep, 0o700); err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(list.tables)) {
		name := filepath.Base(list.path(id))
		if slices.ContainsFunc(cut, func(d TableDamage) bool { return d.Name == name }) {
			if err := list.mend(id, keep, o); err != nil {
				return nil, fmt.Errorf("mending %s: %w", name, err)
			}
		}
	}
	// What MANIFEST lists is fewer now than the sentinel knew.
	return cut, g.record(g.Changes)
}

// mend writes a table without its bad blocks, or takes it out.
func (l *sstList) mend(id uint64, keep string, o Options) error {
	path := l.path(id)
	if err := keepFile(path, keep); err != nil {
		return err
	}
	whole, err := l.rebuilt(id, o)
	if err != nil {
		return err
	}
	if whole == nil {
		if err := l.takeOut(id); err != nil {
			return err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return syncDir(l.db)
	}
	return writeFile(path, whole)
}

// keepFile gives a file a second name in a folder, unless it has one there.
func keepFile(path, folder string) error {
	err := os.Link(path, filepath.Join(folder, filepath.Base(path)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(folder)
}

// rebuilt is a table of what can be read of one, nil if that is nothing.
func (l *sstList) rebuilt(id uint64, o Options) ([]byte, error) {
	t, err := l.open(id)
	if errors.Is(err, errBlock) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer t.close()
	key, err := l.key(id)
	if err != nil {
		return nil, err
	}
	opt := badgerOptions(l.db, [32]byte{}, o)
	b := table.NewTableBuilder(table.Options{
		TableSize: uint64(opt.BaseTableSize), BlockSize: opt.BlockSize, BloomFalsePositive: opt.BloomFalsePositive,
		Compression: l.tables[id].Compression, ZSTDCompressionLevel: opt.ZSTDCompressionLevel, DataKey: key,
	})
	defer b.Close()
	for i := range t.blocks() {
		rows, err := t.block(i)
		if err != nil {
			continue // it is what is cut out
		}
		for _, r := range rows {
			b.Add(r.key, r.value, 0)
		}
	}
	if b.Empty() {
		return nil, nil
	}
	return b.Finish(), nil
}

// takeOut writes into MANIFEST that a table is not of the database any more, as Badger
// does after a compaction.
func (l *sstList) takeOut(id uint64) error {
	b, err := proto.Marshal(&pb.ManifestChangeSet{Changes: []*pb.ManifestChange{{Id: id, Op: pb.ManifestChange_DELETE}}})
	if err != nil {
		return err
	}
	record := binary.BigEndian.AppendUint32(nil, uint32(len(b)))
	record = binary.BigEndian.AppendUint32(record, crc32.Checksum(b, crcTable))
	f, err := os.OpenFile(filepath.Join(l.db, badger.ManifestFilename), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(append(record, b...))
	return errors.Join(err, f.Sync(), f.Close())
}
