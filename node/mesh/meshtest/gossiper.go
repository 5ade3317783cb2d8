package meshtest

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"google.golang.org/protobuf/proto"

	"mutuals/identity/wire"
	"mutuals/node/mesh"
)

// gossipProtocols is what a Gossiper claims to speak: ours, whose name is in
// the source for everybody to read, and the public ones.
var gossipProtocols = []protocol.ID{"/mutuals/meshsub/1.2.0/2", pubsub.GossipSubID_v12, pubsub.GossipSubID_v11}

// lobbyProtocols is what a stranger in the lobby speaks.
var lobbyProtocols = []protocol.ID{"/mutuals/lobby/1.2.0"}

// sendStep bounds the writing of one packet.
const sendStep = 5 * time.Second

// maxPacket bounds what a Gossiper reads at once.
const maxPacket = 1 << 20

// Gossiper is a Raw that speaks GossipSub by hand. It tells whomever it likes
// that it is subscribed, grafts itself, publishes, and notes each packet that
// comes back before anything could filter it. Its methods may be called from
// any goroutine.
type Gossiper struct {
	*Raw
	protos []protocol.ID
	circle []byte // stands before its frames

	mu    sync.Mutex
	wake  chan struct{} // closed and replaced at each packet
	saw   map[string]bool
	heard map[string]int  // frames by topic
	got   map[string]bool // frames
	out   map[wire.PeerKey]network.Stream
}

// NewGossiper starts one on loopback, linked to nobody.
func NewGossiper(key ed25519.PrivateKey) (*Gossiper, error) {
	return newGossiper(key, gossipProtocols, []byte{0})
}

// NewLobbyist starts one that speaks on the topics of the lobby instead.
func NewLobbyist(key ed25519.PrivateKey) (*Gossiper, error) {
	return newGossiper(key, lobbyProtocols, nil)
}

func newGossiper(key ed25519.PrivateKey, protos []protocol.ID, circle []byte) (*Gossiper, error) {
	r, err := NewRaw(key)
	if err != nil {
		return nil, err
	}
	g := &Gossiper{Raw: r, protos: protos, circle: circle, wake: make(chan struct{}), saw: map[string]bool{}, heard: map[string]int{}, got: map[string]bool{}, out: map[wire.PeerKey]network.Stream{}}
	for _, p := range protos {
		r.host.SetStreamHandler(p, g.listen)
	}
	return g, nil
}

func (g *Gossiper) listen(s network.Stream) {
	defer s.Close()
	for r := bufio.NewReader(s); ; {
		b, err := mesh.ReadFrame(r, maxPacket)
		if err != nil {
			return
		}
		var rpc pb.RPC
		if proto.Unmarshal(b, &rpc) != nil {
			return
		}
		g.mu.Lock()
		for _, sub := range rpc.GetSubscriptions() {
			g.saw[sub.GetTopicid()] = true
		}
		for _, m := range rpc.GetPublish() {
			g.heard[m.GetTopic()]++
			g.got[string(g.frame(m.GetData()))] = true
		}
		close(g.wake)
		g.wake = make(chan struct{})
		g.mu.Unlock()
	}
}

// frame is what stands behind a circle: its length, and six bytes for each.
func (g *Gossiper) frame(data []byte) []byte {
	if g.circle == nil || len(data) == 0 {
		return data
	}
	return data[min(1+6*int(data[0]), len(data)):]
}

// Saw tells whether somebody announced a topic to it.
func (g *Gossiper) Saw(topic string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.saw[topic]
}

// Topics counts the topics announced to it.
func (g *Gossiper) Topics() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.saw)
}

// Heard counts the frames that came on a topic.
func (g *Gossiper) Heard(topic string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.heard[topic]
}

// Got counts which of some frames came, on whatever topic.
func (g *Gossiper) Got(frames ...[]byte) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range frames {
		if g.got[string(f)] {
			n++
		}
	}
	return n
}

// Until waits for a condition, looked at after each packet; the error is
// ctx's.
func (g *Gossiper) Until(ctx context.Context, ok func() bool) error {
	for {
		g.mu.Lock()
		wake := g.wake
		g.mu.Unlock()
		if ok() {
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Subscribe tells a linked peer that it wants to hear the topics, and puts
// itself into its mesh for them.
func (g *Gossiper) Subscribe(ctx context.Context, to wire.PeerKey, topics ...string) error {
	rpc := &pb.RPC{Control: &pb.ControlMessage{}}
	for _, t := range topics {
		rpc.Subscriptions = append(rpc.Subscriptions, &pb.RPC_SubOpts{Topicid: proto.String(t), Subscribe: proto.Bool(true)})
		rpc.Control.Graft = append(rpc.Control.Graft, &pb.ControlGraft{TopicID: proto.String(t)})
	}
	return g.send(ctx, to, rpc)
}

// Unsubscribe takes back what Subscribe said.
func (g *Gossiper) Unsubscribe(ctx context.Context, to wire.PeerKey, topics ...string) error {
	rpc := &pb.RPC{}
	for _, t := range topics {
		rpc.Subscriptions = append(rpc.Subscriptions, &pb.RPC_SubOpts{Topicid: proto.String(t), Subscribe: proto.Bool(false)})
	}
	return g.send(ctx, to, rpc)
}

// Carry claims to carry the lobby; it is to be called before it is linked.
func (g *Gossiper) Carry() {
	g.host.SetStreamHandler("/mutuals/lobby-carry/1", func(s network.Stream) { s.Reset() })
}

// Prune leaves a linked peer's mesh for a topic, asks for a pause, and names others
// to be dialled instead, by their signed records.
func (g *Gossiper) Prune(ctx context.Context, to wire.PeerKey, topic string, pause time.Duration, others map[wire.PeerKey][]byte) error {
	prune := &pb.ControlPrune{TopicID: proto.String(topic), Backoff: proto.Uint64(uint64(pause / time.Second))}
	for key, record := range others {
		id, err := idOf(key)
		if err != nil {
			return err
		}
		prune.Peers = append(prune.Peers, &pb.PeerInfo{PeerID: []byte(id), SignedPeerRecord: record})
	}
	return g.send(ctx, to, &pb.RPC{Control: &pb.ControlMessage{Prune: []*pb.ControlPrune{prune}}})
}

// Publish sends a linked peer frames on a topic.
func (g *Gossiper) Publish(ctx context.Context, to wire.PeerKey, topic string, frames ...[]byte) error {
	rpc := &pb.RPC{}
	for _, f := range frames {
		rpc.Publish = append(rpc.Publish, &pb.Message{Topic: proto.String(topic), Data: slices.Concat(g.circle, f)})
	}
	return g.send(ctx, to, rpc)
}

// send writes a packet on the one stream to a peer.
func (g *Gossiper) send(ctx context.Context, to wire.PeerKey, rpc *pb.RPC) error {
	b, err := proto.Marshal(rpc)
	if err != nil {
		return fmt.Errorf("encoding a packet: %w", err)
	}
	id, err := idOf(to)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.out[to]
	if s == nil || s.Conn().IsClosed() {
		if s, err = g.host.NewStream(ctx, id, g.protos...); err != nil {
			return fmt.Errorf("opening a gossip stream: %w", err)
		}
		g.out[to] = s
	}
	// Whom it attacks may not read: it holds a stranger's stream unread.
	_ = s.SetWriteDeadline(time.Now().Add(sendStep))
	if _, err := s.Write(mesh.AppendFrame(nil, b)); err != nil {
		s.Reset()
		delete(g.out, to)
		return fmt.Errorf("writing a packet: %w", err)
	}
	return nil
}
