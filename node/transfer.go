package node

import (
	"context"
	"fmt"
	"io"
	"slices"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// Transfer offers a group to its next owner. The task tells what became of it:
// offered, accepted or declined. Until it is accepted, cancelling the task takes
// the offer back; then this account is an admin.
func (n *Node) Transfer(ctx context.Context, g wire.GroupID, heir wire.AccountID) (api.Task, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return api.Task{}, err
	}
	v := r.view.Load()
	switch {
	case !v.seated():
		return api.Task{}, r.notSeated()
	case isDirect(v.state):
		return api.Task{}, api.NewProblem(api.DirectConversation)
	case v.state.Owner() != n.dev.account():
		return api.Task{}, api.NewProblem(api.RoleNeeded, "role", api.RoleOwner)
	case heir == n.dev.account():
		return api.Task{}, api.NewProblem(api.BadRequest).Explain("you own the group already")
	case !v.state.Seated(heir):
		return api.Task{}, api.NewProblem(api.NotMember)
	}
	for _, t := range n.tasks.open(g, api.TaskTransfer) {
		if w, _ := t.what(); w.Heir == heir && w.OwnOp == v.state.OwnOp() {
			return n.Task(ctx, t.t.ID)
		}
		return api.Task{}, api.NewProblem(api.Pending).Explain("the group is offered to somebody else: cancel task %s first", t.t.ID)
	}
	offer := heirMsg{Group: g, OwnOp: v.state.OwnOp()}
	if _, err := io.ReadFull(n.cfg.Rand, offer.Nonce[:]); err != nil {
		return api.Task{}, fmt.Errorf("drawing a nonce: %w", err)
	}
	t := n.tasks.begin(api.TaskTransfer, api.StageOffered, nil)
	err = n.wait(ctx, t, waiting{Group: g, Nonce: offer.Nonce, Asked: []wire.AccountID{heir}, OwnOp: offer.OwnOp, Heir: heir},
		func(k *api.Task) { k.Result = &api.TaskResult{Group: g, Account: heir} },
		func(tx *store.Tx) error {
			return n.queue(tx, heir, directHeir, nonceKey(offer.Nonce), wire.Marshal(offer))
		})
	if err != nil {
		t.fail(api.AsProblem(err))
		return api.Task{}, err
	}
	n.reach(heir)
	return n.Task(ctx, t.t.ID)
}

func ownershipID(g wire.GroupID) string { return "ownership-" + g.String() }

// takeHeir keeps the offer of a group until the person answers.
func (n *Node) takeHeir(ctx context.Context, from wire.PeerKey, body []byte) error {
	var o heirMsg
	if err := wire.Unmarshal(body, &o); err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	r := n.room(o.Group)
	if r == nil || !r.view.Load().seated() {
		return fmt.Errorf("%w: an offer of a group that is not here", errDirectRefused)
	}
	return r.step(ctx, func(c *commit) error {
		sender, _ := r.g.State().Inc(r.view.Load().peers[from])
		return r.keepHeir(c, o, sender.Account, requestRow{Body: body, AtMs: n.nowMs()})
	})
}

// keepHeir keeps the offer of this group, if it is its owner's.
func (r *room) keepHeir(c *commit, o heirMsg, by wire.AccountID, row requestRow) error {
	s := r.g.State()
	switch {
	case o.Group != r.group:
		return fmt.Errorf("%w: an offer of another group", errDirectRefused)
	case !s.Accepted(o.OwnOp):
		return errNotHere
	case by != s.Owner() || o.OwnOp != s.OwnOp():
		return fmt.Errorf("%w: an offer that is not the owner's", errDirectRefused)
	case r.n.people.blocked(by):
		return nil // in silence
	}
	row.Kind, row.From = api.RequestOwnership, by
	r.putRequest(c, ownershipID(r.group), row)
	return nil
}

// putRequest keeps something of the group that waits for this person's answer.
func (r *room) putRequest(c *commit, id string, row requestRow) {
	row.V = 1
	row.Group, row.GroupName = wire.SomeID(wire.OpID(r.group)), r.meta.Name
	c.row(func(tx *store.Tx) error { return r.n.keepRequest(tx, id, row) })
	c.then(r.n.ownChanged)
}

// answerHeir accepts or declines to own a group.
func (n *Node) answerHeir(ctx context.Context, row requestRow, accept bool) error {
	var o heirMsg
	if err := wire.Unmarshal(row.Body, &o); err != nil {
		return fmt.Errorf("reading an offer: %w", err)
	}
	r, err := n.memberRoom(o.Group)
	if err != nil {
		return err
	}
	err = r.step(ctx, func(c *commit) error {
		c.row(func(tx *store.Tx) error { return n.endRequest(tx, ownershipID(o.Group), howEnded(accept)) })
		if !accept {
			r.sayTo(c, directDecline, o.Nonce, row.From)
			return nil
		}
		now := n.nowMs()
		yes := heirYesMsg{
			Group: o.Group, Nonce: o.Nonce, Chain: n.dev.chain, Ms: now,
			Accept: groups.SignOwnerAccept(n.dev.keys.Op, o.Group, o.OwnOp, n.dev.account(), now),
		}
		c.row(func(tx *store.Tx) error {
			return n.queue(tx, row.From, directHeirYes, nonceKey(o.Nonce), wire.Marshal(yes))
		})
		return nil
	})
	n.reach(row.From)
	return err
}

// takeHeirYes hands the group over to who said yes to an offer of this device.
func (n *Node) takeHeirYes(ctx context.Context, from wire.PeerKey, body []byte) error {
	var yes heirYesMsg
	if err := wire.Unmarshal(body, &yes); err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	t, w := n.tasks.answered(yes.Group, yes.Nonce, api.TaskTransfer)
	if t == nil || !slices.Contains(n.devicesOf(w.Heir), from) {
		return fmt.Errorf("%w: a yes to no offer", errDirectRefused)
	}
	leaf, err := yes.Chain.Verify()
	if err != nil || leaf.Account != w.Heir || !groups.VerifyOwnerAccept(leaf.OpKey, w.Group, w.OwnOp, w.Heir, yes.Ms, yes.Accept) {
		return fmt.Errorf("%w: not the heir's signature", errDirectRefused)
	}
	r, err := n.memberRoom(w.Group)
	if err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	err = r.step(ctx, func(c *commit) error {
		if r.g.State().OwnOp() != w.OwnOp {
			return api.NewProblem(api.NotAllowed).Explain("the group has another owner since")
		}
		_, err := r.own(c, groups.KindTransfer, &groups.TransferBody{OwnOp: w.OwnOp, Heir: w.Heir, HeirChain: yes.Chain, Ms: yes.Ms, Accept: yes.Accept})
		return err
	})
	return t.endBy(err, api.StageAccepted)
}

// endBy ends a task with what the group's rules said: at the stage, or as
// refused. An error that is no problem is returned: the answer comes again.
func (t *task) endBy(err error, stage string) error {
	p, ruled := asRuling(err)
	switch {
	case err == nil:
		t.set(func(k *api.Task) { k.State, k.Stage = api.TaskDone, stage })
		return nil
	case !ruled:
		return err
	}
	t.set(func(k *api.Task) { k.State, k.Stage, k.Problem = api.TaskFailed, api.StageRefused, p })
	return fmt.Errorf("%w: %v", errDirectRefused, err)
}

// tendHandover draws the consequences of a new owner for what waits: offers of
// the group and proposals that are answered or overtaken by it.
func (r *room) tendHandover(c *commit, before, after *groups.State) {
	if before.OwnOp() == after.OwnOp() {
		return
	}
	c.row(func(tx *store.Tx) error {
		return r.n.dropRequests(tx, func(row requestRow) bool {
			g, _ := row.Group.Get()
			return wire.GroupID(g) == r.group && (row.Kind == api.RequestOwnership || row.Kind == api.RequestSuccession)
		})
	})
	c.then(func() { r.endHandovers(after); r.n.ownChanged() })
}

// endHandovers ends the own tasks that were to end an ownership that is over:
// done if it went to whom they named.
func (r *room) endHandovers(s *groups.State) {
	for kind, stage := range map[string]string{api.TaskTransfer: api.StageAccepted, api.TaskSucceed: api.StageElected} {
		for _, t := range r.n.tasks.open(r.group, kind) {
			w, _ := t.what()
			switch {
			case s.OwnOp() == w.OwnOp:
			case s.Owner() == w.Heir:
				t.endBy(nil, stage)
			default:
				t.endBy(api.NewProblem(api.NotAllowed).Explain("the group has another owner since"), stage)
			}
		}
	}
}
