package mesh

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	basichost "github.com/libp2p/go-libp2p/p2p/host/basic"
	ma "github.com/multiformats/go-multiaddr"
)

// ports remembers who asks the router, so that it can be told what came of it.
type ports struct {
	mu  sync.Mutex
	net network.Network
	nat basichost.NATManager // nil: nobody is asked
}

func (p *ports) begin(n network.Network) basichost.NATManager {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.net, p.nat = n, basichost.NewNATManager(n)
	return p.nat
}

// Mapped lists the addresses that a router keeps open for this device; found is
// false while no router answers, or none is asked.
func (m *Mesh) Mapped() (addrs []string, found bool) {
	m.ports.mu.Lock()
	n, nat := m.ports.net, m.ports.nat
	m.ports.mu.Unlock()
	if nat == nil || !nat.HasDiscoveredNAT() {
		return nil, false
	}
	var out []ma.Multiaddr
	for _, a := range n.ListenAddresses() {
		if relayed(a) {
			continue
		}
		if got := nat.GetMapping(a); got != nil {
			out = append(out, got)
		}
	}
	return texts(ma.Unique(out)), true
}

// NAT tells what stands between this device and others.
func (m *Mesh) NAT() NAT { return m.punch.kind() }

// Undirect tells of relayed peers why no direct way to them was found; "" of one
// with whom none was looked for.
func (m *Mesh) Undirect(peer PeerInfo) string {
	if peer.Path != PathRelayed {
		return ""
	}
	m.punch.mu.Lock()
	defer m.punch.mu.Unlock()
	return m.punch.why[idOf(peer.Peer)]
}
