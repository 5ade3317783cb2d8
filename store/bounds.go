package store

import "time"

// Bounds of the room, each with its reason.
const (
	// MaxBatchFuncs bounds how many callers share one transaction: past it
	// the sync is a small part of the cost and only the wait grows.
	MaxBatchFuncs = 128
	// MemTableBytes is what is gathered in memory before it is written as a table: a
	// transaction of the largest wrap set (MaxWraps) has to fit 15 % of it.
	MemTableBytes = 16 << 20
	// fullBytes is where a batch stops taking in further functions and where
	// [Tx.Full] turns true: under half of what Badger takes in one
	// transaction (15 % of a memtable, 2.4 MiB), so that one more function
	// of ordinary size still fits. With a smaller memtable
	// it is as much less.
	fullBytes = 1 << 20
	// fullRows is the same for the number of rows (Badger takes about 27 000).
	fullRows = 12_000

	// tableBytes is the size of a table that Badger makes of others, in a buffer of
	// twice that rounded up to a power of two; a dozen are made at the same time.
	// 4 MiB hold what a table of ours takes on the way, packed blocks and
	// unpacked. For a table of just 1 MiB it would be 2 and then 4 more, and for
	// the tables of 8 MB that Badger makes of itself it was 48 each. Each
	// table is an open file: a thousand for a million messages.
	tableBytes = 1<<20 + 32<<10
	// newTables is how many memtables are written as tables before they are made others
	// of. With each of those compactions all is written anew that the next level
	// holds, and a burst that they are enough for waits for none: what somebody missed
	// who was away for 100 000 messages. A page is read out of all of them; one row out of
	// those whose filter does not say that they have nothing of it.
	newTables = 10
	// indexBytes is what is kept of the tables' indexes, of which a million messages
	// have 15 MB, all read at the start. Badger leaves those of deleted tables
	// there until they are pushed out, so it fills up whatever is in store, but for
	// [Store.Rest].
	indexBytes = 20 << 20

	// maxBylines bounds those that are kept in memory for readers, each about 200
	// bytes: a thousand groups of a hundred have 100 000.
	maxBylines = 8192

	// MaxValue is the largest opaque value: a control operation may have a
	// core of 128 KiB, and a parked one some notes besides.
	MaxValue = 192 << 10
	// valueThreshold is above every value, so that none goes to Badger's
	// value log, which has lost values at power loss and never gives space
	// back.
	valueThreshold = 256 << 10
	// MaxName bounds request ids, task ids, setting names, idempotency keys
	// and outbox keys: they become part of a Badger key.
	MaxName = 256
	// partBytes is the size of the pieces of a wrap set, the only larger value.
	partBytes = 32 << 10
	// MaxWraps bounds a wrap set: about 1 200 bytes for each of 1 000 devices
	// and for some invites; it has to fit one transaction.
	MaxWraps = 2 << 20

	// maxType bounds the type of a change: its length is one byte.
	maxType = 255
	// MaxChangeData bounds the event object of one change: a group shows its last
	// message, and 16 KiB of control characters take six times that in JSON.
	MaxChangeData = 160 << 10
	// changeRecordBytes closes a record of changes, so that a reader who wants
	// one change does not read thousands.
	changeRecordBytes = 16 << 10
	// KeepChanges is how many changes are kept: readers more than 4 096
	// behind are told to start anew, webhooks and the search indexer may lag
	// for a day of a busy node.
	KeepChanges = 65_536
	// pruneRecords bounds how many old records one commit deletes.
	pruneRecords = 64

	// syncWithin is how long what was written without a wait for the disk may be
	// lost to a power cut, and maxUnsynced how many bytes of it: short enough that
	// nobody waits for the word that it is held, long enough that what a burst
	// brings in that time shares a sync.
	syncWithin  = 200 * time.Millisecond
	maxUnsynced = 4 << 20
	// maxSyncing is how much may be written beside such a sync, before who writes waits
	// for the disk too: what a disk of 40 MB/s takes in a tenth of a second.
	maxSyncing = 4 << 20

	// LowSpaceBytes is the free space below which people are warned.
	LowSpaceBytes = 512 << 20
	// MinSpaceBytes is the free space below which every write is refused:
	// Badger maps a memtable log (32 MiB), a value log (128 MiB, sparse) and
	// compacts; when the disk runs out under a mapping the process dies.
	MinSpaceBytes = 128 << 20
	// BallastBytes is the file that is deleted when the disk is so full that
	// the database could not be opened.
	BallastBytes = 64 << 20

	// SlowWrite is how long a commit takes on a disk that people are told is
	// slow: it is at most a few MiB and one sync, some milliseconds on a solid
	// disk and tens on a turning one.
	SlowWrite = 2 * time.Second
	// SlowFor is how long that is remembered: until the node's next round of
	// housekeeping has written again, if nobody else has.
	SlowFor = 2 * time.Minute

	// AnswerMs is how long the answer to an idempotent request is kept: 24 h.
	AnswerMs = 24 * 60 * 60 * 1000

	// scanChunk is how many rows an iteration inside Update reads ahead.
	scanChunk = 256
)
