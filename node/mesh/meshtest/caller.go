package meshtest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"mutuals/identity/wire"
	"mutuals/node/mesh"
)

// Caller is the cheapest peer there is: one link, made by hand over TCP, Noise
// and yamux, with a key of its own, from a chosen address. It answers nothing
// that is asked of it, not even what protocols it speaks. A thousand of them cost
// a second.
type Caller struct {
	key  wire.PeerKey
	link transport.CapableConn
}

// Call links to a device at one of its addresses (Mesh.Bound), over TCP, from a
// loopback address such as "127.0.5.9" or, if from is empty, any. The key may be
// nil: then it is a new one.
func Call(ctx context.Context, key ed25519.PrivateKey, from string, to wire.PeerKey, addr string) (*Caller, error) {
	if key == nil {
		var err error
		if _, key, err = ed25519.GenerateKey(rand.Reader); err != nil {
			return nil, err
		}
	}
	priv, err := crypto.UnmarshalEd25519PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("reading the key of a caller: %w", err)
	}
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}}
	secure, err := noise.New(noise.ID, priv, muxers)
	if err != nil {
		return nil, err
	}
	up, err := upgrader.New([]sec.SecureTransport{secure}, muxers, nil, &network.NullResourceManager{}, nil)
	if err != nil {
		return nil, err
	}
	m, err := ma.NewMultiaddr(addr)
	if err != nil {
		return nil, fmt.Errorf("reading an address: %w", err)
	}
	_, host, err := manet.DialArgs(m)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	line, err := dialer.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, fmt.Errorf("calling: %w", err)
	}
	conn, err := manet.WrapNetConn(line)
	if err != nil {
		line.Close()
		return nil, err
	}
	id, err := idOf(to)
	if err != nil {
		line.Close()
		return nil, err
	}
	c := &Caller{key: wire.PeerKey(key.Public().(ed25519.PublicKey))}
	if c.link, err = up.Upgrade(ctx, nil, conn, network.DirOutbound, id, &network.NullScope{}); err != nil {
		line.Close()
		return nil, fmt.Errorf("shaking hands: %w", err)
	}
	return c, nil
}

// Key is what others know the caller by.
func (c *Caller) Key() wire.PeerKey { return c.key }

// Open opens a stream; with a protocol it names that and waits for the answer,
// without one it says nothing.
func (c *Caller) Open(ctx context.Context, proto string) (network.MuxedStream, error) {
	s, err := c.link.OpenStream(ctx)
	if err != nil || proto == "" {
		return s, err
	}
	if d, ok := ctx.Deadline(); ok {
		_ = s.SetDeadline(d)
	}
	// multistream-select by hand: both sides say its name, then the protocol's.
	hello := mesh.AppendFrame(nil, []byte("/multistream/1.0.0\n"))
	named := mesh.AppendFrame(hello, []byte(proto+"\n"))
	if _, err := s.Write(named); err != nil {
		_ = s.Reset()
		return nil, fmt.Errorf("naming %s: %w", proto, err)
	}
	answer := make([]byte, len(named))
	if _, err := io.ReadFull(s, answer); err != nil || string(answer) != string(named) {
		_ = s.Reset()
		return nil, fmt.Errorf("naming %s: answered %q, %w", proto, answer, err)
	}
	return s, nil
}

// Linked tells whether the link still stands.
func (c *Caller) Linked() bool { return !c.link.IsClosed() }

// Close ends the link.
func (c *Caller) Close() { _ = c.link.Close() }
