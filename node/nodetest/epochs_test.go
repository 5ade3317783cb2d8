package nodetest_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/nodetest"
)

// TestEpochsHold plays groups that are cut in two, in which members are removed
// by one half while the other knows nothing, and months pass in which KEM keys
// are replaced on both sides. Then it takes every home apart. Nothing that
// somebody said who knew of a removal is in an epoch the removed ever had; and
// once all hold the same, at most one round of rekeys later, every device with
// a seat can read the epoch all write under.
func TestEpochsHold(t *testing.T) {
	first, count := uint64(301), uint64(2)
	switch {
	case *seed != 0:
		first, count = *seed, 1
	case *soak:
		count = 40
	case testing.Short():
		count = 1
	}
	for s := first; s < first+count; s++ {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			nodetest.Play(t, options(t, s), func(c *nodetest.Cluster) { epochStory(c) })
		})
	}
}

// unread is one thing that somebody must not be able to read.
type unread struct {
	text string
	by   *nodetest.Person
}

func epochStory(c *nodetest.Cluster) {
	gather(c, 6)
	c.Promote(c.People[0], c.People[1])
	c.Settle(healing)
	var secret []unread
	// tell has everybody of some say something, and notes from whom it is kept.
	tell := func(side []*nodetest.Person) {
		for _, p := range side {
			if p.Node == nil || p.Out {
				continue
			}
			gone := removedFor(c, p)
			text := c.Say(p)
			for _, q := range c.People {
				if text != "" && slices.Contains(gone, q.Account) {
					secret = append(secret, unread{text, q})
				}
			}
		}
	}
	// copied is what somebody had on disk at any time: keys are erased in time,
	// and who means ill has a copy.
	copied := map[*nodetest.Person]map[[32]byte]bool{}
	steal := func(p *nodetest.Person) {
		c.Stop(p)
		if copied[p] == nil {
			copied[p] = map[[32]byte]bool{}
		}
		maps.Copy(copied[p], c.Disk(p).Epochs)
		c.Start(p)
	}
	stealAll := func() {
		for _, p := range c.People {
			if p.Out {
				steal(p)
			}
		}
	}
	for round := range 3 {
		if c.Rand.IntN(2) == 0 {
			c.Logf("a month passes for all")
			c.Sleep(32 * 24 * time.Hour)
			time.Sleep(10 * time.Second) // whoever is to has heard itself, and made the week's epoch
			c.Settle(time.Minute)
		}
		people := c.Members()
		c.Rand.Shuffle(len(people), func(i, j int) { people[i], people[j] = people[j], people[i] })
		at := 1 + c.Rand.IntN(len(people)-1)
		here, there := people[:at], people[at:]
		if !slices.Contains(here, c.People[0]) {
			here, there = there, here
		}
		c.Cut(here, there)
		tell(people)
		switch victim := people[c.Rand.IntN(len(people))]; {
		case victim == c.People[0] || len(people) < 4:
		default:
			c.Logf("round %d: %s is removed; does its half know: %v", round, victim.Name, slices.Contains(here, victim))
			steal(victim)
			c.Cut(here, there)
			c.Remove(c.People[0], victim)
		}
		tell(people)
		stealAll()
		if c.Rand.IntN(2) == 0 {
			c.Logf("a month passes apart")
			c.Sleep(32 * 24 * time.Hour)
			c.Cut(here, there)
			time.Sleep(10 * time.Second)
			tell(people)
		}
		c.Cut()
		c.Logf("settled after %v", c.Settle(time.Minute))
		tell(c.Members())
		c.Settle(healing)
		stealAll()
	}
	quiet := generation(c)
	time.Sleep(2 * time.Minute)
	c.Settle(healing)
	if now := generation(c); now > quiet+1 {
		c.T.Errorf("generation %d when all held the same, %d after a silence", quiet, now)
	}
	group, err := c.People[0].Node.Group(c.T.Context(), c.Group)
	if err != nil {
		c.T.Fatal(err)
	}
	members := c.Members()
	ids := idsOf(c)
	for _, p := range c.People {
		c.Stop(p)
	}
	truth := c.Disk(c.People[0])
	for _, p := range members {
		if !c.Disk(p).Epochs[truth.Rekeys[group.EpochID]] {
			c.T.Errorf("%s has a seat and cannot read generation %d", p.Name, group.Epoch)
		}
	}
	kept := 0
	for _, u := range secret {
		op := truth.Content[ids[u.text]]
		if op == nil {
			continue // its author was put out before anybody heard it
		}
		kept++
		if copied[u.by][op.EID] {
			c.T.Errorf("%s reads %.20q, said after its removal by somebody who knew of it", u.by.Name, u.text)
		}
	}
	c.Logf("%d people, generation %d, %d words kept from %d removed", len(c.People), group.Epoch, kept, len(copied))
}

// removedFor lists whom a member sees removed.
func removedFor(c *nodetest.Cluster, p *nodetest.Person) (gone []wire.AccountID) {
	members, err := p.Node.Members(c.T.Context(), c.Group)
	if err != nil {
		c.T.Fatal(err)
	}
	for _, m := range members {
		if m.Status == api.MemberRemoved {
			gone = append(gone, m.Account)
		}
	}
	return gone
}

// generation is that of the epoch all write under.
func generation(c *nodetest.Cluster) uint64 {
	g, err := c.People[0].Node.Group(c.T.Context(), c.Group)
	if err != nil {
		c.T.Fatal(err)
	}
	return g.Epoch
}

// idsOf finds what the founder has heard.
func idsOf(c *nodetest.Cluster) map[string]wire.OpID {
	out := map[string]wire.OpID{}
	page := api.Page{Limit: api.MaxPage}
	for {
		got, err := c.People[0].Node.Messages(c.T.Context(), c.Group, page)
		if err != nil {
			c.T.Fatal(err)
		}
		for _, m := range got.Items {
			out[m.Text] = m.ID
		}
		if got.Before == "" {
			return out
		}
		page.Before = got.Before
	}
}
