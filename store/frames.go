package store

import "bytes"

// The longest part of a frame that says nothing is not written: the 64 zero bytes where an
// operation has no signature of its own, which of the messages that come by sync are all but
// each sixteenth. Such a frame is written as a zero byte, with which no CBOR array begins, a
// u16 that says where the zeros were, and the rest. Any other is written as it is.
const (
	gapBytes  = 64
	gapMark   = 0
	gapNone   = 1<<16 - 1 // in place of where: no zeros are left out, the frame itself begins with a zero byte
	gapHeader = 3
)

var gap [gapBytes]byte

// packFrame gives a frame in the parts to be written one after the other.
func packFrame(frame []byte) (header, front, back []byte) {
	at := bytes.Index(frame, gap[:])
	switch {
	case at >= 0 && at < gapNone:
		return []byte{gapMark, byte(at >> 8), byte(at)}, frame[:at], frame[at+gapBytes:]
	case len(frame) > 0 && frame[0] == gapMark:
		return []byte{gapMark, gapNone >> 8, gapNone & 0xff}, frame, nil
	}
	return nil, frame, nil
}

// unpackFrame gives the frame back, which may be a part of b; ok is false if b is none.
func unpackFrame(b []byte) (frame []byte, ok bool) {
	if len(b) == 0 || b[0] != gapMark {
		return b, true
	}
	if len(b) < gapHeader {
		return nil, false
	}
	at, b := int(b[1])<<8|int(b[2]), b[gapHeader:]
	if at == gapNone {
		return b, true
	}
	if at > len(b) {
		return nil, false
	}
	frame = make([]byte, len(b)+gapBytes)
	copy(frame, b[:at])
	copy(frame[at+gapBytes:], b[at:])
	return frame, true
}
