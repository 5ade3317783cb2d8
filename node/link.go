package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/mesh"
)

const (
	// linkQueue is how many messages wait for one peer; a peer that is further
	// behind is told less and pulls what it misses.
	linkQueue = 512
	// pullPause is the least time between two pulls from one peer that were
	// not asked for by a gap: a vector changes with every message.
	pullPause = 150 * time.Millisecond
	// pullRetry is how long after a failed pull the next is tried while the
	// peer stays connected.
	pullRetry = 2 * time.Second
	// pullsAtOnce is how many linked members are asked at once. Who comes back to a
	// large group gets some twenty links in a moment, all of whom have what it
	// lacks: asked together, each would say all that it has (75 KB in a group of
	// 500); after the first few, digests are equal. turnWait is how long the others
	// wait for them, of whom some may be slow, or gone without a word.
	pullsAtOnce = 3
	turnWait    = 500 * time.Millisecond
	// resync and resyncMost bound how long a member is not asked though it said
	// nothing: what it said may have been lost with a stream. Between them it is
	// as long as the group was silent, and a quarter more or less, so that not
	// all ask at once. Equal digests cost a stream and a hello each way.
	resync     = time.Minute
	resyncMost = 16 * time.Minute
	// greetWait is how long a member whose link is new has to ask by itself: it is
	// answered with all there is here, or that it has that too, and a have would say
	// so once more (75 KB in a group of 500, to each of some twenty). Longer than
	// turnWait and a slow round trip.
	greetWait = 3 * time.Second
)

// link is what a room keeps for one connected member: a stream on which it
// tells unasked what changed (have, wraps, fresh operations), and one pull at
// a time.
type link struct {
	peer    wire.PeerKey
	out     chan *outgoing // pointers: a queue takes its room whether anything waits or not
	ask     chan struct{}  // capacity one: a pull is due
	urgent  chan struct{}  // capacity one: do not wait for a retry, something changed
	closing bool           // last is closed
	last    chan struct{}  // closed when the node is about to end: what waits is the last
	ended   chan struct{}  // closed when nothing more will be told
	cancel  context.CancelFunc
	told    groups.Vector // what was told last
	toldAt  time.Time     // and when
	// answeredAt is when it asked for all there is, and before what it had been told
	// by then: the answer may be on its way for a while.
	answeredAt time.Time
	before     groups.Vector
	// greetBy is until when it is told nothing, because it is about to ask for all
	// there is; zero once it did, or did not.
	greetBy time.Time
	// lacks is content the peer says it has that is not here, waits is whether
	// what it brought waits for content: gossip may still bring it.
	lacks groups.Vector
	waits bool
	// keysAt is when to ask for keys it did not give, zero if none; keysWait
	// the wait before that.
	keysAt   time.Time
	keysWait time.Duration
	// topicAt is when a harbor may be told the topic of the epoch topicOf again.
	topicAt time.Time
	topicOf [32]byte
	// lobbyTold is what it was last told of where holders of codes look.
	lobbyTold [32]byte
	lobbyWait time.Duration   // the pause before that is tried again
	ctx       context.Context // ends with the link
	// receiptsAt is when it may be told receipts again after it took none.
	receiptsAt time.Time
}

// outgoing is an encoded message, and the own content that is in it, of seq 0
// for none.
type outgoing struct {
	b    []byte
	have bool // it says what is held here
	inc  wire.OpID
	seq  uint64
}

// tellIt queues a message; it is dropped when the peer is far behind.
func (l *link) tellIt(m groups.SyncMessage) bool {
	_, have := m.(*groups.SyncHave)
	return l.tellOut(&outgoing{b: groups.EncodeSync(m), have: have})
}

func (l *link) tellOut(o *outgoing) bool {
	select {
	case l.out <- o:
		return true
	default:
		return false
	}
}

// pullSoon asks for a pull; one that is due already serves for both.
func (l *link) pullSoon() {
	select {
	case l.ask <- struct{}{}:
	default:
	}
}

// pullNow asks for a pull that does not wait after one that failed: the peer
// said something that makes it worth trying again.
func (l *link) pullNow() {
	l.pullSoon()
	select {
	case l.urgent <- struct{}{}:
	default:
	}
}

// setLink begins or ends the link to a peer; on the room's goroutine.
func (r *room) setLink(peer wire.PeerKey, up bool) {
	old := r.links[peer]
	switch {
	case up && old == nil:
		ctx, cancel := context.WithCancel(r.n.ctx)
		l := &link{peer: peer, out: make(chan *outgoing, linkQueue), ask: make(chan struct{}, 1), urgent: make(chan struct{}, 1),
			last: make(chan struct{}), ended: make(chan struct{}), ctx: ctx, cancel: cancel, greetBy: r.n.now().Add(greetWait)}
		r.links[peer] = l
		r.lobbyAt = r.n.now()
		l.pullSoon()
		r.haveDue = true // unless it asks before
		r.greetReceipts(l)
		r.n.wg.Go(func() { r.keepTelling(ctx, l) })
		r.n.wg.Go(func() { r.keepPulling(ctx, l) })
	case !up && old != nil:
		old.cancel()
		delete(r.links, peer)
		if len(r.links) == 0 {
			r.n.rdv.ring()
		}
	}
}

func (r *room) closeLinks() {
	for peer := range r.links {
		r.setLink(peer, false)
	}
}

// resyncWait is how long to wait for a reason to ask a member linked since began.
func (r *room) resyncWait(began time.Time) time.Duration {
	silent := r.n.now().Sub(time.UnixMilli(max(r.tookAt.Load(), began.UnixMilli())))
	wait := min(max(silent, resync), resyncMost)
	return wait*3/4 + rand.N(wait/2)
}

// keepPulling pulls whenever it is due, until the link ends.
func (r *room) keepPulling(ctx context.Context, l *link) {
	began := r.n.now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.ask:
		case <-time.After(r.resyncWait(began)):
		}
		leave := r.turnToPull(ctx)
		err := r.pull(ctx, l.peer)
		leave()
		pause := pullPause
		switch {
		case errors.Is(err, errCrowded):
			// The room asks for a pull once there is space.
		case err != nil && ctx.Err() == nil:
			r.log.Debug("a pull failed", "peer", l.peer.Short(), "err", err)
			pause = pullRetry
			l.pullSoon()
		}
		if err == nil {
			r.pulled(l.peer)
		}
		select {
		case <-ctx.Done():
			return
		case <-l.urgent:
		case <-time.After(pause):
		}
	}
}

// turnToPull waits for one of a few places from which members are asked, for
// turnWait at most; leave gives it up.
func (r *room) turnToPull(ctx context.Context) (leave func()) {
	wait := time.NewTimer(turnWait)
	defer wait.Stop()
	select {
	case r.pulls <- struct{}{}:
		return func() { <-r.pulls }
	case <-wait.C:
	case <-ctx.Done():
	}
	return func() {}
}

// hearTeller reads what a member tells unasked. The first have names the
// group of all that follows.
func (n *Node) hearTeller(ctx context.Context, s *mesh.Stream, first *groups.SyncHave) error {
	r := n.room(first.Group)
	if r == nil || !r.view.Load().knows(s.Peer()) {
		return nil // we may not have heard of its admission yet: it pulls and tells again
	}
	var m groups.SyncMessage = first
	for {
		if !r.view.Load().knows(s.Peer()) {
			return nil
		}
		var err error
		switch m := m.(type) {
		case *groups.SyncHave:
			if m.Group != r.group {
				return fmt.Errorf("%w: a have for another group", errStep)
			}
			r.hearHave(ctx, s.Peer(), m.Entries)
		case *groups.Segment:
			_, err = r.takeSegment(ctx, s.Peer(), m)
		case *groups.SyncWraps:
			err = r.hearWraps(ctx, m)
		default:
			err = fmt.Errorf("%w: a teller tells", errStep)
		}
		if err != nil {
			return err
		}
		// A group may be silent for days. The stream ends with its connection,
		// and streams of one peer are counted.
		b, err := s.AwaitFrame(groups.MaxSyncFrame)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if m, err = groups.DecodeSync(b); err != nil {
			return err
		}
	}
}

// askBack has what a peer holds fetched, by whoever noticed that something is
// missing.
func (r *room) askBack(peer wire.PeerKey) {
	r.later.mu.Lock()
	if r.later.asked == nil {
		r.later.asked = map[wire.PeerKey]bool{}
	}
	r.later.asked[peer] = true
	r.later.mu.Unlock()
	r.later.ring()
}

// hearWraps keeps a wrap set that a rekey's author hands to holders.
func (r *room) hearWraps(ctx context.Context, m *groups.SyncWraps) error {
	if m.Group != r.group {
		return fmt.Errorf("%w: wraps for another group", errStep)
	}
	return r.step(ctx, func(c *commit) error {
		r.keepWraps(c, m.Rekey, m.Leaves)
		return nil
	})
}

// wrapHolders is how many linked members get the whole wrap set with the rekey,
// beside the harbors: with the author gone, there are still some to ask.
const wrapHolders = 3

// handWraps gives a wrap set to every linked harbor and to some linked members.
func (r *room) handWraps(set *groups.SyncWraps) {
	v, given := r.view.Load(), 0
	for peer, l := range r.links {
		harbor := v.harbor(peer)
		if !harbor && given == wrapHolders {
			continue
		}
		if l.tellIt(set) && !harbor {
			given++
		}
	}
}
