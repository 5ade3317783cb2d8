package groups

import (
	"bytes"
	"crypto/sha256"

	"mutuals/identity/wire"
)

// Content operations are nearly all that a device reads: one that was away gets a
// hundred thousand. They are read by hand (wire.Reader); whatever that does not
// take is read as all other operations are, which says what is wrong.

const (
	// contentFields is how many a content core has.
	contentFields = 11
	// hashLen is what the last of them takes: 32 bytes and their length.
	hashLen = 2 + sha256.Size
)

// contentCoreOf reads the core of a content operation of this version at the
// front of b. What it gives points into b.
func contentCoreOf(b []byte) (o *Op, ok bool) {
	if len(b) < 3 || b[0] != 0x80|contentFields || b[1] != Version || b[2] != byte(Content) {
		return nil, false
	}
	r := wire.Read(b)
	r.Tuple(contentFields)
	o = &Op{Version: r.Uint(), Chain: ChainKind(r.Uint()), Inc: r.Bytes(), Seq: r.Uint(), Prev: r.Bytes()}
	if n := r.Array(MaxParents); n > 0 {
		o.Heads = make([]wire.OpID, n)
	}
	for i := range o.Heads {
		o.Heads[i] = wire.OpID(r.Fixed(32))
	}
	o.HLC, o.EID, o.Salt, o.CtLen, o.CtHash = r.Uint(), [32]byte(r.Fixed(32)), [16]byte(r.Fixed(16)), r.Uint(), [32]byte(r.Fixed(32))
	if !r.OK() || r.At() > MaxContentCore || o.CtLen < minCipher || o.CtLen > maxCipher || o.checkPlace() != nil {
		return nil, false
	}
	o.Core = b[:r.At():r.At()]
	return o, true
}

// readContent reads the frame of a content operation, which it copies once.
func readContent(frame []byte) (*Op, bool) {
	if len(frame) > MaxFrame {
		return nil, false
	}
	frame = bytes.Clone(frame)
	o, ok := contentCoreOf(frame)
	if !ok || len(frame) < len(o.Core)+sigLen {
		return nil, false
	}
	rest := frame[len(o.Core):]
	o.Sig, rest = wire.Sig(rest[:sigLen]), rest[sigLen:]
	o.Signed = o.Sig != wire.Sig{}
	if len(rest) > 0 {
		if o.checkCipher(rest) != nil {
			return nil, false
		}
		o.Cipher = rest
	}
	o.ID, o.frame = wire.Hash(o.Core), frame
	return o, true
}
