package node

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// waiting is what a task waits for that only people can give: an answer to an
// offer, a yes to a join request, the votes of admins. It is on disk, and its
// task with it, so both outlive a restart.
// Evolution: fields are added at the end, with a new V.
type waiting struct {
	_     struct{} `cbor:",toarray"`
	V     uint64
	Group wire.GroupID
	Nonce [16]byte         // names it in the dialogue
	Asked []wire.AccountID // who may answer
	// Peer is the sponsor a join was asked of, a device of the account in Asked,
	// and Addrs where it was: it is in no group with us yet.
	Peer  wire.PeerKey
	Addrs []string
	// OwnOp, Heir, Ms and Votes are of a transfer or succession.
	OwnOp wire.OpID
	Heir  wire.AccountID
	Ms    uint64
	Votes []groups.SucceedSig // ascending by inc
	Task  []byte              // the api.Task, as JSON
}

// waitKept is how long a task that waited for people is remembered once it is
// over: who was away for a week sees what became of it.
const waitKept = 7 * 24 * time.Hour

// wait makes a task one that waits for people, in one transaction with what
// tells them. change is what else becomes of the task.
func (n *Node) wait(ctx context.Context, t *task, w waiting, change func(*api.Task), rows ...func(*store.Tx) error) error {
	w.V = 1
	n.tasks.mu.Lock()
	t.waits = &w
	t.t.State = api.TaskWaiting
	if change != nil {
		change(&t.t)
	}
	n.tasks.mu.Unlock()
	err := n.store.Update(ctx, func(tx *store.Tx) error {
		for _, row := range rows {
			if err := row(tx); err != nil {
				return err
			}
		}
		return n.tasks.put(tx, t)
	})
	if err != nil {
		return fmt.Errorf("keeping a task: %w", err)
	}
	t.tell()
	return nil
}

// put writes a task that waits for people, as it is now.
func (ts *tasks) put(tx *store.Tx, t *task) error {
	ts.mu.Lock()
	now := t.copy()
	w := *t.waits
	ts.mu.Unlock()
	b, err := json.Marshal(now)
	if err != nil {
		panic("internal error: encoding a task: " + err.Error())
	}
	w.Task = b
	return tx.PutTask(now.ID, wire.Marshal(w))
}

// keep writes what became of a task that waits for people.
func (n *Node) keepTask(t *task) {
	if err := n.store.Update(n.ctx, func(tx *store.Tx) error { return n.tasks.put(tx, t) }); err != nil && n.ctx.Err() == nil {
		n.log.Warn("keeping a task failed", "task", t.t.ID, "err", err)
	}
}

// answered finds the task of this account that a message with a nonce answers;
// nil if none of that kind waits.
func (ts *tasks) answered(g wire.GroupID, nonce [16]byte, kinds ...string) (*task, waiting) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, t := range ts.list {
		if t.waits == nil || t.waits.Group != g || t.waits.Nonce != nonce || t.t.Over() {
			continue
		}
		for _, kind := range kinds {
			if t.t.Kind == kind {
				return t, *t.waits
			}
		}
	}
	return nil, waiting{}
}

// open lists the tasks of a kind that wait for people in a group.
func (ts *tasks) open(g wire.GroupID, kind string) []*task {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	var out []*task
	for _, t := range ts.list {
		if t.waits != nil && t.waits.Group == g && t.t.Kind == kind && !t.t.Over() {
			out = append(out, t)
		}
	}
	return out
}

// addrsOf lists where somebody was that a join waits for.
func (ts *tasks) addrsOf(peer wire.PeerKey) []string {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, t := range ts.list {
		if t.waits != nil && t.waits.Peer == peer && !t.t.Over() {
			return t.waits.Addrs
		}
	}
	return nil
}

// addressed is whom joins that are not over wait for, if they say an address.
func (ts *tasks) addressed() map[wire.PeerKey]bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	out := map[wire.PeerKey]bool{}
	for _, t := range ts.list {
		if t.waits != nil && len(t.waits.Addrs) > 0 && !t.t.Over() {
			out[t.waits.Peer] = true
		}
	}
	return out
}

// what tells what a task waits for; ok is false if for nobody.
func (t *task) what() (w waiting, ok bool) {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	if t.waits == nil {
		return w, false
	}
	return *t.waits, true
}

// loadWaiting takes up the tasks that waited for people when the node stopped.
func (n *Node) loadWaiting() error {
	old := n.now().Add(-waitKept)
	var gone []string
	err := n.store.View(func(tx *store.Tx) error {
		return tx.EachTask(func(id string, b []byte) error {
			t := &task{of: n.tasks, waits: &waiting{}}
			if err := wire.Unmarshal(b, t.waits); err != nil {
				return err
			}
			if err := json.Unmarshal(t.waits.Task, &t.t); err != nil {
				return err
			}
			if t.t.Over() && t.t.At.Before(old) {
				gone = append(gone, id)
				return nil
			}
			n.tasks.take(t)
			return nil
		})
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	return n.store.Update(n.ctx, func(tx *store.Tx) error {
		for _, id := range gone {
			if err := tx.DeleteTask(id); err != nil {
				return err
			}
		}
		return nil
	})
}

// resumeWaiting goes on with the tasks that loadWaiting took up.
func (n *Node) resumeWaiting() {
	n.tasks.mu.Lock()
	list := append([]*task(nil), n.tasks.list...)
	n.tasks.mu.Unlock()
	for _, t := range list {
		w, ok := t.what()
		if !ok || t.over() {
			continue
		}
		r := n.room(w.Group)
		if p := n.cannotRead(w.Group); p != nil {
			t.fail(p)
			continue
		}
		if r == nil {
			t.fail(api.NewProblem(api.Declined))
			continue
		}
		r.endHandovers(r.view.Load().state)
		if t.t.Kind != api.TaskJoin {
			continue
		}
		for _, a := range w.Asked {
			n.people.meetPeer(a, w.Peer)
		}
		n.awaitYes(t, r, w)
	}
}

// undo takes back what a task asked of others.
func (n *Node) undo(ctx context.Context, t *task) {
	w, ok := t.what()
	if !ok {
		return
	}
	err := n.store.Update(ctx, func(tx *store.Tx) error {
		for _, a := range w.Asked {
			if err := n.forgetOut(tx, a, w.Nonce); err != nil {
				return err
			}
			if err := n.queue(tx, a, directWithdraw, nonceKey(w.Nonce), wire.Marshal(declineMsg{Group: w.Group, Nonce: w.Nonce})); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		n.log.Warn("taking back failed", "err", err)
	}
	for _, a := range w.Asked {
		n.reach(a)
	}
	if r := n.room(w.Group); r != nil && t.t.Kind == api.TaskJoin {
		n.forgetRoom(r)
	}
}

// forgetOut takes whatever belongs to a nonce out of an account's outbox.
func (n *Node) forgetOut(tx *store.Tx, a wire.AccountID, nonce [16]byte) error {
	var outs []store.Out
	if err := tx.EachOut(a, func(o store.Out) error {
		if o.Key == nonceKey(nonce) {
			outs = append(outs, o)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, o := range outs {
		if err := tx.DeleteOut(o); err != nil {
			return err
		}
	}
	return nil
}

// takeDecline ends what this account asked with a no, or an admin's part in
// what it was asked.
func (n *Node) takeDecline(ctx context.Context, from wire.PeerKey, body []byte) error {
	var d declineMsg
	if err := wire.Unmarshal(body, &d); err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	t, w := n.tasks.answered(d.Group, d.Nonce, api.TaskOffer, api.TaskTransfer, api.TaskSucceed, api.TaskJoin)
	if t == nil {
		r := n.room(d.Group)
		if r == nil {
			return errDirectRefused
		}
		return r.step(ctx, func(c *commit) error { return r.askDeclinedBy(c, from, d.Nonce) })
	}
	by := slices.IndexFunc(w.Asked, func(a wire.AccountID) bool { return slices.Contains(n.devicesOf(a), from) })
	switch {
	case t.t.Kind == api.TaskJoin:
		// Only who was asked, and those it passed the request on to, know the
		// nonce; which of them are admins, a newcomer cannot tell.
		n.endJoin(t, w)
	case by < 0:
		return fmt.Errorf("%w: a no by nobody who was asked", errDirectRefused)
	case t.t.Kind == api.TaskSucceed:
		n.lostVote(t, w.Asked[by])
	default:
		t.declined()
	}
	return nil
}

func (t *task) declined() {
	t.set(func(k *api.Task) {
		k.State, k.Stage, k.Problem = api.TaskFailed, api.StageDeclined, api.NewProblem(api.Declined)
	})
}

// refusedFor ends what an account was asked and its device refused for good.
func (n *Node) refusedFor(o store.Out) {
	n.tasks.mu.Lock()
	var of *task
	for _, t := range n.tasks.list {
		if t.waits != nil && nonceKey(t.waits.Nonce) == o.Key && slices.Contains(t.waits.Asked, o.To) && !t.t.Over() {
			of = t
		}
	}
	n.tasks.mu.Unlock()
	switch {
	case of == nil:
	case o.Kind == directSuccession:
		n.lostVote(of, o.To)
	case o.Kind == directOffer || o.Kind == directHeir:
		of.declined()
	}
}

// elsewhere answers what is about something unknown here: where the account has
// other devices it may be for one of them, and is refused here.
func (n *Node) elsewhere() error {
	if len(n.devices.siblings()) > 0 {
		return fmt.Errorf("%w: another device of this account may know", errDirectRefused)
	}
	return nil
}

// takeWithdraw takes back what another account asked of this one.
func (n *Node) takeWithdraw(ctx context.Context, from wire.PeerKey, body []byte) error {
	var d declineMsg
	if err := wire.Unmarshal(body, &d); err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	done := false
	err := n.store.Update(ctx, func(tx *store.Tx) error {
		done = false
		return n.dropRequests(tx, func(row requestRow) bool {
			g, _ := row.Group.Get()
			its := wire.GroupID(g) == d.Group && row.nonce() == d.Nonce && slices.Contains(n.devicesOf(row.From), from)
			done = done || its
			return its
		})
	})
	if done {
		n.ownChanged()
	}
	r := n.room(d.Group)
	switch {
	case err != nil || done:
		return err
	case r == nil:
		return n.elsewhere()
	}
	return r.step(ctx, func(c *commit) error { return r.askWithdrawn(c, from, d.Nonce) })
}
