package mesh

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"mutuals/identity/wire"
)

// A few faults are forgiven; who goes on is shut out, longer each time, and is
// free again by itself.
func TestShunning(t *testing.T) {
	a := start(t, nil)
	f, id := a.faults, idOf(wire.PeerKey{1})
	now := time.Now()
	for range forgiveBurst {
		f.blame(id, now)
	}
	if f.shut(id, now) {
		t.Fatal("shut out for what is forgiven")
	}
	for i, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 10 * time.Minute, 10 * time.Minute} {
		f.blame(id, now)
		f.blame(id, now) // what was on its way makes it no longer
		if !f.shut(id, now.Add(want-time.Second)) || f.shut(id, now.Add(want)) {
			t.Fatalf("time %d: not shut out for %v", i+1, want)
		}
		now = now.Add(want)
		for f.by[id].forgiven.AllowN(now, 1) {
		}
	}
	now = now.Add(faultsKept + time.Second)
	f.blame(id, now)
	if f.shut(id, now) {
		t.Error("an hour without a fault is not forgotten")
	}
	// One fault now and then never shuts anybody out.
	slow := idOf(wire.PeerKey{2})
	for range 500 {
		now = now.Add(forgiveEvery)
		f.blame(slow, now)
	}
	if f.shut(slow, now) {
		t.Error("shut out for a fault a minute")
	}
	// Keys are free: the table is bounded, and a flood of new ones does not let
	// out who is shut out.
	f.shun(id, now)
	for i := range maxFaults + 100 {
		var k wire.PeerKey
		binary.BigEndian.PutUint32(k[:], uint32(i)+10)
		f.blame(idOf(k), now)
	}
	if n := len(f.by); n > maxFaults {
		t.Errorf("%d peers are remembered, at most %d", n, maxFaults)
	}
	if !f.shut(id, now) {
		t.Error("a flood of other keys freed who was shut out")
	}
}

// Who is shut out has no link, in either direction, until its time is over or
// the person here asks for one.
func TestShutOut(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	link2(t, a, b)
	for range forgiveBurst + 1 {
		a.Blame(b.Self())
	}
	a.presence.wait(t, b.Self(), false)
	if err := a.Connect(within(t), b.Self(), b.Addrs()); err == nil {
		t.Error("it is dialled all the same")
	}
	b.presence.wait(t, a.Self(), false)
	_ = b.Connect(within(t), a.Self(), a.Addrs()) // may seem to work until a hangs up
	if a.Stats().Turned == 0 || a.Connected(b.Self()) {
		t.Error("its link was not refused")
	}
	out := a.ShutOut()
	if len(out) != 1 || out[0].Peer != b.Self() || out[0].Faults != forgiveBurst+1 || time.Until(out[0].Until) > shunFirst {
		t.Errorf("shut out: %+v", out)
	}
	a.Pardon(b.Self())
	if err := a.Connect(within(t), b.Self(), b.Addrs()); err != nil {
		t.Errorf("after a pardon: %v", err)
	}
}

// A low score shuts out once, when it falls, and not again for being there when
// the peer comes back: scores rest while it is away.
func TestLowScoreShutsOutOnce(t *testing.T) {
	a := start(t, nil)
	id := idOf(wire.PeerKey{1})
	a.faults.scored(map[peer.ID]float64{id: memberScore, idOf(wire.PeerKey{2}): 0})
	if len(a.faults.by) != 0 {
		t.Error("who did nothing is remembered")
	}
	for range 3 {
		a.faults.scored(map[peer.ID]float64{id: grayScore - 1})
	}
	if n := a.Stats().Shunned; n != 1 {
		t.Errorf("shut out %d times for one fall", n)
	}
}

// A length is a promise: memory is given for what came.
func TestAnnouncedFrame(t *testing.T) {
	const said = 1 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 64 {
		head := binary.AppendUvarint(nil, said)
		if _, err := ReadFrame(bufio.NewReader(bytes.NewReader(append(head, 1, 2, 3))), said); err == nil {
			t.Fatal("three bytes are a frame of a megabyte")
		}
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 64*64<<10 {
		t.Errorf("64 frames of which 3 bytes came took %d bytes", got)
	}
	whole := bytes.Repeat([]byte("x"), said-7)
	got, err := ReadFrame(bufio.NewReader(bytes.NewReader(AppendFrame(nil, whole))), said)
	if err != nil || !bytes.Equal(got, whole) {
		t.Errorf("a long frame: %d bytes, %v", len(got), err)
	}
}

// piped is a stream over a pipe in memory, for virtual time.
type piped struct {
	network.Stream
	c net.Conn
}

func (p piped) Read(b []byte) (int, error)         { return p.c.Read(b) }
func (p piped) Write(b []byte) (int, error)        { return p.c.Write(b) }
func (p piped) SetDeadline(t time.Time) error      { return p.c.SetDeadline(t) }
func (p piped) SetReadDeadline(t time.Time) error  { return p.c.SetReadDeadline(t) }
func (p piped) SetWriteDeadline(t time.Time) error { return p.c.SetWriteDeadline(t) }

// A frame may be days away, but not half a one: who announces a megabyte and
// stops would hold it for as long as it likes.
func TestAwaitFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		defer theirs.Close()
		var sums tally
		s := newStream(piped{c: ours}, wire.PeerKey{}, &sums)
		s.SetDeadline(time.Now().Add(time.Second))
		go func() {
			time.Sleep(3 * 24 * time.Hour)
			theirs.Write(AppendFrame(nil, []byte("at last")))
			theirs.Write(binary.AppendUvarint(nil, 1000))
		}()
		if f, err := s.AwaitFrame(1000); err != nil || string(f) != "at last" {
			t.Fatalf("after three days: %q, %v", f, err)
		}
		if got := sums.in.Load(); got != uint64(len("at last")) {
			t.Errorf("counted %d bytes", got)
		}
		began := time.Now()
		_, err := s.AwaitFrame(1000)
		if err == nil || time.Since(began) != frameTimeout {
			t.Errorf("half a frame: %v after %v, want an end after %v", err, time.Since(began), frameTimeout)
		}
	})
}

// A peer that takes streams and never says that it speaks their protocol holds
// nobody who closes one.
func TestCloseOfUnansweredStream(t *testing.T) {
	a := start(t, nil)
	h, err := libp2p.New(libp2p.ListenAddrStrings(local()...), libp2p.DisableRelay())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	h.SetStreamHandler("/x/1", func(network.Stream) {})
	key, _ := keyOf(h.ID())
	var addrs []string
	for _, m := range h.Addrs() {
		addrs = append(addrs, m.String())
	}
	if err := a.Connect(within(t), key, addrs); err != nil {
		t.Fatal(err)
	}
	a.presence.wait(t, key, true) // identified: what it speaks is known
	h.Network().SetStreamHandler(func(network.Stream) {})
	s, err := a.Open(within(t), key, "/x/1")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.WriteFrame([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	s.SetDeadline(time.Time{})
	closed := make(chan struct{})
	go func() {
		s.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(10 * closeTimeout):
		t.Error("closing hangs")
	}
}

// hostileMember starts a's topic with a member that is only a libp2p host, and
// returns what it writes on.
func hostileMember(t *testing.T) (a *node, top *Topic, open func() network.Stream, id peer.ID) {
	t.Helper()
	a = start(t, nil)
	h, err := libp2p.New(libp2p.ListenAddrStrings(local()...), libp2p.DisableRelay())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	h.SetStreamHandler(gossipProtocol, func(s network.Stream) {}) // never read
	key, _ := keyOf(h.ID())
	top, _ = enter(t, a, "x", group(key))
	if err := h.Connect(within(t), addrInfo(a.Self(), a.Addrs())); err != nil {
		t.Fatal(err)
	}
	a.presence.wait(t, key, true)
	return a, top, func() network.Stream {
		s, err := h.NewStream(context.Background(), a.host.ID(), gossipProtocol)
		if err != nil {
			return nil
		}
		s.SetDeadline(time.Now().Add(patience))
		return s
	}, h.ID()
}

// A member that sends packets longer than any may be, or opens one gossip
// stream after another, is shut out.
func TestOversizePackets(t *testing.T) {
	a, _, open, id := hostileMember(t)
	for i := 0; ; i++ {
		if i > 200 {
			t.Fatal("200 packets of a gigabyte each are forgiven")
		}
		s := open()
		if s == nil {
			break
		}
		if _, err := s.Write(binary.AppendUvarint(nil, 1<<30)); err != nil {
			break
		}
		s.Read(make([]byte, 1)) // until it is reset
	}
	if !a.faults.shut(id, time.Now()) || a.Stats().Faults < forgiveBurst {
		t.Errorf("not shut out after %d faults", a.Stats().Faults)
	}
}

func TestGarbagePackets(t *testing.T) {
	a, _, open, id := hostileMember(t)
	for i := 0; ; i++ {
		if i > 200 {
			t.Fatal("200 packets of garbage are forgiven")
		}
		s := open()
		if s == nil {
			break
		}
		if _, err := s.Write(AppendFrame(nil, []byte{0xff, 0xff, 0xff})); err != nil {
			break
		}
		s.Read(make([]byte, 1)) // until it is reset
	}
	if !a.faults.shut(id, time.Now()) {
		t.Errorf("not shut out after %d faults", a.Stats().Faults)
	}
}
