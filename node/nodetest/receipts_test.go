package nodetest_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"mutuals/node/api"
	"mutuals/node/nodetest"
)

// takes sets whether somebody takes read receipts.
func takes(c *nodetest.Cluster, p *nodetest.Person, on bool) {
	c.T.Helper()
	want := map[bool]string{true: api.On, false: api.Off}[on]
	got, err := p.Node.PatchSettings(c.T.Context(), api.SettingsPatch{Receipts: &want})
	if err != nil || got.Receipts != want {
		c.T.Fatalf("%s: receipts %s: %+v, %v", p.Name, want, got, err)
	}
}

// says has somebody say something, and returns it.
func says(c *nodetest.Cluster, p *nodetest.Person, text string) api.Message {
	c.T.Helper()
	m, err := p.Node.Send(c.T.Context(), c.Group, api.MessageCreate{Text: text})
	if err != nil {
		c.T.Fatal(err)
	}
	c.Said[text] = p
	return m
}

// reads has people read up to a message, once they have it.
func reads(c *nodetest.Cluster, m api.Message, people ...*nodetest.Person) {
	c.T.Helper()
	for _, p := range people {
		if _, ok := c.Within(time.Minute, func() bool {
			return p.Node.MarkRead(c.T.Context(), m.Group, m.ID.String()) == nil
		}); !ok {
			c.T.Fatalf("%s does not get %q", p.Name, m.Text)
		}
	}
}

// readers is who is shown to have read an own message, of how many.
func readers(c *nodetest.Cluster, p *nodetest.Person, m api.Message) (names []string, of int) {
	c.T.Helper()
	all, err := p.Node.Receipts(c.T.Context(), m.Group, m.ID.String())
	if err != nil {
		c.T.Fatalf("%s: who read %q: %v", p.Name, m.Text, err)
	}
	for _, r := range all.Items {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	now, err := p.Node.Message(c.T.Context(), m.Group, m.ID.String())
	if err != nil || now.ReadBy != len(names) {
		c.T.Errorf("%s: %q is read by %d, and by %v: %v", p.Name, m.Text, now.ReadBy, names, err)
	}
	return names, all.Of
}

func awaitReaders(c *nodetest.Cluster, p *nodetest.Person, m api.Message, of int, want ...string) {
	c.T.Helper()
	var names []string
	var takers int
	if _, ok := c.Within(2*time.Minute, func() bool {
		names, takers = readers(c, p, m)
		return slices.Equal(names, want) && takers == of
	}); !ok {
		c.T.Errorf("%s: %q is read by %v of %d, want %v of %d", p.Name, m.Text, names, takers, want, of)
	}
}

func refused(c *nodetest.Cluster, p *nodetest.Person, m api.Message, want api.Code) {
	c.T.Helper()
	_, err := p.Node.Receipts(c.T.Context(), m.Group, m.ID.String())
	if problem, ok := err.(*api.Problem); !ok || problem.Code != want {
		c.T.Errorf("%s: who read %q: %v, want %s", p.Name, m.Text, err, want)
	}
}

// enough is longer than a receipt waits in a group of four, and than it is
// asked for.
const enough = 11 * time.Minute

// Who takes read receipts and who does not, in every combination: receipts are
// said and shown only where both do.
func TestReceiptsTakeTwo(t *testing.T) {
	nodetest.Play(t, options(t, 1), func(c *nodetest.Cluster) {
		gather(c, 4)
		c.Settle(healing)
		ann, bo, cy, di := c.People[0], c.People[1], c.People[2], c.People[3]

		// Neither. What was read then is told to nobody later, either: Ann's words
		// were not of somebody who takes receipts.
		first := says(c, ann, "first")
		reads(c, first, bo, cy, di)
		time.Sleep(enough)
		for _, p := range c.People {
			refused(c, p, first, api.ReceiptsOff)
		}
		if m, err := ann.Node.Message(t.Context(), first.Group, first.ID.String()); err != nil || m.ReadBy != 0 {
			t.Errorf("read by %d, with nobody taking receipts: %v", m.ReadBy, err)
		}

		// One: the author, then a reader.
		takes(c, ann, true)
		second := says(c, ann, "second")
		reads(c, second, bo, cy, di)
		time.Sleep(enough)
		awaitReaders(c, ann, second, 0)
		theirs := says(c, bo, "of Bo")
		reads(c, theirs, ann, cy, di)
		time.Sleep(enough)
		refused(c, bo, theirs, api.ReceiptsOff)

		// Both: the two see each other, at once also what was read before; the
		// others see nothing and are not seen.
		from := ann.Node.LastEventID(t.Context())
		takes(c, bo, true)
		third := says(c, ann, "third")
		reads(c, third, bo, cy, di)
		awaitReaders(c, ann, third, 1, bo.Name)
		awaitReaders(c, ann, second, 1, bo.Name)
		awaitReaders(c, bo, theirs, 1, ann.Name)
		refused(c, bo, third, api.NotAllowed)
		refused(c, cy, third, api.ReceiptsOff)
		if !toldRead(c, ann, from, third) {
			t.Error("no event says that it was read")
		}

		// Over a restart, with nobody there to say it again.
		for _, p := range c.People {
			c.Stop(p)
		}
		c.Start(ann)
		awaitReaders(c, ann, third, 1, bo.Name)

		// By somebody who takes none itself: the reader and the author are never
		// there at the same time.
		c.Start(bo)
		c.Start(cy)
		c.Settle(healing)
		fourth := says(c, ann, "fourth")
		c.Settle(healing)
		c.Stop(ann)
		reads(c, fourth, bo)
		time.Sleep(time.Minute)
		c.Stop(bo)
		c.Start(ann)
		awaitReaders(c, ann, fourth, 1, bo.Name)

		// Taken back: neither is shown anything any more.
		c.Start(bo)
		takes(c, bo, false)
		awaitReaders(c, ann, fourth, 0)
		refused(c, bo, theirs, api.ReceiptsOff)
		takes(c, bo, true)
		awaitReaders(c, ann, fourth, 1, bo.Name)

		// Who was removed counts no more, and hears no more.
		c.Start(di)
		takes(c, di, true)
		fifth := says(c, bo, "fifth")
		reads(c, fifth, ann, di)
		awaitReaders(c, bo, fifth, 2, ann.Name, di.Name)
		c.Remove(ann, bo)
		awaitReaders(c, ann, fourth, 1, di.Name) // who has read further than that
		sixth := says(c, di, "sixth")
		reads(c, sixth, ann)
		awaitReaders(c, di, sixth, 1, ann.Name)
		time.Sleep(enough)
		if names, _ := readers(c, bo, fifth); len(names) > 2 {
			t.Errorf("the removed is shown %v", names)
		}
	})
}

// toldRead tells whether an event says that a message was read.
func toldRead(c *nodetest.Cluster, p *nodetest.Person, from string, m api.Message) bool {
	for {
		events, err := p.Node.NextEvents(c.T.Context(), from, 100)
		if err != nil {
			c.T.Fatal(err)
		}
		for _, e := range events {
			from = e.ID
			var now api.Message
			if e.Type == api.EventMessageUpdated && json.Unmarshal(e.Object, &now) == nil && now.ID == m.ID && now.ReadBy > 0 {
				return true
			}
		}
		if from == p.Node.LastEventID(c.T.Context()) {
			return false
		}
	}
}

// In a group where everybody reads everything at once and all take receipts,
// they say about one a second together: what receipts cost stays below what
// the words do, however many read.
func TestReceiptsAreNoStorm(t *testing.T) {
	const words = 30
	nodetest.Play(t, options(t, 1), func(c *nodetest.Cluster) {
		assemble(c, *readersOf)
		time.Sleep(time.Minute) // until nobody is told of everything for the topic being new
		author, rest := c.People[0], c.People[1:]
		talk := func() (bytes int64, last api.Message) {
			before := c.Net.Sent()
			for i := range words {
				last = says(c, author, fmt.Sprintf("to be read %d, %d", i, before))
				time.Sleep(time.Second)
				for _, p := range rest {
					// Who does not have it yet reads it with the next.
					_ = p.Node.MarkRead(c.T.Context(), last.Group, last.ID.String())
				}
			}
			return c.Net.Sent() - before, last
		}
		without, _ := talk()
		for _, p := range c.People {
			takes(c, p, true)
		}
		time.Sleep(time.Duration(4**readersOf) * time.Second) // all have said that they do
		with, last := talk()
		reads(c, last, rest...)
		var all []string
		for _, p := range rest {
			all = append(all, p.Name)
		}
		slices.Sort(all)
		took, ok := c.Within(time.Duration(3**readersOf)*time.Second, func() bool {
			names, _ := readers(c, author, last)
			return slices.Equal(names, all)
		})
		if !ok {
			names, of := readers(c, author, last)
			t.Errorf("read by %d of %d after %v", len(names), of, took)
		}
		c.Logf("%d members, a message a second: %d bytes a member and second without receipts, %d with; read by all, as the author is told, after %v",
			*readersOf, without/words/int64(*readersOf), with/words/int64(*readersOf), took)
		if with < without*21/20 || with > 2*without {
			t.Error("receipts cost nothing, or more than the words")
		}
	})
}

var readersOf = flag.Int("readers", 8, "members of the group that reads all that is said")
