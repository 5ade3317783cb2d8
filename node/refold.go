package node

import (
	"errors"
	"fmt"
	"slices"

	"mutuals/groups"
	"mutuals/groups/timeline"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// refoldStep is how many entries one transaction folds anew, refoldLook how many
// it looks at: what somebody said over years may change its standing with one
// operation.
const (
	refoldStep = 256
	refoldLook = 4096
)

// refold shows or folds entries whose standing a control operation changed:
// sent before a removal or a silence was known, or by somebody whose admission
// turned void. What is too much for the transaction of that operation is noted
// with it, and follows.
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
		if due, ok := r.refolds[at.inc]; ok {
			from = min(from, due)
		}
		r.refolds[at.inc] = from
	}
	r.refoldSome(c)
	// What came in this same commit is not on disk yet.
	for _, op := range c.taken {
		if e, ok := r.placing.fresh[groups.HeadOf(op.ID)]; ok && op.Chain == groups.Content {
			r.foldAnew(c, op, e)
		}
	}
}

// refoldSome does a part of what is due and, if that is not all, has itself
// called again.
func (r *room) refoldSome(c *commit) {
	if len(r.refolds) == 0 && !r.refoldsOn {
		return
	}
	c.dirty = true
	folded, looked := len(c.changes)+refoldStep, refoldLook
	for inc, from := range r.refolds {
		next, err := r.refoldChain(c, inc, from, func() bool {
			looked--
			return len(c.changes) < folded && looked >= 0
		})
		if err != nil {
			r.log.Warn("folding again failed", "err", err)
		}
		if next == 0 {
			delete(r.refolds, inc)
			continue
		}
		r.refolds[inc] = next
		break
	}
	r.keepRefolds(c)
	if len(r.refolds) > 0 {
		c.then(func() { r.tell(r.refoldMore) })
	}
}

func (r *room) refoldMore(c *commit) error {
	r.refoldSome(c)
	return nil
}

// keepRefolds notes what is still due, for after a restart.
func (r *room) keepRefolds(c *commit) {
	if len(r.refolds) == 0 && !r.refoldsOn {
		return
	}
	due := make([]refoldRow, 0, len(r.refolds))
	for inc, from := range r.refolds {
		due = append(due, refoldRow{Inc: inc, From: from})
	}
	r.refoldsOn = len(due) > 0
	c.row(func(tx *store.Tx) error { return tx.PutSetting(r.refoldsKey(), wire.Marshal(due)) })
}

func (r *room) refoldsKey() string { return "refolds/" + r.group.String() }

// refoldRow is one chain whose standing is to be shown from a seq on.
type refoldRow struct {
	_    struct{} `cbor:",toarray"`
	Inc  wire.OpID
	From uint64
}

func (r *room) loadRefolds(tx *store.Tx) error {
	r.refolds, r.refoldsOn = map[wire.OpID]uint64{}, false
	b, ok, err := tx.Setting(r.refoldsKey())
	if err != nil || !ok {
		return err
	}
	var due []refoldRow
	if err := wire.Unmarshal(b, &due); err != nil {
		return fmt.Errorf("reading what is to be folded: %w", err)
	}
	for _, d := range due {
		r.refolds[d.Inc] = d.From
	}
	r.refoldsOn = len(due) > 0
	return nil
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

// refoldChain looks at the entries of one chain as long as more says so; it
// returns the seq to go on from, zero at the end.
func (r *room) refoldChain(c *commit, inc wire.OpID, from uint64, more func() bool) (next uint64, err error) {
	err = r.n.store.View(func(tx *store.Tx) error {
		return tx.EachOp(r.group, inc, uint8(groups.Content), from, 1<<47, func(o store.StoredOp) error {
			if !more() {
				next = o.Seq
				return errEnough
			}
			row, ok, err := tx.Entry(r.group, o.ID)
			if err != nil || !ok {
				return err
			}
			e, err := entryOf(row)
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
	if errors.Is(err, errEnough) {
		err = nil
	}
	return next, err
}

// errEnough ends a look at a chain early.
var errEnough = errors.New("enough for one transaction")

// foldAnew gives an entry the standing its operation has now.
func (r *room) foldAnew(c *commit, op *groups.Op, e timeline.Entry) {
	want := r.standing(op)
	if e.Folded == want || !foldedByStanding(e.Folded) {
		return
	}
	e.Folded = want
	r.recount = true
	r.putEntry(c, e)
	// Folded, it stays where it stands, and says why.
	c.changes = append(c.changes, r.messageChange(store.Update, api.EventMessageUpdated, e.ID))
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
