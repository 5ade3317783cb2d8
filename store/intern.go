package store

// intern returns the number of id, giving it one if it has none. Every
// group and every incarnation has one (SPEC.md K2).
func (tx *Tx) intern(id [32]byte) (num, error) {
	n, ok, err := tx.lookup(id)
	if err != nil || ok {
		return n, err
	}
	n = tx.nextNum
	tx.nextNum++
	tx.fresh[id] = n
	return n, tx.set(newKey(pIntern).id(id), key(nil).num(n))
}

// lookup returns the number of id if it has one.
func (tx *Tx) lookup(id [32]byte) (num, bool, error) {
	if n, ok := tx.fresh[id]; ok {
		return n, true, nil
	}
	if n, ok := tx.s.nums.Load(id); ok {
		return n.(num), true, nil
	}
	v, ok, err := tx.get(newKey(pIntern).id(id))
	if err != nil || !ok {
		return 0, false, err
	}
	r := row{b: v}
	n := r.num()
	if !r.ok() {
		return 0, false, damaged("interned id")
	}
	tx.s.nums.Store(id, n)
	return n, true, nil
}
