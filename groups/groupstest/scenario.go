package groupstest

import (
	"crypto/ed25519"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"mutuals/groups"
	"mutuals/identity/wire"
)

// Step is one line of a scenario: who does what, and whether it must be
// refused.
type Step struct {
	Line    int
	Verb    string
	Args    []string          // names, in order
	Options map[string]string // key=value
	Refused string            // the reason's text; empty: it must succeed
}

// Scenario is a story of one group. The language, a line a step, # begins a
// comment:
//
//	people NAME…                       who there is
//	crowd PREFIX FROM TO               people PREFIX1, PREFIX2, … who keep no log
//	group FOUNDER [cap=N waitlist=N succeed=DAYS direct=NAME history=N|none|all who=owner|admins|members posting=all|admins]
//	invite WHO CODE [uses=N days=N redeem=any|admins|PERSON approval=yes asleep=yes]
//	join NEWCOMER CODE via SPONSOR     the sponsor's answer, then its admit
//	pull WHO NEWCOMER
//	remove WHO TARGET      leave WHO      role WHO TARGET admin|member
//	policy WHO [as group]  revoke WHO CODE      ack WHO      rekey WHO
//	transfer WHO HEIR      succeed WHO HEIR by NAME…
//	device NAME of WHO [root=yes]         one more device, in no group yet
//	add WHO DEVICE         its dev-add, with the device's request if need be
//	unplug WHO DEVICE [root=yes keep=DEVICE]      its dev-revoke
//	harbor WHO NAME [rights=store|both]   NAME is a harbor from then on
//	rights WHO HARBOR none|store|both
//	say WHO TAG            a message
//	fork WHO               two control operations of one seq
//	forksay WHO            two messages of one seq; the second reaches nobody
//	accuse WHO TARGET      the fault that proves it
//	again SPONSOR NEWCOMER the same join request, once more
//	steal THIEF NEWCOMER via SPONSOR      its request under the thief's name
//	foreign WHO            an operation signed for another group
//	offline NAME…          online NAME…   they miss, and hear, everything
//	apart NAME…            they hear one another only     together
//	tick 3d|5h|2m          time passes
//	refused REASON: STEP   the step must be refused with that reason
//	expect seated NAME…    in any order     expect order NAME…    in seat order
//	expect waitlist NAME…  in order         expect gone NAME…
//	expect role NAME owner|admin|member
//	expect rekey yes|no    whether a rekey is needed
//	expect used CODE N
//	expect reader NAME yes|no   is NAME's device a recipient of the best epoch
//	expect devices NAME N       devices of NAME with a seat
//	expect harbor NAME yes|no   in office
//	expect shown TAG…           expect folded TAG…      by their standing
//	expect provisional NAME yes|no
//	expect settled yes|no       the last ownership
//	expect forks N              contradictions nobody proved yet
//	expect cap N
//
// Any step that writes may say back=2h: its author's clock is behind by that,
// as far as what it builds on allows.
//
// Expectations are about what everybody who is online knows; at the end all
// come online, and every order of delivery must give the same.
type Scenario struct {
	Name  string
	Steps []Step
}

// Parse reads a scenario; the error names the line.
func Parse(name, text string) (Scenario, error) {
	sc := Scenario{Name: name}
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		st := Step{Line: i + 1, Options: map[string]string{}}
		if rest, ok := strings.CutPrefix(line, "refused "); ok {
			reason, step, ok := strings.Cut(rest, ":")
			if !ok {
				return sc, fmt.Errorf("%s:%d: refused REASON: STEP", name, i+1)
			}
			st.Refused, line = reason, strings.TrimSpace(step)
		}
		words := strings.Fields(line)
		st.Verb = words[0]
		for _, word := range words[1:] {
			if k, v, ok := strings.Cut(word, "="); ok {
				st.Options[k] = v
			} else {
				st.Args = append(st.Args, word)
			}
		}
		sc.Steps = append(sc.Steps, st)
	}
	return sc, nil
}

// Play runs the story; the error names the line that went another way.
func (sc Scenario) Play() (*World, error) {
	p := &play{World: NewWorld(uint64(len(sc.Name))), codes: map[string]Invite{}, said: map[string]*groups.Op{},
		asked: map[string]groups.AdmitBody{}, forks: map[*Person][2]*groups.Op{}}
	for _, st := range sc.Steps {
		err := p.step(st)
		if err != nil {
			return p.World, fmt.Errorf("%s:%d: %s %s: %w", sc.Name, st.Line, st.Verb, strings.Join(st.Args, " "), err)
		}
	}
	p.Together()
	for _, q := range p.People {
		if q.Log != nil {
			p.Online(q)
		}
	}
	return p.World, nil
}

type play struct {
	*World
	codes map[string]Invite
	said  map[string]*groups.Op       // by tag
	asked map[string]groups.AdmitBody // the last join request of each
	forks map[*Person][2]*groups.Op   // messages that contradict each other
}

func (p *play) step(st Step) error {
	if back := st.Options["back"]; back != "" {
		ms, err := parseMs(back)
		if err != nil {
			return err
		}
		p.BackMs = ms
		defer func() { p.BackMs = 0 }()
	}
	r, err := p.do(st)
	switch {
	case err != nil:
		return err
	case r == nil && st.Refused != "":
		return fmt.Errorf("went through, want %q", st.Refused)
	case r != nil && r.Reason.String() != st.Refused:
		return fmt.Errorf("refused: %v, want %q", r, st.Refused)
	}
	return nil
}

// do runs one step: a refusal is the group's, an error the story's.
func (p *play) do(st Step) (*groups.Refusal, error) {
	switch st.Verb {
	case "people":
		for _, n := range st.Args {
			p.Add(n)
		}
		return nil, nil
	case "crowd":
		from, _ := strconv.Atoi(st.Args[1])
		to, _ := strconv.Atoi(st.Args[2])
		for i := from; i <= to; i++ {
			p.Add(st.Args[0] + strconv.Itoa(i)).Silent = true
		}
		return nil, nil
	case "together":
		p.Together()
		return nil, nil
	case "tick":
		return nil, p.tick(st.Args[0])
	case "expect":
		return nil, p.expect(st)
	case "invite":
		return p.invite(st)
	case "join":
		return p.join(st)
	case "say":
		return p.say(st)
	case "device":
		return nil, p.device(st)
	}
	who, err := p.named(st.Args)
	if err != nil {
		return nil, err
	}
	switch st.Verb {
	case "group":
		b, err := policyOf(st.Options, 100, groups.DefaultPolicy())
		if err != nil {
			return nil, err
		}
		if name := st.Options["direct"]; name != "" {
			q, err := p.Person(name)
			if err != nil {
				return nil, err
			}
			b.Policy.Direct = q.Account[:]
		}
		p.Found(who[0], b.Cap, b.Policy)
		return nil, nil
	case "offline":
		for _, q := range who {
			q.Offline = true
		}
		return nil, nil
	case "apart":
		p.Apart(who)
		return nil, nil
	case "online":
		for _, q := range who {
			p.Online(q)
		}
		return nil, nil
	case "pull":
		return p.admit(who[0], who[1], p.Request(who[1], who[0], nil)), nil
	case "add", "harbor":
		return p.enter(st, who)
	case "fork":
		return nil, p.fork(who[0])
	case "forksay":
		return nil, p.forksay(who[0])
	case "again":
		_, r := p.Write(who[0], groups.KindAdmit, p.asked[who[1].Name])
		return r, nil
	case "steal":
		return p.steal(who[0], who[1], who[2]), nil
	case "foreign":
		return p.foreign(who[0]), nil
	}
	kind, body, err := p.control(st, who)
	if err != nil {
		return nil, err
	}
	_, r := p.Write(who[0], kind, body)
	return r, nil
}

// words stand among names and are none.
var words = []string{"admin", "member", "by", "of", "via", "none", "store", "both"}

// named finds the people among the arguments: all but codes and roles.
func (p *play) named(args []string) ([]*Person, error) {
	var out []*Person
	for _, a := range args {
		if _, isCode := p.codes[a]; isCode || slices.Contains(words, a) {
			continue
		}
		q, err := p.Person(a)
		if err != nil {
			return nil, err
		}
		out = append(out, q)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("nobody named")
	}
	return out, nil
}

func (p *play) control(st Step, who []*Person) (groups.Kind, any, error) {
	me, last := who[0], who[len(who)-1]
	s := me.Log.State()
	switch st.Verb {
	case "remove":
		return groups.KindRemove, groups.RemoveBody{Account: last.Account, Pins: me.Log.PinsFor(last.Account)}, nil
	case "leave":
		return groups.KindLeave, groups.LeaveBody{Pins: me.Log.PinsFor(me.Account)}, nil
	case "ack":
		return groups.KindAck, groups.AckBody{}, nil
	case "rekey":
		return groups.KindRekey, nil, nil
	case "role":
		role := groups.RoleMember
		if st.Args[2] == "admin" {
			role = groups.RoleAdmin
		}
		return groups.KindRole, groups.RoleBody{OwnOp: s.OwnOp(), Account: last.Account, Role: uint64(role), Pins: me.Log.PinsFor(last.Account)}, nil
	case "policy":
		b, err := policyOf(st.Options, uint64(s.Cap()), s.Policy())
		b.OwnOp = s.OwnOp()
		if b.Policy.Posting == groups.PostAdmins {
			b.Pins = me.pinsOfAll()
		}
		return groups.KindPolicy, b, err
	case "transfer":
		return groups.KindTransfer, p.Transfer(me, last), nil
	case "succeed":
		return groups.KindSucceed, p.Succeed(me, who[1], who[2:]), nil
	case "unplug":
		return p.unplug(st, me, last)
	case "rights":
		return groups.KindHarbor, groups.HarborBody{Change: true, OwnOp: s.OwnOp(), Harbor: last.Inc, Rights: rightsOf(st.Args[2])}, nil
	case "accuse":
		return p.accuse(me, last)
	case "revoke":
		return groups.KindInviteRevoke, groups.InviteRevokeBody{Invite: p.codes[st.Args[1]].ID}, nil
	}
	return 0, nil, fmt.Errorf("unknown step %q", st.Verb)
}

func (p *play) invite(st Step) (*groups.Refusal, error) {
	who, err := p.Person(st.Args[0])
	if err != nil {
		return nil, err
	}
	uses, days := 10, 7
	if v := st.Options["uses"]; v != "" {
		if uses, err = strconv.Atoi(v); err != nil {
			return nil, err
		}
	}
	if v := st.Options["days"]; v != "" {
		if days, err = strconv.Atoi(v); err != nil {
			return nil, err
		}
	}
	seed := make([]byte, 32)
	if _, err := io.ReadFull(p.rand, seed); err != nil {
		return nil, err
	}
	inv := Invite{Key: ed25519.NewKeyFromSeed(seed), Inviter: who}
	b := groups.InviteBody{InvitePk: [32]byte(inv.Key.Public().(ed25519.PublicKey)), MaxUses: uint64(uses),
		NotAfterMs: p.NowMs + uint64(days)*86_400_000, Role: uint64(groups.RoleMember)}
	if st.Options["approval"] == "yes" {
		b.Approval = 1
	}
	if st.Options["asleep"] == "yes" {
		b.KemPk = p.Add("key of " + st.Args[1]).kemPublic()
	}
	switch v := st.Options["redeem"]; v {
	case "", "any":
	case "admins":
		b.Redeem = groups.RedeemAdmins
	default:
		q, err := p.Person(v)
		if err != nil {
			return nil, err
		}
		b.Redeem, b.Incs = groups.RedeemListed, []wire.OpID{q.Inc}
	}
	o, r := p.Write(who, groups.KindInvite, b)
	if r == nil {
		inv.ID = o.ID
		p.codes[st.Args[1]] = inv
	}
	return r, nil
}

func (p *play) join(st Step) (*groups.Refusal, error) {
	if len(st.Args) != 4 || st.Args[2] != "via" {
		return nil, fmt.Errorf("want: join NEWCOMER CODE via SPONSOR")
	}
	q, err := p.Person(st.Args[0])
	if err != nil {
		return nil, err
	}
	sponsor, err := p.Person(st.Args[3])
	if err != nil {
		return nil, err
	}
	inv, ok := p.codes[st.Args[1]]
	if !ok {
		return nil, fmt.Errorf("no code %q", st.Args[1])
	}
	return p.admit(sponsor, q, p.Request(q, sponsor, &inv)), nil
}

// admit asks what a sponsor answers, then writes the admit; the two must
// agree.
func (p *play) admit(sponsor, q *Person, b groups.AdmitBody) *groups.Refusal {
	p.asked[q.Name] = b
	_, _, reason := sponsor.Log.MayAdmit(sponsor.Inc, b.Request, b.Sig, b.UseSig, p.NowMs)
	o, r := p.Write(sponsor, groups.KindAdmit, b)
	switch {
	case r == nil && reason != groups.ReasonNone:
		return &groups.Refusal{Reason: reason, Detail: "but the admit was accepted"}
	case r != nil && r.Reason != reason && !(reason == groups.ReasonNotSeated && r.Reason == groups.ReasonIncNotLive):
		return &groups.Refusal{Reason: r.Reason, Detail: "but the sponsor answered " + reason.String()}
	case r == nil:
		q.Inc = o.ID
	}
	return r
}

func (p *play) tick(d string) error {
	ms, err := parseMs(d)
	p.NowMs += ms
	return err
}

// parseMs reads 3d, 5h or 2m.
func parseMs(d string) (uint64, error) {
	unit := map[byte]uint64{'d': 86_400_000, 'h': 3_600_000, 'm': 60_000}[d[len(d)-1]]
	n, err := strconv.ParseUint(d[:len(d)-1], 10, 32)
	if err != nil || unit == 0 {
		return 0, fmt.Errorf("want 3d, 5h or 2m, got %q", d)
	}
	return n * unit, nil
}

func policyOf(o map[string]string, cap uint64, pol groups.Policy) (groups.PolicyBody, error) {
	b := groups.PolicyBody{Cap: cap, Policy: pol}
	for k, v := range o {
		n, numErr := strconv.ParseUint(v, 10, 32)
		words := map[string]map[string]uint64{
			"history": {"none": groups.HistoryNone, "all": groups.HistoryAll},
			"who":     {"owner": groups.InviteOwner, "admins": groups.InviteAdmins, "members": groups.InviteMembers},
			"posting": {"all": groups.PostAll, "admins": groups.PostAdmins},
		}
		if k == "direct" {
			continue // an account, not a number
		}
		if w, ok := words[k][v]; ok {
			n, numErr = w, nil
		}
		if numErr != nil {
			return b, fmt.Errorf("option %s=%s: %w", k, v, numErr)
		}
		switch k {
		case "cap":
			b.Cap = n
		case "waitlist":
			b.Policy.Waitlist = n
		case "history":
			b.Policy.HistoryDays = n
		case "who":
			b.Policy.WhoInvites = n
		case "posting":
			b.Policy.Posting = n
		case "succeed":
			b.Policy.SucceedDays = n
		default:
			return b, fmt.Errorf("unknown option %q", k)
		}
	}
	return b, nil
}

// expect compares what everybody online holds.
func (p *play) expect(st Step) error {
	for _, q := range p.People {
		if q.Log == nil || q.Offline {
			continue
		}
		if err := p.holds(q.Log, st); err != nil {
			return fmt.Errorf("%s sees: %w", q.Name, err)
		}
	}
	return nil
}

func (p *play) holds(l *groups.Log, st Step) error {
	s := l.State()
	want := st.Args[1:]
	list := func(keep func(groups.Member) bool) (names []string) {
		for _, m := range s.Members() {
			if keep(m) {
				names = append(names, p.nameOf(m.Account))
			}
		}
		return names
	}
	seated := func(m groups.Member) bool { return m.Status == groups.StatusSeated }
	var got []string
	switch st.Args[0] {
	case "seated":
		want = slices.Sorted(slices.Values(want))
		got = slices.Sorted(slices.Values(list(seated)))
	case "order":
		got = list(seated)
	case "waitlist":
		got = list(func(m groups.Member) bool { return m.Status == groups.StatusWaitlisted })
	case "gone":
		want = slices.Sorted(slices.Values(want))
		got = slices.Sorted(slices.Values(list(func(m groups.Member) bool { return m.Status >= groups.StatusLeft })))
	case "count":
		got = []string{strconv.Itoa(s.SeatCount()), strconv.Itoa(s.WaitCount())}
	case "role":
		q, err := p.Person(want[0])
		if err != nil {
			return err
		}
		got = []string{want[0], s.Role(q.Account).String()}
	case "rekey":
		got = []string{yesNo(l.NeedRekey())}
	case "devices":
		q, err := p.Person(want[0])
		if err != nil {
			return err
		}
		m, _ := s.Member(q.Account)
		n := 0
		for _, i := range m.Incs {
			if i.Seated {
				n++
			}
		}
		got = []string{want[0], strconv.Itoa(n)}
	case "harbor":
		q, err := p.Person(want[0])
		if err != nil {
			return err
		}
		_, ok := s.HarborByPeer(q.Keys.PeerKey())
		got = []string{want[0], yesNo(ok)}
	case "shown", "folded":
		got = p.standing(l, want, st.Args[0] == "shown")
	case "provisional":
		q, err := p.Person(want[0])
		if err != nil {
			return err
		}
		m, _ := s.Member(q.Account)
		got = []string{want[0], yesNo(m.Provisional)}
	case "settled":
		own := s.Ownership()
		got = []string{yesNo(own[len(own)-1].Settled)}
	case "forks":
		got = []string{strconv.Itoa(len(s.Forks()))}
	case "cap":
		got = []string{strconv.Itoa(s.Cap())}
	case "used":
		v, _ := s.Invite(p.codes[want[0]].ID)
		got = []string{want[0], strconv.Itoa(v.Used)}
	case "reader":
		q, err := p.Person(want[0])
		if err != nil {
			return err
		}
		got = []string{want[0], "no"}
		if e := l.Eligible(); len(e) > 0 && slices.ContainsFunc(l.Recipients(e[0].Rekey), func(r groups.Recipient) bool { return r.Inc == q.Inc }) {
			got[1] = "yes"
		}
	default:
		return fmt.Errorf("unknown expectation %q", st.Args[0])
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s %v, want %v", st.Args[0], got, want)
	}
	return nil
}

func (p *play) nameOf(a wire.AccountID) string {
	for _, q := range p.People {
		if q.Account == a {
			return q.Name
		}
	}
	return a.Short()
}
