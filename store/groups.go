package store

import (
	"context"

	W "mutuals/identity/wire"
)

// GroupRow is what a device keeps about a group as a whole.
type GroupRow struct {
	ID   W.GroupID
	Meta []byte // as the room encodes it
}

// PutGroup stores a group's row, replacing the one before.
func (tx *Tx) PutGroup(g GroupRow) error {
	n, err := tx.intern(g.ID)
	if err != nil {
		return err
	}
	return tx.set(groupKey(pGroup, n), g.ID[:], g.Meta)
}

// Group returns a group's row, if there is one.
func (tx *Tx) Group(id W.GroupID) (GroupRow, bool, error) {
	n, ok, err := tx.lookup(id)
	if err != nil || !ok {
		return GroupRow{}, false, err
	}
	v, ok, err := tx.get(groupKey(pGroup, n))
	if err != nil || !ok {
		return GroupRow{}, false, err
	}
	g, err := readGroup(v)
	return g, err == nil, err
}

// EachGroup calls fn for each group, in the order in which they were met.
func (tx *Tx) EachGroup(fn func(GroupRow) error) error {
	return tx.scan(span{prefix: newKey(pGroup)}, func(_ row, v []byte) error {
		g, err := readGroup(v)
		if err != nil {
			return err
		}
		return fn(g)
	})
}

func readGroup(v []byte) (GroupRow, error) {
	r := row{b: v}
	g := GroupRow{ID: r.id()}
	if r.bad {
		return g, damaged("group row")
	}
	g.Meta = r.rest()
	return g, nil
}

// DeleteGroup deletes a group's row only; [Store.ForgetGroup] deletes all
// there is.
func (tx *Tx) DeleteGroup(id W.GroupID) error {
	n, ok, err := tx.lookup(id)
	if err != nil || !ok {
		return err
	}
	return tx.del(groupKey(pGroup, n))
}

// ForgetGroup deletes every row of a group but its changes, in as many
// transactions as it takes; the group's own row goes last, so a caller who
// was interrupted still finds the group and calls it again. Deleted bytes
// stay in old tables until Badger compacts them.
func (s *Store) ForgetGroup(ctx context.Context, id W.GroupID) error {
	for {
		more := false
		err := s.Update(ctx, func(tx *Tx) (err error) {
			more, err = tx.forgetSome(id)
			return err
		})
		if err != nil || !more {
			return err
		}
	}
}

// forgetSome deletes rows until the transaction is full; more if some remain.
func (tx *Tx) forgetSome(id W.GroupID) (more bool, err error) {
	g, ok, err := tx.lookup(id)
	if err != nil || !ok {
		return false, err
	}
	tx.forgetBylines(g)
	for _, p := range groupPrefixes {
		prefix := groupKey(p, g)
		err := tx.scan(span{prefix: prefix, keysOnly: true}, func(k row, _ []byte) error {
			if tx.Full() {
				more = true
				return errStop
			}
			return tx.del(append(key{p}, k.b...))
		})
		if err != nil || more {
			return more, err
		}
	}
	return false, nil
}
