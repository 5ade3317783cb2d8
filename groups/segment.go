package groups

import (
	"fmt"

	"mutuals/identity/wire"
)

const (
	// MaxSegmentOps bounds the operations of a segment: what one signature at
	// its end checks, and what is lost when that one is bad.
	MaxSegmentOps = 256
	// MaxSegmentBytes bounds the frames of a segment: a few round trips of a
	// slow line, and what one peer can make us hold before we can judge it.
	MaxSegmentBytes = 512 << 10
	// MaxFrame bounds one operation's frame: a gossip message's 160 KiB. The
	// longest legal one is a control core of 128 KiB and its signature.
	MaxFrame = 160 << 10
)

// Segment is a run of operations of one chain, oldest first, as they are
// stored (Op.Frame). It ends on an operation with a signature of its own, so
// that all of it is authentic or none (SYNC.md Y7); a branch of a fork is a segment of its
// own. Whether it runs and is signed, the reader sees when it decodes the
// frames. Evolution: never.
type Segment struct {
	_      struct{} `cbor:",toarray"`
	Inc    wire.OpID
	Chain  uint64
	Frames [][]byte
}

// Check tells whether the segment is within bounds; the error wraps
// wire.ErrMalformed.
func (s Segment) Check() error {
	if s.Chain > 2 {
		return fmt.Errorf("%w: a segment of chain %d", wire.ErrMalformed, s.Chain)
	}
	if len(s.Frames) == 0 || len(s.Frames) > MaxSegmentOps {
		return fmt.Errorf("%w: a segment of %d operations, at most %d", wire.ErrMalformed, len(s.Frames), MaxSegmentOps)
	}
	sum := 0
	for _, f := range s.Frames {
		if len(f) == 0 || len(f) > MaxFrame {
			return fmt.Errorf("%w: a frame of %d bytes, at most %d", wire.ErrMalformed, len(f), MaxFrame)
		}
		sum += len(f)
	}
	if sum > MaxSegmentBytes {
		return fmt.Errorf("%w: a segment of %d bytes, at most %d", wire.ErrMalformed, sum, MaxSegmentBytes)
	}
	return nil
}

// encode gives the message that carries the segment: nearly all that is sent to
// who was away.
func (s *Segment) encode() []byte {
	size := 64
	for _, f := range s.Frames {
		size += len(f) + 5
	}
	b := make([]byte, 0, size)
	b = wire.AppendArray(b, 2)
	b = wire.AppendUint(b, syncSegment)
	b = wire.AppendArray(b, 3)
	b = wire.AppendBytes(b, s.Inc[:])
	b = wire.AppendUint(b, s.Chain)
	b = wire.AppendArray(b, len(s.Frames))
	for _, f := range s.Frames {
		b = wire.AppendBytes(b, f)
	}
	return b
}

// readSegment reads the message that carries a segment, if it is one and within
// bounds.
func readSegment(b []byte) (*Segment, bool) {
	r := wire.Read(b)
	r.Tuple(2)
	if r.Uint() != syncSegment {
		return nil, false
	}
	r.Tuple(3)
	s := &Segment{Inc: wire.OpID(r.Fixed(32)), Chain: r.Uint()}
	s.Frames = make([][]byte, r.Array(MaxSegmentOps))
	for i := range s.Frames {
		s.Frames[i] = r.Bytes()
	}
	return s, r.End() && s.Check() == nil
}

// SegmentBuilder gathers operations of one chain into segments that keep the
// bounds and end where they must. The zero value, with Inc and Chain set, is
// ready.
type SegmentBuilder struct {
	Inc    wire.OpID
	Chain  uint64
	frames [][]byte
	sizes  int
	cut    int // frames before it end on a signed one
}

// Add appends the next operation of the chain and tells whether it has a
// signature of its own. When the bounds are reached it returns the segment up
// to the last signed operation and keeps the rest; full is false otherwise.
// An unsigned run longer than a segment cannot be served: its frames are
// dropped and the error says so, since no reader could check them.
func (b *SegmentBuilder) Add(frame []byte, signed bool) (s Segment, full bool, err error) {
	if len(frame) == 0 || len(frame) > MaxFrame {
		return Segment{}, false, fmt.Errorf("gathering a segment: a frame of %d bytes, at most %d", len(frame), MaxFrame)
	}
	if len(b.frames) == MaxSegmentOps || b.sizes+len(frame) > MaxSegmentBytes {
		if b.cut == 0 {
			n := len(b.frames)
			b.frames, b.sizes = nil, 0
			return Segment{}, false, fmt.Errorf("gathering a segment: %d operations without a signed one", n)
		}
		s, full = b.take(), true
	}
	b.frames = append(b.frames, frame)
	b.sizes += len(frame)
	if signed {
		b.cut = len(b.frames)
	}
	return s, full, nil
}

// Rest returns what is left up to the last signed operation; ok is false when
// that is nothing.
func (b *SegmentBuilder) Rest() (s Segment, ok bool) {
	if b.cut == 0 {
		return Segment{}, false
	}
	return b.take(), true
}

func (b *SegmentBuilder) take() Segment {
	s := Segment{Inc: b.Inc, Chain: b.Chain, Frames: b.frames[:b.cut:b.cut]}
	b.frames = append([][]byte(nil), b.frames[b.cut:]...)
	b.cut, b.sizes = 0, 0
	for _, f := range b.frames {
		b.sizes += len(f)
	}
	return s
}
