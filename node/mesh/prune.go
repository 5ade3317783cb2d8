package mesh

import (
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"google.golang.org/protobuf/proto"
)

// tamePrunes takes out of a packet what GossipSub would do for whoever sends it a
// PRUNE: dial those named in it, at any address (that peer exchange is off says only
// that we name nobody), and remember a pause for as long as it asks, long after its
// sender is gone.
func tamePrunes(rpc *pubsub.RPC) {
	for _, p := range rpc.GetControl().GetPrune() {
		p.Peers = nil
		if most := uint64(maxBackoff / time.Second); p.GetBackoff() > most {
			p.Backoff = proto.Uint64(most)
		}
	}
}
