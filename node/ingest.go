package node

import (
	"errors"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/mesh"
	"mutuals/store"
)

// arrival is an operation that came by gossip; its signature was verified on
// the way in.
type arrival struct {
	op   *groups.Op
	from wire.PeerKey
}

const (
	// arrivalQueue is how many gossiped operations wait for the room: a second
	// of the fastest group. What does not fit is fetched by sync.
	arrivalQueue = 4096
	// arrivalBatch is how many of them share a transaction.
	arrivalBatch = 512
)

// judgeGossip is the third gate: whether a frame that a peer sends on a topic
// of this group is passed on. It runs on the caller's goroutine against the
// view of the moment (PROTOCOLS.md N5).
func (r *room) judgeGossip(from wire.PeerKey, frame []byte) (mesh.Verdict, any) {
	v := r.view.Load()
	if !v.gossips(from) {
		return mesh.Reject, nil
	}
	op, refusal := groups.DecodeGossip(frame)
	if refusal != nil {
		r.n.blame(from, refusal)
		return mesh.Reject, nil
	}
	inc, known := v.state.Inc(op.IncID())
	if h, ok := v.state.Harbor(op.IncID()); ok {
		inc, known = groups.IncInfo{Device: h.Device, Live: h.Appointed, Seated: h.Appointed}, true
	}
	if !known {
		// Its admit has not come yet: nobody is to blame, and what was ignored
		// here comes by sync.
		r.askBack(from)
		return mesh.Ignore, nil
	}
	if !inc.Live || inc.Cut || !inc.Seated {
		return mesh.Ignore, nil
	}
	if !op.Authenticate(r.group, inc.Device) {
		r.n.blame(from, &groups.Refusal{Reason: groups.ReasonBadSignature})
		return mesh.Reject, nil
	}
	// One core may have many valid signatures, and old frames can be sent
	// again: who passes them on would carry a flood and use up the author's
	// right to speak.
	if !r.seen.first(op) {
		return mesh.Ignore, nil
	}
	if !r.n.rates.allow(op.IncID(), op.Chain) {
		return mesh.Ignore, nil
	}
	return mesh.Accept, op
}

// deliver queues a gossiped operation for the room.
func (r *room) deliver(from wire.PeerKey, checked any) {
	op, ok := checked.(*groups.Op)
	if !ok {
		return
	}
	select {
	case r.arrivals <- arrival{op: op, from: from}:
	default:
		r.n.stats.dropped.Add(1)
		r.askBack(from)
	}
}

// takeArrivals takes in one arrival and those that wait behind it, in one
// transaction.
func (r *room) takeArrivals(first arrival) {
	batch := []arrival{first}
	for len(batch) < arrivalBatch {
		select {
		case a := <-r.arrivals:
			batch = append(batch, a)
			continue
		default:
		}
		break
	}
	take := func(batch []arrival) error {
		return r.commit(func(c *commit) error {
			for _, a := range batch {
				r.ingest(c, a.from, []*groups.Op{a.op}, true)
			}
			return nil
		})
	}
	err := take(batch)
	if errors.Is(err, store.ErrTooLarge) {
		for _, a := range batch {
			if err = take([]arrival{a}); err != nil {
				break
			}
		}
	}
	if err != nil {
		r.log.Warn("storing what arrived failed", "ops", len(batch), "err", err)
	}
}

// ingest takes operations through the ladder, then those that waited for
// them; it returns how many of ops were new. verified tells that the
// signatures of ops were verified already.
func (r *room) ingest(c *commit, from wire.PeerKey, ops []*groups.Op, verified bool) int {
	got := 0
	for i, op := range ops {
		if r.office != nil && op.Chain == groups.Content && r.overfull() {
			continue // it comes again once there is room
		}
		if r.holds(op) {
			r.meetFork(ops[i:])
			continue
		}
		switch r.judge(c, from, op, verified) {
		case groups.Accept, groups.Void:
			got++
			r.unpark(c)
		case groups.Ignore:
			r.meetSide(c, op)
			if l := r.links[from]; r.meetFork(ops[i:]) && l != nil {
				l.pullSoon()
			}
		case groups.Park, groups.Hold:
			if r.parked.add(op, from, r.n.now()) {
				got++
			}
			if l := r.links[from]; l != nil {
				l.pullSoon() // a gap: ask now
			}
		}
	}
	return got
}

// judge takes one operation up the ladder and applies it if it holds.
func (r *room) judge(c *commit, from wire.PeerKey, op *groups.Op, verified bool) groups.Verdict {
	// The signature of a content operation is all that Check looks at; control
	// operations carry more, and are few.
	if op.Chain == groups.Control || !verified {
		if refusal := r.g.Check(op); refusal != nil {
			if refusal.Reason.Class() == groups.ClassPark {
				return groups.Park
			}
			r.n.blame(from, refusal)
			return groups.Reject
		}
	}
	j := r.g.JudgePast(op, r.n.nowMs())
	switch j.Verdict {
	case groups.Accept, groups.Void:
		r.take(c, op)
		r.n.clocks.onTime(r.authorOf(op), op.HLC, r.n.nowMs())
		if op.IncID() == r.me && r.self.done && op.HLC >= uint64(r.self.since.UnixMilli()) {
			r.foundTwin(op) // what is older, this home has forgotten
		}
	case groups.Hold:
		r.n.clocks.ahead(r.authorOf(op), op.HLC, r.n.nowMs())
	case groups.Reject:
		r.n.blame(from, &groups.Refusal{Reason: j.Reason, Detail: j.Detail})
	}
	return j.Verdict
}

// unpark takes in what waited, as long as that makes progress.
func (r *room) unpark(c *commit) {
	for progress := true; progress; {
		progress = false
		for _, w := range r.parked.ready(r.g.Has, r.nextSeq) {
			switch r.judge(c, w.from, w.op, false) {
			case groups.Accept, groups.Void:
				r.parked.remove(w.op)
				progress = true
			case groups.Reject, groups.Ignore:
				r.parked.remove(w.op)
			}
		}
	}
}

// holds tells whether an operation is here already.
func (r *room) holds(op *groups.Op) bool {
	if op.Chain == groups.Control {
		return r.g.Has(op.ID)
	}
	seq, _, ok := r.g.ChainHead(op.IncID(), op.Chain)
	return ok && op.Seq <= seq
}

// nextSeq is the number that continues a chain.
func (r *room) nextSeq(inc wire.OpID, chain groups.ChainKind) uint64 {
	seq, _, ok := r.g.ChainHead(inc, chain)
	if !ok {
		return 1
	}
	return seq + 1
}

// authorOf is the account that wrote an operation, zero if it is not known.
func (r *room) authorOf(op *groups.Op) wire.AccountID {
	inc, _ := r.g.State().Inc(op.IncID())
	return inc.Account
}
