package groups

import (
	"slices"

	"mutuals/identity/wire"
)

// Descent is one admission in the tree of who came through whom. An account
// that left and came back stands once for each admission that matters.
type Descent struct {
	Via     wire.OpID // the admission, or the genesis
	Account wire.AccountID
	Parent  wire.OpID      // the admission it came through; zero for the founder
	Inviter wire.AccountID // whose that was; zero for the founder
	Depth   int            // 0 for the founder
	Present bool           // the account is seated or waits by this admission
}

// Tree lists who came through whom (R66): the founder first, each followed by
// those who came through it, by order key. In it are the present members, and
// whoever is gone that one of them came through, or that left or was removed.
func (s *State) Tree() []Descent {
	t := s.descents()
	var out []Descent
	t.walk(genesisAt, 0, func(d Descent) bool {
		out = append(out, d)
		return true
	})
	return out
}

// Branch lists what removing an account with everybody who came through it
// takes away, as one account may: out in the order of the tree, and in stay
// those it may not remove, whose own branches then stay too (R66). Both are
// empty when none of them is here.
func (s *State) Branch(by, root wire.AccountID) (out, stay []wire.AccountID) {
	t := s.descents()
	for _, i := range t.of[root] {
		t.walk(i, 0, func(d Descent) bool {
			switch {
			case !d.Present || slices.Contains(out, d.Account):
				return true
			case outranks(s, by, d.Account) != nil:
				if !slices.Contains(stay, d.Account) {
					stay = append(stay, d.Account)
				}
				return false
			}
			out = append(out, d.Account)
			return true
		})
	}
	return out, stay
}

// descents is the tree at work: admissions by their place.
type descents struct {
	r     *resolution
	below map[int][]int            // by admission: those that came through it, by order key
	of    map[wire.AccountID][]int // the admissions of an account, by order key
	held  map[int]bool             // somebody here holds a place by it
}

func (s *State) descents() descents {
	t := descents{s.r, map[int][]int{}, map[wire.AccountID][]int{}, map[int]bool{}}
	var all indexes
	for _, m := range s.Members() {
		at, _ := s.find(m.Via)
		t.held[at] = m.Status == StatusSeated || m.Status == StatusWaitlisted
		for ; at >= 0 && !all.has(at); at = s.r.parent(at) {
			all = all.with(at)
			if up := s.r.parent(at); up >= 0 {
				t.below[up] = append(t.below[up], at)
			}
			a := s.r.nodes[at].account
			t.of[a] = append(t.of[a], at)
		}
	}
	for _, list := range t.below {
		s.r.sortByKey(list)
	}
	for _, list := range t.of {
		s.r.sortByKey(list)
	}
	return t
}

// walk goes down from one admission, as long as each says so.
func (t descents) walk(at, depth int, each func(Descent) bool) {
	n := t.r.nodes[at]
	d := Descent{Via: n.op.ID, Account: n.account, Depth: depth, Present: t.held[at]}
	if up := t.r.parent(at); up >= 0 {
		d.Parent, d.Inviter = t.r.nodes[up].op.ID, t.r.nodes[up].account
	}
	if !each(d) {
		return
	}
	for _, i := range t.below[at] {
		t.walk(i, depth+1, each)
	}
}

// parent is the admission of the account an admission came through: whoever
// made its invite, or pulled it in; -1 for the genesis.
func (r *resolution) parent(at int) int {
	n := r.nodes[at]
	switch {
	case at == genesisAt:
		return -1
	case n.cites >= 0:
		return r.base(r.nodes[n.cites].inc)
	}
	return r.base(n.inc)
}
