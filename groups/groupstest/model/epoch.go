package model

import (
	"bytes"
	"math"
	"slices"

	"mutuals/groups"
	"mutuals/identity/wire"
)

// Content (R29 to R31) and epochs (R33 to R37).

func (g *Group) judgeContent(o *groups.Op) (Verdict, string) {
	if why := g.antichain(o); why != "" {
		return Refused, why
	}
	inc := g.byID[o.IncID()]
	past := g.upTo(o.Heads)
	if !past[inc] {
		return Refused, "R29: its inc"
	}
	seq, prev := uint64(0), wire.OptID{}
	last := g.content[inc.ID]
	if last != nil {
		seq, prev = last.Seq, wire.SomeID(last.ID)
	}
	switch {
	case o.Seq <= seq:
		return Ignored, "R4: at or behind the head"
	case o.Seq > seq+1 || !bytes.Equal(o.Prev, prev):
		return Parked, "R29: a predecessor is missing"
	}
	if last != nil {
		for _, h := range last.Heads {
			if !past[g.byID[h]] {
				return Refused, "R29: heads"
			}
		}
		if last.HLC > o.HLC {
			return Refused, "R11: behind its predecessor"
		}
	}
	v := g.At(o.Heads)
	if inc.isHarbor() || !v.live(inc) || !v.uncut(inc) || !v.isSeated(inc.who) || !v.mayPost(inc.who) {
		return Refused, "R30"
	}
	return Taken, ""
}

func (v *View) mayPost(a wire.AccountID) bool {
	return v.Policy().Posting == groups.PostAll || v.role(a) <= groups.RoleAdmin
}

// pinned is the highest seq of inc that an operation lets stand.
func pinned(o *node, inc wire.OpID) uint64 {
	var pins []groups.Pin
	switch b := o.Body.(type) {
	case *groups.LeaveBody:
		pins = b.Pins
	case *groups.RemoveBody:
		pins = b.Pins
	case *groups.RoleBody:
		pins = b.Pins
	case *groups.PolicyBody:
		pins = b.Pins
	case *groups.DevRevokeBody:
		pins = b.Pins
	case *groups.FaultBody:
		pins = b.Pins
	}
	for _, p := range pins {
		if p.Inc == inc {
			return p.Seq
		}
	}
	return 0
}

// Counts is R31.
func (v *View) Counts(o *groups.Op) bool {
	inc := v.g.byID[o.IncID()]
	if !v.incValid(inc) || o.Seq > v.Limit(inc.ID) {
		return false
	}
	if !v.ofNamedBranch(o, inc) {
		return false
	}
	seen := v.g.upTo(o.Heads)
	for _, s := range v.silences(inc.who) {
		if !seen[s] && o.Seq > pinned(s, inc.ID) {
			return false
		}
	}
	return true
}

// ofNamedBranch is what R46 says of one operation alone: at the place that the
// first proof of a contradiction pinned it is the one pinned.
func (v *View) ofNamedBranch(o *groups.Op, inc *node) bool {
	var first *node
	for _, c := range v.cutsOf[inc] {
		b, ok := c.Body.(*groups.FaultBody)
		if ok && b.Chain == uint64(groups.Content) && (first == nil || c.less(first)) {
			first = c
		}
	}
	if first == nil {
		return true
	}
	for _, p := range first.Body.(*groups.FaultBody).Pins {
		if p.Inc == inc.ID && p.Seq == o.Seq {
			return p.Hash == o.ID
		}
	}
	return true
}

// Limit is the highest seq within the pins of removes, leaves and cuts.
func (v *View) Limit(id wire.OpID) uint64 {
	inc := v.g.byID[id]
	limit := uint64(math.MaxUint64)
	for _, r := range slices.Concat(v.removes(inc.who), v.leaves(inc.who)) {
		if !r.before(inc.base) {
			limit = min(limit, pinned(r, id))
		}
	}
	for _, c := range v.cutsOf[inc] {
		limit = min(limit, pinned(c, id))
	}
	return limit
}

// silences are the valid roles and policies that took an account's right to
// post (R31).
func (v *View) silences(a wire.AccountID) (out []*node) {
	for _, o := range v.ops {
		switch b := o.Body.(type) {
		case *groups.PolicyBody:
			if v.ownerValid(o) && b.Policy.Posting == groups.PostAdmins && a != v.owner() && !v.adminAt(a, o) {
				out = append(out, o)
			}
		case *groups.RoleBody:
			if _, p := v.lawsOf(o.past); v.ownerValid(o) && b.Account == a && groups.Role(b.Role) == groups.RoleMember && p.Posting == groups.PostAdmins {
				out = append(out, o)
			}
		}
	}
	return out
}

// Recipient is one of an epoch (R33).
type Recipient struct {
	ID     wire.OpID
	Invite bool
}

// ends are every valid remove, leave and cut: a dev-revoke that reaches nobody
// let in is none.
func (v *View) ends() (out []*node) {
	for _, o := range v.ops {
		if (o.Kind == groups.KindRemove || o.Kind == groups.KindLeave) && v.validOp(o) {
			out = append(out, o)
		}
	}
	for _, cuts := range v.cutsOf {
		out = append(out, cuts...)
	}
	return out
}

func compareIDs(a, b Recipient) int { return bytes.Compare(a.ID[:], b.ID[:]) }

// Recipients of a rekey written on v at an hour (R33).
func (v *View) Recipients(hlc uint64) []Recipient {
	var devices, codes []Recipient
	for _, i := range v.incs() {
		if v.seatedInc(i) {
			devices = append(devices, Recipient{ID: i.ID})
		}
	}
	slices.SortFunc(devices, compareIDs)
	var invites []*node
	for _, i := range v.ops {
		b, ok := i.Body.(*groups.InviteBody)
		if ok && len(b.KemPk) > 0 && v.liveInvite(i, hlc) && v.isSeated(i.inc.who) && v.knowsEnds(i) && v.seatsAll(i) {
			invites = append(invites, i)
		}
	}
	slices.SortFunc(invites, func(a, b *node) int { // newest first
		if b.less(a) {
			return -1
		}
		return 1
	})
	of := map[wire.AccountID]int{}
	for _, i := range invites {
		if of[i.inc.who]++; of[i.inc.who] <= groups.MaxSleepProofOf && len(codes) < groups.MaxSleepProof {
			codes = append(codes, Recipient{ID: i.ID, Invite: true})
		}
	}
	slices.SortFunc(codes, compareIDs)
	return append(devices, codes...)
}

// seatedInc: live, uncut, of a seated account.
func (v *View) seatedInc(i *node) bool { return v.live(i) && v.uncut(i) && v.isSeated(i.who) }

// liveInvite: what an admit at that hour could cite.
func (v *View) liveInvite(i *node, hlc uint64) bool {
	b := i.Body.(*groups.InviteBody)
	return v.validOp(i) && !v.revoked(i) && v.live(i.inc.base) && hlc <= b.NotAfterMs && uint64(len(v.citing(i))) < b.MaxUses
}

func (v *View) knowsEnds(i *node) bool {
	return !slices.ContainsFunc(v.ends(), func(e *node) bool { return !e.before(i) })
}

func (v *View) seatsAll(i *node) bool {
	return !slices.ContainsFunc(v.citing(i), func(o *node) bool { return !v.isSeated(o.who) })
}

// Eligible is R34.
func (v *View) Eligible(id wire.OpID) bool {
	k := v.g.byID[id]
	if k == nil || !v.in[k] || k.Kind != groups.KindRekey || !v.validOp(k) {
		return false
	}
	then := v.g.At(k.Heads)
	devices := map[wire.AccountID]bool{}
	var codes []*node
	for _, r := range then.Recipients(k.HLC) {
		n := v.g.byID[r.ID]
		if r.Invite {
			codes = append(codes, n)
			continue
		}
		devices[n.who] = true
		if !v.seatedInc(n) {
			return false
		}
	}
	for _, e := range v.ends() {
		if !e.before(k) || slices.ContainsFunc(codes, func(c *node) bool { return !e.before(c) }) {
			return false
		}
	}
	for _, c := range codes {
		for _, r := range v.revoking(c) {
			if v.revokes1(c)(r) && !r.before(k) {
				return false
			}
		}
		for _, o := range v.citing(c) {
			if !o.before(k) && !v.isSeated(o.who) {
				return false
			}
		}
	}
	for _, o := range v.ops {
		if o.Kind == groups.KindAdmit && !o.before(k) && !v.isSeated(o.who) {
			line := o.inc
			for !line.before(k) {
				line = line.inc
			}
			if line.isHarbor() && then.inOffice(line) || !line.isHarbor() && then.isSeated(line.who) {
				return false
			}
		}
	}
	for _, i := range v.incs() {
		if v.live(i) && i.base.before(k) && v.isSeated(i.who) && !then.isSeated(i.who) {
			return false
		}
	}
	if v.Policy().HistoryDays == groups.HistoryNone {
		for _, i := range v.incs() {
			if v.seatedInc(i) && !devices[i.who] {
				return false
			}
		}
	}
	return true
}

// rekeys, best first: highest generation, then lowest order key (R35).
func (v *View) rekeys() (out []*node) {
	for _, o := range v.ops {
		if o.Kind == groups.KindRekey {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b *node) int {
		x, y := a.Body.(*groups.RekeyBody).Gen, b.Body.(*groups.RekeyBody).Gen
		if x > y || x == y && a.less(b) {
			return -1
		}
		return 1
	})
	return out
}

// NeedRekey: with no eligible epoch, or with a valid ineligible rekey of a
// higher generation (R35).
func (v *View) NeedRekey() bool {
	gen, found := uint64(0), false
	for _, k := range v.rekeys() {
		if !found && v.Eligible(k.ID) {
			gen, found = k.Body.(*groups.RekeyBody).Gen, true
		}
	}
	return !found || slices.ContainsFunc(v.rekeys(), func(k *node) bool {
		return v.validOp(k) && !v.Eligible(k.ID) && k.Body.(*groups.RekeyBody).Gen > gen
	})
}

// named is the epoch an eid means: the rekey of lowest order key (R32).
func (v *View) named(eid [32]byte) (k *node) {
	for _, o := range v.rekeys() {
		if o.Body.(*groups.RekeyBody).EID == eid && (k == nil || o.less(k)) {
			k = o
		}
	}
	return k
}

// Reads is R36.
func (g *Group) Reads(heads []wire.OpID, eid [32]byte) bool {
	v := g.At(heads)
	k := v.named(eid)
	return k != nil && v.Eligible(k.ID)
}

// inUse: eligible, of the highest generation that is.
func (v *View) inUse(k *node) bool {
	if !v.in[k] || !v.Eligible(k.ID) {
		return false
	}
	return !slices.ContainsFunc(v.rekeys(), func(o *node) bool {
		return o.Body.(*groups.RekeyBody).Gen > k.Body.(*groups.RekeyBody).Gen && v.Eligible(o.ID)
	})
}

// MayHaveKey is R37; saidMs is the hlc of content under the epoch that the giver
// holds, 0 for none.
func (v *View) MayHaveKey(asker, by wire.OpID, eid [32]byte, saidMs uint64) bool {
	i, k := v.g.byID[asker], v.named(eid)
	if i == nil || k == nil || !i.isInc || i.isHarbor() || !v.seatedInc(i) {
		return false
	}
	if giver := v.g.byID[by]; giver != nil && giver.isInc && !giver.isHarbor() && giver.who == i.who {
		return true
	}
	for _, r := range v.g.At(k.Heads).Recipients(k.HLC) {
		if !r.Invite && v.g.byID[r.ID].who == i.who {
			return true
		}
	}
	days := v.Policy().HistoryDays
	switch days {
	case groups.HistoryAll:
		return true
	case groups.HistoryNone:
		return false
	}
	return max(k.HLC, saidMs)+days*dayMs >= i.base.HLC || v.inUse(k) ||
		len(i.base.Heads) > 0 && v.g.At(i.base.Heads).inUse(k)
}
