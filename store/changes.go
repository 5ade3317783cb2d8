package store

import (
	"context"
	"encoding/binary"
	"fmt"

	W "mutuals/identity/wire"
)

// ChangeKind says what happened to the object of a change.
type ChangeKind uint8

const (
	// Add means the object is new.
	Add ChangeKind = iota
	// Update means the object is another than before.
	Update
	// Retract means the object is no more to be shown.
	Retract
)

// Change is one thing that everybody who watches this store must be told.
type Change struct {
	Kind   ChangeKind
	Type   string    // of the event, as in node/api: "message.created"
	Group  W.GroupID // zero: of no group
	Object W.OpID    // the operation whose timeline entry is the object; zero: Data is it
	Ms     uint64    // when, in ms since 1970
	Data   []byte    // the event's object, as JSON, unless Object names it; at most MaxChangeData
}

// NumberedChange is a committed change. Numbers begin with 1, have no gaps,
// and grow in the order of commits.
type NumberedChange struct {
	N uint64
	Change
}

// Change adds c to the change log. Its number is known after the commit.
func (tx *Tx) Change(c Change) error {
	if !tx.write {
		panic("internal error: write inside View")
	}
	if len(c.Data) > MaxChangeData || len(c.Type) > maxType {
		return fmt.Errorf("%w: change %q of %d bytes", ErrTooLarge, c.Type, len(c.Data))
	}
	tx.changes = append(tx.changes, c)
	tx.bytes += len(c.Data) + len(c.Type) + 80
	return nil
}

// writeChanges turns the changes of a batch into records: one row for many,
// under the number of its last change, so that one seek finds the record that
// holds a given number (SPEC.md C1). Then it prunes.
func (tx *Tx) writeChanges() error {
	if len(tx.changes) == 0 {
		return nil
	}
	s := tx.s
	var record []byte
	var before Change // in the record
	count := uint32(0)
	for i, c := range tx.changes {
		record = appendChange(record, c, before)
		before = c
		count++
		if len(record) < changeRecordBytes && i+1 < len(tx.changes) &&
			len(record)+len(tx.changes[i+1].Data)+maxType+128 <= MaxValue {
			continue
		}
		last := s.last.Load() + uint64(i) + 1
		if err := tx.set(changeKey(last), key(nil).u32(count), record); err != nil {
			return err
		}
		record, before, count = nil, Change{}, 0
	}
	return tx.prune(s.last.Load() + uint64(len(tx.changes)))
}

func changeKey(last uint64) key { return newKey(pChange).u64(last) }

// prune deletes records of which every change is older than the kept ones.
func (tx *Tx) prune(last uint64) error {
	s := tx.s
	oldest := s.oldest.Load()
	if last < oldest+s.opts.KeepChanges+s.opts.KeepChanges/16 {
		return nil // not worth a scan yet
	}
	keepFrom := last - s.opts.KeepChanges + 1
	var dead []uint64
	err := tx.scan(span{prefix: newKey(pChange), from: changeKey(oldest), keysOnly: true}, func(k row, _ []byte) error {
		n := k.u64()
		if n >= keepFrom || len(dead) == pruneRecords {
			return errStop
		}
		dead = append(dead, n)
		return nil
	})
	for _, n := range dead {
		if err == nil {
			err = tx.del(changeKey(n))
		}
		tx.oldest = n + 1
	}
	return err
}

// loadChanges finds the first and the last number of the log.
func (s *Store) loadChanges(tx *Tx) error {
	first := uint64(1)
	err := tx.scan(span{prefix: newKey(pChange)}, func(k row, v []byte) error {
		r := row{b: v}
		first = k.u64() - uint64(r.u32()) + 1
		return errStop
	})
	if err != nil {
		return err
	}
	last, err := tx.LastChange()
	s.oldest.Store(first)
	s.last.Store(last)
	return err
}

// LastChange returns the number of the newest change that belongs to what
// this View sees: a snapshot made here and the changes after that number are
// all there is. Inside Update it leaves out the changes of the batch.
func (tx *Tx) LastChange() (last uint64, err error) {
	err = tx.scan(span{prefix: newKey(pChange), reverse: true, keysOnly: true}, func(k row, _ []byte) error {
		last = k.u64()
		return errStop
	})
	return last, err
}

// Changes returns the changes after number after, oldest first, at most max
// of them and none if there are none yet. It does not wait. ErrPruned or
// ErrAhead: start from a snapshot.
func (s *Store) Changes(after uint64, max int) ([]NumberedChange, error) {
	// A commit can be read a moment before it is counted; what is not counted
	// yet is left for the next call.
	end := s.last.Load()
	if after == end || max <= 0 {
		return nil, nil
	}
	if after > end {
		return nil, fmt.Errorf("%w: %d, the last is %d", ErrAhead, after, end)
	}
	var out []NumberedChange
	err := s.View(func(tx *Tx) error {
		want := after + 1
		return tx.scan(span{prefix: newKey(pChange), from: changeKey(want)}, func(k row, v []byte) error {
			last := k.u64()
			r := row{b: v}
			count := uint64(r.u32())
			var c Change
			for n := last - count + 1; n <= last; n++ {
				var ok bool
				c, ok = readChange(&r, c)
				if !ok {
					return damaged("record of changes up to %d", last)
				}
				if n < want {
					continue
				}
				if n > want {
					if len(out) == 0 {
						return fmt.Errorf("%w: %d", ErrPruned, after)
					}
					return damaged("change %d is missing", want)
				}
				out = append(out, NumberedChange{n, c})
				want++
				if len(out) == max || n == end {
					return errStop
				}
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, damaged("change %d is missing", after+1)
	}
	return out, nil
}

// Tail is Changes, but waits until there is at least one. Readers that call
// it with the number of the last change they got miss none and see none
// twice. It returns ctx's error when ctx ends, ErrClosed when the store does.
func (s *Store) Tail(ctx context.Context, after uint64, max int) ([]NumberedChange, error) {
	for {
		s.mu.Lock()
		wake := s.wake
		s.mu.Unlock()
		got, err := s.Changes(after, max)
		if err != nil || len(got) > 0 {
			return got, err
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.stop:
			return nil, ErrClosed
		}
	}
}

// likeBefore, in the byte of its kind, says that a change has the type and the group of
// the one before it in its record, which are not said again.
const likeBefore = 0x80

func appendChange(b []byte, c, before Change) []byte {
	if c.Type == before.Type && c.Group == before.Group && c.Type != "" {
		b = append(b, byte(c.Kind)|likeBefore)
	} else {
		b = append(b, byte(c.Kind), byte(len(c.Type)))
		b = append(b, c.Type...)
		b = append(b, c.Group[:]...)
	}
	b = append(b, c.Object[:]...)
	b = binary.BigEndian.AppendUint64(b, c.Ms)
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.Data)))
	return append(b, c.Data...)
}

func readChange(r *row, before Change) (Change, bool) {
	kind := r.u8()
	c := Change{Kind: ChangeKind(kind &^ likeBefore), Type: before.Type, Group: before.Group}
	if kind&likeBefore == 0 {
		c.Type = string(r.take(int(r.u8())))
		c.Group = r.id()
	} else if c.Type == "" {
		return Change{}, false // there is none before it
	}
	c.Object, c.Ms = r.id(), r.u64()
	n := int(r.u32())
	if n > len(r.b) {
		return Change{}, false
	}
	c.Data = r.take(n)
	return c, !r.bad
}
