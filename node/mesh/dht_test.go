package mesh

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	"mutuals/identity/wire"
)

// keepers are devices that keep the directory, each knowing the one before.
func keepers(t *testing.T, n int) []*node {
	t.Helper()
	var all []*node
	for i := range n {
		k := start(t, func(c *Config) {
			c.DHT, c.DHTServe = DHTPrivate, true
			if i > 0 {
				c.DHTPeers = all[i-1].Addrs
			}
		})
		if i > 0 {
			link2(t, k, all[i-1])
		}
		all = append(all, k)
	}
	return all
}

// asking is a device that keeps nothing and knows one that may.
func asking(t *testing.T, of *node) *node {
	return start(t, func(c *Config) { c.DHT, c.DHTPeers = DHTPrivate, of.Addrs })
}

// find gathers who is found.
func find(t *testing.T, n *node, keys ...[32]byte) map[wire.PeerKey][]string {
	t.Helper()
	out := map[wire.PeerKey][]string{}
	err := n.Find(within(t), keys, anybody, func(f Found) { out[f.Peer] = append(out[f.Peer], f.Addrs...) })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Who is listed under a key is found by who holds the key, though the two know
// different keepers; and not under another key.
func TestDirectory(t *testing.T) {
	k := keepers(t, 3)
	ann, bo := asking(t, k[0]), asking(t, k[2])
	key := [32]byte{1}
	if n, err := ann.Publish(within(t), [][32]byte{key, {2}}); n != 2 || err != nil {
		t.Fatalf("listed under %d keys, %v", n, err)
	}
	got := find(t, bo, [32]byte{9}, key)
	if len(got) != 1 || len(got[ann.Self()]) == 0 {
		t.Fatalf("found %v, want %s alone", got, ann.Self().Short())
	}
	if err := bo.Connect(within(t), ann.Self(), got[ann.Self()]); err != nil {
		t.Fatal(err)
	}
	if got := find(t, bo, [32]byte{3}); len(got) != 0 {
		t.Fatalf("found %v under a key nobody is listed under", got)
	}
	if s := k[0].Directory(); !s.Serving || s.Servers != 2 {
		t.Errorf("a keeper stands at %+v", s)
	}
	if s := ann.Directory(); s.Serving || s.Servers == 0 {
		t.Errorf("who asks stands at %+v", s)
	}
}

// Without anybody who keeps it, or switched off, that is said.
func TestNoDirectory(t *testing.T) {
	off, alone := start(t, nil), start(t, func(c *Config) { c.DHT = DHTPrivate })
	if _, err := off.Publish(within(t), [][32]byte{{1}}); !errors.Is(err, ErrDHTOff) {
		t.Errorf("switched off: %v", err)
	}
	if _, err := alone.Publish(within(t), [][32]byte{{1}}); !errors.Is(err, ErrNoDirectory) {
		t.Errorf("alone: %v", err)
	}
	plain := start(t, nil) // speaks, but keeps nothing
	asks := asking(t, plain)
	if err := asks.Find(within(t), [][32]byte{{1}}, anybody, func(Found) {}); !errors.Is(err, ErrNoDirectory) {
		t.Errorf("with nobody who keeps it: %v", err)
	}
}

// The table is closed when nobody has used it for a while, and with it the links
// to strangers go; a protected peer stays, whatever the table thought of it, and
// one that was linked before.
func TestDirectoryLetsGo(t *testing.T) {
	k := keepers(t, 3)
	ann := start(t, func(c *Config) {
		c.DHT, c.DHTPeers = DHTPrivate, func() []string { return slices.Concat(k[0].Addrs(), k[1].Addrs(), k[2].Addrs()) }
	})
	ann.Protect(k[1].Self(), true)
	link2(t, ann, k[2]) // by bootstrap, say, and perhaps as a relay
	find(t, ann, [32]byte{1})
	if !ann.Connected(k[0].Self()) || !ann.Directory().Open {
		t.Fatalf("after a look-up: %+v", ann.Directory())
	}
	if ann.host.ConnManager().IsProtected(idOf(k[0].Self()), "") {
		t.Error("the table protects a stranger")
	}
	ann.directory.mu.Lock()
	ann.directory.close()
	ann.directory.mu.Unlock()
	ann.presence.wait(t, k[0].Self(), false)
	if !ann.Connected(k[1].Self()) || !ann.Connected(k[2].Self()) {
		t.Error("a member's link went with the table, or one that was there before")
	}
	if got := find(t, ann, [32]byte{1}); len(got) != 0 || !ann.Directory().Open {
		t.Error("it does not open again")
	}
}

// liar answers whatever it is asked in the directory.
func liar(t *testing.T, answer func(*pb.Message) *pb.Message) *node {
	n := start(t, nil)
	n.host.SetStreamHandler(dhtProtocol, func(s network.Stream) {
		defer s.Close()
		b, err := ReadFrame(bufio.NewReader(s), 1<<20)
		var q pb.Message
		if err != nil || proto.Unmarshal(b, &q) != nil {
			return
		}
		out, err := proto.Marshal(answer(&q))
		if err == nil {
			_, _ = s.Write(AppendFrame(nil, out))
		}
	})
	return n
}

func somebody(t testing.TB) peer.ID {
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return idOf(wire.PeerKey(pub))
}

// told is a record of somebody at some addresses.
func told(t testing.TB, addrs ...string) *pb.Message_Peer {
	p := &pb.Message_Peer{Id: []byte(somebody(t))}
	for _, a := range addrs {
		p.Addrs = append(p.Addrs, ma.StringCast(a).Bytes())
	}
	return p
}

// Records that point at what must not be dialled, at thousands of peers or at
// peers with thousands of addresses are cut down and counted, and nobody is
// dialled for them; an honest keeper is heard beside the liar.
func TestDirectoryLies(t *testing.T) {
	var many, closer []*pb.Message_Peer
	for i := range 2000 {
		many = append(many, told(t, fmt.Sprintf("/ip4/10.%d.%d.1/tcp/1", i>>8, i&255)))
		closer = append(closer, told(t, "/ip4/192.168.77.1/tcp/1", "/ip4/169.254.1.1/tcp/1", "/dns4/intern.example/tcp/1", "/ip6/fe80::1/tcp/1", "/ip4/224.0.0.1/udp/1/quic-v1", "/ip4/0.0.0.0/tcp/9"))
	}
	long := told(t)
	for i := range 900 {
		long.Addrs = append(long.Addrs, ma.StringCast(fmt.Sprintf("/ip4/10.0.0.1/tcp/%d", i+1)).Bytes())
	}
	answers := map[string]func(*pb.Message) *pb.Message{
		"private": func(q *pb.Message) *pb.Message {
			return &pb.Message{Type: q.Type, ProviderPeers: many, CloserPeers: nil}
		},
		"closer": func(q *pb.Message) *pb.Message { return &pb.Message{Type: q.Type, CloserPeers: closer} },
		"long": func(q *pb.Message) *pb.Message {
			return &pb.Message{Type: q.Type, ProviderPeers: []*pb.Message_Peer{long, nil}}
		},
		"no key": func(q *pb.Message) *pb.Message {
			return &pb.Message{Type: q.Type, ProviderPeers: []*pb.Message_Peer{{Id: []byte("x")}}}
		},
		"no answer": func(q *pb.Message) *pb.Message { return &pb.Message{Type: pb.Message_PUT_VALUE} },
		"huge": func(q *pb.Message) *pb.Message {
			return &pb.Message{Type: q.Type, Key: bytes.Repeat([]byte{1}, maxAnswer)}
		},
	}
	honest := keepers(t, 1)[0]
	ann := asking(t, honest)
	key := [32]byte{7}
	if _, err := ann.Publish(within(t), [][32]byte{key}); err != nil {
		t.Fatal(err)
	}
	for name, answer := range answers {
		l := liar(t, answer)
		bo := start(t, func(c *Config) {
			c.DHT, c.DHTPeers = DHTPrivate, func() []string { return append(l.Addrs(), honest.Addrs()...) }
		})
		got := find(t, bo, key)
		if len(got) != 1 || got[ann.Self()] == nil {
			t.Errorf("%s: found %v", name, got)
		}
		if n := len(bo.Peers()); n > 3 {
			t.Errorf("%s: linked to %d", name, n)
		}
		if s := bo.Stats(); name != "no key" && name != "no answer" && name != "huge" && s.Undialled+s.Unmet == 0 {
			t.Errorf("%s: nothing was counted", name)
		}
	}
}

// A table full of strangers of one network dials a few of them, and none that is
// told to be somewhere else than it may be.
func TestDirectorySybils(t *testing.T) {
	n := start(t, func(c *Config) { c.DHT = DHTPrivate })
	h := newAside(n.Mesh)
	met := 0
	for i := range 1000 {
		if h.meet(somebody(t), []ma.Multiaddr{ma.StringCast(fmt.Sprintf("/ip4/5.9.%d.%d/tcp/1", i>>8, i&255))}) {
			met++
		}
	}
	if met != maxMetOfNet {
		t.Errorf("met %d of one network, want %d", met, maxMetOfNet)
	}
	for i := range 1000 {
		h.meet(somebody(t), []ma.Multiaddr{ma.StringCast(fmt.Sprintf("/ip4/5.%d.%d.1/tcp/1", 10+i>>8, i&255))})
	}
	if len(h.nets) > maxNets || len(h.met) > maxMet {
		t.Errorf("%d networks and %d links counted", len(h.nets), len(h.met))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, bad := range []string{"/ip4/192.168.77.1/tcp/1", "/dns4/intern.example/tcp/1", "/ip4/0.0.0.0/tcp/1", "/ip4/169.254.169.254/tcp/80"} {
		if err := h.Connect(ctx, peer.AddrInfo{ID: somebody(t), Addrs: []ma.Multiaddr{ma.StringCast(bad)}}); !errors.Is(err, errNotMet) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// What strangers tell of addresses stays in the book, is bounded, and does not
// reach the links of members.
func TestBook(t *testing.T) {
	n := start(t, func(c *Config) { c.DHT = DHTPrivate })
	b := newAside(n.Mesh).book
	member := somebody(t)
	bad := ma.StringCast("/ip4/5.9.1.1/tcp/1")
	b.AddAddrs(member, []ma.Multiaddr{bad}, time.Hour)
	key, _ := keyOf(member)
	if got := n.KnownAddrs(key); len(got) != 0 {
		t.Errorf("a stranger's word is known of a member: %v", got)
	}
	if got := b.Addrs(member); len(got) != 1 {
		t.Errorf("the book has %v", got)
	}
	var lots []ma.Multiaddr
	for i := range 100 {
		lots = append(lots, ma.StringCast(fmt.Sprintf("/ip4/5.9.1.1/tcp/%d", i+1)))
	}
	for range maxBook + 100 {
		b.AddAddrs(somebody(t), lots, time.Hour)
	}
	if len(b.told) > maxBook {
		t.Errorf("%d strangers noted", len(b.told))
	}
	for _, p := range b.told {
		if len(p.addrs) > maxAddrs {
			t.Fatalf("%d addresses of one", len(p.addrs))
		}
	}
}

// The listing holds no more than it says, of one peer, of one key and in all,
// and drops the records of who has most.
func TestListing(t *testing.T) {
	l, ctx := newListing(), t.Context()
	put := func(key, peer int) {
		if err := l.Put(ctx, ds.NewKey(fmt.Sprintf("/providers/K%d/P%d", key, peer)), []byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	count := func(prefix string) int {
		res, err := l.Query(ctx, query.Query{Prefix: prefix})
		if err != nil {
			t.Fatal(err)
		}
		all, err := res.Rest()
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	put(0, 0)
	put(0, 0)
	put(0, 1)
	if count("/providers/K0") != 2 || count("/providers") != 2 || l.count != 2 {
		t.Fatalf("%d and %d of 2", count("/providers/K0"), count("/providers"))
	}
	for i := range 2 * maxRecordsOfPeer {
		put(i+1, 7)
	}
	if l.peers["P7"] != maxRecordsOfPeer {
		t.Errorf("one peer has %d", l.peers["P7"])
	}
	for i := range 2 * maxRecordsOfKey {
		put(-1, i+1000)
	}
	if n := count("/providers/K-1"); n != maxRecordsOfKey {
		t.Errorf("one key has %d", n)
	}
	for p := 0; l.count < maxRecords; p++ {
		for i := range maxRecordsOfPeer {
			put(i+100_000, p+10_000)
		}
	}
	for i := range 50 {
		put(-2, -i) // honest ones come late
	}
	if l.count != maxRecords || count("/providers/K-2") != 50 || count("/providers/K0") != 2 {
		t.Errorf("%d in all, %d of 50 late ones, %d of 2 early ones", l.count, count("/providers/K-2"), count("/providers/K0"))
	}
	for _, p := range []int{7, 10_000} {
		res, _ := l.Query(ctx, query.Query{Prefix: "/providers"})
		all, _ := res.Rest()
		for _, e := range all {
			if _, who := split(ds.RawKey(e.Key)); who == fmt.Sprintf("P%d", p) {
				if err := l.Delete(ctx, ds.RawKey(e.Key)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if l.peers[fmt.Sprintf("P%d", p)] != 0 {
			t.Errorf("P%d still counts %d", p, l.peers[fmt.Sprintf("P%d", p)])
		}
	}
}

// A question longer than any honest one ends its stream by its length alone.
func TestAskTooLong(t *testing.T) {
	k := keepers(t, 1)[0]
	n := start(t, nil)
	link2(t, n, k)
	for _, c := range []struct {
		length uint64
		ends   bool
	}{{maxAsk + 1, true}, {1 << 40, true}, {maxAsk, false}} {
		s, err := n.host.NewStream(within(t), k.host.ID(), dhtProtocol)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(binary.AppendUvarint(nil, c.length)); err != nil {
			t.Fatal(err)
		}
		if c.ends {
			_ = s.SetReadDeadline(time.Now().Add(patience))
		} else {
			_ = s.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		}
		_, err = s.Read(make([]byte, 1))
		var late interface{ Timeout() bool }
		if waits := errors.As(err, &late) && late.Timeout(); err == nil || errors.Is(err, io.EOF) || waits == c.ends {
			t.Errorf("%d bytes announced: %v", c.length, err)
		}
		s.Reset()
	}
}

func FuzzReadAnswer(f *testing.F) {
	for _, m := range []*pb.Message{
		{Type: pb.Message_FIND_NODE, CloserPeers: []*pb.Message_Peer{told(f, "/ip4/1.2.3.4/tcp/5")}},
		{Type: pb.Message_GET_PROVIDERS, Key: []byte{1}, ProviderPeers: []*pb.Message_Peer{told(f, "/ip4/1.2.3.4/udp/5/quic-v1"), {}}},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := readAnswer(b)
		if err != nil {
			return
		}
		if len(m.CloserPeers) > maxCloser || len(m.ProviderPeers) > maxListed {
			t.Fatal("too many peers")
		}
		for _, p := range pb.PBPeersToPeerInfos(m.ProviderPeers) {
			if len(p.Addrs) > maxTold {
				t.Fatal("too many addresses")
			}
		}
	})
}
