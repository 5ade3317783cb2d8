package store

import (
	"fmt"

	W "mutuals/identity/wire"
)

// Rows of this file open messages. They are encrypted on disk like all
// others, never logged, and never part of a change.

// EpochRow is the secret of one epoch.
type EpochRow struct {
	EID       [32]byte
	Secret    [32]byte
	CreatedMs uint64
}

// PutEpoch stores an epoch's secret.
func (tx *Tx) PutEpoch(group W.GroupID, eid, secret [32]byte, createdMs uint64) error {
	g, err := tx.intern(group)
	if err != nil {
		return err
	}
	return tx.set(groupKey(pEpoch, g).id(eid), key(nil).id(secret).u64(createdMs))
}

// Epochs returns the epoch secrets of a group, in no order that means
// anything.
func (tx *Tx) Epochs(group W.GroupID) ([]EpochRow, error) {
	var out []EpochRow
	err := tx.eachOfGroup(pEpoch, group, func(k, v row) error {
		e := EpochRow{EID: k.id(), Secret: v.id(), CreatedMs: v.u64()}
		if !k.ok() || !v.ok() {
			return damaged("epoch row")
		}
		out = append(out, e)
		return nil
	})
	return out, err
}

// DeleteEpoch forgets an epoch's secret.
func (tx *Tx) DeleteEpoch(group W.GroupID, eid [32]byte) error {
	return tx.delOfGroup(pEpoch, group, eid[:])
}

// KEMRow is the seed of one KEM key of this device in one group.
type KEMRow struct {
	Gen       uint32
	Seed      [32]byte
	CreatedMs uint64
}

// PutKEM stores the seed of a KEM key.
func (tx *Tx) PutKEM(group W.GroupID, gen uint32, seed [32]byte, createdMs uint64) error {
	g, err := tx.intern(group)
	if err != nil {
		return err
	}
	return tx.set(groupKey(pKEM, g).u32(gen), key(nil).id(seed).u64(createdMs))
}

// KEMs returns the KEM seeds of a group, oldest generation first.
func (tx *Tx) KEMs(group W.GroupID) ([]KEMRow, error) {
	var out []KEMRow
	err := tx.eachOfGroup(pKEM, group, func(k, v row) error {
		e := KEMRow{Gen: k.u32(), Seed: v.id(), CreatedMs: v.u64()}
		if !k.ok() || !v.ok() {
			return damaged("kem row")
		}
		out = append(out, e)
		return nil
	})
	return out, err
}

// DeleteKEM forgets the seed of one generation.
func (tx *Tx) DeleteKEM(group W.GroupID, gen uint32) error {
	return tx.delOfGroup(pKEM, group, key(nil).u32(gen))
}

// InviteRow is the passcode of an invite this device made.
type InviteRow struct {
	ID   W.OpID
	Data []byte // secret and label, as node encodes them
}

// PutInvite stores an own invite's passcode.
func (tx *Tx) PutInvite(group W.GroupID, r InviteRow) error {
	g, err := tx.intern(group)
	if err != nil {
		return err
	}
	return tx.set(groupKey(pInvite, g).id(r.ID), r.Data)
}

// Invites returns the own invites of a group.
func (tx *Tx) Invites(group W.GroupID) ([]InviteRow, error) {
	var out []InviteRow
	err := tx.eachOfGroup(pInvite, group, func(k, v row) error {
		e := InviteRow{ID: k.id(), Data: v.rest()}
		if !k.ok() {
			return damaged("invite row")
		}
		out = append(out, e)
		return nil
	})
	return out, err
}

// DeleteInvite forgets an own invite's passcode.
func (tx *Tx) DeleteInvite(group W.GroupID, id W.OpID) error {
	return tx.delOfGroup(pInvite, group, id[:])
}

// MessageKeyRow opens one message without its epoch's secret.
type MessageKeyRow struct {
	Op  W.OpID
	Key [32]byte
}

// PutMessageKey stores the secret M of one message.
func (tx *Tx) PutMessageKey(group W.GroupID, op W.OpID, m [32]byte) error {
	g, err := tx.intern(group)
	if err != nil {
		return err
	}
	return tx.set(groupKey(pMsgKey, g).id(op), m[:])
}

// MessageKey returns the secret M of one message, if it is kept.
func (tx *Tx) MessageKey(group W.GroupID, op W.OpID) ([32]byte, bool, error) {
	g, ok, err := tx.lookup(group)
	if err != nil || !ok {
		return [32]byte{}, false, err
	}
	v, ok, err := tx.get(groupKey(pMsgKey, g).id(op))
	if err != nil || !ok {
		return [32]byte{}, false, err
	}
	r := row{b: v}
	m := r.id()
	if !r.ok() {
		return [32]byte{}, false, damaged("message key row")
	}
	return m, true, nil
}

// MessageKeys returns all single message secrets of a group.
func (tx *Tx) MessageKeys(group W.GroupID) ([]MessageKeyRow, error) {
	var out []MessageKeyRow
	err := tx.eachOfGroup(pMsgKey, group, func(k, v row) error {
		e := MessageKeyRow{Op: k.id(), Key: v.id()}
		if !k.ok() || !v.ok() {
			return damaged("message key row")
		}
		out = append(out, e)
		return nil
	})
	return out, err
}

// DeleteMessageKey forgets the secret M of one message.
func (tx *Tx) DeleteMessageKey(group W.GroupID, op W.OpID) error {
	return tx.delOfGroup(pMsgKey, group, op[:])
}

// PutWraps stores the wrap set of a rekey, in parts of 32 KiB: with a
// thousand recipients it has a megabyte. At most MaxWraps, and it must fit
// the transaction.
func (tx *Tx) PutWraps(group W.GroupID, rekey W.OpID, wraps []byte) error {
	if len(wraps) > MaxWraps {
		return fmt.Errorf("%w: wrap set of %d bytes", ErrTooLarge, len(wraps))
	}
	if err := tx.DeleteWraps(group, rekey); err != nil {
		return err
	}
	g, err := tx.intern(group)
	if err != nil {
		return err
	}
	for part := uint32(0); part == 0 || len(wraps) > 0; part++ {
		n := min(len(wraps), partBytes)
		if err := tx.set(groupKey(pWraps, g).id(rekey).u32(part), wraps[:n]); err != nil {
			return err
		}
		wraps = wraps[n:]
	}
	return nil
}

// Wraps returns the wrap set of a rekey, if it is kept.
func (tx *Tx) Wraps(group W.GroupID, rekey W.OpID) (wraps []byte, ok bool, err error) {
	g, ok, err := tx.lookup(group)
	if err != nil || !ok {
		return nil, false, err
	}
	ok = false
	next := uint32(0)
	err = tx.scan(span{prefix: groupKey(pWraps, g).id(rekey)}, func(k row, v []byte) error {
		k.num()
		k.id()
		if k.u32() != next {
			return damaged("part %d of a wrap set is missing", next)
		}
		next++
		ok = true
		wraps = append(wraps, v...)
		return nil
	})
	return wraps, ok && err == nil, err
}

// EachWraps calls fn for each wrap set of a group.
func (tx *Tx) EachWraps(group W.GroupID, fn func(rekey W.OpID, wraps []byte) error) error {
	var at W.OpID
	var wraps []byte
	err := tx.eachOfGroup(pWraps, group, func(k, v row) error {
		rekey := W.OpID(k.id())
		if rekey != at && len(wraps) > 0 {
			if err := fn(at, wraps); err != nil {
				return err
			}
			wraps = nil
		}
		at, wraps = rekey, append(wraps, v.b...)
		return nil
	})
	if err != nil || len(wraps) == 0 {
		return err
	}
	return fn(at, wraps)
}

// DeleteWraps forgets the wrap set of a rekey.
func (tx *Tx) DeleteWraps(group W.GroupID, rekey W.OpID) error {
	g, ok, err := tx.lookup(group)
	if err != nil || !ok {
		return err
	}
	return tx.scan(span{prefix: groupKey(pWraps, g).id(rekey), keysOnly: true}, func(k row, _ []byte) error {
		return tx.del(append(key{pWraps}, k.b...))
	})
}

// eachOfGroup scans one table of a group; k stands behind g4.
func (tx *Tx) eachOfGroup(prefix byte, group W.GroupID, fn func(k, v row) error) error {
	g, ok, err := tx.lookup(group)
	if err != nil || !ok {
		return err
	}
	return tx.scan(span{prefix: groupKey(prefix, g)}, func(k row, v []byte) error {
		k.num()
		return fn(k, row{b: v})
	})
}

func (tx *Tx) delOfGroup(prefix byte, group W.GroupID, rest []byte) error {
	g, ok, err := tx.lookup(group)
	if err != nil || !ok {
		return err
	}
	return tx.del(append(groupKey(prefix, g), rest...))
}
