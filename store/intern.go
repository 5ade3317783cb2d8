package store

import (
	"maps"
	"sync"
)

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
// group and every incarnation has one (SPEC.md K2). As a byline it is written until it is
// known to be on the disk: else a power cut may take it and leave rows under it, and it
// would be given to another.
func (tx *Tx) intern(id [32]byte) (num, error) {
	n, ok, err := tx.lookup(id)
	if err != nil {
		return 0, err
	}
	if _, done := tx.fresh[id]; done || ok && !tx.s.mayLose(id) {
		return n, nil
	}
	if !ok {
		n = tx.nextNum
		tx.nextNum++
	}
	tx.fresh[id] = n
	return n, tx.set(newKey(pIntern).id(id), key(nil).num(n))
}

// mayLose tells whether the number of id is not known to be on the disk; who has the turn
// asks.
func (s *Store) mayLose(id [32]byte) bool {
	upTo, ok := s.unsure[id]
	return ok && upTo > s.synced.Load()
}

// keepNums takes over the numbers that a batch gave or wrote again; who has the turn calls
// it.
func (s *Store) keepNums(tx *Tx) {
	if len(s.unsure) > 0 {
		maps.DeleteFunc(s.unsure, func(_ [32]byte, upTo int64) bool { return upTo <= s.synced.Load() })
	}
	for id, n := range tx.fresh {
		s.nums.put(id, n)
		if _, ok := s.unsure[id]; !ok && s.unsynced() > 0 {
			s.unsure[id] = s.written.Load()
		}
	}
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
