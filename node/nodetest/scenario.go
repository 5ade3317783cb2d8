package nodetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"mutuals/groups/groupstest"
	"mutuals/node"
	"mutuals/node/api"
)

// Performance is a scenario of groups/groupstest, played by whole nodes. Who
// is offline in it has a network of its own, who is apart is in a part of the
// network, and when time passes all are switched off meanwhile.
//
// Nodes do more than the file says: they make keys, acknowledge and tell names
// by themselves. What a file says of keys is therefore not compared; that all
// who have a seat can read one another at the end, is (finale).
type Performance struct {
	*Cluster
	Looked  int      // expectations compared
	Blind   int      // expectations about what no API shows
	Unaware []string // who takes itself for a member at the end and is none to the others

	sc    groupstest.Scenario
	codes map[string]api.Invite
	said  map[string]string // texts by tag
	stage stage
}

// settled is how long all of one part may take to agree after a step.
const settled = 3 * time.Minute

// hearing is how long what was done travels before anybody is asked: before
// that all may agree on not knowing it.
const hearing = 2 * time.Second

// Unplayable says why nodes cannot play a scenario; "" if they can.
func Unplayable(sc groupstest.Scenario) string {
	if sc.Pure != "" {
		return sc.Pure
	}
	for _, st := range sc.Steps {
		if why := lacking(st); why != "" {
			return why
		}
	}
	return ""
}

// lacking says what nodes have no verb for.
func lacking(st groupstest.Step) string {
	switch st.Verb {
	case "crowd":
		return "a hundred nodes are too many"
	case "fork", "forksay", "accuse", "again", "steal", "foreign":
		return "no node lies"
	case "harbor", "rights":
		return "a harbor draws its own key, which no script names; harbor_test.go plays them"
	case "device", "add", "unplug":
		return "devices are not linked here yet"
	case "transfer", "succeed":
		return "ownership is not handed over here yet"
	}
	for option, why := range map[string]string{
		"back":   "all nodes have one clock here",
		"direct": "a node refuses ahead of the rules what a conversation of two lacks (cmd/mutuals/testdata/direct.txtar)",
		"asleep": "sleep-proof codes have no verb yet",
		"redeem": "lists of redeemers have no verb yet",
	} {
		if st.Options[option] != "" {
			return why
		}
	}
	if st.Options["approval"] != "" {
		return "approval has no verb yet"
	}
	return ""
}

// Perform plays a scenario; the error names the line that went another way.
func (c *Cluster) Perform(sc groupstest.Scenario) (*Performance, error) {
	p := &Performance{Cluster: c, sc: sc, codes: map[string]api.Invite{}, said: map[string]string{}}
	for _, st := range sc.Steps {
		if err := p.step(st); err != nil {
			return p, fmt.Errorf("%s:%d: %s %s: %w", sc.Name, st.Line, st.Verb, strings.Join(st.Args, " "), err)
		}
	}
	if err := p.finale(); err != nil {
		return p, fmt.Errorf("%s: at the end %w", sc.Name, err)
	}
	return p, nil
}

// step plays one step, and lets all who hear each other hear of it.
func (p *Performance) step(st groupstest.Step) error {
	if st.Verb == "expect" {
		return p.expect(st)
	}
	if st.Verb == "rekey" {
		return nil // nodes do it when they must
	}
	err := p.do(st)
	var problem *api.Problem
	switch {
	case st.Refused == "" && err != nil:
		return err
	case st.Refused != "" && err == nil:
		return fmt.Errorf("went through, want %q", st.Refused)
	case st.Refused != "" && !errors.As(err, &problem):
		return fmt.Errorf("failed: %w, want %q", err, st.Refused)
	case st.Refused != "" && codes[st.Refused] != "" && problem.Code != codes[st.Refused]:
		return fmt.Errorf("refused as %s (%s), want %s for %q", problem.Code, problem.Title, codes[st.Refused], st.Refused)
	}
	if p.Group.IsZero() {
		return nil
	}
	time.Sleep(hearing)
	return p.agree()
}

// codes are those that the API has for refusals newcomers meet.
var codes = map[string]api.Code{
	"group full":                        api.GroupFull,
	"already a member":                  api.AlreadyMember,
	"invite expired":                    api.InviteExpired,
	"invite used up":                    api.InviteUsed,
	"invite revoked":                    api.InviteRevoked,
	"removed since the invite was made": api.Removed,
	"author lacks the role":             api.RoleNeeded,
	"author may not post":               api.RoleNeeded,
}

func (p *Performance) do(st groupstest.Step) error {
	switch st.Verb {
	case "people":
		for _, name := range st.Args {
			p.stage.arrive(p.Add(name))
		}
		p.cut()
		return nil
	case "together":
		p.stage.together()
		p.cut()
		return nil
	case "tick":
		return p.sleep(st.Args[0])
	case "invite":
		return p.invite(st)
	case "join":
		return p.join(st)
	}
	who, err := p.named(st.Args)
	if err != nil {
		return err
	}
	me, last := who[0], who[len(who)-1]
	switch st.Verb {
	case "group":
		return p.found(st, me)
	case "offline", "online", "apart":
		p.stage.move(st.Verb, who)
		p.cut()
		return nil
	case "pull":
		return p.visit(last, me, func() error { return p.pull(me, last) })
	case "say":
		return p.say(me, st.Args[1])
	}
	return p.act(st, me, last)
}

// act plays the steps that are one call.
func (p *Performance) act(st groupstest.Step, me, last *Person) error {
	ctx, n := p.ctx(), me.Node
	var err error
	switch st.Verb {
	case "remove":
		_, err = n.RemoveMember(ctx, p.Group, last.Account, "")
	case "leave":
		_, err = n.LeaveGroup(ctx, p.Group)
	case "role":
		_, err = n.PatchMember(ctx, p.Group, last.Account, api.MemberPatch{Role: st.Args[2]})
	case "policy":
		var patch api.GroupPatch
		if patch.Cap, patch.Policy, err = policyOf(st.Options); err == nil {
			_, err = n.PatchGroup(ctx, p.Group, patch)
		}
	case "revoke":
		_, err = n.RevokeInvite(ctx, p.Group, p.codes[st.Args[1]].ID.String())
	case "ack":
		err = acknowledge(ctx, n, p)
	default:
		err = fmt.Errorf("unknown step %q", st.Verb)
	}
	return err
}

// acknowledge writes a control operation that changes nothing: nodes write
// the real ack by themselves, when they find it due.
func acknowledge(ctx context.Context, n *node.Node, p *Performance) error {
	_, err := n.CreateInvite(ctx, p.Group, api.InviteCreate{})
	return err
}

func (p *Performance) say(who *Person, tag string) error {
	text := tag + ", said " + who.Name
	_, err := who.Node.Send(p.ctx(), p.Group, api.MessageCreate{Text: text})
	if err == nil {
		p.said[tag] = text
	}
	return err
}

// sleep switches everybody off for a while.
func (p *Performance) sleep(d string) error {
	ms, err := groupstest.ParseMs(d)
	if err != nil {
		return err
	}
	for _, q := range p.People {
		p.Stop(q)
	}
	time.Sleep(time.Duration(ms) * time.Millisecond)
	for _, q := range p.People {
		p.Start(q)
	}
	p.cut()
	return nil
}

// named finds the people among a step's words.
func (p *Performance) named(args []string) ([]*Person, error) {
	var out []*Person
	for _, a := range args {
		for _, q := range p.People {
			if q.Name == a {
				out = append(out, q)
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("nobody named")
	}
	return out, nil
}
