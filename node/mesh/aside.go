package mesh

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"google.golang.org/protobuf/proto"
)

// errNotMet is what the directory is told of a stranger that is not dialled.
var errNotMet = errors.New("not dialled: no address that may be, or too many strangers of its network")

// aside is the host that the directory sees. It keeps strangers apart from the
// rest: what they tell of addresses goes into a book of its own and into no
// other; links to them are counted, bounded by network, never protected, and
// let go when the table is closed.
type aside struct {
	host.Host
	m    *Mesh
	book *book

	mu  sync.Mutex
	met []peer.ID // dialled for the directory, the first of all first
	// nets counts strangers met of each public network.
	nets map[netip.Prefix]map[peer.ID]bool
}

func newAside(m *Mesh) *aside {
	return &aside{Host: m.host, m: m, nets: map[netip.Prefix]map[peer.ID]bool{},
		book: &book{Peerstore: m.host.Peerstore(), told: map[peer.ID]page{}}}
}

// ConnManager hides the real one: the table would protect the links it likes
// best, and members come before them.
func (h *aside) ConnManager() connmgr.ConnManager { return connmgr.NullConnMgr{} }

// Peerstore is the book.
func (h *aside) Peerstore() peerstore.Peerstore { return h.book }

// Connect dials a stranger, if there is room for one.
func (h *aside) Connect(ctx context.Context, ai peer.AddrInfo) error {
	if h.m.host.Network().Connectedness(ai.ID) == network.Connected {
		return nil
	}
	ai.Addrs = h.m.worthDialling(append(slices.Clone(ai.Addrs), h.book.Addrs(ai.ID)...))
	if len(ai.Addrs) == 0 || !h.meet(ai.ID, ai.Addrs) {
		h.m.stats.unmet.Add(1)
		return errNotMet
	}
	if err := h.m.host.Connect(ctx, ai); err != nil {
		return fmt.Errorf("connecting to a stranger: %w", err)
	}
	return nil
}

// NewStream opens a stream, dialling by way of Connect.
func (h *aside) NewStream(ctx context.Context, id peer.ID, protos ...protocol.ID) (network.Stream, error) {
	if err := h.Connect(ctx, peer.AddrInfo{ID: id}); err != nil {
		return nil, err
	}
	return h.m.host.NewStream(network.WithNoDial(ctx, "met already"), id, protos...)
}

// SetStreamHandler serves the directory's questions by the room's own bounds.
func (h *aside) SetStreamHandler(id protocol.ID, serve network.StreamHandler) {
	h.m.host.SetStreamHandler(id, func(s network.Stream) {
		who := s.Conn().RemotePeer()
		if !h.m.streams.enter(s, who, string(id), maxAskStreams, h.m.host.ConnManager().IsProtected(who, protectTag)) {
			h.m.stats.streams.Add(1)
			s.Reset()
			return
		}
		defer h.m.streams.leave(s, who, string(id))
		serve(&asked{Stream: s, r: bufio.NewReaderSize(s, 1<<10)})
	})
}

// mayMeet tells whether a stranger has an address that may be dialled.
func (h *aside) mayMeet(ai peer.AddrInfo) bool {
	may := h.m.gater.allows(ai.ID) && slices.ContainsFunc(ai.Addrs[:min(len(ai.Addrs), maxTold)], h.m.trying())
	if !may {
		h.m.stats.unmet.Add(1)
	}
	return may
}

// meet counts a stranger that is about to be dialled; false if its network has
// had its share. The first that was met makes room when there are too many.
func (h *aside) meet(id peer.ID, addrs []ma.Multiaddr) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	var of []netip.Prefix
	for _, a := range addrs {
		if p, ok := netOf(a); ok {
			of = append(of, p)
			if n := h.nets[p]; !n[id] && len(n) >= maxMetOfNet {
				return false
			}
		}
	}
	for _, p := range of {
		if h.nets[p] == nil {
			if len(h.nets) >= maxNets {
				return false
			}
			h.nets[p] = map[peer.ID]bool{}
		}
		h.nets[p][id] = true
	}
	h.met = append(slices.DeleteFunc(h.met, func(other peer.ID) bool {
		return other == id || !h.m.linked(other)
	}), id)
	if len(h.met) > maxMet {
		h.part(h.met[0])
		h.met = h.met[1:]
	}
	return true
}

// netOf is the network that an address is counted with: who has one address of
// it has the others. Private ones are not counted: strangers have none here.
func netOf(a ma.Multiaddr) (netip.Prefix, bool) {
	ip, err := manet.ToIP(a)
	if err != nil || reachOf(a) != ReachPublic {
		return netip.Prefix{}, false
	}
	at, ok := netip.AddrFromSlice(ip)
	if !ok {
		return netip.Prefix{}, false
	}
	bits := 16
	if at = at.Unmap(); at.Is6() {
		bits = 32
	}
	p, err := at.Prefix(bits)
	return p, err == nil
}

// part ends the links to a stranger, unless something else uses them.
func (h *aside) part(id peer.ID) {
	if h.m.host.ConnManager().IsProtected(id, protectTag) || h.m.relays.has(id) {
		return
	}
	for _, c := range h.m.host.Network().ConnsToPeer(id) {
		if !slices.ContainsFunc(c.GetStreams(), func(s network.Stream) bool {
			p := s.Protocol()
			return p != h.m.directory.protocol() && !slices.Contains(ownBusiness, p)
		}) {
			_ = c.Close()
		}
	}
}

// ownBusiness are the protocols that libp2p speaks by itself on every link.
var ownBusiness = []protocol.ID{"", "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0"}

// letGo ends the links to everybody met.
func (h *aside) letGo() {
	h.mu.Lock()
	met := h.met
	h.met = nil
	clear(h.nets)
	h.mu.Unlock()
	for _, id := range met {
		h.part(id)
	}
}

// asked is a stream on which a stranger asks: each question is held against
// maxAsk by its length alone, where the table would make room for 4 MiB.
type asked struct {
	network.Stream
	r    *bufio.Reader
	left []byte
}

func (a *asked) Read(p []byte) (int, error) {
	if len(a.left) == 0 {
		f, err := ReadFrame(a.r, maxAsk)
		if err != nil {
			return 0, err
		}
		a.left = AppendFrame(a.left[:0], f)
	}
	n := copy(p, a.left)
	a.left = a.left[n:]
	return n, nil
}

// asker asks those who keep the directory: one question a stream, and of the
// answer no more than an honest one holds.
type asker struct {
	h      host.Host
	protos []protocol.ID
}

func newAsker(h host.Host, protos []protocol.ID) pb.MessageSenderWithDisconnect {
	return &asker{h, protos}
}

// OnDisconnect has nothing to forget: no stream outlives its question.
func (a *asker) OnDisconnect(context.Context, peer.ID) {}

func (a *asker) send(ctx context.Context, id peer.ID, msg *pb.Message) (network.Stream, error) {
	s, err := a.h.NewStream(ctx, id, a.protos...)
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(askTime)
	if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until = d
	}
	_ = s.SetDeadline(until)
	b, err := proto.Marshal(msg)
	if err == nil {
		_, err = s.Write(AppendFrame(nil, b))
	}
	if err == nil {
		err = s.CloseWrite()
	}
	if err != nil {
		s.Reset()
		return nil, fmt.Errorf("asking: %w", err)
	}
	return s, nil
}

// SendMessage tells something that is not answered.
func (a *asker) SendMessage(ctx context.Context, id peer.ID, msg *pb.Message) error {
	s, err := a.send(ctx, id, msg)
	if err != nil {
		return err
	}
	// The other side closes once it has read it: then it is kept.
	_, err = bufio.NewReaderSize(s, 16).ReadByte()
	_ = s.Close()
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return nil
}

// SendRequest asks and reads the answer.
func (a *asker) SendRequest(ctx context.Context, id peer.ID, msg *pb.Message) (*pb.Message, error) {
	s, err := a.send(ctx, id, msg)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	b, err := ReadFrame(bufio.NewReader(s), maxAnswer)
	if err != nil {
		s.Reset()
		return nil, fmt.Errorf("reading an answer: %w", err)
	}
	return readAnswer(b)
}

// readAnswer decodes an answer and shortens what is in it.
func readAnswer(b []byte) (*pb.Message, error) {
	out := new(pb.Message)
	if err := proto.Unmarshal(b, out); err != nil {
		return nil, fmt.Errorf("reading an answer: %w", err)
	}
	out.CloserPeers = out.CloserPeers[:min(len(out.CloserPeers), maxCloser)]
	out.ProviderPeers = out.ProviderPeers[:min(len(out.ProviderPeers), maxListed)]
	for _, list := range [][]*pb.Message_Peer{out.CloserPeers, out.ProviderPeers} {
		for _, p := range list {
			if p != nil {
				p.Addrs = p.Addrs[:min(len(p.Addrs), maxTold)]
			}
		}
	}
	return out, nil
}

// book holds the addresses that the directory tells, beside those the host
// knows of who is linked.
type book struct {
	peerstore.Peerstore

	mu   sync.Mutex
	told map[peer.ID]page
}

type page struct {
	addrs []ma.Multiaddr
	until time.Time
}

// AddAddrs notes addresses of a stranger, in the place of those noted before.
func (b *book) AddAddrs(id peer.ID, addrs []ma.Multiaddr, ttl time.Duration) {
	if len(addrs) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	old, known := b.told[id]
	if known && old.until.After(now.Add(ttl)) {
		return // it told itself, others tell now
	}
	if !known && len(b.told) >= maxBook {
		for other, p := range b.told {
			if p.until.Before(now) {
				delete(b.told, other)
			}
		}
		for other := range b.told { // any: who fills the book pushes out its own
			if len(b.told) < maxBook {
				break
			}
			delete(b.told, other)
		}
	}
	b.told[id] = page{slices.Clone(addrs[:min(len(addrs), maxAddrs)]), now.Add(ttl)}
}

// AddAddr notes one.
func (b *book) AddAddr(id peer.ID, a ma.Multiaddr, ttl time.Duration) {
	b.AddAddrs(id, []ma.Multiaddr{a}, ttl)
}

// Addrs are what the host knows of a linked peer, else what was told.
func (b *book) Addrs(id peer.ID) []ma.Multiaddr {
	b.mu.Lock()
	p := b.told[id]
	b.mu.Unlock()
	out := b.Peerstore.Addrs(id)
	if p.until.After(time.Now()) {
		out = append(out, p.addrs...)
	}
	return ma.Unique(out)
}

// PeerInfo is Addrs with the name.
func (b *book) PeerInfo(id peer.ID) peer.AddrInfo { return peer.AddrInfo{ID: id, Addrs: b.Addrs(id)} }
