package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// Branch tells whom removing somebody with everybody who came through them
// would remove.
func (n *Node) Branch(_ context.Context, g wire.GroupID, a wire.AccountID) (api.Branch, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return api.Branch{}, err
	}
	s := r.view.Load().state
	out, stay, err := r.branch(s, a)
	if err != nil {
		return api.Branch{}, err
	}
	return api.Branch{Removes: r.members(s, out), Stays: r.members(s, stay)}, nil
}

// branch judges who asks and for whom before it gives the two lists.
func (r *room) branch(s *groups.State, a wire.AccountID) (out, stay []wire.AccountID, _ error) {
	self := r.n.dev.account()
	switch _, known := s.Member(a); {
	case isDirect(s):
		return nil, nil, api.NewProblem(api.DirectConversation)
	case a == self:
		return nil, nil, api.NewProblem(api.NotAllowed).Explain("to give up your own seat, leave the group")
	case !known:
		return nil, nil, api.NewProblem(api.NotMember)
	case !s.Seated(self):
		return nil, nil, r.notSeated()
	case s.Role(self) == groups.RoleMember:
		return nil, nil, api.NewProblem(api.RoleNeeded)
	}
	out, stay = s.Branch(self, a)
	if slices.Contains(stay, a) {
		return nil, nil, api.NewProblem(api.RoleNeeded)
	}
	return out, stay, nil
}

// pruneWait is how long the answer waits for a branch to be removed: most are
// gone by then, and a script sees it at once.
const pruneWait = time.Second

// RemoveBranch removes an account and everybody who came through it, in one
// commit with one new epoch; the task tells how far it is. With accounts
// given, only those of the branch are removed: what a person confirmed.
func (n *Node) RemoveBranch(ctx context.Context, g wire.GroupID, a wire.AccountID, in api.BranchRemove) (api.Task, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return api.Task{}, err
	}
	if err := checkReason(in.Reason); err != nil {
		return api.Task{}, err
	}
	if err := notDirect(r.view.Load().state); err != nil {
		return api.Task{}, err
	}
	if _, _, err := r.branch(r.view.Load().state, a); err != nil {
		return api.Task{}, err
	}
	t := n.tasks.begin(api.TaskPrune, api.StageRemoving, nil)
	t.set(func(k *api.Task) {
		k.Progress.Unit, k.Result = "members", &api.TaskResult{Group: g, Account: a}
	})
	done := make(chan struct{})
	n.wg.Go(func() {
		defer close(done)
		if err := r.step(n.ctx, func(c *commit) error { return r.removeBranch(c, t, a, in) }); err != nil {
			var p *api.Problem
			if !errors.As(err, &p) && n.ctx.Err() == nil {
				r.log.Error("removing a branch failed", "err", err)
			}
			t.fail(api.AsProblem(err))
			return
		}
		t.set(func(k *api.Task) { k.State, k.Stage = api.TaskDone, api.StageRemoved })
	})
	soon, cancel := context.WithTimeout(ctx, pruneWait)
	defer cancel()
	select {
	case <-done:
	case <-soon.Done():
	}
	return n.Task(ctx, t.t.ID)
}

// removeBranch writes the removals and their reason. The epoch that none of the
// removed can read is made once: for the reason, or when the commit settles.
func (r *room) removeBranch(c *commit, t *task, a wire.AccountID, in api.BranchRemove) error {
	out, _, err := r.branch(r.g.State(), a)
	if err != nil {
		return err
	}
	if len(in.Accounts) > 0 {
		out = slices.DeleteFunc(out, func(x wire.AccountID) bool { return !slices.Contains(in.Accounts, x) })
	}
	if len(out) == 0 {
		return api.NewProblem(api.NotFound).Explain("nobody of that branch is here any more")
	}
	var acts []wire.OpID
	for i, x := range out {
		op, err := r.own(c, groups.KindRemove, &groups.RemoveBody{Account: x, Pins: r.g.PinsFor(x)})
		if err != nil {
			return err
		}
		acts = append(acts, op.ID)
		t.set(func(k *api.Task) { k.Progress.Done, k.Progress.Total = i+1, len(out) })
	}
	return r.explain(c, in.Reason, acts...)
}
