package node

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// BenchmarkCatchUp is the way back of a member that was away: another node
// holds messages it lacks, and the time runs from its start until it holds them
// all, decrypted, in its timeline, on its disk. Both nodes run in this process,
// over TCP or QUIC on loopback, so cpu-µs/op counts the one that serves too.
// The limit is beside it: BenchmarkCatchUpLimit of package store.
func BenchmarkCatchUp(b *testing.B) {
	for _, missed := range []int{1_000, 20_000} {
		b.Run(fmt.Sprint(missed), func(b *testing.B) { benchCatchUp(b, missed) })
	}
}

func benchCatchUp(b *testing.B, missed int) {
	home := b.TempDir()
	ann, bo := testNode(b, "Ann"), startNode(b, home, "Bo", nil)
	g := newGroup(b, ann, api.GroupCreate{})
	join(b, bo, invite(b, ann, g, 1, ""))
	say(b, bo, g, "here")
	hears(b, ann, g, "here")
	var wall, cpu time.Duration
	for b.Loop() {
		b.StopTimer()
		if err := bo.Close(); err != nil {
			b.Fatal(err)
		}
		head := saySilently(b, ann, g, missed)
		wallBefore, cpuBefore := time.Now(), processorTime(b)
		b.StartTimer()
		bo = startNode(b, home, "Bo", nil)
		within(b, bo, patience, "all that was missed", func() bool {
			got, older := uint64(0), uint64(0)
			inRoom(b, bo, g, func(r *room) {
				got, _, _ = r.g.ChainHead(head.Inc, groups.Content)
				older, _ = r.olderMissing() // the newest come first
			})
			return got == head.Seq && older == 0
		})
		ok(b, bo.store.Sync(b.Context()))
		wall, cpu = wall+time.Since(wallBefore), cpu+processorTime(b)-cpuBefore
	}
	ops := float64(b.N * missed)
	b.ReportMetric(ops/wall.Seconds(), "messages/s")
	b.ReportMetric(float64(cpu.Microseconds())/ops, "cpu-µs/message")
}

// saySilently writes messages of 300 bytes, many in one transaction, and
// returns the head of the chain they are in.
func saySilently(b testing.TB, n *Node, g wire.GroupID, count int) (head groups.VectorEntry) {
	b.Helper()
	r := n.room(g)
	for said := 0; said < count; {
		err := r.step(b.Context(), func(c *commit) error {
			for range min(256, count-said) {
				said++
				text := groups.Text{Text: fmt.Sprintf("%0300d", said)}
				if _, err := r.say(c, groups.ContentText, text.Encode()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	inRoom(b, n, g, func(r *room) { head = r.heads[chainOf{r.me, groups.Content}] })
	return head
}

// processorTime is what this process has used, on all cores.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkBurst is one sender in a group of three who says as much as it can,
// sixteen requests at once, until every member holds all of it: what it costs
// this process, which is all three nodes, for each delivery to another.
func BenchmarkBurst(b *testing.B) {
	ann, bo, cy := testNode(b, "Ann"), testNode(b, "Bo"), testNode(b, "Cy")
	g := newGroup(b, ann, api.GroupCreate{})
	inv := invite(b, ann, g, 2, "")
	for _, n := range []*Node{bo, cy} {
		join(b, n, inv)
		say(b, n, g, "here")
	}
	same(b, g, ann, bo, cy)
	const burst, atOnce = 4096, 16
	var wall, cpu time.Duration
	for b.Loop() {
		wallBefore, cpuBefore := time.Now(), processorTime(b)
		var wg sync.WaitGroup
		for k := range atOnce {
			wg.Go(func() {
				for i := range burst / atOnce {
					if _, err := ann.Send(b.Context(), g, api.MessageCreate{Text: fmt.Sprintf("%0300d", k*burst+i)}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		same(b, g, ann, bo, cy)
		wall, cpu = wall+time.Since(wallBefore), cpu+processorTime(b)-cpuBefore
	}
	said := float64(b.N * burst)
	b.ReportMetric(said/wall.Seconds(), "messages/s")
	b.ReportMetric(float64(cpu.Microseconds())/said/2, "cpu-µs/delivery")
}
