package mesh

import (
	"context"
	"crypto/sha256"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"golang.org/x/time/rate"
)

// hall is the host that the lobby's GossipSub sees. GossipSub tells its topics to
// everybody it meets: so it is shown only those who carry topics, and only while
// there is a topic to tell of; and who carries is shown whoever comes to it.
type hall struct {
	host.Host
	l    *lobby
	bus  event.Bus
	emit event.Emitter
}

// guest is a peer with a lobby stream to us.
type guest struct {
	streams int
	carries bool // it says that it does
	// topics are those it wants to hear, each with its turn: how many it wanted before,
	// or changed lately.
	topics map[string]int
	says   *rate.Limiter
	names  *rate.Limiter // changes of topics; nil until the first
}

// change counts a change of topics and gives its turn; false if there were too many.
func (g *guest) change(now time.Time) (turn int, ok bool) {
	if g.names == nil {
		g.names = rate.NewLimiter(guestNamesEvery, guestNamesBurst)
		if g.carries {
			g.names = rate.NewLimiter(carrierNamesEvery, carrierNamesBurst)
		}
	}
	turn = max(len(g.topics), g.names.Burst()-int(g.names.TokensAt(now)))
	return turn, g.names.AllowN(now, 1)
}

func newHall(l *lobby) (*hall, error) {
	h := &hall{Host: l.m.host, l: l, bus: eventbus.NewBus()}
	var err error
	h.emit, err = h.bus.Emitter(new(event.EvtPeerIdentificationCompleted))
	return h, err
}

// ConnManager hides the real one: GossipSub would protect its neighbours' links.
func (h *hall) ConnManager() connmgr.ConnManager { return connmgr.NullConnMgr{} }

// EventBus is GossipSub's only news of peers.
func (h *hall) EventBus() event.Bus { return h.bus }

// carries tells whether a linked peer carries topics for others.
func (l *lobby) carries(id peer.ID) bool {
	has, err := l.m.host.Peerstore().SupportsProtocols(id, carryProtocol)
	return err == nil && len(has) > 0
}

// mayMeet tells whether GossipSub may open a stream to a peer.
func (l *lobby) mayMeet(id peer.ID) bool {
	carries := l.carries(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.carrier {
		return l.guests[id] != nil || carries && len(l.corners) > 0
	}
	return carries && len(l.corners) > 0 && (l.shown[id] || len(l.shown) < maxCarriers)
}

// mayCome tells whether a peer may open one to us.
func (l *lobby) mayCome(id peer.ID) bool {
	carries := l.carries(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.carrier || l.shown[id] || carries && len(l.corners) > 0
}

// meet shows GossipSub a linked peer, if it may be; one it knows it passes over.
func (l *lobby) meet(id peer.ID) {
	if l == nil || l.m.ctx.Err() != nil || l.m.host.Network().Connectedness(id) != network.Connected || !l.mayMeet(id) {
		return
	}
	protos, err := l.m.host.Peerstore().GetProtocols(id)
	if err != nil || len(protos) == 0 {
		return // it will be identified
	}
	l.mu.Lock()
	l.shown[id] = true
	l.mu.Unlock()
	if l.m.host.Network().Connectedness(id) != network.Connected {
		l.gone(id) // meanwhile, and nobody will say so again
		return
	}
	_ = l.hall.emit.Emit(event.EvtPeerIdentificationCompleted{Peer: id, Protocols: protos})
}

// NewStream opens GossipSub's stream to a peer. GossipSub does not try again.
func (h *hall) NewStream(ctx context.Context, id peer.ID, protos ...protocol.ID) (network.Stream, error) {
	if !h.l.mayMeet(id) {
		return nil, errNotWelcome
	}
	s, err := h.Host.NewStream(ctx, id, protos...)
	if err != nil {
		h.l.meetAgain()
	}
	return s, err
}

// meetAgain looks a moment later, once for all, whom GossipSub is to be shown again.
func (l *lobby) meetAgain() {
	if l.again.Swap(true) {
		return
	}
	time.AfterFunc(reopenAfter, func() {
		l.again.Store(false)
		l.ring()
	})
}

// SetStreamHandler counts who comes.
func (h *hall) SetStreamHandler(id protocol.ID, serve network.StreamHandler) {
	l := h.l
	h.Host.SetStreamHandler(id, func(s network.Stream) {
		who := s.Conn().RemotePeer()
		l.identified(s.Conn())
		if s.Conn().Stat().Limited || !l.m.faults.opened(who, time.Now()) || !l.mayCome(who) || !l.come(who) {
			s.Reset()
			return
		}
		l.meet(who)
		in := newInbound(s, func() { l.m.faults.blame(who, time.Now()) })
		in.pace = l.pace(who)
		serve(in)
		l.part(who)
	})
}

// pace bounds how fast packets of a peer are read: what comes faster waits at the
// peer. The least of them takes GossipSub some microseconds, and anybody may send.
func (l *lobby) pace(who peer.ID) func() error {
	every, burst := guestPacketsEvery, guestPacketsBurst
	if l.carries(who) {
		every, burst = carrierPacketsEvery, carrierPacketsBurst
	}
	limit := rate.NewLimiter(every, burst)
	return func() error { return limit.Wait(l.m.ctx) }
}

// identified waits until it is known what the other side speaks: what it says first
// would else be counted as that of somebody who does not carry.
func (l *lobby) identified(c network.Conn) {
	h, ok := l.m.host.(interface{ IDService() identify.IDService })
	if !ok {
		return
	}
	select {
	case <-h.IDService().IdentifyWait(c):
	case <-l.m.ctx.Done():
	}
}

// come counts a stream of a peer; false if there is no room for a guest more.
func (l *lobby) come(id peer.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.guests[id]
	if g == nil {
		if len(l.guests) >= maxGuests {
			l.m.stats.lobbyRefused.Add(1)
			return false
		}
		g = &guest{topics: map[string]int{}, says: rate.NewLimiter(guestSaysEvery, guestSaysBurst)}
		l.guests[id] = g
	}
	g.streams++
	return true
}

// part forgets what a peer wanted whose last stream ended.
func (l *lobby) part(id peer.ID) {
	l.mu.Lock()
	if g := l.guests[id]; g != nil {
		if g.streams--; g.streams <= 0 {
			delete(l.guests, id)
		}
	}
	l.mu.Unlock()
	l.ring()
}

// gone forgets a peer whose last link ended.
func (l *lobby) gone(id peer.ID) {
	if l == nil {
		return
	}
	l.mu.Lock()
	delete(l.shown, id)
	l.mu.Unlock()
	l.ring()
}

// CanSubscribe: what we are on we decided ourselves.
func (*hall) CanSubscribe(string) bool { return true }

// FilterIncomingSubscriptions notes what a guest wants to hear, as much as one may
// want: of somebody who carries all that it may carry, of others what one device
// has codes for. GossipSub's loop calls it.
func (h *hall) FilterIncomingSubscriptions(from peer.ID, asked []*pb.RPC_SubOpts) ([]*pb.RPC_SubOpts, error) {
	l, now := h.l, time.Now()
	carries := l.carries(from)
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.guests[from]
	if g == nil {
		return nil, nil // its stream has just ended
	}
	g.carries = carries
	most := l.mayName(g)
	pass, changed := asked[:0], false
	for _, s := range asked {
		name := s.GetTopicid()
		_, has := g.topics[name]
		if has == s.GetSubscribe() {
			if has { // on a new stream it says so again
				pass = append(pass, s)
			}
			continue
		}
		turn, ok := 0, has || len(g.topics) < most
		if ok {
			turn, ok = g.change(now)
		}
		if ok && !has {
			_, ok = readLobbyName(name)
		}
		switch {
		case !ok:
			l.m.stats.lobbyRefused.Add(1)
			continue
		case has:
			delete(g.topics, name)
		default:
			g.topics[name] = turn
		}
		pass, changed = append(pass, s), true
	}
	if changed {
		l.ring()
	}
	return pass, nil
}

// mayName is how many topics a guest may name; of many who carry each its share, for
// anybody can say that it does. The lock is held.
func (l *lobby) mayName(g *guest) int {
	if !g.carries {
		return maxLobbyTopics
	}
	carriers := 0
	for _, other := range l.guests {
		if other.carries {
			carriers++
		}
	}
	return max(maxLobbyTopics, min(maxNamed, maxNamedOfAll/carriers))
}

// inspect takes out what is too long, too much, repeated or forged before GossipSub
// looks at it, which remembers the hash of each frame that it is given for two
// minutes: strangers have frames of another day, and keys of their own, without end.
func (h *hall) inspect(from peer.ID, rpc *pubsub.RPC) error {
	tamePrunes(rpc)
	kept := rpc.Publish[:0]
	for _, msg := range rpc.Publish {
		if h.l.passes(from, msg.GetTopic(), msg.Data, time.Now()) {
			kept = append(kept, msg)
		}
	}
	rpc.Publish = kept
	return nil
}

// passes tells whether a frame is taken in. Who brings what is not signed by the
// topic's key did not look, which no honest peer omits.
func (l *lobby) passes(from peer.ID, topic string, frame []byte, now time.Time) bool {
	l.mu.Lock()
	g, c := l.guests[from], l.corners[topic]
	l.mu.Unlock()
	if g == nil || c == nil {
		return false // its stream has just ended; or nobody is on that topic here
	}
	if len(frame) > maxLobbyFrame {
		l.m.faults.blame(from, now)
		l.m.stats.lobbyRefused.Add(1)
		return false
	}
	id := sha256.Sum256(frame)
	if c.knows(id) {
		return false // several bring each
	}
	// Who carries brings what all its guests say: of its frames only those are counted
	// that are refused, or who says much there would keep others from being heard here.
	carries := l.carries(from)
	if carries && g.says.TokensAt(now) < 1 || !carries && !g.says.AllowN(now, 1) {
		l.m.stats.lobbyRefused.Add(1)
		return false
	}
	v := l.m.cfg.Lobby(c.name, frame)
	if v == Accept && c.says.AllowN(now, 1) {
		c.note(id)
		l.m.stats.lobbyFrames.Add(1)
		return true
	}
	if carries {
		g.says.AllowN(now, 1)
	}
	if v == Reject {
		l.m.faults.blame(from, now)
	}
	if v != Ignore {
		l.m.stats.lobbyRefused.Add(1)
	}
	return false
}
