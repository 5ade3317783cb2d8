package node

import (
	"slices"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
)

// Bounds of what waits. Much of it could not be checked yet, so one member
// must not be able to fill memory with it, nor to keep others' from waiting.
const (
	// maxParked bounds operations that wait for what they build on, a room:
	// ten seconds of a full gossip queue. Sync brings again what is dropped.
	maxParked = 10_000
	// maxParkedBytes bounds what they weigh: a segment of control operations
	// weighs half a megabyte.
	maxParkedBytes = 16 << 20
	// parkShare is the part of both that one peer may bring: a quarter.
	parkShare = 4
	// parkedFor is how long something waits. What comes later than that comes
	// by sync, in order.
	parkedFor = 10 * time.Minute
)

// parking holds operations that wait for others, in memory: sync brings them
// again.
type parking struct {
	control map[wire.OpID]parkedOp
	content map[chainPlace]parkedOp
	bytes   int
	by      map[wire.PeerKey]load
}

// parkedOp is one of them, and who brought it.
type parkedOp struct {
	op   *groups.Op
	from wire.PeerKey
	at   time.Time
}

// load is what one peer's operations come to.
type load struct{ ops, bytes int }

type chainPlace struct {
	inc   wire.OpID
	chain groups.ChainKind
	seq   uint64
}

func weight(op *groups.Op) int { return len(op.Core) + len(op.Cipher) + len(op.Sig) }

// add parks an operation; false if it waits here already or there is no room
// for what this peer brings.
func (p *parking) add(op *groups.Op, from wire.PeerKey, now time.Time) bool {
	if p.by == nil {
		p.control, p.content = map[wire.OpID]parkedOp{}, map[chainPlace]parkedOp{}
		p.by = map[wire.PeerKey]load{}
	}
	size, has := weight(op), p.by[from]
	if p.count() >= maxParked || p.bytes+size > maxParkedBytes || has.ops >= maxParked/parkShare || has.bytes+size > maxParkedBytes/parkShare {
		return false
	}
	w := parkedOp{op, from, now}
	if op.Chain == groups.Control {
		if _, waits := p.control[op.ID]; waits {
			return false
		}
		p.control[op.ID] = w
	} else {
		at := chainPlace{op.IncID(), op.Chain, op.Seq}
		if _, waits := p.content[at]; waits {
			return false
		}
		p.content[at] = w
	}
	p.bytes += size
	p.by[from] = load{has.ops + 1, has.bytes + size}
	return true
}

func (p *parking) remove(op *groups.Op) {
	at := chainPlace{op.IncID(), op.Chain, op.Seq}
	w, waits := p.control[op.ID]
	if op.Chain != groups.Control {
		w, waits = p.content[at]
	}
	if !waits || w.op.ID != op.ID {
		return
	}
	if op.Chain == groups.Control {
		delete(p.control, op.ID)
	} else {
		delete(p.content, at)
	}
	size, has := weight(op), p.by[w.from]
	p.bytes -= size
	if has.ops--; has.ops == 0 {
		delete(p.by, w.from)
		return
	}
	has.bytes -= size
	p.by[w.from] = has
}

func (p *parking) count() int  { return len(p.control) + len(p.content) }
func (p *parking) empty() bool { return p.count() == 0 }

// all lists what waits.
func (p *parking) all() []parkedOp {
	out := make([]parkedOp, 0, p.count())
	for _, w := range p.control {
		out = append(out, w)
	}
	for _, w := range p.content {
		out = append(out, w)
	}
	return out
}

// expire drops what waited too long; it tells whether anything was.
func (p *parking) expire(now time.Time) bool {
	var old []*groups.Op
	for _, w := range p.control {
		if now.Sub(w.at) > parkedFor {
			old = append(old, w.op)
		}
	}
	for _, w := range p.content {
		if now.Sub(w.at) > parkedFor {
			old = append(old, w.op)
		}
	}
	for _, op := range old {
		p.remove(op)
	}
	return len(old) > 0
}

// ready returns what may be judged again: control operations whose parents are
// all here, oldest first, and of each chain the operation that continues it.
func (p *parking) ready(has func(wire.OpID) bool, next func(wire.OpID, groups.ChainKind) uint64) []parkedOp {
	var out []parkedOp
	for _, w := range p.control {
		if !slices.ContainsFunc(w.op.Heads, func(id wire.OpID) bool { return !has(id) }) {
			out = append(out, w)
		}
	}
	slices.SortFunc(out, func(a, b parkedOp) int { return int(int64(a.op.HLC) - int64(b.op.HLC)) })
	for at, w := range p.content {
		if at.seq == next(at.inc, at.chain) {
			out = append(out, w)
		}
	}
	return out
}
