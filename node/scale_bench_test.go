package node

import (
	"context"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// ends is how far a node has each content chain.
func ends(b testing.TB, n *Node, g wire.GroupID) map[wire.OpID]uint64 {
	out := map[wire.OpID]uint64{}
	inRoom(b, n, g, func(r *room) {
		for at, head := range r.heads {
			if at.chain == groups.Content {
				out[at.inc] = head.Seq
			}
		}
	})
	return out
}

// hasAll tells whether a node's chains of content go as far as those of another.
func hasAll(b testing.TB, n *Node, g wire.GroupID, far map[wire.OpID]uint64) (all bool) {
	inRoom(b, n, g, func(r *room) {
		// The newest come first: a chain's end may be here above a hole.
		older, _ := r.olderMissing()
		all = older == 0
		for inc, end := range far {
			if seq, _, _ := r.g.ChainHead(inc, groups.Content); seq < end {
				all = false
			}
		}
	})
	return all
}

// BenchmarkAway is C1: a member was away for 100 000 messages by 100 devices.
// The time runs from its start until it has them all, verified, decrypted, in
// its timeline and synced to its disk. Both nodes run in this process, over
// loopback, so that cpu-µs/message counts the one that serves too. Beside it,
// on the same messages: naive, which verifies each signature and gives each
// message a transaction.
func BenchmarkAway(b *testing.B) {
	for _, missed := range []int{10_000, 100_000} {
		b.Run(strconv.Itoa(missed), func(b *testing.B) { benchAway(b, missed) })
	}
}

func benchAway(b *testing.B, missed int) {
	home := b.TempDir()
	ann, bo := testNode(b, "Ann"), startNode(b, home, "Bo", nil)
	g := newGroup(b, ann, api.GroupCreate{})
	join(b, bo, invite(b, ann, g, 1, ""))
	people := crowdOf(b, ann, g, 98)
	same(b, g, ann, bo)
	var wall, cpu time.Duration
	for b.Loop() {
		b.StopTimer()
		if err := bo.Close(); err != nil {
			b.Fatal(err)
		}
		fill(b, ann, g, people, missed, func() {})
		far := ends(b, ann, g)
		wallBefore, cpuBefore := time.Now(), processorTime(b)
		b.StartTimer()
		bo = startNode(b, home, "Bo", nil)
		within(b, bo, patience, "all that was missed", func() bool { return hasAll(b, bo, g, far) })
		ok(b, bo.store.Sync(b.Context())) // what others said is shown before it is
		wall, cpu = wall+time.Since(wallBefore), cpu+processorTime(b)-cpuBefore
	}
	ops := float64(b.N * missed)
	b.ReportMetric(ops/wall.Seconds(), "messages/s")
	b.ReportMetric(float64(cpu.Microseconds())/ops, "cpu-µs/message")
	naive, naiveCPU := takeNaively(b, ann, g, 2_000)
	b.ReportMetric(naive, "naive/s")
	b.ReportMetric(naiveCPU, "naive-cpu-µs")
}

// takeNaively takes a node's messages, which it has with all their signatures,
// into another store the obvious way.
func takeNaively(b *testing.B, n *Node, g wire.GroupID, count int) (perSecond, cpuMicros float64) {
	b.Helper()
	var frames [][]byte
	inRoom(b, n, g, func(r *room) {
		for inc := range r.heads {
			if inc.chain != groups.Content {
				continue
			}
			err := n.store.View(func(tx *store.Tx) error {
				return tx.EachOp(g, inc.inc, uint8(groups.Content), 1, uint64(count), func(o store.StoredOp) error {
					if len(frames) < count {
						frames = append(frames, o.Frame)
					}
					return nil
				})
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	s, err := store.Open(filepath.Join(b.TempDir(), "naive"), [32]byte{1}, store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	state := n.room(g).view.Load().state
	began, used := time.Now(), processorTime(b)
	for _, frame := range frames {
		op, refusal := groups.Decode(frame)
		if refusal != nil {
			b.Fatal(refusal)
		}
		inc, _ := state.Inc(op.IncID())
		if !op.Authenticate(g, inc.Device) {
			b.Fatal("a signature does not verify")
		}
		err := s.Update(context.Background(), func(tx *store.Tx) error {
			if err := tx.PutOp(g, op.IncID(), uint8(op.Chain), op.Seq, op.ID, frame); err != nil {
				return err
			}
			if err := tx.PutHead(g, op.IncID(), uint8(op.Chain), store.Head{Seq: op.Seq, ID: op.ID}); err != nil {
				return err
			}
			by := store.Byline{Inc: op.IncID(), Data: func() []byte { return frame[:136] }}
			return tx.PutEntry(g, op.HLC, op.ID, by, frame[:min(len(frame), 330)])
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	took := time.Since(began)
	return float64(len(frames)) / took.Seconds(), float64((processorTime(b) - used).Microseconds()) / float64(len(frames))
}
