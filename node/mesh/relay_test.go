package mesh

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"mutuals/identity/wire"
)

func anybody(wire.PeerKey) bool { return true }

// placed waits until a node has a place at a relay, and returns its addresses.
func placed(t *testing.T, changed <-chan struct{}, n *node) []string {
	t.Helper()
	ctx := within(t)
	for {
		var out []string
		for _, a := range n.Addrs() {
			if strings.Contains(a, "/p2p-circuit") {
				out = append(out, a)
			}
		}
		if len(out) > 0 {
			return out
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("no place at a relay: %+v", n.Relays())
		}
	}
}

func onAddrs(c *Config) <-chan struct{} {
	ch := make(chan struct{}, 16)
	c.OnAddrs = func() {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
	return ch
}

// Two devices of which one can only be reached through a relay talk over it,
// with and without a byte limit, and the other knows no address but the relay's.
func TestRelayed(t *testing.T) {
	for _, limited := range []bool{false, true} {
		relay := start(t, func(c *Config) { c.RelayFor = &RelayService{For: anybody, Limited: limited} })
		var changed <-chan struct{}
		hidden := start(t, func(c *Config) {
			c.Relay, c.Relays = RelayOnly, relay.Addrs()
			changed = onAddrs(c)
		})
		hidden.Handle("/echo", 4, func(_ context.Context, s *Stream) {
			if b, err := s.ReadFrame(64); err == nil {
				_ = s.WriteFrame(b)
			}
		})
		via := placed(t, changed, hidden)
		for _, a := range append(hidden.Addrs(), hidden.Bound()...) {
			if !strings.Contains(a, "/p2p-circuit") {
				t.Fatalf("an address is told: %s", a)
			}
		}
		if _, addrs, _, err := ParseRecord(hidden.Record()); err != nil || len(addrs) == 0 {
			t.Fatalf("record: %v %v", addrs, err)
		}
		other := start(t, func(c *Config) { c.Relay = RelayAuto })
		if err := other.Connect(within(t), hidden.Self(), via); err != nil {
			t.Fatal(err)
		}
		s, err := other.Open(within(t), hidden.Self(), "/echo")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.WriteFrame([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if b, err := s.ReadFrame(64); err != nil || string(b) != "hello" {
			t.Fatalf("%q %v", b, err)
		}
		for _, p := range other.Peers() {
			if p.Peer == hidden.Self() && (p.Path != PathRelayed || p.Limited != limited) {
				t.Fatalf("%+v, want relayed, limited %v", p, limited)
			}
		}
		if got := relay.Relayed(); got.Places != 1 || got.Circuits != 1 || got.Bytes < 2*uint64(len("hello")) {
			t.Errorf("the relay counts %+v", got)
		}
		if err := relay.ServeAsRelay(nil); err != nil {
			t.Fatal(err)
		}
		if got := relay.Relayed(); got.Places != 0 {
			t.Errorf("having stopped, the relay counts %+v", got)
		}
	}
}

// A relay gives no place to whom it does not serve; that is told, and a relay
// that goes is replaced by another.
func TestRelayRefusesAndGoes(t *testing.T) {
	closed := start(t, func(c *Config) { c.RelayFor = &RelayService{For: func(wire.PeerKey) bool { return false }} })
	one := start(t, func(c *Config) { c.RelayFor = &RelayService{For: anybody} })
	two := start(t, func(c *Config) { c.RelayFor = &RelayService{For: anybody} })
	var changed <-chan struct{}
	n := start(t, func(c *Config) {
		c.Relay, c.RelayBy = RelayAuto, anybody
		changed = onAddrs(c)
	})
	link2(t, n, closed)
	link2(t, n, one)
	placed(t, changed, n)
	link2(t, n, two)
	until := func(has string, lacks string) {
		t.Helper()
		ctx := within(t)
		for {
			all := strings.Join(n.Addrs(), " ")
			if strings.Contains(all, has+"/p2p-circuit") && (lacks == "" || !strings.Contains(all, lacks+"/p2p-circuit")) {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				t.Fatalf("want a place at %s, none at %q: %s", has, lacks, all)
			}
		}
	}
	until(idOf(two.Self()).String(), "")
	if closed.Stats().RelayRefused == 0 {
		t.Error("the refusal was not counted")
	}
	refused := false
	for _, r := range n.Relays() {
		refused = refused || r.Relay == closed.Self() && r.Why != "" && r.Until.IsZero()
	}
	if !refused {
		t.Errorf("the refusal is not told: %+v", n.Relays())
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	until(idOf(two.Self()).String(), idOf(one.Self()).String())
}

// With RelayOnly nobody is dialled but the named relay, whatever a hint says:
// no packet leaves for another address, through no relay of somebody else's.
func TestRelayOnlyDialsNobodyElse(t *testing.T) {
	relay := start(t, func(c *Config) { c.RelayFor = &RelayService{} })
	n := start(t, func(c *Config) { c.Relay, c.Relays = RelayOnly, relay.Addrs() })
	trap, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	knocked := make(chan struct{})
	go func() {
		if c, err := trap.Accept(); err == nil {
			c.Close()
			close(knocked)
		}
	}()
	defer trap.Close()
	at := ma.StringCast("/ip4/127.0.0.1/tcp/" + strings.Split(trap.Addr().String(), ":")[1]).String()
	victim := wire.PeerKey{1}
	if err := n.Connect(within(t), victim, []string{at}); err == nil {
		t.Error("a hint was dialled")
	}
	nonsense := at + "/p2p/" + idOf(relay.Self()).String() + "X"
	if err := n.Connect(within(t), victim, []string{nonsense}); err == nil {
		t.Error("nonsense was dialled")
	}
	stranger := start(t, nil)
	through := at + "/p2p/" + idOf(stranger.Self()).String() + "/p2p-circuit"
	if err := n.Connect(within(t), victim, []string{through}); err == nil {
		t.Error("a stranger's relay was dialled")
	}
	select {
	case <-knocked:
		t.Error("something knocked at the trap")
	default:
	}
	if n.Stats().Undialled == 0 {
		t.Error("nothing was counted")
	}
}

// Addresses that can be nobody's are not dialled, whoever tells them.
func TestHostileAddresses(t *testing.T) {
	n := start(t, nil)
	for _, a := range []string{
		"/ip4/0.0.0.0/tcp/22", "/ip6/::/tcp/22", "/ip4/224.0.0.251/udp/5353/quic-v1", "/ip4/255.255.255.255/udp/9/quic-v1",
		"/ip6/ff02::1/udp/9/quic-v1", "/ip6/fe80::1/tcp/22", "/ip4/127.0.0.1/tcp/0",
	} {
		if n.mayDial(idOf(wire.PeerKey{2}), ma.StringCast(a)) {
			t.Errorf("%s may be dialled", a)
		}
	}
	if !n.mayDial(idOf(wire.PeerKey{2}), ma.StringCast("/ip4/127.0.0.1/tcp/4")) {
		t.Error("a device for its own machine cannot dial there")
	}
	// However many a hint or record names, a bounded number is kept.
	var many []string
	for range 10_000 {
		many = append(many, "/ip4/224.0.0.251/tcp/22")
	}
	if got := len(addrInfo(wire.PeerKey{2}, many).Addrs); got != maxAddrs {
		t.Errorf("%d addresses are kept", got)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if n.Connect(ctx, wire.PeerKey{2}, many) == nil || n.Stats().Undialled == 0 {
		t.Error("nothing was refused")
	}
}
