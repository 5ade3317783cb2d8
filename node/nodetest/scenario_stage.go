package nodetest

import "slices"

// stage is where the people of a scenario are: who hears whom.
type stage struct {
	people  []*Person
	offline map[*Person]bool
	side    map[*Person]int
	beside  map[*Person]*Person // a newcomer stays with who let it in: it is heard when that one is
}

func (s *stage) arrive(p *Person) {
	if s.offline == nil {
		s.offline, s.side, s.beside = map[*Person]bool{}, map[*Person]int{}, map[*Person]*Person{}
	}
	s.people = append(s.people, p)
}

func (s *stage) move(verb string, who []*Person) {
	newest := 0
	for _, side := range s.side {
		newest = max(newest, side)
	}
	for _, p := range who {
		switch verb {
		case "apart":
			s.side[p] = newest + 1
		default:
			s.offline[p] = verb == "offline"
			delete(s.beside, p)
		}
	}
	s.reunite()
}

// together ends what parts those who are online.
func (s *stage) together() {
	clear(s.side)
	s.reunite()
}

// reunite lets newcomers go on their own where that makes no difference.
func (s *stage) reunite() {
	for p, by := range s.beside {
		if s.own(p) == s.place(by) {
			delete(s.beside, p)
		}
	}
}

// place is a part of the network: one person's own, or a side of many.
type place struct {
	alone *Person
	side  int
}

func (s *stage) own(p *Person) place {
	if s.offline[p] {
		return place{alone: p}
	}
	return place{side: s.side[p]}
}

func (s *stage) place(p *Person) place {
	if by := s.beside[p]; by != nil {
		return s.place(by)
	}
	return s.own(p)
}

// stay leaves a newcomer with who let it in, unless the story says where it
// is.
func (s *stage) stay(p, by *Person) {
	if !s.offline[p] && s.place(p) != s.place(by) {
		s.beside[p] = by
	}
}

// watching tells whether the story's expectations are about what somebody
// sees.
func (s *stage) watching(p *Person) bool { return !s.offline[p] && s.beside[p] == nil }

// parts are those of the network, in the order people came.
func (s *stage) parts() [][]*Person {
	var places []place
	var out [][]*Person
	for _, p := range s.people {
		at := slices.Index(places, s.place(p))
		if at < 0 {
			at, places, out = len(places), append(places, s.place(p)), append(out, nil)
		}
		out[at] = append(out[at], p)
	}
	return out
}

// cut cuts the network as the stage is.
func (p *Performance) cut() {
	if parts := p.stage.parts(); len(parts) > 1 {
		p.Cut(parts...)
	} else {
		p.Cut()
	}
}

// visit brings a newcomer to somebody for the time of do: nobody else hears
// the two. Let in, it stays there.
func (p *Performance) visit(q, host *Person, do func() error) error {
	parts := [][]*Person{{q, host}}
	for _, part := range p.stage.parts() {
		if part = slices.DeleteFunc(part, func(o *Person) bool { return o == q || o == host }); len(part) > 0 {
			parts = append(parts, part)
		}
	}
	p.Cut(parts...)
	err := do()
	if err == nil {
		p.stage.stay(q, host)
	}
	p.cut()
	return err
}
