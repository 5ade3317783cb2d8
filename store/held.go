package store

import W "mutuals/identity/wire"

// HeldRow is what one other device of a group last said is on its disk: one
// row a device, not one a message.
type HeldRow struct {
	Holder W.OpID // its incarnation
	Data   []byte // as the room encodes it
}

// PutHeld stores what a device said last, replacing what it said before.
func (tx *Tx) PutHeld(group W.GroupID, r HeldRow) error {
	g, err := tx.intern(group)
	if err != nil {
		return err
	}
	return tx.set(groupKey(pHeld, g).id(r.Holder), r.Data)
}

// Held returns what the devices of a group said last.
func (tx *Tx) Held(group W.GroupID) ([]HeldRow, error) {
	var out []HeldRow
	err := tx.eachOfGroup(pHeld, group, func(k, v row) error {
		r := HeldRow{Holder: k.id(), Data: v.rest()}
		if !k.ok() {
			return damaged("held row")
		}
		out = append(out, r)
		return nil
	})
	return out, err
}
