package nodetest_test

import (
	"testing"
	"time"

	"mutuals/node/api"
	"mutuals/node/nodetest"
)

// Two members are never there at the same time: who speaks is gone for good, as
// far as who listens can tell, before that one comes. A harbor is in between.
// Every word arrives, each under the key its author saw last, with the group's
// key replaced now and then; the last speaker's home is deleted.
func TestHarborInBetween(t *testing.T) {
	rounds := 20
	if *soak {
		rounds = 100
	}
	nodetest.Play(t, options(t, max(*seed, 7)), func(c *nodetest.Cluster) {
		a, b := c.Add("ann"), c.Add("bo")
		harbor := c.Harbor("hana")
		c.Found(a, 4)
		c.Join(b, c.Invite(a))
		c.Appoint(a, harbor, api.RightStore)
		c.Settle(healing)
		c.Stop(b)
		speaker, listener := a, b
		arrived := 0
		for range rounds {
			if c.Rand.IntN(4) == 0 && speaker == a {
				c.Cap(a, 3+c.Rand.IntN(5))
			}
			if c.Rand.IntN(4) == 0 {
				c.Sleep(8 * 24 * time.Hour) // the key is worn: another is made
			}
			c.Say(speaker)
			c.Harbored(speaker)
			c.Stop(speaker)
			c.Start(listener)
			took, ok := c.Within(2*time.Minute, func() bool { return c.Heard(listener) })
			if !ok {
				t.Fatalf("after %d of %d words: nothing came in %v", arrived, rounds, took)
			}
			arrived++
			speaker, listener = listener, speaker
		}
		c.Say(speaker)
		c.Harbored(speaker)
		c.Lose(speaker)
		c.Start(listener)
		if took, ok := c.Within(2*time.Minute, func() bool { return c.Heard(listener) }); !ok {
			t.Fatalf("the words of somebody whose disk is gone: not here after %v", took)
		}
		c.Logf("%d of %d words arrived", arrived, rounds)
	})
}
