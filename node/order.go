package node

import (
	"mutuals/groups/timeline"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// maxFollowers bounds the entries remembered for naming others in their
// `after`. This program's own messages name none, since its hybrid clock passes
// all it shows; another program's may.
const maxFollowers = 4096

// placing keeps what decides where entries stand (groups/timeline/SPEC.md T1)
// and is not on disk yet, or would be dear to look up.
type placing struct {
	fresh     map[[16]byte]timeline.Entry // of the commit that is being made
	followers map[[16]byte][]wire.OpID    // entries by what they name
	count     int
}

// known gives the place of an entry by the first half of its id.
func (r *room) known(prefix [16]byte) (uint64, bool) {
	e, ok := r.entryBy(prefix)
	return e.OrderMs, ok
}

func (r *room) entryBy(prefix [16]byte) (e timeline.Entry, ok bool) {
	if e, ok := r.placing.fresh[prefix]; ok {
		return e, true
	}
	var id wire.OpID
	copy(id[:], prefix[:]) // the store looks entries up by that half
	err := r.n.store.View(func(tx *store.Tx) error {
		row, found, err := tx.Entry(r.group, id)
		if err != nil || !found {
			return err
		}
		e, err = entryOf(row)
		ok = err == nil
		return err
	})
	if err != nil {
		r.log.Warn("looking an entry up failed", "err", err)
	}
	return e, ok
}

// placed notes a new entry, and places anew those that waited for it and
// those that follow them.
func (r *room) placed(c *commit, e timeline.Entry) {
	prefix := [16]byte(e.ID[:16])
	if r.placing.fresh == nil {
		r.placing.fresh = map[[16]byte]timeline.Entry{}
	}
	r.placing.fresh[prefix] = e
	for _, a := range e.After {
		if r.placing.count < maxFollowers {
			if r.placing.followers == nil {
				r.placing.followers = map[[16]byte][]wire.OpID{}
			}
			r.placing.followers[a] = append(r.placing.followers[a], e.ID)
			r.placing.count++
		}
	}
	// Each round moves entries down, and none can follow itself: an id is a
	// hash, so nobody can name what names them.
	for _, id := range r.placing.followers[prefix] {
		f, ok := r.entryBy([16]byte(id[:16]))
		if !ok {
			continue
		}
		moved := f.Reorder(r.known)
		if moved.OrderMs == f.OrderMs && len(moved.Awaits) == len(f.Awaits) {
			continue
		}
		r.putEntry(c, moved)
		c.changes = append(c.changes, r.messageChange(store.Update, api.EventMessageUpdated, moved.ID))
		r.maxHLC = max(r.maxHLC, moved.OrderMs)
		r.placed(c, moved)
	}
}
