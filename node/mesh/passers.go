package mesh

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// passers are the links that no member opened: whoever wants to join is among
// them, and whoever wants to harm. They are bounded apart, so that however many
// keys a stranger makes, members find a place. When there are too many, the
// address that has most of them gives one up: first one on which nothing is
// being asked, the oldest first. So a newcomer with a passcode, whose dialogue
// begins at once, is not put out by those that merely hang on.
type passers struct {
	m     *Mesh
	mu    sync.Mutex
	links []network.Conn // oldest first
}

// member tells whether a peer has a place that strangers cannot take: it is in
// a topic with us, or the caller protects it.
func (m *Mesh) member(id peer.ID) bool {
	return m.host.ConnManager().IsProtected(id, protectTag) || m.gossip != nil && m.gossip.welcome(id)
}

// passerLinks is how many links strangers may hold: as a relay also those of
// whoever has a place.
func (m *Mesh) passerLinks() int {
	if m.cfg.RelayFor != nil && m.cfg.Relay != RelayOnly {
		return maxPasserLinks + relayMost
	}
	return maxPasserLinks
}

// relaysFor tells whether a peer has a place at this relay: libp2p's service
// notes that with the connection manager.
func (m *Mesh) relaysFor(id peer.ID) bool {
	info := m.host.ConnManager().GetTagInfo(id)
	return info != nil && info.Tags["relay-reservation"] > 0
}

// Connected implements [network.Notifiee].
func (p *passers) Connected(_ network.Network, c network.Conn) {
	if c.Stat().Direction != network.DirInbound || p.m.member(c.RemotePeer()) {
		return
	}
	p.mu.Lock()
	p.links = append(p.links, c)
	most := p.m.passerLinks()
	var over network.Conn
	if len(p.links) > most {
		// Who was let in meanwhile counts no longer.
		p.links = slices.DeleteFunc(p.links, func(c network.Conn) bool { return p.m.member(c.RemotePeer()) })
	}
	if len(p.links) > most {
		i := p.weakest()
		over = p.links[i]
		p.links = slices.Delete(p.links, i, i+1)
	}
	p.mu.Unlock()
	if over != nil {
		p.m.stats.crowded.Add(1)
		// Closing waits for what is told of this very link.
		p.m.wg.Go(func() { _ = over.CloseWithError(network.ConnGarbageCollected) })
	}
}

// weakest chooses which link gives way.
func (p *passers) weakest() int {
	crowd := map[netip.Prefix]int{}
	for _, c := range p.links {
		crowd[houseOf(c.RemoteMultiaddr())]++
	}
	best, bestOf, bestIdle := 0, -1, false
	for i, c := range p.links {
		of, idle := crowd[houseOf(c.RemoteMultiaddr())], !p.m.streams.asks(c.RemotePeer()) && !p.m.relaysFor(c.RemotePeer())
		if of > bestOf || of == bestOf && idle && !bestIdle {
			best, bestOf, bestIdle = i, of, idle
		}
	}
	return best
}

// houseOf is the network that one household or machine has for itself.
func houseOf(a ma.Multiaddr) netip.Prefix {
	ip, err := manet.ToIP(a)
	if err != nil {
		return netip.Prefix{}
	}
	addr, _ := netip.AddrFromSlice(ip)
	addr = addr.Unmap()
	bits := 32
	if addr.Is6() {
		bits = 56
	}
	house, _ := addr.Prefix(bits)
	return house
}

// Disconnected implements [network.Notifiee].
func (p *passers) Disconnected(_ network.Network, c network.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links = slices.DeleteFunc(p.links, func(o network.Conn) bool { return o == c })
}

// Listen implements [network.Notifiee].
func (*passers) Listen(network.Network, ma.Multiaddr) {}

// ListenClose implements [network.Notifiee].
func (*passers) ListenClose(network.Network, ma.Multiaddr) {}
