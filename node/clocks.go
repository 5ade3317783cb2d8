package node

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

const (
	// clockOff is how far this clock may be from the median of the others':
	// under half of what makes operations held (groups.MaxAheadMs), so that who
	// writes here is not held there.
	clockOff = 2 * time.Minute
	// clockAccounts is how many accounts it takes to call this clock wrong: of
	// three one may lie.
	clockAccounts = 3
	// maxClocks bounds the accounts that are remembered: past it one more does
	// not move the median.
	maxClocks = 64
	// clockFresh is how long what was heard counts: a comparison is due hourly.
	clockFresh = 2 * time.Hour
	// clockFar is the largest difference that is told apart, ten years in ms: no
	// number somebody makes up overflows.
	clockFar = 10 * 365 * 24 * 3600 * 1000
	// clockRTT is the slowest answer that tells a time: it blurs it by half.
	clockRTT = 10 * time.Second
	// clockStep is how far time of day and time that passed may part before
	// this clock must have been set, or the machine slept: what was heard
	// before is worth nothing then.
	clockStep = time.Minute
	// clockWait is how long a message waits for a comparison after such a step.
	clockWait = 2 * time.Second
	// clockHeld is how long operations that came from the future speak against
	// this clock.
	clockHeld = 10 * time.Minute
)

// clocks compares this clock with those of the members it syncs with
// (PROTOCOLS.md N13).
type clocks struct {
	mu    sync.Mutex
	heard map[wire.AccountID]heardClock
	// held is when an operation of somebody was held last, for being ahead.
	held    map[wire.AccountID]time.Time
	state   string // as it was found last
	changed signal
}

// heardClock is what an account's clock said.
type heardClock struct {
	theirs, mine uint64    // ms, at that moment
	at           time.Time // the same moment, by time that passed
}

// hear notes what somebody's clock said between two moments.
func (c *clocks) hear(a wire.AccountID, theirs, mine uint64, asked, answered time.Time) {
	rtt := answered.Sub(asked)
	if theirs == 0 || rtt > clockRTT {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.heard == nil {
		c.heard = map[wire.AccountID]heardClock{}
	}
	if _, known := c.heard[a]; !known && len(c.heard) >= maxClocks {
		return
	}
	theirs = min(max(theirs+uint64(rtt.Milliseconds()/2), mine-min(mine, clockFar)), mine+clockFar)
	c.heard[a] = heardClock{theirs: theirs, mine: mine, at: answered}
	c.changed.tell()
}

// stepped forgets everything if the clock was set, or the machine slept, since
// it was heard; it tells whether it did.
func (c *clocks) stepped(nowMs uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.heard {
		step := time.Duration(int64(nowMs)-int64(h.mine))*time.Millisecond - time.Since(h.at)
		if step.Abs() > clockStep {
			clear(c.heard)
			clear(c.held)
			return true
		}
	}
	return false
}

// compare tells how this clock stands to the others.
func (c *clocks) compare(nowMs uint64) api.Clock {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ahead []time.Duration
	for a, h := range c.heard {
		since := time.Since(h.at)
		if since > clockFresh {
			delete(c.heard, a)
			continue
		}
		ahead = append(ahead, time.Duration(int64(nowMs)-int64(h.theirs))*time.Millisecond-since)
	}
	for a, at := range c.held {
		if time.Since(at) > clockHeld {
			delete(c.held, a)
		}
	}
	off := median(ahead)
	out := api.Clock{State: api.ClockUnknown, AheadMs: off.Milliseconds(), Accounts: len(ahead)}
	switch enough := len(ahead) >= clockAccounts; {
	case enough && off.Abs() > clockOff:
		out.State = api.ClockIsWrong
	case enough:
		out.State = api.ClockRight
	case off.Abs() > clockOff, len(c.held) > 0:
		out.State = api.ClockDoubtful
	}
	return out
}

// median is the middle of some differences; of two in the middle the one that
// says less against this clock.
func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	a, b := d[(len(d)-1)/2], d[len(d)/2]
	if cmp.Less(b.Abs(), a.Abs()) {
		return b
	}
	return a
}

// ahead notes that an operation was held because it is ahead of this clock.
func (c *clocks) ahead(by wire.AccountID, hlc, nowMs uint64) {
	if hlc <= nowMs+groups.MaxAheadMs || by.IsZero() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		c.held = map[wire.AccountID]time.Time{}
	}
	if len(c.held) < maxClocks {
		c.held[by] = time.Now()
	}
}

// onTime notes that somebody wrote at a time this clock agrees with: then it
// is the clock of the others that is ahead.
func (c *clocks) onTime(by wire.AccountID, hlc, nowMs uint64) {
	if age := time.Duration(int64(nowMs)-int64(hlc)) * time.Millisecond; by.IsZero() || age.Abs() > clockOff {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.held)
}

// hearClock notes a member's clock from the answer to a hello.
func (n *Node) hearClock(r *room, peer wire.PeerKey, theirs uint64, asked time.Time) {
	v := r.view.Load()
	inc, ok := v.state.Inc(v.peers[peer])
	if !ok || inc.Account == n.dev.account() {
		return
	}
	n.clocks.hear(inc.Account, theirs, n.nowMs(), asked, time.Now())
	n.watchClock()
}

// watchClock says so when this clock turns out wrong, or right again.
func (n *Node) watchClock() {
	now := n.clocks.compare(n.nowMs())
	n.clocks.mu.Lock()
	was := n.clocks.state
	n.clocks.state = now.State
	n.clocks.mu.Unlock()
	if now.State == was || now.State != api.ClockIsWrong && was != api.ClockIsWrong {
		return
	}
	n.log.Warn("this clock was compared with others'", "found", now.State, "ahead", differs(now))
	n.hub.tell(api.Event{Type: api.EventDoctorWarning, At: n.now().UTC(), Object: jsonOf(clockFinding(now))})
}

// clockWrong is why nothing may be written now, nil if it may.
func (n *Node) clockWrong() *api.Problem {
	if n.clocks.stepped(n.nowMs()) {
		n.askClocks()
		return nil
	}
	if now := n.clocks.compare(n.nowMs()); now.State == api.ClockIsWrong {
		return api.NewProblem(api.ClockWrong, "difference", differs(now))
	}
	return nil
}

// askClocks compares with every linked member anew.
func (n *Node) askClocks() {
	for _, r := range n.openRooms() {
		r.tell(func(*commit) error {
			for _, l := range r.links {
				l.pullNow()
			}
			return nil
		})
	}
}

// awaitClock waits a little, after this clock was set, until enough of the
// linked members said theirs.
func (n *Node) awaitClock(ctx context.Context) {
	enough := min(n.clocks.compare(n.nowMs()).Accounts, clockAccounts)
	if !n.clocks.stepped(n.nowMs()) {
		return
	}
	n.askClocks()
	ctx, cancel := context.WithTimeout(ctx, clockWait)
	defer cancel()
	for {
		changed := n.clocks.changed.wait()
		if n.clocks.compare(n.nowMs()).Accounts >= enough {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// differs tells a difference as people say it.
func differs(c api.Clock) string {
	d := time.Duration(c.AheadMs) * time.Millisecond
	return d.Abs().Round(time.Second).String()
}

// clockFinding is what doctor says of the clock.
func clockFinding(c api.Clock) api.Finding {
	ahead := c.AheadMs >= 0
	switch c.State {
	case api.ClockIsWrong:
		if ahead {
			return api.NewFinding(api.FoundClockAhead, differs(c))
		}
		return api.NewFinding(api.FoundClockBehind, differs(c))
	case api.ClockDoubtful:
		switch far := (time.Duration(c.AheadMs) * time.Millisecond).Abs() > clockOff; {
		case far && ahead:
			return api.NewFinding(api.FoundClockMaybeAhead, differs(c))
		case far:
			return api.NewFinding(api.FoundClockMaybeBehind, differs(c))
		}
		return api.NewFinding(api.FoundClockMaybeSlow)
	case api.ClockRight:
		return api.NewFinding(api.FoundClockAgrees)
	}
	return api.NewFinding(api.FoundClockAlone)
}
