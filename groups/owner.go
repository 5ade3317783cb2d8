package groups

import (
	"slices"

	"mutuals/identity/wire"
)

// ownership is who the owner is from an operation on.
type ownership struct {
	op    int
	owner wire.AccountID
}

// stageOwnership follows, from the genesis on, who handed the group to whom:
// of the rivals under one ownership the first by compareRivals (R21).
func (r *resolution) stageOwnership() {
	r.owners = []ownership{{op: genesisAt, owner: r.nodes[genesisAt].account}}
	for handovers := r.handovers(); len(handovers) > 0; {
		rivals := r.rivals(handovers, r.owners[len(r.owners)-1])
		if len(rivals) == 0 {
			return
		}
		next := slices.MinFunc(rivals, compareRivals)
		r.owners = append(r.owners, ownership{op: next.op, owner: next.heir})
	}
}

// rival is an operation that would end an ownership.
type rival struct {
	op        int
	heir      wire.AccountID
	succeeds  bool
	settled   bool
	followers int
	key       OrderKey
}

// handovers lists the transfers and successions there are.
func (r *resolution) handovers() []int {
	var out []int
	for i := range r.set.all() {
		if r.nodes[i].isHandover() {
			out = append(out, i)
		}
	}
	return out
}

// compareRivals: settled first, then transfers, then more followers, then the
// lowest order key.
func compareRivals(a, b rival) int {
	first := func(x, y bool) int {
		switch {
		case x == y:
			return 0
		case x:
			return -1
		}
		return 1
	}
	if d := first(a.settled, b.settled); d != 0 {
		return d
	}
	if d := first(!a.succeeds, !b.succeeds); d != 0 {
		return d
	}
	if d := b.followers - a.followers; d != 0 {
		return d
	}
	return a.key.Compare(b.key)
}

// rivals lists what may end an ownership: its owner's uncut transfers, the
// admins' successions that no sign of life contradicts, and whatever of these
// is settled.
func (r *resolution) rivals(handovers []int, w ownership) []rival {
	var out []rival
	under := r.nodes[w.op].op.ID
	for _, i := range handovers {
		c := rival{op: i, key: r.nodes[i].key}
		switch b := r.nodes[i].op.Body.(type) {
		case *TransferBody:
			if b.OwnOp != under || r.nodes[i].author != w.owner {
				continue
			}
			c.heir = b.Heir
		case *SucceedBody:
			if b.OwnOp != under {
				continue
			}
			c.heir, c.succeeds = b.Heir, true
		}
		c.settled = r.settled(i)
		if !c.settled && (r.cut(i) || r.goneMeanwhile(c.heir, i) || c.succeeds && r.alive(w.owner, i)) {
			continue
		}
		out = append(out, c)
	}
	if len(out) > 1 {
		r.countFollowers(out)
	}
	return out
}

// alive tells whether an account wrote something uncut without knowing of o:
// a sign of life that whoever wrote o had not seen.
func (r *resolution) alive(a wire.AccountID, o int) bool {
	for i := range r.set.all() {
		if r.nodes[i].author == a && r.concurrent(i, o) && !r.cut(i) {
			return true
		}
	}
	return false
}

// goneMeanwhile tells whether an heir left the group without knowing that it
// was handed over.
func (r *resolution) goneMeanwhile(heir wire.AccountID, o int) bool {
	for i := range r.set.all() {
		n := r.nodes[i]
		if n.op.Kind == KindLeave && n.author == heir && r.concurrent(i, o) && !r.cut(i) {
			return true
		}
	}
	return false
}

// settled tells whether more than half of the settlers of a transfer or
// succession took it to be in force for SettleMs: who writes on knowing that it
// is not does not settle it, and who hears of a back-dated one does not at once.
func (r *resolution) settled(o int) bool {
	others, settle := 0, 0
	for _, a := range r.settlers(o) {
		others++
		if first, last, wrote := r.tookForOwned(a, o); wrote && last >= first+SettleMs {
			settle++
		}
	}
	return 2*settle > others
}

// settlers are those seated in the past of a transfer or succession, but its
// author and heir.
func (r *resolution) settlers(o int) []wire.AccountID {
	n := r.nodes[o]
	heir := heirOf(n.op)
	return slices.DeleteFunc(slices.Clone(n.seated), func(a wire.AccountID) bool { return a == n.author || a == heir })
}

// tookForOwned gives the clocks of an account's first and last uncut operations
// that took o to be in force.
func (r *resolution) tookForOwned(a wire.AccountID, o int) (first, last uint64, wrote bool) {
	for i := range r.set.all() {
		m := r.nodes[i]
		if m.author != a || !slices.Contains(m.owned, o) || r.cut(i) {
			continue
		}
		if !wrote {
			first, last = m.op.HLC, m.op.HLC
		}
		first, last, wrote = min(first, m.op.HLC), max(last, m.op.HLC), true
	}
	return first, last, wrote
}

// OwesWord tells whether an account is to write something now so that the last
// handover settles (R21): a first word on it, or one SettleMs after that.
func (s *State) OwesWord(a wire.AccountID, nowMs uint64) bool {
	o := s.r.owners[len(s.r.owners)-1].op
	if o == genesisAt || s.r.settled(o) || !slices.Contains(s.r.settlers(o), a) {
		return false
	}
	first, last, wrote := s.r.tookForOwned(a, o)
	return !wrote || last < first+SettleMs && nowMs >= first+SettleMs
}

func heirOf(o *Op) wire.AccountID {
	switch b := o.Body.(type) {
	case *TransferBody:
		return b.Heir
	case *SucceedBody:
		return b.Heir
	}
	return wire.AccountID{}
}

// countFollowers counts for each rival the accounts, other than authors and
// heirs, let in before all of them, that wrote something uncut after it and
// after no other.
func (r *resolution) countFollowers(rivals []rival) {
	party := map[wire.AccountID]bool{{}: true} // harbors follow nobody
	for _, c := range rivals {
		party[c.heir], party[r.nodes[c.op].author] = true, true
	}
	follows := make([]map[wire.AccountID]bool, len(rivals))
	for at := range follows {
		follows[at] = map[wire.AccountID]bool{}
	}
	for i := range r.set.all() {
		n := r.nodes[i]
		if party[n.author] || r.cut(i) {
			continue
		}
		base, behind := r.base(n.inc), -1
		known := true
		for at, c := range rivals {
			known = known && r.before(base, c.op)
			if !r.before(c.op, i) {
				continue
			}
			if behind >= 0 {
				known = false
			}
			behind = at
		}
		if known && behind >= 0 {
			follows[behind][n.author] = true
		}
	}
	for at := range rivals {
		rivals[at].followers = len(follows[at])
	}
}
