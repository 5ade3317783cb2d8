package mesh

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"

	"mutuals/identity/wire"
)

func TestAddrs(t *testing.T) {
	a := start(t, nil)
	full := a.Addrs()
	if len(full) != 2 {
		t.Fatalf("addresses %q", full)
	}
	key, addr, err := ParseAddr(full[0])
	if err != nil || key != a.Self() {
		t.Fatalf("parsing %q: %v %v", full[0], key, err)
	}
	if back, err := FullAddr(key, addr); err != nil || back != full[0] {
		t.Errorf("%q, %v; want %q", back, err, full[0])
	}
	if back, err := FullAddr(key, full[0]); err != nil || back != full[0] {
		t.Errorf("with /p2p: %q, %v", back, err)
	}
	other := start(t, nil).Self()
	for _, bad := range []string{"", "x", "/ip4/1.2.3.4/tcp/1", "/p2p/" + idOf(key).String(), "/ip4/1.2.3.4/tcp/1/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"} {
		if _, _, err := ParseAddr(bad); !errors.Is(err, ErrBadAddr) {
			t.Errorf("ParseAddr(%q): %v", bad, err)
		}
	}
	if _, err := FullAddr(other, full[0]); !errors.Is(err, ErrBadAddr) {
		t.Errorf("another's address: %v", err)
	}
	// The ports chosen are the ones to come back with.
	listen := a.Bound()
	for _, l := range listen {
		if strings.Contains(l, "/tcp/0") || strings.Contains(l, "/udp/0/") {
			t.Errorf("listening on %q", l)
		}
	}
	a.Close()
	b := start(t, func(c *Config) { c.Listen = listen })
	if !slices.Equal(b.Bound(), listen) {
		t.Errorf("restarted on %q, want %q", b.Bound(), listen)
	}
}

func TestReach(t *testing.T) {
	for addr, want := range map[string]Reach{
		"/ip4/8.8.8.8/tcp/1": ReachPublic, "/ip4/192.168.1.2/udp/1/quic-v1": ReachLAN, "/ip4/127.0.0.1/tcp/1": ReachLoopback,
		"/ip6/::1/tcp/1": ReachLoopback, "/ip6/fe80::1/tcp/1": ReachLoopback, "/dns/example.org/tcp/1": ReachPublic, "?": ReachLoopback,
	} {
		if got := ReachOf(addr); got != want {
			t.Errorf("%s: %d, want %d", addr, got, want)
		}
	}
}

func TestRecord(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	rec := a.Record()
	key, addrs, seq, err := ParseRecord(rec)
	if err != nil || key != a.Self() || len(addrs) != 2 || seq == 0 {
		t.Fatalf("%v %q %d %v", key, addrs, seq, err)
	}
	if !bytes.Equal(a.Record(), rec) {
		t.Error("the record changed and the addresses did not")
	}
	if err := b.Connect(within(t), key, addrs); err != nil {
		t.Errorf("dialling by record: %v", err)
	}
	for i := range rec {
		bad := slices.Clone(rec)
		bad[i] ^= 1
		if k, _, _, err := ParseRecord(bad); err == nil && k == a.Self() {
			// A signature of Ed25519 and the lengths around it leave no room.
			t.Fatalf("record with byte %d changed is accepted", i)
		}
	}
	// A record about A that B signed.
	forged, err := record.Seal(peer.PeerRecordFromAddrInfo(peer.AddrInfo{ID: idOf(a.Self()), Addrs: b.host.Addrs()}), b.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := forged.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := ParseRecord(raw); err == nil {
		t.Error("a record signed by another is accepted")
	}
	if _, _, _, err := ParseRecord(make([]byte, maxRecord+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("oversize record: %v", err)
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x0a\x24\x08\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if key, addrs, _, err := ParseRecord(b); err == nil && (key == wire.PeerKey{} || len(addrs) > maxAddrs) {
			t.Error("accepted nonsense")
		}
	})
}

func FuzzParseAddr(f *testing.F) {
	f.Add("/ip4/1.2.3.4/tcp/1/p2p/12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5")
	f.Fuzz(func(t *testing.T, s string) {
		key, addr, err := ParseAddr(s)
		if err != nil {
			return
		}
		full, err := FullAddr(key, addr)
		if err != nil {
			t.Fatalf("%q came from %q and is refused: %v", addr, s, err)
		}
		if k, a, err := ParseAddr(full); err != nil || k != key || a != addr {
			t.Fatalf("%q → %q → %q", s, full, a)
		}
	})
}
