package node

import (
	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/mesh"
)

// arrival is one message of gossip; its signatures were verified on the way in.
type arrival struct {
	ops   []*groups.Op
	bytes int // of the frame
	from  wire.PeerKey
}

const (
	// arrivalQueue is how many messages of gossip wait for the room, and
	// arrivalBytes what they weigh: some seconds of the fastest group. What does
	// not fit is counted, and fetched by sync.
	arrivalQueue = 4096
	arrivalBytes = 16 << 20
)

// judgeGossip is the third gate: whether a frame that a peer sends on a topic
// of this group is passed on. It runs on the caller's goroutine against the
// view of the moment (PROTOCOLS.md N5).
//
// known tells that nobody whom it could be passed on to lacks it, if its author brings
// it.
func (r *room) judgeGossip(from wire.PeerKey, frame []byte, known bool) (mesh.Verdict, any) {
	v := r.view.Load()
	if !v.gossips(from) {
		return mesh.Reject, nil
	}
	if isReceipt(frame) {
		return r.judgeGossiped(v, from, frame, known)
	}
	ops, refusal := groups.DecodeGossip(frame)
	if refusal != nil {
		if refusal.Reason.Class() != groups.ClassReject {
			return mesh.Ignore, nil // of a newer version
		}
		r.n.blame(from, refusal)
		return mesh.Reject, nil
	}
	author, chain := ops[0].IncID(), ops[0].Chain // of all
	inc, here := v.state.Inc(author)
	if h, ok := v.state.Harbor(author); ok {
		inc, here = groups.IncInfo{Device: h.Device, Peer: h.Peer, Live: h.Appointed, Seated: h.Appointed}, true
	}
	if !here {
		// Its admit has not come yet: nobody is to blame, and what was ignored
		// here comes by sync.
		r.askBack(from)
		return mesh.Ignore, nil
	}
	if !inc.Live || inc.Cut || !inc.Seated {
		return mesh.Ignore, nil
	}
	if !groups.AuthenticateRun(r.group, inc.Device, ops) {
		r.n.blame(from, &groups.Refusal{Reason: groups.ReasonBadSignature})
		return mesh.Reject, nil
	}
	// One core may have many valid signatures, old frames can be sent again, and
	// operations put into other runs: who passes them on would carry a flood and
	// use up the author's right to speak.
	fresh := r.seen.fresh(ops)
	if fresh == 0 {
		return mesh.Ignore, nil
	}
	if !r.n.rates.allow(author, chain, fresh) {
		// Nobody is punished, and what was ignored here comes by sync.
		return mesh.Ignore, nil
	}
	return passOn(known && inc.Peer == from), &arrival{ops: ops, bytes: len(frame), from: from}
}

// passOn is the verdict on a frame that was accepted.
func passOn(known bool) mesh.Verdict {
	if known {
		return mesh.Keep
	}
	return mesh.Accept
}

// deliver queues what came by gossip for the room.
func (r *room) deliver(from wire.PeerKey, checked any) {
	if rd, ok := checked.(*reader); ok {
		select {
		case r.receipts <- rd:
		default: // it is asked for some time
		}
		return
	}
	a, ok := checked.(*arrival)
	if !ok {
		return
	}
	if r.arriving.Add(int64(a.bytes)) <= arrivalBytes {
		select {
		case r.arrivals <- a:
			return
		default:
		}
	}
	r.arriving.Add(-int64(a.bytes))
	r.n.stats.dropped.Add(1)
	r.askBack(from)
}

// ingest takes operations through the ladder, then those that waited for
// them; it returns how many of ops were new. verified tells that the
// signatures of ops were verified already.
func (r *room) ingest(c *commit, from wire.PeerKey, ops []*groups.Op, verified bool) int {
	got := 0
	ops = ops[r.hereAlready(ops):]
	if n := r.leadsInto(ops); n > 0 {
		got += r.ingestOlder(c, ops[:n])
		ops = ops[n:]
	}
	for i, op := range ops {
		if r.inHole(op) {
			continue // not the end of it: it comes when that is reached
		}
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
			l := r.links[from]
			switch {
			case l == nil:
			case op.Chain == groups.Content && op.Seq > r.nextSeq(op.IncID(), op.Chain):
				r.lackSoon(l, nil) // likely on its way: gossip has many ways
			default:
				l.pullSoon() // a gap: ask now
			}
		}
	}
	return got
}

// leadsInto counts the operations at the front of a run of content that belong
// into a hole.
func (r *room) leadsInto(ops []*groups.Op) (n int) {
	for n < len(ops) && r.inHole(ops[n]) && ops[n].IncID() == ops[0].IncID() {
		n++
	}
	return n
}

// hereAlready counts the operations at the front of a run of content that are here
// as they are: the last of them is, and it leads back to the others.
func (r *room) hereAlready(ops []*groups.Op) (n int) {
	at := chainOf{ops[0].IncID(), ops[0].Chain}
	if at.chain != groups.Content || at.inc == r.me {
		return 0
	}
	for n < len(ops) && ops[n].IncID() == at.inc && ops[n].Chain == at.chain && r.holds(ops[n]) {
		if prev, _ := ops[n].Prev.Get(); n > 0 && prev != ops[n-1].ID {
			return 0
		}
		n++
	}
	if n == 0 {
		return 0
	}
	last := ops[n-1]
	if groups.HeadOf(last.ID) != r.heads[at].Head && r.stored(at.inc, at.chain, last.Seq, last.ID) == nil {
		return 0
	}
	return n
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
	return ok && op.Seq <= seq && !r.inHole(op)
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
