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

// Many come together and talk while packets are lost, are cut in half, and one
// is removed meanwhile; then nodes are switched off and on all the time. Within
// 15 virtual seconds after there are links again, and after all are on again,
// everybody has everything, once, in one order. What it takes grows with more than
// the square of the members: to gather 40 takes 18 s of processor time, 70 82, 100
// 169 (and 443 until the story is over); so make test plays twenty (TestGroupOfTwenty), which take 25.
func TestLargeGroups(t *testing.T) {
	if !*soak {
		t.Skip("takes many minutes: -soak")
	}
	nodetest.Play(t, options(t, max(*seed, 1)), func(c *nodetest.Cluster) { crowd(c, *size) })
}

// introduction is how long a newcomer has its node on at least before it leaves
// again: within it, it tells its name and makes a key.
const introduction = 3 * time.Second

// assemble makes a group of n who come in one at a time, each while only the
// founder is there, stay until their node says that it is safe to close, and are
// then all switched on. That is a short cut in when things happen, in nothing
// else: each has a seat by the same passcode, dialogue and admission as anybody.
// With everybody on from the first, each join would be work for all; and had they
// left before they said their names, all would say them at once, to all, when they
// come back. So when they do, each catches up with those that came after it.
func assemble(c *nodetest.Cluster, n int) {
	founder := c.Add("p0")
	c.Found(founder, n)
	var code string
	for i := range n - 1 {
		if i%100 == 0 {
			code = c.Invite(founder)
		}
		p := c.Add(fmt.Sprintf("p%d", i+1))
		c.Join(p, code)
		time.Sleep(introduction)
		c.Handed(p)
		c.Stop(p)
	}
	c.Logf("all have joined")
	for _, p := range c.People[1:] {
		c.Start(p)
	}
	c.Logf("all are on; the same for all after %v", c.Settle(2*time.Minute))
}

func crowd(c *nodetest.Cluster, size int) {
	start := time.Now()
	assemble(c, size)
	c.Logf("%d gathered in %v", size, time.Since(start))
	c.Net.Lose(loss)
	some := pick(c, *speakers)
	c.Chatter(some, 2, 20*time.Second)
	c.Logf("talked; the same for all after %v", c.Settle(healing))
	cutAndHeal(c, "removal", some)
	churn(c, size/4, some)
	c.Logf("%d members, %v, order keys equal: %v", size, c.Tally(), !c.T.Failed())
}

// pick draws n of the members, or fewer if there are not as many.
func pick(c *nodetest.Cluster, n int) []*nodetest.Person {
	people := c.Members()
	c.Rand.Shuffle(len(people), func(i, j int) { people[i], people[j] = people[j], people[i] })
	return people[:min(n, len(people))]
}
