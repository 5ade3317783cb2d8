package nodetest_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"mutuals/node/nodetest"
)

var (
	size     = flag.Int("size", 100, "members of the large group that -soak plays")
	speakers = flag.Int("speakers", 20, "how many of a large group's members speak")
)

// loss is the share of all packets that never arrive, from when a large group
// has come together until its story is over.
const loss = 0.05

// A hundred come together and talk while packets are late and lost, are cut in half
// meanwhile, in which one is removed, and are then switched off and on, some in the
// moment in which they speak. Within 15 virtual seconds after there are links again,
// and after all are on again, everybody has everything, once, in one order.
func TestGroupOfAHundred(t *testing.T) {
	if testing.Short() || raced {
		t.Skip("takes a minute of processor time, and too many goroutines for the race detector")
	}
	nodetest.Play(t, options(t, max(*seed, 1)), func(c *nodetest.Cluster) {
		// Cut for no longer than it takes to notice that links are dead.
		crowd(c, storyOf{100, 10, 1, 5 * time.Second, 40 * time.Second, 20 * time.Second, 10})
	})
}

// The same with more members, who say more, for longer.
func TestLargeGroups(t *testing.T) {
	if !*soak {
		t.Skip("takes many minutes: -soak")
	}
	nodetest.Play(t, options(t, max(*seed, 1)), func(c *nodetest.Cluster) {
		crowd(c, storyOf{*size, *speakers, 1, 20 * time.Second, time.Minute, time.Minute, 25})
	})
}

// storyOf says what a large group goes through: of some members some speak, each
// some lines in each part of the story.
type storyOf struct {
	size, speakers, lines int
	talk, cut, churn      time.Duration
	restarts              int
}

func crowd(c *nodetest.Cluster, s storyOf) {
	start := time.Now()
	assemble(c, s.size)
	c.Logf("%d gathered in %v", s.size, time.Since(start))
	c.Net.Lose(loss)
	some := pick(c, s.speakers)
	c.Chatter(some, s.lines, s.talk)
	c.Logf("talked; the same for all after %v", c.Settle(healing))
	cutAndHeal(c, "removal", some, s.lines, s.cut)
	churn(c, s.restarts, some, s.lines, s.churn)
	sum := c.Tally()
	if sum.Lost > 0 || sum.Doubled > 0 {
		c.T.Error("something was lost, or came twice")
	}
	c.Logf("%d members, %v, order keys equal: %v", s.size, sum, !c.T.Failed())
}

// batch is how many come at once where many come together: they share epochs, which
// each newcomer else gets one of.
const batch = 8

// introduction is how long newcomers have their nodes on at least before they leave
// again: within it, they tell their names and make a key.
const introduction = 3 * time.Second

// settling is how long a group of which all were switched on at once takes until
// nobody says more than it does for hours.
const settling = 10 * time.Second

// assemble makes a group of n who come in a few at a time, each while nobody of the
// others is there but the founder, stay until their node says that it is safe to
// close, come back one by one to hear who came after them, and are then all switched
// on. That is a short cut in when things happen: each has a seat by the same passcode,
// dialogue and admission as anybody, and everything it knows from the founder. With
// everybody on from the first, each join would be work for all; and if they met
// before they had heard, each would ask a dozen for what all of them lack. The
// addresses of those it has not met each finds in its home.
func assemble(c *nodetest.Cluster, n int) {
	founder := c.Add("p0")
	c.Found(founder, n)
	var code string
	for left := 0; len(c.People) < n; {
		if left < batch {
			code, left = c.Invite(founder), 100
		}
		var some []*nodetest.Person
		for range min(batch, n-len(c.People)) {
			some = append(some, c.Add(fmt.Sprintf("p%d", len(c.People))))
		}
		c.JoinAll(some, code)
		left -= len(some)
		time.Sleep(introduction)
		for _, p := range some {
			c.Handed(p)
		}
		for _, p := range some {
			c.Stop(p)
		}
	}
	c.Logf("all have joined")
	for _, p := range c.People[1:] {
		c.Start(p)
		c.Caught(p, founder)
		c.Stop(p)
	}
	c.Stop(founder)
	c.Acquaint(founder)
	c.Logf("all have heard of each other")
	for _, p := range c.People {
		c.Start(p)
	}
	time.Sleep(settling)
	c.Logf("all are on; the same for all after %v", c.Settle(2*time.Minute))
}

// pick draws n of the members, or fewer if there are not as many.
func pick(c *nodetest.Cluster, n int) []*nodetest.Person {
	people := c.Members()
	c.Rand.Shuffle(len(people), func(i, j int) { people[i], people[j] = people[j], people[i] })
	return people[:min(n, len(people))]
}
