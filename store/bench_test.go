package store

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	W "mutuals/identity/wire"
)

// BenchmarkRawSynced is the limit of BenchmarkUpdate: one synced transaction of
// the same three rows by Badger, which does the syncing.
func BenchmarkRawSynced(b *testing.B) { benchRawSynced(b, 3, 700) }

// BenchmarkRawSyncedRow is one of one row of 600 bytes, as a node's frame is: the
// limit of an answered POST.
func BenchmarkRawSyncedRow(b *testing.B) { benchRawSynced(b, 1, 600) }

func benchRawSynced(b *testing.B, rows, size int) {
	db := openStock(b)
	frame, n := make([]byte, size), uint64(0)
	var took []float64
	for b.Loop() {
		n++
		began := time.Now()
		err := db.Update(func(txn *badger.Txn) error {
			for p := range rows {
				k := binary.BigEndian.AppendUint64([]byte{byte('1' + p), 0, 0, 0, 0, 0, 0, 0, 0}, n)
				if err := txn.Set(k, frame); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, float64(time.Since(began).Microseconds())/1000)
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2], "p50-ms")
}

// openStock opens a new Badger as ours is opened, but for the syncing, which is
// left to it.
func openStock(b *testing.B) *badger.DB {
	b.Helper()
	opt := badgerOptions(b.TempDir(), testKey, Options{Log: slog.New(slog.DiscardHandler), MemTable: MemTableBytes}).WithSyncWrites(true)
	db, err := badger.Open(opt)
	if err != nil {
		b.Fatal(err)
	}
	if !dropBuffers(db) {
		b.Fatal("this Badger keeps its buffers in another way")
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	return db
}

func message(tx *Tx, g W.GroupID, inc W.OpID, seq uint64, frame []byte) error {
	var id W.OpID
	binary.BigEndian.PutUint64(id[:], seq*0x9e3779b97f4a7c15) // spread like hashes
	return all(
		tx.PutOp(g, inc, 1, seq, id, frame),
		tx.PutHead(g, inc, 1, Head{Seq: seq, ID: id}),
		tx.PutEntry(g, seq, id, Byline{}, frame[:350]),
		tx.Change(Change{Type: "message.created", Group: g, Object: id, Data: frame[:400]}),
	)
}

// BenchmarkUpdate is one message a transaction, one caller.
func BenchmarkUpdate(b *testing.B) {
	s := openTest(b, b.TempDir(), Options{})
	g, inc, frame := groupID("g"), opID("inc", 0), make([]byte, 700)
	seq := uint64(0)
	for b.Loop() {
		seq++
		update(b, s, func(tx *Tx) error { return message(tx, g, inc, seq, frame) })
	}
}

// BenchmarkUpdateParallel is the same by 64 callers, who share syncs.
func BenchmarkUpdateParallel(b *testing.B) {
	s := openTest(b, b.TempDir(), Options{})
	g, frame := groupID("g"), make([]byte, 700)
	var seq atomic.Uint64
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := seq.Add(1)
			update(b, s, func(tx *Tx) error { return message(tx, g, opID("inc", n%100), n, frame) })
		}
	})
}

// BenchmarkIngest is catch-up: transactions of 1 000 messages.
func BenchmarkIngest(b *testing.B) {
	s := openTest(b, b.TempDir(), Options{})
	g, frame := groupID("g"), make([]byte, 700)
	seq := uint64(0)
	for b.Loop() {
		from := seq
		update(b, s, func(tx *Tx) error {
			seq = from
			for range 1000 {
				seq++
				if err := message(tx, g, opID("inc", seq%100), seq, frame); err != nil {
					return err
				}
			}
			return nil
		})
	}
	b.ReportMetric(float64(seq)/b.Elapsed().Seconds(), "ops/s")
}

// BenchmarkRawBatch is the limit of coming back to many messages: Badger, opened
// as ours is, writes rows of the sizes that BenchmarkAway writes, which pack about as
// well, and nothing else: of each message the frame (666 bytes), its place (15) and its
// entry (338), and the change log in records of 16 KiB, 46 bytes a message; 1 000 messages
// in a synced transaction.
func BenchmarkRawBatch(b *testing.B) {
	db := openStock(b)
	noise := make([]byte, 1<<20)
	rand.Read(noise)
	words := make([]byte, len(noise))
	for i := range words {
		words[i] = 'a' + noise[i]%26
	}
	n := uint64(0)
	// Of a frame and of an entry a part is the same in all, and of an entry most is letters.
	frame, entry := make([]byte, 666), make([]byte, 338)
	const sameOfFrame, sameOfEntry, text = 100, 3, 300
	for b.Loop() {
		err := db.Update(func(txn *badger.Txn) error {
			for i := range 1000 {
				n++
				at := n * 7919 % (1 << 19)
				id, frame, entry := noise[at:at+16], bytes.Clone(frame), bytes.Clone(entry)
				copy(frame[sameOfFrame:], noise[at:])
				copy(entry[sameOfEntry:], words[at:at+text])
				copy(entry[sameOfEntry+text:], noise[at:])
				key := func(table byte, parts ...[]byte) []byte {
					return append([]byte{table, 0, 0, 0, 1}, bytes.Join(parts, nil)...)
				}
				inc := append([]byte{0, 0, 0, byte(n % 100)}, 1)
				seq := binary.BigEndian.AppendUint64(nil, n)
				err := all(
					txn.Set(key('o', inc, seq, id), frame),
					txn.Set(key('x', id), noise[at:at+15:at+15]),
					txn.Set(key('t', seq, id), entry),
				)
				if i%355 == 0 {
					size := uint64(min(1000-i, 355) * 46)
					err = all(err, txn.Set(key('a', seq), noise[at:at+size:at+size]))
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
	packed := int64(0)
	for _, t := range db.Tables() {
		packed += int64(t.OnDiskSize)
	}
	b.ReportMetric(float64(packed)/float64(n), "B-in-tables/message") // the newest are in none yet
}

// BenchmarkPage is the newest 50 entries of 50 000.
func BenchmarkPage(b *testing.B) {
	s, g := filledForPages(b)
	for b.Loop() {
		view(b, s, func(tx *Tx) error {
			page, err := tx.PageEntries(g, Cursor{}, Before, 50)
			if len(page) != 50 {
				b.Fatal(len(page))
			}
			return err
		})
	}
}

// BenchmarkPageSomewhere is a page of 50 in the middle.
func BenchmarkPageSomewhere(b *testing.B) {
	s, g := filledForPages(b)
	n := uint64(0)
	for b.Loop() {
		n = n*6364136223846793005 + 1442695040888963407
		view(b, s, func(tx *Tx) error {
			_, err := tx.PageEntries(g, Cursor{OrderMs: 100 + n%49_000, ID: opID("x", 1)}, Before, 50)
			return err
		})
	}
}

func filledForPages(b *testing.B) (*Store, W.GroupID) {
	dir := filepath.Join(b.TempDir(), "pages")
	s := openTest(b, dir, Options{})
	g, frame := groupID("g"), make([]byte, 700)
	for seq := uint64(0); seq < 50_000; {
		from := seq
		update(b, s, func(tx *Tx) error {
			for seq = from; seq < from+500; seq++ {
				if err := message(tx, g, opID("inc", seq%100), seq+1, frame); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return openTest(b, dir, Options{}), g
}
