package mesh

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	ma "github.com/multiformats/go-multiaddr"

	"mutuals/identity/wire"
)

// Relaying says how a device uses relays: peers that pass on, unread, what two
// devices say that cannot reach each other.
type Relaying uint8

// The ways. With RelayAuto a device asks linked peers that offer it for a place
// unless it is known to be reachable, and leaves the relay for a direct link
// where one can be had. With RelayOnly it listens nowhere, tells no address but
// a relay's, and dials nobody but the relays named in Config.Relays.
const (
	RelayOff Relaying = iota
	RelayAuto
	RelayOnly
)

// reservation is a place at a relay, while it lasts.
type reservation struct {
	until time.Time
	addrs []ma.Multiaddr // of this device through that relay, without /p2p of this device
}

// relays keeps places at relays. libp2p's own keeper waits for AutoNAT's word,
// 17 s after a start, before it asks; a place that turns out not to be needed
// costs one exchange an hour, so here it is asked for at once.
type relays struct {
	m    *Mesh
	bell chan struct{} // capacity one: look again

	mu     sync.Mutex
	places map[peer.ID]reservation
	// failed is when a relay said no, and what; it is not asked again before
	// relayPause is over.
	failed map[peer.ID]refusal
	// reached are own addresses that others have confirmed, from afar.
	reached []ma.Multiaddr
	ruled   bool // somebody has looked
	punched map[peer.ID]bool
}

type refusal struct {
	at  time.Time
	why error
}

func newRelays(m *Mesh) *relays {
	return &relays{m: m, bell: make(chan struct{}, 1), places: map[peer.ID]reservation{},
		failed: map[peer.ID]refusal{}, punched: map[peer.ID]bool{}}
}

func (r *relays) ring() {
	select {
	case r.bell <- struct{}{}:
	default:
	}
}

// LookForRelays looks anew at whom to have as a relay: for a caller whose answer
// in Config.RelayBy has changed.
func (m *Mesh) LookForRelays() { m.relays.ring() }

// keep asks for places and renews them until the mesh closes.
func (r *relays) keep() {
	timer := time.NewTimer(relayLook)
	defer timer.Stop()
	for {
		select {
		case <-r.m.ctx.Done():
			return
		case <-timer.C:
		case <-r.bell:
		}
		if r.look(time.Now()) && r.m.cfg.OnAddrs != nil {
			r.m.cfg.OnAddrs()
		}
		timer.Reset(relayLook)
	}
}

// look drops places that are lost or not needed, and asks for those that lack;
// it tells whether anything changed.
func (r *relays) look(now time.Time) bool {
	changed := false
	r.mu.Lock()
	enough := len(r.reached) > 0 && r.m.cfg.Relay != RelayOnly
	for id, p := range r.places {
		if enough || now.After(p.until) || !r.m.straight(id) {
			delete(r.places, id)
			changed = true
		}
	}
	for id, f := range r.failed {
		if now.Sub(f.at) > relayPause && !r.m.linked(id) {
			delete(r.failed, id)
		}
	}
	have := len(r.places)
	var ask []peer.ID
	for id, p := range r.places {
		if p.until.Sub(now) < relayRenew {
			ask = append(ask, id)
		}
	}
	r.mu.Unlock()
	if !enough {
		for _, id := range r.offering() {
			if have == relayPlaces {
				break
			}
			if !r.tooSoon(id, now) && !r.has(id) {
				ask = append(ask, id)
				have++
			}
		}
	}
	for _, id := range ask {
		changed = r.reserve(id) || changed
	}
	return changed
}

func (r *relays) has(id peer.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, has := r.places[id]
	return has
}

func (r *relays) tooSoon(id peer.ID, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, failed := r.failed[id]
	return failed && now.Sub(f.at) < relayPause
}

// offering lists the linked peers that relay and that the caller would have as
// relays: those it named first.
func (r *relays) offering() []peer.ID {
	var named, out []peer.ID
	for _, id := range r.m.host.Network().Peers() {
		protos, err := r.m.host.Peerstore().SupportsProtocols(id, circuit.ProtoIDv2Hop)
		key, ok := keyOf(id)
		switch {
		case err != nil || len(protos) == 0 || !ok || !r.m.straight(id):
		case r.m.named(id):
			named = append(named, id)
		case r.m.cfg.Relay != RelayOnly && r.m.cfg.RelayBy != nil && r.m.cfg.RelayBy(key):
			out = append(out, id)
		}
	}
	slices.Sort(named)
	slices.Sort(out)
	return append(named, out...)
}

// reserve asks one relay for a place.
func (r *relays) reserve(id peer.ID) bool {
	ctx, cancel := context.WithTimeout(r.m.ctx, relayAsk)
	defer cancel()
	got, err := client.Reserve(ctx, r.m.host, peer.AddrInfo{ID: id})
	if r.m.ctx.Err() != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		key, _ := keyOf(id)
		r.m.log.Debug("mesh: a relay gave no place", "relay", key.Short(), "err", err)
		if len(r.failed) < maxRefusals {
			r.failed[id] = refusal{time.Now(), err}
		}
		return false
	}
	delete(r.failed, id)
	p := reservation{until: got.Expiration, addrs: r.through(id)}
	old, had := r.places[id]
	r.places[id] = p
	return !had || !slices.EqualFunc(old.addrs, p.addrs, ma.Multiaddr.Equal)
}

// through gives this device's addresses at a relay: one over each transport,
// farthest reaching first.
func (r *relays) through(id peer.ID) []ma.Multiaddr {
	suffix := ma.StringCast("/p2p/" + id.String() + "/p2p-circuit")
	var out []ma.Multiaddr
	quic, tcp := false, false
	for _, a := range byReach(r.m.host.Peerstore().Addrs(id)) {
		_, udp := a.ValueForProtocol(ma.P_UDP)
		if relayed(a) || udp == nil && quic || udp != nil && tcp {
			continue
		}
		if udp == nil {
			quic = true
		} else {
			tcp = true
		}
		out = append(out, a.Encapsulate(suffix))
	}
	return out
}

// addrs lists this device's addresses at relays, in a fixed order.
func (r *relays) addrs() []ma.Multiaddr {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := make([]peer.ID, 0, len(r.places))
	for id := range r.places {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var out []ma.Multiaddr
	for _, id := range ids {
		out = append(out, r.places[id].addrs...)
	}
	return out
}

// RelayState is one relay as this device sees it.
type RelayState struct {
	Relay wire.PeerKey
	Until time.Time // how long the place lasts; zero: there is none
	Why   string    // why the last request for a place failed
}

// Relays lists the relays that gave a place or refused one.
func (m *Mesh) Relays() []RelayState {
	r := m.relays
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []RelayState
	for id, p := range r.places {
		key, _ := keyOf(id)
		out = append(out, RelayState{Relay: key, Until: p.until})
	}
	for id, f := range r.failed {
		key, _ := keyOf(id)
		out = append(out, RelayState{Relay: key, Why: f.why.Error()})
	}
	slices.SortFunc(out, func(a, b RelayState) int { return slices.Compare(a.Relay[:], b.Relay[:]) })
	return out
}

// Reachable tells whether others could dial this device at a public address;
// known is false until somebody has tried.
func (m *Mesh) Reachable() (yes, known bool) {
	m.relays.mu.Lock()
	defer m.relays.mu.Unlock()
	return len(m.relays.reached) > 0, m.relays.ruled
}

// reachable notes what AutoNAT has found out.
func (r *relays) reachable(yes, no []ma.Multiaddr) {
	r.mu.Lock()
	r.reached, r.ruled = yes, len(yes)+len(no) > 0
	r.mu.Unlock()
	r.ring()
}

// relayed tells whether an address goes through a relay.
func relayed(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_CIRCUIT)
	return err == nil
}

// straight tells whether there is a link to a peer that no relay carries.
func (m *Mesh) straight(id peer.ID) bool {
	for _, c := range m.links(id) {
		if !relayed(c.RemoteMultiaddr()) {
			return true
		}
	}
	return false
}

// named tells whether the configuration names a peer as a relay.
func (m *Mesh) named(id peer.ID) bool { _, ok := m.relayAddrs[id]; return ok }

// readRelays reads Config.Relays.
func readRelays(texts []string) (map[peer.ID][]string, error) {
	out := map[peer.ID][]string{}
	for _, t := range texts {
		key, addr, err := ParseAddr(t)
		if err != nil {
			return nil, fmt.Errorf("config: relay: %w", err)
		}
		out[idOf(key)] = append(out[idOf(key)], addr)
	}
	return out, nil
}
