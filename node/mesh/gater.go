package mesh

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"mutuals/identity/wire"
)

// gater refuses every link with a blocked peer, in both directions, as soon
// as its key is known. It is for people the user blocks, and for peers that are
// shut out for a while (shun.go); who merely is no member may link (to ask, to
// join) and is held off by the gates of gossip.
type gater struct {
	m       *Mesh
	mu      sync.RWMutex
	blocked map[peer.ID]struct{}
}

// Block refuses links with peer from now on, or lets them in again.
func (m *Mesh) Block(peer wire.PeerKey, on bool) {
	m.gater.mu.Lock()
	if on {
		m.gater.blocked[idOf(peer)] = struct{}{}
	} else {
		delete(m.gater.blocked, idOf(peer))
	}
	m.gater.mu.Unlock()
	if on {
		m.ClosePeer(peer)
	}
}

func (g *gater) allows(id peer.ID) bool {
	g.mu.RLock()
	_, blocked := g.blocked[id]
	g.mu.RUnlock()
	return !blocked && !g.m.faults.shut(id, time.Now())
}

func (g *gater) InterceptPeerDial(id peer.ID) bool           { return g.allows(id) }
func (g *gater) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptAddrDial is asked for each address before it is dialled, whoever
// told it: a code, a member's signed record, the DHT. What can be nobody's is
// refused, and with RelayOnly all but relays that the configuration names.
func (g *gater) InterceptAddrDial(id peer.ID, a ma.Multiaddr) bool {
	if !g.allows(id) {
		return false
	}
	ok := g.m.mayDial(id, a)
	if !ok {
		g.m.stats.undialled.Add(1)
	}
	return ok
}

func (m *Mesh) mayDial(id peer.ID, a ma.Multiaddr) bool {
	if m.cfg.Relay == RelayOnly {
		if !relayed(a) {
			return m.named(id)
		}
		by, err := a.ValueForProtocol(ma.P_P2P) // the first: the relay
		if err != nil {
			return false
		}
		hop, err := peer.Decode(by)
		return err == nil && m.named(hop)
	}
	ip, err := manet.ToIP(a)
	if err != nil {
		return true // a name is resolved first, what is no IP has no transport
	}
	if ip.IsUnspecified() || ip.IsMulticast() || ip.Equal(net.IPv4bcast) || isLinkLocal(ip) {
		return false
	}
	for _, p := range []int{ma.P_TCP, ma.P_UDP} {
		if port, err := a.ValueForProtocol(p); err == nil && port == "0" {
			return false
		}
	}
	return !ip.IsLoopback() || m.loopbackOnly()
}

// MayTry tells whether an address may be dialled that came from a stranger, in a
// code or from the directory: public ones always, loopback only if this device
// listens on loopback only, private ones only in a subnet of an own interface
// (node/PROTOCOLS.md N6).
func (m *Mesh) MayTry(addr string) bool {
	a, err := ma.NewMultiaddr(addr)
	return err == nil && m.trying()(a)
}

// trying is MayTry for many addresses: the interfaces are listed once, if at all.
// A name is refused: whoever makes it resolve could have this machine knock at
// its neighbours.
func (m *Mesh) trying() func(ma.Multiaddr) bool {
	nets := sync.OnceValue(ownNets)
	return func(a ma.Multiaddr) bool {
		ip, err := manet.ToIP(a) // of one through a relay, the relay's
		if err != nil || relayed(a) && m.cfg.Relay == RelayOff {
			return false
		}
		switch reachOf(a) {
		case ReachPublic:
			return true
		case ReachLoopback:
			return ip.IsLoopback() && m.loopbackOnly()
		}
		at, ok := netip.AddrFromSlice(ip)
		return ok && slices.ContainsFunc(nets(), func(p netip.Prefix) bool { return p.Contains(at.Unmap()) })
	}
}

// ownNets are the subnets of this machine's interfaces.
func ownNets() []netip.Prefix {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Masked())
		}
	}
	return out
}

// loopbackOnly tells whether this device is for its own machine only: then it
// may dial there, as a lab on one machine does.
func (m *Mesh) loopbackOnly() bool {
	return !slices.ContainsFunc(m.host.Addrs(), func(a ma.Multiaddr) bool { return !relayed(a) && reachOf(a) > ReachLoopback })
}

// InterceptSecured is asked when a peer has proved its key.
func (g *gater) InterceptSecured(_ network.Direction, id peer.ID, _ network.ConnMultiaddrs) bool {
	ok := g.allows(id)
	if !ok {
		g.m.stats.turned.Add(1)
	}
	return ok
}
func (g *gater) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
