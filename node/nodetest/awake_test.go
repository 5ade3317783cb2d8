package nodetest_test

import (
	"testing"
	"time"

	"mutuals/node/nodetest"
)

// findWithin is how soon the one member who is awake is found by one who comes back: who
// gives no answer is waited for no longer than a second alone.
const findWithin = 4 * time.Second

// Of a group larger than anybody dials at once all sleep but one, where a dial has no
// answer. Others come back, one after the other, and find that one soon, whoever of them
// they would dial first.
func TestOneOfManyIsAwake(t *testing.T) {
	nodetest.Play(t, options(t, max(*seed, 8)), func(c *nodetest.Cluster) {
		gather(c, 30)
		c.Settle(healing)
		ann, rest := c.People[0], c.People[1:]
		for _, p := range c.People {
			c.Stop(p)
		}
		c.Start(ann)
		for _, bo := range rest[:6] {
			time.Sleep(20 * time.Minute) // until Ann dials rarely
			c.Start(bo)
			took, ok := c.Within(time.Minute, func() bool { return c.Linked([]*nodetest.Person{bo}, []*nodetest.Person{ann}) })
			if !ok || took > findWithin {
				t.Errorf("%s found who is awake after %v, more than %v", bo.Name, took, findWithin)
			}
			c.Logf("%s found who is awake after %v", bo.Name, took)
			c.Stop(bo)
		}
	})
}
