package nodetest_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"mutuals/node/mesh/meshtest"
	"mutuals/node/nodetest"
)

var seed = flag.Uint64("seed", 0, "replay this seed only")

// members is the size of the group that the tests play: large enough that
// nobody is linked with everybody.
const members = 20

// healing is how soon after a partition all must be the same again.
const healing = 15 * time.Second

// options are those of a seed, with the nodes' logs in a file on demand.
func options(t *testing.T, seed uint64) nodetest.Options {
	o := nodetest.Options{Seed: seed, Link: meshtest.Link{Jitter: 30 * time.Millisecond}}
	if path := os.Getenv("MUTUALS_TEST_LOG"); path != "" {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		o.Log = f
	}
	return o
}

// gather makes a group of n: the founder's and a member's passcodes bring
// most in, offers some.
func gather(c *nodetest.Cluster, n int) {
	founder := c.Add("p0")
	c.Found(founder, n+10)
	codes := []string{c.Invite(founder)}
	for i := 1; i < n; i++ {
		p := c.Add(fmt.Sprintf("p%d", i))
		if c.Rand.IntN(5) == 0 {
			c.Pull(c.People[c.Rand.IntN(i)], p)
		} else {
			c.Join(p, codes[c.Rand.IntN(len(codes))])
		}
		if i%5 == 0 {
			codes = append(codes, c.Invite(p))
		}
	}
}

func TestGroupOfTwenty(t *testing.T) {
	nodetest.Play(t, options(t, *seed), func(c *nodetest.Cluster) {
		start := time.Now()
		gather(c, members)
		c.Logf("%d gathered in %v", members, time.Since(start))
		c.Logf("settled %v later", c.Settle(healing))
		c.Chatter(c.People, 3, 10*time.Second)
		c.Logf("talked; settled after %v", c.Settle(healing))
	})
}
