package node

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"mutuals/groups"
	"mutuals/node/api"
)

const (
	// catchTime is how long a device that was just started waits for a member
	// to tell how far its own chains go, before it writes behind what it has:
	// its home may be an old copy, and would fork them (PROTOCOLS.md N15).
	catchTime = 3 * time.Second
	// catchMost is how long what a member says is waited for: nobody can prove
	// how far somebody else's chain goes before showing it.
	catchMost = 30 * time.Second
	// catchWait is how long somebody who has something to say waits for that.
	catchWait = catchTime + 2*roomTick
)

// selfcheck is what a room knows of its own device's chains.
type selfcheck struct {
	ready chan struct{} // closed once this device may write behind what it has

	// owned by the room
	since time.Time             // when the room was opened
	done  bool                  // ready is closed
	heard bool                  // a member told what it has
	ahead [3]uint64             // and how far, by kind, the own chains go
	twin  bool                  // another copy of this home writes
	later []func(*commit) error // told before, to be done then
}

// errCatching means that the own chains may go on elsewhere: not yet.
var errCatching = errors.New("the own chains are being asked for")

// mayWrite tells why this device may write nothing here, whatever the group's
// rules say: it was revoked, a copy of it runs, or it has to ask first.
func (r *room) mayWrite() error {
	switch {
	case r.n.ended():
		return api.NewProblem(api.Revoked)
	case r.self.twin:
		return api.NewProblem(api.Cloned)
	case !r.self.done:
		return errCatching
	}
	return nil
}

// catchUp looks whether this device may write: there is nothing of its own yet,
// nobody else is there, or a member was heard and what it knows of the own
// chains is here; or nobody was reached for a while, and the store was closed
// properly before.
func (r *room) catchUp(heard bool) {
	if r.self.done {
		return
	}
	r.self.heard = r.self.heard || heard
	age := r.n.now().Sub(r.self.since)
	switch {
	case r.me.IsZero() || !r.othersSeated():
	case r.self.heard && (!r.lags() || age >= catchMost):
	case r.n.store.Clean() && !r.lags() && age >= catchTime:
	default:
		return
	}
	r.self.done = true
	close(r.self.ready)
	for _, fn := range r.self.later {
		r.tell(fn)
	}
	r.self.later = nil
}

// hearOwn notes how far a member says that the own chains go: as soon as so
// much is here, this device may go on behind it, long before all else has come.
func (r *room) hearOwn(theirs groups.Vector) {
	if r.self.done {
		return
	}
	for _, e := range theirs {
		if at := groups.ChainKind(e.Chain); e.Inc == r.me {
			r.self.ahead[at] = max(r.self.ahead[at], e.Seq)
		}
	}
	r.catchUp(true)
}

// lags tells whether a member says more of the own chains than is here.
func (r *room) lags() bool {
	for chain, seq := range r.self.ahead {
		if r.heads[chainOf{r.me, groups.ChainKind(chain)}].Seq < seq {
			return true
		}
	}
	return false
}

// othersSeated tells whether any other device has a seat, and so may hold what
// this one wrote.
func (r *room) othersSeated() bool {
	for _, m := range r.g.State().Members() {
		for _, inc := range m.Incs {
			if inc.Seated && inc.ID != r.me {
				return true
			}
		}
	}
	return false
}

// awaitCaught waits until this device may write, or says why it may not.
func (r *room) awaitCaught(ctx context.Context) error {
	late := time.NewTimer(catchWait)
	defer late.Stop()
	select {
	case <-r.self.ready:
		return nil
	case <-late.C:
		return api.NewProblem(api.NotSynced).Explain("this node was just started, and what it wrote before has not all come: no member has answered who could tell whether its home is an old copy, or what they have is on its way")
	case <-ctx.Done():
		return ctx.Err()
	case <-r.done:
		return errClosed
	}
}

// meetSelf looks at an operation of this device that stands where another of
// its own stands, or builds on another: proof that two homes write as one
// device. run begins with it.
func (r *room) meetSelf(run []*groups.Op) {
	op := run[0]
	at := chainOf{op.IncID(), op.Chain}
	head := r.heads[at]
	theirs := upToSigned(run)
	if r.self.twin || theirs == nil || groups.HeadOf(op.ID) == head.Head || op.Seq > head.Seq+1 {
		return
	}
	if op.Seq <= head.Seq {
		ours := r.storedFrom(at, op.Seq)
		if len(ours) == 0 || ours[0].ID == op.ID {
			return // an echo
		}
	}
	if r.g.CheckSegment(theirs) == nil {
		r.foundTwin(op)
	}
}

// foundTwin stops this device in this group: an operation arrived that it
// signed and did not write, so a copy of its home runs somewhere.
func (r *room) foundTwin(op *groups.Op) {
	if r.self.twin {
		return
	}
	r.self.twin = true
	r.log.Warn("another copy of this home writes as this device", "op", op.ID.Short(), "chain", op.Chain, "seq", op.Seq)
	object, err := json.Marshal(api.NewFinding(api.FoundHomeCopied))
	if err != nil {
		panic("internal error: encoding a finding: " + err.Error())
	}
	r.n.hub.tell(api.Event{Type: api.EventDoctorWarning, At: r.n.now().UTC(), Group: r.group, Object: object})
}

// cloned tells whether a copy of this home was found out in some group: lately,
// or with a proof that stopped this device there for good.
func (n *Node) cloned() bool {
	for _, r := range n.openRooms() {
		if v := r.view.Load(); v.twin || v.stoppedBy() == api.Cloned {
			return true
		}
	}
	return false
}

// stoppedBy is why this device was stopped in the group: its account revoked
// it, or it was proved to contradict itself; empty if it was not.
func (v *view) stoppedBy() api.Code {
	inc, ok := v.state.Inc(v.me)
	if !ok || !inc.Cut {
		return ""
	}
	if v.state.CutByFault(v.me) {
		return api.Cloned
	}
	return api.Revoked
}
