package mesh

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"mutuals/identity/wire"
)

// gater refuses every link with a blocked peer, in both directions, as soon
// as its key is known. It is for people the user blocks; who merely is no
// member may link (to ask, to join) and is held off by the gates of gossip.
type gater struct {
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
	defer g.mu.RUnlock()
	_, blocked := g.blocked[id]
	return !blocked
}

func (g *gater) InterceptPeerDial(id peer.ID) bool                 { return g.allows(id) }
func (g *gater) InterceptAddrDial(id peer.ID, _ ma.Multiaddr) bool { return g.allows(id) }
func (g *gater) InterceptAccept(network.ConnMultiaddrs) bool       { return true }
func (g *gater) InterceptSecured(_ network.Direction, id peer.ID, _ network.ConnMultiaddrs) bool {
	return g.allows(id)
}
func (g *gater) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
