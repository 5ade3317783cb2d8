package node

import (
	"context"
	"fmt"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

const (
	// pruneEvery is how often a room looks for what has become too old: days
	// are what is promised, and a look costs two reads a chain.
	pruneEvery = time.Hour
	// bodyStep is how many bodies one transaction drops: four rows each.
	bodyStep = 512
	// compactAfter is how many bodies must have been dropped since the disk was
	// last given back what they took, and compactEvery how often that is done
	// at most: it reads and writes the whole database, 3 s for 200 MB.
	compactAfter = 10_000
	compactEvery = 24 * time.Hour
)

// bodies is which messages of a group are here without what was said in them:
// the chains are whole, and verify, but ciphertext and entry are gone, or never
// came (PROTOCOLS.md N8). On the room's goroutine.
type bodies struct {
	days    uint64               // how long messages are kept here; 0: for ever
	upTo    uint64               // when the newest was written whose body was dropped here, ms
	dropped map[wire.OpID]uint64 // up to where those of a content chain were, by inc
	bareTo  uint64               // when the newest was written that came without a body
	owed    map[wire.OpID]span   // where those of a chain lie
	asked   map[wire.PeerKey]bool
	lookAt  time.Time // when to look for more that is too old
}

// to is when the newest message was written whose body is not here, 0 if all
// are.
func (b bodies) to() uint64 {
	if len(b.owed) == 0 {
		return b.upTo
	}
	return max(b.upTo, b.bareTo)
}

// bodiesRow is the same over a restart. Evolution: fields are added at the end,
// with a new V.
type bodiesRow struct {
	_      struct{} `cbor:",toarray"`
	V      uint64
	Days   uint64
	UpTo   uint64
	BareTo uint64
	Chains []bareChain
}

type bareChain struct {
	_        struct{} `cbor:",toarray"`
	Inc      wire.OpID
	Dropped  uint64
	From, To uint64 // owed; 0 for none
}

func (r *room) bodiesKey() string { return "bodies/" + r.group.String() }

func (r *room) loadBodies(tx *store.Tx) error {
	r.bodies = bodies{dropped: map[wire.OpID]uint64{}, owed: map[wire.OpID]span{}, asked: map[wire.PeerKey]bool{}}
	b, ok, err := tx.Setting(r.bodiesKey())
	if err != nil || !ok {
		return err
	}
	var row bodiesRow
	if err := wire.Unmarshal(b, &row); err != nil {
		return fmt.Errorf("reading which bodies are gone: %w", err)
	}
	r.bodies.days, r.bodies.upTo, r.bodies.bareTo = row.Days, row.UpTo, row.BareTo
	for _, ch := range row.Chains {
		if ch.Dropped > 0 {
			r.bodies.dropped[ch.Inc] = ch.Dropped
		}
		if ch.To > 0 {
			r.bodies.owed[ch.Inc] = span{ch.From, ch.To}
		}
	}
	return nil
}

// saveBodies writes the row as it is when the step ends.
func (r *room) saveBodies(c *commit) {
	c.dirty, c.regroup = true, true
	if c.bodies {
		return
	}
	c.bodies = true
	c.row(func(tx *store.Tx) error {
		row := bodiesRow{V: 1, Days: r.bodies.days, UpTo: r.bodies.upTo, BareTo: r.bodies.bareTo}
		for inc, seq := range r.bodies.dropped {
			owed := r.bodies.owed[inc]
			row.Chains = append(row.Chains, bareChain{Inc: inc, Dropped: seq, From: owed.from, To: owed.to})
		}
		for inc, owed := range r.bodies.owed {
			if r.bodies.dropped[inc] == 0 {
				row.Chains = append(row.Chains, bareChain{Inc: inc, From: owed.from, To: owed.to})
			}
		}
		return tx.PutSetting(r.bodiesKey(), wire.Marshal(row))
	})
}

// Retain sets for how many days a group's messages are kept on this device; 0
// keeps them for ever. What is older is dropped within the hour, and the device
// does not get it back by a longer time later.
func (n *Node) Retain(ctx context.Context, g wire.GroupID, days int) (api.Group, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return api.Group{}, err
	}
	if days < 0 || days > groups.MaxHistoryDays {
		return api.Group{}, api.NewProblem(api.BadRequest).Explain("messages are kept 1 to %d days, or 0 for ever, not %d", groups.MaxHistoryDays, days)
	}
	for _, part := range r.roomsOf() {
		err := part.step(ctx, func(c *commit) error {
			part.bodies.days, part.bodies.lookAt = uint64(days), time.Time{}
			part.saveBodies(c)
			c.then(func() { part.tell(part.prune) })
			return nil
		})
		if err != nil {
			return api.Group{}, err
		}
	}
	return n.Group(ctx, g)
}

// prunedTo is bodies.to as readers are told it.
func prunedTo(ms uint64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return msTime(ms)
}

// tendBodies drops what has become too old, when it is time to look.
func (r *room) tendBodies() {
	if r.office != nil || r.bodies.days == 0 || r.n.now().Before(r.bodies.lookAt) {
		return
	}
	if err := r.commit(r.prune); err != nil {
		r.log.Warn("dropping old messages failed", "err", err)
	}
}

// retainedFrom is from when on messages are kept here.
func (r *room) retainedFrom() uint64 {
	kept := r.bodies.days * uint64((24 * time.Hour).Milliseconds())
	if r.bodies.days == 0 || kept > r.n.nowMs() {
		return 0
	}
	return r.n.nowMs() - kept
}

// prune drops the bodies and the entries of messages that are too old, as many
// as one transaction takes, and goes on soon if there are more. What stays:
// the operations themselves, without which no chain verifies; the newest names,
// which newcomers need; and own words of which no other disk has a copy.
func (r *room) prune(c *commit) error {
	r.bodies.lookAt = r.n.now().Add(pruneEvery)
	before, left := r.retainedFrom(), bodyStep
	if before == 0 || r.office != nil {
		return nil
	}
	names := map[wire.OpID]bool{}
	for _, ref := range r.names {
		names[ref.Op] = true
	}
	for at, head := range r.heads {
		to := head.Seq
		if at.inc == r.me && r.onlyHere(r.view.Load()) > 0 {
			to = min(to, r.safety(r.view.Load()).elsewhere[groups.Content])
		}
		if at.chain != groups.Content {
			continue
		}
		for _, part := range r.parts(at, span{r.bodies.dropped[at.inc] + 1, to}) {
			looked, err := r.pruneChain(c, at, part, before, left, names)
			if err != nil {
				return err
			}
			left -= looked
		}
		if left <= 0 {
			c.then(func() { r.tell(r.prune) })
			break
		}
	}
	if left < bodyStep {
		r.saveBodies(c)
		r.recount = true
	}
	return nil
}

// parts is what is here of a run of a chain: two of them, if there is a hole in it.
func (r *room) parts(at chainOf, of span) (out []span) {
	list := []span{of}
	if hole := r.olders[at]; hole != nil {
		list = []span{{of.from, min(of.to, hole.base)}, {max(of.from, hole.above.Seq), of.to}}
	}
	for _, s := range list {
		if s.from <= s.to {
			out = append(out, s)
		}
	}
	return out
}

// pruneChain drops what is too old of a run of a chain, most at once, oldest
// first; it returns how many it found to be so.
func (r *room) pruneChain(c *commit, at chainOf, part span, before uint64, most int, names map[wire.OpID]bool) (looked int, err error) {
	if most <= 0 {
		return 0, nil
	}
	ops, err := r.heldFrom(at, part.from, min(part.to, part.from+uint64(most)-1))
	if err != nil {
		return 0, err
	}
	for _, op := range ops {
		if op.HLC >= before {
			break
		}
		looked++
		r.bodies.dropped[at.inc] = op.Seq
		if op.Whole() && !names[op.ID] { // what filled a hole has others above it that went before
			r.dropBody(c, op)
		}
	}
	return looked, nil
}

// dropBody takes out of the disk what was said in a message; its place in its
// chain stays.
func (r *room) dropBody(c *commit, op *groups.Op) {
	c.dirty = true
	c.then(func() { r.n.dropped.Add(1) })
	r.bodies.upTo = max(r.bodies.upTo, op.HLC)
	bare := *op
	bare.Cipher = nil
	if _, shut := r.locked[op.EID][op.ID]; shut {
		delete(r.locked[op.EID], op.ID)
		c.row(func(tx *store.Tx) error { return tx.DeleteParked(r.group, op.ID) })
	}
	r.dropEntry(c, op.ID)
	c.row(func(tx *store.Tx) error {
		return tx.PutOp(r.group, op.IncID(), uint8(op.Chain), op.Seq, op.ID, bare.Frame())
	})
}

// giveBack gives the disk back what dropped bodies took, once they are many.
// It is called by housekeep alone.
func (n *Node) giveBack() {
	if n.dropped.Load() < compactAfter || n.now().Before(n.compacted.Add(compactEvery)) {
		return
	}
	n.dropped.Store(0)
	n.compacted = n.now()
	if err := n.store.Compact(); err != nil && n.ctx.Err() == nil {
		n.log.Warn("giving the disk back what was dropped failed", "err", err)
	}
}
