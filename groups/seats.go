package groups

import (
	"slices"

	"mutuals/identity/wire"
)

// Seats (R27, R28).

func (r *resolution) stageSeats() {
	r.cap, r.policy = int(r.genesis().Cap), r.genesis().Policy
	var policies []int
	for i := range r.set.all() {
		if r.nodes[i].op.Kind == KindPolicy && r.valid.has(i) {
			policies = append(policies, i)
		}
		r.list(i)
	}
	r.stagePolicy(policies)
	slices.SortFunc(r.rekeys, func(a, b int) int { return r.better(b, a) })
	for a, p := range r.people.all() {
		if r.present(a, p) {
			r.seats = append(r.seats, a)
		}
	}
	slices.SortFunc(r.seats, func(a, b wire.AccountID) int { return r.compareSeats(r.people.get(a), r.people.get(b)) })
}

// present finds whether an account is a candidate, and by what its seat is
// counted.
func (r *resolution) present(a wire.AccountID, p *person) bool {
	live := r.liveOf(*p)
	if p.here = len(live) > 0; p.here {
		p.first, p.rank = r.admission(live), r.role(a)
	}
	return p.here
}

func (r *resolution) compareSeats(a, b *person) int {
	if d := int(a.rank) - int(b.rank); d != 0 {
		return d
	}
	return r.compareSeen(a.first, b.first)
}

// seat is the place of a candidate among them.
func (r *resolution) seat(p *person) int {
	at, _ := slices.BinarySearchFunc(r.seats, p, func(a wire.AccountID, p *person) int {
		return r.compareSeats(r.people.get(a), p)
	})
	return at
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
	case r.adminNow(a):
		return RoleAdmin
	}
	return RoleMember
}

// stagePolicy takes the causally latest valid policy; of concurrent ones
// what is narrower (R28).
func (r *resolution) stagePolicy(set []int) {
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
	r.policy.Direct = r.genesis().Policy.Direct
}

// list notes what is looked for later: rekeys, sleep-proof invites, and what
// may take the right to post.
func (r *resolution) list(i int) {
	switch b := r.nodes[i].op.Body.(type) {
	case *RekeyBody:
		r.rekeys = append(r.rekeys, i)
	case *InviteBody:
		if len(b.KemPk) > 0 {
			r.sleepProof = append(r.sleepProof, i)
		}
	case *PolicyBody:
		if r.valid.has(i) && b.Policy.Posting == PostAdmins {
			r.quiets = append(r.quiets, i)
		}
	case *RoleBody:
		if r.valid.has(i) && b.Role == uint64(RoleMember) {
			r.quiets = append(r.quiets, i)
		}
	}
}

// candidate tells whether an account has a seat or waits for one.
func (r *resolution) candidate(a wire.AccountID) bool {
	p := r.people.get(a)
	return p != nil && p.here
}

func (r *resolution) seated(a wire.AccountID) bool {
	p := r.people.get(a)
	return p != nil && p.here && (len(r.seats) <= r.cap || r.seat(p) < r.cap)
}
