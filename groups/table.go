package groups

import (
	"iter"
	"maps"
)

// maxNewer is how many entries a table holds beside those it shares: a version
// copies this many at most, and all of them once in as many versions.
const maxNewer = 32

// table is a map in many versions, each of which shares nearly everything with
// the one before. What is shared is never written.
type table[K comparable, V any] struct {
	old, newer map[K]V
}

func (t table[K, V]) get(k K) (v V) {
	if v, ok := t.newer[k]; ok {
		return v
	}
	return t.old[k]
}

// with is the version that has v at k.
func (t table[K, V]) with(k K, v V) table[K, V] {
	old, newer := t.old, maps.Clone(t.newer)
	if len(newer) == maxNewer {
		old = maps.Clone(old)
		maps.Copy(old, newer)
		newer = nil
	}
	if newer == nil {
		newer = make(map[K]V, 1)
	}
	newer[k] = v
	return table[K, V]{old, newer}
}

// all gives every entry, in no order.
func (t table[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for k, v := range t.newer {
			if !yield(k, v) {
				return
			}
		}
		for k, v := range t.old {
			if _, replaced := t.newer[k]; !replaced && !yield(k, v) {
				return
			}
		}
	}
}
