package mesh

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"mutuals/identity/wire"
)

// ErrLeft means that the topic has been left.
var ErrLeft = errors.New("topic left")

// gossipProtocol is GossipSub 1.2 under a name of our own: no floodsub, no
// older version to downgrade to, no passers-by. Its second part is the version of
// what stands around a frame (circle.go).
const gossipProtocol protocol.ID = "/mutuals/meshsub/1.2.0/2"

// Gate says who may hear and speak on a topic, and takes what is said. Its
// functions are called from several goroutines, often, and must not block.
type Gate struct {
	// Allow tells whether peer may subscribe to the topic and publish on it.
	// Call Refresh whenever its answer for a linked peer changes.
	Allow func(peer wire.PeerKey) bool
	// Judge decides about a frame that from handed us; it may have been written
	// by another. It runs before the frame is passed on, one frame at a time
	// over all topics. known tells that the frame's author hands it to all whom it
	// could be passed on to, if from is the author. checked travels to Deliver.
	Judge func(from wire.PeerKey, frame []byte, known bool) (v Verdict, checked any)
	// Deliver takes what Judge accepted or kept, right after, in the order of
	// arrival.
	Deliver func(from wire.PeerKey, frame []byte, checked any)
	// Missed, if set, is told that a frame of this topic was lost in one of our
	// own queues: time to ask for the gap.
	Missed func()
}

// Verdict is what becomes of a frame.
type Verdict uint8

const (
	// Reject drops the frame and costs its bringer score: only for what an
	// honest peer would never pass on.
	Reject Verdict = iota
	// Ignore drops the frame. It is not delivered again for ten minutes, so
	// what merely lacks its parents is to be accepted, and parked.
	Ignore
	// Accept delivers the frame here and passes it on.
	Accept
	// Keep delivers the frame here, and passes it on to nobody.
	Keep
)

// gossip is GossipSub behind four gates.
type gossip struct {
	m    *Mesh
	ps   *pubsub.PubSub
	rt   *pubsub.GossipSubRouter
	door *door

	topics atomic.Pointer[map[string]*Topic]   // replaced, never changed
	scores atomic.Pointer[map[peer.ID]float64] // as last looked at

	mu    sync.Mutex
	links map[peer.ID]*link
}

// Topic is a joined topic.
type Topic struct {
	g    *gossip
	name string
	gate Gate

	topic  *pubsub.Topic
	quit   pubsub.RelayCancelFunc // GossipSub is to pass on; what comes validate delivers
	events *pubsub.TopicEventHandler
	left   atomic.Bool
	stop   context.CancelFunc

	recent recent
	hears  listeners
}

func newGossip(m *Mesh) (*gossip, error) {
	g := &gossip{m: m, links: map[peer.ID]*link{}}
	g.topics.Store(&map[string]*Topic{})
	g.scores.Store(&map[peer.ID]float64{})
	m.stats.missed = func(name string) {
		if t := g.topic(name); t != nil && t.gate.Missed != nil {
			t.gate.Missed()
		}
	}
	var err error
	if g.door, err = newDoor(g); err != nil {
		return nil, err
	}
	params, limits := score()
	protos, has := g.protocols()
	g.rt = pubsub.DefaultGossipSubRouter(g.door)
	g.ps, err = pubsub.NewGossipSubWithRouter(m.ctx, g.door, g.rt,
		g.rt.WithDefaultTagTracer(),
		pubsub.WithGossipSubProtocols(protos, has),
		pubsub.WithGossipSubParams(degree()),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(talkID),
		pubsub.WithMaxMessageSize(maxRPC), pubsub.WithMaxControlMessageSize(maxControl),
		pubsub.WithPeerOutboundQueueSize(outboundQueue),
		pubsub.WithValidateQueueSize(validateQueue),
		// One worker: frames of one author stay in order, which spares the room
		// from parking and re-trying; bulk goes by sync, not by gossip.
		pubsub.WithValidateWorkers(1),
		pubsub.WithSeenMessagesTTL(seenFor),
		// Safe because behind the gates a subscriber is a member. It is what
		// carries a message in the first second, before a mesh is built.
		pubsub.WithFloodPublish(true),
		pubsub.WithPeerExchange(false), // would hand members' addresses out
		pubsub.WithPeerScore(params, limits),
		pubsub.WithPeerScoreInspect(g.scored, scoresEvery),
		pubsub.WithSubscriptionFilter(subs{g}),
		pubsub.WithPeerFilter(g.mayHear),
		pubsub.WithAppSpecificRpcInspector(g.inspect),
		pubsub.WithRawTracer(tracer{m.stats, g}),
		// Its warnings are at the mercy of whoever sends garbage; what matters
		// is counted in Stats.
		pubsub.WithLogger(slog.New(slog.DiscardHandler)),
	)
	return g, err
}

// protocols is the first gate's outer half; door.go is the inner.
func (g *gossip) protocols() ([]protocol.ID, pubsub.GossipSubFeatureTest) {
	if g.m.cfg.open(GateProtocols) {
		return pubsub.GossipSubDefaultProtocols, pubsub.GossipSubDefaultFeatures
	}
	return []protocol.ID{gossipProtocol}, func(f pubsub.GossipSubFeature, id protocol.ID) bool {
		return id == gossipProtocol && (f == pubsub.GossipSubFeatureMesh || f == pubsub.GossipSubFeatureIdontwant)
	}
}

// scored hears GossipSub's scores, from a goroutine of its own.
func (g *gossip) scored(scores map[peer.ID]float64) {
	if g.m.ctx.Err() != nil {
		return
	}
	before := *g.scores.Swap(&scores)
	g.m.faults.scored(scores)
	for id, score := range scores {
		if (score < publishScore) != (before[id] < publishScore) {
			g.redraw(id)
		}
	}
}

func (g *gossip) score(id peer.ID) float64 { return (*g.scores.Load())[id] }

// talkID is what a frame on a topic is known by: without the circle that stands before
// it, or whoever has one could bring it again under as many as it likes, to be judged
// and remembered each time.
func talkID(msg *pb.Message) string {
	_, frame, ok := frameOf(msg.Data)
	if !ok {
		return frameID(msg) // to be blamed, each of them
	}
	return frameID(&pb.Message{Data: frame})
}

// frameID: the whole frame is hashed, so nobody can occupy another frame's id.
func frameID(msg *pb.Message) string {
	h := sha256.Sum256(msg.Data)
	return string(h[:])
}

// Join enters a topic. Members that announced it earlier count at once. The
// gate's Allow, Judge and Deliver must be set; joining twice is an error.
func (m *Mesh) Join(name string, gate Gate) (*Topic, error) {
	if gate.Allow == nil || gate.Judge == nil || gate.Deliver == nil {
		return nil, errors.New("joining topic: gate without Allow, Judge or Deliver")
	}
	g := m.gossip
	t := &Topic{g: g, name: name, gate: gate, hears: listeners{ids: map[peer.ID]struct{}{}, circle: noCircle}}
	if err := g.ps.RegisterTopicValidator(name, t.validate, pubsub.WithValidatorInline(true)); err != nil {
		return nil, fmt.Errorf("joining topic: %w", err)
	}
	var err error
	if t.topic, err = g.ps.Join(name); err == nil {
		if err = t.topic.SetScoreParams(topicScore()); err == nil {
			t.events, err = t.topic.EventHandler()
		}
	}
	if err == nil {
		g.add(t)
		t.quit, err = t.topic.Relay()
	}
	if err != nil {
		g.remove(t)
		_ = g.ps.UnregisterTopicValidator(name)
		if t.events != nil {
			t.events.Cancel()
		}
		if t.topic != nil {
			_ = t.topic.Close()
		}
		return nil, fmt.Errorf("joining topic: %w", err)
	}
	ctx, stop := context.WithCancel(m.ctx)
	t.stop = stop
	m.wg.Add(1)
	go func() {
		defer m.wg.Done()
		t.follow(ctx)
	}()
	g.refreshAll()
	return t, nil
}

// Publish sends frame to the linked members that are subscribed, at once, and
// through them to the rest; members whose subscription arrives in the next
// seconds get it then. It does not wait for anybody; having no peers is no
// error. Publishing the same frame twice does nothing the second time, if the same
// members are there.
func (t *Topic) Publish(ctx context.Context, frame []byte) error {
	if len(frame) > MaxGossip {
		return fmt.Errorf("publishing: %w: %d bytes, at most %d", ErrTooLarge, len(frame), MaxGossip)
	}
	if t.left.Load() {
		return ErrLeft
	}
	t.g.m.stats.published.Add(1)
	c := t.circle()
	data := append(append(make([]byte, 0, len(c)+len(frame)), c...), frame...)
	t.recent.add(data, time.Now())
	if err := t.topic.Publish(ctx, data); err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	return nil
}

// Peers returns the linked members that are subscribed, in no order.
func (t *Topic) Peers() []wire.PeerKey {
	var out []wire.PeerKey
	for _, id := range t.topic.ListPeers() {
		if key, ok := keyOf(id); ok {
			out = append(out, key)
		}
	}
	return out
}

// Name returns the name the topic was joined by.
func (t *Topic) Name() string { return t.name }

// Leave ends the topic and tells its peers. It does not wait for a Deliver
// that is running, so Deliver may call it; none starts afterwards.
func (t *Topic) Leave() {
	if t.left.Swap(true) {
		return
	}
	t.stop()
	t.quit()
	t.events.Cancel()
	t.g.remove(t)
	_ = t.g.ps.UnregisterTopicValidator(t.name)
	_ = t.topic.Close() // refused while what was quit is counted: harmless
}

func (g *gossip) topic(name string) *Topic { return (*g.topics.Load())[name] }

func (g *gossip) add(t *Topic) {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := maps.Clone(*g.topics.Load())
	next[t.name] = t
	g.topics.Store(&next)
}

func (g *gossip) remove(t *Topic) {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := maps.Clone(*g.topics.Load())
	if next[t.name] == t {
		delete(next, t.name)
	}
	g.topics.Store(&next)
}

// allows asks the topic's gate; nobody may hear a topic that is not joined.
func (g *gossip) allows(id peer.ID, topic string) bool {
	t := g.topic(topic)
	key, ok := keyOf(id)
	return ok && t != nil && t.gate.Allow(key)
}

// welcome tells whether a peer may take part in any topic.
func (g *gossip) welcome(id peer.ID) bool {
	key, ok := keyOf(id)
	if !ok {
		return false
	}
	for _, t := range *g.topics.Load() {
		if t.gate.Allow(key) {
			return true
		}
	}
	return false
}

func (g *gossip) close() {
	for _, t := range *g.topics.Load() {
		t.Leave()
	}
	g.mu.Lock()
	links := slices.Collect(maps.Values(g.links))
	g.mu.Unlock()
	for _, l := range links {
		g.drop(l)
	}
	g.door.close()
}
