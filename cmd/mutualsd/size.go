package main

import (
	"fmt"
	"strconv"
	"strings"
)

// byteSize is a number of bytes as people write it: 512MiB, 1GiB.
type byteSize uint64

// units of a size, the largest first.
var units = []struct {
	name  string
	bytes uint64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// minSize and maxSize bound a size: less keeps no group, more is a mistake.
const minSize, maxSize = 1 << 20, 1 << 50

// Set reads a size.
func (b *byteSize) Set(s string) error {
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 50)
		if err != nil || n > maxSize/u.bytes || n*u.bytes < minSize {
			return fmt.Errorf("%q is no size between 1MiB and 1024TiB", s)
		}
		*b = byteSize(n * u.bytes)
		return nil
	}
	return fmt.Errorf("%q has no unit: write 512MiB or 1GiB", s)
}

// String writes a size in the largest unit that divides it.
func (b *byteSize) String() string {
	for _, u := range units {
		if n := uint64(*b); n != 0 && n%u.bytes == 0 {
			return strconv.FormatUint(n/u.bytes, 10) + u.name
		}
	}
	return "0B"
}

// Type names the kind of value in help texts.
func (b *byteSize) Type() string { return "size" }
