package mesh

import (
	"slices"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
)

// watch turns libp2p's events into OnPeer, redials and the doors of gossip.
// One goroutine handles them all, so a peer's coming and going stay in turn.
func (m *Mesh) watch() error {
	sub, err := m.host.EventBus().Subscribe([]any{
		new(event.EvtPeerIdentificationCompleted),
		new(event.EvtPeerConnectednessChanged),
		new(event.EvtLocalAddressesUpdated),
		new(event.EvtHostReachableAddrsChanged),
		new(event.EvtPeerProtocolsUpdated),
	}, eventbus.BufSize(256))
	if err != nil {
		return err
	}
	m.wg.Add(1)
	go func() {
		defer m.wg.Done()
		defer sub.Close()
		here := map[peer.ID][]network.Conn{}
		for {
			select {
			case <-m.ctx.Done():
				return
			case ev, ok := <-sub.Out():
				if !ok {
					return
				}
				m.handle(ev, here)
			}
		}
	}()
	return nil
}

// handle keeps in here the peers OnPeer was told of, each with its links when
// it last looked.
func (m *Mesh) handle(ev any, here map[peer.ID][]network.Conn) {
	switch ev := ev.(type) {
	case event.EvtPeerIdentificationCompleted:
		m.relays.ring()
		m.gossip.identified(ev)
		m.lobby.meet(ev.Peer)
		m.punch.saw(ev.Peer, ev.Conn, ev.ObservedAddr)
		m.punch.again(ev.Peer)
		m.leaveRelay(ev.Peer)
		conns := m.links(ev.Peer)
		m.lost(ev.Peer, conns, here)
		key, ok := keyOf(ev.Peer)
		if !ok || len(conns) == 0 {
			return
		}
		_, again := here[ev.Peer]
		here[ev.Peer] = conns
		if again {
			return
		}
		m.redial.lonely(false)
		m.redial.connected(key)
		if m.cfg.OnPeer != nil {
			m.cfg.OnPeer(key, true)
		}
	case event.EvtPeerConnectednessChanged:
		conns := m.links(ev.Peer)
		if ev.Connectedness == network.NotConnected && len(conns) == 0 {
			m.gossip.gone(ev.Peer)
			m.lobby.gone(ev.Peer)
			m.relays.lost(ev.Peer)
			m.punch.gone(ev.Peer)
			key, _ := keyOf(ev.Peer)
			m.redial.lonely(len(m.host.Network().Peers()) == 0)
			m.redial.wake(key)
		}
		m.lost(ev.Peer, conns, here)
	case event.EvtPeerProtocolsUpdated:
		m.punch.protocols(ev.Peer, ev.Added)
		m.lobby.meet(ev.Peer)
	case event.EvtHostReachableAddrsChanged:
		m.relays.reachable(ev.Reachable, ev.Unreachable)
		if m.cfg.OnAddrs != nil {
			m.cfg.OnAddrs()
		}
		m.directory.serve(m.cfg.DHTServe || len(ev.Reachable) > 0)
		m.lobby.role()
	case event.EvtLocalAddressesUpdated:
		m.redial.wakeAll() // another network: whoever was out of reach may not be now
		if m.cfg.OnAddrs != nil {
			m.cfg.OnAddrs()
		}
	}
}

// links returns the open links to a peer; libp2p lists closed ones for a while.
func (m *Mesh) links(id peer.ID) []network.Conn {
	return slices.DeleteFunc(m.host.Network().ConnsToPeer(id), network.Conn.IsClosed)
}

// lost tells OnPeer that a peer is gone if none of the links is left that it
// had when we last looked. A new link does not hide that: libp2p says nothing
// of a loss that a redial mends at once, but what was under way is lost.
func (m *Mesh) lost(id peer.ID, conns []network.Conn, here map[peer.ID][]network.Conn) {
	had, was := here[id]
	if !was || slices.ContainsFunc(conns, func(c network.Conn) bool { return slices.Contains(had, c) }) {
		return
	}
	delete(here, id)
	if key, ok := keyOf(id); ok && m.cfg.OnPeer != nil {
		m.cfg.OnPeer(key, false)
	}
}
