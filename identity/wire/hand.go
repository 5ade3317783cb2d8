package wire

import (
	"encoding/binary"
	"unicode/utf8"
)

// Reader reads values one after the other, without reflection: for the few
// shapes of which a device reads a hundred thousand in a row, where that is most
// of what reading costs. What it accepts, [Unmarshal] accepts as the same; what it
// does not, is for Unmarshal to judge, which says what is wrong. Once something
// did not fit, OK is false for good and everything read is zero.
type Reader struct {
	b   []byte
	at  int
	bad bool
}

// Read begins with the first value of b. What a Reader returns points into b.
func Read(b []byte) *Reader { return &Reader{b: b} }

// OK tells whether all that was asked for was there, canonically encoded.
func (r *Reader) OK() bool { return !r.bad }

// End is OK, and nothing is left.
func (r *Reader) End() bool { return !r.bad && r.at == len(r.b) }

// At is how many bytes were read.
func (r *Reader) At() int { return r.at }

// The major types of RFC 8949 that a Reader knows.
const (
	majorUint  = 0
	majorBytes = 2
	majorText  = 3
	majorArray = 4
)

const (
	encodedFalse = 0xf4
	encodedTrue  = 0xf5
)

// head reads the beginning of a value: its type, and its number or length in
// the fewest bytes.
func (r *Reader) head() (major byte, n uint64) {
	if r.bad || r.at >= len(r.b) {
		r.bad = true
		return 0, 0
	}
	first := r.b[r.at]
	major, n = first>>5, uint64(first&0x1f)
	r.at++
	if n < 24 {
		return major, n
	}
	size := 1 << (n - 24)
	if n > 27 || len(r.b)-r.at < size {
		r.bad = true
		return 0, 0
	}
	rest := r.b[r.at : r.at+size]
	r.at += size
	least := uint64(1) << (4 * size) // what does not fit into half as many bytes
	switch size {
	case 1:
		n, least = uint64(rest[0]), 24
	case 2:
		n = uint64(binary.BigEndian.Uint16(rest))
	case 4:
		n = uint64(binary.BigEndian.Uint32(rest))
	default:
		n = binary.BigEndian.Uint64(rest)
	}
	if n < least {
		r.bad = true
		return 0, 0
	}
	return major, n
}

func (r *Reader) headOf(major byte) uint64 {
	got, n := r.head()
	if got != major {
		r.bad = true
	}
	if r.bad {
		return 0
	}
	return n
}

// Uint reads an unsigned integer.
func (r *Reader) Uint() uint64 { return r.headOf(majorUint) }

// Bytes reads a byte string.
func (r *Reader) Bytes() []byte { return r.take(r.headOf(majorBytes)) }

// Fixed reads a byte string of that length.
func (r *Reader) Fixed(length int) []byte {
	b := r.Bytes()
	if len(b) != length {
		r.bad = true
		return make([]byte, length)
	}
	return b
}

// Text reads a text.
func (r *Reader) Text() string {
	b := r.take(r.headOf(majorText))
	if !utf8.Valid(b) {
		r.bad = true
		return ""
	}
	return string(b)
}

// Array reads the beginning of an array of at most most elements, which are read
// next, and gives their number.
func (r *Reader) Array(most int) int {
	n := r.headOf(majorArray)
	if n > uint64(most) {
		r.bad = true
		return 0
	}
	return int(n)
}

// Tuple reads the beginning of an array of so many elements, as structs are.
func (r *Reader) Tuple(fields int) {
	if r.Array(fields) != fields {
		r.bad = true
	}
}

// Raw passes over one value made of arrays, unsigned integers, byte strings,
// text and booleans and gives its encoding.
func (r *Reader) Raw() Raw {
	from := r.at
	r.skip(MaxNesting / 2) // deeper ones are rare
	if r.bad {
		return nil
	}
	return r.b[from:r.at:r.at]
}

func (r *Reader) skip(depth int) {
	if r.at < len(r.b) && (r.b[r.at] == encodedFalse || r.b[r.at] == encodedTrue) {
		r.at++
		return
	}
	switch major, n := r.head(); major {
	case majorUint:
	case majorBytes:
		r.take(n)
	case majorText:
		if !utf8.Valid(r.take(n)) {
			r.bad = true
		}
	case majorArray:
		if depth == 0 || n > MaxElements {
			r.bad = true
			return
		}
		for range n {
			if r.skip(depth - 1); r.bad {
				return
			}
		}
	default:
		r.bad = true
	}
}

func (r *Reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)-r.at) {
		r.bad = true
		return nil
	}
	from := r.at
	r.at += int(n)
	return r.b[from:r.at:r.at]
}

// AppendUint appends an unsigned integer as Marshal encodes it.
func AppendUint(b []byte, n uint64) []byte { return appendHead(b, majorUint, n) }

// AppendBytes appends a byte string.
func AppendBytes(b, value []byte) []byte {
	return append(appendHead(b, majorBytes, uint64(len(value))), value...)
}

// AppendText appends a text.
func AppendText(b []byte, value string) []byte {
	return append(appendHead(b, majorText, uint64(len(value))), value...)
}

// AppendBool appends a boolean.
func AppendBool(b []byte, yes bool) []byte {
	if yes {
		return append(b, encodedTrue)
	}
	return append(b, encodedFalse)
}

// AppendArray appends the beginning of an array, whose elements follow.
func AppendArray(b []byte, elements int) []byte { return appendHead(b, majorArray, uint64(elements)) }

func appendHead(b []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}
