package meshtest

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/marcopolo/simnet"
	"github.com/quic-go/quic-go"
	"go.uber.org/fx"

	"mutuals/identity/wire"
	"mutuals/node/mesh"
)

// Link is what every node's line is like. Zero values are the defaults.
type Link struct {
	Latency time.Duration // one way; 20 ms
	Jitter  time.Duration // added to it at random; 0
	Down    int           // bits a second; 50 Mbit
	Up      int           // bits a second; 10 Mbit
	Seed    uint64        // of jitter and loss; a run is repeated with its seed
}

// Net is a simulated network. Its methods may be called from any goroutine.
type Net struct {
	sim  *simnet.Simnet
	link Link

	mu    sync.Mutex
	rand  *rand.Rand
	next  int
	ips   map[wire.PeerKey]string
	sides map[string]int // by ip; without an entry a node hears everybody
	loss  float64

	sent atomic.Int64 // bytes, by all
}

// NewNet starts an empty network.
func NewNet(l Link) *Net {
	if l.Latency == 0 {
		l.Latency = 20 * time.Millisecond
	}
	if l.Down == 0 {
		l.Down = 50_000_000
	}
	if l.Up == 0 {
		l.Up = 10_000_000
	}
	n := &Net{
		link: l, rand: rand.New(rand.NewPCG(l.Seed, 1)), next: 1,
		ips: map[wire.PeerKey]string{}, sides: map[string]int{},
	}
	n.sim = &simnet.Simnet{LatencyFunc: n.latency, Logger: slog.New(slog.DiscardHandler)}
	n.sim.Start()
	return n
}

// Close ends the network. Close the meshes first.
func (n *Net) Close() { n.sim.Close() }

func (n *Net) latency(*simnet.Packet) time.Duration {
	if n.link.Jitter == 0 {
		return n.link.Latency
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.link.Latency + time.Duration(n.rand.Int64N(int64(n.link.Jitter)))
}

// Config returns cfg with its host placed in the network, under an address of
// its own. The same key gets the same address again: that is a restart.
func (n *Net) Config(cfg mesh.Config) mesh.Config {
	var key wire.PeerKey
	copy(key[:], cfg.Key.Public().(ed25519.PublicKey))
	n.mu.Lock()
	ip, known := n.ips[key]
	if !known {
		ip = simnet.IntToPublicIPv4(n.next).String()
		n.next++
		n.ips[key] = ip
	}
	n.mu.Unlock()
	cfg.Listen = []string{fmt.Sprintf("/ip4/%s/udp/8000/quic-v1", ip)}
	// These speak over the machine's own sockets, which virtual time waits for.
	cfg.MDNS, cfg.MapPorts, cfg.Probe = false, false, false
	cfg.HostOptions = []libp2p.Option{
		n.quic(net.ParseIP(ip)),
		// It would ask others for our address over and over, and keeps virtual
		// time from moving on.
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.ResourceManager(&network.NullResourceManager{}),
	}
	return cfg
}

// Addr returns the address of a node, with /p2p, whether it runs or not.
func (n *Net) Addr(key wire.PeerKey) string {
	n.mu.Lock()
	ip, known := n.ips[key]
	n.mu.Unlock()
	if !known {
		panic("internal error: no such node: " + key.Short())
	}
	full, err := mesh.FullAddr(key, fmt.Sprintf("/ip4/%s/udp/8000/quic-v1", ip))
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return full
}

// Partition cuts the network: nodes on different sides lose all packets to
// each other. Nodes on no side hear everybody.
func (n *Net) Partition(sides ...[]wire.PeerKey) {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.sides)
	for i, side := range sides {
		for _, key := range side {
			n.sides[n.ips[key]] = i
		}
	}
}

// Heal ends a partition.
func (n *Net) Heal() { n.Partition() }

// Lose drops this share of all packets from now on, 0 to 1.
func (n *Net) Lose(share float64) {
	n.mu.Lock()
	n.loss = share
	n.mu.Unlock()
}

// stops tells whether a packet is dropped on its way.
func (n *Net) stops(from, to net.IP) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	a, cutA := n.sides[from.String()]
	b, cutB := n.sides[to.String()]
	return cutA && cutB && a != b || n.loss > 0 && n.rand.Float64() < n.loss
}

// headers is what IPv4 and UDP add to a packet, in bytes.
const headers = 20 + 8

// Sent counts the bytes that all nodes put on their lines so far, packet
// headers included.
func (n *Net) Sent() int64 { return n.sent.Load() }

// conn is a node's socket.
type conn struct {
	*simnet.SimConn
	n  *Net
	ip net.IP
}

func (c *conn) WriteTo(p []byte, to net.Addr) (int, error) {
	if u, ok := to.(*net.UDPAddr); ok && c.n.stops(c.ip, u.IP) {
		return len(p), nil
	}
	c.n.sent.Add(int64(len(p) + headers))
	return c.SimConn.WriteTo(p, to)
}

type fixedIP net.IP

func (f fixedIP) PreferredSourceIPForDestination(*net.UDPAddr) (net.IP, error) {
	return net.IP(f), nil
}

// quic replaces the sockets under libp2p's QUIC.
func (n *Net) quic(ip net.IP) libp2p.Option {
	line := simnet.NodeBiDiLinkSettings{
		Downlink: simnet.LinkSettings{BitsPerSecond: n.link.Down},
		Uplink:   simnet.LinkSettings{BitsPerSecond: n.link.Up},
	}
	return libp2p.QUICReuse(
		func(life fx.Lifecycle, reset quic.StatelessResetKey, token quic.TokenGeneratorKey, opts ...quicreuse.Option) (*quicreuse.ConnManager, error) {
			cm, err := quicreuse.NewConnManager(reset, token, opts...)
			if err == nil {
				life.Append(fx.StopHook(cm.Close)) // libp2p closes only one of its own
			}
			return cm, err
		},
		quicreuse.OverrideSourceIPSelector(func() (quicreuse.SourceIPSelector, error) { return fixedIP(ip), nil }),
		quicreuse.OverrideListenUDP(func(_ string, addr *net.UDPAddr) (net.PacketConn, error) {
			n.mu.Lock()
			defer n.mu.Unlock()
			return &conn{SimConn: n.sim.NewEndpoint(addr, line), n: n, ip: addr.IP}, nil
		}),
	)
}
