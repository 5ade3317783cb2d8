package mesh

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
)

// errNotWelcome is what GossipSub is told when it opens a stream to a peer
// that no topic allows.
var errNotWelcome = errors.New("peer is welcome in no topic")

// door is the host GossipSub sees: the real one, except that it shows peers
// only once some topic's gate allows them. It is the inner half of the first
// gate: GossipSub's first packet on a stream lists all our topics, and a
// stranger can learn our protocol's name.
type door struct {
	host.Host
	g    *gossip
	bus  event.Bus
	emit event.Emitter
}

func newDoor(g *gossip) (*door, error) {
	d := &door{Host: g.m.host, g: g, bus: eventbus.NewBus()}
	var err error
	d.emit, err = d.bus.Emitter(new(event.EvtPeerIdentificationCompleted))
	return d, err
}

func (d *door) close() { _ = d.emit.Close() }

// open tells whether GossipSub may meet the peer.
func (d *door) open(id peer.ID) bool {
	return d.g.m.cfg.open(GateProtocols) || d.g.welcome(id)
}

// EventBus is GossipSub's only news of peers.
func (d *door) EventBus() event.Bus { return d.bus }

// identified shows a new peer to GossipSub if it is welcome.
func (g *gossip) identified(ev event.EvtPeerIdentificationCompleted) {
	welcome := g.welcome(ev.Peer)
	g.protect(ev.Peer, welcome)
	g.mu.Lock()
	if l := g.links[ev.Peer]; l != nil || welcome {
		g.link(ev.Peer).welcomed = welcome
	}
	g.mu.Unlock()
	if g.door.open(ev.Peer) {
		ev.SignedPeerRecord = nil // GossipSub would keep it for ever, to hand it out
		_ = g.door.emit.Emit(ev)
	}
}

// offer shows GossipSub a linked peer; one it knows already it passes over.
func (d *door) offer(id peer.ID) {
	if d.g.m.ctx.Err() != nil || d.Host.Network().Connectedness(id) != network.Connected {
		return
	}
	protos, err := d.Host.Peerstore().GetProtocols(id)
	if err != nil || len(protos) == 0 {
		return // not identified yet: identified will show it
	}
	d.g.mu.Lock()
	d.g.link(id).welcomed = true
	d.g.mu.Unlock()
	_ = d.emit.Emit(event.EvtPeerIdentificationCompleted{Peer: id, Protocols: protos})
}

// NewStream opens GossipSub's outbound stream. GossipSub does not try a peer
// again whose stream failed, so we do.
func (d *door) NewStream(ctx context.Context, id peer.ID, protos ...protocol.ID) (network.Stream, error) {
	if !d.open(id) {
		return nil, errNotWelcome
	}
	s, err := d.Host.NewStream(ctx, id, protos...)
	if err != nil {
		d.again(id)
	}
	return s, err
}

func (d *door) again(id peer.ID) {
	time.AfterFunc(reopenAfter, func() {
		if d.open(id) {
			d.offer(id)
		}
	})
}

// SetStreamHandler puts us between a peer's stream and GossipSub.
func (d *door) SetStreamHandler(id protocol.ID, serve network.StreamHandler) {
	d.Host.SetStreamHandler(id, func(s network.Stream) {
		who := s.Conn().RemotePeer()
		if !d.g.m.faults.opened(who, time.Now()) {
			s.Reset()
			return
		}
		w := &waiting{s: s, serve: serve}
		if d.open(who) {
			d.admit(who, w)
			return
		}
		d.g.mu.Lock()
		l := d.g.link(who)
		old := l.held
		l.held = w
		d.g.mu.Unlock()
		if old != nil {
			old.s.Reset()
		}
		if d.g.m.ctx.Err() != nil || !d.g.m.linked(who) {
			d.g.gone(who)
			return
		}
		// A refresh between asking and holding would leave the stream waiting.
		if d.open(who) {
			d.g.refresh(who, false)
		}
	})
}

// admit lets GossipSub read a stream, and blocks until it is done with it.
func (d *door) admit(who peer.ID, w *waiting) {
	in := newInbound(w.s, func() { d.g.m.faults.blame(who, time.Now()) })
	d.g.mu.Lock()
	l := d.g.link(who)
	l.in = in
	l.welcomed = true
	l.announced = map[string]*announcement{} // the stream begins with all of them
	d.g.mu.Unlock()
	w.serve(in)
	d.g.mu.Lock()
	if l.in == in {
		l.in = nil
	}
	d.g.mu.Unlock()
}

// gone forgets a peer whose last link ended.
func (g *gossip) gone(id peer.ID) {
	g.mu.Lock()
	if g.m.linked(id) { // back already, and perhaps with a stream of its own
		g.mu.Unlock()
		return
	}
	l := g.links[id]
	delete(g.links, id)
	g.mu.Unlock()
	g.protect(id, false)
	if l != nil {
		g.drop(l)
	}
}
