package nodetest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mutuals/groups/groupstest"
	"mutuals/node/api"
)

// expect compares what everybody sees whom the story's expectations are about,
// once they had time to hear.
func (p *Performance) expect(st groupstest.Step) error {
	if blind(st.Args[0]) {
		p.Blind++
		return nil
	}
	p.Looked++
	var err error
	p.Within(patience, func() bool {
		for _, q := range p.insiders(p.People) {
			if !p.stage.watching(q) {
				continue
			}
			if err = p.holds(q, st); err != nil {
				err = fmt.Errorf("%s sees: %w", q.Name, err)
				return false
			}
		}
		err = nil
		return true
	})
	return err
}

// blind tells of expectations about what no API shows: keys, which nodes make
// by themselves, contradictions, and what an ownership rests on.
func blind(what string) bool {
	return slices.Contains([]string{"rekey", "stale", "reader", "keys", "forks", "settled", "harbor"}, what)
}

func (p *Performance) holds(q *Person, st groupstest.Step) error {
	what, want := st.Args[0], st.Args[1:]
	members, err := q.Node.Members(p.ctx(), p.Group)
	if err != nil {
		return err
	}
	list := func(status ...string) (names []string) {
		for _, m := range members {
			if slices.Contains(status, m.Status) {
				names = append(names, p.nameOf(m.Account))
			}
		}
		return names
	}
	one := func(fact func(api.Member) string) []string {
		for _, m := range members {
			if p.nameOf(m.Account) == want[0] {
				return []string{want[0], fact(m)}
			}
		}
		return []string{want[0], "unknown"}
	}
	sorted := func(names []string) []string { return slices.Sorted(slices.Values(names)) }
	var got []string
	switch what {
	case "seated":
		want, got = sorted(want), sorted(list(api.MemberSeated))
	case "order":
		got = list(api.MemberSeated)
	case "waitlist":
		got = list(api.MemberWaitlisted)
	case "gone":
		want, got = sorted(want), sorted(list(api.MemberLeft, api.MemberRemoved))
	case "count":
		got = []string{strconv.Itoa(len(list(api.MemberSeated))), strconv.Itoa(len(list(api.MemberWaitlisted)))}
	case "role":
		got = one(func(m api.Member) string { return m.Role })
	case "provisional":
		got = one(func(m api.Member) string { return map[bool]string{true: "yes", false: "no"}[m.Provisional] })
	case "devices":
		got = one(func(m api.Member) string { return strconv.Itoa(len(m.Devices)) })
	case "cap":
		g, err := q.Node.Group(p.ctx(), p.Group)
		if err != nil {
			return err
		}
		got = []string{strconv.Itoa(g.Cap)}
	case "used":
		if got, err = p.used(q, want[0]); err != nil {
			return err
		}
	case "shown", "folded":
		if got, err = p.standing(q, want, what == "shown"); err != nil {
			return err
		}
	default:
		return fmt.Errorf("unknown expectation %q", what)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s %v, want %v", what, got, want)
	}
	return nil
}

func (p *Performance) used(q *Person, code string) ([]string, error) {
	invites, err := q.Node.Invites(p.ctx(), p.Group)
	for _, i := range invites {
		if i.ID == p.codes[code].ID {
			return []string{code, strconv.Itoa(i.Used)}, err
		}
	}
	return []string{code, "unknown"}, err
}

// standing lists which of some messages somebody is shown, or is not: what
// does not count may be folded there, or not have come at all.
func (p *Performance) standing(q *Person, tags []string, shown bool) ([]string, error) {
	page, err := q.Node.Messages(p.ctx(), p.Group, api.Page{Limit: api.MaxPage})
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, m := range page.Items {
		if m.Folded == "" {
			seen[m.Text] = true
		}
	}
	var out []string
	for _, tag := range tags {
		if p.said[tag] != "" && seen[p.said[tag]] == shown {
			out = append(out, tag)
		}
	}
	return out, nil
}

// agree waits until all of each part hold the same of the group.
func (p *Performance) agree() error {
	var diff string
	_, ok := p.Within(settled, func() bool {
		diff = ""
		for _, part := range p.stage.parts() {
			if diff = p.apart(part); diff != "" {
				return false
			}
		}
		return true
	})
	if !ok {
		return fmt.Errorf("not the same for all after %v: %s", settled, diff)
	}
	// Who is out is told, if those who put it out know its device.
	p.Within(farewells, func() bool {
		for _, part := range p.stage.parts() {
			if len(p.insiders(part)) < len(slices.DeleteFunc(part, func(q *Person) bool { return !p.in(q) })) {
				return false
			}
		}
		return true
	})
	return nil
}

// farewells is how long who lost its seat may take to hear of it.
const farewells = 10 * time.Second

// apart says how those of a part differ who take themselves for members.
func (p *Performance) apart(part []*Person) string {
	var first *Person
	var want string
	for _, q := range p.insiders(part) {
		got, err := p.record(q)
		switch {
		case err != nil:
			return fmt.Sprintf("%s: %v", q.Name, err)
		case first == nil:
			first, want = q, got
		case got != want:
			return fmt.Sprintf("%s has\n%s\nand %s\n%s", first.Name, want, q.Name, got)
		}
	}
	return ""
}

// insiders are those of some people who take themselves for members and are
// that to the first of them. Whoever was let in elsewhere, where the removal of
// its sponsor or the last use of its code was not known, may not be: nobody
// but that sponsor knows its device, so that nobody tells it.
func (p *Performance) insiders(people []*Person) []*Person {
	var out []*Person
	var known []api.Member
	for _, q := range people {
		if !p.in(q) {
			continue
		}
		if out == nil {
			var err error
			if known, err = q.Node.Members(p.ctx(), p.Group); err != nil {
				p.T.Fatal(err)
			}
		}
		if len(out) == 0 || slices.ContainsFunc(known, func(m api.Member) bool {
			return m.Account == q.Account && (m.Status == api.MemberSeated || m.Status == api.MemberWaitlisted)
		}) {
			out = append(out, q)
		}
	}
	return out
}

// record writes down what somebody sees of who is in and what was done.
func (p *Performance) record(q *Person) (string, error) {
	audit, err := q.Node.Audit(p.ctx(), p.Group, time.Time{})
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\towner %s cap %d %+v\n", p.nameOf(audit.Owner), audit.Cap, audit.Policy)
	for _, m := range audit.Members {
		fmt.Fprintf(&b, "\t%s %s %s %d %v %d\n", p.nameOf(m.Account), m.Role, m.Status, m.Place, m.Provisional, len(m.Devices))
	}
	for _, a := range audit.Acts {
		fmt.Fprintf(&b, "\t%s %s %s %v %v\n", a.ID.Short(), a.Kind, p.nameOf(a.Actor), a.InForce, a.Provisional)
	}
	return b.String(), nil
}

// finale brings all together. They must agree on everything, the last
// expectations must hold for all, and all who have a seat must hear what each
// of them says from now on.
func (p *Performance) finale() error {
	p.stage.together()
	p.stage.move("online", p.People)
	p.cut()
	if err := p.agree(); err != nil {
		return err
	}
	for _, st := range p.sc.Steps[p.last():] {
		if err := p.expect(st); err != nil {
			return fmt.Errorf("line %d: %w", st.Line, err)
		}
	}
	return p.chorus()
}

// last is where the expectations begin that nothing follows.
func (p *Performance) last() int {
	at := len(p.sc.Steps)
	for at > 0 && p.sc.Steps[at-1].Verb == "expect" {
		at--
	}
	return at
}

// chorus has everybody with a seat say a line, once it can.
func (p *Performance) chorus() error {
	var singers []*Person
	insiders := p.insiders(p.People)
	for _, q := range p.People {
		g, err := q.Node.Group(p.ctx(), p.Group)
		if p.in(q) && !slices.Contains(insiders, q) {
			p.Unaware = append(p.Unaware, q.Name)
		}
		switch {
		case err != nil || g.Status != api.MemberSeated || !slices.Contains(insiders, q):
			q.Out = true
		case g.Policy.Posting == "all" || g.Role != api.RoleMember:
			singers = append(singers, q)
		}
		q.Doubted = true // what it said in the story may be folded
	}
	for _, q := range singers {
		tag := "finale-" + q.Name
		var err error
		if _, ok := p.Within(settled, func() bool { err = p.say(q, tag); return err == nil }); !ok {
			return fmt.Errorf("%s cannot say anything: %w", q.Name, err)
		}
	}
	for _, text := range p.said {
		p.Said[text] = p.People[0]
	}
	tags := make([]string, len(singers))
	for i, q := range singers {
		tags[i] = "finale-" + q.Name
	}
	var wrong error
	if _, ok := p.Within(settled, func() bool {
		wrong = nil
		for _, q := range p.Members() {
			got, err := p.standing(q, tags, true)
			if err != nil || !slices.Equal(got, tags) {
				wrong = fmt.Errorf("%s hears %v of %v: %w", q.Name, got, tags, err)
				return false
			}
		}
		if d := p.Difference(); d != "" {
			wrong = fmt.Errorf("%s", d)
		}
		return wrong == nil
	}); !ok {
		return wrong
	}
	return nil
}
