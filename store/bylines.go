package store

import (
	"maps"
	"sync"

	W "mutuals/identity/wire"
)

// Byline is what all entries of one incarnation share: who wrote them. It lies in the
// store once for each incarnation of a group, and an entry names it by number: it was a
// quarter of what an entry of a line of text took. The zero Byline is none.
type Byline struct {
	Inc W.OpID
	// Data gives it as groups/timeline encodes it, the same each time for one Inc; it is
	// called only if none of Inc is known to be on the disk.
	Data func() []byte
}

// bylineKey is where one lies: the numbers of its group and its incarnation.
type bylineKey struct{ g, inc num }

// bylines are those that were read, for the readers of pages, at most maxBylines.
type bylines struct {
	mu sync.RWMutex
	of map[bylineKey][]byte
}

// putByline has a byline lie in the store and gives its number, 0 for none. It is written anew
// until it is known to be on the disk: a power cut may take the end of one log and leave
// what came first in the next (SPEC.md D2), and an entry is not to be there without it.
func (tx *Tx) putByline(g num, by Byline) (num, error) {
	if by.Inc == (W.OpID{}) {
		return 0, nil
	}
	inc, err := tx.intern(by.Inc)
	if err != nil {
		return 0, err
	}
	at := bylineKey{g, inc}
	if tx.bylined[at] {
		return inc, nil
	}
	if upTo, ok := tx.s.bylined[at]; ok && upTo <= tx.s.synced.Load() && !tx.forgot[g] {
		return inc, nil
	}
	if err := tx.set(groupKey(pByline, g).num(inc), by.Data()); err != nil {
		return 0, err
	}
	if tx.bylined == nil {
		tx.bylined = map[bylineKey]bool{}
	}
	tx.bylined[at] = true
	return inc, nil
}

// forgetBylines notes that a group's bylines are deleted.
func (tx *Tx) forgetBylines(g num) {
	maps.DeleteFunc(tx.bylined, func(at bylineKey, _ bool) bool { return at.g == g })
	if tx.forgot == nil {
		tx.forgot = map[num]bool{}
	}
	tx.forgot[g] = true
}

// keepBylines takes over what a batch did with bylines; who has the turn calls it.
func (s *Store) keepBylines(tx *Tx) {
	if len(tx.forgot) > 0 { // rarely; there may be a hundred thousand
		maps.DeleteFunc(s.bylined, func(at bylineKey, _ int64) bool { return tx.forgot[at.g] })
	}
	for at := range tx.bylined {
		if _, ok := s.bylined[at]; !ok {
			s.bylined[at] = s.written.Load()
		}
	}
}

// byline returns one that an entry names.
func (tx *Tx) byline(g, inc num) ([]byte, error) {
	at, known := bylineKey{g, inc}, &tx.s.bylines
	known.mu.RLock()
	b, ok := known.of[at]
	known.mu.RUnlock()
	if ok {
		return b, nil
	}
	b, ok, err := tx.get(groupKey(pByline, g).num(inc))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, damaged("entries of a group have no byline %d", inc)
	}
	if tx.write {
		return b, nil // maybe not committed
	}
	known.mu.Lock()
	defer known.mu.Unlock()
	if known.of == nil || len(known.of) >= maxBylines {
		known.of = map[bylineKey][]byte{}
	}
	known.of[at] = b
	return b, nil
}
