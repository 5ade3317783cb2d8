package store

import "sync"

// nums are the interned ids that are known in memory.
type nums struct {
	mu sync.RWMutex
	of map[[32]byte]num
}

func (k *nums) get(id [32]byte) (num, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	n, ok := k.of[id]
	return n, ok
}

func (k *nums) put(id [32]byte, n num) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of == nil {
		k.of = map[[32]byte]num{}
	}
	k.of[id] = n
}

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
	if n, ok := tx.s.nums.get(id); ok {
		return n, true, nil
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
	tx.s.nums.put(id, n)
	return n, true, nil
}
