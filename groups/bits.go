package groups

import "math/bits"

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

// each calls f with every member, ascending.
func (b indexes) each(f func(i int)) {
	for w, x := range b {
		for ; x != 0; x &= x - 1 {
			f(w<<6 + bits.TrailingZeros64(x))
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
