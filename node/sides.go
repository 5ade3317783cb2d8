package node

import (
	"fmt"

	"mutuals/groups"
	"mutuals/groups/timeline"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// letGoStep is how many operations of a branch one transaction lets go.
const letGoStep = 256

// nameBranches notes of which devices a proof says which branch of their words
// counts (groups/SPEC.md R46).
func (r *room) nameBranches(s *groups.State) {
	r.named = map[wire.OpID]groups.Branch{}
	for at := range r.heads {
		if b, ok := s.NamedBranch(at.inc); ok && at.chain == groups.Content {
			r.named[at.inc] = b
		}
	}
}

// keepSides lets go of the branches held that are not the ones named, as much
// as one transaction takes, and asks for the right ones. What was shown of them
// stays, folded.
func (r *room) keepSides(c *commit) error {
	for inc, b := range r.named {
		at := chainOf{inc, groups.Content}
		head := r.heads[at]
		if head.Seq < b.From {
			continue
		}
		wrong := r.strays[inc]
		if head.Seq >= b.Seq {
			ops, err := r.heldFrom(at, b.Seq, b.Seq)
			if err != nil {
				return err
			}
			wrong = len(ops) == 1 && ops[0].ID != b.Head
		}
		if !wrong {
			delete(r.strays, inc)
			continue
		}
		r.strays[inc] = true
		if err := r.letGo(c, at, b.From); err != nil {
			return err
		}
		c.then(func() { r.tell(r.keepSides) })
		return nil
	}
	return nil
}

// letGo takes the end of a content chain back, down to from at most: its
// operations are forgotten and their entries folded.
func (r *room) letGo(c *commit, at chainOf, from uint64) error {
	head, hole := r.heads[at], r.olders[at]
	if head.Seq >= letGoStep {
		from = max(from, head.Seq-letGoStep+1)
	}
	if hole != nil {
		from = max(from, hole.above.Seq)
	}
	ops, err := r.heldFrom(at, max(from, 2)-1, head.Seq)
	if err != nil {
		return err
	}
	var below wire.OpID
	c.dirty, r.recount = true, true
	for _, op := range ops {
		if op.Seq < from {
			below = op.ID
			continue
		}
		if e, ok := r.entryBy([16]byte(op.ID[:16])); ok && foldedByStanding(e.Folded) {
			e.Folded = timeline.PastPin
			r.putEntry(c, e)
			c.changes = append(c.changes, r.messageChange(store.Update, api.EventMessageUpdated, e.ID))
		}
		if _, shut := r.locked[op.EID][op.ID]; shut {
			delete(r.locked[op.EID], op.ID)
			c.row(func(tx *store.Tx) error { return tx.DeleteParked(r.group, op.ID) })
		}
		c.row(func(tx *store.Tx) error { return tx.DeleteOp(r.group, at.inc, op.Seq, op.ID) })
	}
	r.g.Restore(at.inc, at.chain, from-1, below)
	if hole != nil && from == hole.above.Seq {
		if err := r.dropHole(c, at); err != nil {
			return err
		}
	} else if from == 1 {
		r.dropHead(at)
		c.row(func(tx *store.Tx) error { return tx.DeleteHead(r.group, at.inc, uint8(at.chain)) })
	} else {
		r.setHead(at, groups.VectorEntry{Inc: at.inc, Chain: uint64(at.chain), Seq: from - 1, Head: groups.HeadOf(below), Floor: head.Floor})
		c.row(func(tx *store.Tx) error {
			return tx.PutHead(r.group, at.inc, uint8(at.chain), store.Head{Seq: from - 1, ID: below, Floor: head.Floor, Base: r.baseOf(at)})
		})
	}
	if b := r.named[at.inc]; b.From > 0 && r.heads[at].Seq < b.From {
		delete(r.strays, at.inc)
		c.then(func() {
			for _, l := range r.links {
				l.pullNow()
			}
		})
	}
	return nil
}

// heldFrom reads what lies on disk of a chain between two places, both
// included.
func (r *room) heldFrom(at chainOf, from, to uint64) (ops []*groups.Op, err error) {
	err = r.n.store.View(func(tx *store.Tx) error {
		return tx.EachOp(r.group, at.inc, uint8(at.chain), from, to, func(o store.StoredOp) error {
			op, refusal := groups.Decode(o.Frame)
			if refusal != nil {
				return fmt.Errorf("%w: operation %s: %v", store.ErrDamaged, o.ID.Short(), refusal)
			}
			ops = append(ops, op)
			return nil
		})
	})
	return ops, err
}

// meetSide notes, of an operation that builds on another branch than the one
// held, that the one held is shorter than the one a proof names: it is let go,
// since somebody has a longer one.
func (r *room) meetSide(c *commit, op *groups.Op) {
	inc := op.IncID()
	b, ok := r.named[inc]
	head := r.heads[chainOf{inc, groups.Content}]
	if !ok || op.Chain != groups.Content || op.Seq != head.Seq+1 || head.Seq < b.From || head.Seq >= b.Seq || r.strays[inc] {
		return
	}
	r.strays[inc] = true
	c.then(func() { r.tell(r.keepSides) })
}
