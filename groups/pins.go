package groups

import (
	"bytes"

	"mutuals/identity/wire"
)

// Pin says how far the content chain of an inc counts: its operation Seq,
// with that hash, is the last. Evolution: never.
type Pin struct {
	_    struct{} `cbor:",toarray"`
	Inc  wire.OpID
	Seq  uint64
	Hash wire.OpID
}

// checkPins refuses pins that are not strictly ascending by inc, or pin
// nothing: an inc that is not listed is pinned at 0 (R31).
func checkPins(pins []Pin) *Refusal {
	if len(pins) > MaxPins {
		return refuse(ReasonOutOfBounds, "%d pins, at most %d", len(pins), MaxPins)
	}
	for i, p := range pins {
		if p.Seq == 0 || p.Seq >= maxSeq {
			return refuse(ReasonOutOfBounds, "pin %d at seq %d", i, p.Seq)
		}
		if i > 0 && bytes.Compare(pins[i-1].Inc[:], p.Inc[:]) >= 0 {
			return refuse(ReasonBadBody, "pin %d out of order", i)
		}
	}
	return nil
}

// pinOf gives the pin of inc, 0 when it is not listed.
func pinOf(pins []Pin, inc wire.OpID) uint64 {
	for _, p := range pins {
		if p.Inc == inc {
			return p.Seq
		}
	}
	return 0
}
