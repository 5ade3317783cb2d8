package invites

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"

	W "mutuals/identity/wire"
)

func someKey(rnd *rand.ChaCha8) W.PeerKey {
	var seed [32]byte
	rnd.Read(seed[:])
	return W.PeerKey(ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey))
}

func someHint(t testing.TB, rnd *rand.ChaCha8) []byte {
	t.Helper()
	bits := rnd.Uint64()
	ip := netip.AddrFrom4([4]byte{byte(bits>>8)%223 + 1, byte(bits >> 16), byte(bits >> 24), byte(bits >> 32)})
	if bits&1 == 1 {
		var b [16]byte
		rnd.Read(b[:])
		b[0] = 0x20
		ip = netip.AddrFrom16(b)
	}
	h := Hint{Addr: addrText(byte(bits>>1)%3, ip, uint16(bits>>40)|1), Peer: someKey(rnd)}
	if bits&8 != 0 {
		h.Relay = someKey(rnd)
	}
	b, err := PackHint(h)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestHintsRoundTrip(t *testing.T) {
	rnd := chacha(4)
	key, relay := someKey(rnd), someKey(rnd)
	for _, c := range []struct {
		addr string
		size int
	}{
		{"/ip4/1.2.3.4/udp/4001/quic-v1", 39},
		{"/ip4/127.0.0.1/tcp/1", 39},
		{"/ip4/192.168.1.2/tcp/65535/ws", 39},
		{"/ip6/2001:db8::1/udp/4001/quic-v1", 51},
		{"/ip6/::1/tcp/4001", 51},
	} {
		for _, h := range []Hint{{c.addr, key, W.PeerKey{}}, {c.addr, key, relay}} {
			b, err := PackHint(h)
			if err != nil {
				t.Fatalf("%s: %v", c.addr, err)
			}
			if want := c.size; !h.Circuit() && len(b) != want {
				t.Errorf("%s: %d bytes, want %d", c.addr, len(b), want)
			}
			if got, err := UnpackHint(b); err != nil || got != h {
				t.Errorf("%s: got %+v, %v", c.addr, got, err)
			}
		}
	}
}

func TestHintsThatNameNoAddressAreRefused(t *testing.T) {
	rnd := chacha(5)
	key := someKey(rnd)
	for _, addr := range []string{
		"", "/", "/ip4", "1.2.3.4:4001", "/dns4/example.org/tcp/443", "/dnsaddr/example.org",
		"/ip4/example.org/tcp/1", "/ip4/0.0.0.0/tcp/1", "/ip6/::/tcp/1", "/ip4/224.0.0.1/udp/1/quic-v1",
		"/ip6/ff02::1/tcp/1", "/ip4/255.255.255.255/tcp/1", "/ip6/::ffff:1.2.3.4/tcp/1", "/ip6/fe80::1%eth0/tcp/1",
		"/ip4/1.2.3.4/tcp/0", "/ip4/1.2.3.4/tcp/65536", "/ip4/1.2.3.4/tcp/01", "/ip4/1.2.3.4/udp/1", "/ip4/1.2.3.4/udp/1/quic",
		"/ip4/1.2.3.4/tcp/1/tls/ws", "/ip4/1.2.3.4/tcp/1/", "/ip4/1.2.3.4/tcp/1/p2p/x", "/ip6/1.2.3.4/tcp/1", "/ip4/::1/tcp/1",
		"/ip4/01.2.3.4/tcp/1", "/ip6/2001:DB8::1/tcp/1", "/ip6/2001:db8:0::1/tcp/1",
	} {
		if _, err := PackHint(Hint{Addr: addr, Peer: key}); !errors.Is(err, ErrBadHint) {
			t.Errorf("%q: got %v", addr, err)
		}
	}
	addr := "/ip4/1.2.3.4/tcp/1"
	for name, h := range map[string]Hint{
		"no peer":          {Addr: addr},
		"small order":      {Addr: addr, Peer: W.PeerKey{1}},
		"relay is itself":  {Addr: addr, Peer: key, Relay: key},
		"relay is no key":  {Addr: addr, Peer: key, Relay: W.PeerKey{2}},
		"peer is no point": {Addr: addr, Peer: W.PeerKey{2}},
	} {
		if _, err := PackHint(h); !errors.Is(err, ErrBadHint) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Three addresses of one device cost its key once.
func TestHintsOfOnePeerShareItsKey(t *testing.T) {
	rnd := chacha(6)
	key := someKey(rnd)
	var hints [][]byte
	for _, addr := range []string{"/ip4/1.2.3.4/udp/4001/quic-v1", "/ip4/1.2.3.4/tcp/4001", "/ip6/2001:db8::1/tcp/4001"} {
		b, err := PackHint(Hint{Addr: addr, Peer: key})
		if err != nil {
			t.Fatal(err)
		}
		hints = append(hints, b)
	}
	joined := joinHints(hints)
	if len(joined) != 39+7+19 {
		t.Errorf("%d bytes", len(joined))
	}
	split, ok := splitHints(joined)
	if !ok || len(split) != 3 {
		t.Fatal("does not split again")
	}
	for i := range split {
		if !bytes.Equal(split[i], hints[i]) {
			t.Errorf("hint %d changed", i)
		}
	}
	if _, ok := splitHints(bytes.Join(hints, nil)); ok {
		t.Error("a key said twice was accepted: two encodings of one list")
	}
	if _, ok := splitHints(append(joined, joined[:7]...)); ok {
		t.Error("a fourth, cut hint was accepted")
	}
	if _, err := UnpackHint(joined[39:46]); err == nil {
		t.Error("a hint without its key was accepted alone")
	}
}

func FuzzUnpackHint(f *testing.F) {
	rnd := chacha(7)
	for range 8 {
		f.Add(someHint(f, rnd))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := UnpackHint(b); err == nil {
			if again, err := PackHint(h); err != nil || !bytes.Equal(again, b) {
				t.Fatalf("%+v packs otherwise: %v", h, err)
			}
		}
		if hints, ok := splitHints(b); ok && !bytes.Equal(joinHints(hints), b) {
			t.Fatal("a list joins otherwise")
		}
	})
}
