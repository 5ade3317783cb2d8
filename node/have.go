package node

import (
	"context"
	"slices"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
)

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

// pullLacks pulls what has not come by itself. What several have is pulled from one;
// whether he has brought it is seen after as long again.
func (r *room) pullLacks() {
	r.lackDue = nil
	now, asked := r.vectorNow(), map[chainOf]uint64{}
	for peer, l := range r.links {
		l.lacks = l.lacks.Sort()
		// Not all that it named: some has come, and what lies behind a gap is not to be had of it.
		wants, waits := r.wants(now, l.lacks), l.waits && r.parked.by[peer].ops > 0
		l.waits = false
		fresh := slices.ContainsFunc(wants, func(w groups.Want) bool {
			to, ok := asked[placeOf(w)]
			return !ok || to < w.To // a member may name a number of 0
		})
		if len(wants) > 0 && !fresh && !waits {
			if r.lackDue == nil {
				r.lackDue = time.After(lackGrace)
			}
			continue
		}
		if len(wants) > 0 || waits {
			l.pullNow()
		}
		for _, w := range wants {
			asked[placeOf(w)] = max(asked[placeOf(w)], w.To)
		}
		l.lacks = nil
	}
}

func placeOf(w groups.Want) chainOf { return chainOf{w.Inc, groups.ChainKind(w.Chain)} }

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
// last: each those that concern it and what gossip did not bring here, for it
// will have passed by others too; those whose turn it is all of them; all of them to
// everybody if these are the last words or a topic is new.
func (r *room) tellHave(last bool) {
	if !r.haveDue && !last { // at last those who were only answered too
		return
	}
	r.haveDue = false
	now, at, v := r.vectorNow(), r.n.now(), r.view.Load()
	all, passed := last || r.gathers(), r.passed.take()
	turn := r.turnOf(v, at)
	for peer, l := range r.links {
		if l.asksSoon(at) && !last {
			r.haveDue = true
			continue
		}
		late := !l.greetBy.IsZero()
		l.greetBy = time.Time{}
		told := l.told
		if last && at.Sub(l.answeredAt) < lastWords {
			told = l.before // the answer may end with this node
		}
		changed := changedEntries(told, now)
		var rest groups.Vector
		if all || late || turn[peer] {
			l.toldAt = at
		} else if changed, rest = concerning(v, peer, changed, passed); len(rest) > 0 {
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
			l.answeredAt, l.before = r.n.now(), l.told
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
// words, of what decides and of what passed gossip by, and the rest.
func concerning(v *view, peer wire.PeerKey, entries groups.Vector, passed map[chainOf]bool) (its, rest groups.Vector) {
	for _, e := range entries {
		at := chainOf{e.Inc, groups.ChainKind(e.Chain)}
		if at.chain != groups.Content || passed[at] || v.wroteIts(peer, e.Inc) {
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
