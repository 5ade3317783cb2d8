package mesh

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// NAT is what stands between this device and others, as far as two of them have
// seen it.
type NAT uint8

// The kinds. Through a cone a device has one address for everybody, so a second
// one can dial it once it has dialled out; through a symmetric one each peer
// sees another, and only a relay helps.
const (
	NATUnknown NAT = iota
	NATNone
	NATCone
	NATSymmetric
)

// String gives the word of the API.
func (k NAT) String() string { return [...]string{"unknown", "none", "cone", "symmetric"}[k] }

// puncher finds direct ways where both ends stand behind routers. libp2p tries
// once, when the relayed link comes up; then the newcomer mostly does not know
// yet by what address its router shows it. So here it is tried again when either
// end has learnt that.
type puncher struct {
	m *Mesh

	mu  sync.Mutex
	svc *holepunch.Service // nil until somebody has told us an address
	// seen is what each linked peer sees of us: over UDP and over TCP.
	seen  map[peer.ID]*[2]sight
	had   []ma.Multiaddr            // the last addresses told
	tries map[peer.ID]chan struct{} // nudges whoever tries
	why   map[peer.ID]string        // why the last try failed
}

// sight is an own address as somebody sees it, and from where.
type sight struct{ us, from ma.Multiaddr }

func newPuncher(m *Mesh) *puncher {
	return &puncher{m: m, seen: map[peer.ID]*[2]sight{}, tries: map[peer.ID]chan struct{}{}, why: map[peer.ID]string{}}
}

// over is 0 for UDP, 1 for TCP.
func over(a ma.Multiaddr) int {
	if _, err := a.ValueForProtocol(ma.P_UDP); err == nil {
		return 0
	}
	return 1
}

// saw notes by what address a peer sees us at the other end of a link. It may
// lie: then a try fails, as it would have without.
func (p *puncher) saw(id peer.ID, c network.Conn, us ma.Multiaddr) {
	if us == nil || relayed(c.RemoteMultiaddr()) || !manet.IsPublicAddr(us) || !p.listened(c.LocalMultiaddr()) {
		return
	}
	p.mu.Lock()
	at := p.seen[id]
	if at == nil {
		if len(p.seen) >= maxSights {
			p.mu.Unlock()
			return
		}
		at = &[2]sight{}
		p.seen[id] = at
	}
	old := at[over(us)].us
	at[over(us)] = sight{us, c.RemoteMultiaddr()}
	p.mu.Unlock()
	if old == nil || !old.Equal(us) {
		p.serve()
		p.again("")
	}
}

// listened tells whether a link comes from a port that others can be let in by:
// a TCP dial from a port of its own says nothing about ours.
func (p *puncher) listened(local ma.Multiaddr) bool {
	port := func(a ma.Multiaddr) string {
		for _, proto := range []int{ma.P_UDP, ma.P_TCP} {
			if v, err := a.ValueForProtocol(proto); err == nil {
				return a.Protocols()[1].Name + v
			}
		}
		return ""
	}
	return slices.ContainsFunc(p.m.host.Network().ListenAddresses(), func(a ma.Multiaddr) bool {
		return !relayed(a) && port(a) == port(local)
	})
}

// gone forgets what a peer that is not linked any more saw.
func (p *puncher) gone(id peer.ID) {
	p.mu.Lock()
	delete(p.seen, id)
	delete(p.why, id)
	p.mu.Unlock()
}

// addrs lists by what public addresses this device may be met.
func (p *puncher) addrs() []ma.Multiaddr {
	var out []ma.Multiaddr
	if h, ok := p.m.host.(interface{ AllAddrs() []ma.Multiaddr }); ok {
		out = slices.DeleteFunc(h.AllAddrs(), func(a ma.Multiaddr) bool { return relayed(a) || !manet.IsPublicAddr(a) })
	}
	p.mu.Lock()
	for _, at := range p.seen {
		for _, s := range at {
			if s.us != nil {
				out = append(out, s.us)
			}
		}
	}
	p.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(out) == 0 {
		out = p.had // libp2p waits for the first without an end
	}
	p.had = ma.Unique(slices.Clone(out))
	return slices.Clone(p.had[:min(len(p.had), maxAddrs)])
}

// kind judges what routers do by what two peers at different addresses see.
func (p *puncher) kind() NAT {
	ifaces, _ := manet.InterfaceMultiaddrs()
	p.mu.Lock()
	defer p.mu.Unlock()
	return natKind(p.seen, ifaces)
}

func natKind(seen map[peer.ID]*[2]sight, ifaces []ma.Multiaddr) NAT {
	for proto := range 2 {
		var us []ma.Multiaddr
		var from []string
		for _, at := range seen {
			s := at[proto]
			if s.us == nil {
				continue
			}
			own, err := manet.ToIP(s.us)
			if err != nil {
				continue
			}
			if slices.ContainsFunc(ifaces, func(i ma.Multiaddr) bool {
				ip, err := manet.ToIP(i)
				return err == nil && ip.Equal(own)
			}) {
				return NATNone
			}
			if ip, err := manet.ToIP(s.from); err == nil && !slices.Contains(from, ip.String()) {
				from, us = append(from, ip.String()), append(us, s.us)
			}
		}
		if len(us) >= 2 {
			if len(ma.Unique(us)) == 1 {
				return NATCone
			}
			return NATSymmetric
		}
	}
	return NATUnknown
}

// serve begins to answer others' tries, once there is an address to tell. It is
// for one goroutine.
func (p *puncher) serve() {
	p.mu.Lock()
	serves := p.svc != nil
	p.mu.Unlock()
	h, ok := p.m.host.(interface{ IDService() identify.IDService })
	if !ok || serves || p.m.cfg.Relay != RelayAuto || p.m.ctx.Err() != nil {
		return
	}
	svc, err := holepunch.NewService(p.m.host, h.IDService(), p.addrs,
		holepunch.DirectDialTimeout(punchDial), holepunch.WithTracer(punches{p.m.relays}))
	if err != nil {
		p.m.log.Warn("mesh: no hole punching", "err", err)
		return
	}
	// It stands once a try ends, and a try before that would outlast its close:
	// one to ourselves ends at once.
	_ = svc.DirectConnect(p.m.host.ID())
	p.mu.Lock()
	p.svc = svc
	p.mu.Unlock()
}

// close ends the service; who tries has been told by the mesh's context.
func (p *puncher) close() {
	p.mu.Lock()
	svc := p.svc
	p.mu.Unlock()
	if svc != nil {
		_ = svc.Close()
	}
}

// again lets who tries go on at once, with one peer or, with "", with all; where
// nobody tries and only a relayed link that came to us exists, somebody begins.
func (p *puncher) again(id peer.ID) {
	peers := []peer.ID{id}
	if id == "" {
		peers = p.m.host.Network().Peers()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.svc == nil || p.m.ctx.Err() != nil {
		return
	}
	for _, id := range peers {
		if nudge, trying := p.tries[id]; trying {
			select {
			case nudge <- struct{}{}:
			default:
			}
		} else if p.m.relayedOnly(id) && len(p.tries) < maxPunches {
			nudge := make(chan struct{}, 1)
			p.tries[id] = nudge
			p.m.wg.Go(func() { p.try(id, nudge) })
		}
	}
}

// relayedOnly tells whether there is nothing but relayed links with a peer, one
// of which the peer has made: then it is on us to begin (DCUtR).
func (m *Mesh) relayedOnly(id peer.ID) bool {
	return !m.straight(id) && slices.ContainsFunc(m.links(id), func(c network.Conn) bool {
		return c.Stat().Direction == network.DirInbound
	})
}

// try goes on until there is a direct link or the relayed one is gone, with
// growing waits; once addresses were exchanged in vain punchRounds times, only a
// new address or link is a reason.
func (p *puncher) try(id peer.ID, nudge <-chan struct{}) {
	defer func() {
		p.mu.Lock()
		delete(p.tries, id)
		p.mu.Unlock()
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for wait, rounds := punchFirst, 0; ; {
		select {
		case <-p.m.ctx.Done():
			return
		case <-timer.C:
		case <-nudge:
			wait = punchFirst
		}
		if !p.m.relayedOnly(id) {
			return
		}
		err := p.svc.DirectConnect(id)
		if err == nil || p.m.ctx.Err() != nil {
			return
		}
		p.m.log.Debug("mesh: no direct way yet", "err", err)
		// It gives no kinds of errors. Others mean that no address was tried.
		if strings.Contains(err.Error(), "all retries") {
			if rounds++; rounds == punchRounds {
				return
			}
		} else {
			p.note(id, clip(err.Error()))
		}
		timer.Reset(wait)
		wait = min(2*wait, punchMost)
	}
}

func (p *puncher) note(id peer.ID, why string) {
	p.mu.Lock()
	if p.m.linked(id) {
		p.why[id] = why
	}
	p.mu.Unlock()
}

// protocols hears that a peer speaks more than when it was linked.
func (p *puncher) protocols(id peer.ID, added []protocol.ID) {
	if slices.Contains(added, holepunch.Protocol) {
		p.again(id)
	}
}

// leaveRelay closes relayed links to a peer that a direct one has made needless:
// what runs over them may end first.
func (m *Mesh) leaveRelay(id peer.ID) {
	if !m.straight(id) || !slices.ContainsFunc(m.links(id), func(c network.Conn) bool { return relayed(c.RemoteMultiaddr()) }) {
		return
	}
	m.wg.Go(func() {
		ctx, cancel := context.WithTimeout(m.ctx, relayLinger)
		defer cancel()
		<-ctx.Done()
		for _, c := range m.links(id) {
			if m.straight(id) && relayed(c.RemoteMultiaddr()) {
				_ = c.Close()
			}
		}
	})
}
