package node

import (
	"fmt"
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
			got := uint64(0)
			inRoom(b, bo, g, func(r *room) { got, _, _ = r.g.ChainHead(head.Inc, groups.Content) })
			return got == head.Seq
		})
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
