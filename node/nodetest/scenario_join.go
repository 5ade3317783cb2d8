package nodetest

import (
	"fmt"
	"strconv"

	"mutuals/groups/groupstest"
	"mutuals/node/api"
)

// The steps of a scenario that bring a group and people into being.

func (p *Performance) found(st groupstest.Step, who *Person) error {
	limit, policy, err := policyOf(st.Options)
	if err != nil {
		return err
	}
	g, err := who.Node.CreateGroup(p.ctx(), api.GroupCreate{Name: p.sc.Name, Cap: limit, Policy: policy})
	p.Group = g.ID
	return err
}

// policyOf reads the options of a step; what is not given is nil.
func policyOf(o map[string]string) (limit *int, _ *api.PolicyPatch, err error) {
	number := func(key string) (out *int) {
		if v := o[key]; v != "" {
			n, bad := strconv.Atoi(v)
			if bad != nil {
				err = fmt.Errorf("option %s: %w", key, bad)
			}
			out = &n
		}
		return out
	}
	word := func(key string) *string {
		if v := o[key]; v != "" {
			return &v
		}
		return nil
	}
	limit = number("cap")
	p := &api.PolicyPatch{WhoInvites: word("who"), Posting: word("posting"), Waitlist: number("waitlist"), SucceedDays: number("succeed")}
	if h := o["history"]; h != "" {
		if h == "none" {
			h = "join"
		} else if h != "all" {
			h += "d"
		}
		p.History = &h
	}
	if *p == (api.PolicyPatch{}) {
		p = nil
	}
	return limit, p, err
}

func (p *Performance) invite(st groupstest.Step) error {
	who, err := p.named(st.Args[:1])
	if err != nil {
		return err
	}
	in := api.InviteCreate{}
	if v := st.Options["uses"]; v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			return err
		}
		in.Uses = &n
	}
	if v := st.Options["days"]; v != "" {
		in.Expires = v + "d"
	}
	inv, err := who[0].Node.CreateInvite(p.ctx(), p.Group, in)
	if err == nil {
		p.codes[st.Args[1]] = inv
	}
	return err
}

func (p *Performance) join(st groupstest.Step) error {
	who, err := p.named([]string{st.Args[0], st.Args[3]})
	if err != nil {
		return err
	}
	code, ok := p.codes[st.Args[1]]
	if !ok {
		return fmt.Errorf("no code %q", st.Args[1])
	}
	q, sponsor := who[0], who[1]
	return p.visit(q, sponsor, func() error {
		// The code may name others only: whom one is linked with is asked too.
		if err := p.befriend(sponsor, q); err != nil {
			return err
		}
		task, err := q.Node.JoinByPasscode(p.ctx(), code.Passcode)
		if err != nil {
			return err
		}
		return p.outcome(q, task)
	})
}

// pull offers a seat to somebody, who says yes.
func (p *Performance) pull(by, q *Person) error {
	if err := p.befriend(by, q); err != nil {
		return err
	}
	task, err := by.Node.AddMember(p.ctx(), p.Group, q.Account)
	if err != nil {
		return err
	}
	if err := p.consent(q, api.RequestGroup, by); err != nil {
		return err
	}
	if err := p.outcome(by, task); err != nil {
		return err
	}
	if _, ok := p.Within(patience, func() bool { return p.in(q) }); !ok {
		return fmt.Errorf("%s was pulled in and never saw it", q.Name)
	}
	return nil
}

// befriend makes two people mutuals, which links them if they were none.
func (p *Performance) befriend(a, b *Person) error {
	card, err := b.Node.Card(p.ctx())
	if err != nil {
		return err
	}
	mutual := func() bool {
		who, err := a.Node.Person(p.ctx(), b.Account)
		return err == nil && who.Mutual
	}
	if !mutual() {
		if _, err := a.Node.Follow(p.ctx(), b.Account, card.Text); err != nil {
			return err
		}
		if err := p.consent(b, api.RequestFollow, a); err != nil {
			return err
		}
	}
	if _, ok := p.Within(patience, mutual); !ok {
		return fmt.Errorf("%s and %s are no mutuals", a.Name, b.Name)
	}
	return nil
}

// consent says yes to what somebody asks.
func (p *Performance) consent(q *Person, kind string, from *Person) error {
	var err error
	_, ok := p.Within(patience, func() bool {
		var reqs []api.Request
		if reqs, err = q.Node.Requests(p.ctx()); err != nil {
			return true
		}
		for _, r := range reqs {
			if r.Kind == kind && r.From == from.Account {
				_, err = q.Node.AnswerRequest(p.ctx(), r.ID, true)
				return true
			}
		}
		return false
	})
	if !ok {
		return fmt.Errorf("%s never heard the %s request of %s", q.Name, kind, from.Name)
	}
	return err
}

// outcome waits for the end of a task.
func (p *Performance) outcome(q *Person, task api.Task) error {
	var err error
	_, ok := p.Within(patience, func() bool {
		task, err = q.Node.Task(p.ctx(), task.ID)
		return err != nil || task.Over()
	})
	switch {
	case err != nil:
		return err
	case task.Problem != nil && task.Problem.Code == api.Waitlisted:
		return nil
	case task.Problem != nil:
		return task.Problem
	case !ok:
		return fmt.Errorf("the %s stays at %s", task.Kind, task.Stage)
	}
	return nil
}

// in tells whether somebody has a seat or waits for one, as it sees itself.
func (p *Performance) in(q *Person) bool {
	g, err := q.Node.Group(p.ctx(), p.Group)
	return err == nil && (g.Status == api.MemberSeated || g.Status == api.MemberWaitlisted)
}
