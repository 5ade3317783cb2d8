package nodetest_test

import (
	"testing"
	"time"

	"mutuals/node/api"
	"mutuals/node/nodetest"
)

// Who was removed keeps what it had heard: after a restart, and after it was
// refused when it tried to come back.
func TestRemovedKeepsHistory(t *testing.T) {
	nodetest.Play(t, options(t, max(*seed, 6)), func(c *nodetest.Cluster) {
		gather(c, 4)
		for _, p := range c.People {
			c.Say(p)
		}
		c.Settle(healing)
		founder, p := c.People[0], c.People[2]
		code := c.Invite(founder)
		c.Remove(founder, p)
		keeps := func(when string) {
			t.Helper()
			if _, ok := c.Within(10*time.Second, func() bool {
				g, err := p.Node.Group(c.T.Context(), c.Group)
				return err == nil && g.Status == api.MemberRemoved
			}); !ok {
				_, err := p.Node.Group(c.T.Context(), c.Group)
				t.Errorf("%s: the removed does not see its removal: %v", when, err)
			}
			page, err := p.Node.Messages(c.T.Context(), c.Group, api.Page{})
			if err != nil || len(page.Items) != len(c.Said) {
				t.Errorf("%s: the removed has %d of %d lines: %v", when, len(page.Items), len(c.Said), err)
			}
		}
		keeps("at once")
		c.Stop(p)
		c.Start(p)
		keeps("after a restart")
		task, err := p.Node.JoinByPasscode(c.T.Context(), code)
		if err != nil {
			t.Fatal(err)
		}
		c.Within(time.Minute, func() bool {
			task, err = p.Node.Task(c.T.Context(), task.ID)
			return err != nil || task.Over()
		})
		if task.Problem == nil || task.Problem.Code != api.Removed {
			t.Errorf("joining again: %+v, %v", task, err)
		}
		keeps("after a refused join")
	})
}
