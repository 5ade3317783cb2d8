package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh/meshtest"
)

var liveDir = flag.String("live-dir", "", "where BenchmarkLive has its homes; a folder of temporary files if empty")

const (
	// liveFrame is what a message of 300 bytes weighs on a topic.
	liveFrame = 720
	// liveWarm is how long they talk first: five heartbeats of GossipSub.
	liveWarm = 5 * time.Second
	// livePatience bounds one message's way on a busy machine.
	livePatience = 2 * time.Minute
)

// BenchmarkLive is a message's way with all members in one process, which a
// profile shows whole: from Send until the others' event
// streams have it, which means that it is in their logs. The nodes talk over
// loopback; only HTTP is left out. One message is on its way
// at a time, by everybody in turn, 300 bytes. Beside it the limit: as many bare
// hosts, linked as the nodes were, which pass on frames as large and look at
// nothing but their hash.
func BenchmarkLive(b *testing.B) {
	for _, size := range []int{10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) { benchLive(b, size) })
	}
}

func benchLive(b *testing.B, size int) {
	crowd := newLiveCrowd(b, size)
	ours := liveRound(b, size, crowd.say, crowd.heard, func(int) bool { return b.Loop() })
	links := crowd.links()
	crowd.close(b)
	bare := newBareCrowd(b, links)
	raw := liveRound(b, size, bare.say, bare.heard, func(said int) bool { return said < len(ours.last) })
	for _, m := range []struct {
		name string
		of   liveTimes
	}{{"", ours}, {"raw-", raw}} {
		b.ReportMetric(m.of.at(m.of.each, 50), m.name+"ms")
		b.ReportMetric(m.of.at(m.of.each, 99), m.name+"p99-ms")
		b.ReportMetric(m.of.at(m.of.last, 50), m.name+"last-ms")
		b.ReportMetric(m.of.cpu, m.name+"cpu-µs/delivery")
	}
}

// liveTimes is how long each delivery took, and the last of each message.
type liveTimes struct {
	each, last []time.Duration
	cpu        float64 // µs of this process a delivery
}

func (liveTimes) at(of []time.Duration, percent int) float64 {
	slices.Sort(of)
	return float64(of[(len(of)-1)*percent/100].Microseconds()) / 1000
}

// hearing tells that somebody has word k.
type hearing struct {
	k  uint64
	at time.Time
}

// liveRound says words until warm and then as many as are wanted, each once all
// have the one before.
func liveRound(b *testing.B, size int, say func(from int, k uint64), came <-chan hearing, more func(said int) bool) (t liveTimes) {
	b.Helper()
	k := uint64(0)
	one := func() (took []time.Duration) {
		k++
		began := time.Now()
		say(int(k)%size, k)
		late := time.After(livePatience)
		for len(took) < size-1 {
			select {
			case h := <-came:
				if h.k == k {
					took = append(took, h.at.Sub(began))
				}
			case <-late:
				b.Fatalf("word %d came to %d of %d in %v", k, len(took), size-1, livePatience)
			}
		}
		return took
	}
	for began := time.Now(); time.Since(began) < liveWarm; {
		one()
	}
	before := processorTime(b)
	for more(len(t.last)) {
		took := one()
		t.each = append(t.each, took...)
		t.last = append(t.last, slices.Max(took))
	}
	t.cpu = float64((processorTime(b) - before).Microseconds()) / float64(len(t.each))
	return t
}

// liveCrowd is a group whose members all have a node here.
type liveCrowd struct {
	b     *testing.B
	nodes []*Node
	g     wire.GroupID
	heard chan hearing
	stop  context.CancelFunc
	wg    sync.WaitGroup
}

func newLiveCrowd(b *testing.B, size int) *liveCrowd {
	b.Helper()
	dir := b.TempDir()
	if *liveDir != "" {
		var err error
		if dir, err = os.MkdirTemp(*liveDir, "live-"); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { os.RemoveAll(dir) })
	}
	c := &liveCrowd{b: b, heard: make(chan hearing, 4*size)}
	for i := range size {
		// Each has an address of its own, as members have: one address may hold few links.
		at := fmt.Sprintf("/ip4/127.0.1.%d", i+1)
		c.nodes = append(c.nodes, startNode(b, fmt.Sprint(dir, "/", i), fmt.Sprint("Member ", i), func(cfg *Config) {
			cfg.Listen = []string{at + "/udp/0/quic-v1", at + "/tcp/0"}
		}))
	}
	c.g = newGroup(b, c.nodes[0], api.GroupCreate{Cap: &size})
	inv := invite(b, c.nodes[0], c.g, size-1, "")
	for _, n := range c.nodes[1:] {
		join(b, n, inv)
	}
	same(b, c.g, c.nodes...)
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	for _, n := range c.nodes {
		from := n.LastEventID(ctx)
		c.wg.Go(func() { c.watch(ctx, n, from) })
	}
	return c
}

// watch tells each word by others that a node's events show.
func (c *liveCrowd) watch(ctx context.Context, n *Node, from string) {
	own := []byte(fmt.Sprintf("%q:%q", "author", n.dev.account()))
	for {
		events, err := n.NextEvents(ctx, from, 64)
		if errors.Is(err, api.ErrResync) {
			c.b.Error("a reader fell behind")
		}
		if err != nil {
			return
		}
		at := time.Now()
		for _, e := range events {
			from = e.ID
			_, word, ok := bytes.Cut(e.Object, []byte(`"word `))
			if !ok || e.Type != api.EventMessageCreated || bytes.Contains(e.Object, own) {
				continue
			}
			if k, err := strconv.ParseUint(string(word[:8]), 10, 64); err == nil {
				c.heard <- hearing{k, at}
			}
		}
	}
}

func (c *liveCrowd) say(from int, k uint64) {
	text := fmt.Sprintf("word %08d %s", k, bytes.Repeat([]byte("."), 286))
	if _, err := c.nodes[from].Send(c.b.Context(), c.g, api.MessageCreate{Text: text}); err != nil {
		c.b.Fatal(err)
	}
}

// links lists who is linked with whom, each pair once.
func (c *liveCrowd) links() (pairs [][]int) {
	at := map[wire.PeerKey]int{}
	for i, n := range c.nodes {
		at[n.mesh.Self()] = i
	}
	pairs = make([][]int, len(c.nodes))
	for i, n := range c.nodes {
		for _, p := range n.mesh.Peers() {
			if k, ok := at[p.Peer]; ok && k < i {
				pairs[i] = append(pairs[i], k)
			}
		}
	}
	return pairs
}

func (c *liveCrowd) close(b *testing.B) {
	c.stop()
	c.wg.Wait()
	for _, n := range c.nodes {
		if err := n.Close(); err != nil {
			b.Error(err)
		}
	}
}

// bareCrowd is as many bare hosts.
type bareCrowd struct {
	b     *testing.B
	hosts []*meshtest.Bare
	heard chan hearing
}

func newBareCrowd(b *testing.B, links [][]int) *bareCrowd {
	b.Helper()
	c := &bareCrowd{b: b, heard: make(chan hearing, 4*len(links))}
	for i, to := range links {
		h, err := meshtest.NewBare()
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { h.Close() })
		if err := h.Gossip("words", func(frame []byte) {
			c.heard <- hearing{binary.BigEndian.Uint64(frame), time.Now()}
		}); err != nil {
			b.Fatal(err)
		}
		c.hosts = append(c.hosts, h)
		for _, k := range to {
			if err := h.Connect(b.Context(), c.hosts[k].Addr()); err != nil {
				b.Fatalf("host %d: %v", i, err)
			}
		}
	}
	for i, h := range c.hosts {
		for began := time.Now(); h.Listeners() == 0; time.Sleep(10 * time.Millisecond) {
			if time.Since(began) > livePatience {
				b.Fatalf("nobody hears bare host %d", i)
			}
		}
	}
	return c
}

func (c *bareCrowd) say(from int, k uint64) {
	frame := make([]byte, liveFrame)
	rand.Read(frame)
	binary.BigEndian.PutUint64(frame, k)
	if err := c.hosts[from].Publish(frame); err != nil {
		c.b.Fatal(err)
	}
}
