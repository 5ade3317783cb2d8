package node

import (
	"slices"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/store"
)

// fork is a device caught contradicting itself: two operations of one chain
// and seq, each authentic. It waits in memory; sync finds it again.
type fork struct {
	a, b []*groups.Op // each up to a signed one
	at   time.Time    // when it is this device's turn to prove it
}

// moveHead makes an operation just taken in a head of its chain. A control
// chain that forked keeps its other heads beside (groups/SYNC.md Y1).
func (r *room) moveHead(op *groups.Op) {
	at := chainOf{op.IncID(), op.Chain}
	old, started := r.heads[at]
	prev, _ := op.Prev.Get()
	if continued := groups.HeadOf(prev); started && old.Head != continued && op.Chain == groups.Control && op.Seq > 0 {
		others := slices.DeleteFunc(r.branches[at], func(e groups.VectorEntry) bool { return e.Head == continued })
		if old.Seq > 0 && old.Head != groups.HeadOf(op.ID) {
			others = append(others, old)
		}
		r.branches[at] = others // the head that follows makes it show
	}
	r.setHead(at, groups.VectorEntry{Inc: at.inc, Chain: uint64(op.Chain), Seq: op.Seq, Head: groups.HeadOf(op.ID), Floor: old.Floor})
}

// meetFork looks at an operation that stands where another of its chain is
// held, or builds on another than that; of control chains both are taken in,
// and the state tells (groups/SPEC.md R45). run begins with the operation and
// goes on with what came behind it. It tells whether more must be asked for to
// see where the two part.
func (r *room) meetFork(run []*groups.Op) (more bool) {
	op := run[0]
	at := chainOf{op.IncID(), op.Chain}
	head := r.heads[at]
	if at.inc == r.me {
		r.meetSelf(run)
		return false
	}
	inc, known := r.g.State().Inc(at.inc)
	if op.Chain == groups.Control || !known || inc.Cut || at.inc == r.me || r.forks[at.inc] != nil || groups.HeadOf(op.ID) == head.Head {
		return false
	}
	if op.Seq == head.Seq+1 {
		_, asked := r.below[at]
		r.below[at] = op.Seq - 1 // what it builds on contradicts our head
		return !asked
	}
	if op.Seq > head.Seq || slices.ContainsFunc(op.Heads, func(h wire.OpID) bool { return !r.g.Has(h) }) {
		return false
	}
	ours, theirs := upToSigned(r.storedFrom(at, op.Seq)), upToSigned(run)
	if ours == nil || theirs == nil || ours[0].Seq != op.Seq || ours[0].ID == op.ID || r.g.CheckSegment(theirs) != nil {
		return false
	}
	delete(r.below, at)
	r.noteFork(at.inc, ours, theirs)
	return false
}

// upToSigned is the beginning of a run that its last signature vouches for,
// short enough for evidence; nil if there is none.
func upToSigned(run []*groups.Op) []*groups.Op {
	for i, op := range run[:min(len(run), groups.MaxEvidence)] {
		if op.Signed {
			return run[:i+1]
		}
	}
	return nil
}

// noteFork queues a proof: each seat waits for those before it, so that
// usually one device writes it.
func (r *room) noteFork(inc wire.OpID, a, b []*groups.Op) {
	if inc == r.me || r.forks[inc] != nil {
		return
	}
	r.log.Warn("a device contradicts itself", "inc", inc.Short(), "chain", a[0].Chain, "seq", a[0].Seq)
	r.forks[inc] = &fork{a: a, b: b, at: r.n.now().Add(time.Duration(r.seatIndex(r.g.State())) * rekeyStep)}
}

// noteForks queues what the control operations themselves show.
func (r *room) noteForks(s *groups.State) {
	for _, f := range s.Forks() {
		if f.Inc == r.me {
			r.foundTwin(r.g.Op(f.A))
			continue
		}
		r.noteFork(f.Inc, []*groups.Op{r.g.Op(f.A)}, []*groups.Op{r.g.Op(f.B)})
	}
}

// proveForks writes the faults that are due and that nobody else wrote. A
// fault and its rekey leave together.
func (r *room) proveForks() {
	for inc, f := range r.forks {
		s := r.g.State()
		me, ok := s.Inc(r.me)
		if it, known := s.Inc(inc); !known || it.Cut || !ok || !me.Live || me.Cut || !me.Seated || r.mayWrite() != nil {
			delete(r.forks, inc)
			continue
		}
		if r.n.now().Before(f.at) {
			continue
		}
		delete(r.forks, inc) // if it fails, sync finds it again
		err := r.commit(func(c *commit) error {
			body, err := r.g.NewFault(f.a, f.b)
			if err != nil {
				return err
			}
			_, err = r.own(c, groups.KindFault, &body)
			return err
		})
		if err != nil {
			r.log.Warn("proving a fault failed", "inc", inc.Short(), "err", err)
		}
	}
}

// storedFrom reads the operations held from one place of a chain on, as many
// as evidence may have.
func (r *room) storedFrom(at chainOf, seq uint64) (found []*groups.Op) {
	err := r.n.store.View(func(tx *store.Tx) error {
		return tx.EachOp(r.group, at.inc, uint8(at.chain), seq, seq+groups.MaxEvidence-1, func(o store.StoredOp) error {
			if op, refusal := groups.Decode(o.Frame); refusal == nil {
				found = append(found, op)
			}
			return nil
		})
	})
	if err != nil {
		r.log.Warn("reading operations failed", "inc", at.inc.Short(), "seq", seq, "err", err)
	}
	return found
}
