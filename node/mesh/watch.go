package mesh

import (
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
	}, eventbus.BufSize(256))
	if err != nil {
		return err
	}
	m.wg.Add(1)
	go func() {
		defer m.wg.Done()
		defer sub.Close()
		here := map[peer.ID]struct{}{}
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

// handle keeps in here the peers OnPeer was told of.
func (m *Mesh) handle(ev any, here map[peer.ID]struct{}) {
	switch ev := ev.(type) {
	case event.EvtPeerIdentificationCompleted:
		m.gossip.identified(ev)
		key, ok := keyOf(ev.Peer)
		if _, again := here[ev.Peer]; again || !ok || !m.linked(ev.Peer) {
			return
		}
		here[ev.Peer] = struct{}{}
		m.redial.connected(key)
		if m.cfg.OnPeer != nil {
			m.cfg.OnPeer(key, true)
		}
	case event.EvtPeerConnectednessChanged:
		if ev.Connectedness != network.NotConnected || m.linked(ev.Peer) {
			return // or back again already: identification will tell
		}
		m.gossip.gone(ev.Peer)
		key, _ := keyOf(ev.Peer)
		m.redial.wake(key)
		if _, was := here[ev.Peer]; !was {
			return
		}
		delete(here, ev.Peer)
		if m.cfg.OnPeer != nil {
			m.cfg.OnPeer(key, false)
		}
	case event.EvtLocalAddressesUpdated:
		m.redial.wakeAll() // another network: whoever was out of reach may not be now
		if m.cfg.OnAddrs != nil {
			m.cfg.OnAddrs()
		}
	}
}
