package mesh

import (
	"fmt"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"mutuals/identity/wire"
)

// RelayService is what this device does for others as a relay.
type RelayService struct {
	// For says who may have a place here. Whoever knows such a peer's address
	// may reach it through this relay: a newcomer with a passcode is nobody
	// yet. Nil: everybody.
	For func(wire.PeerKey) bool
	// Limited ends each relayed link after relayBytes in one direction or
	// relayTime. Without it gossip runs over the link too; with it only streams do.
	Limited bool
}

// ServeAsRelay makes this device a relay, or, with nil, ends that: links that it
// carries end with it. With RelayOnly it does nothing, for others could not come
// here. The error is of libp2p.
func (m *Mesh) ServeAsRelay(s *RelayService) error {
	defer m.lobby.role() // after the lock is free
	m.relayingMu.Lock()
	defer m.relayingMu.Unlock()
	if m.unRelay != nil {
		m.unRelay()
		m.unRelay = nil
	}
	if s == nil || m.cfg.Relay == RelayOnly || m.ctx.Err() != nil {
		return nil
	}
	stop, err := m.startRelaying(*s)
	if err == nil {
		m.unRelay = stop
	}
	return err
}

// startRelaying serves as a relay until what it returns is called.
func (m *Mesh) startRelaying(s RelayService) (stop func(), err error) {
	res := relay.DefaultResources()
	res.MaxReservations, res.MaxCircuits = relayMost, relayCircuits
	res.MaxReservationsPerIP, res.MaxReservationsPerASN = relayPerAddr, relayMost
	res.Limit = nil
	if s.Limited {
		res.Limit = &relay.RelayLimit{Duration: relayTime, Data: relayBytes}
	}
	r, err := relay.New(m.host, relay.WithResources(res), relay.WithACL(&allowed{m, s.For, &m.stats.relayRefused}),
		relay.WithMetricsTracer(&m.carried),
		// Only where every own address is private would this tell private ones.
		relay.WithReservationAddressFilter(manet.IsPublicAddr))
	if err != nil {
		return nil, fmt.Errorf("starting relay: %w", err)
	}
	return func() { _ = r.Close() }, nil
}

// allowed is who may use the relay here.
type allowed struct {
	m       *Mesh
	who     func(wire.PeerKey) bool
	refused *atomic.Uint64
}

// AllowReserve tells whether a peer may have a place.
func (a *allowed) AllowReserve(id peer.ID, at ma.Multiaddr) bool {
	key, ok := keyOf(id)
	if !ok || !a.m.gater.allows(id) || relayed(at) || a.who != nil && !a.who(key) {
		a.refused.Add(1)
		return false
	}
	return true
}

// AllowConnect tells whether a peer may be put through to one with a place.
func (a *allowed) AllowConnect(from peer.ID, _ ma.Multiaddr, _ peer.ID) bool {
	if !a.m.gater.allows(from) {
		a.refused.Add(1)
		return false
	}
	return true
}
