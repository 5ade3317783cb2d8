package wire

import (
	"math/bits"
	"strconv"
	"strings"
)

// Mark is the four letters an armoured text begins with; they say what is
// inside (identity/SPEC.md W7, invites/SPEC.md V9).
type Mark string

// The list of marks. Each has four letters of the alphabet, and no two are
// alike in more than three.
const (
	MarkPasscode Mark = "MUTP"
	MarkCard     Mark = "MUTC"
	MarkLink     Mark = "MUTD" // of another device: L is no letter of the alphabet
)

// marks is what a finder looks for.
var marks = [...]Mark{MarkPasscode, MarkCard, MarkLink}

// alphabet holds no two letters that look alike in one case or the other:
// neither 0 nor O, none of 1, I and L. What is left is 31 letters, a prime,
// so that the checks below are sums in a field.
const alphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"

const (
	radix       = len(alphabet) // 31
	groupLen    = 8             // letters in a group, its check letter included
	groupData   = groupLen - 1
	blockBytes  = 13 // 31^21 is a little more than 2^104
	blockGroups = 3
	markLen     = 4
	// Bytes that one and two groups of a last block can hold.
	oneGroupBytes, twoGroupBytes = 4, 8
)

// Armour writes payload as letters that people can copy, read aloud and type:
// groups of eight between dashes, upper case. The first group is the mark and
// the payload's length; the last letter of every group checks that group and
// its place. It panics on an empty payload or one above MaxArmoured bytes,
// which is a mistake of the caller's code.
func Armour(m Mark, payload []byte) string {
	if len(payload) == 0 || len(payload) > MaxArmoured || len(m) != markLen {
		panic("internal error: armouring a payload out of bounds")
	}
	digits := make([]int, 0, groupData*(1+armourGroups(len(payload))))
	for _, r := range m {
		digits = append(digits, value(r))
	}
	n := len(payload)
	digits = append(digits, n/(radix*radix), n/radix%radix, n%radix)
	for len(payload) > 0 {
		k := min(len(payload), blockBytes)
		digits = append(digits, blockDigits(payload[:k])...)
		payload = payload[k:]
	}
	var b strings.Builder
	for g := 0; g*groupData < len(digits); g++ {
		if g > 0 {
			b.WriteByte('-')
		}
		data := digits[g*groupData : (g+1)*groupData]
		for _, d := range data {
			b.WriteByte(alphabet[d])
		}
		b.WriteByte(alphabet[checkDigit(g+1, data)])
	}
	return b.String()
}

// armourGroups is the number of groups that n bytes take after the first.
func armourGroups(n int) int {
	return n/blockBytes*blockGroups + lastGroups(n%blockBytes)
}

func lastGroups(bytes int) int {
	switch {
	case bytes == 0:
		return 0
	case bytes <= oneGroupBytes:
		return 1
	case bytes <= twoGroupBytes:
		return 2
	}
	return blockGroups
}

// blockDigits writes up to 13 bytes, a big-endian number, in base 31.
func blockDigits(b []byte) []int {
	var hi, lo uint64
	for _, c := range b {
		hi, lo = hi<<8|lo>>56, lo<<8|uint64(c)
	}
	digits := make([]int, groupData*lastGroups(len(b)))
	for i := len(digits) - 1; i >= 0; i-- {
		var rem uint64
		hi, rem = hi/uint64(radix), hi%uint64(radix)
		lo, rem = bits.Div64(rem, lo, uint64(radix))
		digits[i] = int(rem)
	}
	return digits
}

// blockOf is the reverse of blockDigits for n bytes; false if the number does
// not fit them, which no payload gives.
func blockOf(digits []int, n int) ([]byte, bool) {
	var hi, lo uint64
	for _, d := range digits {
		carry, low := bits.Mul64(lo, uint64(radix))
		hi = hi*uint64(radix) + carry // 31^21 < 2^105: no overflow
		var c uint64
		lo, c = bits.Add64(low, uint64(d), 0)
		hi += c
	}
	b := make([]byte, n)
	for i := n - 1; i >= 0; i-- {
		b[i] = byte(lo)
		hi, lo = hi>>8, lo>>8|hi<<56
	}
	return b, hi == 0 && lo == 0
}

// A group of digits d1…d8 at place p (from 1) is right iff
//
//	1·d1 + 2·d2 + … + 8·d8 + p⁷ + ⌊p/31⌋ ≡ 0 (mod 31).
//
// The weights are distinct and not 0 in a field, so one wrong letter always
// changes the sum, and so do any two unlike letters of a group that changed
// places. Two neighbours that changed places across a border are one wrong
// letter in each group. The seventh power takes every value once and is no
// straight line: groups moved together to other places are not right there.
func groupSum(p int, digits []int) int {
	s := placeSum(p)
	for i, d := range digits {
		s += (i + 1) * d
	}
	return s % radix
}

func placeSum(p int) int {
	q := p % radix
	cube := q * q * q % radix
	return cube*cube*q + p/radix
}

// checkDigit is the d8 that makes a group of seven right.
func checkDigit(p int, data []int) int {
	const inverse = 4 // 8·4 = 32 ≡ 1 (mod 31)
	return (radix - groupSum(p, data)) * inverse % radix
}

// value is an upper-case letter's digit, or -1.
func value(r rune) int {
	switch {
	case r >= '2' && r <= '9':
		return int(r - '2')
	case r >= 'A' && r <= 'H':
		return int(r-'A') + 8
	case r == 'J' || r == 'K':
		return int(r-'J') + 16
	case r == 'M' || r == 'N':
		return int(r-'M') + 18
	case r >= 'P' && r <= 'Z':
		return int(r-'P') + 20
	}
	return -1
}

// ArmourFault says what is wrong with an armoured text.
type ArmourFault uint8

// The list of faults.
const (
	// Malformed: nothing armoured is there, or not of the kind asked for, or
	// letters no encoder writes.
	Malformed ArmourFault = iota + 1
	// CutOff: it begins well, and its end is missing.
	CutOff
	// Mistyped: the group named does not fit its check letter.
	Mistyped
)

// ArmourError tells what is wrong with an armoured text. Its Error holds no
// letters, so that logging it gives no secret away.
type ArmourError struct {
	Fault ArmourFault
	// Group counts from 1: the wrong one, or the one in which a cut off text
	// ends or which is the first missing. 0 if Malformed.
	Group int
	// Letters are those found in that group, upper case; up to eight.
	Letters string
}

func (e *ArmourError) Error() string {
	switch e.Fault {
	case CutOff:
		return "text is cut off"
	case Mistyped:
		return "letters are mistyped in group " + strconv.Itoa(e.Group)
	}
	return "no such armoured text"
}
