package node

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/groups/seal"
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
// loopback, so that cpu-µs/message counts the one that serves too. Beside it, on 2 000 more
// messages of the same kind: naive.
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
	ok(b, bo.Close())
	naive, naiveCPU := takeNaively(b, ann, home, g, people, 2_000)
	b.ReportMetric(naive, "naive/s")
	b.ReportMetric(naiveCPU, "naive-cpu-µs")
}

// takeNaively is how a node would come back the obvious way: it takes what it missed message
// by message, verifies each signature, opens each box, and has each on its disk, in a
// transaction of its own, before it looks at the next. It need not even ask for them: they
// are read from Ann's store, and both nodes are closed, or opened, before the time runs.
func takeNaively(b *testing.B, ann *Node, home string, g wire.GroupID, people []*groupstest.Person, count int) (perSecond, cpuMicros float64) {
	b.Helper()
	before := ends(b, ann, g)
	from := ann.room(g)
	for i := range count {
		ok(b, from.step(b.Context(), func(c *commit) error { return sayAs(from, c, people[i%len(people)], babble()) }))
	}
	var control, frames [][]byte
	err := ann.store.View(func(tx *store.Tx) error {
		if err := tx.EachControl(g, func(o store.StoredOp) error { control = append(control, o.Frame); return nil }); err != nil {
			return err
		}
		for inc, end := range ends(b, ann, g) {
			err := tx.EachOp(g, inc, uint8(groups.Content), before[inc]+1, end, func(o store.StoredOp) error {
				frames = append(frames, o.Frame)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	ok(b, err)
	if len(frames) != count {
		b.Fatalf("%d messages of %d", len(frames), count)
	}
	secrets := map[[32]byte]seal.Secret{}
	inRoom(b, ann, g, func(r *room) {
		for eid, k := range r.keys.epochs {
			secrets[eid] = k.secret
		}
	})
	ok(b, ann.Close()) // or Bo asks it for them
	bo := startNode(b, home, "Bo", nil)
	r := bo.room(g)
	ok(b, r.step(b.Context(), func(c *commit) error { // an epoch may have been made in between
		for _, frame := range control {
			op, refusal := groups.Reread(frame)
			if refusal != nil {
				return refusal
			}
			r.judge(c, wire.PeerKey{}, op, false)
			if body, ok := op.Body.(*groups.RekeyBody); ok {
				r.keepSecret(c, op.Ctx(), body.EID, secrets[body.EID])
			}
		}
		return nil
	}))
	began, used := time.Now(), processorTime(b)
	for _, frame := range frames {
		op, refusal := groups.Decode(frame)
		if refusal != nil {
			b.Fatal(refusal)
		}
		ok(b, r.step(b.Context(), func(c *commit) error {
			if v := r.judge(c, wire.PeerKey{}, op, false); v != groups.Accept {
				return fmt.Errorf("a message was not taken: %+v", r.g.JudgePast(op, r.n.nowMs()))
			}
			return nil
		}))
		ok(b, bo.store.Sync(b.Context()))
	}
	took, cpu := time.Since(began), processorTime(b)-used
	inRoom(b, bo, g, func(r *room) {
		if r.latest == nil || r.latest.Kind != groups.ContentText {
			b.Fatal("they were not opened")
		}
	})
	return float64(len(frames)) / took.Seconds(), float64(cpu.Microseconds()) / float64(len(frames))
}
