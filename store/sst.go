package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/proto"
)

// sst reads a table of Badger (version 4 of its format; table/builder.go there draws it)
// block by block. Badger's own reader takes a block that it cannot read for the end of the
// table, and says nothing; and a table whose last block it cannot read it does not open.
type sst struct {
	f     *os.File
	key   []byte // empty: not encrypted
	pack  options.CompressionType
	index *fb.TableIndex
	// A block as it lies on the disk, decrypted and unpacked; each is used again for the next.
	read, open, unpacked []byte
}

// sstEntry is one row of a table as Badger keeps it: the key has the version behind it.
type sstEntry struct {
	key   []byte
	value y.ValueStruct
}

var errBlock = errors.New("cannot be read")

// openSST opens a table; the error wraps errBlock if what leads to its blocks is damaged.
func openSST(path string, key []byte, pack options.CompressionType) (t *sst, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("table %s %w: %v", filepath.Base(path), errBlock, p)
		}
		if err != nil {
			_ = f.Close() // it was read
		}
	}()
	t = &sst{f: f, key: key, pack: pack}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	end := info.Size()
	// The footer, from its end: how long the sum is, the sum, how long the index is.
	part := func(n int64) ([]byte, error) {
		if n < 0 || n > end || n > math.MaxInt32 {
			return nil, fmt.Errorf("table %s %w: it is cut off", filepath.Base(path), errBlock)
		}
		end -= n
		b := make([]byte, n)
		_, err := f.ReadAt(b, end)
		return b, err
	}
	length := func() (int64, error) {
		b, err := part(4)
		if err != nil {
			return 0, err
		}
		return int64(binary.BigEndian.Uint32(b)), nil
	}
	var sum pb.Checksum
	n, err := length()
	if err != nil {
		return nil, err
	}
	b, err := part(n)
	if err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(b, &sum); err != nil {
		return nil, fmt.Errorf("table %s %w: %v", filepath.Base(path), errBlock, err)
	}
	if n, err = length(); err != nil {
		return nil, err
	}
	if b, err = part(n); err != nil {
		return nil, err
	}
	if err := y.VerifyChecksum(b, &sum); err != nil {
		return nil, fmt.Errorf("table %s %w: %v", filepath.Base(path), errBlock, err)
	}
	if b, err = t.decrypt(b); err != nil {
		return nil, err
	}
	t.index = fb.GetRootAsTableIndex(b, 0)
	return t, nil
}

func (t *sst) close() { _ = t.f.Close() } // it was read

func (t *sst) blocks() int { return t.index.OffsetsLength() }

// whole tells whether a block can be read, by its sum.
func (t *sst) whole(i int) bool {
	_, err := t.body(i)
	return err == nil
}

// body is a block without its sum, until the next is read; the error wraps errBlock.
func (t *sst) body(i int) (b []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("block %d %w: %v", i, errBlock, p)
		}
	}()
	bad := func(why any) error { return fmt.Errorf("block %d %w: %v", i, errBlock, why) }
	var at fb.BlockOffset
	if !t.index.Offsets(&at, i) {
		return nil, bad("the index does not name it")
	}
	t.read = slices.Grow(t.read[:0], int(at.Len()))[:at.Len()]
	if _, err := t.f.ReadAt(t.read, int64(at.Offset())); err != nil {
		return nil, bad(err) // a disk that cannot read it says so here
	}
	b = t.read
	if n := len(b) - ivLen; len(t.key) > 0 && n >= 0 {
		t.open = slices.Grow(t.open[:0], n)[:n]
		err, b = y.XORBlock(t.open, b[:n], t.key, b[n:]), t.open
	}
	if err != nil {
		return nil, bad(err)
	}
	switch t.pack {
	case options.None:
	case options.Snappy:
		b, err = snappy.Decode(t.unpacked[:cap(t.unpacked)], b)
		t.unpacked = b
	case options.ZSTD:
		b, err = y.ZSTDDecompress(t.unpacked[:0], b)
		t.unpacked = b
	default:
		err = errors.New("packed in an unknown way")
	}
	if err != nil {
		return nil, bad(err)
	}
	// From its end: how long the sum is, the sum; then how many rows, where each begins.
	end := len(b) - 4
	n := int(binary.BigEndian.Uint32(b[end:]))
	var sum pb.Checksum
	if err := proto.Unmarshal(b[end-n:end], &sum); err != nil {
		return nil, bad(err)
	}
	end -= n
	if err := y.VerifyChecksum(b[:end], &sum); err != nil {
		return nil, bad(err)
	}
	return b[:end], nil
}

// block returns the rows of one block, whose values hold until the next is read; the error
// wraps errBlock if they cannot be read.
func (t *sst) block(i int) (rows []sstEntry, err error) {
	b, err := t.body(i)
	if err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("block %d %w: %v", i, errBlock, p)
		}
	}()
	end := len(b) - 4
	begins := make([]int, binary.BigEndian.Uint32(b[end:]))
	end -= 4 * len(begins)
	for j := range begins {
		begins[j] = int(binary.NativeEndian.Uint32(b[end+4*j:]))
	}
	var base []byte
	for j, from := range begins {
		to := end
		if j+1 < len(begins) {
			to = begins[j+1]
		}
		row := b[from:to]
		shared, own := int(binary.NativeEndian.Uint16(row)), int(binary.NativeEndian.Uint16(row[2:]))
		key := append(append([]byte(nil), base[:shared]...), row[4:4+own]...)
		if j == 0 {
			base = key
		}
		e := sstEntry{key: key}
		e.value.Decode(row[4+own:])
		rows = append(rows, e)
	}
	return rows, nil
}

// ivLen is how many bytes behind what is encrypted begin its counter.
const ivLen = 16

// decrypt opens what was encrypted.
func (t *sst) decrypt(b []byte) ([]byte, error) {
	if len(t.key) == 0 {
		return b, nil
	}
	n := len(b) - ivLen
	if n < 0 {
		return nil, errBlock
	}
	return y.XORBlockAllocate(b[:n], t.key, b[n:])
}

// sstList is what a database says of its tables.
type sstList struct {
	db     string
	tables map[uint64]badger.TableManifest
	keys   *badger.KeyRegistry
}

// openList reads MANIFEST and KEYREGISTRY, which a running database may be writing.
func openList(db string, key [32]byte) (*sstList, error) {
	tables, _, err := listedTables(db)
	if err != nil {
		return nil, fmt.Errorf("reading MANIFEST: %w", err)
	}
	opt := badgerOptions(db, key, Options{})
	keys, err := badger.OpenKeyRegistry(badger.KeyRegistryOptions{
		Dir: db, ReadOnly: true, EncryptionKey: opt.EncryptionKey,
		EncryptionKeyRotationDuration: opt.EncryptionKeyRotationDuration,
	})
	if errors.Is(err, badger.ErrEncryptionKeyMismatch) {
		return nil, ErrWrongKey
	}
	if err != nil {
		return nil, damaged("%s: %v", badger.KeyRegistryFileName, err)
	}
	return &sstList{db, tables, keys}, nil
}

func (l *sstList) close() error { return l.keys.Close() }

func (l *sstList) path(id uint64) string { return table.NewFilename(id, l.db) }

// key is what a table is encrypted under, nil for nothing.
func (l *sstList) key(id uint64) (*pb.DataKey, error) {
	key, err := l.keys.DataKey(l.tables[id].KeyID)
	if err != nil {
		return nil, damaged("the key of table %d is not in %s: %v", id, badger.KeyRegistryFileName, err)
	}
	return key, nil
}

func (l *sstList) open(id uint64) (*sst, error) {
	key, err := l.key(id)
	if err != nil {
		return nil, err
	}
	return openSST(l.path(id), key.GetData(), l.tables[id].Compression)
}
