package groupstest

import (
	"fmt"
	"slices"
	"strconv"

	"mutuals/groups"
	"mutuals/identity/wire"
)

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
	case "stale":
		e := l.Eligible()
		got = []string{yesNo(len(e) > 0 && l.Stale(e[0], p.NowMs))}
	case "keys":
		q, err := p.Person(want[0])
		if err != nil {
			return err
		}
		by, err := p.Person(want[2])
		if err != nil {
			return err
		}
		n := 0
		for _, e := range l.Epochs() {
			if l.MayHaveKey(q.Inc, by.Inc, e.EID, 0) {
				n++
			}
		}
		got = []string{want[0], "from", want[2], strconv.Itoa(n)}
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
