package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
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

// hearHave notes what a member says is on its disk, and pulls if that is more
// than is here.
func (r *room) hearHave(ctx context.Context, peer wire.PeerKey, entries groups.Vector) {
	r.step(ctx, func(c *commit) error {
		c.others = true
		r.note(c, peer, entries)
		if l := r.links[peer]; l != nil {
			r.hears(l, entries)
		}
		if !r.behind(entries) {
			return nil
		}
		wants := r.wants(r.vectorNow(), entries)
		switch l := r.links[peer]; {
		case l != nil && len(wants) == 0 && len(r.olderWants(entries)) > 0:
			l.pullSoon()
		case l == nil || len(wants) == 0:
		case groups.ChainKind(wants[0].Chain) == groups.Content:
			r.lackSoon(l, entries)
		default:
			l.pullNow() // what decides comes first, and is seldom
		}
		return nil
	})
}

// behind tells whether something may be missing of what a member says it has,
// without a look at all there is here: most haves are of what has just come.
func (r *room) behind(entries groups.Vector) bool {
	for i, e := range entries {
		at := chainOf{e.Inc, groups.ChainKind(e.Chain)}
		head, ok := r.heads[at]
		if r.olders[at] != nil {
			return true
		}
		forked := len(r.branches[at]) > 0 || i > 0 && entries[i-1].Inc == e.Inc && entries[i-1].Chain == e.Chain
		if !ok || forked || head.Seq < e.Seq || head.Seq == e.Seq && head.Head != e.Head {
			return true
		}
	}
	return false
}

// lackGrace is how long content that a peer has may still be on its way by
// gossip, before it is pulled: in a burst every member would else fetch from
// every other what the topic is about to bring. What is lost is so missed for
// this long, once somebody shows that there is more.
const lackGrace = 150 * time.Millisecond

// lackSoon notes that content is missing which a peer has: by the entries of
// its have, or, without, because what it brought builds on it.
func (r *room) lackSoon(l *link, entries groups.Vector) {
	if entries == nil {
		l.waits = true
	}
	for _, e := range entries {
		l.lacks = slices.DeleteFunc(l.lacks, func(old groups.VectorEntry) bool { return old.Inc == e.Inc && old.Chain == e.Chain })
		if len(l.lacks) < maxLacks {
			l.lacks = append(l.lacks, e)
		}
	}
	if r.lackDue == nil {
		r.lackDue = time.After(lackGrace)
	}
}

// maxLacks bounds the chains noted so of one peer: what a have may name. A pull
// asks for all that is missing anyway.
const maxLacks = groups.MaxHave

// pullLacks pulls what has not come by itself.
func (r *room) pullLacks() {
	r.lackDue = nil
	now := r.vectorNow()
	for peer, l := range r.links {
		lacks, waits := l.lacks.Sort(), l.waits && r.parked.by[peer].ops > 0
		l.lacks, l.waits = nil, false
		if waits || len(r.wants(now, lacks)) > 0 {
			l.pullNow()
		}
	}
}

// noteHeld notes a whole vector.
func (r *room) noteHeld(ctx context.Context, peer wire.PeerKey, v groups.Vector) {
	r.step(ctx, func(c *commit) error {
		c.others = true
		if id, ok := r.view.Load().speaksFor(peer); ok {
			// This is all it has: what it said before and does not now is no more.
			delete(r.claims, id)
		}
		r.hearOwn(v)
		r.note(c, peer, v)
		return nil
	})
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

const (
	// haveSlow is how often a device says what it holds of others' words, to
	// haveWide of its links in turn and to all harbors: whoever lacks a word needs to
	// hear of it once, and as many tell him as he tells. Most who do were told by
	// gossip's own IHAVE; an author hears of his own within a second.
	haveSlow = 10 * time.Second
	haveWide = 3
)

// gathers tells whether members may still be on their way to the epoch's topic,
// so that gossip cannot be counted on: what is missed there comes by haves.
func (r *room) gathers() bool {
	for _, t := range r.topics {
		if r.n.now().Sub(t.joined) <= topicGathers {
			return true
		}
	}
	return false
}

// owe tells linked members what changed, at most once a second to each.
func (r *room) owe() {
	r.haveDue = true
	if r.n.now().Sub(r.toldAt) >= roomTick {
		r.tellHave(false)
	}
}

// tellHave sends linked members the entries that changed since they were told
// last: each those that concern it, those whose turn it is all of them; all of
// them to everybody if these are the last words or a topic is new.
func (r *room) tellHave(last bool) {
	if !r.haveDue {
		return
	}
	r.haveDue = false
	now, at, v := r.vectorNow(), r.n.now(), r.view.Load()
	all := last || r.gathers()
	turn := r.turnOf(v, at)
	for peer, l := range r.links {
		if l.asksSoon(at) && !last {
			r.haveDue = true
			continue
		}
		late := !l.greetBy.IsZero()
		l.greetBy = time.Time{}
		changed := changedEntries(l.told, now)
		var rest groups.Vector
		if all || late || turn[peer] {
			l.toldAt = at
		} else if changed, rest = concerning(v, peer, changed); len(rest) > 0 {
			r.haveDue = true
		}
		if len(changed) > 0 {
			r.toldAt = at
			r.tellTo(l, now, changed, rest)
		}
	}
}

// asksSoon tells whether a link is so new that its other end is about to ask.
func (l *link) asksSoon(at time.Time) bool {
	wait := l.greetBy.Sub(at)
	return wait > 0 && wait <= greetWait
}

// answered notes that a member has asked, and knows all this from the answer. It may
// have known this device, and asked, before this one was told that it is there.
func (r *room) answered(peer wire.PeerKey, all groups.Vector) {
	r.tell(func(*commit) error {
		if r.links[peer] == nil && r.view.Load().knows(peer) && r.n.mesh.Connected(peer) {
			r.setLink(peer, true)
		}
		if l := r.links[peer]; l != nil && !l.greetBy.IsZero() {
			l.told, l.greetBy = all, time.Time{} // toldAt stays: who is back is among the next to be told
		}
		return nil
	})
}

// turnOf lists who is told of others' words now: none, if the last round is not
// long ago.
func (r *room) turnOf(v *view, at time.Time) map[wire.PeerKey]bool {
	if since := at.Sub(r.roundAt); since >= 0 && since < haveSlow {
		return nil
	}
	r.roundAt = at
	turn := map[wire.PeerKey]bool{}
	var members []*link
	for peer, l := range r.links {
		switch {
		case l.asksSoon(at):
		case v.harbor(peer):
			turn[peer] = true
		default:
			members = append(members, l)
		}
	}
	slices.SortFunc(members, func(a, b *link) int { return a.toldAt.Compare(b.toldAt) })
	for _, l := range members[:min(len(members), haveWide)] {
		turn[l.peer] = true
	}
	return turn
}

// concerning parts entries into those that a member waits for, of its account's
// words and of what decides, and the rest.
func concerning(v *view, peer wire.PeerKey, entries groups.Vector) (its, rest groups.Vector) {
	for _, e := range entries {
		if groups.ChainKind(e.Chain) != groups.Content || v.wroteIts(peer, e.Inc) {
			its = append(its, e)
		} else {
			rest = append(rest, e)
		}
	}
	return its, rest
}

// wroteIts tells whether a member's account wrote a chain.
func (v *view) wroteIts(peer wire.PeerKey, inc wire.OpID) bool {
	author, ok := v.state.Inc(inc)
	return ok && author.Account == v.holders[v.peers[peer]].account
}

// tellTo sends one member what changed since it was told last, but the rest,
// which it is still to be told.
func (r *room) tellTo(l *link, now, changed, rest groups.Vector) {
	for len(changed) > 0 {
		n := min(len(changed), groups.MaxHave)
		if !l.tellIt(&groups.SyncHave{Group: r.group, Entries: changed[:n]}) {
			return // it is far behind: it is told again with the next change
		}
		changed = changed[n:]
	}
	l.told = without(now, rest)
}

// hears notes that a member need not be told what it says itself; of its own
// words it waits to hear what others hold.
func (r *room) hears(l *link, entries groups.Vector) {
	v, now := r.view.Load(), r.vectorNow()
	rest := slices.DeleteFunc(changedEntries(l.told, now), func(e groups.VectorEntry) bool {
		if groups.ChainKind(e.Chain) != groups.Content || v.wroteIts(l.peer, e.Inc) {
			return false
		}
		_, said := slices.BinarySearchFunc(entries, e, groups.CompareEntries)
		return said
	})
	l.told = without(now, rest)
}

// without returns a vector but some of its entries.
func without(v, some groups.Vector) groups.Vector {
	if len(some) == 0 {
		return v
	}
	return slices.DeleteFunc(slices.Clone(v), func(e groups.VectorEntry) bool {
		_, found := slices.BinarySearchFunc(some, e, groups.CompareEntries)
		return found
	})
}

// changedEntries returns the entries of now that old does not have, both in
// order: of each member after each change, so by one walk.
func changedEntries(old, now groups.Vector) groups.Vector {
	var out groups.Vector
	for _, e := range now {
		for len(old) > 0 && groups.CompareEntries(old[0], e) < 0 {
			old = old[1:]
		}
		// Nor one of which something below has come meanwhile, to the last.
		if len(old) == 0 || groups.CompareEntries(old[0], e) != 0 || (old[0].Floor <= 1) != (e.Floor <= 1) {
			out = append(out, e)
		}
	}
	return out
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
