package mesh

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"mutuals/identity/wire"
)

// ErrBadAddr means that a text is no address a peer can be dialled at.
var ErrBadAddr = errors.New("not a peer address")

// A libp2p peer id of an Ed25519 key is an identity multihash of its protobuf,
// so key and id are the same 32 bytes behind a fixed prefix.
const idPrefix = "\x00\x24\x08\x01\x12\x20"

func idOf(k wire.PeerKey) peer.ID { return peer.ID(idPrefix + string(k[:])) }

// keyOf returns false for a peer that has no Ed25519 identity.
func keyOf(id peer.ID) (wire.PeerKey, bool) {
	s := string(id)
	if len(s) != len(idPrefix)+32 || !strings.HasPrefix(s, idPrefix) {
		return wire.PeerKey{}, false
	}
	return wire.PeerKey([]byte(s[len(idPrefix):])), true
}

// ParseAddr splits "/ip4/192.0.2.1/tcp/4101/p2p/12D3Koo…" into the peer's key
// and the address in front of it. The error wraps ErrBadAddr.
func ParseAddr(text string) (wire.PeerKey, string, error) {
	bad := func() (wire.PeerKey, string, error) {
		return wire.PeerKey{}, "", fmt.Errorf("%w: %q", ErrBadAddr, clip(text))
	}
	m, err := ma.NewMultiaddr(text)
	if err != nil {
		return bad()
	}
	front, id := peer.SplitAddr(m)
	key, ok := keyOf(id)
	if !ok || len(front) == 0 {
		return bad()
	}
	return key, front.String(), nil
}

// FullAddr puts peer behind addr: the inverse of ParseAddr, and what makes an
// invites hint (an address and a key) dialable. An addr that already names a
// peer must name this one. The error wraps ErrBadAddr.
func FullAddr(peer wire.PeerKey, addr string) (string, error) {
	m, err := dialable(peer, addr)
	if err != nil {
		return "", err
	}
	return m.String() + "/p2p/" + idOf(peer).String(), nil
}

// dialable parses addr, with or without /p2p, as an address of peer.
func dialable(key wire.PeerKey, addr string) (ma.Multiaddr, error) {
	m, err := ma.NewMultiaddr(addr)
	if err != nil {
		return nil, fmt.Errorf("%w: %q", ErrBadAddr, clip(addr))
	}
	front, id := peer.SplitAddr(m)
	if len(front) == 0 || id != "" && id != idOf(key) {
		return nil, fmt.Errorf("%w: %q", ErrBadAddr, clip(addr))
	}
	return front, nil
}

// SplitCircuit splits "/ip4/192.0.2.1/tcp/4101/p2p/12D3Koo…/p2p-circuit", an
// address of somebody at a relay, into where the relay is and who it is.
func SplitCircuit(addr string) (at string, relay wire.PeerKey, ok bool) {
	front, circuit := strings.CutSuffix(addr, "/p2p-circuit")
	if !circuit {
		return "", relay, false
	}
	relay, at, err := ParseAddr(front)
	return at, relay, err == nil
}

// CircuitAddr is the reverse of SplitCircuit. The error wraps ErrBadAddr.
func CircuitAddr(at string, relay wire.PeerKey) (string, error) {
	full, err := FullAddr(relay, at)
	return full + "/p2p-circuit", err
}

// addrInfo keeps the addresses that can be read, at most maxAddrs.
func addrInfo(key wire.PeerKey, addrs []string) peer.AddrInfo {
	info := peer.AddrInfo{ID: idOf(key)}
	for _, a := range addrs {
		if m, err := dialable(key, a); err == nil && len(info.Addrs) < maxAddrs {
			info.Addrs = append(info.Addrs, m)
		}
	}
	return info
}

// Reach says from where an address can be dialled.
type Reach uint8

// Reaches: the greater, the farther.
const (
	ReachLoopback Reach = iota // from the same machine
	ReachLAN                   // from the same network
	ReachPublic                // from anywhere
)

// ReachOf tells the reach of an address text; a name counts as public, what
// cannot be read as loopback.
func ReachOf(addr string) Reach {
	m, err := ma.NewMultiaddr(addr)
	if err != nil {
		return ReachLoopback
	}
	return reachOf(m)
}

func reachOf(m ma.Multiaddr) Reach {
	ip, err := manet.ToIP(m)
	switch {
	case err != nil:
		return ReachPublic
	case manet.IsIPLoopback(m) || ip.IsUnspecified() || isLinkLocal(ip):
		return ReachLoopback
	case manet.IsPublicAddr(m):
		return ReachPublic
	default:
		return ReachLAN
	}
}

// isLinkLocal: fe80::/10 needs a zone, which no other machine shares.
func isLinkLocal(ip net.IP) bool { return ip.To4() == nil && ip.IsLinkLocalUnicast() }

// byReach sorts addresses best first and drops what reaches this machine only
// if there is anything better.
func byReach(ms []ma.Multiaddr) []ma.Multiaddr {
	out := slices.Clone(ms)
	slices.SortStableFunc(out, func(a, b ma.Multiaddr) int { return int(reachOf(b)) - int(reachOf(a)) })
	if len(out) > 0 && reachOf(out[0]) > ReachLoopback {
		out = slices.DeleteFunc(out, func(m ma.Multiaddr) bool { return reachOf(m) == ReachLoopback })
	}
	return out[:min(len(out), maxAddrs)]
}

// clip keeps a quoted offending value short.
func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}
