package store

import (
	"context"
	"errors"
	"math"

	W "mutuals/identity/wire"
)

// What is left of a store of which tables were cut (SPEC.md D7): rows are missing anywhere,
// and those that say where others lie are brought back to what is there. What takes an
// operation apart is for node to do.

// mendStep is how many rows one transaction mends: each is a few dozen bytes.
const mendStep = 4096

// Left is what MendPlaces found of a group.
type Left struct {
	Places  int // operations and entries whose place was written anew
	Entries int // entries that are not there, or cannot be read; node makes them again
}

// regain gives a store of which tables were cut what it needs to be opened: its name and
// format, as the sentinel has them; the numbers of groups and incarnations whose rows are
// missing, as far as other tables tell them; and no number twice, for under one that is
// given anew nothing that is here would be found.
func (s *Store) regain() error {
	return s.raw(func(tx *Tx) error {
		if _, ok, err := tx.get(metaKey(metaID)); err != nil || !ok {
			if err := errors.Join(err, tx.set(metaKey(metaID), []byte(s.guard.ID)), tx.setMetaNumber(metaFormat, s.guard.Format)); err != nil {
				return err
			}
		}
		known, top, err := tx.names()
		if err != nil {
			return err
		}
		tell := func(n num, id W.OpID) error {
			top = max(top, n)
			if _, ok := known[n]; ok {
				return nil
			}
			known[n] = id
			return tx.set(newKey(pIntern).id(id), key(nil).num(n))
		}
		arrived := uint64(0)
		for prefix, names := range map[byte]func(k, v row) error{
			pGroup: func(k, v row) error { n := k.num(); return tell(n, v.id()) },
			pHead:  func(k, v row) error { k.num(); n := k.num(); return tell(n, v.id()) },
			pArrived: func(k, v row) error {
				k.num()
				arrived = max(arrived, k.u64()+1)
				n := v.num()
				return tell(n, v.id())
			},
		} {
			if err := tx.scan(span{prefix: newKey(prefix), bad: func(row) {}}, func(k row, v []byte) error {
				return names(k, row{b: v})
			}); err != nil {
				return err
			}
		}
		// Of some chains there may be operations alone.
		for at, ok, err := tx.chainFrom(nil); ok || err != nil; at, ok, err = tx.chainFrom(chainEnd(at)) {
			if err != nil {
				return err
			}
			top = max(top, at.group, at.inc)
		}
		num, err := tx.metaNumber(metaNum)
		if err != nil {
			return err
		}
		arr, err := tx.metaNumber(metaArr)
		if err != nil {
			return err
		}
		return errors.Join(tx.setMetaNumber(metaNum, max(num, uint64(top)+1)), tx.setMetaNumber(metaArr, max(arr, arrived)), tx.setMetaNumber(metaTidy, 0))
	})
}

// names are the interned ids by their numbers, and the greatest of these.
func (tx *Tx) names() (ids map[num]W.OpID, top num, err error) {
	ids = map[num]W.OpID{}
	err = tx.scan(span{prefix: newKey(pIntern), bad: func(row) {}}, func(k row, v []byte) error {
		r := row{b: v}
		if n, id := r.num(), k.id(); r.ok() && k.ok() {
			ids[n], top = id, max(top, n)
		}
		return nil
	})
	return ids, top, err
}

// GroupsLost lists groups of which there are operations, and whose own row is missing.
func (tx *Tx) GroupsLost() (lost []W.GroupID, err error) {
	known, _, err := tx.names()
	if err != nil {
		return nil, err
	}
	for at, ok, err := tx.chainFrom(nil); ok || err != nil; at, ok, err = tx.chainFrom(groupKey(pOp, at.group+1)) {
		if err != nil {
			return nil, err
		}
		id, named := known[at.group]
		if !named {
			continue
		}
		if _, rowed, err := tx.Group(W.GroupID(id)); err != nil || !rowed {
			lost = append(lost, W.GroupID(id))
		}
	}
	return lost, nil
}

// chainFrom is the first chain, from a key on, of which there is an operation.
func (tx *Tx) chainFrom(from key) (at chainName, ok bool, err error) {
	err = tx.scan(span{prefix: newKey(pOp), from: from, keysOnly: true}, func(k row, _ []byte) error {
		at, ok = chainName{k.num(), k.num(), k.u8()}, true
		return errStop
	})
	return at, ok, err
}

// ChainLeft is a chain of which there are operations, whatever the heads say.
type ChainLeft struct {
	Inc   W.OpID
	Chain uint8
}

// ChainsLeft lists the chains of a group of which there are operations. Those of an
// incarnation whose number nothing tells any more are left out.
func (tx *Tx) ChainsLeft(group W.GroupID) (chains []ChainLeft, err error) {
	g, ok, err := tx.lookup(group)
	if err != nil || !ok {
		return nil, err
	}
	ids, _, err := tx.names()
	if err != nil {
		return nil, err
	}
	for from := groupKey(pOp, g); ; {
		at, ok, err := tx.chainFrom(from)
		if err != nil || !ok || at.group != g {
			return chains, err
		}
		if inc, ok := ids[at.inc]; ok {
			chains = append(chains, ChainLeft{inc, at.chain})
		}
		from = chainEnd(at)
	}
}

// chainEnd is behind all operations of a chain.
func chainEnd(at chainName) key {
	return chainKey(at.group, at.inc, at.chain).u64(math.MaxUint64).u64(math.MaxUint64).u64(math.MaxUint64)
}

// OpsLeft calls fn for the operations of a chain that can be read, in order.
func (tx *Tx) OpsLeft(group W.GroupID, at ChainLeft, fn func(StoredOp) error) error {
	g, i, ok, err := tx.lookupPair(group, at.Inc)
	if err != nil || !ok {
		return err
	}
	prefix := chainKey(g, i, at.Chain)
	return tx.scan(span{prefix: prefix, bad: func(row) {}}, func(k row, v []byte) error {
		k.take(len(prefix) - 1)
		op, err := readOp(k, v, at.Chain)
		if err != nil {
			return nil
		}
		op.Inc = at.Inc
		return fn(op)
	})
}

// Rearrive makes these the control and KEM operations of a group, in this order, which is
// one in which each comes after what it was judged on; all others are forgotten, to be
// fetched again.
func (tx *Tx) Rearrive(group W.GroupID, ops []StoredOp) error {
	g, ok, err := tx.lookup(group)
	if err != nil || !ok {
		return err
	}
	if err := tx.scan(span{prefix: groupKey(pArrived, g), keysOnly: true}, func(k row, _ []byte) error {
		return tx.del(append(newKey(pArrived), k.b...))
	}); err != nil {
		return err
	}
	keep := map[W.OpID]bool{}
	for _, op := range ops {
		keep[op.ID] = true
	}
	chains, err := tx.ChainsLeft(group)
	if err != nil {
		return err
	}
	for _, at := range chains {
		if at.Chain == chainContent {
			continue
		}
		if err := tx.OpsLeft(group, at, func(op StoredOp) error {
			if keep[op.ID] {
				return nil
			}
			return tx.forgetOp(g, op)
		}); err != nil {
			return err
		}
	}
	for _, op := range ops {
		i, err := tx.intern(op.Inc)
		if err != nil {
			return err
		}
		n := tx.nextArr
		tx.nextArr++
		place := key(nil).num(i).id(op.Inc).u8(op.Chain).u64(op.Seq).half(op.ID)
		if err := tx.set(groupKey(pArrived, g).u64(n), place); err != nil {
			return err
		}
	}
	return nil
}

// forgetOp takes an operation and its place out; an entry, if it has one, stays.
func (tx *Tx) forgetOp(g num, op StoredOp) error {
	i, ok, err := tx.lookup(op.Inc)
	if err != nil || !ok {
		return err
	}
	if err := tx.del(opKey(g, i, op.Chain, op.Seq, op.ID)); err != nil {
		return err
	}
	w, ok, err := tx.where(g, op.ID)
	switch {
	case err != nil && !isDamaged(err):
		return err
	case err != nil || !ok || !w.entered:
		return tx.deleteWhere(g, op.ID)
	}
	w.inc, w.chain, w.seq = 0, 0, 0
	tx.untidy = true
	if err := tx.setMetaNumber(metaTidy, 0); err != nil {
		return err
	}
	return tx.writeWhere(g, op.ID, w)
}

// ForgetLeft forgets operations of a chain, to be fetched again.
func (tx *Tx) ForgetLeft(group W.GroupID, ops []StoredOp) error {
	g, ok, err := tx.lookup(group)
	if err != nil || !ok {
		return err
	}
	for _, op := range ops {
		if err := tx.forgetOp(g, op); err != nil {
			return err
		}
	}
	return nil
}

// MendPlaces writes the places of a group's operations and entries anew where they are
// missing or wrong, and takes out entries that cannot be read: node makes those again of
// their operations.
func (s *Store) MendPlaces(ctx context.Context, group W.GroupID) (left Left, err error) {
	err = s.mendInSteps(ctx, func(tx *Tx, budget *int) error { return tx.mendEntries(group, &left, budget) })
	if err == nil {
		err = s.mendInSteps(ctx, func(tx *Tx, budget *int) error { return tx.mendOps(group, &left, budget) })
	}
	return left, err
}

// mendInSteps calls fn in transactions of their own until one has nothing to do.
func (s *Store) mendInSteps(ctx context.Context, fn func(tx *Tx, budget *int) error) error {
	for {
		budget := mendStep
		if err := s.Update(ctx, func(tx *Tx) error { budget = mendStep; return fn(tx, &budget) }); err != nil {
			return err
		}
		if budget == mendStep {
			return nil
		}
	}
}

// mendEntries has each entry's place say where it stands.
func (tx *Tx) mendEntries(group W.GroupID, left *Left, budget *int) error {
	g, ok, err := tx.lookup(group)
	if err != nil || !ok {
		return err
	}
	bylined := map[num]bool{}
	if err := tx.scan(span{prefix: groupKey(pByline, g), bad: func(row) {}}, func(k row, _ []byte) error {
		k.num()
		bylined[k.num()] = true
		return nil
	}); err != nil {
		return err
	}
	drop := func(k row) error {
		left.Entries++
		*budget--
		return tx.del(append(newKey(pEntry), k.b...))
	}
	var bad []row
	err = tx.scan(span{prefix: groupKey(pEntry, g), bad: func(k row) { bad = append(bad, k) }}, func(k row, v []byte) error {
		if *budget <= 0 {
			return errStop
		}
		whole := k
		k.num()
		e, inc, err := parseEntry(k, v)
		if err != nil || inc != 0 && !bylined[inc] {
			return drop(whole)
		}
		w, ok, err := tx.where(g, e.ID)
		switch {
		case err != nil && !isDamaged(err):
			return err
		case err == nil && ok && w.entered && w.order == e.OrderMs:
			return nil
		case err != nil || !ok:
			w = where{}
		case w.entered: // it was placed elsewhere since, and that row is the newer
			if _, there, err := tx.get(entryKey(g, w.order, e.ID)); err != nil || there {
				return drop(whole)
			}
		}
		left.Places++
		*budget--
		w.entered, w.order = true, e.OrderMs
		return tx.writeWhere(g, e.ID, w)
	})
	for _, k := range bad {
		if err == nil {
			err = drop(k)
		}
	}
	return err
}

// mendOps has each operation's place say where it lies, and name no entry that is gone.
func (tx *Tx) mendOps(group W.GroupID, left *Left, budget *int) error {
	g, ok, err := tx.lookup(group)
	if err != nil || !ok {
		return err
	}
	return tx.scan(span{prefix: groupKey(pOp, g), bad: func(row) {}}, func(k row, v []byte) error {
		if *budget <= 0 {
			return errStop
		}
		k.num()
		inc, chain := k.num(), k.u8()
		op, err := readOp(k, v, chain)
		if err != nil {
			return nil
		}
		w, ok, err := tx.where(g, op.ID)
		switch {
		case err != nil && !isDamaged(err):
			return err
		case err != nil || !ok:
			w = where{}
		}
		right := where{inc: inc, chain: chain, seq: op.Seq, entered: w.entered, order: w.order}
		if w.entered {
			if _, there, err := tx.get(entryKey(g, w.order, op.ID)); err != nil || !there {
				right.entered, right.order = false, 0
				left.Entries++
			}
		}
		if right == w {
			return nil
		}
		left.Places++
		*budget--
		return tx.writeWhere(g, op.ID, right)
	})
}

// MendChanges drops the changes before a gap: readers begin anew, for the epoch is another
// (SPEC.md C4).
func (s *Store) MendChanges(ctx context.Context) error {
	from, next := uint64(0), uint64(0) // the first row behind the last gap, as its key says
	if err := s.View(func(tx *Tx) error {
		return tx.scan(span{prefix: newKey(pChange), bad: func(row) {}}, func(k row, v []byte) error {
			last, r := k.u64(), row{b: v}
			if first := last + 1 - uint64(r.u32()); first != next {
				from = last
			}
			next = last + 1
			return nil
		})
	}); err != nil {
		return err
	}
	return s.mendInSteps(ctx, func(tx *Tx, budget *int) error {
		drop := func(k row) error {
			*budget--
			return tx.del(append(newKey(pChange), k.b...))
		}
		var bad []row
		err := tx.scan(span{prefix: newKey(pChange), bad: func(k row) { bad = append(bad, k) }}, func(k row, _ []byte) error {
			whole := k
			if k.u64() >= from || *budget <= 0 {
				return errStop
			}
			return drop(whole)
		})
		for _, k := range bad {
			if err == nil {
				err = drop(k)
			}
		}
		return err
	})
}
