package nodetest_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"mutuals/node/api"
	"mutuals/node/nodetest"
)

var (
	soak  = flag.Bool("soak", false, "play random stories until -soaktime is over")
	spent = flag.Duration("soaktime", 10*time.Minute, "how long -soak goes on, in wall time")
)

// TestSoak plays random stories: groups of several sizes that are cut into
// parts again and again, in each of which admins change the group, while nodes
// crash and packets are lost. A short run plays few small ones.
func TestSoak(t *testing.T) {
	first, count := uint64(101), uint64(2)
	if testing.Short() {
		count = 1
	}
	if *seed != 0 {
		first, count = *seed, 1
	}
	end := time.Now().Add(*spent)
	lines, stories := 0, 0
	for s := first; s < first+count || *soak && *seed == 0 && time.Now().Before(end); s++ {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			nodetest.Play(t, options(t, s), func(c *nodetest.Cluster) {
				story(c, *soak || *seed != 0)
				lines += len(c.Said)
			})
		})
		stories++
	}
	t.Logf("%d stories, %d lines", stories, lines)
}

// story is a random one.
func story(c *nodetest.Cluster, long bool) {
	size, rounds := 5+c.Rand.IntN(4), 2
	if long {
		size, rounds = 5+c.Rand.IntN(14), 4
	}
	gather(c, size)
	for _, p := range c.People[1:4] {
		c.Promote(c.People[0], p)
	}
	c.Settle(healing)
	for range rounds {
		switch c.Rand.IntN(6) {
		case 0:
			churn(c, 20, c.Members(), 3, time.Minute)
		case 1:
			c.Net.Lose(0.05)
			c.Chatter(c.Members(), 2, 20*time.Second, func() { meddle(c, c.Members()) })
			c.Net.Lose(0)
			c.Logf("lossy; settled after %v", c.Settle(healing))
		default:
			strife(c)
		}
		if c.T.Failed() {
			return
		}
	}
}

// strife cuts a group into two or three and has each part change it.
func strife(c *nodetest.Cluster) {
	people := c.Members()
	sides := make([][]*nodetest.Person, 2+c.Rand.IntN(2))
	for _, p := range people {
		i := c.Rand.IntN(len(sides))
		sides[i] = append(sides[i], p)
	}
	var cut [][]*nodetest.Person
	for _, side := range sides {
		if len(side) > 0 {
			cut = append(cut, side)
		}
	}
	c.Cut(cut...)
	var acts []func()
	for _, side := range cut {
		for range c.Rand.IntN(3) {
			acts = append(acts, func() { meddle(c, side) })
		}
	}
	d := time.Duration(1+c.Rand.IntN(90)) * time.Second
	c.Chatter(people, 2, d, acts...)
	c.Cut()
	healed := time.Now()
	if len(cut) > 1 {
		c.Within(2*time.Minute, func() bool { return c.Linked(cut[0], cut[1]) })
	}
	linked := time.Since(healed)
	c.Logf("%d parts for %v, linked again after %v, settled %v later", len(cut), d, linked, c.Settle(healing))
}

// meddle has somebody of a part change the group in some way that somebody of
// it may.
func meddle(c *nodetest.Cluster, side []*nodetest.Person) {
	founder := c.People[0]
	var here []*nodetest.Person
	var ranked *nodetest.Person // some admin or the owner, of those here
	for _, p := range side {
		if p.Node == nil || p.Out {
			continue
		}
		g, err := p.Node.Group(c.T.Context(), c.Group)
		if err != nil {
			c.T.Fatal(err)
		}
		if g.Status != api.MemberSeated {
			continue
		}
		here = append(here, p)
		if g.Role != api.RoleMember && (ranked == nil || c.Rand.IntN(2) == 0) {
			ranked = p
		}
	}
	if len(here) < 2 {
		return
	}
	p := here[c.Rand.IntN(len(here))]
	switch c.Rand.IntN(6) {
	case 0:
		late := c.AddNear(p, fmt.Sprintf("late%d", len(c.People)))
		late.Doubted = true
		c.Logf("%s lets %s in", p.Name, late.Name)
		c.Join(late, c.Invite(p))
		c.Say(late)
	case 1, 2:
		switch {
		case p == founder || p == ranked:
		case ranked == founder:
			c.Logf("%s removes %s", ranked.Name, p.Name)
			c.Remove(ranked, p)
		case ranked != nil && c.Role(ranked, p) == api.RoleMember:
			// The admin may have lost its seat meanwhile where it cannot see
			// it: then this does not count.
			c.Logf("admin %s removes %s", ranked.Name, p.Name)
			c.Remove(ranked, p)
			p.Out, p.Doubted = false, true
		}
	case 3:
		if p != founder && len(c.Members()) > 4 && !p.Doubted {
			c.Logf("%s leaves", p.Name)
			c.Leave(p)
		}
	case 4:
		if here[0] == founder && p != founder && c.Role(founder, p) == api.RoleMember {
			c.Logf("%s is made an admin", p.Name)
			c.Promote(founder, p)
		}
	case 5:
		if here[0] == founder {
			c.Cap(founder, 40+c.Rand.IntN(40))
		}
	}
}
