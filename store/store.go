package store

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// Options are what a caller may choose; the zero value is a durable store
// without ballast.
type Options struct {
	// Log gets warnings of the database and what was done to protect it;
	// never a value or a key. Nil: nothing is logged.
	Log *slog.Logger
	// FreeSpace returns the bytes a user may still write below a folder.
	// Nil: ask the operating system. Tests lie here.
	FreeSpace func(dir string) (uint64, error)
	// InMemory keeps everything in memory and touches no file: simulations
	// only. Nothing is durable then.
	InMemory bool
	// MemTable is how many bytes of rows are gathered in memory before they become
	// a table; 0 means [MemTableBytes]. Badger takes that memory, and a third more,
	// as soon as it opens, and a transaction may have about an eighth of it. For
	// simulations of hundreds of nodes in one process.
	MemTable int64
	// Ballast is the size in bytes of the file kept beside the database to be
	// deleted when the disk is full; 0 keeps none. Daemons give BallastBytes.
	Ballast int64
	// KeepChanges is how many changes the log keeps at least; 0 means
	// KeepChanges.
	KeepChanges uint64

	// steps are the migrations; nil: this program's. Tests have others.
	steps []migration
}

// Store is one open database. Its methods may be called from any goroutine.
type Store struct {
	dir   string
	opts  Options
	log   *slog.Logger
	db    *badger.DB
	lock  *lockFile // nil in memory
	wal   *wal      // nil in memory
	guard *sentinel // nil in memory
	clean bool      // it was closed properly before this, or is new

	epoch   string
	oldest  atomic.Uint64 // first change kept (1 if none was pruned)
	last    atomic.Uint64 // last committed change
	nums    nums          // interned ids that are committed
	bylines bylines

	// turn is full while somebody writes: a channel, for one may wait for it in the
	// virtual time of a test.
	turn chan struct{}
	sync func() error // syncs the log; set once, nil if Badger does or in memory
	// Owned by who has the turn.
	nextNum num
	nextArr uint64
	unsure  map[[32]byte]int64  // numbers that were given, and up to where that must be synced
	bylined map[bylineKey]int64 // bylines that are committed, and up to where that must be synced
	tidy    bool                // each entry in a timeline has its operation
	torn    error               // why a commit may not be on the disk: nothing is written after it
	due     bool                // syncDue runs

	syncDue *time.Timer   // rings in the syncer when what is not synced is to be
	backDue chan struct{} // capacity one: the writer is to back the log
	// Bytes that were committed, written by who has the turn, and up to where they are
	// synced, which only rises.
	written, synced atomic.Int64

	// settling is held while a commit is under way: nobody begins to read what
	// is not synced yet.
	settling sync.RWMutex

	queue      chan *pending
	stop       chan struct{} // closed by Close
	writerDone chan struct{} // closed by the writer as it ends
	syncerDone chan struct{} // and by the syncer

	mu     sync.Mutex
	closed bool
	// The last write that was slow, and when it ended (space.go).
	slowTook time.Duration
	slowAt   time.Time
	wake     chan struct{} // closed and replaced after each commit with changes
	inside   sync.WaitGroup
}

// Open opens the store in dir, making it if there is none; key is the store
// key from keys.sealed and encrypts every file of the database. The errors
// are ErrInUse, ErrNewerFormat, ErrDamaged, ErrWrongKey, ErrDiskFull, ErrReadOnly, all
// matched with errors.Is, or what the operating system says.
func Open(dir string, key [32]byte, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.FreeSpace == nil {
		o.FreeSpace = freeSpace
	}
	if o.steps == nil {
		o.steps = steps
	}
	if o.KeepChanges == 0 {
		o.KeepChanges = KeepChanges
	}
	if o.MemTable == 0 {
		o.MemTable = MemTableBytes
	}
	s := &Store{
		dir: dir, opts: o, log: o.Log,
		queue:      make(chan *pending, MaxBatchFuncs),
		turn:       make(chan struct{}, 1),
		stop:       make(chan struct{}),
		writerDone: make(chan struct{}),
		syncerDone: make(chan struct{}),
		syncDue:    time.NewTimer(syncWithin),
		backDue:    make(chan struct{}, 1),
		wake:       make(chan struct{}),
		unsure:     map[[32]byte]int64{},
		bylined:    map[bylineKey]int64{},
	}
	if err := s.open(key); err != nil {
		if s.lock != nil {
			s.lock.release()
		}
		return nil, err
	}
	s.syncDue.Stop()
	go s.writer()
	go s.syncer()
	return s, nil
}

func (s *Store) open(key [32]byte) (err error) {
	if !s.opts.InMemory {
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return fmt.Errorf("opening store: %w", err)
		}
		if s.lock, err = takeLock(s.dir); err != nil {
			return err
		}
		if err := s.makeRoom(); err != nil {
			return err
		}
		if s.guard, err = inspect(s.dir, newest(s.opts.steps)); err != nil {
			return err
		}
		s.clean = s.guard.Clean || s.guard.ID == ""
		if s.older() {
			if err := s.guard.copyBefore(); err != nil {
				return fmt.Errorf("copying the store before it is migrated: %w", err)
			}
		}
	}
	if s.db, err = openBadger(s.databaseDir(), key, s.opts); err != nil {
		return err
	}
	err = s.openLog()
	if err == nil {
		err = s.prepare()
	}
	if err != nil {
		// From here on Badger is whole and may be closed; after an error of
		// its own Open it must not be.
		return errors.Join(err, s.closeDatabase())
	}
	s.makeBallast()
	return nil
}

// openLog finds what is to be synced after each commit.
func (s *Store) openLog() (err error) {
	if s.opts.InMemory || !syncsItself {
		return nil
	}
	if s.wal, err = openWAL(s.databaseDir()); err == nil {
		s.sync = s.wal.flush
	}
	return err
}

// mayLack tells whether readers may have been told of changes that are not here:
// of a store that was not closed, what was not synced outlives its process, but
// not the system it ran on.
func (s *Store) mayLack() bool {
	return syncsItself && !s.clean && (s.guard.Boot == "" || s.guard.Boot != bootID())
}

// older tells whether the store is of an older format than this program's.
func (s *Store) older() bool {
	return s.guard.ID != "" && s.guard.Format < newest(s.opts.steps)
}

// Clean tells whether the store was closed by Close before it was opened this
// time, or is new: what else opens may be a copy of one that ran on.
func (s *Store) Clean() bool { return s.clean || s.opts.InMemory }

func (s *Store) databaseDir() string {
	if s.opts.InMemory {
		return ""
	}
	return filepath.Join(s.dir, databaseFolder)
}

// openBadger holds the only settings under which Badger is opened
// (SPEC.md D2).
func openBadger(dir string, key [32]byte, o Options) (db *badger.DB, err error) {
	defer guard("opening the database", &err)
	opt := badgerOptions(dir, key, o)
	if err := tryKey(opt); err != nil {
		return nil, err
	}
	if !o.InMemory {
		if err := dropUnmade(dir); err != nil {
			return nil, err
		}
	}
	db, err = badger.Open(opt)
	switch {
	case err == nil:
		if !dropBuffers(db) {
			o.Log.Warn("this Badger keeps its buffers in another way: the node takes more memory")
		}
		return db, nil
	case strings.Contains(err.Error(), "Cannot acquire directory lock"):
		return nil, &InUseError{Dir: dir}
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	return nil, damaged("opening the database: %v", err)
}

func badgerOptions(dir string, key [32]byte, o Options) badger.Options {
	opt := badger.DefaultOptions(dir).
		WithInMemory(o.InMemory).
		WithMemTableSize(o.MemTable).
		WithNumMemtables(2).
		// Large blocks: each is packed with tables of its own, whose making is most
		// of what packing costs, and is encrypted under a cipher of its own.
		WithBlockSize(16 << 10).
		WithBlockCacheSize(4 << 20).    // a page is read once; what is written soon is in memtables
		WithIndexCacheSize(indexBytes). // 0 panics under encryption
		WithValueLogFileSize(64 << 20).
		WithValueThreshold(valueThreshold).
		WithNumCompactors(2).
		// Most of a row is sealed, and nothing packs that: ZSTD took a seventh less room, for
		// a tenth of all the processor time of who was away for long (SPEC.md D2).
		WithCompression(options.Snappy).
		WithBaseTableSize(tableBytes).
		WithNumLevelZeroTables(newTables).
		WithNumLevelZeroTablesStall(2 * newTables). // a burst goes on while they are made others of
		// About what the tables of level 0 hold by then. If the next level may hold much
		// less it is too large after each of their compactions, and Badger packs level 0
		// into itself meanwhile, in a buffer of 256 MiB.
		WithBaseLevelSize(128 << 20).
		WithEncryptionKey(bytes.Clone(key[:])).
		WithSyncWrites(!syncsItself).
		WithMetricsEnabled(false).
		WithDetectConflicts(false). // one writer: there are none
		WithLogger(badgerLog{o.Log})
	opt.TableSizeMultiplier = 1 // tables of deeper levels are no larger
	return opt
}

// tryKey asks the key registry whether the key fits, because Badger's own
// Open, when it does not, leaves goroutines and a half-made database behind.
func tryKey(opt badger.Options) error {
	if opt.InMemory {
		return nil
	}
	if _, err := os.Stat(filepath.Join(opt.Dir, badger.KeyRegistryFileName)); err != nil {
		return nil // a new database, or one that Badger will object to
	}
	registry, err := badger.OpenKeyRegistry(badger.KeyRegistryOptions{
		Dir: opt.Dir, ReadOnly: true, EncryptionKey: opt.EncryptionKey,
		EncryptionKeyRotationDuration: opt.EncryptionKeyRotationDuration,
	})
	switch {
	case err == nil:
		return registry.Close()
	case errors.Is(err, badger.ErrEncryptionKeyMismatch):
		return ErrWrongKey
	}
	return damaged("%s: %v", badger.KeyRegistryFileName, err)
}

// prepare brings an open database to a state the rest can rely on.
func (s *Store) prepare() error {
	if s.guard != nil && s.guard.Mended {
		if err := s.regain(); err != nil {
			return err
		}
	}
	if err := s.migrate(s.opts.steps); err != nil {
		return err
	}
	id, err := s.loadMeta()
	if err != nil {
		return err
	}
	if s.guard == nil {
		return nil
	}
	if err := s.guard.matches(id); err != nil {
		return err
	}
	if lost := s.last.Load() < s.guard.Changes; lost || s.mayLack() {
		// The end of the log was lost (a damaged memtable log is cut
		// silently), or may be: its numbers will be given again, so they need
		// another epoch (SPEC.md C4).
		if lost {
			s.log.Warn("store lost its newest changes", "last", s.last.Load(), "expected", s.guard.Changes)
		}
		if s.epoch, err = s.newEpoch(); err != nil {
			return err
		}
		s.tidy = false // an operation may be lost whose entry was placed anew after it
	}
	if s.guard.ID != "" && !s.older() && s.guard.Clean {
		// It was used in this format before, and closed: nobody goes back to the old one. A
		// program that dies as soon as it has begun, and is begun again by the system, has
		// not shown that.
		if err := dropBefore(s.dir); err != nil {
			return err
		}
	}
	return s.guard.opened(id, newest(s.opts.steps), s.last.Load(), bootID())
}

// Names in table m.
const (
	metaFormat = "format"
	metaID     = "id"
	metaEpoch  = "epoch"
	metaNum    = "num"  // next interned number
	metaArr    = "arr"  // next number in table c
	metaTidy   = "tidy" // 1: each entry in a timeline has its operation; 0 or missing: maybe not
	metaStep   = "step" // checkpoint of a migration that was interrupted
)

// loadMeta reads what the store keeps in memory, and makes the two random
// names of a new database.
func (s *Store) loadMeta() (id string, err error) {
	var fresh bool
	err = s.raw(func(tx *Tx) error {
		id, s.epoch, fresh = "", "", false
		v, ok, err := tx.get(metaKey(metaID))
		if err != nil {
			return err
		}
		if !ok {
			fresh, s.nextNum = true, 1
			s.tidy = true
			if err := tx.setMetaNumber(metaTidy, 1); err != nil {
				return err
			}
			id, s.epoch = randomName(), randomName()
			if err := tx.set(metaKey(metaID), []byte(id)); err != nil {
				return err
			}
			return tx.set(metaKey(metaEpoch), []byte(s.epoch))
		}
		id = string(v)
		if v, _, err = tx.get(metaKey(metaEpoch)); err != nil {
			return err
		}
		s.epoch = string(v)
		n, err := tx.metaNumber(metaNum)
		if err != nil {
			return err
		}
		s.nextNum = max(num(n), 1)
		if s.nextArr, err = tx.metaNumber(metaArr); err != nil {
			return err
		}
		tidy, err := tx.metaNumber(metaTidy)
		if err != nil {
			return err
		}
		s.tidy = tidy == 1
		return s.loadChanges(tx)
	})
	if fresh {
		s.oldest.Store(1)
	}
	return id, err
}

func (s *Store) newEpoch() (string, error) {
	name := randomName()
	return name, s.raw(func(tx *Tx) error { return tx.set(metaKey(metaEpoch), []byte(name)) })
}

func (tx *Tx) metaNumber(name string) (uint64, error) {
	v, ok, err := tx.get(metaKey(name))
	if err != nil || !ok {
		return 0, err
	}
	r := row{b: v}
	n := r.u64()
	if !r.ok() {
		return 0, damaged("meta row %q", name)
	}
	return n, nil
}

func (tx *Tx) setMetaNumber(name string, n uint64) error {
	return tx.set(metaKey(name), key(nil).u64(n))
}

// raw runs fn in a transaction of its own: for Open, before the writer runs.
func (s *Store) raw(fn func(*Tx) error) error {
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	if err := fn(&Tx{s: s, txn: txn, write: true}); err != nil {
		return err
	}
	return s.settle(txn)
}

func randomName() string {
	var b [8]byte
	rand.Read(b[:]) // never fails; crashes the program if it would
	return hex.EncodeToString(b[:])
}

// View runs fn on the committed state of one moment. Several run at once and
// beside an Update. It returns fn's error, or ErrClosed.
func (s *Store) View(fn func(*Tx) error) error {
	if !s.enter() {
		return ErrClosed
	}
	defer s.inside.Done()
	s.settling.RLock()
	txn := s.db.NewTransaction(false)
	s.settling.RUnlock()
	defer txn.Discard()
	return fn(&Tx{s: s, txn: txn})
}

// enter keeps Close waiting until inside.Done.
func (s *Store) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.inside.Add(1)
	return true
}

// Close waits for running functions, lets waiting Tails return ErrClosed,
// closes the database and records the clean close. Later calls return nil.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()

	close(s.stop)
	s.inside.Wait()
	close(s.queue)
	<-s.writerDone
	<-s.syncerDone
	s.makeWay()
	err := s.closeDatabase()
	if err == nil && s.guard != nil {
		err = s.guard.closed(s.last.Load())
	}
	if s.lock != nil {
		s.lock.release()
	}
	if err != nil {
		return fmt.Errorf("closing store: %w", err)
	}
	return nil
}

func (s *Store) closeDatabase() (err error) {
	defer guard("closing the database", &err)
	if s.wal != nil {
		defer s.wal.close()
	}
	return s.db.Close()
}

// Epoch names this store's change numbers: numbers of different epochs must
// not be compared. It changes when changes were lost and their numbers will
// be given again.
func (s *Store) Epoch() string { return s.epoch }

// LastChange returns the number of the newest committed change, 0 if none.
func (s *Store) LastChange() uint64 { return s.last.Load() }

// badgerLog passes on Badger's warnings and errors.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) Errorf(f string, a ...any)   { l.log.Error("badger: " + line(f, a)) }
func (l badgerLog) Warningf(f string, a ...any) { l.log.Warn("badger: " + line(f, a)) }
func (badgerLog) Infof(string, ...any)          {}
func (badgerLog) Debugf(string, ...any)         {}

func line(f string, a []any) string {
	s := strings.TrimSpace(fmt.Sprintf(f, a...))
	if len(s) > 400 { // a damaged index makes Badger print megabytes
		s = s[:400] + "…"
	}
	return s
}
