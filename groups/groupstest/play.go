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
		ms, err := ParseMs(back)
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
		return nil, p.forksay(st, who[0])
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
	ms, err := ParseMs(d)
	p.NowMs += ms
	return err
}

// ParseMs reads 3d, 5h or 2m.
func ParseMs(d string) (uint64, error) {
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
