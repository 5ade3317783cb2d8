package meshtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"sync"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Bare is libp2p as it comes, on real loopback sockets: the limit that a node
// is measured against. It knows no gates, no keys and no disk.
type Bare struct {
	host   host.Host
	ctx    context.Context
	stop   context.CancelFunc
	wg     sync.WaitGroup
	gossip *pubsub.PubSub
	topic  *pubsub.Topic
}

// echoes answers bytes with the same bytes.
const echoes = "/mutuals-bare/echo/1"

// bareQueue is a mesh's queue length: GossipSub's own 32 lose messages of a
// burst, and a limit that loses is none.
const bareQueue = 4096

// NewBare starts a host that listens on loopback, TCP and QUIC.
func NewBare() (*Bare, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a bare host's key: %w", err)
	}
	h, err := libp2p.New(libp2p.Identity(key), libp2p.DisableRelay(),
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"))
	if err != nil {
		return nil, fmt.Errorf("starting a bare host: %w", err)
	}
	b := &Bare{host: h}
	b.ctx, b.stop = context.WithCancel(context.Background())
	h.SetStreamHandler(echoes, func(s network.Stream) {
		_, _ = io.Copy(s, s)
		_ = s.Close()
	})
	return b, nil
}

// Addr is where the host can be dialled, QUIC first, with /p2p.
func (b *Bare) Addr() string {
	best := b.host.Addrs()[0]
	for _, a := range b.host.Addrs() {
		if _, err := a.ValueForProtocol(ma.P_QUIC_V1); err == nil {
			best = a
		}
	}
	return best.String() + "/p2p/" + b.host.ID().String()
}

// Connect links to another host.
func (b *Bare) Connect(ctx context.Context, addr string) error {
	info, err := peer.AddrInfoFromString(addr)
	if err == nil {
		err = b.host.Connect(ctx, *info)
	}
	if err != nil {
		return fmt.Errorf("connecting a bare host: %w", err)
	}
	return nil
}

// RoundTrips connects and then sends n bytes of size, one after the other on
// one stream, waiting for each to come back.
func (b *Bare) RoundTrips(ctx context.Context, addr string, n, size int) error {
	info, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return fmt.Errorf("reading an address: %w", err)
	}
	if err := b.host.Connect(ctx, *info); err != nil {
		return fmt.Errorf("connecting a bare host: %w", err)
	}
	s, err := b.host.NewStream(ctx, info.ID, echoes)
	if err != nil {
		return fmt.Errorf("opening a bare stream: %w", err)
	}
	defer s.Close()
	out, in := make([]byte, size), make([]byte, size)
	for range n {
		if _, err := s.Write(out); err != nil {
			return fmt.Errorf("writing on a bare stream: %w", err)
		}
		if _, err := io.ReadFull(s, in); err != nil {
			return fmt.Errorf("reading a bare stream: %w", err)
		}
	}
	return nil
}

// Gossip joins a topic at a mesh's degree and queues, with a hash as the only
// check; arrived is told each frame of others, one at a time, until Close.
func (b *Bare) Gossip(topic string, arrived func(frame []byte)) error {
	degree := pubsub.DefaultGossipSubParams()
	degree.D, degree.Dlo, degree.Dhi, degree.Dout, degree.Dscore, degree.Dlazy = 4, 3, 8, 1, 2, 4
	var err error
	b.gossip, err = pubsub.NewGossipSub(b.ctx, b.host,
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(func(m *pb.Message) string { h := sha256.Sum256(m.Data); return string(h[:]) }),
		pubsub.WithGossipSubParams(degree), pubsub.WithFloodPublish(true),
		pubsub.WithPeerOutboundQueueSize(bareQueue), pubsub.WithValidateQueueSize(bareQueue))
	if err != nil {
		return fmt.Errorf("starting bare gossip: %w", err)
	}
	if b.topic, err = b.gossip.Join(topic); err != nil {
		return fmt.Errorf("joining a bare topic: %w", err)
	}
	sub, err := b.topic.Subscribe(pubsub.WithBufferSize(bareQueue))
	if err != nil {
		return fmt.Errorf("subscribing to a bare topic: %w", err)
	}
	b.wg.Go(func() {
		for {
			m, err := sub.Next(b.ctx)
			if err != nil {
				return
			}
			if m.ReceivedFrom != b.host.ID() {
				arrived(m.Data)
			}
		}
	})
	return nil
}

// Listeners counts the hosts known to hear the topic.
func (b *Bare) Listeners() int { return len(b.topic.ListPeers()) }

// Publish sends a frame to the topic.
func (b *Bare) Publish(frame []byte) error {
	if err := b.topic.Publish(b.ctx, frame); err != nil {
		return fmt.Errorf("publishing bare: %w", err)
	}
	return nil
}

// Close ends the host and waits for what it started.
func (b *Bare) Close() error {
	b.stop()
	err := b.host.Close()
	b.wg.Wait()
	return err
}
