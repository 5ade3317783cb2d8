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

var seed = flag.Uint64("seed", 0, "replay the story of this seed")

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

// Twenty come together by passcodes and offers and talk. Then the group is cut
// in half for a minute: both sides talk, and on one of them the cap is changed,
// or somebody is removed, or admitted. Within 15 virtual seconds after there are
// links again, all have everything, once and in the same order, and agree on
// the group.
func TestGroupOfTwenty(t *testing.T) {
	nodetest.Play(t, options(t, max(*seed, 1)), func(c *nodetest.Cluster) {
		start := time.Now()
		gather(c, members)
		c.Logf("%d gathered in %v", members, time.Since(start))
		c.Chatter(c.People, 3, 10*time.Second)
		c.Logf("talked; the same for all after %v", c.Settle(healing))
		troubles := []string{"removal", "cap", "admission"}
		if testing.Short() {
			troubles = troubles[:1]
		}
		for _, what := range troubles {
			cutAndHeal(c, what, c.Members(), 2, time.Minute)
		}
		c.Logf("%v", c.Tally())
	})
}

// change does to the group, among people who hear each other, what word says.
func change(c *nodetest.Cluster, what string, here []*nodetest.Person) {
	switch founder := c.People[0]; what {
	case "cap":
		c.Cap(founder, members+20)
	case "removal":
		p := c.People[1+c.Rand.IntN(len(c.People)-1)]
		c.Logf("%s removes %s", founder.Name, p.Name)
		c.Remove(founder, p)
	case "admission":
		by := here[c.Rand.IntN(len(here))]
		p := c.AddNear(by, fmt.Sprintf("late%d", len(c.People)))
		c.Join(p, c.Invite(by))
		c.Say(p)
	}
}

// cutAndHeal parts a group into halves for a while, longer than it takes to notice
// that a link is dead. Meanwhile speakers say some lines each and the founder's half
// changes the group; then it measures how that becomes whole again.
func cutAndHeal(c *nodetest.Cluster, what string, speakers []*nodetest.Person, lines int, d time.Duration) {
	people := c.Members()
	sides := [2][]*nodetest.Person{{people[0]}}
	for _, i := range c.Rand.Perm(len(people) - 1) {
		side := 0
		if len(sides[0]) >= len(people)/2 {
			side = 1
		}
		sides[side] = append(sides[side], people[i+1])
	}
	c.Cut(sides[0], sides[1])
	c.Chatter(speakers, lines, d, func() { change(c, what, sides[0]) })
	if c.Difference() == "" {
		c.T.Error("the cut cut nothing: both halves have everything")
	}
	c.Logf("%s while cut for %v, %d lines said", what, d, len(c.Said))
	c.Cut()
	healed := time.Now()
	if took, ok := c.Within(2*time.Minute, func() bool { return c.Linked(sides[0], sides[1]) }); !ok {
		c.T.Errorf("no link across after %v", took)
	}
	took := c.Settle(healing)
	c.Logf("links back after %v, the same for all %v later", time.Since(healed)-took, took)
}

// Nodes of a talking group are switched off and on again all the time, some
// right after they said something that nobody can have heard. When all are on
// again, everything said is everywhere.
func TestChurn(t *testing.T) {
	s := uint64(4)
	if *seed != 0 {
		s = *seed
	}
	nodetest.Play(t, options(t, s), func(c *nodetest.Cluster) {
		size, restarts := 8, 20
		if *soak {
			size, restarts = members, 60
		}
		gather(c, size)
		c.Settle(healing)
		churn(c, restarts, c.Members(), 3, time.Minute)
	})
}

// churn switches nodes off and on at random for a while, in which speakers say some
// lines each, and waits until all is well.
func churn(c *nodetest.Cluster, restarts int, speakers []*nodetest.Person, lines int, d time.Duration) {
	people := c.Members()
	acts := make([]func(), restarts)
	for i := range acts {
		acts[i] = func() {
			p := people[c.Rand.IntN(len(people))]
			switch {
			case p.Node == nil:
				c.Start(p)
			case c.Rand.IntN(3) == 0:
				c.Crash(p, func() { c.Say(p) })
				c.Start(p)
			default:
				c.Stop(p)
			}
		}
	}
	c.Chatter(speakers, lines, d, acts...)
	for _, p := range people {
		if p.Node == nil {
			c.Start(p)
		}
	}
	c.Logf("%d lines said, all are on again", len(c.Said))
	c.Logf("the same for all after %v", c.Settle(healing))
}

// Who says something that nobody hears, and loses its power in that moment,
// is heard once it is back, without saying more.
func TestCrash(t *testing.T) {
	nodetest.Play(t, options(t, max(*seed, 5)), func(c *nodetest.Cluster) {
		gather(c, 6)
		c.Settle(healing)
		time.Sleep(time.Minute)
		for range 3 {
			p := c.People[c.Rand.IntN(len(c.People))]
			c.Crash(p, func() { c.Say(p) })
			c.Start(p)
			c.Logf("the same for all after %v", c.Settle(healing))
		}
	})
}
