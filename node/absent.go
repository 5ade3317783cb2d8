package node

import (
	"sync"
	"time"

	"mutuals/identity/wire"
)

const (
	// absentFirst and absentMost bound how long a peer that could not be dialled
	// is passed over, twice as long each time: who is back dials too, so this
	// only matters when both sides chose somebody else.
	absentFirst, absentMost = 30 * time.Second, 10 * time.Minute
	// absentKept is how long after that it is remembered how often it was.
	absentKept = time.Hour
	// choosePause is between two choices of whom to dial: dials fail by the
	// dozen.
	choosePause = time.Second
)

// absences remembers which peers could not be dialled. Of a large group only
// some are dialled; were those the same whoever is there, a member whose
// neighbours on the ring all sleep would meet nobody.
type absences struct {
	mu   sync.Mutex
	of   map[wire.PeerKey]absence
	bell chan struct{} // capacity one: choose anew
}

// absence is how long a peer is passed over.
type absence struct {
	until time.Time
	wait  time.Duration
}

func newAbsences() *absences {
	return &absences{of: map[wire.PeerKey]absence{}, bell: make(chan struct{}, 1)}
}

// missed notes that a peer could not be dialled.
func (a *absences) missed(p wire.PeerKey, now time.Time) {
	a.mu.Lock()
	wait := min(max(2*a.of[p].wait, absentFirst), absentMost)
	a.of[p] = absence{now.Add(wait), wait}
	a.mu.Unlock()
	a.ring()
}

// met notes that a peer is linked.
func (a *absences) met(p wire.PeerKey) {
	a.mu.Lock()
	delete(a.of, p)
	a.mu.Unlock()
	a.ring()
}

// away tells whether a peer is to be passed over.
func (a *absences) away(p wire.PeerKey, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return now.Before(a.of[p].until)
}

// sweep forgets what is long over.
func (a *absences) sweep(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for p, b := range a.of {
		if now.Sub(b.until) > absentKept {
			delete(a.of, p)
		}
	}
}

func (a *absences) ring() {
	select {
	case a.bell <- struct{}{}:
	default:
	}
}

// chooseAnew chooses whom to dial whenever somebody was not there, or came.
func (n *Node) chooseAnew() {
	pause := time.NewTimer(choosePause)
	defer pause.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.absent.bell:
		}
		n.tuneKeeps()
		pause.Reset(choosePause)
		select {
		case <-n.ctx.Done():
			return
		case <-pause.C:
		}
	}
}
