package nodetest_test

import (
	"testing"
	"time"

	"mutuals/node/api"
	"mutuals/node/nodetest"
)

const day = 24 * time.Hour

// A group lives on after its owner's home is deleted: once the owner has been
// silent for the days of the policy, the admins elect another, who changes the
// rules like any owner. Three days later the others have settled it.
func TestSuccession(t *testing.T) {
	nodetest.Play(t, options(t, max(*seed, 11)), func(c *nodetest.Cluster) {
		gather(c, 5)
		owner, bo, cy, di, ed := c.People[0], c.People[1], c.People[2], c.People[3], c.People[4]
		days := 30
		if _, err := owner.Node.PatchGroup(c.T.Context(), c.Group, api.GroupPatch{Policy: &api.PolicyPatch{SucceedDays: &days}}); err != nil {
			t.Fatal(err)
		}
		for _, p := range []*nodetest.Person{bo, cy, di} {
			c.Promote(owner, p)
		}
		c.Say(owner)
		c.Settle(healing)
		c.Lose(owner)

		if _, err := bo.Node.Succeed(c.T.Context(), c.Group, bo.Account); api.CodeOf(err) != api.NoSuccession {
			t.Errorf("electing at once: %v", err)
		}
		c.Sleep(time.Duration(days)*day - time.Hour)
		if _, err := bo.Node.Succeed(c.T.Context(), c.Group, bo.Account); api.CodeOf(err) != api.NoSuccession {
			t.Errorf("electing an hour too soon: %v", err)
		}
		c.Sleep(2 * time.Hour)
		if _, err := ed.Node.Succeed(c.T.Context(), c.Group, ed.Account); api.CodeOf(err) != api.RoleNeeded {
			t.Errorf("electing as a plain member: %v", err)
		}
		task, err := bo.Node.Succeed(c.T.Context(), c.Group, bo.Account)
		if err != nil {
			t.Fatal(err)
		}
		if task.Stage != api.StageProposed || task.Progress.Done != 1 || task.Progress.Total != 2 {
			t.Errorf("a proposal to two other admins: %+v", task)
		}
		// The proposal outlives the one who made it being switched off.
		c.Stop(bo)
		c.Start(bo)
		c.Yes(di, api.RequestSuccession, bo)
		took, ok := c.Within(time.Minute, func() bool { return c.Role(ed, bo) == api.RoleOwner })
		if !ok {
			task, err = bo.Node.Task(c.T.Context(), task.ID)
			t.Fatalf("no new owner after %v: task %+v, %v", took, task, err)
		}
		if task, err = bo.Node.Task(c.T.Context(), task.ID); err != nil || task.State != api.TaskDone || task.Stage != api.StageElected {
			t.Errorf("the task of the one who proposed: %+v, %v", task, err)
		}
		if _, ok := c.Within(time.Minute, func() bool {
			left, err := cy.Node.Requests(c.T.Context())
			return err == nil && len(left) == 0
		}); !ok {
			t.Error("who did not answer is still asked")
		}
		c.Cap(bo, 7)
		for _, p := range []*nodetest.Person{bo, cy, di, ed} {
			c.Say(p)
		}
		c.Settle(healing)

		group := func(p *nodetest.Person) api.Group {
			g, err := p.Node.Group(c.T.Context(), c.Group)
			if err != nil {
				t.Fatal(err)
			}
			return g
		}
		if g := group(ed); g.Cap != 7 || g.Ownership.Owner != bo.Account || g.Ownership.By != api.OwnedBySucceed || g.Ownership.Settled {
			t.Errorf("after the election: cap %d, %+v", g.Cap, g.Ownership)
		}
		c.Sleep(3*day + time.Minute)
		if took, ok := c.Within(10*time.Minute, func() bool { return group(ed).Ownership.Settled && group(bo).Ownership.Settled }); !ok {
			t.Errorf("three days and %v later the election is not settled", took)
		}
		c.Settle(healing)
	})
}

// An owner who is there writes a sign of life in time, so that nobody takes it
// for gone; and one that comes back while the admins vote stays.
func TestSignOfLife(t *testing.T) {
	nodetest.Play(t, options(t, max(*seed, 12)), func(c *nodetest.Cluster) {
		gather(c, 4)
		owner, bo, cy, di := c.People[0], c.People[1], c.People[2], c.People[3]
		days := 9
		if _, err := owner.Node.PatchGroup(c.T.Context(), c.Group, api.GroupPatch{Policy: &api.PolicyPatch{SucceedDays: &days}}); err != nil {
			t.Fatal(err)
		}
		c.Promote(owner, bo)
		c.Promote(owner, cy)
		c.Settle(healing)
		for range 4 {
			c.Sleep(4 * day)
			before, _ := di.Node.Group(c.T.Context(), c.Group)
			if _, ok := c.Within(10*time.Minute, func() bool {
				g, err := di.Node.Group(c.T.Context(), c.Group)
				return err == nil && g.Ownership.OpenAt.After(before.Ownership.OpenAt)
			}); !ok {
				t.Fatal("no sign of life of an owner who is there")
			}
		}
		c.Stop(owner)
		c.Sleep(10 * day)
		task, err := bo.Node.Succeed(c.T.Context(), c.Group, bo.Account)
		if err != nil {
			t.Fatal(err)
		}
		asked := func() bool {
			list, err := cy.Node.Requests(c.T.Context())
			return err == nil && len(list) == 1
		}
		if _, ok := c.Within(time.Minute, asked); !ok {
			t.Fatal("the other admin is not asked")
		}
		c.Start(owner)
		if _, ok := c.Within(10*time.Minute, func() bool {
			g, err := cy.Node.Group(c.T.Context(), c.Group)
			return err == nil && g.Ownership.OpenAt.After(time.Now())
		}); !ok {
			t.Fatal("no sign of life of an owner who is back")
		}
		list, _ := cy.Node.Requests(c.T.Context())
		if _, err := cy.Node.AnswerRequest(c.T.Context(), list[0].ID, true); api.CodeOf(err) != api.NoSuccession {
			t.Errorf("voting against an owner who is back: %v", err)
		}
		if c.Role(di, owner) != api.RoleOwner {
			t.Error("the owner who came back is none")
		}
		if task, err = bo.Node.CancelTask(c.T.Context(), task.ID); err != nil || task.State != api.TaskCancelled {
			t.Errorf("taking the proposal back: %+v, %v", task, err)
		}
		if _, ok := c.Within(time.Minute, func() bool { return !asked() }); !ok {
			t.Error("a proposal taken back still asks")
		}
	})
}
