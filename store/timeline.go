package store

import (
	"slices"

	W "mutuals/identity/wire"
)

// Cursor is a place in a group's timeline: entries are ordered by OrderMs,
// then by id. The zero Cursor means the end a page starts from.
type Cursor struct {
	OrderMs uint64
	ID      W.OpID
}

// EntryRow is one entry of a timeline.
type EntryRow struct {
	Cursor
	By   []byte // the byline it was put with, shared by all who read it: not to be changed; nil for none
	Data []byte // as groups/timeline encodes it
}

// Direction is where a page goes from its cursor.
type Direction uint8

const (
	// Before is towards older entries.
	Before Direction = iota
	// After is towards newer entries.
	After
)

// PutEntry stores what people see of an operation, replacing the entry of
// the same id wherever it lay, and its byline unless that is there.
func (tx *Tx) PutEntry(group W.GroupID, orderMs uint64, id W.OpID, by Byline, entry []byte) error {
	g, err := tx.intern(group)
	if err != nil {
		return err
	}
	w, _, err := tx.where(g, id)
	if err != nil {
		return err
	}
	if w.entered && w.order != orderMs {
		if err := tx.del(entryKey(g, w.order, id)); err != nil {
			return err
		}
	}
	inc, err := tx.putByline(g, by)
	if err != nil {
		return err
	}
	if err := tx.set(entryKey(g, orderMs, id), make(key, 0, 24).half2(id).u8(entryByline).num(inc), entry); err != nil {
		return err
	}
	if w.entered && w.order == orderMs {
		return nil
	}
	w.entered, w.order = true, orderMs
	return tx.writeWhere(g, id, w)
}

// DeleteEntry takes an entry out of the timeline; the operation stays.
func (tx *Tx) DeleteEntry(group W.GroupID, id W.OpID) error {
	g, ok, err := tx.lookup(group)
	if err != nil || !ok {
		return err
	}
	w, ok, err := tx.where(g, id)
	if err != nil || !ok || !w.entered {
		return err
	}
	if err := tx.del(entryKey(g, w.order, id)); err != nil {
		return err
	}
	w.entered = false
	return tx.writeWhere(g, id, w)
}

// Entry returns the entry of an operation, if it has one.
func (tx *Tx) Entry(group W.GroupID, id W.OpID) (EntryRow, bool, error) {
	g, ok, err := tx.lookup(group)
	if err != nil || !ok {
		return EntryRow{}, false, err
	}
	w, ok, err := tx.where(g, id)
	if err != nil || !ok || !w.entered {
		return EntryRow{}, false, err
	}
	k := entryKey(g, w.order, id)
	v, ok, err := tx.get(k)
	if err != nil {
		return EntryRow{}, false, err
	}
	if !ok {
		return EntryRow{}, false, damaged("entry %s has a place but is not there", id.Short())
	}
	e, err := tx.readEntry(g, row{b: k[5:]}, v)
	return e, err == nil, err
}

// entryByline stands before the number of an entry's byline. In format 1 none had one,
// and what follows the id began with a CBOR array, 0x80 and above.
const entryByline = 1

// readEntry reads a row of a group's timeline; k stands before order8.
func (tx *Tx) readEntry(g num, k row, v []byte) (EntryRow, error) {
	e, inc, err := parseEntry(k, v)
	if err == nil && inc != 0 {
		e.By, err = tx.byline(g, inc)
	}
	return e, err
}

// parseEntry reads what lies in an entry's own row, and the number of its byline.
func parseEntry(k row, v []byte) (e EntryRow, inc num, err error) {
	r := row{b: v}
	e.OrderMs = k.u64()
	e.ID = joinID(k.half(), r.half())
	if len(r.b) > 0 && r.b[0] == entryByline {
		r.u8()
		inc = r.num()
	}
	if !k.ok() || r.bad {
		return e, 0, damaged("entry row")
	}
	e.Data = r.rest()
	return e, inc, nil
}

// PageEntries returns up to limit entries next to a cursor, which is itself
// left out, always oldest first. With the zero cursor, Before gives the
// newest page and After the oldest.
func (tx *Tx) PageEntries(group W.GroupID, at Cursor, d Direction, limit int) ([]EntryRow, error) {
	if limit <= 0 {
		return nil, nil
	}
	page := make([]EntryRow, 0, limit)
	err := tx.eachEntry(group, at, d, false, func(e EntryRow) error {
		page = append(page, e)
		if len(page) == limit {
			return errStop
		}
		return nil
	})
	if d == Before {
		slices.Reverse(page)
	}
	return page, err
}

// CountEntries counts entries next to a cursor, but not past max: "999+".
func (tx *Tx) CountEntries(group W.GroupID, at Cursor, d Direction, max int) (int, error) {
	n := 0
	if max <= 0 {
		return 0, nil
	}
	err := tx.eachEntry(group, at, d, true, func(EntryRow) error {
		if n++; n == max {
			return errStop
		}
		return nil
	})
	return n, err
}

func (tx *Tx) eachEntry(group W.GroupID, at Cursor, d Direction, keysOnly bool, fn func(EntryRow) error) error {
	g, ok, err := tx.lookup(group)
	if err != nil || !ok {
		return err
	}
	sp := span{prefix: groupKey(pEntry, g), reverse: d == Before, keysOnly: keysOnly}
	if at != (Cursor{}) {
		sp.from = entryKey(g, at.OrderMs, at.ID)
	}
	return tx.scan(sp, func(k row, v []byte) error {
		k.num()
		if keysOnly {
			v = make([]byte, 16)
		}
		e, err := tx.readEntry(g, k, v)
		if err != nil {
			return err
		}
		if e.OrderMs == at.OrderMs && [16]byte(e.ID[:16]) == [16]byte(at.ID[:16]) {
			return nil
		}
		return fn(e)
	})
}

// Counts are a group's counters and read mark, kept in the transactions that
// change them because counting by scan takes 32 ms at 100 000 entries.
type Counts struct {
	Unread   uint64
	Mentions uint64
	Read     Cursor // the last entry that was read
}

// PutCounts stores a group's counters.
func (tx *Tx) PutCounts(group W.GroupID, c Counts) error {
	g, err := tx.intern(group)
	if err != nil {
		return err
	}
	return tx.set(groupKey(pCounts, g), key(nil).u64(c.Unread).u64(c.Mentions).u64(c.Read.OrderMs).id(c.Read.ID))
}

// Counts returns a group's counters, zero if there are none.
func (tx *Tx) Counts(group W.GroupID) (Counts, error) {
	g, ok, err := tx.lookup(group)
	if err != nil || !ok {
		return Counts{}, err
	}
	v, ok, err := tx.get(groupKey(pCounts, g))
	if err != nil || !ok {
		return Counts{}, err
	}
	r := row{b: v}
	c := Counts{Unread: r.u64(), Mentions: r.u64(), Read: Cursor{OrderMs: r.u64(), ID: r.id()}}
	if !r.ok() {
		return Counts{}, damaged("counters row")
	}
	return c, nil
}
