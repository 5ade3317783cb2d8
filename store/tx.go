package store

import (
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/dgraph-io/badger/v4"
)

// Tx is a view of the store at one moment and, inside [Store.Update], the
// writes of one function. It is valid only while that function runs and only
// in its goroutine. Slices it returns, but for [EntryRow].By, are the caller's own; slices given to
// it are kept until the commit and must not be changed.
type Tx struct {
	s     *Store
	txn   *badger.Txn
	write bool

	// Of the whole batch, thrown away when the batch runs again (commit.go).
	fresh   map[[32]byte]num // numbers that are written
	nextNum num
	nextArr uint64
	places  map[placeKey]where // rows of table x, to be written
	changes []Change
	bylined map[bylineKey]bool // bylines that lie in the store
	forgot  map[num]bool       // groups whose bylines were deleted, maybe written anew
	untidy  bool               // an entry was left without its operation
	oldest  uint64             // first change kept after this batch, 0 if none was pruned
	rows    int
	bytes   int
}

// Full tells that the transaction has reached the size at which a long piece
// of work should return and go on in another Update.
func (tx *Tx) Full() bool {
	part := float64(tx.s.opts.MemTable) / MemTableBytes
	return float64(tx.bytes) >= fullBytes*part || float64(tx.rows) >= fullRows*part
}

// crcTable is the CRC-32C that processors compute in hardware.
var crcTable = crc32.MakeTable(crc32.Castagnoli)

// sum binds a value to its key (SPEC.md D1): Badger's encryption does not
// authenticate, and in its default mode a flipped byte comes back as a value.
func sum(k key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(k, crcTable), crcTable, value)
}

// guard turns a panic inside Badger, which damaged tables cause (SPEC.md D3),
// into an error.
func guard(what string, err *error) {
	if p := recover(); p != nil {
		*err = damaged("%s: %v", what, p)
	}
}

// get returns a copy of the value, and whether there is one.
func (tx *Tx) get(k key) (value []byte, ok bool, err error) {
	defer guard("reading a row", &err)
	item, err := tx.txn.Get(k)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, readError(err)
	}
	b, err := item.ValueCopy(nil)
	if err != nil {
		return nil, false, readError(err)
	}
	value, err = open(k, b)
	return value, err == nil, err
}

// open strips and checks the sum at the front of a stored value.
func open(k key, b []byte) ([]byte, error) {
	r := row{b: b}
	want := r.u32()
	if r.bad || sum(k, r.b) != want {
		return nil, damaged("row of table %q has a wrong sum", k[0])
	}
	return r.b, nil
}

func readError(err error) error {
	if errors.Is(err, badger.ErrDBClosed) {
		return ErrClosed
	}
	return fmt.Errorf("reading store: %w", err)
}

// set writes a row; value may be built of several parts.
func (tx *Tx) set(k key, value ...[]byte) error {
	if !tx.write {
		panic("internal error: write inside View")
	}
	n := 0
	for _, p := range value {
		n += len(p)
	}
	if n > MaxValue {
		return fmt.Errorf("%w: value of %d bytes in table %q", ErrTooLarge, n, k[0])
	}
	b := make([]byte, 4, 4+n)
	for _, p := range value {
		b = append(b, p...)
	}
	s := sum(k, b[4:])
	b[0], b[1], b[2], b[3] = byte(s>>24), byte(s>>16), byte(s>>8), byte(s)
	tx.rows++
	tx.bytes += len(k) + len(b)
	return writeError(tx.txn.Set(k, b))
}

func (tx *Tx) del(k key) error {
	if !tx.write {
		panic("internal error: write inside View")
	}
	tx.rows++
	tx.bytes += len(k)
	return writeError(tx.txn.Delete(k))
}

func writeError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, badger.ErrTxnTooBig):
		return ErrTooLarge
	}
	return fmt.Errorf("writing store: %w", err)
}

// errStop ends a scan early; it never leaves the package.
var errStop = errors.New("stop")

// EachRow calls fn for every row, as it lies there once decrypted: for whoever
// looks at what a disk gives away. Inside View only.
func (tx *Tx) EachRow(fn func(key, value []byte) error) error {
	_, err := tx.pass(span{}, fn)
	return stopped(err)
}

// span is a range of rows: those whose keys begin with prefix, from the key
// from on (a zero from is the first, or the last if reversed).
type span struct {
	prefix   key
	from     key
	reverse  bool
	keysOnly bool
	// bad, if not nil, is called for rows with a wrong sum, which are then
	// skipped; else the first one ends the scan with ErrDamaged.
	bad func(k row)
}

// scan calls fn with the rows of a span in order until fn returns an error;
// errStop ends it without one. fn may write: inside Update rows are read
// ahead in chunks and the iterator, of which Badger allows one, is closed
// before fn runs. Rows that fn writes into the span may or may not be met.
func (tx *Tx) scan(sp span, fn func(k row, value []byte) error) error {
	if !tx.write {
		_, err := tx.pass(sp, func(k, value []byte) error { return fn(row{b: k[1:]}, value) })
		return stopped(err)
	}
	if err := tx.writePlaces(); err != nil {
		return err
	}
	type pair struct{ k, v []byte }
	var skip key
	for {
		chunk := make([]pair, 0, 16)
		more, err := tx.pass(sp, func(k, value []byte) error {
			if skip != nil && string(skip) == string(k) {
				return nil
			}
			chunk = append(chunk, pair{k, value})
			if len(chunk) == scanChunk {
				return errStop
			}
			return nil
		})
		if err != nil && err != errStop {
			return err
		}
		for _, p := range chunk {
			if err := fn(row{b: p.k[1:]}, p.v); err != nil {
				return stopped(err)
			}
		}
		if !more {
			return nil
		}
		skip = chunk[len(chunk)-1].k
		sp.from = skip
	}
}

func stopped(err error) error {
	if err == errStop {
		return nil
	}
	return err
}

// pass is one iteration over a span; more is true if fn ended it.
func (tx *Tx) pass(sp span, fn func(k, value []byte) error) (more bool, err error) {
	it, err := tx.iterator(sp)
	if err != nil {
		return false, err
	}
	defer it.Close()
	from := sp.from
	if from == nil {
		from = sp.prefix
		if sp.reverse {
			from = append(append(key(nil), sp.prefix...), 0xff)
		}
	}
	for err = step(func() { it.Seek(from) }); err == nil; err = step(it.Next) {
		var k, value []byte
		var readErr error
		err = step(func() {
			if !it.ValidForPrefix(sp.prefix) {
				return
			}
			k = it.Item().KeyCopy(nil)
			if !sp.keysOnly {
				value, readErr = it.Item().ValueCopy(nil)
			}
		})
		if err != nil || k == nil {
			return false, err
		}
		if readErr != nil {
			return false, readError(readErr)
		}
		if !sp.keysOnly {
			value, err = open(k, value)
			if err != nil && sp.bad != nil {
				sp.bad(row{b: k[1:]})
				err = nil
				continue
			}
			if err != nil {
				return false, err
			}
		}
		if err := fn(k, value); err != nil {
			return true, err
		}
	}
	return false, err
}

func (tx *Tx) iterator(sp span) (it *badger.Iterator, err error) {
	defer guard("iterating", &err)
	// Prefetching starts a goroutine for each row: it pays for values in a
	// value log, which we have none of.
	return tx.txn.NewIterator(badger.IteratorOptions{Prefix: sp.prefix, Reverse: sp.reverse}), nil
}

func step(f func()) (err error) {
	defer guard("iterating", &err)
	f()
	return nil
}

// named builds a key that ends in a caller's name.
func named(k key, name string) (key, error) {
	if len(name) == 0 || len(name) > MaxName {
		return nil, fmt.Errorf("%w: name of %d bytes", ErrTooLarge, len(name))
	}
	return k.name(name), nil
}
