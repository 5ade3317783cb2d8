package node

import (
	"context"

	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
)

// stageHistory is the one stage of the task that follows a join, or begins when
// a device that was away lacks much.
const stageHistory = "history"

// beginHistory begins the task that shows how what was said before a join
// arrives. It ends when everything the sponsor has is here.
func (n *Node) beginHistory(r *room, sponsor wire.PeerKey) {
	t := n.historyTask(r)
	if old := r.history.Swap(t); old != nil {
		old.set(func(k *api.Task) { k.State = api.TaskCancelled })
	}
	r.tell(func(*commit) error {
		// A pull may have ended before the task began: another one, which is
		// cheap when nothing is missing, ends it.
		if l := r.links[sponsor]; l != nil {
			l.pullNow()
		}
		return nil
	})
}

func (n *Node) historyTask(r *room) *task {
	t := n.tasks.begin(api.TaskSync, stageHistory, nil)
	t.set(func(k *api.Task) {
		k.Progress.Unit, k.Result = "messages", &api.TaskResult{Group: r.group}
	})
	return t
}

// maxLacking is where a total stops: no lie of a vector says more.
const maxLacking = 100 * maxMissing

// historyLacks tells how much is still to come, of one member that has it; what
// is here in less than a second is no task.
func (r *room) historyLacks(lacks uint64) {
	t := r.history.Load()
	switch {
	case lacks == 0, t == nil && (lacks < tailFrom || r.office != nil):
		return
	case t == nil:
		t = r.n.historyTask(r)
		r.history.Store(t)
	}
	t.set(func(k *api.Task) { k.Progress.Total = k.Progress.Done + int(min(lacks, maxLacking)) })
}

// historyCame counts content that arrived, historyHere tells that a member had
// no more.
func (r *room) historyCame(entries int) {
	if t := r.history.Load(); t != nil && entries > 0 {
		t.set(func(k *api.Task) { k.Progress.Done += entries })
	}
}

func (r *room) historyHere() {
	if len(r.olders) > 0 {
		return // somebody else has the rest
	}
	if t := r.history.Swap(nil); t != nil {
		t.set(func(k *api.Task) { k.State, k.Progress.Total = api.TaskDone, k.Progress.Done })
	}
}

// awaitName waits a little until the group can be called something: whoever is
// told that they are in looks for it by its name.
func (r *room) awaitName(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, keyWait)
	defer cancel()
	for {
		changed := r.changed.wait()
		if !r.lacksNames() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// nameWaitlisted finds a name for the group of somebody who waits for a seat
// and was let in by a member who has no preview: the code's maker has one.
func (n *Node) nameWaitlisted(ctx context.Context, a joinAnswer, code invites.Passcode) {
	if a.outcome != outcomeWaitlisted || a.room.view.Load().meta.Name != "" {
		return
	}
	var found api.Inspect
	n.askPreview(ctx, &found, code)
	if found.Preview == nil {
		return
	}
	if err := a.room.callIt(ctx, found.Preview.Name); err != nil {
		n.log.Debug("naming a group failed", "err", err)
	}
}

// callIt gives a group that has told no name yet the one of a preview: who
// waits for a seat has no key to the name.
func (r *room) callIt(ctx context.Context, name string) error {
	return r.step(ctx, func(c *commit) error {
		if r.meta.Name != "" || name == "" {
			return nil
		}
		r.meta.Name = name
		r.saveMeta(c)
		c.regroup = true
		return nil
	})
}
