package nodetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// line is what must be the same of a message for all.
type line struct {
	clock uint64
	id    wire.OpID
	text  string
}

// standing is what must be the same of a member for all.
type standing struct {
	account      wire.AccountID
	role, status string
	place        int
	provisional  bool
}

// seen is a group as one member sees it.
type seen struct {
	lines   []line
	members []standing
	group   string // cap, rules, epoch, counts
}

// Difference compares what all members see with what the first sees, and that
// with what was said; "" if all agree. It says who differs and how. What the
// removed said may be hidden, alike for all.
func (c *Cluster) Difference() string {
	c.T.Helper()
	people := c.Members()
	first, err := c.see(people[0]) // the founder: nobody removes it
	if err != nil {
		return fmt.Sprintf("%s: %v", people[0].Name, err)
	}
	people = slices.DeleteFunc(people, func(p *Person) bool {
		return p.Doubted && !slices.ContainsFunc(first.members, func(m standing) bool {
			return m.account == p.Account && m.status == api.MemberSeated
		})
	})
	if d := c.heardAll(first); d != "" {
		return people[0].Name + " " + d
	}
	// Who differed when it was last looked is likely to differ still.
	if i := slices.Index(people, c.behind); i > 0 {
		people[1], people[i] = people[i], people[1]
	}
	for _, p := range people[1:] {
		c.behind = p
		other, err := c.see(p)
		if err != nil {
			return fmt.Sprintf("%s: %v", p.Name, err)
		}
		if d := c.compare(first, other); d != "" {
			return fmt.Sprintf("%s and %s: %s", people[0].Name, p.Name, d)
		}
	}
	return ""
}

// Caught waits until somebody sees the group as another does, nobody else being
// asked, and can read who everybody is.
func (c *Cluster) Caught(p, like *Person) {
	c.T.Helper()
	diff := ""
	took, ok := c.Within(patience, func() bool {
		a, err := c.see(like)
		if err != nil {
			c.T.Fatalf("%s: %v", like.Name, err)
		}
		b, err := c.see(p)
		if diff = fmt.Sprint(err); err == nil {
			diff = c.compare(a, b)
		}
		if diff == "" {
			diff = c.nameless(p)
		}
		return diff == ""
	})
	if !ok {
		c.T.Fatalf("%s does not see what %s does after %v: %s", p.Name, like.Name, took, diff)
	}
}

// nameless says whose name somebody cannot read, for want of an epoch's key; "" if
// there is nobody.
func (c *Cluster) nameless(p *Person) string {
	members, err := p.Node.Members(c.ctx(), c.Group)
	if err != nil {
		return err.Error()
	}
	for _, m := range members {
		if m.Name == "" {
			return "does not know the name of " + c.nameOf(m.Account)
		}
	}
	return ""
}

func (c *Cluster) heardAll(s *seen) string {
	heard := map[string]int{}
	for i, l := range s.lines {
		heard[l.text]++
		if i > 0 && cmp.Or(cmp.Compare(s.lines[i-1].clock, l.clock), slices.Compare(s.lines[i-1].id[:], l.id[:])) >= 0 {
			return fmt.Sprintf("has lines %d and %d out of order", i-1, i)
		}
	}
	for text, n := range heard {
		switch {
		case c.Said[text] == nil:
			return fmt.Sprintf("hears what nobody said: %.30q", text)
		case n > 1:
			return fmt.Sprintf("hears %d times %.30q", n, text)
		}
	}
	missing := map[string]int{}
	for text, p := range c.Said {
		if heard[text] == 0 && !p.Out && !p.Doubted {
			missing[p.Name]++
		}
	}
	if len(missing) > 0 {
		return fmt.Sprintf("has %d of %d lines, lacks those of %v", len(heard), len(c.Said), missing)
	}
	return ""
}

func (c *Cluster) compare(a, b *seen) string {
	if a.group != b.group {
		return fmt.Sprintf("group is\n\t%s and\n\t%s", a.group, b.group)
	}
	if !slices.Equal(a.members, b.members) {
		return fmt.Sprintf("members are\n\t%s and\n\t%s", c.roll(a.members), c.roll(b.members))
	}
	if slices.Equal(a.lines, b.lines) {
		return ""
	}
	for _, d := range []struct {
		who  string
		x, y []line
	}{{"only the first", a.lines, b.lines}, {"only the second", b.lines, a.lines}} {
		by := map[string]int{}
		for _, l := range d.x {
			if !slices.Contains(d.y, l) {
				if p := c.Said[l.text]; p != nil {
					by[p.Name]++
				} else {
					by["?"]++
				}
			}
		}
		if len(by) > 0 {
			return fmt.Sprintf("%d and %d lines; %s has of %v", len(a.lines), len(b.lines), d.who, by)
		}
	}
	return "the same lines in another order"
}

func (c *Cluster) roll(ms []standing) string {
	var b strings.Builder
	for _, m := range ms {
		fmt.Fprintf(&b, "%s:%s:%s:%d:%v ", c.nameOf(m.account), m.role, m.status, m.place, m.provisional)
	}
	return b.String()
}

// see reads the whole group as a member's API shows it.
func (c *Cluster) see(p *Person) (*seen, error) {
	s := &seen{}
	page := api.Page{Limit: api.MaxPage}
	for {
		got, err := p.Node.Messages(c.ctx(), c.Group, page)
		if err != nil {
			return nil, err
		}
		var older []line
		for _, m := range got.Items {
			if m.Folded != "" {
				continue // who has it is as chance had it: nobody relays it
			}
			older = append(older, line{m.Clock, m.ID, m.Text})
		}
		s.lines = append(older, s.lines...)
		if got.Before == "" {
			break
		}
		page.Before = got.Before
	}
	members, err := p.Node.Members(c.ctx(), c.Group)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		s.members = append(s.members, standing{m.Account, m.Role, m.Status, m.Place, m.Provisional})
	}
	g, err := p.Node.Group(c.ctx(), c.Group)
	if err != nil {
		return nil, err
	}
	s.group = fmt.Sprintf("%q cap %d, %d seated, %d waiting, %+v, epoch %d", g.Name, g.Cap, g.Members, g.Waitlist, g.Policy, g.Epoch)
	return s, nil
}

// Settle waits until all members hold the same group with everything said, at
// most d of virtual time; the test fails otherwise. It returns how long it
// took.
func (c *Cluster) Settle(d time.Duration) time.Duration {
	c.T.Helper()
	diff := ""
	took, ok := c.Within(d, func() bool {
		diff = c.Difference()
		return diff == ""
	})
	if !ok {
		c.T.Errorf("not the same for all after %v: %s", took, diff)
		c.explain()
	}
	return took
}

// explain logs how each member stands, for whoever looks into a failure.
func (c *Cluster) explain() {
	c.T.Helper()
	for _, p := range c.Members() {
		s, err := c.see(p)
		if err != nil {
			c.T.Logf("%s: %v", p.Name, err)
			continue
		}
		peers, err := p.Node.Peers(c.ctx())
		if err != nil {
			c.T.Logf("%s: %v", p.Name, err)
			continue
		}
		c.T.Logf("%s: %d lines, %d peers, %s", p.Name, len(s.lines), len(peers), s.group)
	}
}

// Tally is what became of what was said: of each line as often as it was due to
// a member.
type Tally struct{ Said, Delivered, Lost, Doubled int }

func (t Tally) String() string {
	return fmt.Sprintf("messages sent %d, delivered %d, lost %d, duplicated %d", t.Said, t.Delivered, t.Lost, t.Doubled)
}

// Tally counts what those in the group have of what was said by those who still
// are.
func (c *Cluster) Tally() (t Tally) {
	c.T.Helper()
	t.Said = len(c.Said)
	for _, p := range c.Members() {
		s, err := c.see(p)
		if err != nil {
			c.T.Fatalf("%s: %v", p.Name, err)
		}
		heard := map[string]int{}
		for _, l := range s.lines {
			heard[l.text]++
		}
		for text, by := range c.Said {
			switch n := heard[text]; {
			case n > 0:
				t.Delivered++
				t.Doubled += n - 1
			case !by.Out && !by.Doubted:
				t.Lost++
			}
		}
	}
	return t
}
