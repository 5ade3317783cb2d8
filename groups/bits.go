package groups

import (
	"iter"
	"math/bits"
	"slices"
)

// indexes is a set of small numbers: places of operations in a graph. The
// zero value is empty; words past the end count as zero.
type indexes []uint64

func (b indexes) has(i int) bool {
	w := i >> 6
	return w < len(b) && b[w]&(1<<(i&63)) != 0
}

// with returns b with i in it; b itself may be changed.
func (b indexes) with(i int) indexes {
	for w := i >> 6; w >= len(b); {
		b = append(b, 0)
	}
	b[i>>6] |= 1 << (i & 63)
	return b
}

// union returns b with everything of o in it; b itself may be changed.
func (b indexes) union(o indexes) indexes {
	for len(b) < len(o) {
		b = append(b, 0)
	}
	for w, x := range o {
		b[w] |= x
	}
	return b
}

// within tells whether every member of b is one of o.
func (b indexes) within(o indexes) bool {
	for w, x := range b {
		if w < len(o) {
			x &^= o[w]
		}
		if x != 0 {
			return false
		}
	}
	return true
}

// without returns b with i out of it; b itself may be changed.
func (b indexes) without(i int) indexes {
	if b.has(i) {
		b[i>>6] &^= 1 << (i & 63)
	}
	return b
}

// and is what b and o have in common; both stay.
func (b indexes) and(o indexes) indexes {
	out := slices.Clone(b[:min(len(b), len(o))])
	for w := range out {
		out[w] &= o[w]
	}
	return out
}

// minus is b without the members of o; b itself stays.
func (b indexes) minus(o indexes) indexes {
	out := slices.Clone(b)
	for w := range min(len(out), len(o)) {
		out[w] &^= o[w]
	}
	return out
}

// count is how many members b has.
func (b indexes) count() int {
	n := 0
	for _, x := range b {
		n += bits.OnesCount64(x)
	}
	return n
}

// all gives every member, ascending.
func (b indexes) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for w, x := range b {
			for ; x != 0; x &= x - 1 {
				if !yield(w<<6 + bits.TrailingZeros64(x)) {
					return
				}
			}
		}
	}
}

// down gives every member, descending.
func (b indexes) down() iter.Seq[int] {
	return func(yield func(int) bool) {
		for w := len(b) - 1; w >= 0; w-- {
			for x := b[w]; x != 0; {
				top := bits.Len64(x) - 1
				if !yield(w<<6 + top) {
					return
				}
				x &^= 1 << top
			}
		}
	}
}

// firstN is the set of the first n numbers.
func firstN(n int) indexes {
	b := make(indexes, (n+63)>>6)
	for w := range b {
		b[w] = ^uint64(0)
	}
	if n&63 != 0 {
		b[len(b)-1] = 1<<(n&63) - 1
	}
	return b
}
