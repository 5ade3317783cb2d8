package mesh

import (
	"context"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"

	"mutuals/identity/wire"
)

// The third gate: who brings a frame must be a member, and what it says must
// stand up to Judge.

// inspect takes out what from may not say, before GossipSub marks its hash as
// seen: else a stranger who got hold of a frame could bring it first and have
// the members' own copy dropped as a repetition.
func (g *gossip) inspect(from peer.ID, rpc *pubsub.RPC) error {
	tamePrunes(rpc)
	if len(rpc.Publish) == 0 || g.m.cfg.open(GateValidator) {
		return nil
	}
	kept := rpc.Publish[:0]
	for _, msg := range rpc.Publish {
		if g.maySpeak(from, msg) {
			kept = append(kept, msg)
			continue
		}
		g.m.stats.strangers.Add(1)
		key, _ := keyOf(from)
		g.m.stats.once(g.m.log, "stranger "+string(from), "mesh: frames refused from no member", "peer", key.Short())
	}
	rpc.Publish = kept
	return nil
}

func (g *gossip) maySpeak(from peer.ID, msg *pb.Message) bool {
	// What we have not joined GossipSub drops itself.
	return g.topic(msg.GetTopic()) == nil || g.allows(from, msg.GetTopic())
}

// validate runs Judge.
func (t *Topic) validate(_ context.Context, from peer.ID, msg *pubsub.Message) pubsub.ValidationResult {
	if from == t.g.m.host.ID() {
		return pubsub.ValidationAccept // what we publish has been judged by who wrote it
	}
	key, ok := keyOf(from)
	circle, frame, whole := frameOf(msg.Data)
	if t.g.m.cfg.open(GateValidator) {
		t.deliver(key, frame, nil)
		return pubsub.ValidationAccept
	}
	if !ok || t.left.Load() || !t.gate.Allow(key) {
		// Removed since inspect looked: not its fault.
		t.g.m.stats.strangers.Add(1)
		return pubsub.ValidationIgnore
	}
	if t.g.m.faults.shut(from, time.Now()) {
		return pubsub.ValidationIgnore // the rest of a flood: not worth a look
	}
	if !whole || len(frame) > MaxGossip {
		t.g.m.faults.blame(from, time.Now())
		return t.refused(from, "of a wrong length")
	}
	verdict, checked := t.gate.Judge(key, frame, t.known(circle, key))
	switch verdict {
	case Accept:
		t.deliver(key, frame, checked)
		return pubsub.ValidationAccept
	case Keep:
		// GossipSub passes on all that it takes: it is told to ignore this.
		t.deliver(key, frame, checked)
		return pubsub.ValidationIgnore
	case Ignore:
		t.g.m.stats.ignored.Add(1)
		return pubsub.ValidationIgnore
	default:
		return t.refused(from, "rejected by judge")
	}
}

// deliver hands a frame over, on GossipSub's one goroutine that judges: a
// subscription would take it by two more.
func (t *Topic) deliver(from wire.PeerKey, frame []byte, checked any) {
	t.g.m.stats.delivered.Add(1)
	t.gate.Deliver(from, frame, checked)
}

func (t *Topic) refused(from peer.ID, why string) pubsub.ValidationResult {
	m := t.g.m
	m.stats.rejected.Add(1)
	key, _ := keyOf(from)
	m.stats.once(m.log, "reject "+string(from), "mesh: bad frames from a member", "peer", key.Short(), "why", why)
	return pubsub.ValidationReject
}
