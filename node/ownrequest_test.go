package node

import (
	"errors"
	"slices"
	"testing"

	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// asked waits for a request of a kind, and returns it.
func asked(t *testing.T, n *Node, kind string) (req api.Request) {
	t.Helper()
	within(t, n, patience, n.ownName()+"'s device to be asked", func() bool {
		for _, r := range must[[]api.Request](t)(n.Requests(t.Context())) {
			if r.Kind == kind {
				req = r
				return true
			}
		}
		return false
	})
	return req
}

// unasked waits until nothing waits for the person's answer.
func unasked(t *testing.T, devices ...*Node) {
	t.Helper()
	for _, n := range devices {
		within(t, n, patience, "nothing to answer", func() bool { return len(must[[]api.Request](t)(n.Requests(t.Context()))) == 0 })
	}
}

// answers has one device answer what both were asked.
func answers(t *testing.T, kind string, yes bool, by, other *Node) {
	t.Helper()
	first, second := asked(t, by, kind), asked(t, other, kind)
	if first.ID != second.ID || first.From != second.From || first.Group != second.Group {
		t.Fatalf("%+v is on the other device %+v", first, second)
	}
	must[api.Request](t)(by.AnswerRequest(t.Context(), first.ID, yes))
	unasked(t, by, other)
}

// What the person is asked shows on every device of the account, may be
// answered on any, and is gone from the others then.
func TestRequestsOnEveryDevice(t *testing.T) {
	t.Parallel()
	ann := startNode(t, t.TempDir(), "Ann", nil)
	two := linkTo(t, ann, t.TempDir(), api.DeviceLinkCreate{})
	bob := startNode(t, t.TempDir(), "Bob", nil)

	t.Run("a follow", func(t *testing.T) {
		follow(t, bob, ann)
		answers(t, api.RequestFollow, true, two, ann)
		within(t, ann, patience, "mutual", func() bool { return ann.people.mutual(bob.dev.account()) && bob.people.mutual(ann.dev.account()) })
		cy := startNode(t, t.TempDir(), "Cy", nil)
		follow(t, cy, ann)
		answers(t, api.RequestFollow, false, two, ann)
	})
	chess := newGroup(t, bob, api.GroupCreate{Name: "Chess"})
	t.Run("a seat", func(t *testing.T) {
		tea := newGroup(t, bob, api.GroupCreate{Name: "Tea"})
		for _, turn := range []struct {
			g     wire.GroupID
			by    *Node
			other *Node
			yes   bool
			stage string
		}{{tea, two, ann, false, api.StageDeclined}, {tea, ann, two, false, api.StageDeclined}, {chess, two, ann, true, api.StageJoined}} {
			task := must[api.Task](t)(bob.AddMember(t.Context(), turn.g, ann.dev.account()))
			answers(t, api.RequestGroup, turn.yes, turn.by, turn.other)
			if ended := waitTask(t, bob, task.ID); ended.Stage != turn.stage {
				t.Errorf("%+v", ended)
			}
		}
		task := must[api.Task](t)(bob.AddMember(t.Context(), tea, ann.dev.account()))
		asked(t, ann, api.RequestGroup)
		asked(t, two, api.RequestGroup)
		must[api.Task](t)(bob.CancelTask(t.Context(), task.ID))
		unasked(t, ann, two)
	})
	if t.Failed() {
		return
	}
	t.Run("a group", func(t *testing.T) {
		for _, n := range []*Node{ann, two} {
			within(t, n, patience, "a seat", func() bool { r := n.room(chess); return r != nil && r.view.Load().seated() })
		}
		task := must[api.Task](t)(bob.Transfer(t.Context(), chess, ann.dev.account()))
		answers(t, api.RequestOwnership, false, ann, two)
		if ended := waitTask(t, bob, task.ID); ended.Stage != api.StageDeclined {
			t.Errorf("%+v", ended)
		}
		task = must[api.Task](t)(bob.Transfer(t.Context(), chess, ann.dev.account()))
		answers(t, api.RequestOwnership, true, two, ann)
		if ended := waitTask(t, bob, task.ID); ended.Stage != api.StageAccepted {
			t.Errorf("%+v", ended)
		}
	})
	t.Run("a join", func(t *testing.T) {
		within(t, ann, patience, "to own the group", func() bool { return ann.room(chess).view.Load().state.Owner() == ann.dev.account() })
		inv := must[api.Invite](t)(ann.CreateInvite(t.Context(), chess, api.InviteCreate{Approve: true}))
		for _, turn := range []struct {
			name  string
			yes   bool
			stage string
		}{{"Dan", false, api.StageDeclined}, {"Eve", true, api.StageJoined}} {
			n := startNode(t, t.TempDir(), turn.name, nil)
			task := must[api.Task](t)(n.JoinByPasscode(t.Context(), inv.Passcode))
			answers(t, api.RequestJoin, turn.yes, two, ann)
			if ended := waitTask(t, n, task.ID); ended.Stage != turn.stage {
				t.Errorf("%s: %+v", turn.name, ended)
			}
		}
	})
}

// A device that was away is told what waits, and what was answered meanwhile.
func TestRequestsAreToldLater(t *testing.T) {
	t.Parallel()
	ann := startNode(t, t.TempDir(), "Ann", nil)
	dir := t.TempDir()
	two := linkTo(t, ann, dir, api.DeviceLinkCreate{})
	within(t, two, patience, "a linked sibling", func() bool { return two.mesh.Connected(ann.mesh.Self()) })
	bob := startNode(t, t.TempDir(), "Bob", nil)
	befriend(t, bob, ann)
	within(t, two, patience, "mutual", func() bool { return two.people.mutual(bob.dev.account()) })
	again := func() {
		t.Helper()
		two.Close()
		two = startNode(t, dir, "", nil)
	}
	two.Close()
	tea, chess := newGroup(t, bob, api.GroupCreate{Name: "Tea"}), newGroup(t, bob, api.GroupCreate{Name: "Chess"})
	must[api.Task](t)(bob.AddMember(t.Context(), tea, ann.dev.account()))
	req := asked(t, ann, api.RequestGroup)
	again()
	asked(t, two, api.RequestGroup)
	two.Close()
	must[api.Request](t)(ann.AnswerRequest(t.Context(), req.ID, false))
	must[api.Task](t)(bob.AddMember(t.Context(), chess, ann.dev.account()))
	within(t, ann, patience, "the other offer", func() bool { return asked(t, ann, api.RequestGroup).Group == chess })
	again()
	within(t, two, patience, "the other offer alone", func() bool {
		list := must[[]api.Request](t)(two.Requests(t.Context()))
		return len(list) == 1 && list[0].Group == chess
	})
	// Only the newest that ended are kept, and the no holds.
	var it requestItem
	for _, own := range must[[]ownItem](t)(ann.requestItems()) {
		if r := must[requestItem](t)(as[requestItem](own)); r.Kind == askedSeat && r.End != 0 {
			it = r
		}
	}
	if it.End != endedNo {
		t.Fatalf("%+v", it)
	}
	err := ann.store.Update(t.Context(), func(tx *store.Tx) error {
		err := putEnded(tx, it.ended(endedGone, it.Ms))
		for i := range uint64(maxEnded) {
			err = errors.Join(err, putEnded(tx, requestItem{Kind: askedSeat, Nonce: [16]byte{1, byte(i)}, End: endedGone, Ms: i}))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := ann.store.View(func(tx *store.Tx) error {
		list, err := readEnded(tx)
		if len(list) != maxEnded || !slices.ContainsFunc(list, func(o requestItem) bool { return o.same(it) && o.End == endedNo }) {
			t.Errorf("%d are kept", len(list))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// A follow reaches whom it is of though the device that made it is gone for
// good: every device that knows it hands it over, and once is enough.
func TestFollowOfADeadDevice(t *testing.T) {
	ann := startNode(t, t.TempDir(), "Ann", nil)
	two := linkTo(t, ann, t.TempDir(), api.DeviceLinkCreate{})
	bob := startNode(t, t.TempDir(), "Bob", nil)
	two.Close()
	card := must[identity.SignedCard](t)(identity.ParseCard(must[api.Card](t)(bob.Card(t.Context())).Text))
	edge := identity.SignEdge(two.dev.keys, two.dev.chain, bob.dev.account(), ann.nowMs(), identity.EdgeFollow, ann.nowMs())
	items := []ownItem{item(ownEdge, edge), item(ownCard, card)}
	for range 2 {
		if err := ann.takeOwn(t.Context(), two.dev.peer(), items); err != nil {
			t.Fatal(err)
		}
		if req := asked(t, bob, api.RequestFollow); req.From != ann.dev.account() {
			t.Fatalf("%+v", req)
		}
		within(t, ann, patience, "an empty outbox", func() bool { return len(ann.outboxAccounts()) == 0 })
	}
}
