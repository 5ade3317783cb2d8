package model

import (
	"bytes"
	"slices"

	"mutuals/groups"
	"mutuals/identity"
	"mutuals/identity/wire"
)

// Verdict is what the ladder says of an operation, as far as the rules tell
// one answer from another (R4).
type Verdict string

// The verdicts.
const (
	Taken   Verdict = "taken" // accepted; whether it is void is Valid's to say
	Parked  Verdict = "parked"
	Refused Verdict = "refused"
	Held    Verdict = "held"
	Ignored Verdict = "ignored"
)

const (
	minuteMs = 60 * 1000
	dayMs    = 24 * 60 * minuteMs
)

// Judge tells whether o, whose form and signatures hold, is taken in; why names
// the rule when it is not.
func (g *Group) Judge(o *groups.Op, nowMs uint64) (is Verdict, why string) {
	if o.Update {
		return Parked, "R10"
	}
	if g.byID[o.ID] != nil {
		return Ignored, "R4: known"
	}
	for _, h := range o.Heads {
		if g.byID[h] == nil {
			return Parked, "R4: a parent is missing"
		}
	}
	if inc := g.byID[o.IncID()]; inc == nil {
		return Parked, "R4: its inc is missing"
	} else if !inc.isInc {
		return Refused, "R15: its inc is none"
	}
	is, why = Refused, g.refused(o)
	if o.Chain == groups.Content {
		is, why = g.judgeContent(o)
	} else if why == "" {
		is = Taken
	}
	switch { // R11
	case is != Taken:
	case o.HLC > nowMs+dayMs:
		return Ignored, "R11: a day ahead"
	case o.HLC > nowMs+5*minuteMs:
		return Held, "R11: ahead"
	}
	return is, why
}

func (g *Group) refused(o *groups.Op) string {
	if o.Chain != groups.Control {
		return ""
	}
	if why := g.antichain(o); why != "" {
		return why
	}
	if o.Kind == groups.KindGenesis {
		return "another genesis"
	}
	n := g.place(o)
	if prev, ok := o.Prev.Get(); ok {
		p := g.byID[prev]
		if p == nil || p.inc != n.inc || p == n.inc || p.Seq+1 != o.Seq || !p.before(n) {
			return "R6, R15: prev"
		}
		if p.HLC > o.HLC {
			return "R11: behind its predecessor"
		}
	} else if o.Seq != 1 {
		return "R6: no prev"
	}
	if !n.inc.before(n) {
		return "R15: its inc is not in its past"
	}
	v := g.At(o.Heads)
	if n.inc.isHarbor() {
		b, ok := o.Body.(*groups.AdmitBody)
		if !ok || len(b.Request.Invite) == 0 || !v.inOffice(n.inc) {
			return "R18: harbor"
		}
	} else if !v.live(n.inc) || !v.uncut(n.inc) || !v.isSeated(n.inc.who) && o.Kind != groups.KindLeave {
		return "R18"
	}
	return v.may(n)
}

// antichain: heads none of which is before another (R7), nor later than o (R11).
func (g *Group) antichain(o *groups.Op) string {
	for _, a := range o.Heads {
		for _, b := range o.Heads {
			if g.byID[a].before(g.byID[b]) {
				return "R7"
			}
		}
		if g.byID[a].HLC > o.HLC {
			return "R11: behind a parent"
		}
	}
	return ""
}

// may is R19, of o by its past v; empty if it may be written.
func (v *View) may(o *node) string {
	a, _ := o.author()
	role := v.role(a)
	owner := a == v.owner()
	switch o.Kind {
	case groups.KindRemove, groups.KindRole, groups.KindPolicy, groups.KindInvite, groups.KindInviteRevoke, groups.KindTransfer, groups.KindSucceed:
		if v.direct() {
			return "R19: direct"
		}
	}
	if name, named := o.names(); named && o.Kind != groups.KindSucceed && (!owner || name != v.own().ID) {
		return "R19: not the owner, or under another ownership"
	}
	switch b := o.Body.(type) {
	case *groups.AdmitBody:
		return v.mayAdmit(o, b)
	case *groups.LeaveBody:
		if owner && !v.direct() {
			return "R19: the owner stays"
		}
	case *groups.TransferBody:
		return v.mayTransfer(o, b)
	case *groups.SucceedBody:
		return v.maySucceed(o, b)
	case *groups.DevAddBody:
		return v.mayAddDevice(o, b)
	case *groups.DevRevokeBody:
		if b.Revocation.Account != a {
			return "R43"
		}
	case *groups.HarborBody:
		return v.mayAppoint(o, b)
	case *groups.FaultBody:
		return v.mayAccuse(o, b)
	case *groups.RemoveBody:
		if !v.candidate(b.Account) || b.Account == a || !owner && !(role == groups.RoleAdmin && v.role(b.Account) == groups.RoleMember) {
			return "R19: remove"
		}
	case *groups.InviteBody:
		if !v.mayInvite(a) {
			return "R19: invite"
		}
	case *groups.InviteRevokeBody:
		i := v.g.byID[b.Invite]
		if i == nil || !i.before(o) || i.Kind != groups.KindInvite {
			return "R15: the invite"
		}
		if i.inc.who != a && role >= v.role(i.inc.who) {
			return "R19: invite-revoke"
		}
	case *groups.RoleBody:
		if !v.candidate(b.Account) || b.Account == a {
			return "R19: role"
		}
	case *groups.PolicyBody:
		if len(b.Policy.Direct) > 0 {
			return "R19: a group becomes no direct conversation"
		}
		if int(b.Cap) < len(v.seated()) {
			return "R19: cap below seats"
		}
	case *groups.RekeyBody:
		gen := uint64(0)
		for _, k := range v.ops {
			if r, ok := k.Body.(*groups.RekeyBody); ok {
				gen = max(gen, r.Gen)
			}
		}
		if b.Gen != gen+1 || int(b.Count) != len(v.Recipients(o.HLC)) {
			return "R19: rekey"
		}
	}
	return ""
}

// around: ms lies from so many ms before the clock to 5 minutes after.
func around(ms, hlc, before uint64) bool { return ms+before >= hlc && ms <= hlc+5*minuteMs }

// liveIncs are the group's, or one account's if uncut too.
func (v *View) liveIncs(keep func(*node) bool) (n int) {
	for _, i := range v.incs() {
		if v.live(i) && keep(i) {
			n++
		}
	}
	return n
}

// revokedChain: a dev-revoke by the account reaches a chain (identity I15).
func (v *View) revokedChain(a wire.AccountID, chain identity.Chain) bool {
	return slices.ContainsFunc(v.ops, func(o *node) bool {
		b, ok := o.Body.(*groups.DevRevokeBody)
		return ok && o.by(a) && b.Revocation.Reaches(chain)
	})
}

func (v *View) mayAdmit(o *node, b *groups.AdmitBody) string {
	q := b.Request
	if q.Group != wire.GroupID(v.ops[0].ID) {
		return "R13: another group"
	}
	for _, p := range v.ops {
		if other, ok := p.Body.(*groups.AdmitBody); ok && other.Request.Hash() == q.Hash() {
			return "R19: the request admitted somebody"
		}
	}
	switch {
	case !around(q.Ms, o.HLC, groups.RequestMs):
		return "R19: an old request"
	case v.candidate(q.Newcomer):
		return "R19: a candidate"
	case v.direct() && !bytes.Equal(v.Policy().Direct, q.Newcomer[:]):
		return "R19: direct"
	case v.revokedChain(q.Newcomer, q.Chain):
		return "R19: a revoked device"
	case v.liveIncs(func(*node) bool { return true }) >= groups.MaxDevices:
		return "R19: devices"
	}
	if id, ok := q.Invite.Get(); ok {
		if why := v.mayRedeem(o, b, v.g.byID[id]); why != "" {
			return why
		}
	} else if a, ok := o.author(); !ok || a != q.Inviter || !v.mayInvite(a) {
		return "R19: pulled in by another"
	}
	if len(v.seats) >= v.Cap()+int(v.Policy().Waitlist) {
		return "R19: full"
	}
	return ""
}

func (v *View) mayRedeem(o *node, b *groups.AdmitBody, invite *node) string {
	if invite == nil || !invite.before(o) || invite.Kind != groups.KindInvite {
		return "R15: the invite"
	}
	i := invite.Body.(*groups.InviteBody)
	a, person := o.author()
	ranked := person && v.role(a) <= groups.RoleAdmin
	switch {
	case !b.Request.VerifyUse(i.InvitePk, b.UseSig):
		return "R13: the invite's key"
	case invite.inc.who != b.Request.Inviter:
		return "R19: another's invite"
	case slices.ContainsFunc(v.removes(b.Request.Newcomer), func(r *node) bool { return !r.before(invite) }):
		return "R19: removed since"
	case !v.validOp(invite):
		return "R19: the invite is void"
	case v.revoked(invite):
		return "R19: revoked"
	case !v.live(invite.inc.base):
		return "R19: the inviter is gone"
	case o.HLC > i.NotAfterMs:
		return "R19: expired"
	case uint64(len(v.citing(invite))) >= i.MaxUses:
		return "R19: used up"
	case i.Approval == 1 && !ranked:
		return "R19: approval"
	case !person && !v.sponsors(o.inc, o):
		return "R19: a harbor that may not sponsor"
	case i.Redeem == groups.RedeemAdmins && !ranked:
		return "R19: redeem"
	case i.Redeem == groups.RedeemListed && !slices.Contains(i.Incs, o.inc.ID):
		return "R19: redeem"
	}
	return ""
}
