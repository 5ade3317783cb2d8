package mesh

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	"mutuals/identity/wire"
)

// faults remembers who did what no honest peer does, and shuts out for a while
// who goes on with it: no link with it in either direction. A member whose
// program has a bug is so back by itself; a stranger has new keys for nothing,
// and is held by the bounds of passers.go.
type faults struct {
	m  *Mesh
	mu sync.Mutex
	by map[peer.ID]*fault
}

// fault is what is remembered of one peer.
type fault struct {
	forgiven *rate.Limiter // what else it may do before it is shut out
	opens    *rate.Limiter // gossip streams it may still open
	count    int
	last     time.Time
	times    int       // how often it was shut out
	until    time.Time // it is shut out till then
	gray     bool      // its score was below GossipSub's gray list when last seen
}

func newFaults(m *Mesh) *faults { return &faults{m: m, by: map[peer.ID]*fault{}} }

// Blame notes that peer sent what no honest peer sends. Five times are forgiven,
// and one more each minute; beyond that it is shut out for half a minute, and
// twice as long each further time, up to ten minutes.
func (m *Mesh) Blame(peer wire.PeerKey) { m.faults.blame(idOf(peer), time.Now()) }

// Pardon forgets what peer did: for a caller whose person asks for a link to it.
func (m *Mesh) Pardon(peer wire.PeerKey) {
	m.faults.mu.Lock()
	delete(m.faults.by, idOf(peer))
	m.faults.mu.Unlock()
}

func (f *faults) blame(id peer.ID, now time.Time) {
	f.mu.Lock()
	e := f.of(id, now)
	e.count, e.last = e.count+1, now
	over := !e.forgiven.AllowN(now, 1)
	f.mu.Unlock()
	f.m.stats.faults.Add(1)
	if over {
		f.shun(id, now)
	}
}

// of returns the entry of a peer, made if need be; f.mu is held.
func (f *faults) of(id peer.ID, now time.Time) *fault {
	e := f.by[id]
	if e != nil && now.Sub(e.last) > faultsKept && now.After(e.until) {
		e = nil // long ago
	}
	if e == nil {
		if len(f.by) >= maxFaults {
			f.forget(now)
		}
		e = &fault{last: now, forgiven: rate.NewLimiter(rate.Every(forgiveEvery), forgiveBurst), opens: rate.NewLimiter(rate.Every(opensEvery), opensBurst)}
		f.by[id] = e
	}
	return e
}

// forget makes room: all that is old, else whoever is free again soonest.
func (f *faults) forget(now time.Time) {
	var first peer.ID
	for id, e := range f.by {
		switch {
		case now.Sub(e.last) > faultsKept && now.After(e.until):
			delete(f.by, id)
		case first == "" || e.until.Before(f.by[first].until) || e.until.Equal(f.by[first].until) && e.last.Before(f.by[first].last):
			first = id
		}
	}
	if len(f.by) >= maxFaults {
		delete(f.by, first)
	}
}

// shun shuts a peer out.
func (f *faults) shun(id peer.ID, now time.Time) {
	f.mu.Lock()
	e := f.of(id, now)
	if now.Before(e.until) {
		f.mu.Unlock()
		return
	}
	wait := shunMost
	if e.times < 16 {
		wait = min(shunFirst<<e.times, shunMost)
	}
	e.times++
	e.last, e.until = now, now.Add(wait)
	f.mu.Unlock()
	f.m.stats.shunned.Add(1)
	key, _ := keyOf(id)
	f.m.stats.once(f.m.log, "shun "+string(id), "mesh: a peer keeps breaking the rules and is shut out", "peer", key.Short(), "for", wait)
	_ = f.m.host.Network().ClosePeer(id)
}

// shut tells whether a peer is shut out.
func (f *faults) shut(id peer.ID, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.by[id]
	return e != nil && now.Before(e.until)
}

// opened counts a gossip stream; false if the peer opens one after another. An
// honest peer opens one a link; one that GossipSub reset because it could make
// nothing of a packet is opened anew by who means to go on.
func (f *faults) opened(id peer.ID, now time.Time) bool {
	f.mu.Lock()
	ok := f.of(id, now).opens.AllowN(now, 1)
	f.mu.Unlock()
	if !ok {
		f.blame(id, now)
	}
	return ok
}

// scored hears GossipSub's scores. A peer is shut out when its score falls below
// the gray list's, not as long as it is there: scores rest while a peer is away,
// and who comes back is to show whether it goes on.
func (f *faults) scored(scores map[peer.ID]float64) {
	now := time.Now()
	var fallen []peer.ID
	f.mu.Lock()
	for id, score := range scores {
		e := f.by[id]
		gray := score < grayScore
		if e == nil && !gray {
			continue
		}
		e = f.of(id, now)
		if gray && !e.gray {
			fallen = append(fallen, id)
		}
		e.gray = gray
	}
	f.mu.Unlock()
	for _, id := range fallen {
		f.shun(id, now)
	}
}

// ShutOut is a peer that broke the rules.
type ShutOut struct {
	Peer   wire.PeerKey
	Faults int       // how often in the last hour
	Until  time.Time // it is shut out till then
}

// ShutOut lists who is shut out at the moment, in no order.
func (m *Mesh) ShutOut() []ShutOut {
	now := time.Now()
	f := m.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []ShutOut
	for id, e := range f.by {
		if key, ok := keyOf(id); ok && now.Before(e.until) {
			out = append(out, ShutOut{Peer: key, Faults: e.count, Until: e.until})
		}
	}
	return out
}

// countOf tells how often a peer was blamed in the last hour.
func (f *faults) countOf(id peer.ID) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.by[id]; e != nil {
		return e.count
	}
	return 0
}
