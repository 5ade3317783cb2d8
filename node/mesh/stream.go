package mesh

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"mutuals/identity/wire"
)

// ErrClosed means that the mesh has been closed.
var ErrClosed = errors.New("mesh closed")

// keepBuffer is the largest write buffer a stream keeps between frames.
const keepBuffer = 64 << 10

// Stream is a two-way line of frames to one peer. Reading and writing may
// happen at the same time, from one goroutine each.
type Stream struct {
	s    network.Stream
	peer wire.PeerKey
	r    *bufio.Reader
	out  []byte
	sums *tally

	// ruled is set once the caller has set a deadline: then the rolling ones
	// below stay out of the way.
	mu                 sync.Mutex
	ruled              bool
	readSet, writtenAt time.Time
}

func newStream(s network.Stream, key wire.PeerKey, sums *tally) *Stream {
	return &Stream{s: s, peer: key, r: bufio.NewReaderSize(s, 4<<10), sums: sums}
}

// Peer returns the authenticated key of the other side.
func (s *Stream) Peer() wire.PeerKey { return s.peer }

// ReadFrame reads the next frame of at most most bytes. io.EOF means that the
// other side is done; ErrTooLarge that it broke the bound of this kind.
// Without SetDeadline a frame that is not there within 30 s is an error.
func (s *Stream) ReadFrame(most int) ([]byte, error) {
	s.roll(&s.readSet, s.s.SetReadDeadline)
	return s.read(most)
}

func (s *Stream) read(most int) ([]byte, error) {
	b, err := ReadFrame(s.r, most)
	if err == nil {
		s.sums.in.Add(uint64(len(b)))
	}
	return b, err
}

// AwaitFrame is ReadFrame for a frame that may be days away: it waits for the
// first byte as long as the stream lives, and for the rest no longer than 30 s.
// It takes the place of a deadline that was set.
func (s *Stream) AwaitFrame(most int) ([]byte, error) {
	s.mu.Lock()
	s.ruled = true
	s.mu.Unlock()
	if s.r.Buffered() == 0 {
		if err := s.s.SetReadDeadline(time.Time{}); err != nil {
			return nil, err
		}
		if _, err := s.r.Peek(1); err != nil {
			return nil, err
		}
	}
	if err := s.s.SetReadDeadline(time.Now().Add(frameTimeout)); err != nil {
		return nil, err
	}
	return s.read(most)
}

// WriteFrame sends one frame at once.
func (s *Stream) WriteFrame(frame []byte) error { return s.WriteFrames(frame) }

// WriteFrames sends several frames with one write, which for short frames is
// several times faster than one by one. Callers bound how many.
func (s *Stream) WriteFrames(frames ...[]byte) error {
	s.roll(&s.writtenAt, s.s.SetWriteDeadline)
	s.out = s.out[:0]
	for _, f := range frames {
		s.out = AppendFrame(s.out, f)
	}
	_, err := s.s.Write(s.out)
	if cap(s.out) > keepBuffer {
		s.out = nil
	}
	if err != nil {
		return fmt.Errorf("writing frame: %w", err)
	}
	for _, f := range frames {
		s.sums.out.Add(uint64(len(f)))
	}
	return nil
}

// roll moves a deadline on, at most once a second: setting one for every
// frame costs more than the frame.
func (s *Stream) roll(last *time.Time, set func(time.Time) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.ruled || now.Sub(*last) < time.Second {
		return
	}
	*last = now
	_ = set(now.Add(frameTimeout)) // a closed stream says so on the next read
}

// SetDeadline rules reads and writes until it is set again; the zero time
// means none. It replaces the default of 30 s a frame.
func (s *Stream) SetDeadline(t time.Time) error {
	s.mu.Lock()
	s.ruled = true
	s.mu.Unlock()
	return s.s.SetDeadline(t)
}

// CloseWrite tells the other side that no more frames come; reading goes on.
func (s *Stream) CloseWrite() error { return s.s.CloseWrite() }

// Close ends both directions; what was written still arrives. It waits, 2 s at
// most, for the other side to have agreed to the protocol.
func (s *Stream) Close() error {
	// Closing reads that answer if nothing has been read, and a peer that never
	// gives it would hold a stream without a deadline, and us, for ever.
	_ = s.s.SetReadDeadline(time.Now().Add(closeTimeout))
	return s.s.Close()
}

// Reset drops the stream: the other side sees an error.
func (s *Stream) Reset() error { return s.s.Reset() }

// Open opens a stream to peer for a protocol, dialling it at known addresses
// if it is not linked. Without a deadline in ctx it gives up after 10 s. A
// protocol the peer does not speak may show only in the first ReadFrame.
func (m *Mesh) Open(ctx context.Context, peer wire.PeerKey, proto string) (*Stream, error) {
	if _, set := ctx.Deadline(); !set {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, openTimeout)
		defer cancel()
	}
	// Relayed links with a byte limit are good enough for small requests.
	ctx = network.WithAllowLimitedConn(ctx, "mutuals")
	s, err := m.host.NewStream(ctx, idOf(peer), protocol.ID(proto))
	if err != nil {
		return nil, fmt.Errorf("opening %s to %s: %w", proto, peer.Short(), err)
	}
	return newStream(s, peer, m.traffic.of(proto)), nil
}

// Handle serves a protocol: serve is called for every inbound stream, each on
// a goroutine of its own, and the stream is closed when it returns. A peer
// may have most streams of this protocol open at once; what it opens beyond
// that, or beyond the room's own limits, is reset, counted, and logged once a
// peer. ctx ends when the mesh closes.
func (m *Mesh) Handle(proto string, most int, serve func(ctx context.Context, s *Stream)) {
	m.host.SetStreamHandler(protocol.ID(proto), func(ns network.Stream) {
		id := ns.Conn().RemotePeer()
		key, ok := keyOf(id)
		if !ok || !m.streams.enter(ns, id, proto, most, m.member(id)) {
			m.stats.streams.Add(1)
			m.stats.once(m.log, "streams "+string(id), "mesh: too many streams", "peer", key.Short(), "protocol", proto)
			ns.Reset()
			return
		}
		defer m.streams.leave(ns, id, proto)
		defer ns.Close()
		serve(m.ctx, newStream(ns, key, m.traffic.of(proto)))
	})
}

// Unhandle stops serving a protocol; streams being served go on.
func (m *Mesh) Unhandle(proto string) { m.host.RemoveStreamHandler(protocol.ID(proto)) }

// serving is the set of inbound streams being served, counted for the bounds.
type serving struct {
	mu      sync.Mutex
	wg      sync.WaitGroup
	closed  bool
	live    map[network.Stream]bool // true: of a member
	peers   map[peer.ID]int
	kinds   map[kindOf]int
	passers int // streams of no member
}

type kindOf struct {
	peer  peer.ID
	proto string
}

func newServing() *serving {
	return &serving{live: map[network.Stream]bool{}, peers: map[peer.ID]int{}, kinds: map[kindOf]int{}}
}

// enter counts a stream in; false if there is no room for it.
func (v *serving) enter(s network.Stream, id peer.ID, proto string, most int, member bool) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	k := kindOf{id, proto}
	ofPeer := maxPeerStreams
	if member {
		ofPeer = maxMemberStreams
	}
	if v.closed || len(v.live) >= maxStreams || v.peers[id] >= ofPeer || v.kinds[k] >= most {
		return false
	}
	if !member && v.passers >= maxPasserby {
		return false
	}
	if v.live[s] = member; !member {
		v.passers++
	}
	v.peers[id]++
	v.kinds[k]++
	v.wg.Add(1)
	return true
}

// asks tells whether a peer holds a stream that is being served.
func (v *serving) asks(id peer.ID) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.peers[id] > 0
}

func (v *serving) leave(s network.Stream, id peer.ID, proto string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	k := kindOf{id, proto}
	if !v.live[s] {
		v.passers--
	}
	delete(v.live, s)
	if v.peers[id]--; v.peers[id] == 0 {
		delete(v.peers, id)
	}
	if v.kinds[k]--; v.kinds[k] == 0 {
		delete(v.kinds, k)
	}
	v.wg.Done()
}

// close resets what is being served and waits for the handlers.
func (v *serving) close() {
	v.mu.Lock()
	v.closed = true
	for s := range v.live {
		s.Reset()
	}
	v.mu.Unlock()
	v.wg.Wait()
}
