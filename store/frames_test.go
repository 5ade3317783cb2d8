package store

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// packed is a frame as it lies in the store.
func packed(frame []byte) []byte {
	header, front, back := packFrame(frame)
	return slices.Concat(header, front, back)
}

// TestFrames: each frame comes back as it was given; one without a signature is at least 61
// bytes shorter where it lies, and only what begins with a zero byte is longer, by three.
func TestFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.SliceOfN(rapid.Byte(), 0, 200)
		zeros := make([]byte, rapid.SampledFrom([]int{0, 1, 63, 64, 65, 200, 1 << 16}).Draw(t, "zeros"))
		front := part.Draw(t, "front")
		if end := rapid.SampledFrom([]int{0, 0, 0, gapNone - 1, gapNone, gapNone + 1}).Draw(t, "end of front"); end > 0 {
			front = append(front, bytes.Repeat([]byte{1}, end-len(front))...) // as far as a u16 tells, and further
		}
		frame := slices.Concat(front, zeros, part.Draw(t, "back"))
		b := packed(frame)
		most := len(frame)
		if len(zeros) >= gapBytes && len(front) < gapNone {
			most -= gapBytes - gapHeader
		} else if len(frame) > 0 && frame[0] == 0 {
			most += gapHeader
		}
		if len(b) > most {
			t.Fatalf("%d bytes of %d", len(b), len(frame))
		}
		if got, ok := unpackFrame(b); !ok || !bytes.Equal(got, frame) {
			t.Fatalf("%d bytes came back as %d, or as others", len(frame), len(got))
		}
	})
}

// FuzzFrames: what lies on a disk, whatever it is, is a frame or none.
func FuzzFrames(f *testing.F) {
	for _, b := range [][]byte{nil, {0}, {0, 0, 1}, {0, 0, 0}, {0, 0xff, 0xff, 1}, {0x8b, 1, 2}} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, ok := unpackFrame(b)
		if len(frame) > len(b)+gapBytes || !ok && frame != nil {
			t.Fatalf("%d bytes of %d", len(frame), len(b))
		}
		if again, _ := unpackFrame(packed(frame)); !bytes.Equal(again, frame) {
			t.Fatalf("%d bytes, packed anew, are %d, or others", len(frame), len(again))
		}
	})
}
