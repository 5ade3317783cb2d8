package groups

import (
	"slices"

	"mutuals/identity/wire"
)

// Judgement is what Judge says of an operation.
type Judgement struct {
	Verdict Verdict
	Reason  Reason
	Detail  string
	// Missing lists operations to ask for; for Park only, and empty when
	// what is missing is a newer version or a signed successor.
	Missing []wire.OpID
}

func judgement(r *Refusal, missing []wire.OpID) Judgement {
	j := Judgement{Reason: r.Reason, Detail: r.Detail, Missing: missing}
	switch r.Reason.Class() {
	case ClassPark:
		j.Verdict = Park
	case ClassVoid:
		j.Verdict = Void
	case ClassHold:
		j.Verdict = Hold
	case ClassIgnore:
		j.Verdict = Ignore
	default:
		j.Verdict = Reject
	}
	return j
}

// Judge says what becomes of an operation, given what was accepted before
// and our clock (R18). It runs Check first when that was not done, or could
// not be finished then. After Accept or Void, Apply it; Park and Hold are
// for the caller to keep and judge again when something was applied, or
// later.
func (l *Log) Judge(o *Op, nowMs uint64) Judgement {
	j := l.JudgePast(o, nowMs)
	if j.Verdict != Accept || o.Chain != Control {
		return j
	}
	n := l.next.node
	if l.all.within(n.past) {
		return j // written with full knowledge: nothing is there that could void it
	}
	at := len(l.g.nodes)
	set := append(indexes(nil), l.all...)
	l.next.state = l.resolve(append(l.g.nodes[:at:at], n), set.with(at))
	if !l.next.state.r.valid.has(at) {
		return judgement(refuse(ReasonVoided, "%v", o.Kind), nil)
	}
	return j
}

// JudgePast is Judge for who takes in many at once: of a control operation that
// is accepted it does not tell whether it is void as things stand, which takes
// resolving everything; the State tells when all are in.
func (l *Log) JudgePast(o *Op, nowMs uint64) Judgement {
	if o.Chain == Control && l.Has(o.ID) {
		return Judgement{Verdict: Ignore, Reason: ReasonDuplicate}
	}
	late := ReasonNone
	if o.Version == Version {
		late = ahead(o.HLC, nowMs)
	}
	if late == ReasonClockFarAhead {
		return judgement(refuse(late, "%d ms", o.HLC-nowMs), nil)
	}
	if r := l.Check(o); r != nil {
		var missing []wire.OpID
		if r.Reason == ReasonUnknownInc {
			missing = append(missing, o.IncID())
		}
		return judgement(r, missing)
	}
	if late != ReasonNone {
		// Held only once its signature is known good: nobody fills our memory
		// with what nobody wrote.
		return judgement(refuse(late, "%d ms", o.HLC-nowMs), nil)
	}
	switch o.Chain {
	case Content:
		return l.judgeContent(o)
	case KEM:
		return l.judgeKEM(o)
	}
	return l.judgeControl(o)
}

func (l *Log) judgeControl(o *Op) Judgement {
	n, missing, r := l.g.place(o)
	if r != nil {
		return judgement(r, missing)
	}
	if !o.checked {
		// Its parents are here, so what it names should have been.
		return judgement(refuse(ReasonInviteUnknown, ""), nil)
	}
	past, _ := l.at(o.Heads)
	if r := authorised(past, n); r != nil {
		return judgement(r, nil)
	}
	l.next = judged{op: o, node: n, past: past}
	return Judgement{Verdict: Accept}
}

// judgeContent: the chain goes on, the author had seen what it had seen
// before, and might post by what it had seen (R29, R30).
func (l *Log) judgeContent(o *Op) Judgement {
	t, ok := l.tips[chainID{o.IncID(), Content}]
	if j, ok := continues(o, t, ok); !ok {
		return j
	}
	if o.HLC < t.hlc {
		return judgement(refuse(ReasonClockBehind, "%d ms behind its own", t.hlc-o.HLC), nil)
	}
	set, missing := l.g.pastOf(o.Heads)
	if len(missing) > 0 {
		return judgement(refuse(ReasonMissingParent, "%d of %d", len(missing), len(o.Heads)), missing)
	}
	for _, h := range t.heads {
		if i, known := l.g.find(h); !known || !set.has(i) {
			return judgement(refuse(ReasonNotMonotone, "head %s", h.Short()), nil)
		}
	}
	return l.JudgeHistory(o)
}

// JudgeHistory is Judge for content below what we hold of a chain, once Check
// said yes: everything but how the chain goes on, which the caller sees by
// the prev of the operation above.
func (l *Log) JudgeHistory(o *Op) Judgement {
	if r := l.Check(o); r != nil {
		return judgement(r, nil)
	}
	set, missing := l.g.pastOf(o.Heads)
	if len(missing) > 0 {
		return judgement(refuse(ReasonMissingParent, "%d of %d", len(missing), len(o.Heads)), missing)
	}
	if !l.g.antichain(o.Heads) {
		return judgement(refuse(ReasonNotAntichain, ""), nil)
	}
	for _, h := range o.Heads {
		if i, _ := l.g.find(h); l.g.nodes[i].key.HLC > o.HLC {
			return judgement(refuse(ReasonClockBehind, "behind head %s", h.Short()), nil)
		}
	}
	inc, _ := l.g.find(o.IncID())
	if !set.has(inc) {
		return judgement(refuse(ReasonIncNotInPast, "inc %s", o.IncID().Short()), nil)
	}
	s, _ := l.at(o.Heads)
	info := s.incInfo(inc)
	switch {
	case !info.Live || info.Cut:
		return judgement(refuse(ReasonIncNotLive, "inc %s", o.IncID().Short()), nil)
	case !s.Seated(info.Account):
		return judgement(refuse(ReasonNotSeated, "account %s", info.Account.Short()), nil)
	case !s.MayPost(info.Account):
		return judgement(refuse(ReasonPosting, "account %s", info.Account.Short()), nil)
	}
	switch l.Standing(o) {
	case PastPin:
		return judgement(refuse(ReasonPastPin, "seq %d", o.Seq), nil)
	case IncInvalid:
		return judgement(refuse(ReasonIncInvalid, "inc %s", o.IncID().Short()), nil)
	}
	return Judgement{Verdict: Accept}
}

// JudgeBelow is Judge for the operation right below above, the oldest that is
// held of a chain of content, once a run that holds it was found to be served as
// it must be (CheckServed): history that comes from its newest end (SYNC.md Y12).
// What Judge demands of the second of two by the first is demanded of them here.
// Any other verdict than Accept and Void, but Park, says that above and all that
// builds on it would not have been accepted in order.
func (l *Log) JudgeBelow(o, above *Op) Judgement {
	if r := runsOn(o, above); r != nil {
		return judgement(r, nil)
	}
	if o.HLC > above.HLC {
		return judgement(refuse(ReasonClockBehind, "%d ms behind its own", o.HLC-above.HLC), nil)
	}
	if !slices.Equal(o.Heads, above.Heads) {
		set, _ := l.g.pastOf(above.Heads)
		for _, h := range o.Heads {
			if i, known := l.g.find(h); !known || !set.has(i) {
				return judgement(refuse(ReasonNotMonotone, "head %s", h.Short()), nil)
			}
		}
	}
	return l.JudgeHistory(o)
}

func (l *Log) judgeKEM(o *Op) Judgement {
	t, ok := l.tips[chainID{o.IncID(), KEM}]
	if j, ok := continues(o, t, ok); !ok {
		return j
	}
	if o.HLC < t.hlc {
		return judgement(refuse(ReasonClockBehind, "%d ms behind its own", t.hlc-o.HLC), nil)
	}
	if inc, _ := l.g.find(o.IncID()); l.g.nodes[inc].op.HLC > o.HLC {
		return judgement(refuse(ReasonClockBehind, "behind its own admission"), nil)
	}
	return Judgement{Verdict: Accept}
}

// continues judges an operation against the newest of its chain (R29). What
// is at or behind it is known, or a fork, which proofs are for.
func continues(o *Op, t tip, started bool) (Judgement, bool) {
	switch prev, _ := o.Prev.Get(); {
	case started && o.Seq <= t.seq:
		if o.ID == t.id {
			return Judgement{Verdict: Ignore, Reason: ReasonDuplicate}, false
		}
		return judgement(refuse(ReasonBehindHead, "seq %d, head %d", o.Seq, t.seq), nil), false
	case o.Seq > t.seq+1:
		return judgement(refuse(ReasonMissingPrev, "seq %d, head %d", o.Seq, t.seq), []wire.OpID{prev}), false
	case started && prev != t.id:
		return judgement(refuse(ReasonBehindHead, "another branch at seq %d", o.Seq), nil), false
	}
	return Judgement{}, true
}

// Restore sets the newest known operation of a content or KEM chain: of a
// device that starts and loads what it had accepted, and of a newcomer for
// whom a chain begins past its first operation (then the prev of the first
// it gets). With an operation at hand use Apply, which knows more.
func (l *Log) Restore(inc wire.OpID, chain ChainKind, seq uint64, id wire.OpID) {
	if chain != Control {
		l.tips[chainID{inc, chain}] = tip{seq: seq, id: id}
	}
}
