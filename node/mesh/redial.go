package mesh

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/p2p/net/swarm"

	"mutuals/identity/wire"
)

// redial holds links open: libp2p does not dial again by itself.
type redial struct {
	m  *Mesh
	wg sync.WaitGroup

	mu     sync.Mutex
	closed bool
	kept   map[wire.PeerKey]*keeper
	spread time.Time     // when one peer's return last made us try all
	alone  time.Time     // since when nobody at all is linked; zero: somebody is, or never was
	turn   chan struct{} // closed, and made anew, when a dial ended or a peer came
}

// keeper holds the link to one peer.
type keeper struct {
	peer  wire.PeerKey
	addrs func() []string
	stop  context.CancelFunc
	// nudge asks for a dial now: the link was lost, an address was learnt, the
	// network changed (true: the wait starts over), or another peer is back.
	nudge chan bool
	last  Try // of redial.mu
}

// Try is how a kept peer that is not linked is dialled.
type Try struct {
	Peer wire.PeerKey
	At   time.Time // of the last dial; zero: none has ended
	Next time.Time // of the next one; past: it is under way
	Why  string    // why the last one failed
}

// Tries lists the kept peers that are not linked, ordered by key.
func (m *Mesh) Tries() []Try {
	r := m.redial
	r.mu.Lock()
	out := make([]Try, 0, len(r.kept))
	for p, k := range r.kept {
		t := k.last
		t.Peer = p
		out = append(out, t)
	}
	r.mu.Unlock()
	out = slices.DeleteFunc(out, func(t Try) bool { return m.Connected(t.Peer) })
	slices.SortFunc(out, func(a, b Try) int { return slices.Compare(a.Peer[:], b.Peer[:]) })
	return out
}

// whyNot tells in few words why a dial failed: at most maxWhys addresses, with
// what each said.
func whyNot(err error) string {
	var all *swarm.DialError
	switch {
	case errors.Is(err, swarm.ErrNoAddresses):
		return "no address is known"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer"
	case !errors.As(err, &all) || len(all.DialErrors) == 0:
		return clip(errors.Unwrap(err).Error())
	}
	var out []string
	for _, e := range all.DialErrors[:min(len(all.DialErrors), maxWhys)] {
		why := clip(e.Cause.Error())
		if errors.Is(e.Cause, context.DeadlineExceeded) {
			why = "no answer"
		}
		out = append(out, e.Address.String()+": "+why)
	}
	return strings.Join(out, "; ")
}

func newRedial(m *Mesh) *redial {
	return &redial{m: m, kept: map[wire.PeerKey]*keeper{}, turn: make(chan struct{})}
}

// turned tells who waits that a dial ended or a peer came; r.mu is held.
func (r *redial) turned() {
	close(r.turn)
	r.turn = make(chan struct{})
}

// Keep holds a link to peer open until Forget: it dials at once, and again,
// with a growing and jittered wait between 0.5 s and 2 minutes, whenever there
// is no link. addrs is asked before each dial, so it may tell what is newest;
// it may be nil. Keeping a kept peer replaces addrs and dials now.
func (m *Mesh) Keep(peer wire.PeerKey, addrs func() []string) {
	if peer != m.self {
		m.redial.keep(peer, addrs)
	}
}

// Forget ends Keep; the link stays as long as it lives by itself.
func (m *Mesh) Forget(peer wire.PeerKey) {
	r := m.redial
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.kept[peer]; k != nil {
		k.stop()
		delete(r.kept, peer)
	}
}

// RedialAll dials every kept peer that is not linked, now: for a caller that
// knows the machine woke up.
func (m *Mesh) RedialAll() { m.redial.wakeAll() }

// TryAll is RedialAll that returns when each kept peer is linked or was tried,
// or ctx has ended.
func (m *Mesh) TryAll(ctx context.Context) {
	began := time.Now()
	m.RedialAll()
	for {
		m.redial.mu.Lock()
		turn := m.redial.turn
		m.redial.mu.Unlock()
		if !slices.ContainsFunc(m.Tries(), func(t Try) bool { return t.At.Before(began) }) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-turn:
		}
	}
}

func (r *redial) keep(peer wire.PeerKey, addrs func() []string) {
	if addrs == nil {
		addrs = func() []string { return nil }
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if old := r.kept[peer]; old != nil {
		old.stop()
	}
	ctx, stop := context.WithCancel(r.m.ctx)
	k := &keeper{peer: peer, addrs: addrs, stop: stop, nudge: make(chan bool, 1)}
	r.kept[peer] = k
	r.wg.Add(1)
	go func() {
		defer r.wg.Done()
		defer stop()
		r.hold(ctx, k)
	}()
}

func (r *redial) hold(ctx context.Context, k *keeper) {
	wait := redialFirst
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case fresh := <-k.nudge:
			if fresh {
				wait = redialFirst
			}
		}
		if r.m.Connected(k.peer) {
			wait = redialFirst
			timer.Stop() // until a nudge says that the link is gone
			continue
		}
		if !r.begin(ctx) {
			return
		}
		_, patience := r.pace(wait)
		dial, cancel := context.WithTimeout(ctx, patience)
		err := r.m.Connect(dial, k.peer, k.addrs())
		cancel()
		if err == nil {
			wait = redialFirst
			r.mu.Lock()
			r.turned()
			r.mu.Unlock()
			continue // a lost link nudges
		}
		if ctx.Err() != nil {
			return
		}
		r.m.log.Debug("mesh: redial failed", "peer", k.peer.Short(), "wait", wait)
		pause, _ := r.pace(wait)
		now, next := time.Now(), pause/2+rand.N(pause/2+1)
		r.mu.Lock()
		k.last = Try{At: now, Next: now.Add(next), Why: whyNot(err)}
		r.turned()
		r.mu.Unlock()
		if r.m.cfg.OnAbsent != nil {
			r.m.cfg.OnAbsent(k.peer)
		}
		// Half the wait is random, or all members of a group that lost the same
		// peer knock in step.
		timer.Reset(next)
		wait = min(2*wait, redialMost)
	}
}

// pace gives how long to wait between two dials of a peer, and how long a dial
// may take. Who lost every link has most likely lost the way out, for a while:
// then it looks every few seconds whether that is back, and hangs on no dial that
// began before it was.
func (r *redial) pace(wait time.Duration) (pause, patience time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.alone.IsZero() || time.Since(r.alone) > aloneFor {
		return wait, dialTimeout
	}
	few := max(1, time.Duration(len(r.kept))/aloneFew)
	return min(wait, alonePause*few), aloneDial
}

// lonely notes whether anybody is linked.
func (r *redial) lonely(yes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !yes:
		r.alone = time.Time{}
	case r.alone.IsZero():
		r.alone = time.Now()
	}
}

// begin counts a dial, unless the peer has been forgotten: once Forget has
// returned, no dial begins.
func (r *redial) begin(ctx context.Context) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	r.m.stats.redials.Add(1)
	return true
}

// wake dials a kept peer now.
func (r *redial) wake(peer wire.PeerKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.kept[peer]; k != nil {
		k.push(true)
	}
}

func (r *redial) wakeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.kept {
		k.push(true)
	}
}

// connected lets the peer's wait start over, and tries the others once: if
// one is back after a cut, so may they be, and a healed group is whole within
// seconds although each wait had grown to minutes.
func (r *redial) connected(peer wire.PeerKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.kept[peer]; k != nil {
		k.push(true)
	}
	r.turned()
	now := time.Now()
	if now.Sub(r.spread) < spreadEvery {
		return
	}
	r.spread = now
	for _, k := range r.kept {
		k.push(false)
	}
}

func (k *keeper) push(fresh bool) {
	select {
	case k.nudge <- fresh:
	default:
	}
}

func (r *redial) close() {
	r.mu.Lock()
	r.closed = true
	for p, k := range r.kept {
		k.stop()
		delete(r.kept, p)
	}
	r.mu.Unlock()
	r.wg.Wait()
}
