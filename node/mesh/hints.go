package mesh

import (
	"slices"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// kind is what an own address is good for, the best first.
type kind uint8

const (
	kindOpen    kind = iota // public, and others got through or the interface has it
	kindCircuit             // at a relay
	kindLAN
	kindGuess // public, but what a router shows of us: nobody got through yet
	kindHere  // this machine only
	kinds
)

// Hints returns at most n own addresses, with /p2p, for somebody who will dial
// later and knows nothing but these: one of each kind before a second of any, so
// that one from elsewhere and one from the same network both find a way.
func (m *Mesh) Hints(n int) []string {
	ifaces, _ := manet.InterfaceMultiaddrs() // without them what is public is a guess
	m.relays.mu.Lock()
	reached := m.relays.reached
	m.relays.mu.Unlock()
	var by [kinds][]string
	for _, a := range byReach(m.host.Addrs()) {
		k := addrKind(a, reached, ifaces)
		by[k] = append(by[k], a.String()+"/p2p/"+m.host.ID().String())
	}
	var out []string
	for round := 0; len(out) < n; round++ {
		before := len(out)
		for _, addrs := range by {
			if round < len(addrs) && len(out) < n {
				out = append(out, addrs[round])
			}
		}
		if len(out) == before {
			break
		}
	}
	return out
}

// addrKind judges an own address by those others reached and by the interfaces.
func addrKind(a ma.Multiaddr, reached, ifaces []ma.Multiaddr) kind {
	switch {
	case relayed(a):
		return kindCircuit
	case reachOf(a) == ReachLoopback:
		return kindHere
	case reachOf(a) == ReachLAN:
		return kindLAN
	}
	if slices.ContainsFunc(reached, a.Equal) {
		return kindOpen
	}
	ip, err := manet.ToIP(a)
	if err == nil && slices.ContainsFunc(ifaces, func(i ma.Multiaddr) bool {
		own, err := manet.ToIP(i)
		return err == nil && own.Equal(ip)
	}) {
		return kindOpen
	}
	return kindGuess
}
