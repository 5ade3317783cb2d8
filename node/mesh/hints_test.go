package mesh

import (
	"testing"

	ma "github.com/multiformats/go-multiaddr"
)

// What others reached, or an own interface has, is worth more than what a router
// shows of us.
func TestKindsOfAddresses(t *testing.T) {
	ifaces := []ma.Multiaddr{ma.StringCast("/ip4/31.0.0.5"), ma.StringCast("/ip4/192.168.1.2")}
	reached := []ma.Multiaddr{ma.StringCast("/ip4/31.0.0.9/tcp/7")}
	relay := "/p2p/" + idOf([32]byte{1}).String() + "/p2p-circuit"
	for addr, want := range map[string]kind{
		"/ip4/31.0.0.5/tcp/7":          kindOpen,
		"/ip4/31.0.0.9/tcp/7":          kindOpen,
		"/ip4/31.0.0.9/udp/7/quic-v1":  kindGuess,
		"/ip4/31.0.0.7/tcp/7" + relay:  kindCircuit,
		"/ip4/192.168.1.2/tcp/7":       kindLAN,
		"/ip4/127.0.0.1/tcp/7":         kindHere,
		"/ip4/127.0.0.1/tcp/7" + relay: kindCircuit,
		"/ip4/31.0.0.33/udp/7/quic-v1": kindGuess,
	} {
		m, err := ma.NewMultiaddr(addr)
		if err != nil {
			t.Fatal(addr, err)
		}
		if got := addrKind(m, reached, ifaces); got != want {
			t.Errorf("%s is of kind %d, want %d", addr, got, want)
		}
	}
}
