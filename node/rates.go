package node

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"mutuals/groups"
	"mutuals/identity/wire"
)

// maxLimiters bounds remembered limiters; who was forgotten starts with a full
// bucket, which is what a new peer has too.
const maxLimiters = 4096

// rates bounds what others may make this node do.
type rates struct {
	mu                                      sync.Mutex
	hellos, keys, directs, content, control limiters
	blames, lines, autos, restores, welcome limiters
	harbors, farewells, records             limiters
	receipts, reads                         limiters
}

// limiters are token buckets by whom they bound.
type limiters struct {
	every rate.Limit
	burst int
	by    map[[32]byte]*rate.Limiter
}

func newRates() *rates {
	return &rates{
		hellos:  limiters{every: rate.Every(time.Minute / joinsPerMinute), burst: joinsPerMinute},
		keys:    limiters{every: rate.Every(time.Minute / keysPerMinute), burst: keysPerMinute},
		directs: limiters{every: rate.Every(time.Second), burst: maxDirectFrames},
		content: limiters{every: 1000, burst: 10_000},                  // far above what people say
		control: limiters{every: rate.Every(time.Minute), burst: 1000}, // a group that fills up at once
		autos:   limiters{every: rate.Every(3 * time.Hour), burst: 8},  // past it a person looks
		harbors: limiters{every: rate.Every(time.Minute / harborsPerMinute), burst: harborsPerMinute},
		// A receipt of each device of the largest group when it comes; then one a
		// second for each of a dozen groups.
		receipts: limiters{every: 16, burst: 2048},
		reads:    limiters{every: 1, burst: 8}, // what a device says in a group of one
		// It may come back for what became of it in each of its groups.
		farewells: limiters{every: rate.Every(time.Minute), burst: 5},
		// A dialogue at a link and one every ten minutes; all peers together.
		restores: limiters{every: rate.Every(time.Minute / restoresPerMinute), burst: restoresPerMinute},
		welcome:  limiters{every: rate.Every(time.Minute / restoresOfAll), burst: restoresOfAll},
		// A machine that moves between networks tells a new address each time; each
		// that is kept costs a sync of the disk.
		records: limiters{every: rate.Every(time.Minute), burst: 10},
		blames:  limiters{every: rate.Every(time.Minute), burst: 5},
		lines:   limiters{every: rate.Every(10 * time.Minute), burst: 2},
	}
}

func (r *rates) ask(l *limiters, who [32]byte) bool { return r.askN(l, who, 1) }

func (r *rates) askN(l *limiters, who [32]byte, n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := l.by[who]
	if b == nil {
		if l.by == nil || len(l.by) >= maxLimiters {
			l.by = map[[32]byte]*rate.Limiter{}
		}
		b = rate.NewLimiter(l.every, l.burst)
		l.by[who] = b
	}
	return b.AllowN(time.Now(), n)
}

func (r *rates) hello(p wire.PeerKey) bool  { return r.ask(&r.hellos, p) }
func (r *rates) record(p wire.PeerKey) bool { return r.ask(&r.records, p) }
func (r *rates) key(p wire.PeerKey) bool    { return r.ask(&r.keys, p) }
func (r *rates) harbor(p wire.PeerKey) bool { return r.ask(&r.harbors, p) }
func (r *rates) direct(p wire.PeerKey) bool { return r.ask(&r.directs, p) }

func (r *rates) receipt(p wire.PeerKey, n int) bool {
	return r.askN(&r.receipts, p, n)
}

// read tells whether one more receipt of a device is passed on.
func (r *rates) read(inc wire.OpID) bool { return r.ask(&r.reads, inc) }

// farewell tells whether a device that ended is told so once more; else it is
// let go of without a word, or its dialling would hold a link open.
func (r *rates) farewell(p wire.PeerKey) bool { return r.ask(&r.farewells, p) }

func (r *rates) restore(p wire.PeerKey) bool {
	return r.ask(&r.restores, p) && r.ask(&r.welcome, wire.PeerKey{})
}

// autoAccept tells whether one more seat that a mutual offers is taken unasked.
func (r *rates) autoAccept(a wire.AccountID) bool { return r.ask(&r.autos, a) }

// allow tells whether n more gossiped operations of an incarnation are passed
// on; over it they wait for sync and nobody is punished.
func (r *rates) allow(inc wire.OpID, chain groups.ChainKind, n int) bool {
	if chain == groups.Control {
		return r.askN(&r.control, inc, n)
	}
	return r.askN(&r.content, inc, n)
}

// blame notes that a peer sent what no honest peer sends. It is logged a few
// times; a peer that goes on is shut out for a while (PROTOCOLS.md N6).
func (n *Node) blame(peer wire.PeerKey, refusal *groups.Refusal) {
	if peer == (wire.PeerKey{}) || refusal.Reason.Class() != groups.ClassReject {
		return
	}
	n.blameStream(peer, refusal)
}

// blameStream is blame for what is no operation.
func (n *Node) blameStream(peer wire.PeerKey, err error) {
	if !misbehaves(err) {
		return
	}
	// Peer keys are free, so all peers together have a bound too: the zero key's.
	if n.rates.ask(&n.rates.lines, peer) && n.rates.ask(&n.rates.blames, wire.PeerKey{}) {
		n.log.Warn("a peer sent what no honest peer sends", "peer", peer.Short(), "err", err)
	}
	n.mesh.Blame(peer)
}

// counted is a set of things that are open, each at most some times.
type counted struct {
	mu   sync.Mutex
	most int
	open map[wire.OpID]int
}

func (c *counted) enter(id wire.OpID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[id] >= c.most {
		return false
	}
	if c.open == nil {
		c.open = map[wire.OpID]int{}
	}
	c.open[id]++
	return true
}

func (c *counted) leave(id wire.OpID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[id]--; c.open[id] <= 0 {
		delete(c.open, id)
	}
}
