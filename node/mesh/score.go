package mesh

import (
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
)

// degree is the shape of a topic's mesh: small, because groups are. Every
// link more is a copy more of every message, and an author hands his to all who
// are linked with him besides. Three links keep a mesh whole; what one loses all
// the same is fetched (IHAVE at the next heartbeat, sync).
func degree() pubsub.GossipSubParams {
	p := pubsub.DefaultGossipSubParams()
	p.D, p.Dlo, p.Dhi, p.Dout, p.Dscore, p.Dlazy = 3, 2, 4, 0, 1, 4
	p.IDontWantMessageThreshold = dontWant
	return p
}

// memberScore is what every peer starts with: gossip is open to members only,
// and one of them is forgiven one bad frame.
const memberScore = 10

// publishScore is below which a peer is not handed what this device says.
const publishScore = -50

// grayScore is below which GossipSub hears nothing of a peer.
const grayScore = -80

// score fits GossipSub's peer score to small groups that are silent for hours
// and share addresses: nobody is punished for being quiet or for living in
// one house, only for sending what we reject or breaking the mesh's rules.
func score() (*pubsub.PeerScoreParams, *pubsub.PeerScoreThresholds) {
	return &pubsub.PeerScoreParams{
			SkipAtomicValidation: true,
			// Left nil, the first topic's parameters panic.
			Topics:            map[string]*pubsub.TopicScoreParams{},
			AppSpecificScore:  func(peer.ID) float64 { return memberScore },
			AppSpecificWeight: 1,

			BehaviourPenaltyWeight:    -10,
			BehaviourPenaltyThreshold: 6,
			BehaviourPenaltyDecay:     0.9,

			DecayInterval: time.Second,
			DecayToZero:   0.01,
			RetainScore:   10 * time.Minute, // a reconnect does not wash clean
		}, &pubsub.PeerScoreThresholds{
			GossipThreshold:   -10,
			PublishThreshold:  publishScore,
			GraylistThreshold: grayScore,
		}
}

// topicScore: the square of the rejected frames counts. Two put a peer out of
// the mesh, three silence it for about 15 s, each more for longer.
func topicScore() *pubsub.TopicScoreParams {
	return &pubsub.TopicScoreParams{
		SkipAtomicValidation: true,
		TopicWeight:          1,
		// Left at 0, GossipSub divides by it on the first PRUNE and panics.
		TimeInMeshQuantum:              time.Second,
		InvalidMessageDeliveriesWeight: -20,
		InvalidMessageDeliveriesDecay:  0.9,
	}
}
