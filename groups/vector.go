package groups

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"

	"mutuals/identity/wire"
)

const (
	// MaxVectorPage bounds the entries of one encoded vector or page of one:
	// three chains for each of a group's 1 000 devices and 1 096 to spare, at
	// most 260 KiB. It is also the longest array the encoding allows.
	MaxVectorPage = wire.MaxElements
	// MaxVector bounds what a device takes from one peer: four pages, chains of
	// everybody who ever was in a group that turned over five times. An
	// honest device never has more: it forgets the chains of those who left
	// before the history it keeps.
	MaxVector = 4 * MaxVectorPage
)

// VectorEntry says how far a device has one chain. A chain that forked has an
// entry for each of its heads (SYNC.md Y1). Evolution: never.
type VectorEntry struct {
	_     struct{} `cbor:",toarray"`
	Inc   wire.OpID
	Chain uint64 // a ChainKind: 0 control, 1 content, 2 KEM
	Seq   uint64
	Head  [16]byte // first bytes of the id of the operation at Seq
	Floor uint64   // seq of the oldest operation of the chain still held
}

// HeadOf shortens an operation's id to what a vector holds of it.
func HeadOf(id wire.OpID) [16]byte { return [16]byte(id[:16]) }

// CompareEntries orders by inc, chain, seq and head.
func CompareEntries(a, b VectorEntry) int {
	return cmp.Or(
		bytes.Compare(a.Inc[:], b.Inc[:]),
		cmp.Compare(a.Chain, b.Chain),
		cmp.Compare(a.Seq, b.Seq),
		bytes.Compare(a.Head[:], b.Head[:]),
	)
}

func sameChain(a, b VectorEntry) bool { return a.Inc == b.Inc && a.Chain == b.Chain }

// Vector is what one device holds of a group: its entries strictly ascending
// by inc, chain, seq and head.
type Vector []VectorEntry

// Sort puts the entries in order and drops equal ones.
func (v Vector) Sort() Vector {
	slices.SortFunc(v, CompareEntries)
	return slices.CompactFunc(v, func(a, b VectorEntry) bool { return CompareEntries(a, b) == 0 })
}

// Check tells whether v, from outside, is in order and within bounds; the
// error wraps wire.ErrMalformed.
func (v Vector) Check() error {
	if len(v) > MaxVector {
		return fmt.Errorf("%w: a vector of %d entries, at most %d", wire.ErrMalformed, len(v), MaxVector)
	}
	for i, e := range v {
		if e.Chain > 2 || e.Floor > e.Seq || e.Seq >= maxSeq {
			return fmt.Errorf("%w: vector entry %d: chain %d, seq %d, floor %d", wire.ErrMalformed, i, e.Chain, e.Seq, e.Floor)
		}
		if i > 0 && CompareEntries(v[i-1], e) >= 0 {
			return fmt.Errorf("%w: vector entry %d is out of order", wire.ErrMalformed, i)
		}
	}
	return nil
}

// maxSeq is the first sequence number that is refused: at 1 000 a second it
// is reached after 8 000 years, and ranges of numbers below it cannot
// overflow.
const maxSeq = 1 << 48

// Control gives the entries of control chains, which are synced first.
func (v Vector) Control() Vector {
	return slices.DeleteFunc(slices.Clone(v), func(e VectorEntry) bool { return e.Chain != 0 })
}

// Digest hashes a vector without its floors: two devices with equal digests
// hold the same heads, and what one of them has pruned is no reason to talk.
// Every field is of fixed length, so no page boundary enters (Y2).
func Digest(v Vector) [32]byte {
	h := sha256.New()
	for _, e := range v {
		var b [64]byte
		copy(b[:32], e.Inc[:])
		b[32] = byte(e.Chain)
		putU64(b[33:], e.Seq)
		copy(b[41:57], e.Head[:])
		h.Write(b[:57])
	}
	return [32]byte(h.Sum(nil))
}

func putU64(b []byte, n uint64) {
	for i := range 8 {
		b[i] = byte(n >> (56 - 8*i))
	}
}

// Want names operations From…To, both included, of one chain: all branches of
// it, when it forked. Evolution: never.
type Want struct {
	_     struct{} `cbor:",toarray"`
	Inc   wire.OpID
	Chain uint64
	From  uint64
	To    uint64
}

// Missing tells what a device with vector mine lacks of what one with theirs
// holds: control chains first, then KEM, then content. Called with the two
// swapped it tells what they lack (Y4, Y5).
//
// A vector holds heads only, so whether a lower head of theirs is an ancestor
// of ours or the end of another branch is not always told by it. Missing
// takes it for an ancestor when a head of ours stands above it that theirs
// does not list; the device on the shorter branch finds out first (an
// operation whose prev it lacks, see [Want.Widen]), lists both heads from then
// on, and so tells the other. A fork at equal seq is asked for at once.
func Missing(mine, theirs Vector) []Want {
	var out []Want
	for len(theirs) > 0 {
		n := chainLen(theirs)
		t := theirs[:n]
		theirs = theirs[n:]
		for len(mine) > 0 && compareChain(mine[0], t[0]) < 0 {
			mine = mine[1:]
		}
		var m Vector
		if len(mine) > 0 && sameChain(mine[0], t[0]) {
			m = mine[:chainLen(mine)]
			mine = mine[len(m):]
		}
		if w, ok := missingOfChain(m, t); ok {
			out = append(out, w)
		}
	}
	slices.SortStableFunc(out, func(a, b Want) int { return cmp.Compare(chainRank(a.Chain), chainRank(b.Chain)) })
	return out
}

// missingOfChain compares the heads of one chain, each list ascending.
func missingOfChain(mine, theirs Vector) (Want, bool) {
	w := Want{Inc: theirs[0].Inc, Chain: theirs[0].Chain, To: theirs[len(theirs)-1].Seq}
	floor := theirs[0].Floor
	for _, e := range theirs {
		floor = min(floor, e.Floor)
	}
	if len(mine) == 0 {
		w.From = floor
		return w, true
	}
	if len(mine) == 1 && len(theirs) == 1 && mine[0].Seq == theirs[0].Seq && mine[0].Head == theirs[0].Head {
		return w, false // of most chains: members are mostly of one mind
	}
	isIn := func(v Vector, e VectorEntry) bool {
		return slices.ContainsFunc(v, func(o VectorEntry) bool { return o.Seq == e.Seq && o.Head == e.Head })
	}
	left := slices.DeleteFunc(slices.Clone(mine), func(e VectorEntry) bool { return isIn(theirs, e) })
	found := false
	for i := len(theirs) - 1; i >= 0; i-- {
		e := theirs[i]
		if isIn(mine, e) {
			continue
		}
		if len(left) > 0 && left[len(left)-1].Seq > e.Seq {
			left = left[:len(left)-1] // e is taken for its ancestor
			continue
		}
		from := e.Seq
		if !found {
			w.To = e.Seq
		}
		// What this head may build on: our lowest head below it that they do
		// not list. With none, its branch leaves one both hold, at a place
		// only fetching tells.
		for _, o := range left {
			if o.Seq < e.Seq {
				from = o.Seq + 1
				break
			}
		}
		if !found || from < w.From {
			w.From = from
		}
		found = true
	}
	w.From = max(w.From, floor)
	return w, found
}

// Widen gives the range to ask for next when the oldest operation got for w
// builds on one that is missing too: as many again, below (Y5). ok is false when
// the chain has nothing below floor.
func (w Want) Widen(floor uint64) (next Want, ok bool) {
	if w.From <= floor {
		return Want{}, false
	}
	n := min(w.To-w.From+1, w.From-floor)
	next = w
	next.From, next.To = w.From-n, w.From-1
	return next, true
}

// Older tells what theirs holds below mine's floor: history that was not
// fetched yet, or that mine has pruned by its policy, which the caller knows.
func Older(mine, theirs Vector) []Want {
	var out []Want
	for len(theirs) > 0 {
		t := theirs[:chainLen(theirs)]
		theirs = theirs[len(t):]
		i, _ := slices.BinarySearchFunc(mine, t[0], compareChain)
		if i == len(mine) || !sameChain(mine[i], t[0]) {
			continue
		}
		if m := mine[i]; t[0].Floor < m.Floor {
			out = append(out, Want{Inc: m.Inc, Chain: m.Chain, From: t[0].Floor, To: m.Floor - 1})
		}
	}
	return out
}

// Covers tells whether a device with vector v holds operation seq of a chain
// whose heads are not known to have forked; with a fork, only a head itself
// is surely covered.
func (v Vector) Covers(inc wire.OpID, chain, seq uint64, id wire.OpID) bool {
	probe := VectorEntry{Inc: inc, Chain: chain}
	i, _ := slices.BinarySearchFunc(v, probe, compareChain)
	if i == len(v) || !sameChain(v[i], probe) {
		return false
	}
	heads := v[i : i+chainLen(v[i:])]
	for _, e := range heads {
		if e.Seq == seq && e.Head == HeadOf(id) {
			return true
		}
	}
	return len(heads) == 1 && heads[0].Floor <= seq && seq < heads[0].Seq
}

// chainLen counts the entries of v's first chain.
func chainLen(v Vector) int {
	n := 1
	for n < len(v) && sameChain(v[n], v[0]) {
		n++
	}
	return n
}

func compareChain(a, b VectorEntry) int {
	return cmp.Or(bytes.Compare(a.Inc[:], b.Inc[:]), cmp.Compare(a.Chain, b.Chain))
}

// chainRank orders chains for fetching: membership decides what the rest
// means, keys come before what they open.
func chainRank(chain uint64) int {
	switch chain {
	case 0:
		return 0
	case 2:
		return 1
	}
	return 2
}
