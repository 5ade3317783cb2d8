package groups

import (
	"bytes"
	"cmp"

	"mutuals/identity/wire"
)

// OrderKey orders a group's operations (SPEC.md R12): a plain sort that
// extends causality, and in which two operations never change places when
// more arrive.
type OrderKey struct {
	HLC   uint64 // hybrid clock, ms
	Depth uint64 // 1 + the deepest parent's; 1 for genesis
	ID    wire.OpID
}

// Compare is negative when k comes first.
func (k OrderKey) Compare(o OrderKey) int {
	return cmp.Or(cmp.Compare(k.HLC, o.HLC), cmp.Compare(k.Depth, o.Depth), bytes.Compare(k.ID[:], o.ID[:]))
}

// Less tells whether k comes before o.
func (k OrderKey) Less(o OrderKey) bool { return k.Compare(o) < 0 }

// NextHLC is the clock of an operation written at nowMs on top of operations
// with the given clocks (R11).
func NextHLC(nowMs uint64, built ...uint64) uint64 {
	for _, b := range built {
		nowMs = max(nowMs, b)
	}
	return nowMs
}

// ahead judges a clock against ours: ReasonNone, ReasonClockAhead (hold) or
// ReasonClockFarAhead (do not keep) (R11).
func ahead(hlc, nowMs uint64) Reason {
	switch {
	case hlc <= nowMs+MaxAheadMs:
		return ReasonNone
	case hlc <= nowMs+FarAheadMs:
		return ReasonClockAhead
	}
	return ReasonClockFarAhead
}
