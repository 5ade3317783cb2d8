package store

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestFrames: each frame comes back as it was given; one without a signature is 61 bytes
// shorter where it lies, and none is more than three longer.
func TestFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.SliceOfN(rapid.Byte(), 0, 200)
		zeros := make([]byte, rapid.SampledFrom([]int{0, 1, 63, 64, 65, 200, 1 << 16}).Draw(t, "zeros"))
		frame := slices.Concat(part.Draw(t, "front"), zeros, part.Draw(t, "back"))
		header, front, back := packFrame(frame)
		packed := slices.Concat(header, front, back)
		most := len(frame)
		if len(zeros) >= gapBytes {
			most -= gapBytes - gapHeader
		} else if len(frame) > 0 && frame[0] == 0 {
			most += gapHeader
		}
		if len(packed) > most {
			t.Fatalf("%d bytes of %d", len(packed), len(frame))
		}
		if got, ok := unpackFrame(packed); !ok || !bytes.Equal(got, frame) {
			t.Fatalf("%x came back as %x", frame, got)
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
	})
}
