package store

import (
	"reflect"
	"unsafe"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/ristretto/v2"
	"github.com/dgraph-io/ristretto/v2/z"
)

// dropBuffers lets the collector have each buffer as soon as Badger has made a
// table in it, until the database is closed. Badger would keep eight for the next
// tables, and each grows to the most it ever held, which is 56 MiB once a memtable
// was made a table in it. All together are above the limit of memory while much
// is written, and the collector then runs without end: it took as much of the
// processor as all else in the store. It tells whether it could; if not, nothing else
// suffers.
func dropBuffers(db *badger.DB) bool {
	kept, ok := keptBuffers(db)
	if !ok {
		return false
	}
	go func() {
		for b := range kept { // Badger's Close closes it
			b.Release()
		}
	}()
	return true
}

// cachedIndexes is where Badger keeps what it read of the tables' indexes.
func cachedIndexes(db *badger.DB) (*ristretto.Cache[uint64, *fb.TableIndex], bool) {
	return field[*ristretto.Cache[uint64, *fb.TableIndex]](db, "indexCache")
}

// keptBuffers is where Badger puts them, in fields that it sets once and neither shows
// nor can do without. They are only read.
func keptBuffers(db *badger.DB) (chan *z.Allocator, bool) {
	pool, ok := field[*z.AllocatorPool](db, "allocPool")
	if !ok {
		return nil, false
	}
	return field[chan *z.Allocator](pool, "allocCh")
}

// field reads a field of what of points to.
func field[T any](of any, name string) (v T, ok bool) {
	f := reflect.ValueOf(of).Elem().FieldByName(name)
	if !f.IsValid() || f.Type() != reflect.TypeFor[T]() {
		return v, false
	}
	return *(*T)(unsafe.Pointer(f.UnsafeAddr())), true
}
