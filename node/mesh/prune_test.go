package mesh

import (
	"math"
	"testing"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"google.golang.org/protobuf/proto"
)

// Of what a PRUNE asks for nothing is left that outlives its sender, or that would
// have us dial somebody, in groups and in the lobby.
func TestTamedPrunes(t *testing.T) {
	n := start(t, func(c *Config) { c.Lobby = func([32]byte, []byte) Verdict { return Accept } })
	for name, inspect := range map[string]func(*pubsub.RPC) error{
		"in a group":   func(rpc *pubsub.RPC) error { return n.gossip.inspect("a peer", rpc) },
		"in the lobby": func(rpc *pubsub.RPC) error { return n.lobby.hall.inspect("a peer", rpc) },
	} {
		prune := func(pause uint64) *pb.ControlPrune {
			return &pb.ControlPrune{TopicID: proto.String("t"), Backoff: proto.Uint64(pause), Peers: []*pb.PeerInfo{{PeerID: []byte("somebody")}}}
		}
		rpc := &pubsub.RPC{RPC: pb.RPC{Control: &pb.ControlMessage{Prune: []*pb.ControlPrune{prune(10), prune(math.MaxUint64)}}}}
		if err := inspect(rpc); err != nil {
			t.Fatal(err)
		}
		for i, want := range []uint64{10, 60} {
			if p := rpc.Control.Prune[i]; p.GetBackoff() != want || len(p.Peers) > 0 {
				t.Errorf("%s: a pause of %d s, %d peers to dial", name, p.GetBackoff(), len(p.Peers))
			}
		}
	}
}
