package mesh

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"mutuals/identity/wire"
)

// field is a set of hosts in one process that gossip with each other; send
// publishes from one, arrived is told by every other what it got.
type field struct {
	send    []func(frame []byte) error
	arrived chan uint64
	copies  func() uint64 // repetitions received by all hosts so far
}

// copying counts repetitions for the raw hosts.
type copying struct{ tracer }

func (copying) OnNewOutboundStream(peer.ID, protocol.ID) {}
func (copying) OnClosedOutboundStream(peer.ID)           {}

// rawField is GossipSub as it comes, at our degree and queues, checking the
// hash of each message: the limit a Topic is measured against.
func rawField(b *testing.B, n int) field {
	count := &stats{}
	f := field{arrived: make(chan uint64, 1<<16), copies: count.duplicates.Load}
	ctx, cancel := context.WithCancel(context.Background())
	var hosts []host.Host
	b.Cleanup(func() {
		cancel()
		for _, h := range hosts {
			h.Close()
		}
	})
	var tops []*pubsub.Topic
	for range n {
		key, _, err := crypto.GenerateEd25519Key(rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		h, err := libp2p.New(libp2p.Identity(key), libp2p.ListenAddrStrings(local()...), libp2p.DisableRelay())
		if err != nil {
			b.Fatal(err)
		}
		hosts = append(hosts, h)
		ps, err := pubsub.NewGossipSub(ctx, h, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
			pubsub.WithMessageIdFn(frameID), pubsub.WithGossipSubParams(degree()), pubsub.WithFloodPublish(true),
			pubsub.WithRawTracer(copying{tracer{stats: count}}), pubsub.WithPeerOutboundQueueSize(outboundQueue), pubsub.WithValidateQueueSize(validateQueue))
		if err != nil {
			b.Fatal(err)
		}
		err = ps.RegisterTopicValidator("bench", func(_ context.Context, _ peer.ID, m *pubsub.Message) bool {
			sha256.Sum256(m.Data)
			return true
		}, pubsub.WithValidatorInline(true))
		if err != nil {
			b.Fatal(err)
		}
		top, err := ps.Join("bench")
		if err != nil {
			b.Fatal(err)
		}
		sub, err := top.Subscribe(pubsub.WithBufferSize(validateQueue))
		if err != nil {
			b.Fatal(err)
		}
		go func() {
			for {
				m, err := sub.Next(ctx)
				if err != nil {
					return
				}
				if m.ReceivedFrom != h.ID() {
					f.arrived <- binary.BigEndian.Uint64(m.Data)
				}
			}
		}()
		tops = append(tops, top)
		f.send = append(f.send, func(frame []byte) error { return top.Publish(ctx, frame) })
	}
	for i, h := range hosts {
		for j := range i {
			if err := h.Connect(ctx, peer.AddrInfo{ID: hosts[j].ID(), Addrs: hosts[j].Addrs()}); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, top := range tops {
		poll(b, func() bool { return len(top.ListPeers()) == n-1 })
	}
	return f
}

func meshField(b *testing.B, n int) field {
	f := field{arrived: make(chan uint64, 1<<16)}
	g := group()
	var nodes []*node
	var tops []*Topic
	for range n {
		m := start(b, nil)
		g.put(m.Self(), true)
		for _, other := range nodes {
			other.Refresh(m.Self())
		}
		top, err := m.Join("bench", Gate{
			Allow: g.allow,
			Judge: func(_ wire.PeerKey, frame []byte, _ bool) (Verdict, any) {
				sha256.Sum256(frame)
				return Accept, nil
			},
			Deliver: func(_ wire.PeerKey, frame []byte, _ any) { f.arrived <- binary.BigEndian.Uint64(frame) },
		})
		if err != nil {
			b.Fatal(err)
		}
		for _, other := range nodes {
			link2(b, m, other)
		}
		nodes, tops = append(nodes, m), append(tops, top)
		f.send = append(f.send, func(frame []byte) error { return top.Publish(context.Background(), frame) })
	}
	f.copies = func() (c uint64) {
		for _, m := range nodes {
			c += m.Stats().Duplicates
		}
		return c
	}
	for _, top := range tops {
		poll(b, func() bool { return len(top.Peers()) == n-1 })
	}
	return f
}

func poll(b testing.TB, done func() bool) {
	b.Helper()
	ctx := within(b)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.Fatal("never settled")
		}
	}
}

var frames struct {
	sync.Mutex
	n uint64
}

// frame300 is a new message of 300 bytes and its number.
func frame300() (uint64, []byte) {
	frames.Lock()
	defer frames.Unlock()
	frames.n++
	b := make([]byte, 300)
	binary.BigEndian.PutUint64(b, frames.n)
	return frames.n, b
}

// BenchmarkGossip measures publish until the last host has it, one message at
// a time, raw GossipSub and mesh beside each other (quality.md L1).
func BenchmarkGossip(b *testing.B) {
	for _, n := range []int{2, 10} {
		var p50 [2]float64
		for i, make := range []func(*testing.B, int) field{rawField, meshField} {
			b.Run(fmt.Sprintf("hosts=%d/%s", n, []string{"raw", "mesh"}[i]), func(b *testing.B) {
				f := make(b, n)
				one := func(k int) time.Duration {
					id, frame := frame300()
					begin := time.Now()
					if err := f.send[k%n](frame); err != nil {
						b.Fatal(err)
					}
					for left := n - 1; left > 0; {
						if got := <-f.arrived; got == id {
							left--
						}
					}
					return time.Since(begin)
				}
				// Five heartbeats of talk, until the meshes have their degree: a
				// young mesh sends half the copies and looks twice as fast.
				for k, begin := 0, time.Now(); time.Since(begin) < 5*time.Second; k++ {
					one(k)
				}
				young := f.copies()
				var took []time.Duration
				for k := 0; b.Loop(); k++ {
					took = append(took, one(k))
				}
				b.ReportMetric(1+float64(f.copies()-young)/float64(len(took)*(n-1)), "copies")
				slices.Sort(took)
				at := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Microseconds()) }
				b.ReportMetric(at(0.5), "p50-µs")
				b.ReportMetric(at(0.99), "p99-µs")
				if p50[i] = at(0.5); i == 1 && p50[0] > 0 {
					b.ReportMetric(p50[1]/p50[0], "×raw-p50")
				}
			})
		}
	}
}

// BenchmarkStream measures frames of 300 bytes a second over one stream: our
// Stream one by one and in batches, against the bare libp2p stream.
func BenchmarkStream(b *testing.B) {
	const batch = 64
	_, frame := frame300()
	run := func(name string, serve func(*testing.B, *node), write func(*testing.B, *node, *node) func() error) {
		b.Run(name, func(b *testing.B) {
			x, y := start(b, func(c *Config) { c.Listen = local()[1:] }), start(b, func(c *Config) { c.Listen = local()[1:] })
			serve(b, y)
			link2(b, x, y)
			next := write(b, x, y)
			n := 0
			for b.Loop() {
				if err := next(); err != nil {
					b.Fatal(err)
				}
				n += batch
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "frames/s")
		})
	}
	bare := func(_ *testing.B, y *node) {
		y.host.SetStreamHandler("/bench/1", func(s network.Stream) { _, _ = io.Copy(io.Discard, s) })
	}
	ours := func(_ *testing.B, y *node) {
		y.Handle("/bench/1", 1, func(_ context.Context, s *Stream) {
			for {
				if _, err := s.ReadFrame(1 << 10); err != nil {
					return
				}
			}
		})
	}
	run("raw", bare, func(b *testing.B, x, y *node) func() error {
		s, err := x.host.NewStream(within(b), idOf(y.Self()), protocol.ID("/bench/1"))
		if err != nil {
			b.Fatal(err)
		}
		buf := make([]byte, batch*(len(frame)+2))
		return func() error { _, err := s.Write(buf); return err }
	})
	open := func(b *testing.B, x, y *node) *Stream {
		s, err := x.Open(within(b), y.Self(), "/bench/1")
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	run("one", ours, func(b *testing.B, x, y *node) func() error {
		s := open(b, x, y)
		return func() error {
			for range batch {
				if err := s.WriteFrame(frame); err != nil {
					return err
				}
			}
			return nil
		}
	})
	run("batch", ours, func(b *testing.B, x, y *node) func() error {
		s := open(b, x, y)
		many := slices.Repeat([][]byte{frame}, batch)
		return func() error { return s.WriteFrames(many...) }
	})
}
