package groups

import (
	"bytes"
	"fmt"
	"slices"

	"mutuals/identity/wire"
)

type (
	// FaultBody proves that an inc contradicted itself: two operations of one
	// chain with one seq (R45). It stops the inc where its author stands.
	// Evolution: never.
	FaultBody struct {
		_     struct{} `cbor:",toarray"`
		Inc   wire.OpID
		Chain uint64
		Seq   uint64
		A, B  Evidence // ascending by Op
		Pins  []Pin
	}
	// Evidence is one side of a contradiction. Of a control chain Op is
	// enough: it was accepted, and is in the fault's past. Else the cores are
	// those of Op and its successors up to the one that Sig signs.
	Evidence struct {
		_     struct{} `cbor:",toarray"`
		Op    wire.OpID
		Cores [][]byte
		Sig   []byte
	}
)

func (b *FaultBody) bounds() *Refusal {
	switch {
	case b.Chain > uint64(KEM):
		return refuse(ReasonOutOfBounds, "chain %d", b.Chain)
	case b.Seq == 0 || b.Seq >= maxSeq:
		return refuse(ReasonOutOfBounds, "seq %d", b.Seq)
	case bytes.Compare(b.A.Op[:], b.B.Op[:]) >= 0:
		return refuse(ReasonBadFault, "sides out of order")
	}
	for _, e := range []*Evidence{&b.A, &b.B} {
		if ChainKind(b.Chain) == Control {
			if len(e.Cores) != 0 || len(e.Sig) != 0 {
				return refuse(ReasonBadFault, "evidence of what was accepted")
			}
			continue
		}
		if len(e.Cores) == 0 || len(e.Cores) > MaxEvidence || len(e.Sig) != sigLen {
			return refuse(ReasonBadFault, "%d cores, signature of %d bytes", len(e.Cores), len(e.Sig))
		}
	}
	return checkPins(b.Pins)
}

// ops decodes one side: the operation and what its author signed on top.
func (e *Evidence) ops() ([]*Op, *Refusal) {
	out := make([]*Op, len(e.Cores))
	for i, c := range e.Cores {
		if len(c) > MaxContentCore {
			return nil, refuse(ReasonTooLarge, "core of %d bytes", len(c))
		}
		o, r := DecodeUnsigned(c)
		if r != nil {
			return nil, r
		}
		if o.Update || len(o.Cipher) > 0 {
			return nil, refuse(ReasonBadFault, "core %d", i)
		}
		out[i] = o
	}
	last := out[len(out)-1]
	last.Sig, last.Signed = wire.Sig(e.Sig), true
	return out, nil
}

// checkFault verifies both sides of a content or KEM contradiction (R45);
// complete is false when the inc is not here.
func (l *Log) checkFault(b *FaultBody) (complete bool, _ *Refusal) {
	if ChainKind(b.Chain) == Control {
		return true, nil
	}
	if _, ok := l.g.find(b.Inc); !ok {
		return false, nil
	}
	for _, e := range []*Evidence{&b.A, &b.B} {
		ops, r := e.ops()
		if r != nil {
			return false, r
		}
		o := ops[0]
		if o.ID != e.Op || o.IncID() != b.Inc || uint64(o.Chain) != b.Chain || o.Seq != b.Seq {
			return false, refuse(ReasonBadFault, "evidence of something else")
		}
		if r := l.CheckSegment(ops); r != nil {
			return false, r
		}
	}
	return true, nil
}

// placeFault finds what a fault names in its past: the inc, and of a control
// contradiction both sides, of content what either had seen (R45).
func (g *graph) placeFault(n *node, b *FaultBody) *Refusal {
	i, ok := g.find(b.Inc)
	if !ok || !n.past.has(i) || !g.nodes[i].isInc() {
		return refuse(ReasonIncNotInPast, "inc %s", b.Inc.Short())
	}
	n.target = i
	for _, e := range []*Evidence{&b.A, &b.B} {
		if ChainKind(b.Chain) != Control {
			ops, r := e.ops()
			if r != nil {
				return r
			}
			for _, h := range ops[0].Heads {
				if at, ok := g.find(h); !ok || !n.past.has(at) {
					return refuse(ReasonBadFault, "head %s is not in its past", h.Short())
				}
			}
			continue
		}
		at, ok := g.find(e.Op)
		if !ok || !n.past.has(at) || g.nodes[at].inc != i || g.nodes[at].op.Seq != b.Seq || at == i {
			return refuse(ReasonBadFault, "side %s", e.Op.Short())
		}
	}
	return nil
}

// mayFault: nobody stopped the inc before, and content below the
// contradiction stays (R45).
func mayFault(s *State, n *node, b *FaultBody) *Refusal {
	if s.r.stopped(n.target) {
		return refuse(ReasonCutAlready, "inc %s", b.Inc.Short())
	}
	if ChainKind(b.Chain) == Content && pinOf(b.Pins, b.Inc)+1 < b.Seq {
		return refuse(ReasonBadFault, "pinned at %d, contradiction at %d", pinOf(b.Pins, b.Inc), b.Seq)
	}
	return nil
}

// Branch says which of a device's contradicting words count: those of the
// branch that has the operation Head at Seq. The branches part below From.
type Branch struct {
	From uint64
	Seq  uint64
	Head wire.OpID
}

// NamedBranch is the branch of an inc's content that counts, if the inc
// contradicted itself there: the one that the first proof by order key pinned
// (R46).
func (s *State) NamedBranch(inc wire.OpID) (Branch, bool) {
	i, ok := s.find(inc)
	if !ok {
		return Branch{}, false
	}
	first := -1
	for _, c := range s.r.cuts[i] {
		b, ok := s.r.nodes[c].op.Body.(*FaultBody)
		if ok && ChainKind(b.Chain) == Content && (first < 0 || s.r.nodes[c].key.Less(s.r.nodes[first].key)) {
			first = c
		}
	}
	if first < 0 {
		return Branch{}, false
	}
	b := s.r.nodes[first].op.Body.(*FaultBody)
	for _, p := range b.Pins {
		if p.Inc == inc {
			return Branch{From: b.Seq, Seq: p.Seq, Head: p.Hash}, true
		}
	}
	return Branch{}, false // pinned at nothing: nothing counts
}

// NewFault writes down a contradiction: a and b each begin with the operation
// in question and end with one that carries its signature, each the prev of
// the next; of control operations one is enough. It pins the inc's content
// where this log has it, at the contradiction at least. The error says why
// the two do not contradict each other.
func (l *Log) NewFault(a, b []*Op) (FaultBody, error) {
	if len(a) == 0 || len(b) == 0 {
		return FaultBody{}, fmt.Errorf("proving a fault: no evidence")
	}
	x, y := a[0], b[0]
	if x.ID == y.ID || x.Chain != y.Chain || x.Seq != y.Seq || x.IncID() != y.IncID() {
		return FaultBody{}, fmt.Errorf("proving a fault: %v and %v do not contradict each other", x, y)
	}
	f := FaultBody{Inc: x.IncID(), Chain: uint64(x.Chain), Seq: x.Seq, Pins: l.PinsForInc(x.IncID())}
	if x.Chain == Content && len(f.Pins) == 0 && x.Seq > 1 {
		return FaultBody{}, fmt.Errorf("proving a fault: nothing of inc %s is here to pin", x.IncID().Short())
	}
	f.A, f.B = evidence(a), evidence(b)
	if compareIDs(f.A.Op, f.B.Op) > 0 {
		f.A, f.B = f.B, f.A
	}
	if r := f.bounds(); r != nil {
		return FaultBody{}, fmt.Errorf("proving a fault: %w", r)
	}
	return f, nil
}

func evidence(ops []*Op) Evidence {
	e := Evidence{Op: ops[0].ID}
	if ops[0].Chain == Control {
		return e
	}
	for _, o := range ops {
		e.Cores = append(e.Cores, o.Core)
	}
	last := ops[len(ops)-1]
	e.Sig = last.Sig[:]
	return e
}

// Fork is a contradiction between two accepted control operations that
// nobody has proved yet.
type Fork struct {
	Inc  wire.OpID
	Seq  uint64
	A, B wire.OpID // ascending
}

// Forks lists, for each uncut inc whose control chain is forked, its first
// contradiction: of the lowest seq, the two of lowest order key; ascending by
// inc.
func (s *State) Forks() []Fork {
	type place struct {
		inc int
		seq uint64
	}
	first := map[place]int{}
	found := map[int]Fork{}
	byKey := slices.Collect(s.r.set.all()) // not as they came: of three sides all must name the same two
	s.r.sortByKey(byKey)
	for _, i := range byKey {
		n := s.r.nodes[i]
		if i == n.inc || s.r.stopped(n.inc) {
			continue
		}
		at := place{n.inc, n.op.Seq}
		j, twice := first[at]
		if !twice {
			first[at] = i
			continue
		}
		f := Fork{Inc: n.op.IncID(), Seq: n.op.Seq, A: s.r.nodes[j].op.ID, B: n.op.ID}
		if compareIDs(f.A, f.B) > 0 {
			f.A, f.B = f.B, f.A
		}
		if old, ok := found[n.inc]; !ok || f.Seq < old.Seq {
			found[n.inc] = f
		}
	}
	return sortedForks(found)
}

func sortedForks(found map[int]Fork) []Fork {
	out := make([]Fork, 0, len(found))
	for _, f := range found {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b Fork) int { return compareIDs(a.Inc, b.Inc) })
	return out
}
