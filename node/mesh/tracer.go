package mesh

import (
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// tracer hears from GossipSub what it drops, and when it can send to a peer.
// GossipSub's own loop calls it: nothing here may block.
type tracer struct {
	*stats
	g *gossip
}

func (t tracer) RejectMessage(msg *pubsub.Message, reason string) {
	switch reason {
	case pubsub.RejectValidationQueueFull, pubsub.RejectValidationThrottled:
		t.lost(msg.GetTopic())
	}
}

func (t tracer) UndeliverableMessage(msg *pubsub.Message) { t.lost(msg.GetTopic()) }

func (t tracer) DuplicateMessage(*pubsub.Message) { t.duplicates.Add(1) }

func (t tracer) DropRPC(rpc *pubsub.RPC, to peer.ID) {
	if len(rpc.GetPublish()) == 0 {
		return // chatter: GossipSub says it again
	}
	t.dropsOut.Add(1)
	key, _ := keyOf(to)
	t.once(t.log, "out "+string(to), "mesh: outbound queue full, packets dropped", "peer", key.Short())
}

func (t tracer) OnNewOutboundStream(id peer.ID, _ protocol.ID) { t.g.reachable(id, true) }
func (t tracer) OnClosedOutboundStream(id peer.ID)             { t.g.reachable(id, false) }

func (tracer) Join(string)                                          {}
func (tracer) Leave(string)                                         {}
func (tracer) Graft(peer.ID, string)                                {}
func (tracer) Prune(peer.ID, string)                                {}
func (tracer) ValidateMessage(*pubsub.Message)                      {}
func (tracer) DeliverMessage(*pubsub.Message)                       {}
func (tracer) ThrottlePeer(peer.ID)                                 {}
func (tracer) RecvRPC(*pubsub.RPC)                                  {}
func (tracer) SendRPC(*pubsub.RPC, peer.ID)                         {}
func (tracer) SendRPCCompleted(*pubsub.RPC, peer.ID, time.Duration) {}
