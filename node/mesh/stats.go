package mesh

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Stats counts since New. Every kind of loss is here: gossip drops in silence.
type Stats struct {
	Published, Delivered, Duplicates uint64 // frames
	Rejected, Ignored                uint64 // by Gate.Judge
	Strangers                        uint64 // frames from peers without a right to the topic
	Held                             uint64 // subscriptions kept aside by the gate
	DropsOut                         uint64 // packets not sent: a peer's queue was full
	DropsIn                          uint64 // frames lost here: validation or topic queue full
	StreamsRefused                   uint64 // beyond a bound of Handle
	Redials                          uint64 // dials of kept peers
}

// stats implements pubsub.RawTracer to see what GossipSub drops.
type stats struct {
	published, delivered, duplicates   atomic.Uint64
	rejected, ignored, strangers, held atomic.Uint64
	dropsOut, dropsIn                  atomic.Uint64
	streams, redials                   atomic.Uint64

	log    *slog.Logger
	missed func(topic string)

	mu   sync.Mutex
	said map[string]struct{}
}

// maxSaid bounds what log-once remembers; beyond it nothing more is logged.
const maxSaid = 1024

// once logs a line once for each subject.
func (s *stats) once(log *slog.Logger, subject, msg string, args ...any) {
	s.mu.Lock()
	_, again := s.said[subject]
	full := len(s.said) >= maxSaid
	if !again && !full {
		s.said[subject] = struct{}{}
	}
	s.mu.Unlock()
	if !again && !full {
		log.Warn(msg, args...)
	}
}

// Stats returns the counts so far.
func (m *Mesh) Stats() Stats {
	s := m.stats
	return Stats{
		Published: s.published.Load(), Delivered: s.delivered.Load(), Duplicates: s.duplicates.Load(),
		Rejected: s.rejected.Load(), Ignored: s.ignored.Load(),
		Strangers: s.strangers.Load(), Held: s.held.Load(),
		DropsOut: s.dropsOut.Load(), DropsIn: s.dropsIn.Load(),
		StreamsRefused: s.streams.Load(), Redials: s.redials.Load(),
	}
}

func (s *stats) lost(topic string) {
	s.dropsIn.Add(1)
	s.once(s.log, "in", "mesh: inbound queue full, frames dropped; sync will fetch them")
	s.missed(topic)
}

func (s *stats) RejectMessage(msg *pubsub.Message, reason string) {
	switch reason {
	case pubsub.RejectValidationQueueFull, pubsub.RejectValidationThrottled:
		s.lost(msg.GetTopic())
	}
}
func (s *stats) UndeliverableMessage(msg *pubsub.Message) { s.lost(msg.GetTopic()) }
func (s *stats) DropRPC(_ *pubsub.RPC, to peer.ID) {
	s.dropsOut.Add(1)
	key, _ := keyOf(to)
	s.once(s.log, "out "+string(to), "mesh: outbound queue full, packets dropped", "peer", key.Short())
}
func (s *stats) DuplicateMessage(*pubsub.Message)                     { s.duplicates.Add(1) }
func (s *stats) OnNewOutboundStream(peer.ID, protocol.ID)             {}
func (s *stats) OnClosedOutboundStream(peer.ID)                       {}
func (s *stats) Join(string)                                          {}
func (s *stats) Leave(string)                                         {}
func (s *stats) Graft(peer.ID, string)                                {}
func (s *stats) Prune(peer.ID, string)                                {}
func (s *stats) ValidateMessage(*pubsub.Message)                      {}
func (s *stats) DeliverMessage(*pubsub.Message)                       {}
func (s *stats) ThrottlePeer(peer.ID)                                 {}
func (s *stats) RecvRPC(*pubsub.RPC)                                  {}
func (s *stats) SendRPC(*pubsub.RPC, peer.ID)                         {}
func (s *stats) SendRPCCompleted(*pubsub.RPC, peer.ID, time.Duration) {}
