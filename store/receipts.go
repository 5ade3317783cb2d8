package store

import W "mutuals/identity/wire"

// ReceiptRow is the newest that one device of a group said about how far its
// person has read: one row a device, not one a message.
type ReceiptRow struct {
	Reader W.OpID // its incarnation
	Data   []byte // the signed receipt, as it came
}

// PutReceipt stores what a device said, replacing what it said before.
func (tx *Tx) PutReceipt(group W.GroupID, r ReceiptRow) error {
	g, err := tx.intern(group)
	if err != nil {
		return err
	}
	return tx.set(groupKey(pReceipt, g).id(r.Reader), r.Data)
}

// Receipts returns what the devices of a group said last.
func (tx *Tx) Receipts(group W.GroupID) ([]ReceiptRow, error) {
	var out []ReceiptRow
	err := tx.eachOfGroup(pReceipt, group, func(k, v row) error {
		r := ReceiptRow{Reader: k.id(), Data: v.rest()}
		if !k.ok() {
			return damaged("receipt row")
		}
		out = append(out, r)
		return nil
	})
	return out, err
}
