package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// commit is what one step changed: it is written in one transaction, or the
// room is read again from disk.
type commit struct {
	before  *groups.State
	rows    []func(*store.Tx) error
	changes []store.Change
	control []*groups.Op // accepted control operations, others' and own
	heads   map[chainOf]store.Head
	own     []*groups.Op        // own operations, to be published once they are on disk
	wraps   []*groups.SyncWraps // of own rekeys, to be handed over after these
	taken   []*groups.Op        // everything accepted
	entered []entered           // entries written and taken away, in this order
	content int                 // content operations accepted
	dirty   bool                // memory is ahead of the disk
	keyed   bool                // an epoch's secret came
	bodies  bool                // which are gone is written with it
	regroup bool                // readers are owed the group as it is now
	others  bool                // it is what peers said: they say it again
	asks    bool                // it looked, and waits: nobody is to look again for its sake
	shown   func()              // once it is written and in the view, before it is published
	after   []func()            // once it is on disk
}

func (c *commit) row(fn func(*store.Tx) error) { c.rows = append(c.rows, fn) }

func (c *commit) then(fn func()) { c.after = append(c.after, fn) }

// head has the head of a chain written.
func (c *commit) head(at chainOf, h store.Head) {
	if c.heads == nil {
		c.heads = map[chainOf]store.Head{}
	}
	c.heads[at] = h
}

func (c *commit) empty() bool { return len(c.rows) == 0 && len(c.changes) == 0 }

// comesAgain tells whether a power cut may take what the step did, since peers
// say it again: nobody is told before it is synced that it is held here
// (PROTOCOLS.md N5). What decides is synced at once; so is what this device says,
// of which nobody else has a copy yet.
func (c *commit) comesAgain() bool {
	return c.others && !c.keyed && len(c.own) == 0 && len(c.wraps) == 0 &&
		!slices.ContainsFunc(c.taken, func(op *groups.Op) bool { return op.Chain != groups.Content })
}

// step runs fn on the room's goroutine and commits what it did; it returns
// when that is on disk, or written, if it comes again.
// What writes before this device may waits until it may, and runs again.
func (r *room) step(ctx context.Context, fn func(*commit) error) error {
	for {
		err := r.stepNow(ctx, fn)
		if !errors.Is(err, errCatching) {
			return err
		}
		if err := r.awaitCaught(ctx); err != nil {
			return err
		}
	}
}

func (r *room) stepNow(ctx context.Context, fn func(*commit) error) error {
	answer := make(chan error, 1)
	select {
	case r.calls <- func() { answer <- r.commit(fn) }:
	case <-ctx.Done():
		return ctx.Err()
	case <-r.done:
		return errClosed
	}
	select {
	case err := <-answer:
		return err
	case <-r.done:
		return errClosed
	}
}

// tell runs fn on the room's goroutine some time later, without waiting, in
// the order of the calls.
func (r *room) tell(fn func(*commit) error) {
	r.later.mu.Lock()
	r.later.steps = append(r.later.steps, fn)
	r.later.mu.Unlock()
	r.later.ring()
}

// later is what the room was told and has not done yet. Only what happens to
// this node is told (links, own changes), not what a peer sends: those wait
// for their step, or the queue would be theirs to fill.
type later struct {
	mu    sync.Mutex
	steps []func(*commit) error
	asked map[wire.PeerKey]bool // linked members to be pulled from
	bell  chan struct{}         // capacity one: there is something
}

func (l *later) ring() {
	select {
	case l.bell <- struct{}{}:
	default:
	}
}

// takeLater does what was told.
func (r *room) takeLater() {
	r.later.mu.Lock()
	steps, asked := r.later.steps, r.later.asked
	r.later.steps, r.later.asked = nil, nil
	r.later.mu.Unlock()
	for _, fn := range steps {
		if r.ended {
			return
		}
		switch err := r.commit(fn); {
		case errors.Is(err, errCatching):
			r.self.later = append(r.self.later, fn)
		case err != nil && r.n.ctx.Err() == nil:
			r.log.Warn("a step failed", "err", err)
		}
	}
	for peer := range asked {
		if l := r.links[peer]; l != nil {
			l.pullSoon()
		}
	}
}

func (r *room) commit(fn func(*commit) error) error {
	if r.ended {
		return errClosed
	}
	c := &commit{before: r.g.State()}
	err := fn(c)
	if err == nil {
		err = r.settle(c)
	}
	over := func() {}
	if err == nil && !c.empty() {
		number := r.begun.Add(1)
		over = func() {
			r.over.Store(number)
			r.settled.tell()
		}
		write := r.n.store.Update
		if c.comesAgain() {
			write = r.n.store.Write
		}
		err = write(r.n.ctx, func(tx *store.Tx) error {
			for _, row := range c.rows {
				if err := row(tx); err != nil {
					return err
				}
			}
			for at, head := range c.heads {
				if err := tx.PutHead(r.group, at.inc, uint8(at.chain), head); err != nil {
					return err
				}
			}
			for _, ch := range c.changes {
				if err := tx.Change(ch); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		if c.dirty {
			r.reload()
		}
		over()
		return err
	}
	r.recent.wrote(c.entered)
	r.placing.fresh = nil
	if r.recount {
		r.recount = false
		if err := r.countAgain(); err != nil {
			r.log.Warn("counting again failed", "err", err)
		}
	}
	r.seen.stored(c.taken)
	if !c.asks || !c.empty() {
		r.show()
	}
	over()
	if c.shown != nil {
		c.shown()
	}
	words := func(op *groups.Op) bool { return op.Chain == groups.Content }
	r.publish(slices.DeleteFunc(slices.Clone(c.own), words))
	for _, w := range c.wraps {
		r.handWraps(w) // before what is said under them leaves
	}
	r.publish(slices.DeleteFunc(slices.Clone(c.own), func(op *groups.Op) bool { return !words(op) }))
	for _, fn := range c.after {
		fn()
	}
	if len(c.taken) > 0 {
		r.n.count(c.taken, c.own)
		r.tookAt.Store(r.n.now().UnixMilli())
		r.owe()
	}
	return nil
}

// reload makes memory what the disk says, after a step that was not written. A
// room that cannot be read ends: to go on with what nobody stored would be to
// answer for it.
func (r *room) reload() {
	if err := r.load(); err != nil {
		r.ended = true
		if r.n.ctx.Err() == nil {
			r.log.Error("the group cannot be read; it is closed until the next start", "err", err)
		}
		return
	}
	// What the step had set right in memory is due again.
	if me, ok := r.g.State().Inc(r.me); ok && me.Seated && r.g.NeedRekey() {
		r.rekeyAt = r.n.now().Add(rekeyStep)
	}
}

// own writes a control operation of this device and takes it in.
func (r *room) own(c *commit, kind groups.Kind, body any) (*groups.Op, error) {
	inc, key := r.pen()
	op, err := r.g.ComposeControl(inc, key, r.n.nowMs(), kind, body)
	if err != nil {
		return nil, fmt.Errorf("writing %v: %w", kind, err)
	}
	return op, r.takeOwn(c, op)
}

// takeOwn judges an own operation by the same ladder as everybody's.
func (r *room) takeOwn(c *commit, op *groups.Op) error {
	if err := r.mayWrite(); err != nil {
		return err
	}
	if p := r.n.clockWrong(); p != nil {
		return p
	}
	if refusal := r.g.Check(op); refusal != nil {
		return problemOf(refusal.Reason)
	}
	if j := r.g.Judge(op, r.n.nowMs()); j.Verdict != groups.Accept {
		return problemOf(j.Reason)
	}
	r.take(c, op)
	c.own = append(c.own, op)
	return nil
}

// take applies an accepted operation and notes what to write of it.
func (r *room) take(c *commit, op *groups.Op) {
	r.g.Apply(op)
	c.taken = append(c.taken, op)
	c.dirty = true
	r.moveHead(op)
	at := chainOf{op.IncID(), op.Chain}
	c.head(at, store.Head{Seq: op.Seq, ID: op.ID, Floor: r.heads[at].Floor, Base: r.baseOf(at)})
	switch op.Chain {
	case groups.Control:
		c.control = append(c.control, op)
		if op.Kind == groups.KindRekey {
			r.sinceRekey = 0
		}
	case groups.Content:
		r.sinceRekey++
	}
	r.write(c, op)
}

// write notes what to write of an operation, and shows what it says.
func (r *room) write(c *commit, op *groups.Op) {
	inc, chain, frame := op.IncID(), uint8(op.Chain), op.Frame()
	c.row(func(tx *store.Tx) error { return tx.AddOp(r.group, inc, chain, op.Seq, op.ID, frame) })
	if r.office != nil {
		r.weigh(len(frame))
	}
	if op.Chain == groups.Content {
		c.content++
		if _, ok := r.named[op.IncID()]; ok {
			c.then(func() { r.tell(r.keepSides) })
		}
		switch {
		case !op.Whole():
			r.bareCame(c, op)
		case r.office == nil: // a harbor has no key, nor a use for what it cannot read
			r.open(c, op)
		}
	}
}

// settle draws the consequences of a step before it is written: who came and
// went, which words count, which epoch to make.
func (r *room) settle(c *commit) error {
	if r.office != nil {
		r.settleOffice(c)
		return nil
	}
	after := r.g.State()
	if len(c.control) > 0 {
		if before := c.before; before == nil || before.Policy().HistoryDays != after.Policy().HistoryDays {
			r.sweepAt = time.Time{}
		}
		was := r.me
		r.findMe(after)
		if r.me != was && r.meta.ProfileN > 0 {
			r.meta.ProfileN = 0 // a name told under what did not count was heard by nobody
			r.saveMeta(c)
		}
		ops := c.control
		c.then(func() { r.meetDevices(ops) })
		r.tellMembers(c, c.before, after)
		r.noteForks(after)
		if slices.ContainsFunc(c.control, func(op *groups.Op) bool { return op.Kind == groups.KindFault }) {
			r.nameBranches(after)
			c.then(func() { r.tell(r.keepSides) })
		}
		r.meetOwn(c)
		r.tendAsks(c, c.before, after)
		r.tendHandover(c, c.before, after)
		r.refold(c, c.before, after)
		if err := r.minimumEpoch(c, after); err != nil {
			return err
		}
		r.openLocked(c)
	}
	r.tellGroup(c)
	return nil
}

// problemOf tells a person why the group's rules refuse what was asked.
func problemOf(reason groups.Reason) *api.Problem {
	if reason == groups.ReasonNone {
		// Whoever was asked could not answer: full, busy or stopping.
		return api.NewProblem(api.PeerUnreachable)
	}
	if code, ok := reasonCodes[reason]; ok {
		return api.NewProblem(code)
	}
	return api.NewProblem(api.NotAllowed).Explain("the group's rules refuse this: %v", reason)
}
