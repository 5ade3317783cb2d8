package groupstest

import (
	"fmt"
	"slices"

	"mutuals/groups"
	"mutuals/identity/wire"
)

// The steps of a scenario about devices, harbors, messages and lies.

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func rightsOf(word string) uint64 {
	switch word {
	case "store":
		return groups.RightStore
	case "both", "":
		return groups.RightStore | groups.RightSponsor
	}
	return 0
}

func (p *play) device(st Step) error {
	if len(st.Args) != 3 || st.Args[1] != "of" {
		return fmt.Errorf("want: device NAME of WHO")
	}
	owner, err := p.Person(st.Args[2])
	if err != nil {
		return err
	}
	p.Device(st.Args[0], owner, st.Options["root"] == "yes").Log = nil
	return nil
}

// enter lets a device or a harbor in.
func (p *play) enter(st Step, who []*Person) (*groups.Refusal, error) {
	by, q := who[0], who[len(who)-1]
	kind, body := groups.KindDevAdd, any(nil)
	if st.Verb == "harbor" {
		kind, body = groups.KindHarbor, p.Appoint(by, q, rightsOf(st.Options["rights"]))
	} else {
		body = p.DevAdd(by, q)
	}
	o, r := p.Write(by, kind, body)
	if r != nil {
		return r, nil
	}
	q.Inc = o.ID
	if q.Log == nil {
		genesis := by.Log.Ops()[0]
		q.know(genesis)
	}
	p.Give(q, by.Log.Ops()...)
	return nil, nil
}

func (p *play) unplug(st Step, me, q *Person) (groups.Kind, any, error) {
	var keep []wire.DeviceID
	if name := st.Options["keep"]; name != "" {
		k, err := p.Person(name)
		if err != nil {
			return 0, nil, err
		}
		keep = append(keep, k.Keys.ID())
	}
	return groups.KindDevRevoke, p.DevRevoke(me, q, st.Options["root"] == "yes", keep...), nil
}

func (p *play) say(st Step) (*groups.Refusal, error) {
	who, err := p.Person(st.Args[0])
	if err != nil {
		return nil, err
	}
	o, r := p.Say(who)
	if r == nil {
		p.said[st.Args[1]] = o
	}
	return r, nil
}

// standing lists which of some messages count, or do not.
func (p *play) standing(l *groups.Log, tags []string, shown bool) []string {
	var out []string
	for _, tag := range tags {
		o := p.said[tag]
		if o == nil {
			return []string{"no message " + tag}
		}
		if (l.Standing(o) == groups.Counts) == shown {
			out = append(out, tag)
		}
	}
	return out
}

// fork writes two acks of one seq, as two copies of one home would.
func (p *play) fork(who *Person) error {
	var sides []*groups.Op
	for range 2 {
		o, r := p.compose(who.Log, who, groups.KindAck, groups.AckBody{})
		if r != nil {
			return r
		}
		sides = append(sides, o)
		p.NowMs++
	}
	for _, o := range sides {
		if r := p.own(who, o); r != nil {
			return r
		}
	}
	return nil
}

// forksay writes two messages of one seq; the others take the first, and one of
// them, who does not hear that, may be told the second.
func (p *play) forksay(st Step, who *Person) error {
	second := p.composeContent(who.Log, who)
	if name := st.Options["to"]; name != "" {
		q, err := p.Person(name)
		if err != nil {
			return err
		}
		p.Give(q, second)
	}
	first, r := p.Say(who)
	if r != nil {
		return r
	}
	p.said[who.Name+"1"], p.said[who.Name+"2"] = first, second
	p.forks[who] = [2]*groups.Op{first, second}
	return nil
}

// accuse proves a contradiction: of messages, or of control operations.
func (p *play) accuse(me, q *Person) (groups.Kind, any, error) {
	if f, ok := p.forks[q]; ok {
		b, err := me.Log.NewFault([]*groups.Op{f[0]}, []*groups.Op{f[1]})
		return groups.KindFault, b, err
	}
	first := map[uint64]*groups.Op{}
	for _, o := range me.Log.Ops() {
		if o.IncID() != q.Inc || o.ID == q.Inc {
			continue
		}
		if other := first[o.Seq]; other != nil {
			b, err := me.Log.NewFault([]*groups.Op{other}, []*groups.Op{o})
			return groups.KindFault, b, err
		}
		first[o.Seq] = o
	}
	// Nothing contradicts anything: an accusation all the same.
	b := groups.FaultBody{Inc: q.Inc, Seq: 1, A: groups.Evidence{Op: q.Inc}, B: groups.Evidence{Op: me.Inc}}
	if slices.Compare(b.A.Op[:], b.B.Op[:]) > 0 {
		b.A, b.B = b.B, b.A
	}
	return groups.KindFault, b, nil
}

// steal passes off somebody's join request as the thief's own.
func (p *play) steal(thief, newcomer, sponsor *Person) *groups.Refusal {
	b := p.asked[newcomer.Name]
	own := p.Request(thief, sponsor, nil)
	b.Request.Newcomer, b.Request.Chain, b.Request.Pop, b.Request.KemPk = thief.Account, own.Request.Chain, own.Request.Pop, own.Request.KemPk
	b.Sig = b.Request.Sign(thief.Keys.Op)
	_, r := p.Write(sponsor, groups.KindAdmit, b)
	return r
}

// foreign gives everybody an operation by who that was signed for another
// group: the refusal is that of the last to hear it.
func (p *play) foreign(who *Person) *groups.Refusal {
	o, r := p.compose(who.Log, who, groups.KindAck, groups.AckBody{})
	if r != nil {
		return r
	}
	sig := wire.Sign(wire.DomainOp, who.Keys.Op, wire.Context{1}, o.Core)
	forged, r := groups.Decode(slices.Concat(o.Core, sig[:]))
	if r != nil {
		return r
	}
	j := who.Log.Judge(forged, p.NowMs)
	if j.Verdict == groups.Accept || j.Verdict == groups.Void {
		return nil
	}
	return &groups.Refusal{Reason: j.Reason, Detail: j.Detail}
}

// pinsOfAll pins what everybody said, as far as p has it.
func (p *Person) pinsOfAll() []groups.Pin {
	var out []groups.Pin
	for _, m := range p.Log.State().Members() {
		out = append(out, p.Log.PinsFor(m.Account)...)
	}
	slices.SortFunc(out, func(a, b groups.Pin) int { return slices.Compare(a.Inc[:], b.Inc[:]) })
	return out
}
