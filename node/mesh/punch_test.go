package mesh

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// What a router is shows by what two peers at different addresses see of us; two
// at one address say as much as one.
func TestKindOfRouter(t *testing.T) {
	at := func(us, from string) sight { return sight{ma.StringCast(us), ma.StringCast(from)} }
	const (
		us    = "/ip4/31.0.0.9/udp/4101/quic-v1"
		other = "/ip4/31.0.0.9/udp/4102/quic-v1"
		r1    = "/ip4/31.0.0.1/udp/1/quic-v1"
		r1too = "/ip4/31.0.0.1/udp/2/quic-v1"
		r2    = "/ip4/31.0.0.2/udp/1/quic-v1"
		tcp   = "/ip4/31.0.0.9/tcp/4101"
	)
	behind, open := []ma.Multiaddr{ma.StringCast("/ip4/192.168.1.2")}, []ma.Multiaddr{ma.StringCast("/ip4/31.0.0.9")}
	for _, c := range []struct {
		name   string
		ifaces []ma.Multiaddr
		seen   map[peer.ID]*[2]sight
		want   NAT
	}{
		{"nobody", behind, nil, NATUnknown},
		{"one", behind, map[peer.ID]*[2]sight{"a": {at(us, r1)}}, NATUnknown},
		{"two at one address", behind, map[peer.ID]*[2]sight{"a": {at(us, r1)}, "b": {at(other, r1too)}}, NATUnknown},
		{"two agree", behind, map[peer.ID]*[2]sight{"a": {at(us, r1)}, "b": {at(us, r2)}}, NATCone},
		{"two differ", behind, map[peer.ID]*[2]sight{"a": {at(us, r1)}, "b": {at(other, r2)}}, NATSymmetric},
		{"over TCP", behind, map[peer.ID]*[2]sight{"a": {1: at(tcp, r1)}, "b": {1: at(tcp, r2)}}, NATCone},
		{"one over each", behind, map[peer.ID]*[2]sight{"a": {at(us, r1)}, "b": {1: at(tcp, r2)}}, NATUnknown},
		{"own address", open, map[peer.ID]*[2]sight{"a": {at(us, r1)}}, NATNone},
	} {
		if got := natKind(c.seen, c.ifaces); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
