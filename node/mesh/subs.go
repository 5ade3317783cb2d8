package mesh

import (
	"maps"
	"slices"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"mutuals/identity/wire"
)

// The second gate, subscriptions, and the fourth, removal: one decides when a
// subscription is announced, the other when the right to it ends.

// link is what gossip knows of one linked peer.
type link struct {
	// welcomed: some topic's gate allowed it when we last asked.
	welcomed bool
	// announced holds the topics the peer said it is subscribed to, whether
	// they count or not.
	announced map[string]*announcement
	// reachable: GossipSub has a stream to send on.
	reachable bool
	// in is the stream GossipSub reads, held one that waits at the door.
	in   *inbound
	held *waiting
}

// announcement is one topic a peer wants to hear.
type announcement struct {
	// withdrawn: taken from the peer by the removal gate, and the
	// unsubscription we injected for it is still on its way.
	withdrawn bool
	// served: the peer has been sent what was said just before.
	served bool
}

// waiting is a stream of a peer that is welcome in no topic so far. It is not
// read; the peer's flow control window bounds what it costs.
type waiting struct {
	s     network.Stream
	serve network.StreamHandler
}

// drop lets go of a stream that waits at the door.
func (g *gossip) drop(l *link) {
	g.mu.Lock()
	held := l.held
	l.held = nil
	g.mu.Unlock()
	if held != nil {
		held.s.Reset()
	}
}

// link returns the link of a peer, making it if need be. g.mu is held.
func (g *gossip) link(id peer.ID) *link {
	l := g.links[id]
	if l == nil {
		l = &link{announced: map[string]*announcement{}}
		g.links[id] = l
	}
	return l
}

// subs is GossipSub's subscription filter.
type subs struct{ g *gossip }

func (subs) CanSubscribe(string) bool { return true }

// FilterIncomingSubscriptions lets through what the peer is allowed to hear
// and remembers the rest for the day it is.
func (f subs) FilterIncomingSubscriptions(from peer.ID, asked []*pb.RPC_SubOpts) ([]*pb.RPC_SubOpts, error) {
	g := f.g
	var pass []*pb.RPC_SubOpts
	for _, s := range asked {
		topic := s.GetTopicid()
		if s.GetSubscribe() {
			g.announce(from, topic)
			if !g.m.cfg.open(GateSubscriptions) && !g.allows(from, topic) {
				g.m.stats.held.Add(1)
				continue
			}
			g.serve(from, topic)
		} else {
			g.retract(from, topic)
		}
		pass = append(pass, s)
	}
	if len(pass) > maxAnnounced {
		return nil, pubsub.ErrTooManySubscriptions
	}
	return pass, nil
}

func (g *gossip) announce(from peer.ID, topic string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.link(from)
	if l.announced[topic] == nil && len(l.announced) < maxAnnounced && len(topic) <= maxTopicName {
		l.announced[topic] = &announcement{}
	}
}

func (g *gossip) retract(from peer.ID, topic string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.link(from)
	if a := l.announced[topic]; a != nil && a.withdrawn {
		a.withdrawn = false // ours: the peer itself still wants it
		return
	}
	delete(l.announced, topic)
}

// serve sends a peer, once, what we said on a topic just before its
// subscription came. Only GossipSub's loop may call it.
func (g *gossip) serve(id peer.ID, topic string) {
	t := g.topic(topic)
	if t == nil || !g.allows(id, topic) {
		return
	}
	g.mu.Lock()
	l := g.link(id)
	a := l.announced[topic]
	ready := l.reachable && a != nil && !a.served
	if ready {
		a.served = true
	}
	g.mu.Unlock()
	if !ready {
		return
	}
	if msgs := t.recent.messages(topic, time.Now()); len(msgs) > 0 {
		g.rt.SendControl(id, &pb.ControlMessage{}, msgs...)
	}
}

// reachable notes whether GossipSub can send to a peer. When its stream to a
// peer breaks, as with the lesser of two links (a dial races QUIC and TCP), it
// forgets what the peer announced, and what it had queued; but the peer's own
// stream may live on, and the peer will not say it again. So we do. It is
// called by GossipSub's loop.
func (g *gossip) reachable(id peer.ID, on bool) {
	g.mu.Lock()
	l := g.links[id]
	if l == nil && on {
		l = g.link(id)
	}
	var topics []string
	var in *inbound
	if l != nil {
		l.reachable = on
		in = l.in
		topics = slices.Collect(maps.Keys(l.announced))
		for _, a := range l.announced {
			a.served = a.served && on
		}
	}
	g.mu.Unlock()
	g.redraw(id)
	if on {
		for _, topic := range topics {
			g.serve(id, topic)
		}
		return
	}
	topics = slices.DeleteFunc(topics, func(topic string) bool { return !g.allows(id, topic) })
	if in != nil && len(topics) > 0 {
		in.inject(replay(topics, nil))
	}
}

// mayHear is GossipSub's peer filter: the second gate once more, where the
// mesh is built and where history is asked for.
func (g *gossip) mayHear(id peer.ID, topic string) bool {
	return g.m.cfg.open(GateSubscriptions) || g.allows(id, topic)
}

// Refresh asks all gates about peer again. It must be called when a peer has
// become a member or stopped being one: an announcement made too early counts
// from now on, and one that may count no longer is withdrawn together with
// its place in the mesh. A peer that has lost its last topic is cut off, so
// that it must come back as the stranger it now is.
func (m *Mesh) Refresh(peer wire.PeerKey) { m.gossip.refresh(idOf(peer), true) }

// Refresh does for every linked peer what Mesh.Refresh does for one.
func (t *Topic) Refresh() { t.g.refreshAll() }

func (g *gossip) refreshAll() {
	for _, id := range g.m.host.Network().Peers() {
		g.refresh(id, false)
	}
}

// refresh asks the gates about one peer. asked says that its membership is
// known to have changed; else it is cut off only if a topic we are in has
// turned it away, not because we ourselves have left what we shared.
func (g *gossip) refresh(id peer.ID, asked bool) {
	// Gates are asked without our lock: they may take their own.
	welcome := g.welcome(id)
	g.protect(id, welcome)
	g.mu.Lock()
	l := g.links[id]
	if l == nil {
		g.mu.Unlock()
		if welcome {
			g.door.offer(id)
		}
		return
	}
	announced := slices.Collect(maps.Keys(l.announced))
	was := l.welcomed
	g.mu.Unlock()

	var grant, withdraw []string
	for _, topic := range announced {
		switch {
		case g.topic(topic) == nil:
		case g.allows(id, topic):
			grant = append(grant, topic)
		default:
			withdraw = append(withdraw, topic)
		}
	}

	g.mu.Lock()
	l.welcomed = welcome
	held := l.held
	if welcome {
		l.held = nil
	}
	if g.m.cfg.open(GateRemoval) {
		withdraw = nil
	}
	for _, topic := range withdraw {
		if a := l.announced[topic]; a != nil {
			a.withdrawn, a.served = true, false
		}
	}
	in := l.in
	g.mu.Unlock()

	if in != nil && len(grant)+len(withdraw) > 0 {
		in.inject(replay(grant, withdraw))
	}
	switch {
	case welcome:
		if held != nil {
			go g.door.admit(id, held) // ends with the stream, as libp2p's own handlers do
		}
		g.door.offer(id)
	case was && (asked || len(withdraw) > 0) && !g.m.cfg.open(GateRemoval):
		_ = g.m.host.Network().ClosePeer(id)
	}
}

// replay is the packet the peer would send if it announced again, and pruned
// itself where it is no longer wanted.
func replay(grant, withdraw []string) []byte {
	rpc := &pb.RPC{}
	sub := func(topic string, on bool) {
		rpc.Subscriptions = append(rpc.Subscriptions, &pb.RPC_SubOpts{Topicid: proto.String(topic), Subscribe: proto.Bool(on)})
	}
	for _, t := range grant {
		sub(t, true)
	}
	for _, t := range withdraw {
		sub(t, false)
		if rpc.Control == nil {
			rpc.Control = &pb.ControlMessage{}
		}
		rpc.Control.Prune = append(rpc.Control.Prune, &pb.ControlPrune{TopicID: proto.String(t)})
	}
	b, err := proto.Marshal(rpc)
	if err != nil {
		panic("internal error: encoding announcement: " + err.Error())
	}
	return AppendFrame(nil, b)
}
