package invites

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	W "mutuals/identity/wire"
)

// ErrBadHint means that an address may not stand in a passcode or card.
var ErrBadHint = errors.New("not an allowed address")

// Hint is where somebody may be reached: an address and the peer key that
// must answer there. Which hints a device dials (loopback, private ranges,
// relays only) is the mesh's rule; here only the form is judged.
type Hint struct {
	// Addr is a multiaddr without its peer, as the mesh writes it:
	// /ip4|ip6/ADDRESS/tcp/PORT[/ws] or …/udp/PORT/quic-v1. With a relay it is
	// the relay's.
	Addr string
	// Peer is the device sought.
	Peer W.PeerKey
	// Relay is the peer key of the relay to go through; zero: go straight.
	Relay W.PeerKey
}

// Circuit tells whether the hint goes through a relay.
func (h Hint) Circuit() bool { return h.Relay != W.PeerKey{} }

// A hint's first byte (SPEC.md V5). Other bits and transport 3 are refused.
const (
	hintTCP       = 0
	hintQUIC      = 1
	hintWS        = 2
	hintTransport = 3
	hintIP6       = 1 << 2
	hintCircuit   = 1 << 3
	hintSamePeer  = 1 << 4 // only in a passcode's list: the key of the hint before
	hintKnown     = hintTransport | hintIP6 | hintCircuit
)

// PackHint returns a hint's bytes; the error wraps ErrBadHint.
func PackHint(h Hint) ([]byte, error) {
	bad := func(why string) ([]byte, error) {
		return nil, fmt.Errorf("%w: %q: %s", ErrBadHint, h.Addr, why)
	}
	if len(h.Addr) > 100 {
		return nil, fmt.Errorf("%w: longer than any address", ErrBadHint)
	}
	parts := strings.Split(h.Addr, "/")
	if len(parts) < 5 || parts[0] != "" {
		return bad("not /ip4 or /ip6 with a port")
	}
	ip, err := netip.ParseAddr(parts[2])
	if err != nil || parts[1] == "ip4" != ip.Is4() || parts[1] != "ip4" && parts[1] != "ip6" {
		return bad("not an ip4 or ip6 address")
	}
	if why := badIP(ip); why != "" {
		return bad(why)
	}
	port, err := strconv.ParseUint(parts[4], 10, 16)
	if err != nil || port == 0 || strconv.FormatUint(port, 10) != parts[4] {
		return bad("not a port")
	}
	var tag byte
	switch parts[3] + "/" + strings.Join(parts[5:], "/") {
	case "tcp/":
		tag = hintTCP
	case "udp/quic-v1":
		tag = hintQUIC
	case "tcp/ws":
		tag = hintWS
	default:
		return bad("neither tcp, quic-v1 nor ws")
	}
	if ip.Is6() {
		tag |= hintIP6
	}
	if h.Circuit() {
		tag |= hintCircuit
	}
	b := append([]byte{tag}, ip.AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, uint16(port))
	if h.Circuit() {
		b = append(b, h.Relay[:]...)
	}
	b = append(b, h.Peer[:]...)
	if _, err := UnpackHint(b); err != nil { // the keys, and text that is not the one way to write it
		return nil, err
	}
	if got := addrText(tag, ip, uint16(port)); got != h.Addr {
		return bad("written otherwise: " + got)
	}
	return b, nil
}

// UnpackHint reads a packed hint; the error wraps ErrBadHint.
func UnpackHint(b []byte) (Hint, error) {
	h, rest, ok := cutHint(b, nil)
	if !ok || len(rest) > 0 {
		return Hint{}, fmt.Errorf("%w: %d packed bytes", ErrBadHint, len(b))
	}
	return h.hint()
}

// packed is a hint in its parts, peer key always there.
type packed struct {
	tag         byte
	ip          netip.Addr
	port        uint16
	relay, peer []byte
}

// cutHint splits the first hint off b. before is the peer key of the hint
// before it in a list; nil: there is none.
func cutHint(b, before []byte) (h packed, rest []byte, ok bool) {
	if len(b) == 0 {
		return h, nil, false
	}
	h.tag, rest = b[0], b[1:]
	same := h.tag&hintSamePeer != 0
	h.tag &^= hintSamePeer
	if h.tag&^hintKnown != 0 || h.tag&hintTransport == hintTransport || same && before == nil {
		return h, nil, false
	}
	take := func(n int) []byte {
		if len(rest) < n {
			rest = nil
			return nil
		}
		part := rest[:n]
		rest = rest[n:]
		return part
	}
	size := 4
	if h.tag&hintIP6 != 0 {
		size = 16
	}
	ip, valid := netip.AddrFromSlice(take(size))
	port := take(2)
	if !valid || port == nil {
		return h, nil, false
	}
	h.ip, h.port = ip, binary.BigEndian.Uint16(port)
	if h.tag&hintCircuit != 0 {
		if h.relay = take(32); h.relay == nil {
			return h, nil, false
		}
	}
	if same {
		h.peer = before
		return h, rest, true
	}
	h.peer = take(32)
	return h, rest, h.peer != nil && !bytes.Equal(h.peer, before)
}

// hint judges the parts.
func (p packed) hint() (Hint, error) {
	if why := badIP(p.ip); why != "" {
		return Hint{}, fmt.Errorf("%w: %q: %s", ErrBadHint, p.ip, why)
	}
	if p.port == 0 {
		return Hint{}, fmt.Errorf("%w: port 0", ErrBadHint)
	}
	h := Hint{Addr: addrText(p.tag, p.ip, p.port), Peer: W.PeerKey(p.peer)}
	if W.ValidKey(h.Peer) != nil {
		return Hint{}, fmt.Errorf("%w: its peer key is none", ErrBadHint)
	}
	if p.relay != nil {
		h.Relay = W.PeerKey(p.relay)
		if W.ValidKey(h.Relay) != nil || h.Relay == h.Peer {
			return Hint{}, fmt.Errorf("%w: its relay's key is none", ErrBadHint)
		}
	}
	return h, nil
}

// bytes packs the parts again.
func (p packed) bytes() []byte {
	b := append([]byte{p.tag}, p.ip.AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, p.port)
	b = append(b, p.relay...)
	return append(b, p.peer...)
}

// badIP says why no hint may name ip; "" if it may.
func badIP(ip netip.Addr) string {
	switch {
	case ip.Zone() != "":
		return "with a zone"
	case ip.Is4In6():
		return "an ip4 address as ip6"
	case ip.IsUnspecified():
		return "unspecified"
	case ip.IsMulticast():
		return "multicast"
	case ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "broadcast"
	}
	return ""
}

func addrText(tag byte, ip netip.Addr, port uint16) string {
	family := "/ip4/"
	if ip.Is6() {
		family = "/ip6/"
	}
	head, p := family+ip.String(), strconv.Itoa(int(port))
	switch tag & hintTransport {
	case hintQUIC:
		return head + "/udp/" + p + "/quic-v1"
	case hintWS:
		return head + "/tcp/" + p + "/ws"
	}
	return head + "/tcp/" + p
}

// joinHints writes a passcode's list: a hint to the same peer as the one
// before it leaves the key out.
func joinHints(hints [][]byte) []byte {
	var out, before []byte
	for _, b := range hints {
		h, rest, ok := cutHint(b, nil)
		if !ok || len(rest) > 0 {
			panic("internal error: encoding a passcode with a bad hint")
		}
		if bytes.Equal(h.peer, before) {
			out = append(out, b[0]|hintSamePeer)
			out = append(out, b[1:len(b)-32]...)
		} else {
			out = append(out, b...)
		}
		before = h.peer
	}
	return out
}

// splitHints is the reverse of joinHints; false on anything joinHints does
// not write.
func splitHints(b []byte) ([][]byte, bool) {
	var hints [][]byte
	var before []byte
	for len(b) > 0 {
		h, rest, ok := cutHint(b, before)
		if !ok || len(hints) == MaxHints {
			return nil, false
		}
		if _, err := h.hint(); err != nil {
			return nil, false
		}
		hints = append(hints, h.bytes())
		before, b = h.peer, rest
	}
	return hints, true
}

// WithoutPeer shortens a packed hint for a text that names its peer beside the
// hints, as a link code does (SPEC.md V5, identity/SPEC.md I22). The error
// wraps ErrBadHint.
func WithoutPeer(hint []byte, peer W.PeerKey) ([]byte, error) {
	if h, err := UnpackHint(hint); err != nil || h.Peer != peer {
		return nil, fmt.Errorf("%w: %d packed bytes of another peer", ErrBadHint, len(hint))
	}
	short := bytes.Clone(hint[:len(hint)-len(peer)])
	short[0] |= hintSamePeer
	return short, nil
}

// WithPeer is the reverse of WithoutPeer; the error wraps ErrBadHint.
func WithPeer(short []byte, peer W.PeerKey) (Hint, error) {
	h, rest, ok := cutHint(short, peer[:])
	if !ok || len(rest) > 0 || short[0]&hintSamePeer == 0 {
		return Hint{}, fmt.Errorf("%w: %d packed bytes without a peer", ErrBadHint, len(short))
	}
	return h.hint()
}
