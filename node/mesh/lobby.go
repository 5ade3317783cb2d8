package mesh

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/time/rate"

	"mutuals/identity/wire"
)

// lobbyProtocol is GossipSub 1.2 once more, under another name: what strangers say
// to each other has nothing to do with groups, nor with their peers' scores.
const lobbyProtocol protocol.ID = "/mutuals/lobby/1.2.0"

// ErrLobbyOff means that this device takes no part in lobby topics.
var ErrLobbyOff = errors.New("the lobby is switched off")

// lobby is the second GossipSub: topics on which the holders of a passcode and
// those who let them in tell each other where they are. Who carries a topic
// (carry.go) need not know what it is of. It is silent while nobody looks.
type lobby struct {
	m    *Mesh
	ps   *pubsub.PubSub
	hall *hall
	bell chan struct{} // capacity one: look again whom to meet and what to carry
	// again: somebody could not be reached, and is tried once more soon.
	again atomic.Bool
	// rested is until when nobody is dialled for carrying, and how long the next
	// rest is; of the goroutine that tends.
	rested time.Time
	rest   time.Duration

	// ops is held while a topic is entered or left, and never by what GossipSub
	// calls: that would wait for itself.
	ops sync.Mutex

	mu      sync.Mutex
	carrier bool // passes on what others say on topics they name
	corners map[string]*corner
	guests  map[peer.ID]*guest
	shown   map[peer.ID]bool // GossipSub was shown them
	// fresh bounds the topics that are taken up for others: each is told to all
	// who are here.
	fresh *rate.Limiter
	lot   maphash.Seed // decides between topics that are wanted as much
}

// corner is one topic that this device is on, for itself or for others.
type corner struct {
	name    [32]byte
	topic   *pubsub.Topic
	mine    int                    // how often it was entered here
	unrelay pubsub.RelayCancelFunc // nil: not carried for others
	wanted  time.Time              // when somebody was last seen to want it carried
	says    *rate.Limiter          // frames that are passed on

	mu            sync.Mutex
	heard, before map[[32]byte]bool // the newest frames: what is repeated costs nobody anything
}

// LobbyTopic is a topic of the lobby that was entered.
type LobbyTopic struct {
	l      *lobby
	c      *corner
	sub    *pubsub.Subscription
	events *pubsub.TopicEventHandler
	met    chan struct{}
	left   atomic.Bool
	stop   context.CancelFunc
}

func newLobby(m *Mesh) (*lobby, error) {
	l := &lobby{m: m, bell: make(chan struct{}, 1), corners: map[string]*corner{}, guests: map[peer.ID]*guest{}, shown: map[peer.ID]bool{},
		fresh: rate.NewLimiter(carryEvery, carryBurst), lot: maphash.MakeSeed()}
	var err error
	if l.hall, err = newHall(l); err != nil {
		return nil, err
	}
	shape := pubsub.DefaultGossipSubParams()
	// Everybody on a topic is a neighbour of who carries it: a stranger that
	// crowds in takes nobody's place.
	shape.D, shape.Dlo, shape.Dhi, shape.Dout, shape.Dscore, shape.Dlazy = 8, 4, lobbyNeighbours, 1, 2, 16
	l.ps, err = pubsub.NewGossipSub(m.ctx, l.hall,
		pubsub.WithGossipSubProtocols([]protocol.ID{lobbyProtocol}, func(f pubsub.GossipSubFeature, id protocol.ID) bool {
			return id == lobbyProtocol && f == pubsub.GossipSubFeatureMesh
		}),
		pubsub.WithGossipSubParams(shape),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(frameID),
		pubsub.WithMaxMessageSize(maxLobbyRPC), pubsub.WithMaxControlMessageSize(maxLobbyRPC),
		pubsub.WithPeerOutboundQueueSize(lobbyQueue),
		pubsub.WithFloodPublish(true), // to the few who carry
		pubsub.WithPeerExchange(false),
		// No scores: they are kept for each topic that ever was and, for a while, of each
		// stranger that ever came. Who brings forged frames is shut out (shun.go).
		pubsub.WithSubscriptionFilter(l.hall),
		pubsub.WithAppSpecificRpcInspector(l.hall.inspect),
		pubsub.WithLogger(slog.New(slog.DiscardHandler)),
	)
	return l, err
}

// lobbyName is a topic's name as it travels: 43 letters.
func lobbyName(topic [32]byte) string { return base64.RawURLEncoding.EncodeToString(topic[:]) }

// readLobbyName reads one; false if it is none that a holder of a code would use.
func readLobbyName(s string) (topic [32]byte, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(topic) {
		return topic, false
	}
	topic = [32]byte(b)
	return topic, wire.ValidKey(topic) == nil // under another one frame would be signed for all
}

// EnterLobby enters a topic of the lobby: to hear what others say there, and to
// say something. Topics are named by the key that signs what is said on them
// (invites/SPEC.md V16); hear is called with frames that Config.Lobby accepted,
// from a goroutine of the topic, until Leave. Who carries topics is met for it, and
// dialled if none is linked. Entering a topic twice gives two of it.
func (m *Mesh) EnterLobby(topic [32]byte, hear func(frame []byte)) (*LobbyTopic, error) {
	l := m.lobby
	if l == nil {
		return nil, ErrLobbyOff
	}
	if m.ctx.Err() != nil {
		return nil, ErrClosed
	}
	l.ops.Lock()
	defer l.ops.Unlock()
	c, err := l.corner(topic)
	if err != nil {
		return nil, fmt.Errorf("entering a lobby topic: %w", err)
	}
	t := &LobbyTopic{l: l, c: c, met: make(chan struct{}, 1)}
	if t.sub, err = c.topic.Subscribe(pubsub.WithBufferSize(lobbyQueue)); err == nil {
		t.events, err = c.topic.EventHandler()
	}
	if err != nil {
		if t.sub != nil {
			t.sub.Cancel()
		}
		l.release(c)
		return nil, fmt.Errorf("entering a lobby topic: %w", err)
	}
	l.mu.Lock()
	c.mine++
	l.mu.Unlock()
	ctx, stop := context.WithCancel(m.ctx)
	t.stop = stop
	m.wg.Go(func() { t.listen(ctx, hear) })
	m.wg.Go(func() { t.watch(ctx) })
	l.ring()
	return t, nil
}

func (t *LobbyTopic) listen(ctx context.Context, hear func([]byte)) {
	self := t.l.m.host.ID()
	for {
		msg, err := t.sub.Next(ctx)
		if err != nil {
			return
		}
		if msg.ReceivedFrom != self {
			hear(msg.Data)
		}
	}
}

func (t *LobbyTopic) watch(ctx context.Context) {
	for {
		ev, err := t.events.NextPeerEvent(ctx)
		if err != nil {
			return
		}
		if ev.Type == pubsub.PeerJoin {
			select {
			case t.met <- struct{}{}:
			default:
			}
		}
	}
}

// Met is rung when somebody is there, or somebody more, who hears what is said.
func (t *LobbyTopic) Met() <-chan struct{} { return t.met }

// Say says a frame on the topic, to who is there now. It does not wait for anybody.
func (t *LobbyTopic) Say(ctx context.Context, frame []byte) error {
	if len(frame) > maxLobbyFrame {
		return fmt.Errorf("saying in the lobby: %w: %d bytes", ErrTooLarge, len(frame))
	}
	if t.left.Load() {
		return ErrLeft
	}
	t.c.note(sha256.Sum256(frame))
	if err := t.c.topic.Publish(ctx, frame); err != nil {
		return fmt.Errorf("saying in the lobby: %w", err)
	}
	return nil
}

// Leave ends it. What is being heard is heard to its end.
func (t *LobbyTopic) Leave() {
	if t.left.Swap(true) {
		return
	}
	l := t.l
	l.ops.Lock()
	defer l.ops.Unlock()
	t.stop()
	t.events.Cancel()
	t.sub.Cancel()
	l.mu.Lock()
	t.c.mine--
	l.mu.Unlock()
	l.release(t.c)
	l.ring()
}

// corner gives a topic, joined if need be. l.ops is held.
func (l *lobby) corner(name [32]byte) (*corner, error) {
	text := lobbyName(name)
	l.mu.Lock()
	c := l.corners[text]
	l.mu.Unlock()
	if c != nil {
		return c, nil
	}
	c = &corner{name: name, says: rate.NewLimiter(lobbySaysEvery, lobbySaysBurst)}
	var err error
	if c.topic, err = l.ps.Join(text); err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.corners[text] = c
	l.mu.Unlock()
	return c, nil
}

// release lets go of a topic that nobody here is on any more. l.ops is held.
func (l *lobby) release(c *corner) {
	l.mu.Lock()
	used := c.mine > 0 || c.unrelay != nil
	l.mu.Unlock()
	if used {
		return
	}
	if err := c.topic.Close(); err != nil && l.m.ctx.Err() == nil {
		l.m.log.Debug("mesh: leaving a lobby topic", "err", err)
		return // it stays joined, with nobody on it, for whoever enters it next
	}
	l.mu.Lock()
	delete(l.corners, lobbyName(c.name))
	l.mu.Unlock()
}

// knows tells whether a frame was said already.
func (c *corner) knows(id [32]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard[id] || c.before[id]
}

// note remembers a frame: two generations, of which the older goes when the newer
// is full.
func (c *corner) note(id [32]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.heard == nil || len(c.heard) >= lobbyHeard {
		c.heard, c.before = map[[32]byte]bool{}, c.heard
	}
	c.heard[id] = true
}

func (l *lobby) close() {
	if l != nil {
		_ = l.hall.emit.Close()
	}
}

func (l *lobby) ring() {
	select {
	case l.bell <- struct{}{}:
	default:
	}
}

// LobbyState is how this device stands in the lobby.
type LobbyState struct {
	On       bool
	Carrying bool // passes on what others say on topics they name
	Carried  int  // topics that it is on for others
	Entered  int  // topics that it is on for itself
	Carriers int  // linked peers that carry
	Frames   uint64
	Refused  uint64
}

// Lobby tells how this device stands in the lobby.
func (m *Mesh) Lobby() LobbyState {
	l := m.lobby
	if l == nil {
		return LobbyState{}
	}
	s := LobbyState{On: true, Carriers: len(l.linkedCarriers()), Frames: m.stats.lobbyFrames.Load(), Refused: m.stats.lobbyRefused.Load()}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Carrying = l.carrier
	for _, c := range l.corners {
		if c.mine > 0 {
			s.Entered++
		}
		if c.unrelay != nil {
			s.Carried++
		}
	}
	return s
}
