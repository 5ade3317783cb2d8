package groups

import (
	"slices"

	"mutuals/identity/wire"
)

// Seats (R27, R28).

func (r *resolution) stageSeats() {
	r.stagePolicy()
	first := map[wire.AccountID]int{}
	for a, incs := range r.live {
		first[a] = r.admission(incs)
		r.seats = append(r.seats, a)
	}
	rank := func(a wire.AccountID) Role { return r.role(a) }
	ranks := make(map[wire.AccountID]Role, len(r.seats))
	for _, a := range r.seats {
		ranks[a] = rank(a)
	}
	slices.SortFunc(r.seats, func(a, b wire.AccountID) int {
		if d := int(ranks[a]) - int(ranks[b]); d != 0 {
			return d
		}
		return r.compareSeen(first[a], first[b])
	})
	r.seat = make(map[wire.AccountID]int, len(r.seats))
	for at, a := range r.seats {
		r.seat[a] = at
	}
}

// admission is the first of the admissions some live devices of an account
// rest on, by (seen, order key): what its seat is counted by.
func (r *resolution) admission(live []int) int {
	first := r.base(live[0])
	for _, i := range live[1:] {
		if b := r.base(i); r.compareSeen(b, first) < 0 {
			first = b
		}
	}
	return first
}

func (r *resolution) role(a wire.AccountID) Role {
	switch {
	case a == r.owner():
		return RoleOwner
	case len(r.grants[a]) > 0 && r.adminNow(a):
		return RoleAdmin
	}
	return RoleMember
}

// stagePolicy takes the causally latest valid policy; of concurrent ones
// what is narrower (R28).
func (r *resolution) stagePolicy() {
	g := r.genesis()
	r.cap, r.policy = int(g.Cap), g.Policy
	var set []int
	for _, i := range r.in {
		if r.nodes[i].op.Kind == KindPolicy && r.ownerValid(i) {
			set = append(set, i)
		}
	}
	first := true
	for _, i := range set {
		if slices.ContainsFunc(set, func(j int) bool { return r.before(i, j) }) {
			continue
		}
		b := r.nodes[i].op.Body.(*PolicyBody)
		if first {
			r.cap, r.policy, first = int(b.Cap), b.Policy, false
			continue
		}
		r.cap, r.policy = min(r.cap, int(b.Cap)), r.policy.narrower(b.Policy)
	}
	r.policy.Direct = g.Policy.Direct
	for _, i := range r.in {
		switch b := r.nodes[i].op.Body.(type) {
		case *PolicyBody:
			if r.valid[i] && b.Policy.Posting == PostAdmins {
				r.quiets = append(r.quiets, i)
			}
		case *RoleBody:
			if r.valid[i] && b.Role == uint64(RoleMember) {
				r.quiets = append(r.quiets, i)
			}
		}
	}
}

func (r *resolution) seated(a wire.AccountID) bool {
	at, ok := r.seat[a]
	return ok && at < r.cap
}
