package mesh

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"

	"mutuals/identity/wire"
)

// Mesh is this device in the network. Its methods may be called from any
// goroutine.
type Mesh struct {
	cfg  Config
	log  *slog.Logger
	key  crypto.PrivKey
	self wire.PeerKey

	host    host.Host
	gater   *gater
	faults  *faults
	passers *passers
	streams *serving
	stats   *stats
	gossip  *gossip
	redial  *redial
	relays  *relays
	punch   *puncher
	ports   ports
	// directory is where strangers tell who is listed under a key.
	directory *directory
	lobby     *lobby // nil: off
	// sightings are of peers on the local network.
	sightings sightings
	// relayAddrs are the peers of Config.Relays.
	relayAddrs map[peer.ID][]string

	ctx     context.Context
	stop    context.CancelFunc
	wg      sync.WaitGroup // every goroutine of this room but the redials
	closing sync.Once
	unMDNS  func()

	relayingMu sync.Mutex
	unRelay    func() // nil: this device is no relay

	recordMu sync.Mutex
	recorded []byte   // the own peer record as last signed
	recordOf []string // and the addresses in it

	traffic traffic
	carried carried
}

// New starts listening. It fails if no address can be listened on or a field
// of cfg is unusable. ctx ends the mesh like Close does, without waiting.
func New(ctx context.Context, cfg Config) (*Mesh, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	key, err := crypto.UnmarshalEd25519PrivateKey(cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("config: reading key: %w", err)
	}
	m := &Mesh{
		cfg: cfg, key: key, log: cfg.Log,
		gater:   &gater{blocked: map[peer.ID]struct{}{}},
		streams: newServing(),
		unMDNS:  func() {},
	}
	m.gater.m, m.relays, m.punch = m, newRelays(m), newPuncher(m)
	m.directory = &directory{m: m}
	m.faults, m.passers = newFaults(m), &passers{m: m}
	m.relayAddrs, _ = readRelays(cfg.Relays) // Validate has read them
	copy(m.self[:], cfg.Key[32:])
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	m.stats = &stats{log: m.log, said: map[string]struct{}{}, missed: func(string) {}}
	m.ctx, m.stop = context.WithCancel(ctx)
	opts, err := m.hostOptions()
	if err != nil {
		m.stop()
		return nil, err
	}
	if m.host, err = libp2p.New(opts...); err != nil {
		m.stop()
		return nil, fmt.Errorf("starting host: %w", err)
	}
	m.host.Network().Notify(m.passers)
	m.redial = newRedial(m)
	if m.gossip, err = newGossip(m); err != nil {
		m.stop()
		m.host.Close()
		return nil, fmt.Errorf("starting gossip: %w", err)
	}
	if cfg.Lobby != nil {
		if m.lobby, err = newLobby(m); err != nil {
			m.Close()
			return nil, fmt.Errorf("starting the lobby: %w", err)
		}
		m.wg.Go(m.lobby.tend)
	}
	if err := m.watch(); err != nil {
		m.Close()
		return nil, fmt.Errorf("watching peers: %w", err)
	}
	if err := m.ServeAsRelay(cfg.RelayFor); err != nil {
		m.Close()
		return nil, err
	}
	m.directory.serve(cfg.DHTServe)
	m.lobby.role()
	// Last, so that nobody meets a device that does not speak everything yet:
	// protocols are told once, when a link is made.
	if err := m.listen(); err != nil {
		m.Close()
		return nil, fmt.Errorf("listening: %w", err)
	}
	if cfg.MDNS && cfg.Relay != RelayOnly {
		m.unMDNS = m.startMDNS()
	}
	if len(cfg.HostOptions) == 0 { // a simulated network is not the machine's
		m.wg.Go(m.wake)
	}
	if cfg.Relay != RelayOff {
		m.wg.Go(m.relays.keep)
		for id, addrs := range m.relayAddrs {
			if key, ok := keyOf(id); ok {
				m.Protect(key, true)
				m.Keep(key, func() []string { return addrs })
			}
		}
	}
	return m, nil
}

func (m *Mesh) hostOptions() ([]libp2p.Option, error) {
	cm, err := connmgr.NewConnManager(connsLow, connsHigh, connmgr.WithGracePeriod(connGrace))
	if err != nil {
		return nil, fmt.Errorf("making connection manager: %w", err)
	}
	opts := []libp2p.Option{
		libp2p.Identity(m.key),
		libp2p.NoListenAddrs, // New listens when everything stands
		libp2p.Transport(quic.NewTransport),
		libp2p.Security(noise.ID, noise.New), libp2p.Security(libp2ptls.ID, libp2ptls.New),
		libp2p.ConnectionManager(cm), libp2p.ConnectionGater(m.gater),
		libp2p.DisableMetrics(), libp2p.AddrsFactory(m.told),
		// libp2p would dial no UDP for long after a cut in which its dials failed.
		libp2p.UDPBlackHoleSuccessCounter(nil),
		libp2p.ProtocolVersion("mutuals/1"), libp2p.UserAgent("mutuals"),
	}
	switch m.cfg.Relay {
	case RelayOff:
		opts = append(opts, libp2p.DisableRelay())
	case RelayAuto:
		opts = append(opts, libp2p.EnableRelay()) // punch.go does the rest
	case RelayOnly:
		opts = append(opts, libp2p.EnableRelay(), libp2p.DisableIdentifyAddressDiscovery())
	}
	if m.cfg.MapPorts && m.cfg.Relay != RelayOnly {
		opts = append(opts, libp2p.NATManager(m.ports.begin))
	}
	if m.cfg.Probe && m.cfg.Relay != RelayOnly {
		opts = append(opts, libp2p.EnableAutoNATv2())
	}
	if len(m.cfg.HostOptions) > 0 {
		return append(opts, m.cfg.HostOptions...), nil
	}
	rm, err := m.resources()
	if err != nil {
		return nil, fmt.Errorf("making resource manager: %w", err)
	}
	return append(opts, libp2p.Transport(tcp.NewTCPTransport), libp2p.ResourceManager(rm)), nil
}

// told is what is told of where this device is: with RelayOnly nothing but its
// places at relays, else those too.
func (m *Mesh) told(addrs []ma.Multiaddr) []ma.Multiaddr {
	if m.cfg.Relay == RelayOnly {
		return m.relays.addrs()
	}
	return append(slices.Clone(addrs), m.relays.addrs()...)
}

func (m *Mesh) listen() error {
	if m.cfg.Relay == RelayOnly {
		return nil
	}
	texts := m.cfg.Listen
	if len(texts) == 0 {
		texts = everywhere()
	}
	addrs := make([]ma.Multiaddr, len(texts))
	for i, t := range texts {
		addrs[i] = ma.StringCast(t) // Validate has read it
	}
	return m.host.Network().Listen(addrs...)
}

// Close leaves all topics, ends all streams, and returns when everything that
// was started has ended. Callbacks must return for it to return.
func (m *Mesh) Close() error {
	var err error
	m.closing.Do(func() {
		m.stop()
		m.redial.close()
		m.unMDNS()
		_ = m.ServeAsRelay(nil)
		m.directory.stop()
		m.streams.close()
		m.gossip.close()
		m.lobby.close()
		m.punch.close()
		err = m.host.Close()
		m.wg.Wait()
	})
	return err
}

// Self returns this device's peer key.
func (m *Mesh) Self() wire.PeerKey { return m.self }

// Addrs returns where this device can be dialled, best first, with /p2p. What
// reaches only this machine is left out unless there is nothing else.
func (m *Mesh) Addrs() []string {
	var out []string
	for _, a := range byReach(m.host.Addrs()) {
		out = append(out, a.String()+"/p2p/"+m.host.ID().String())
	}
	return out
}

// Bound returns what the device listens on, sorted, with the ports the
// system chose: pass it as Config.Listen next time to keep them.
func (m *Mesh) Bound() []string {
	out := texts(slices.DeleteFunc(m.host.Network().ListenAddresses(), relayed))
	slices.Sort(out)
	return out
}

func texts(ms []ma.Multiaddr) []string {
	out := make([]string, 0, len(ms))
	for _, a := range ms {
		out = append(out, a.String())
	}
	return out
}

// Connect links to peer at addrs (with or without /p2p) or, if it is there
// already, does nothing. Addresses known from elsewhere are tried as well;
// what cannot be read is skipped. ctx without deadline gives up after 15 s.
func (m *Mesh) Connect(ctx context.Context, peer wire.PeerKey, addrs []string) error {
	if _, set := ctx.Deadline(); !set {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, dialTimeout)
		defer cancel()
	}
	// A relayed link with a byte limit is a link.
	ctx = network.WithAllowLimitedConn(ctx, "mutuals")
	id := idOf(peer)
	// libp2p refuses a fresh dial for a while after a failed one. Who calls
	// has a reason to try now, and redial.go has a backoff of its own.
	if s, ok := m.host.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(id)
	}
	if err := m.host.Connect(ctx, addrInfo(peer, addrs)); err != nil {
		return fmt.Errorf("connecting to %s: %w", peer.Short(), err)
	}
	return nil
}

// LearnAddrs remembers, for an hour, where peer may be dialled.
func (m *Mesh) LearnAddrs(peer wire.PeerKey, addrs []string) { m.learn(addrInfo(peer, addrs)) }

func (m *Mesh) learn(info peer.AddrInfo) {
	m.host.Peerstore().AddAddrs(info.ID, info.Addrs[:min(len(info.Addrs), maxAddrs)], learntFor)
}

// KnownAddrs returns the addresses peer is known by in memory: told by itself
// when it was last linked, or learnt.
func (m *Mesh) KnownAddrs(peer wire.PeerKey) []string {
	return texts(byReach(m.host.Peerstore().Addrs(idOf(peer))))
}

// Connected tells whether there is a link to peer.
func (m *Mesh) Connected(peer wire.PeerKey) bool { return m.linked(idOf(peer)) }

func (m *Mesh) linked(id peer.ID) bool {
	return m.host.Network().Connectedness(id) != network.NotConnected
}

// PeerInfo is one linked peer.
type PeerInfo struct {
	Peer    wire.PeerKey
	Addr    string // its end of the link
	Inbound bool   // it dialled us
	Limited bool   // relayed with a byte limit: no gossip over it
	Path    Path   // by what way
	Since   time.Time
	// Score is GossipSub's of a peer that shares a topic: a member begins with
	// 10, below 0 it has no place in the mesh. Faults is how often it sent lately
	// what no honest peer sends.
	Score  float64
	Faults int
}

// Peers returns the linked peers, ordered by key. Of several links to one
// peer the most direct is told, and of those the oldest.
func (m *Mesh) Peers() []PeerInfo {
	best := map[wire.PeerKey]PeerInfo{}
	for _, c := range m.host.Network().Conns() {
		key, ok := keyOf(c.RemotePeer())
		if !ok {
			continue
		}
		st := c.Stat()
		path := m.pathOf(c)
		if old, has := best[key]; has && (old.Path < path || old.Path == path && !st.Opened.Before(old.Since)) {
			continue
		}
		best[key] = PeerInfo{
			Path: path, Peer: key, Addr: c.RemoteMultiaddr().String(), Since: st.Opened,
			Inbound: st.Direction == network.DirInbound, Limited: st.Limited,
			Score: m.gossip.score(c.RemotePeer()), Faults: m.faults.countOf(c.RemotePeer()),
		}
	}
	out := make([]PeerInfo, 0, len(best))
	for _, p := range best {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b PeerInfo) int { return slices.Compare(a.Peer[:], b.Peer[:]) })
	return out
}

// ClosePeer closes every link to peer. A kept peer is dialled again.
func (m *Mesh) ClosePeer(peer wire.PeerKey) { _ = m.host.Network().ClosePeer(idOf(peer)) }

// protectTag is what the connection manager knows the caller's protection by,
// topicTag that of whoever is in a topic with us and linked.
const protectTag, topicTag = "member", "topic"

// Protect saves links to peer from being trimmed when there are too many.
// Members of the user's groups are protected; passers-by are not, and share
// half of the streams.
func (m *Mesh) Protect(peer wire.PeerKey, on bool) {
	if on {
		m.host.ConnManager().Protect(idOf(peer), protectTag)
	} else {
		m.host.ConnManager().Unprotect(idOf(peer), protectTag)
	}
}

// protect saves the link of a member that dialled us from being trimmed.
func (g *gossip) protect(id peer.ID, on bool) {
	if on {
		g.m.host.ConnManager().Protect(id, topicTag)
	} else {
		g.m.host.ConnManager().Unprotect(id, topicTag)
	}
}
