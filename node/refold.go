package node

import (
	"fmt"
	"slices"

	"mutuals/groups"
	"mutuals/groups/timeline"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// refold shows or folds entries whose standing a control operation changed:
// sent before a removal or a silence was known, or by somebody whose admission
// turned void.
func (r *room) refold(c *commit, before, after *groups.State) {
	if before == after || before == nil {
		return
	}
	for at, head := range r.heads {
		if at.chain != groups.Content || head.Seq == 0 {
			continue
		}
		from, changed := firstChanged(before.ContentBounds(at.inc), after.ContentBounds(at.inc))
		if !changed || from > head.Seq {
			continue
		}
		if err := r.refoldChain(c, at.inc, from); err != nil {
			r.log.Warn("folding again failed", "err", err)
		}
	}
	// What came in this same commit is not on disk yet.
	for _, op := range c.taken {
		if e, ok := r.placing.fresh[groups.HeadOf(op.ID)]; ok && op.Chain == groups.Content {
			r.foldAnew(c, op, e)
		}
	}
}

// firstChanged is the first seq whose standing may differ between two bounds.
func firstChanged(a, b groups.ContentBounds) (from uint64, changed bool) {
	switch {
	case a.Valid != b.Valid:
		return 1, true
	case a.Limit != b.Limit:
		from, changed = min(a.Limit, b.Limit), true
	}
	if !slices.Equal(a.Silences, b.Silences) {
		silent := min(a.Silent, b.Silent)
		if !changed || silent < from {
			from = silent
		}
		changed = true
	}
	return from + 1, changed // below the larger of two bounds: no overflow
}

func (r *room) refoldChain(c *commit, inc wire.OpID, from uint64) error {
	return r.n.store.View(func(tx *store.Tx) error {
		return tx.EachOp(r.group, inc, uint8(groups.Content), from, 1<<47, func(o store.StoredOp) error {
			row, ok, err := tx.Entry(r.group, o.ID)
			if err != nil || !ok {
				return err
			}
			e, err := timeline.Decode(row.Data)
			if err != nil {
				return err
			}
			op, refusal := groups.Decode(o.Frame)
			if refusal != nil {
				return fmt.Errorf("%w: operation %s: %v", store.ErrDamaged, o.ID.Short(), refusal)
			}
			r.foldAnew(c, op, e)
			return nil
		})
	})
}

// foldAnew gives an entry the standing its operation has now.
func (r *room) foldAnew(c *commit, op *groups.Op, e timeline.Entry) {
	want := r.standing(op)
	if e.Folded == want || !foldedByStanding(e.Folded) {
		return
	}
	e.Folded = want
	r.recount = true
	c.row(func(tx *store.Tx) error { return tx.PutEntry(r.group, e.OrderMs, e.ID, e.Encode()) })
	// Folded, it stays where it stands, and says why.
	c.changes = append(c.changes, r.n.change(store.Update, api.EventMessageUpdated, r.group, r.n.messageIn(r, r.g.State(), e)))
}

// foldedByStanding tells folds that another control operation may lift from
// those that what was written itself has earned.
func foldedByStanding(f timeline.Folded) bool {
	switch f {
	case timeline.Shown, timeline.PastPin, timeline.IncInvalid, timeline.Silenced:
		return true
	}
	return false
}
