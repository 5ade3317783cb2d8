package node

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
)

// A code reaches as far as its farthest hint; own public addresses that others
// found shut serve the local network at most, another's are taken at their word.
func TestCodeReach(t *testing.T) {
	keyOf := func(seed byte) (k wire.PeerKey) {
		copy(k[:], ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)).Public().(ed25519.PublicKey))
		return k
	}
	self, mate := keyOf(1), keyOf(2)
	hint := func(peer wire.PeerKey, addr string) []byte {
		t.Helper()
		b, err := invites.PackHint(invites.Hint{Addr: addr, Peer: peer})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const loopback, lan, public = "/ip4/127.0.0.1/tcp/1", "/ip4/192.168.1.2/tcp/1", "/ip4/8.8.4.4/udp/1/quic-v1"
	for _, c := range []struct {
		name  string
		hints [][]byte
		shut  bool
		want  string
	}{
		{"no hint", nil, false, api.ReachNone},
		{"unreadable", [][]byte{{0xff}}, false, api.ReachNone},
		{"loopback", [][]byte{hint(self, loopback)}, false, api.ReachMachine},
		{"lan", [][]byte{hint(self, lan), hint(self, loopback)}, false, api.ReachNetwork},
		{"public", [][]byte{hint(self, loopback), hint(self, public)}, false, api.ReachPublic},
		{"public but shut", [][]byte{hint(self, public), hint(self, loopback)}, true, api.ReachNetwork},
		{"a member's", [][]byte{hint(self, public), hint(mate, public)}, true, api.ReachPublic},
	} {
		if got := codeReach(c.hints, self, c.shut); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
