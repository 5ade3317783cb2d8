package nodetest_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"mutuals/node/nodetest"
)

// A hundred, and as many as a group may have, come together, talk while packets
// are lost, are cut in half, and one is removed meanwhile. Within 15 virtual
// seconds after there are links again everybody has everything, once, in one
// order. make test plays twenty (TestGroupOfTwenty): these take minutes.
func TestLargeGroups(t *testing.T) {
	if !*soak {
		t.Skip("takes minutes: -soak")
	}
	for _, size := range []int{100, 500} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			nodetest.Play(t, options(t, max(*seed, 1)), func(c *nodetest.Cluster) { crowd(c, size) })
		})
	}
}

// assemble makes a group of n who come in one at a time, while only the founder
// is there, and are then all switched on: with everybody on from the first, each
// join would be work for all.
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
	c.Net.Lose(0.02)
	c.Chatter(c.People, 2, 10*time.Second)
	c.Net.Lose(0)
	c.Logf("talked; the same for all after %v", c.Settle(healing))
	cutAndHeal(c, "removal")
	c.Logf("%v", c.Tally())
}
