package store

import "bytes"

// A frame's longest part that says nothing is not written: the 64 zero bytes where an
// operation has no signature of its own, which in a chain of messages is nearly every one.
// What is written begins with a zero byte then, which no CBOR array does, and where the
// zeros were. Any other frame is written as it is.
const (
	gapBytes  = 64
	gapMark   = 0
	gapNone   = 1<<16 - 1 // it begins with a zero byte, and has no zeros left out
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

// unpackFrame gives the frame back; ok is false if b is none.
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
