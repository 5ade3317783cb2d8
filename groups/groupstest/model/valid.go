package model

import (
	"slices"

	"mutuals/groups"
	"mutuals/identity/wire"
)

// Stages C and D: what counts.

// Valid tells whether an operation is in force.
func (v *View) Valid(id wire.OpID) bool { return v.validOp(v.g.byID[id]) }

func (v *View) validOp(o *node) bool {
	is, known := v.valid[o]
	if !known {
		is = v.judge(o)
		v.valid[o] = is
	}
	return is
}

func (v *View) judge(o *node) bool {
	switch b := o.Body.(type) {
	case *groups.GenesisBody:
		return true
	case *groups.RemoveBody:
		return v.rank(o, b.Account)
	case *groups.LeaveBody: // R23
		a, _ := o.author()
		return !v.cut(o) && (a != v.owner() || o.before(v.own()) || v.direct())
	case *groups.DevRevokeBody, *groups.FaultBody: // R23
		return true
	case *groups.InviteRevokeBody:
		if inviter := v.g.byID[b.Invite].inc.who; !o.by(inviter) {
			return v.rank(o, inviter)
		}
	case *groups.RoleBody, *groups.PolicyBody, *groups.HarborBody: // R24
		return v.ownerValid(o)
	case *groups.TransferBody, *groups.SucceedBody: // R24
		return v.owned(o)
	case *groups.AdmitBody:
		return v.validAdmit(o, b)
	}
	return !v.cut(o) && v.incValid(o.inc) && v.here(o, nil)
}

// rank: a remove of target, or the end of its invite (R23).
func (v *View) rank(o *node, target wire.AccountID) bool {
	a, ok := o.author()
	if !ok || a == target || target == v.owner() && !o.before(v.own()) {
		return false
	}
	if v.ownerValid(o) {
		return true
	}
	return !v.cut(o) && v.adminAt(a, o) && !v.adminAt(target, o) &&
		!slices.ContainsFunc(v.grants(target), func(g *node) bool { return g.concurrent(o) })
}

// removes and leaves of an account, the valid ones.
func (v *View) removes(a wire.AccountID) (out []*node) {
	for _, o := range v.ops {
		if b, ok := o.Body.(*groups.RemoveBody); ok && b.Account == a && v.validOp(o) {
			out = append(out, o)
		}
	}
	return out
}

func (v *View) leaves(a wire.AccountID) (out []*node) {
	for _, o := range v.ops {
		if o.Kind == groups.KindLeave && o.by(a) && v.validOp(o) {
			out = append(out, o)
		}
	}
	return out
}

// here: each valid remove and leave of o's author is before the base of its
// inc, or after o (R24). Leaves that excused is true of do not count.
func (v *View) here(o *node, excused func(*node) bool) bool {
	a, ok := o.author()
	if !ok {
		return true
	}
	for _, r := range v.removes(a) {
		if !r.before(o.inc.base) && !r.after(o) {
			return false
		}
	}
	for _, l := range v.leaves(a) {
		if !l.before(o.inc.base) && !l.after(o) && (excused == nil || !excused(l)) {
			return false
		}
	}
	return true
}

func (v *View) validAdmit(o *node, b *groups.AdmitBody) bool {
	shielded := func(c *node) bool { return v.shielded(o, c) }
	for _, c := range v.cutsOf[o.inc] {
		if !o.before(c) && !shielded(c) {
			return false
		}
	}
	for i := o.inc; !v.incValid(i); i = i.inc {
		if i.Kind != groups.KindDevAdd {
			return false
		}
		for _, c := range v.cutsOf[i.inc] {
			if !i.before(c) && !shielded(c) {
				return false
			}
		}
	}
	if o.inc.isHarbor() && !v.sponsors(o.inc, o) {
		return false
	}
	if !v.here(o, shielded) {
		return false
	}
	id, byInvite := b.Request.Invite.Get()
	return !byInvite || v.validByInvite(o, b, v.g.byID[id])
}

// validByInvite is what R25 asks besides of an admit by invite.
func (v *View) validByInvite(o *node, b *groups.AdmitBody, invite *node) bool {
	inviter, base := invite.inc.who, invite.inc.base
	if !v.validOp(invite) {
		if !v.incValid(base) {
			return false
		}
		for _, c := range v.voiding(invite) {
			if !v.shielded(o, c) {
				return false
			}
		}
	}
	place := 0
	for _, other := range v.citing(invite) {
		if v.earlier(other, o) {
			place++
		}
	}
	if uint64(place) >= invite.Body.(*groups.InviteBody).MaxUses {
		return false
	}
	for _, c := range v.revoking(invite) {
		switch {
		case o.before(c):
		case c.by(inviter):
			if !v.cut(c) && !v.shielded(o, c) {
				return false
			}
		case v.validOp(c):
			return false
		}
	}
	for _, l := range v.leaves(inviter) {
		if !l.before(base) && !l.after(o) && !v.shielded(o, l) {
			return false
		}
	}
	for _, r := range v.removes(inviter) {
		if !r.before(base) && !r.after(o) {
			return false
		}
	}
	for _, r := range v.removes(b.Request.Newcomer) {
		if r.before(o) && !r.before(invite) {
			return false
		}
	}
	return true
}

// voiding is all that voids an operation: cuts, leaves and removes of its
// author.
func (v *View) voiding(o *node) (out []*node) {
	for _, c := range v.cutsOf[o.inc] {
		if !o.before(c) {
			out = append(out, c)
		}
	}
	for _, r := range slices.Concat(v.removes(o.inc.who), v.leaves(o.inc.who)) {
		if !r.before(o.inc.base) && !r.after(o) {
			out = append(out, r)
		}
	}
	return out
}

// citing is every admit by an invite, void ones too.
func (v *View) citing(invite *node) (out []*node) {
	for _, o := range v.ops {
		if b, ok := o.Body.(*groups.AdmitBody); ok {
			if id, ok := b.Request.Invite.Get(); ok && id == invite.ID {
				out = append(out, o)
			}
		}
	}
	return out
}

// revoking is every invite-revoke of an invite.
func (v *View) revoking(invite *node) (out []*node) {
	for _, o := range v.ops {
		if b, ok := o.Body.(*groups.InviteRevokeBody); ok && b.Invite == invite.ID {
			out = append(out, o)
		}
	}
	return out
}

// revoked: by an end, which is valid, or a recall, which is uncut.
func (v *View) revoked(invite *node) bool {
	return slices.ContainsFunc(v.revoking(invite), v.revokes1(invite))
}

func (v *View) revokes1(invite *node) func(*node) bool {
	return func(c *node) bool {
		if c.by(invite.inc.who) {
			return !v.cut(c)
		}
		return v.validOp(c)
	}
}

// incValid is R26.
func (v *View) incValid(i *node) bool {
	is, known := v.incOK[i]
	if known {
		return is
	}
	switch i.Kind {
	case groups.KindGenesis:
		is = true
	case groups.KindAdmit:
		is = v.validOp(i) || slices.ContainsFunc(v.grants(i.who), func(g *node) bool { return i.before(g) })
	case groups.KindDevAdd:
		is = !v.cut(i) && v.incValid(i.inc)
	case groups.KindHarbor:
		is = v.ownerValid(i)
	}
	v.incOK[i] = is
	return is
}

// direct: a direct conversation, by its genesis.
func (v *View) direct() bool { return len(v.ops[0].Body.(*groups.GenesisBody).Policy.Direct) > 0 }
