package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/store"
)

// Who lacks much is given the newest of it first (groups/SYNC.md Y12): each chain
// then has a hole between what was here and what came, which fills from above.

const (
	// tailFrom is how many operations of content a device lacks before it asks
	// for the newest first: fewer are here within a tenth of a second.
	tailFrom = 2048
	// tailOps is about how many it asks for at first, of all chains together:
	// a page of fifty, whoever wrote it, and some to scroll. tailLeast and
	// tailMost bound that of one chain.
	tailOps   = 1024
	tailLeast = groups.SignedEvery
	tailMost  = 4 * groups.SignedEvery
	// olderLeast and olderMost bound how much of one chain is asked for at once
	// while older history fills in: a segment, so that all chains come down
	// together; and of few chains more, so that the way is not what they wait for.
	olderLeast = groups.MaxSegmentOps
	olderMost  = 4096
)

// older is the hole in a chain of content whose newest operations came first.
type older struct {
	base  uint64     // the newest that is held below the hole; 0: nothing is
	above *groups.Op // the oldest that is held above it
}

// missing counts what is still to come.
func (o *older) missing() uint64 { return o.above.Seq - 1 - o.base }

// inHole tells whether an operation belongs into a hole.
func (r *room) inHole(op *groups.Op) bool {
	o := r.olders[chainOf{op.IncID(), op.Chain}]
	return o != nil && op.Seq > o.base && op.Seq < o.above.Seq
}

// loadOlders finds the holes a catch-up left that was cut off.
func (r *room) loadOlders(tx *store.Tx, heads []store.HeadRow) error {
	r.olders = map[chainOf]*older{}
	for _, h := range heads {
		if groups.ChainKind(h.Chain) != groups.Content || h.Floor <= h.Base+1 || r.office != nil {
			continue
		}
		ops, err := tx.Op(r.group, h.Inc, h.Chain, h.Floor)
		if err != nil {
			return err
		}
		if len(ops) == 0 {
			return fmt.Errorf("%w: the floor of a chain is not there", store.ErrDamaged)
		}
		op, refusal := groups.Reread(ops[0].Frame)
		if refusal != nil {
			return fmt.Errorf("%w: operation %s: %v", store.ErrDamaged, ops[0].ID.Short(), refusal)
		}
		r.olders[chainOf{h.Inc, groups.Content}] = &older{base: h.Base, above: op}
	}
	return nil
}

// takesTail tells whether a run of content may be taken in above a hole: it was
// asked for, and nothing speaks against its author.
func (r *room) takesTail(ops []*groups.Op) bool {
	first := ops[0]
	at := chainOf{first.IncID(), first.Chain}
	return first.Seq > r.nextSeq(at.inc, at.chain) && r.mayTail(at)
}

// mayTail tells whether a chain may be asked for from its newest end.
func (r *room) mayTail(at chainOf) bool {
	if r.office != nil || at.chain != groups.Content || at.inc == r.me || r.upward[at] || r.olders[at] != nil {
		return false
	}
	if _, asked := r.below[at]; asked {
		return false // of two branches one is to be found out
	}
	_, named := r.named[at.inc]
	return !named && r.forks[at.inc] == nil
}

// takeTail takes in the first operation of a run above a hole, if it holds; what
// follows is judged as ever.
func (r *room) takeTail(c *commit, from wire.PeerKey, first *groups.Op) bool {
	at := chainOf{first.IncID(), first.Chain}
	prev, ok := first.Prev.Get()
	if v := r.g.JudgeHistory(first).Verdict; !ok || v != groups.Accept && v != groups.Void {
		r.upward[at] = true
		return false
	}
	hole := &older{base: r.heads[at].Seq, above: first}
	before, had := r.heads[at]
	_, id, _ := r.g.ChainHead(at.inc, at.chain)
	r.olders[at] = hole
	r.g.Restore(at.inc, at.chain, first.Seq-1, prev)
	r.setHead(at, groups.VectorEntry{Inc: at.inc, Chain: uint64(at.chain), Seq: first.Seq - 1, Head: groups.HeadOf(prev), Floor: first.Seq})
	if v := r.judge(c, from, first, true); v == groups.Accept || v == groups.Void {
		return true
	}
	// From the future, say.
	r.upward[at] = true
	delete(r.olders, at)
	r.dropHead(at)
	if had {
		r.setHead(at, before)
	}
	r.g.Restore(at.inc, at.chain, before.Seq, id)
	return false
}

// leads tells whether a run leads into a hole.
func (r *room) leads(ctx context.Context, ops []*groups.Op) (leads bool) {
	r.step(ctx, func(*commit) error { leads = r.leadsInto(ops) > 0; return nil })
	return leads
}

// ingestOlder takes in the end of a hole, from its upper edge down; it returns
// how many operations were new. What does not lead to the edge is left: it was
// asked for before that moved.
func (r *room) ingestOlder(c *commit, run []*groups.Op) (got int) {
	at := chainOf{run[0].IncID(), run[0].Chain}
	hole := r.olders[at]
	if r.upward[at] {
		return 0 // about to be let go
	}
	for _, op := range slices.Backward(run) {
		if op.Seq != hole.above.Seq-1 {
			return got
		}
		j := r.g.JudgeBelow(op, hole.above)
		switch j.Verdict {
		case groups.Accept, groups.Void:
		case groups.Park, groups.Hold:
			return got
		default:
			r.dropTail(c, at, j.Reason)
			return got
		}
		r.takeOlder(c, op)
		hole.above = op
		got++
		if op.Seq-1 == hole.base {
			r.closeHole(c, at)
			return got
		}
	}
	return got
}

// takeOlder notes what to write of an operation below the floor of its chain.
func (r *room) takeOlder(c *commit, op *groups.Op) {
	at := chainOf{op.IncID(), op.Chain}
	head := r.heads[at]
	head.Floor = op.Seq
	r.setHead(at, head)
	c.taken = append(c.taken, op)
	c.dirty = true
	r.noteHead(c, at)
	r.write(c, op)
	if op.HLC < r.retainedFrom() {
		// Looked at again, though what is above was.
		r.bodies.dropped[at.inc] = min(r.bodies.dropped[at.inc], op.Seq-1)
	}
}

// closeHole joins what came with what was here before.
func (r *room) closeHole(c *commit, at chainOf) {
	hole := r.olders[at]
	prev, goesOn := hole.above.Prev.Get()
	if hole.base > 0 {
		below := r.storedAt(at, hole.base)
		if below == nil {
			return // cannot be read: the hole stays, and is found again at the next start
		}
		if !goesOn || prev != below.ID || r.g.JudgeBelow(below, hole.above).Verdict == groups.Reject {
			r.dropTail(c, at, groups.ReasonBehindHead)
			return
		}
	}
	delete(r.olders, at)
	head := r.heads[at]
	head.Floor = 1
	r.setHead(at, head)
	r.noteHead(c, at)
	r.haveDue = true // that all is here now is worth telling
}

// dropTail lets what came above a hole go: in order it would not have been
// accepted. From then on the chain is asked for from below.
func (r *room) dropTail(c *commit, at chainOf, why groups.Reason) {
	r.log.Warn("a chain does not hang together", "inc", at.inc.Short(), "seq", r.olders[at].above.Seq, "reason", why)
	c.dirty = true
	r.upward[at] = true
	c.then(func() { r.tell(r.dropTails) })
}

// dropTails lets go of what dropTail said, as much as one transaction takes.
func (r *room) dropTails(c *commit) error {
	for at := range r.upward {
		hole := r.olders[at]
		if hole == nil {
			continue
		}
		if err := r.letGo(c, at, hole.above.Seq); err != nil {
			return err
		}
		c.then(func() { r.tell(r.dropTails) })
		return nil
	}
	return nil
}

// noteHead has the head of a content chain written as memory has it.
func (r *room) noteHead(c *commit, at chainOf) {
	seq, id, _ := r.g.ChainHead(at.inc, at.chain)
	c.head(at, store.Head{Seq: seq, ID: id, Floor: r.heads[at].Floor, Base: r.baseOf(at)})
}

func (r *room) baseOf(at chainOf) uint64 {
	if hole := r.olders[at]; hole != nil {
		return hole.base
	}
	return 0
}

// dropHole makes what is below a hole the whole of the chain that is held.
func (r *room) dropHole(c *commit, at chainOf) error {
	hole := r.olders[at]
	delete(r.olders, at)
	delete(c.heads, at)
	if hole.base == 0 {
		r.g.Restore(at.inc, at.chain, 0, wire.OpID{})
		r.dropHead(at)
		c.row(func(tx *store.Tx) error { return tx.DeleteHead(r.group, at.inc, uint8(at.chain)) })
		return nil
	}
	ops, err := r.heldFrom(at, hole.base, hole.base)
	if err != nil {
		return err
	}
	if len(ops) != 1 {
		return fmt.Errorf("%w: operation %d of inc %s is not there", store.ErrDamaged, hole.base, at.inc.Short())
	}
	r.g.Restore(at.inc, at.chain, hole.base, ops[0].ID)
	r.setHead(at, groups.VectorEntry{Inc: at.inc, Chain: uint64(at.chain), Seq: hole.base, Head: groups.HeadOf(ops[0].ID), Floor: 1})
	r.noteHead(c, at)
	return nil
}

// storedAt reads one operation of a chain that did not fork.
func (r *room) storedAt(at chainOf, seq uint64) *groups.Op {
	ops, err := r.heldFrom(at, seq, seq)
	if err != nil || len(ops) != 1 {
		r.log.Warn("reading an operation failed", "inc", at.inc.Short(), "seq", seq, "err", err)
		return nil
	}
	return ops[0]
}

// tails is what to ask for first of chains of which much is lacking: the end of
// each, whose beginning is such that what is below ends on a signature.
func tails(wants []groups.Want) []groups.Want {
	each := min(max(tailOps/max(len(wants), 1), tailLeast), tailMost)
	out := make([]groups.Want, len(wants))
	for i, w := range wants {
		w.From = max(w.From, signedBelow(w.To-min(w.To, uint64(each)))+1)
		out[i] = w
	}
	return out
}

// signedBelow is the highest seq up to this one that has a signature.
func signedBelow(seq uint64) uint64 { return seq - seq%groups.SignedEvery }

// olderWants is what to ask somebody with this vector for, to fill holes: those
// whose edge is the newest first, so that what is shown is complete from now
// back to as far as it can be.
func (r *room) olderWants(theirs groups.Vector) (out []groups.Want) {
	type edge struct {
		want groups.Want
		hlc  uint64
	}
	var edges []edge
	for _, e := range theirs {
		at := chainOf{e.Inc, groups.ChainKind(e.Chain)}
		hole := r.olders[at]
		if hole == nil || r.upward[at] || e.Seq < hole.above.Seq-1 || e.Floor >= hole.above.Seq {
			continue
		}
		w := groups.Want{Inc: e.Inc, Chain: e.Chain, From: max(hole.base+1, e.Floor), To: hole.above.Seq - 1}
		edges = append(edges, edge{w, hole.above.HLC})
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Compare(b.hlc, a.hlc) })
	each := uint64(min(max(groups.MaxWantOps/2/max(len(edges), 1), olderLeast), olderMost))
	for _, e := range edges {
		w := e.want
		w.From = max(w.From, signedBelow(w.To-min(w.To, each))+1)
		out = append(out, w)
	}
	return out
}

// olderMissing sums up what is still to come into holes, and since when all is
// here; zero if there are none.
func (r *room) olderMissing() (missing uint64, sinceMs uint64) {
	for _, hole := range r.olders {
		missing += hole.missing()
		sinceMs = max(sinceMs, hole.above.HLC)
	}
	return missing, sinceMs
}
