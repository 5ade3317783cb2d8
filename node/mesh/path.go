package mesh

import (
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Path is by what way a link goes; the lower, the better.
type Path uint8

// The ways: dialled as it is, dialled from both sides at once through two
// routers, or through a relay.
const (
	PathDirect Path = iota
	PathPunched
	PathRelayed
)

// String gives the word of the API.
func (p Path) String() string { return [...]string{"direct", "punched", "relayed"}[p] }

func (m *Mesh) pathOf(c network.Conn) Path {
	if relayed(c.RemoteMultiaddr()) {
		return PathRelayed
	}
	m.relays.mu.Lock()
	defer m.relays.mu.Unlock()
	// Between two of one network no router was in the way, whoever arranged it.
	if m.relays.punched[c.RemotePeer()] && manet.IsPublicAddr(c.RemoteMultiaddr()) {
		return PathPunched
	}
	return PathDirect
}

// punches hears of hole punching.
type punches struct{ r *relays }

// Trace notes with whom it succeeded; lost forgets it with the last link.
func (p punches) Trace(ev *holepunch.Event) {
	end, ok := ev.Evt.(*holepunch.EndHolePunchEvt)
	if !ok {
		return
	}
	p.r.m.log.Debug("mesh: punched", "ok", end.Success, "in", end.EllapsedTime, "why", end.Error)
	if !end.Success {
		p.r.m.punch.note(ev.Remote, "the routers let no direct way through: "+clip(end.Error))
	}
	if !end.Success || !p.r.m.linked(ev.Remote) {
		return
	}
	p.r.mu.Lock()
	p.r.punched[ev.Remote] = true
	p.r.mu.Unlock()
}

// lost forgets what was known of the way to a peer.
func (r *relays) lost(id peer.ID) {
	r.mu.Lock()
	delete(r.punched, id)
	r.mu.Unlock()
	r.ring()
}
