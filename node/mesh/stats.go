package mesh

import (
	"log/slog"
	"sync"
	"sync/atomic"
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
	Undialled                        uint64 // addresses that may not be dialled
	RelayRefused                     uint64 // requests refused here as a relay
	Listed                           uint64 // times this device was listed in the directory
	Unmet                            uint64 // strangers of the directory that were not dialled
	Faults                           uint64 // what peers sent that no honest peer sends
	Shunned                          uint64 // times a peer was shut out for that
	Turned                           uint64 // links refused to who is shut out or blocked
	Crowded                          uint64 // strangers' links closed for being too many
	LobbyFrames                      uint64 // heard on lobby topics, and passed on
	LobbyRefused                     uint64 // frames, topics and streams of the lobby that were too much, or forged
}

type stats struct {
	published, delivered, duplicates   atomic.Uint64
	rejected, ignored, strangers, held atomic.Uint64
	dropsOut, dropsIn                  atomic.Uint64
	streams, redials                   atomic.Uint64
	undialled, relayRefused            atomic.Uint64
	listed, unmet                      atomic.Uint64
	faults, shunned, turned, crowded   atomic.Uint64
	lobbyFrames, lobbyRefused          atomic.Uint64

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
		Undialled: s.undialled.Load(), RelayRefused: s.relayRefused.Load(),
		Listed: s.listed.Load(), Unmet: s.unmet.Load(),
		Faults: s.faults.Load(), Shunned: s.shunned.Load(), Turned: s.turned.Load(), Crowded: s.crowded.Load(),
		LobbyFrames: s.lobbyFrames.Load(), LobbyRefused: s.lobbyRefused.Load(),
	}
}

func (s *stats) lost(topic string) {
	s.dropsIn.Add(1)
	s.once(s.log, "in", "mesh: inbound queue full, frames dropped; sync will fetch them")
	s.missed(topic)
}
