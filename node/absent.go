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
	// hangsAfter is how soon a dial that has no answer is not waited for alone: who is
	// there answers sooner from anywhere; who sleeps behind a router never does, and is
	// missed only when the dial is given up, after 5 to 15 s.
	hangsAfter = time.Second
	// maxHanging is how many peers may be awaited, in all groups, for others to be dialled
	// beside those that hang.
	maxHanging = 256
)

// absences remembers which peers could not be dialled, and of whom that is not known yet.
// Of a large group only
// some are dialled; were those the same whoever is there, a member whose
// neighbours on the ring all sleep would meet nobody.
type absences struct {
	mu      sync.Mutex
	of      map[wire.PeerKey]absence
	awaited map[wire.PeerKey]time.Time // who was chosen then, and has neither come nor been missed yet
	bell    chan struct{}              // capacity one: choose anew
	over    chan struct{}              // capacity one: nobody is awaited any more
}

// absence is how long a peer is passed over.
type absence struct {
	until time.Time
	wait  time.Duration
}

func newAbsences() *absences {
	return &absences{
		of: map[wire.PeerKey]absence{}, awaited: map[wire.PeerKey]time.Time{},
		bell: make(chan struct{}, 1), over: make(chan struct{}, 1),
	}
}

// missed notes that a peer could not be dialled.
func (a *absences) missed(p wire.PeerKey, now time.Time) {
	a.mu.Lock()
	wait := min(max(2*a.of[p].wait, absentFirst), absentMost)
	a.of[p] = absence{now.Add(wait), wait}
	a.settle(p)
	a.mu.Unlock()
	ring(a.bell)
}

// met notes that a peer is linked.
func (a *absences) met(p wire.PeerKey) {
	a.mu.Lock()
	delete(a.of, p)
	a.settle(p)
	a.mu.Unlock()
	ring(a.bell)
}

// await notes that a peer is about to be dialled for the first time since it was
// chosen.
func (a *absences) await(p wire.PeerKey, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.awaited[p] = now
}

// awaitedSince tells since when a peer is awaited, if it is.
func (a *absences) awaitedSince(p wire.PeerKey) (since time.Time, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	since, ok = a.awaited[p]
	return since, ok
}

// waiting is how many are awaited.
func (a *absences) waiting() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.awaited)
}

// forgo notes that a peer is not chosen any more, or was linked before.
func (a *absences) forgo(p wire.PeerKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.awaited, p)
}

// settle notes that a peer came or was missed; mu is held.
func (a *absences) settle(p wire.PeerKey) {
	if _, ok := a.awaited[p]; !ok {
		return
	}
	if delete(a.awaited, p); len(a.awaited) == 0 {
		ring(a.over)
	}
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

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// chooseAnew chooses whom to dial whenever somebody was not there, or came, and while
// somebody is awaited: once in choosePause, and at once when of those chosen nobody is left
// to wait for. That ends by itself, for each is awaited once, and passed over when it was
// missed.
func (n *Node) chooseAnew() {
	pause := time.NewTimer(choosePause)
	defer pause.Stop()
	for {
		if n.absent.waiting() == 0 {
			select {
			case <-n.ctx.Done():
				return
			case <-n.absent.bell:
			}
		}
		n.tuneKeeps()
		pause.Reset(choosePause)
		select {
		case <-n.ctx.Done():
			return
		case <-pause.C:
		case <-n.absent.over:
		}
	}
}
