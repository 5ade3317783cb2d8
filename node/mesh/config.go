package mesh

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"

	"github.com/libp2p/go-libp2p"
	ma "github.com/multiformats/go-multiaddr"

	"mutuals/identity/wire"
)

// Config says how a device stands in the network. Only Key is needed; a zero
// value elsewhere is the sane choice.
type Config struct {
	// Key is the device's peer key; its public half is the peer's name.
	Key ed25519.PrivateKey
	// Listen holds multiaddrs without /p2p, such as "/ip4/0.0.0.0/tcp/4101".
	// Port 0 lets the system choose: read Mesh.Bound and pass that next
	// time, or hints handed out today are stale tomorrow. Empty means every
	// interface, QUIC and TCP, port 0.
	Listen []string
	// MDNS announces the device on the local network and looks for others. It
	// shows the stable peer key to the LAN, hence a setting and off by default.
	MDNS bool
	// Relay says whether relays are used. Other than RelayOff it also lets two
	// devices behind address translation find a direct way (DCUtR).
	Relay Relaying
	// Relays are addresses with /p2p of peers to have as relays: held linked,
	// asked first, and with RelayOnly the only peers that are dialled directly.
	Relays []string
	// RelayBy tells whether a linked peer that offers to relay may be a relay of
	// ours: it learns who dials us. Nil: only those of Relays.
	RelayBy func(wire.PeerKey) bool
	// RelayFor, if not nil, serves as a relay for others.
	RelayFor *RelayService
	// MapPorts asks the router to let others in on the ports listened on (UPnP,
	// NAT-PMP), and Probe asks linked peers whether they can dial us (AutoNAT
	// v2). Neither does anything with RelayOnly.
	MapPorts, Probe bool
	// DHT says by which directory devices without each other's addresses find each
	// other ([Mesh.Publish], [Mesh.Find]).
	DHT DHTMode
	// DHTServe keeps the records of others in the private directory: for harbors.
	// A device that others can dial (Reachable) does so too.
	DHTServe bool
	// DHTPeers gives addresses with /p2p of peers that may keep the directory, or
	// carry the lobby, to begin with, besides linked ones and Relays. It may be nil.
	DHTPeers func() []string
	// Lobby judges what is said on a topic of the lobby, by the topic's name alone:
	// what it rejects no honest peer passes on. It must not block. Nil: this device
	// takes no part ([Mesh.EnterLobby]). Who has DHTServe, serves as a relay, or can
	// be dialled by others carries topics for whoever is linked.
	Lobby func(topic [32]byte, frame []byte) Verdict
	// Log receives a few lines a session, never content or addresses at info.
	// Nil discards.
	Log *slog.Logger
	// OnPeer is told when a peer has been identified and when its last link is
	// gone, in turn for each peer, from one goroutine: it must not block.
	OnPeer func(peer wire.PeerKey, connected bool)
	// OnAbsent is told when a kept peer could not be dialled. It must not block.
	OnAbsent func(peer wire.PeerKey)
	// OnAddrs is told when this device's own addresses have changed, or who can
	// reach them. It must not block.
	OnAddrs func()

	// GatesOff switches gates off. Tests only: each gate is there because of
	// an attack that only it stops, and a test shows the attack.
	GatesOff Gates
	// HostOptions replace transports and resource manager. Tests only: package
	// meshtest puts a simulated network here.
	HostOptions []libp2p.Option
}

// Gates is a set of gates.
type Gates uint8

// The four gates (see the package comment).
const (
	GateProtocols Gates = 1 << iota
	GateSubscriptions
	GateValidator
	GateRemoval
)

func (c Config) open(g Gates) bool { return c.GatesOff&g != 0 }

// Validate returns nil iff New can use c; the error names the field.
func (c Config) Validate() error {
	if len(c.Key) != ed25519.PrivateKeySize {
		return fmt.Errorf("config: key has %d bytes, want %d", len(c.Key), ed25519.PrivateKeySize)
	}
	if _, err := readRelays(c.Relays); err != nil {
		return err
	}
	if c.Relay == RelayOnly && len(c.Relays) == 0 {
		return errors.New("config: relay only, but no relay is named")
	}
	for _, l := range c.Listen {
		if _, err := ma.NewMultiaddr(l); err != nil {
			return fmt.Errorf("config: listen %q: %w", l, err)
		}
	}
	return nil
}

// everywhere is where a device listens if nothing else is said.
func everywhere() []string {
	return []string{
		"/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0",
		"/ip6/::/udp/0/quic-v1", "/ip6/::/tcp/0",
	}
}
