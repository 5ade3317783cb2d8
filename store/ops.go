package store

import (
	"encoding/binary"

	W "mutuals/identity/wire"
)

// Chains of an incarnation, as groups numbers them. The store only needs to
// know that content is not replayed when a group is opened.
const chainContent = 1

// StoredOp is one operation as it was received.
type StoredOp struct {
	ID    W.OpID
	Inc   W.OpID // filled by OpByID and EachControl; Op and EachOp were given it
	Chain uint8
	Seq   uint64
	Frame []byte
}

// PutOp stores an operation. A second one with the same id replaces it (a
// body that was missing); one with the same place and another id lies beside
// it (a fork). Two rows; a third for control and KEM chains.
func (tx *Tx) PutOp(group W.GroupID, inc W.OpID, chain uint8, seq uint64, id W.OpID, frame []byte) error {
	return tx.putOp(group, inc, chain, seq, id, frame, tx.setWhere)
}

// AddOp is PutOp of an operation that is not here, which the caller knows by what it holds
// of the chain: it is not looked for, which takes longer than to pack its rows.
func (tx *Tx) AddOp(group W.GroupID, inc W.OpID, chain uint8, seq uint64, id W.OpID, frame []byte) error {
	place := tx.writeWhere
	if tx.entriesLeft() {
		place = tx.setWhere
	}
	return tx.putOp(group, inc, chain, seq, id, frame, place)
}

func (tx *Tx) putOp(group W.GroupID, inc W.OpID, chain uint8, seq uint64, id W.OpID, frame []byte, place func(num, W.OpID, where) error) error {
	g, err := tx.intern(group)
	if err != nil {
		return err
	}
	i, err := tx.intern(inc)
	if err != nil {
		return err
	}
	if chain != chainContent {
		if err := tx.arrive(g, i, inc, chain, seq, id); err != nil {
			return err
		}
	}
	header, front, back := packFrame(frame)
	if err := tx.set(opKey(g, i, chain, seq, id), id[16:], header, front, back); err != nil {
		return err
	}
	return place(g, id, where{inc: i, chain: chain, seq: seq})
}

// entriesLeft tells whether there may be entries in the timeline whose operations were
// deleted, anywhere in the store: then one that comes may have been here before.
func (tx *Tx) entriesLeft() bool { return !tx.s.tidy || tx.untidy }

// DeleteOp forgets one operation of a content chain, in the transaction that
// raises the chain's floor above it or takes its head back below; its entry in the timeline stays. One that
// is not there is no error.
func (tx *Tx) DeleteOp(group W.GroupID, inc W.OpID, seq uint64, id W.OpID) error {
	g, i, ok, err := tx.lookupPair(group, inc)
	if err != nil || !ok {
		return err
	}
	w, ok, err := tx.where(g, id)
	if err != nil || !ok {
		return err
	}
	if err := tx.del(opKey(g, i, chainContent, seq, id)); err != nil {
		return err
	}
	if w.entered {
		if !tx.entriesLeft() {
			if err := tx.setMetaNumber(metaTidy, 0); err != nil {
				return err
			}
			tx.untidy = true
		}
		w.inc, w.chain, w.seq = 0, 0, 0
		return tx.writeWhere(g, id, w)
	}
	return tx.deleteWhere(g, id)
}

// arrive lists an operation in table c, once.
func (tx *Tx) arrive(g, i num, inc W.OpID, chain uint8, seq uint64, id W.OpID) error {
	_, known, err := tx.get(opKey(g, i, chain, seq, id))
	if err != nil || known {
		return err
	}
	n := tx.nextArr
	tx.nextArr++
	place := key(nil).num(i).id(inc).u8(chain).u64(seq).half(id)
	return tx.set(groupKey(pArrived, g).u64(n), place)
}

// where is a row of table x: the place of an operation and, if it is shown,
// of its entry in the timeline.
type where struct {
	inc     num
	chain   uint8
	seq     uint64
	entered bool
	order   uint64
}

// setWhere keeps the order of an entry that is already there.
func (tx *Tx) setWhere(g num, id W.OpID, w where) error {
	old, ok, err := tx.where(g, id)
	if err != nil {
		return err
	}
	if ok && !w.entered {
		w.entered, w.order = old.entered, old.order
	}
	return tx.writeWhere(g, id, w)
}

// writeWhere has the row written at the end of the batch, or before a scan: an
// operation and its entry, which mostly come together, write the same one.
func (tx *Tx) writeWhere(g num, id W.OpID, w where) error {
	if !tx.write {
		panic("internal error: write inside View")
	}
	if tx.places == nil {
		tx.places = map[placeKey]where{}
	}
	tx.places[placeKey{g, [16]byte(id[:16])}] = w
	tx.rows++
	tx.bytes += whereBytes
	return nil
}

func (tx *Tx) deleteWhere(g num, id W.OpID) error {
	delete(tx.places, placeKey{g, [16]byte(id[:16])})
	return tx.del(whereKey(g, id))
}

// placeKey is what a key of table x holds.
type placeKey struct {
	g    num
	half [16]byte
}

// whereBytes is about what a row of table x weighs.
const whereBytes = 48

// writePlaces writes the rows of table x that wait.
func (tx *Tx) writePlaces() error {
	for at, w := range tx.places {
		v := w.encode()
		if err := tx.set(append(groupKey(pWhere, at.g), at.half[:]...), v); err != nil {
			return err
		}
	}
	clear(tx.places)
	return nil
}

func (tx *Tx) where(g num, id W.OpID) (where, bool, error) {
	if w, ok := tx.places[placeKey{g, [16]byte(id[:16])}]; ok {
		return w, true, nil
	}
	v, ok, err := tx.get(whereKey(g, id))
	if err != nil || !ok {
		return where{}, false, err
	}
	w, ok := readWhere(v)
	if !ok {
		return where{}, false, damaged("place of operation %s", id.Short())
	}
	return w, true, nil
}

// encode gives a row of table x. A seq is a small number, as a rule: it takes one to seven
// bytes, or all eight as in format 1.
func (w where) encode() []byte {
	v := newKey(0)[:0].num(w.inc).u8(w.chain)
	if w.seq < 1<<(7*seqBytes) {
		v = binary.AppendUvarint(v, w.seq)
	} else {
		v = v.u64(w.seq)
	}
	if w.entered {
		v = binary.BigEndian.AppendUint64(v, w.order)
	}
	return v
}

// A row with a seq of eight bytes is known by its length, without an entry and with one:
// those of a uvarint of seqBytes at most are shorter, or lie between.
const seqBytes, whereLong, whereEntered = 7, 13, 21

func readWhere(v []byte) (w where, ok bool) {
	r := row{b: v}
	w = where{inc: r.num(), chain: r.u8()}
	if len(v) == whereLong || len(v) == whereEntered {
		w.seq = r.u64()
	} else {
		seq, n := binary.Uvarint(r.b)
		if n <= 0 || n > seqBytes {
			return where{}, false
		}
		w.seq, r.b = seq, r.b[n:]
	}
	if len(r.b) > 0 {
		w.entered, w.order = true, r.u64()
	}
	return w, r.ok()
}

// readOp checks the id halves of a row of table o.
func readOp(k row, v []byte, chain uint8) (StoredOp, error) {
	seq, first := k.u64(), k.half()
	r := row{b: v}
	op := StoredOp{ID: joinID(first, r.half()), Chain: chain, Seq: seq}
	frame, whole := unpackFrame(r.rest())
	if !k.ok() || r.bad || !whole {
		return op, damaged("operation row")
	}
	op.Frame = frame
	return op, nil
}

// Op returns the operations at one place of a chain: none, one, or the
// branches of a fork.
func (tx *Tx) Op(group W.GroupID, inc W.OpID, chain uint8, seq uint64) ([]StoredOp, error) {
	var ops []StoredOp
	err := tx.EachOp(group, inc, chain, seq, seq, func(op StoredOp) error {
		ops = append(ops, op)
		return nil
	})
	return ops, err
}

// EachOp calls fn for the operations of a chain with sequence numbers from …
// to, both included, in order: one range scan. An error of fn ends it and is
// returned.
func (tx *Tx) EachOp(group W.GroupID, inc W.OpID, chain uint8, from, to uint64, fn func(StoredOp) error) error {
	g, i, ok, err := tx.lookupPair(group, inc)
	if err != nil || !ok {
		return err
	}
	prefix := chainKey(g, i, chain)
	sp := span{prefix: prefix, from: chainKey(g, i, chain).u64(from)}
	return tx.scan(sp, func(k row, v []byte) error {
		k.take(len(prefix) - 1)
		op, err := readOp(k, v, chain)
		if err != nil {
			return err
		}
		if op.Seq > to {
			return errStop
		}
		op.Inc = inc
		return fn(op)
	})
}

func (tx *Tx) lookupPair(group W.GroupID, inc W.OpID) (g, i num, ok bool, err error) {
	if g, ok, err = tx.lookup(group); err != nil || !ok {
		return
	}
	i, ok, err = tx.lookup(inc)
	return
}

// OpByID returns an operation by its id.
func (tx *Tx) OpByID(group W.GroupID, id W.OpID) (StoredOp, bool, error) {
	g, ok, err := tx.lookup(group)
	if err != nil || !ok {
		return StoredOp{}, false, err
	}
	w, ok, err := tx.where(g, id)
	if err != nil || !ok {
		return StoredOp{}, false, err
	}
	v, ok, err := tx.get(opKey(g, w.inc, w.chain, w.seq, id))
	if err != nil {
		return StoredOp{}, false, err
	}
	if !ok {
		if w.inc == 0 { // an entry without an operation
			return StoredOp{}, false, nil
		}
		return StoredOp{}, false, damaged("operation %s has a place but is not there", id.Short())
	}
	op, err := readOp(row{b: key(nil).u64(w.seq).half(id)}, v, w.chain)
	if err != nil || op.ID != id {
		return StoredOp{}, false, err
	}
	op.Inc, err = tx.incOf(g, w)
	return op, err == nil, err
}

// incOf finds the incarnation behind a number: the head of its chain says.
func (tx *Tx) incOf(g num, w where) (W.OpID, error) {
	v, ok, err := tx.get(groupKey(pHead, g).num(w.inc).u8(w.chain))
	if err != nil || !ok {
		return W.OpID{}, err
	}
	r := row{b: v}
	return r.id(), nil
}

// EachControl calls fn for the operations of the control and KEM chains of a
// group in the order they were first stored in, so that each comes after
// what it was judged on: replaying them opens the group.
func (tx *Tx) EachControl(group W.GroupID, fn func(StoredOp) error) error {
	g, ok, err := tx.lookup(group)
	if err != nil || !ok {
		return err
	}
	return tx.scan(span{prefix: groupKey(pArrived, g)}, func(_ row, v []byte) error {
		r := row{b: v}
		i, inc, chain, seq, half := r.num(), r.id(), r.u8(), r.u64(), r.half()
		if !r.ok() {
			return damaged("arrival row")
		}
		k := opKey(g, i, chain, seq, joinID(half, half))
		frame, ok, err := tx.get(k)
		if err != nil {
			return err
		}
		if !ok {
			return damaged("control operation %x arrived but is not there", half[:5])
		}
		op, err := readOp(row{b: key(nil).u64(seq).half(joinID(half, half))}, frame, chain)
		if err != nil {
			return err
		}
		op.Inc = inc
		return fn(op)
	})
}

// Head is how far a chain goes here.
type Head struct {
	Seq   uint64 // of the newest operation
	ID    W.OpID // its id
	Floor uint64 // the oldest sequence number kept; 0 and 1 both mean all
	// Base is the newest of what is kept below Floor, where what lies between
	// is still to come; 0 for nothing.
	Base uint64
}

// Kept is how many operations of the chain are here, if it did not fork.
func (h Head) Kept() uint64 {
	if h.Seq == 0 {
		return 0
	}
	return h.Seq - max(h.Floor, 1) + 1 + h.Base
}

// HeadRow is the head of one chain of a group.
type HeadRow struct {
	Inc   W.OpID
	Chain uint8
	Head
}

// PutHead records the head of a chain, in the transaction of its operations.
func (tx *Tx) PutHead(group W.GroupID, inc W.OpID, chain uint8, h Head) error {
	g, err := tx.intern(group)
	if err != nil {
		return err
	}
	i, err := tx.intern(inc)
	if err != nil {
		return err
	}
	v := key(nil).id(inc).u64(h.Seq).id(h.ID).u64(h.Floor)
	if h.Base > 0 {
		v = v.u64(h.Base)
	}
	return tx.set(groupKey(pHead, g).num(i).u8(chain), v)
}

// DeleteHead forgets a chain of which nothing is left.
func (tx *Tx) DeleteHead(group W.GroupID, inc W.OpID, chain uint8) error {
	g, i, ok, err := tx.lookupPair(group, inc)
	if err != nil || !ok {
		return err
	}
	return tx.del(groupKey(pHead, g).num(i).u8(chain))
}

// HeadOf returns the head of one chain, if the chain is known.
func (tx *Tx) HeadOf(group W.GroupID, inc W.OpID, chain uint8) (Head, bool, error) {
	g, i, ok, err := tx.lookupPair(group, inc)
	if err != nil || !ok {
		return Head{}, false, err
	}
	k := groupKey(pHead, g).num(i).u8(chain)
	v, ok, err := tx.get(k)
	if err != nil || !ok {
		return Head{}, false, err
	}
	h, err := readHead(row{b: k[5:]}, v)
	return h.Head, err == nil, err
}

// Heads returns the heads of all chains of a group.
func (tx *Tx) Heads(group W.GroupID) ([]HeadRow, error) {
	g, ok, err := tx.lookup(group)
	if err != nil || !ok {
		return nil, err
	}
	var heads []HeadRow
	err = tx.scan(span{prefix: groupKey(pHead, g)}, func(k row, v []byte) error {
		k.num()
		h, err := readHead(k, v)
		heads = append(heads, h)
		return err
	})
	return heads, err
}

// readHead reads a head row; k stands before inc4.
func readHead(k row, v []byte) (HeadRow, error) {
	k.num()
	h := HeadRow{Chain: k.u8()}
	r := row{b: v}
	h.Inc, h.Seq, h.ID, h.Floor = r.id(), r.u64(), r.id(), r.u64()
	if len(r.b) > 0 {
		h.Base = r.u64()
	}
	if !k.ok() || !r.ok() {
		return h, damaged("head row")
	}
	return h, nil
}

// ParkedOp is an operation that waits for what it needs.
type ParkedOp struct {
	ID   W.OpID
	Data []byte // frame, time, what is missing: as the room encodes it
}

// PutParked keeps an operation that cannot be judged yet. The room bounds
// their number.
func (tx *Tx) PutParked(group W.GroupID, id W.OpID, data []byte) error {
	g, err := tx.intern(group)
	if err != nil {
		return err
	}
	return tx.set(groupKey(pParked, g).half(id), id[:], data)
}

// EachParked calls fn for the parked operations of a group, in no order that
// means anything.
func (tx *Tx) EachParked(group W.GroupID, fn func(ParkedOp) error) error {
	g, ok, err := tx.lookup(group)
	if err != nil || !ok {
		return err
	}
	return tx.scan(span{prefix: groupKey(pParked, g)}, func(_ row, v []byte) error {
		r := row{b: v}
		p := ParkedOp{ID: r.id()}
		if r.bad {
			return damaged("parked row")
		}
		p.Data = r.rest()
		return fn(p)
	})
}

// DeleteParked forgets a parked operation; none is no error.
func (tx *Tx) DeleteParked(group W.GroupID, id W.OpID) error {
	g, ok, err := tx.lookup(group)
	if err != nil || !ok {
		return err
	}
	return tx.del(groupKey(pParked, g).half(id))
}
