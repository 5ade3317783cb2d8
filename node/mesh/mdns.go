package mesh

import (
	"context"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"

	"mutuals/identity/wire"
)

// service is the name devices look for on the local network; each announces
// itself under a random instance name.
const service = "_mutuals._udp"

// found notes where a peer on the local network is. It is dialled only if
// somebody wants that peer: a LAN full of strangers costs nothing.
type found struct{ m *Mesh }

func (f found) HandlePeerFound(info peer.AddrInfo) {
	if key, ok := keyOf(info.ID); ok && info.ID != f.m.host.ID() {
		f.m.log.Debug("mesh: found on the local network", "peer", key.Short(), "addrs", len(info.Addrs))
		f.m.learn(info)
		f.m.redial.wake(key)
		f.m.sightings.tell()
	}
}

// Sighted waits until an address of a peer is known, as when it is found on the
// local network; it gives ctx's error if it was not.
func (m *Mesh) Sighted(ctx context.Context, peer wire.PeerKey) error {
	for {
		next := m.sightings.next()
		if len(m.KnownAddrs(peer)) > 0 {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sightings tells all who wait that some peer was found.
type sightings struct {
	mu sync.Mutex
	ch chan struct{}
}

func (s *sightings) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *sightings) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}

// startMDNS returns what stops it. A machine without a multicast interface is
// no failure: there is nobody to find.
func (m *Mesh) startMDNS() func() {
	s := mdns.NewMdnsService(m.host, service, found{m})
	if err := s.Start(); err != nil {
		m.log.Warn("mesh: no local discovery", "err", err)
		return func() {}
	}
	return func() { s.Close() }
}
