package nodetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// patience is how much virtual time a single act may take before a story is
// given up.
const patience = time.Minute

// Found has somebody make the group.
func (c *Cluster) Found(p *Person, limit int) {
	c.T.Helper()
	g, err := p.Node.CreateGroup(c.ctx(), api.GroupCreate{Name: "simulated", Cap: &limit})
	if err != nil {
		c.T.Fatalf("%s: making a group: %v", p.Name, err)
	}
	c.Group = g.ID
}

// Invite has a member make a passcode that many may use.
func (c *Cluster) Invite(p *Person) string {
	c.T.Helper()
	uses := 100
	inv, err := p.Node.CreateInvite(c.ctx(), c.Group, api.InviteCreate{Uses: &uses})
	if err != nil {
		c.T.Fatalf("%s: inviting: %v", p.Name, err)
	}
	return inv.Passcode
}

// Join has somebody enter by a passcode, and waits for the seat.
func (c *Cluster) Join(p *Person, passcode string) {
	c.T.Helper()
	task, err := p.Node.JoinByPasscode(c.ctx(), passcode)
	if err != nil {
		c.T.Fatalf("%s: joining: %v", p.Name, err)
	}
	c.await(p, task)
}

// joinsAtOnce is how many a sponsor lets in by one passcode at the same time.
const joinsAtOnce = 4

// JoinAll has several enter by a passcode, as many at once as its maker takes, and
// waits for their seats.
func (c *Cluster) JoinAll(people []*Person, passcode string) {
	c.T.Helper()
	for some := range slices.Chunk(people, joinsAtOnce) {
		tasks := make([]api.Task, len(some))
		for i, p := range some {
			var err error
			if tasks[i], err = p.Node.JoinByPasscode(c.ctx(), passcode); err != nil {
				c.T.Fatalf("%s: joining: %v", p.Name, err)
			}
		}
		for i, p := range some {
			c.await(p, tasks[i])
		}
	}
}

// Pull has a member offer a seat to somebody, who becomes a mutual first and
// says yes, and waits for the seat.
func (c *Cluster) Pull(by, p *Person) {
	c.T.Helper()
	c.mutuals(by, p)
	task, err := by.Node.AddMember(c.ctx(), c.Group, p.Account)
	if err != nil {
		c.T.Fatalf("%s: pulling %s in: %v", by.Name, p.Name, err)
	}
	c.yes(p, api.RequestGroup, by)
	c.await(by, task)
	if _, ok := c.Within(patience, func() bool { return c.seated(p) }); !ok {
		c.T.Fatalf("%s was pulled in and never saw its seat", p.Name)
	}
}

// mutuals has one follow another, who follows back.
func (c *Cluster) mutuals(by, p *Person) {
	c.T.Helper()
	card, err := p.Node.Card(c.ctx())
	if err != nil {
		c.T.Fatal(err)
	}
	if _, err := by.Node.Follow(c.ctx(), p.Account, card.Text); err != nil {
		c.T.Fatalf("%s: following %s: %v", by.Name, p.Name, err)
	}
	c.yes(p, api.RequestFollow, by)
	if _, ok := c.Within(patience, func() bool {
		who, err := by.Node.Person(c.ctx(), p.Account)
		return err == nil && who.Mutual
	}); !ok {
		c.T.Fatalf("%s and %s never became mutuals", by.Name, p.Name)
	}
}

// Appoint has the owner make a node a harbor of the group, after the two have
// become mutuals.
func (c *Cluster) Appoint(owner, harbor *Person, rights ...string) {
	c.T.Helper()
	c.mutuals(owner, harbor)
	if _, err := owner.Node.AddHarbor(c.ctx(), api.HarborCreate{Group: c.Group, Who: harbor.Account.String(), Rights: rights}); err != nil {
		c.T.Fatalf("%s: appointing %s: %v", owner.Name, harbor.Name, err)
	}
	c.Harbored(owner)
}

// Harbored waits until a harbor has said that it has all a member has, wraps too.
func (c *Cluster) Harbored(p *Person) {
	c.T.Helper()
	// What a node said while a link came up may be lost with a stream; it is
	// asked again after a minute.
	if took, ok := c.Within(2*patience, func() bool {
		list, err := p.Node.Harbors(c.ctx(), c.Group)
		return err == nil && slices.ContainsFunc(list, func(h api.Harbor) bool { return h.Complete })
	}); !ok {
		c.T.Fatalf("no harbor has all that %s has after %v", p.Name, took)
	}
}

// yes has somebody accept what another asks.
func (c *Cluster) yes(p *Person, kind string, from *Person) {
	c.T.Helper()
	_, ok := c.Within(patience, func() bool {
		reqs, err := p.Node.Requests(c.ctx())
		if err != nil {
			c.T.Fatal(err)
		}
		for _, r := range reqs {
			if r.Kind == kind && r.From == from.Account {
				if _, err := p.Node.AnswerRequest(c.ctx(), r.ID, true); err != nil {
					c.T.Fatalf("%s: saying yes to %s: %v", p.Name, from.Name, err)
				}
				return true
			}
		}
		return false
	})
	if !ok {
		c.T.Fatalf("%s never heard the %s request of %s", p.Name, kind, from.Name)
	}
}

func (c *Cluster) await(p *Person, task api.Task) {
	c.T.Helper()
	_, ok := c.Within(patience, func() bool {
		var err error
		if task, err = p.Node.Task(c.ctx(), task.ID); err != nil {
			c.T.Fatal(err)
		}
		return task.Over()
	})
	if !ok || task.Stage != api.StageJoined {
		c.T.Fatalf("%s: %s ended at %s: %v, tried %+v", p.Name, task.Kind, task.Stage, task.Problem, task.Tried)
	}
}

// Handed waits until somebody's node says that it may be switched off: what it
// wrote is on another disk too.
func (c *Cluster) Handed(p *Person) {
	c.T.Helper()
	if took, ok := c.Within(patience, func() bool {
		g, err := p.Node.Group(c.ctx(), c.Group)
		return err == nil && g.SafeToClose
	}); !ok {
		c.T.Fatalf("%s may not be switched off after %v", p.Name, took)
	}
}

func (c *Cluster) seated(p *Person) bool {
	g, err := p.Node.Group(c.ctx(), c.Group)
	return err == nil && g.Status == api.MemberSeated
}

// Say has somebody say 300 bytes that nobody said before, and returns them. Who
// was removed may find that out by being refused: then nothing was said.
func (c *Cluster) Say(p *Person) string {
	c.T.Helper()
	text := fmt.Sprintf("%s, line %d ", p.Name, len(c.Said))
	text += strings.Repeat("-", 300-len(text))
	_, err := p.Node.Send(c.ctx(), c.Group, api.MessageCreate{Text: text})
	switch {
	case err == nil:
		c.Said[text] = p
		return text
	case !p.Out && !p.Doubted:
		c.T.Fatalf("%s: saying something: %v", p.Name, err)
	}
	return ""
}

// Heard tells whether somebody has everything that was said.
func (c *Cluster) Heard(p *Person) bool {
	c.T.Helper()
	has := map[string]bool{}
	for before := ""; ; {
		page, err := p.Node.Messages(c.ctx(), c.Group, api.Page{Limit: 200, Before: before})
		if err != nil {
			c.T.Fatal(err)
		}
		for _, m := range page.Items {
			has[m.Text] = true
		}
		if before = page.Before; before == "" {
			break
		}
	}
	for text := range c.Said {
		if !has[text] {
			return false
		}
	}
	return true
}

// Chatter has each of some people say lines at random moments within d, and
// returns when d is over. do is called at random moments between them.
func (c *Cluster) Chatter(people []*Person, lines int, d time.Duration, do ...func()) {
	c.T.Helper()
	type act struct {
		at time.Duration
		do func()
	}
	var acts []act
	for _, p := range people {
		for range lines {
			acts = append(acts, act{time.Duration(c.Rand.Int64N(int64(d))), func() {
				if p.Node != nil {
					c.Say(p)
				}
			}})
		}
	}
	for _, fn := range do {
		acts = append(acts, act{time.Duration(c.Rand.Int64N(int64(d))), fn})
	}
	// In the order of time; sorted stably by insertion, the lists are short.
	for i := range acts {
		for j := i; j > 0 && acts[j].at < acts[j-1].at; j-- {
			acts[j], acts[j-1] = acts[j-1], acts[j]
		}
	}
	start := time.Now()
	for _, a := range acts {
		time.Sleep(time.Until(start.Add(a.at)))
		a.do()
	}
	time.Sleep(time.Until(start.Add(d)))
}

// Remove has a member remove another.
func (c *Cluster) Remove(by, p *Person) {
	c.T.Helper()
	if _, err := by.Node.RemoveMember(c.ctx(), c.Group, p.Account, ""); err != nil {
		c.T.Fatalf("%s: removing %s: %v", by.Name, p.Name, err)
	}
	p.Out = true
}

// Leave has a member give its seat up.
func (c *Cluster) Leave(p *Person) {
	c.T.Helper()
	if _, err := p.Node.LeaveGroup(c.ctx(), c.Group); err != nil {
		c.T.Fatalf("%s: leaving: %v", p.Name, err)
	}
	p.Out = true
}

// Cap has an admin change the number of seats.
func (c *Cluster) Cap(by *Person, limit int) {
	c.T.Helper()
	if _, err := by.Node.PatchGroup(c.ctx(), c.Group, api.GroupPatch{Cap: &limit}); err != nil {
		c.T.Fatalf("%s: changing the cap: %v", by.Name, err)
	}
}

// Role is somebody's rank as a member sees it; "" if it has no seat there.
func (c *Cluster) Role(by, p *Person) string {
	c.T.Helper()
	members, err := by.Node.Members(c.ctx(), c.Group)
	if err != nil {
		c.T.Fatal(err)
	}
	for _, m := range members {
		if m.Account == p.Account && m.Status == api.MemberSeated {
			return m.Role
		}
	}
	return ""
}

// Promote has the owner make somebody an admin.
func (c *Cluster) Promote(by, p *Person) {
	c.T.Helper()
	if _, err := by.Node.PatchMember(c.ctx(), c.Group, p.Account, api.MemberPatch{Role: api.RoleAdmin}); err != nil {
		c.T.Fatalf("%s: making %s an admin: %v", by.Name, p.Name, err)
	}
}

// Yes has somebody accept what another asks of it, once it has come.
func (c *Cluster) Yes(p *Person, kind string, from *Person) {
	c.T.Helper()
	c.yes(p, kind, from)
}

// nameOf names the person of an account, for messages.
func (c *Cluster) nameOf(a wire.AccountID) string {
	for _, p := range c.People {
		if p.Account == a {
			return p.Name
		}
	}
	return a.Short()
}
