package node

import (
	"crypto/ed25519"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// crowd lets n people into a node's group through one who has an invite, all
// made up: they have no machines. It returns whose branch they are.
func crowd(t testing.TB, a *Node, g wire.GroupID, n int) *groupstest.Person {
	t.Helper()
	w := groupstest.NewWorld(8)
	w.NowMs = a.nowMs()
	r := a.room(g)
	x := w.Add("x")
	step := func(fn func(c *commit) error) {
		t.Helper()
		if err := r.step(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	owner := &groupstest.Person{Account: a.dev.account()}
	var ops []*groups.Op
	step(func(c *commit) error {
		owner.Log = r.g
		op, err := r.own(c, groups.KindAdmit, w.Request(x, owner, nil))
		x.Inc = op.ID
		return err
	})
	step(func(*commit) error { ops = r.g.Ops(); return nil })
	x.Log = groupstest.Deliver(ops, a.nowMs())
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	invite, err := x.Log.ComposeControl(x.Inc, x.Keys.Op, a.nowMs(), groups.KindInvite, groups.InviteBody{InvitePk: [32]byte(key.Public().(ed25519.PublicKey)),
		MaxUses: uint64(n), NotAfterMs: a.nowMs() + 86_400_000, Role: uint64(groups.RoleMember)})
	if err != nil {
		t.Fatal(err)
	}
	code := groupstest.Invite{ID: invite.ID, Key: key, Inviter: x}
	step(func(c *commit) error {
		r.ingest(c, x.Keys.PeerKey(), []*groups.Op{invite}, false)
		for range n {
			if _, err := r.own(c, groups.KindAdmit, w.Request(w.Add("y"), owner, &code)); err != nil {
				return err
			}
		}
		return nil
	})
	return x
}

// A whole branch goes in one commit, with one new epoch and one reason; the
// invites of the removed end.
func TestRemoveBranch(t *testing.T) {
	a := testNode(t, "Ann")
	limit := 60
	g := must[api.Group](t)(a.CreateGroup(t.Context(), api.GroupCreate{Name: "Books", Cap: &limit})).ID
	const n = 40
	x := crowd(t, a, g, n)
	b := must[api.Branch](t)(a.Branch(t.Context(), g, x.Account))
	if len(b.Removes) != n+1 || len(b.Stays) != 0 || b.Removes[0].Account != x.Account {
		t.Fatalf("would remove %d, %d stay", len(b.Removes), len(b.Stays))
	}
	if got := must[[]api.TreeLine](t)(a.Tree(t.Context(), g)); len(got) != n+2 || got[1].Depth != 1 || got[2].Depth != 2 || got[2].Inviter != x.Account {
		t.Fatalf("%d in the tree", len(got))
	}
	rekeys := func() (n int) {
		if err := a.room(g).step(t.Context(), func(*commit) error { n = len(a.room(g).g.Epochs()); return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := rekeys()

	// Only who was confirmed goes.
	task := must[api.Task](t)(a.RemoveBranch(t.Context(), g, x.Account, api.BranchRemove{Accounts: []wire.AccountID{b.Removes[1].Account, b.Removes[2].Account}}))
	if task = waitTask(t, a, task.ID); task.State != api.TaskDone || task.Progress.Done != 2 {
		t.Fatalf("%+v", task)
	}
	task = must[api.Task](t)(a.RemoveBranch(t.Context(), g, x.Account, api.BranchRemove{Reason: "adverts"}))
	if task = waitTask(t, a, task.ID); task.State != api.TaskDone || task.Stage != api.StageRemoved || task.Progress.Done != n-1 {
		t.Fatalf("%+v", task)
	}
	if got := rekeys() - before; got != 2 {
		t.Errorf("%d new epochs for two removals of a branch", got)
	}
	if got := must[api.Group](t)(a.Group(t.Context(), g)); got.Members != 1 || got.Epoch == 0 || got.LastMessage != nil {
		t.Errorf("%d members, epoch %d, last message %v", got.Members, got.Epoch, got.LastMessage)
	}
	page := must[api.MessagePage](t)(a.Messages(t.Context(), g, api.Page{}))
	if len(page.Items) != 1 || page.Items[0].Kind != api.MessageModeration || page.Items[0].Text != "adverts" || len(page.Items[0].Acts) != api.MaxActs || page.Items[0].ActsCount != n-1 {
		t.Fatalf("%d lines", len(page.Items))
	}
	audit := must[api.Audit](t)(a.Audit(t.Context(), g, time.Time{}))
	told := 0
	for _, act := range audit.Acts {
		if act.Kind == api.ActRemove && act.Reason == "adverts" && act.InForce {
			told++
		}
	}
	if told != n-1 || len(audit.Members) != n+2 {
		t.Errorf("%d removals with a reason, %d members in the audit", told, len(audit.Members))
	}
	for _, v := range a.room(g).view.Load().state.Invites() {
		if v.Live(a.nowMs()) {
			t.Errorf("an invite of %v lives", v.Inviter)
		}
	}
	if _, err := a.RemoveBranch(t.Context(), g, a.dev.account(), api.BranchRemove{}); code(err) != api.NotAllowed {
		t.Errorf("of oneself: %v", err)
	}
	task = must[api.Task](t)(a.RemoveBranch(t.Context(), g, x.Account, api.BranchRemove{}))
	if task = waitTask(t, a, task.ID); task.State != api.TaskFailed || task.Problem.Code != api.NotFound {
		t.Errorf("again: %+v", task)
	}
}

// A reason that is too long, or blank, stops the act before it is done.
func TestReasonsAreCheckedFirst(t *testing.T) {
	a := testNode(t, "Ann")
	g := must[api.Group](t)(a.CreateGroup(t.Context(), api.GroupCreate{Name: "Books"})).ID
	x := crowd(t, a, g, 1)
	long := string(make([]byte, groups.MaxReason+1))
	if _, err := a.RemoveMember(t.Context(), g, x.Account, long); code(err) != api.TooLarge {
		t.Errorf("too long: %v", err)
	}
	if _, err := a.PatchMember(t.Context(), g, x.Account, api.MemberPatch{Role: api.RoleAdmin, Reason: " \n"}); code(err) != api.BadRequest {
		t.Errorf("blank: %v", err)
	}
	name := "Films"
	if _, err := a.PatchGroup(t.Context(), g, api.GroupPatch{Name: &name, Reason: "films"}); code(err) != api.BadRequest {
		t.Errorf("for a name: %v", err)
	}
	if m := must[api.Member](t)(a.room(g).member(x.Account)); m.Status != api.MemberSeated || m.Role != api.RoleMember {
		t.Errorf("%+v", m)
	}
	m := must[api.Member](t)(a.RemoveMember(t.Context(), g, x.Account, "why not"))
	if m.Status != api.MemberRemoved {
		t.Errorf("%+v", m)
	}
}
