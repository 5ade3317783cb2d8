package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// maxAsks bounds the join requests of one group that wait for a yes: each may
// weigh 20 KiB, and who holds a passcode makes any number of accounts.
const maxAsks = 64

// States of an ask besides those that people see.
const (
	askPassed   = "passed"   // this member only passed it on
	askDeclined = "declined" // the newcomer is to be told
)

// ask is a join request that needs an admin's yes: the newcomer asked here, or
// a member passed it on. It belongs to the room's goroutine.
type ask struct {
	row  requestRow
	body askRow
}

// askRow is the body of the request's row.
// Evolution: fields are added at the end, with a new V.
type askRow struct {
	_    struct{} `cbor:",toarray"`
	V    uint64
	Said passedMsg
	Near bool             // the newcomer asked this device
	Via  []wire.AccountID // who passed it on
}

func askID(g wire.GroupID, a wire.AccountID) string { return "join-" + g.Short() + "-" + a.String() }

// errBusy means that too much waits already.
var errBusy = errors.New("too many requests wait")

// errNotHere means that what a message is about has not arrived here: it comes
// again.
var errNotHere = errors.New("not known here yet")

// queueAsk keeps a join request for this person's yes, if it is theirs to give,
// and with near passes it on to everybody who may give it. via is who passed it
// on, zero for the newcomer or another own device.
func (r *room) queueAsk(c *commit, said passedMsg, near bool, via wire.AccountID, at uint64) error {
	newcomer := said.Request.Newcomer
	a := r.asks[newcomer]
	if a == nil && len(r.asks) >= maxAsks {
		return errBusy
	}
	if a != nil && a.body.Said.Request.Nonce == said.Request.Nonce {
		if !via.IsZero() && !slices.Contains(a.body.Via, via) {
			a.body.Via = append(a.body.Via, via)
			r.putAsk(c, newcomer, a)
		}
		return nil
	}
	a = &ask{
		row: requestRow{
			V: 1, Kind: api.RequestJoin, From: newcomer, AtMs: at,
			Group: wire.SomeID(wire.OpID(r.group)), GroupName: r.meta.Name,
		},
		body: askRow{V: 1, Said: said, Near: near},
	}
	if !via.IsZero() {
		a.body.Via = []wire.AccountID{via}
	}
	if r.g.State().Role(r.n.dev.account()) == groups.RoleMember {
		a.row.State = askPassed
	}
	r.putAsk(c, newcomer, a)
	c.then(func() { r.n.people.meetPeer(newcomer, said.Request.Chain.Leaf().PeerKey) })
	if a.row.State == "" {
		r.tellRequest(c, store.Add, a.row, askID(r.group, newcomer))
	}
	if near {
		r.passOn(c, said, r.approvers(said.Request)...)
	}
	return nil
}

func (r *room) putAsk(c *commit, newcomer wire.AccountID, a *ask) {
	c.dirty = true
	r.asks[newcomer] = a
	a.row.Body = wire.Marshal(a.body)
	b := wire.Marshal(a.row)
	c.row(func(tx *store.Tx) error { return tx.PutRequest(askID(r.group, newcomer), b) })
	c.then(r.n.ownChanged)
}

// dropAsk forgets a join request; who sees it, on any device of this account, is
// told that it is gone; with how 0 it may come back, and the others see by
// themselves why it went.
func (r *room) dropAsk(c *commit, newcomer wire.AccountID, how uint64) {
	a := r.asks[newcomer]
	c.dirty = true
	delete(r.asks, newcomer)
	c.row(func(tx *store.Tx) error { return r.n.endRequest(tx, askID(r.group, newcomer), how) })
	c.then(r.n.ownChanged)
	if a.row.State == "" {
		gone := a.row
		gone.State = api.RequestGone
		r.tellRequest(c, store.Retract, gone, askID(r.group, newcomer))
	}
}

func (r *room) tellRequest(c *commit, kind store.ChangeKind, row requestRow, id string) {
	c.changes = append(c.changes, r.n.change(kind, api.EventInviteRequested, r.group, row.api(r.n, id)))
}

// approvers are the other accounts whose yes admits: the owner and the admins,
// of an invite that lists devices those of the devices it lists.
func (r *room) approvers(q groups.JoinRequest) []wire.AccountID {
	s := r.g.State()
	id, _ := q.Invite.Get()
	inv, ok := s.Invite(id)
	if !ok {
		return nil
	}
	var out []wire.AccountID
	for _, m := range s.Members() {
		if m.Status != groups.StatusSeated || m.Role == groups.RoleMember || m.Account == r.n.dev.account() {
			continue
		}
		if inv.Redeem == groups.RedeemListed && !slices.ContainsFunc(m.Incs, func(i groups.IncInfo) bool { return slices.Contains(inv.Incs, i.ID) }) {
			continue
		}
		out = append(out, m.Account)
	}
	return out
}

// passOn hands a join request to others by the outbox.
func (r *room) passOn(c *commit, said passedMsg, to ...wire.AccountID) {
	b := wire.Marshal(said)
	for _, a := range to {
		c.row(func(tx *store.Tx) error { return r.n.queue(tx, a, directAsk, nonceKey(said.Request.Nonce), b) })
		c.then(func() { r.n.reach(a) })
	}
}

// sayTo hands a decline or a withdrawal to others by the outbox, and takes back
// what would have reached them later.
func (r *room) sayTo(c *commit, kind uint8, nonce [16]byte, to ...wire.AccountID) {
	b := wire.Marshal(declineMsg{Group: r.group, Nonce: nonce})
	for _, a := range to {
		c.row(func(tx *store.Tx) error {
			if err := r.n.forgetOut(tx, a, nonce); err != nil {
				return err
			}
			return r.n.queue(tx, a, kind, nonceKey(nonce), b)
		})
		c.then(func() { r.n.reach(a) })
	}
}

func nonceKey(nonce [16]byte) string { return hex.EncodeToString(nonce[:]) }

// takeAsk keeps a join request that a member passes on, if this device could
// admit by it.
func (n *Node) takeAsk(ctx context.Context, from wire.PeerKey, body []byte) error {
	var said passedMsg
	if len(body) > maxAskFrame {
		return fmt.Errorf("%w: a request of %d bytes", errDirectRefused, len(body))
	}
	if err := wire.Unmarshal(body, &said); err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	r := n.room(said.Request.Group)
	if r == nil || !r.view.Load().seated() || len(said.Request.Chain) == 0 {
		return fmt.Errorf("%w: a request for a group that is not here", errDirectRefused)
	}
	if n.people.blocked(said.Request.Newcomer) {
		return nil // in silence
	}
	return r.step(ctx, func(c *commit) error {
		sender, ok := r.g.State().Inc(r.view.Load().peers[from])
		if !ok {
			return fmt.Errorf("%w: a request passed on by nobody seated", errDirectRefused)
		}
		return r.keepAsk(c, said, sender.Account, n.nowMs())
	})
}

// keepAsk keeps a join request that somebody else was asked, if this device
// could admit by it.
func (r *room) keepAsk(c *commit, said passedMsg, via wire.AccountID, at uint64) error {
	if said.Request.Group != r.group {
		return fmt.Errorf("%w: a request for another group", errDirectRefused)
	}
	existing, _, reason := r.mayAdmit(said.Request, said.Sig, said.UseSig[:])
	switch reason {
	case groups.ReasonNone, groups.ReasonGroupFull: // a seat may be freed until somebody looks
	case groups.ReasonPending, groups.ReasonInviteUnknown:
		return errNotHere // the operation that makes this device an admin, or the invite, is on its way
	default:
		return fmt.Errorf("%w: %v", errDirectRefused, reason)
	}
	if !existing.IsZero() {
		return nil
	}
	if err := r.queueAsk(c, said, false, via, at); err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	return nil
}

// answerAsk lets somebody in who asked, or does not.
func (n *Node) answerAsk(ctx context.Context, row requestRow, accept bool) error {
	g, _ := row.Group.Get()
	r, err := n.memberRoom(wire.GroupID(g))
	if err != nil {
		return err
	}
	var refused *api.Problem
	err = r.step(ctx, func(c *commit) error {
		a := r.asks[row.From]
		if a == nil || a.row.State != "" {
			return api.NewProblem(api.NotFound, "what", "request")
		}
		if !accept {
			r.decline(c, a)
			return nil
		}
		q := a.body.Said
		existing, _, reason := r.mayAdmit(q.Request, q.Sig, q.UseSig[:])
		switch {
		case !existing.IsZero():
			r.dropAsk(c, row.From, endedGone)
			return nil
		case reason == groups.ReasonGroupFull:
			return problemOf(reason)
		case reason != groups.ReasonNone:
			refused = problemOf(reason) // for good: it need not be asked again
			r.decline(c, a)
			return nil
		}
		_, err := r.own(c, groups.KindAdmit, &groups.AdmitBody{Request: q.Request, Sig: q.Sig, UseSig: q.UseSig[:]})
		return err
	})
	if err == nil && refused != nil {
		return refused
	}
	return err
}

// decline tells the newcomer no: straight, or through whoever passed the
// request on, and the other admins that it is answered.
func (r *room) decline(c *commit, a *ask) {
	q := a.body.Said.Request
	r.sayTo(c, directDecline, q.Nonce, r.approvers(q)...)
	r.turnBack(c, a)
}

// turnBack has the newcomer told no, once the admins know.
func (r *room) turnBack(c *commit, a *ask) {
	q := a.body.Said.Request
	if a.body.Near {
		r.turnAway(c, a)
		return
	}
	for _, via := range a.body.Via {
		if r.g.State().Role(via) == groups.RoleMember { // an admin was told above
			r.sayTo(c, directDecline, q.Nonce, via)
		}
	}
	r.dropAsk(c, q.Newcomer, endedNo)
}

// turnAway tells a newcomer who asked this device that the answer is no. The
// request is kept until that was delivered: it says where.
func (r *room) turnAway(c *commit, a *ask) {
	q := a.body.Said.Request
	if a.row.State == "" {
		gone := a.row
		gone.State = api.RequestDeclined
		r.tellRequest(c, store.Retract, gone, askID(r.group, q.Newcomer))
	}
	if it, ok := a.row.item(); ok {
		c.row(func(tx *store.Tx) error { return putEnded(tx, it.ended(endedNo, r.n.nowMs())) })
	}
	a.row.State = askDeclined
	r.putAsk(c, q.Newcomer, a)
	r.sayTo(c, directDecline, q.Nonce, q.Newcomer)
}

// declineDelivered lets go of a join request once its newcomer was told no.
func (n *Node) declineDelivered(o store.Out) {
	var d declineMsg
	if wire.Unmarshal(o.Frame, &d) != nil {
		return
	}
	if r := n.room(d.Group); r != nil {
		r.tell(func(c *commit) error {
			if a := r.asks[o.To]; a != nil && a.row.State == askDeclined && a.body.Said.Request.Nonce == d.Nonce {
				r.dropAsk(c, o.To, endedGone)
			}
			return nil
		})
	}
}

// askOf finds a join request by its nonce; on the room's goroutine.
func (r *room) askOf(nonce [16]byte) *ask {
	for _, a := range r.asks {
		if a.body.Said.Request.Nonce == nonce {
			return a
		}
	}
	return nil
}

// askDeclinedBy takes an admin's no to a join request that waits here too, or
// that this member passed on.
func (r *room) askDeclinedBy(c *commit, from wire.PeerKey, nonce [16]byte) error {
	sender, ok := r.g.State().Inc(r.view.Load().peers[from])
	if !ok || r.g.State().Role(sender.Account) == groups.RoleMember {
		return fmt.Errorf("%w: a no by nobody of rank", errDirectRefused)
	}
	a := r.askOf(nonce)
	switch {
	case a == nil:
		return r.n.elsewhere()
	case a.row.State == askDeclined:
	case a.body.Near:
		r.turnAway(c, a)
	default:
		r.dropAsk(c, a.row.From, endedNo)
	}
	return nil
}

// askWithdrawn takes back a join request: by the newcomer who asked here, or by
// a member who passed it on.
func (r *room) askWithdrawn(c *commit, from wire.PeerKey, nonce [16]byte) error {
	a := r.askOf(nonce)
	if a == nil {
		return r.n.elsewhere()
	}
	q := a.body.Said.Request
	if sender, ok := r.g.State().Inc(r.view.Load().peers[from]); ok && slices.Contains(a.body.Via, sender.Account) {
		a.body.Via = slices.DeleteFunc(a.body.Via, func(v wire.AccountID) bool { return v == sender.Account })
		if len(a.body.Via) > 0 || a.body.Near {
			r.putAsk(c, q.Newcomer, a)
			return nil
		}
		r.dropAsk(c, q.Newcomer, endedGone)
		return nil
	}
	if !a.body.Near || q.Chain.Leaf().PeerKey != from {
		return fmt.Errorf("%w: not whose request it is", errDirectRefused)
	}
	r.sayTo(c, directWithdraw, nonce, r.approvers(q)...)
	r.dropAsk(c, q.Newcomer, endedGone)
	return nil
}

// tendAsks draws the consequences of a new state for the join requests that
// wait: who is in, who may answer, which invites are dead.
func (r *room) tendAsks(c *commit, before, after *groups.State) {
	self := r.n.dev.account()
	for newcomer, a := range r.asks {
		q := a.body.Said.Request
		if m, ok := after.Member(newcomer); ok && (m.Status == groups.StatusSeated || m.Status == groups.StatusWaitlisted) {
			r.dropAsk(c, newcomer, endedGone)
			continue
		}
		if a.row.State == askDeclined {
			continue
		}
		id, _ := q.Invite.Get()
		if inv, ok := after.Invite(id); ok && inv.Dead(r.n.nowMs()) != groups.ReasonNone {
			if a.body.Near {
				r.turnAway(c, a)
			} else {
				r.dropAsk(c, newcomer, endedGone)
			}
			continue
		}
		ranked := after.Role(self) != groups.RoleMember
		switch {
		case ranked && a.row.State == askPassed:
			a.row.State = ""
			r.putAsk(c, newcomer, a)
			r.tellRequest(c, store.Add, a.row, askID(r.group, newcomer))
		case !ranked && a.row.State == "" && !a.body.Near:
			r.dropAsk(c, newcomer, 0)
			continue
		case !ranked && a.row.State == "":
			gone := a.row
			gone.State = api.RequestGone
			r.tellRequest(c, store.Retract, gone, askID(r.group, newcomer))
			a.row.State = askPassed
			r.putAsk(c, newcomer, a)
		}
		if a.body.Near {
			for _, to := range r.approvers(q) {
				if before.Role(to) == groups.RoleMember || !before.Seated(to) {
					r.passOn(c, a.body.Said, to)
				}
			}
		}
	}
}

// staleAsks drops join requests that are too old to admit anybody; the
// newcomer gives up by its own clock.
func (r *room) staleAsks() {
	var stale []wire.AccountID
	for newcomer, a := range r.asks {
		if a.body.Said.Request.Ms+groups.RequestMs < r.n.nowMs() {
			stale = append(stale, newcomer)
		}
	}
	if len(stale) == 0 {
		return
	}
	err := r.commit(func(c *commit) error {
		for _, newcomer := range stale {
			nonce := r.asks[newcomer].body.Said.Request.Nonce
			c.row(func(tx *store.Tx) error { return r.n.forgetOut(tx, newcomer, nonce) })
			r.dropAsk(c, newcomer, endedGone)
		}
		return nil
	})
	if err != nil {
		r.log.Warn("dropping old requests failed", "err", err)
	}
}

// loadAsks reads the join requests of this group that wait.
func (r *room) loadAsks(tx *store.Tx) error {
	r.asks = map[wire.AccountID]*ask{}
	return eachAsk(tx, func(a *ask) {
		if g, _ := a.row.Group.Get(); wire.GroupID(g) == r.group {
			r.asks[a.row.From] = a
		}
	})
}

// loadAskers learns the devices of newcomers who asked here: they are in no
// group with us, and an answer may wait for them.
func (n *Node) loadAskers() error {
	return n.store.View(func(tx *store.Tx) error {
		return eachAsk(tx, func(a *ask) {
			n.people.meetPeer(a.row.From, a.body.Said.Request.Chain.Leaf().PeerKey)
		})
	})
}

func eachAsk(tx *store.Tx, fn func(*ask)) error {
	return tx.EachRequest(func(id string, b []byte) error {
		a := &ask{}
		if err := wire.Unmarshal(b, &a.row); err != nil {
			return err
		}
		if a.row.Kind != api.RequestJoin {
			return nil
		}
		if wire.Unmarshal(a.row.Body, &a.body) != nil || len(a.body.Said.Request.Chain) == 0 {
			return nil // of an older version: the newcomer asks again
		}
		fn(a)
		return nil
	})
}
