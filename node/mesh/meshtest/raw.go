package meshtest

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"

	"mutuals/identity/wire"
)

// Raw is a peer that keeps none of our rules: bytes instead of frames, as many
// streams as it likes, no bounds of its own. It is what a hostile peer has.
type Raw struct {
	host host.Host
	key  wire.PeerKey
}

// NewRaw starts a hostile peer on loopback; it answers nothing.
func NewRaw(key ed25519.PrivateKey) (*Raw, error) {
	k, err := crypto.UnmarshalEd25519PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("reading the key of a raw peer: %w", err)
	}
	h, err := libp2p.New(libp2p.Identity(k), libp2p.NoListenAddrs, libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.ResourceManager(&network.NullResourceManager{}))
	if err != nil {
		return nil, fmt.Errorf("starting a raw peer: %w", err)
	}
	return &Raw{host: h, key: wire.PeerKey(key.Public().(ed25519.PublicKey))}, nil
}

// Key is what others know the peer by.
func (r *Raw) Key() wire.PeerKey { return r.key }

// Connect links to a device at its addresses (Mesh.Bound).
func (r *Raw) Connect(ctx context.Context, to wire.PeerKey, addrs []string) error {
	id, err := idOf(to)
	if err != nil {
		return err
	}
	info := peer.AddrInfo{ID: id}
	for _, a := range addrs {
		m, err := ma.NewMultiaddr(a)
		if err != nil {
			return fmt.Errorf("reading an address: %w", err)
		}
		info.Addrs = append(info.Addrs, m)
	}
	return r.host.Connect(ctx, info)
}

// Open opens a stream of bytes to a linked device.
func (r *Raw) Open(ctx context.Context, to wire.PeerKey, proto string) (network.Stream, error) {
	id, err := idOf(to)
	if err != nil {
		return nil, err
	}
	return r.host.NewStream(ctx, id, protocol.ID(proto))
}

// Linked tells whether there is a link to a device.
func (r *Raw) Linked(to wire.PeerKey) bool {
	id, err := idOf(to)
	return err == nil && r.host.Network().Connectedness(id) == network.Connected
}

// Close ends the peer.
func (r *Raw) Close() { r.host.Close() }

func idOf(k wire.PeerKey) (peer.ID, error) {
	pub, err := crypto.UnmarshalEd25519PublicKey(k[:])
	if err != nil {
		return "", err
	}
	return peer.IDFromPublicKey(pub)
}

// Record returns a signed peer record of a peer that may not exist.
func Record(key ed25519.PrivateKey, addr string) ([]byte, error) {
	k, err := crypto.UnmarshalEd25519PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("reading the key of a record: %w", err)
	}
	id, err := peer.IDFromPrivateKey(k)
	if err != nil {
		return nil, err
	}
	m, err := ma.NewMultiaddr(addr)
	if err != nil {
		return nil, err
	}
	env, err := record.Seal(peer.PeerRecordFromAddrInfo(peer.AddrInfo{ID: id, Addrs: []ma.Multiaddr{m}}), k)
	if err != nil {
		return nil, err
	}
	return env.Marshal()
}
