package model

import (
	"slices"

	"mutuals/groups"
	"mutuals/identity/wire"
)

// Stages A and B: cuts, and who owns the group.

// findCuts: every fault on an inc, and every dev-revoke by its account that
// reaches its certificate chain, earlier or later (R20).
func (v *View) findCuts() {
	for _, c := range v.ops {
		for _, inc := range v.ops {
			if !inc.isInc {
				continue
			}
			switch b := c.Body.(type) {
			case *groups.FaultBody:
				if b.Inc == inc.ID {
					v.cutsOf[inc] = append(v.cutsOf[inc], c)
				}
			case *groups.DevRevokeBody:
				if !inc.isHarbor() && c.by(inc.who) && b.Revocation.Reaches(inc.chain) {
					v.cutsOf[inc] = append(v.cutsOf[inc], c)
				}
			}
		}
	}
}

// cut: by a cut of its inc that lacks it in its past (R20).
func (v *View) cut(o *node) bool {
	return slices.ContainsFunc(v.cutsOf[o.inc], func(c *node) bool { return !o.before(c) })
}

// ownership is one of the chain (R21).
type ownership struct {
	op      *node
	owner   wire.AccountID
	settled bool
}

// hands tells whom o makes owner, after which ownership.
func (o *node) hands() (after wire.OpID, heir wire.AccountID, ok bool) {
	switch b := o.Body.(type) {
	case *groups.TransferBody:
		return b.OwnOp, b.Heir, true
	case *groups.SucceedBody:
		return b.OwnOp, b.Heir, true
	}
	return
}

// findOwners follows the ownerships from the genesis on (R21).
func (v *View) findOwners() {
	genesis := v.ops[0]
	v.owners = []ownership{{op: genesis, owner: genesis.who, settled: true}}
	for {
		w := v.owners[len(v.owners)-1]
		var rivals []*node
		for _, o := range v.ops {
			if after, _, ok := o.hands(); ok && after == w.op.ID && (o.Kind == groups.KindSucceed || o.by(w.owner)) {
				rivals = append(rivals, o)
			}
		}
		var best *node
		for _, t := range rivals {
			if !v.skipped(t, w) && (best == nil || v.first(t, best, rivals)) {
				best = t
			}
		}
		if best == nil {
			return
		}
		_, heir, _ := best.hands()
		v.owners = append(v.owners, ownership{op: best, owner: heir, settled: v.settled(best)})
	}
}

func (v *View) skipped(t *node, w ownership) bool {
	if v.settled(t) {
		return false
	}
	_, heir, _ := t.hands()
	return v.cut(t) || slices.ContainsFunc(v.ops, func(o *node) bool {
		return o.concurrent(t) && !v.cut(o) &&
			(o.Kind == groups.KindLeave && o.by(heir) || t.Kind == groups.KindSucceed && o.by(w.owner))
	})
}

// first by: settled; transfers before successions; more followers; lowest
// order key (R21).
func (v *View) first(t, u *node, rivals []*node) bool {
	if a, b := v.settled(t), v.settled(u); a != b {
		return a
	}
	if t.Kind != u.Kind {
		return t.Kind == groups.KindTransfer
	}
	if a, b := v.followers(t, rivals), v.followers(u, rivals); a != b {
		return a > b
	}
	return t.less(u)
}

const settleMs = 3 * 24 * 60 * 60 * 1000

func (v *View) settled(t *node) bool {
	_, heir, _ := t.hands()
	var others, wrote int
	for _, s := range v.g.At(t.Heads).seated() {
		if s == heir || t.by(s) {
			continue
		}
		others++
		var took []uint64
		for _, o := range v.ops {
			if o.by(s) && !v.cut(o) && o.Kind != groups.KindGenesis && v.g.At(o.Heads).owned(t) {
				took = append(took, o.HLC)
			}
		}
		if len(took) > 0 && slices.Max(took) >= slices.Min(took)+settleMs {
			wrote++
		}
	}
	return 2*wrote > others
}

// owned: t is among the ownerships.
func (v *View) owned(t *node) bool {
	return slices.ContainsFunc(v.owners, func(w ownership) bool { return w.op == t })
}

func (v *View) followers(t *node, rivals []*node) int {
	accounts := map[wire.AccountID]bool{}
	for _, o := range v.ops {
		a, ok := o.author()
		if !ok || v.cut(o) || !o.after(t) {
			continue
		}
		follows := true
		for _, r := range rivals {
			_, heir, _ := r.hands()
			if r != t && o.after(r) || !o.inc.base.before(r) || r.by(a) || heir == a {
				follows = false
			}
		}
		if follows {
			accounts[a] = true
		}
	}
	return len(accounts)
}

// owner is who owns the group, and own what made it owner.
func (v *View) owner() wire.AccountID { return v.owners[len(v.owners)-1].owner }

func (v *View) own() *node { return v.owners[len(v.owners)-1].op }

// names is the ownership a body is made under, if it names one.
func (o *node) names() (wire.OpID, bool) {
	switch b := o.Body.(type) {
	case *groups.RoleBody:
		return b.OwnOp, true
	case *groups.PolicyBody:
		return b.OwnOp, true
	case *groups.HarborBody:
		return b.OwnOp, true
	case *groups.TransferBody:
		return b.OwnOp, true
	case *groups.SucceedBody:
		return b.OwnOp, true
	}
	return wire.OpID{}, false
}

// ownerValid: under an ownership of the chain, by that owner, uncut, and
// before the next ownership, if any (R21).
func (v *View) ownerValid(o *node) bool {
	at := -1
	name, named := o.names()
	for i, w := range v.owners {
		if named && w.op.ID == name || !named && w.op.before(o) {
			at = i
		}
	}
	if at < 0 || !o.by(v.owners[at].owner) || v.cut(o) {
		return false
	}
	return at == len(v.owners)-1 || o.before(v.owners[at+1].op)
}

// grants and revokes on an account (R22).
func (v *View) grants(a wire.AccountID) (out []*node) {
	for _, w := range v.owners {
		if w.owner == a {
			out = append(out, w.op)
		}
	}
	for _, o := range v.ops {
		if b, ok := o.Body.(*groups.RoleBody); ok && b.Account == a && groups.Role(b.Role) == groups.RoleAdmin && v.ownerValid(o) {
			out = append(out, o)
		}
	}
	return out
}

func (v *View) revokes(a wire.AccountID) (out []*node) {
	for _, o := range v.ops {
		switch b := o.Body.(type) {
		case *groups.RoleBody:
			if b.Account == a && groups.Role(b.Role) == groups.RoleMember && v.ownerValid(o) {
				out = append(out, o)
			}
		case *groups.RemoveBody:
			if b.Account == a && v.ownerValid(o) {
				out = append(out, o)
			}
		}
	}
	return out
}

// adminAt: a grant before o such that each revoke is before the grant or
// after o (R22).
func (v *View) adminAt(a wire.AccountID, o *node) bool {
	revokes := v.revokes(a)
	return slices.ContainsFunc(v.grants(a), func(g *node) bool {
		return g.before(o) && !slices.ContainsFunc(revokes, func(r *node) bool { return !r.before(g) && !r.after(o) })
	})
}

// role is the rank an account has in S.
func (v *View) role(a wire.AccountID) groups.Role {
	if a == v.owner() {
		return groups.RoleOwner
	}
	revokes := v.revokes(a)
	for _, g := range v.grants(a) {
		if !slices.ContainsFunc(revokes, func(r *node) bool { return !r.before(g) }) {
			return groups.RoleAdmin
		}
	}
	return groups.RoleMember
}

// findAcks: uncut, not leave, dev-revoke or fault, by the owner or by one
// adminAt it (R22).
func (v *View) findAcks() {
	for _, o := range v.ops {
		a, ok := o.author()
		if ok && !v.cut(o) && o.Kind != groups.KindLeave && o.Kind != groups.KindDevRevoke && o.Kind != groups.KindFault &&
			(a == v.owner() || v.adminAt(a, o)) {
			v.acks = append(v.acks, o)
		}
	}
	for _, o := range v.ops {
		for _, k := range v.acks {
			if (k == o || k.after(o)) && (v.seen[o] == nil || k.less(v.seen[o])) {
				v.seen[o] = k
			}
		}
	}
}

// earlier orders by (seen, order key); not seen at all is last.
func (v *View) earlier(a, b *node) bool {
	x, y := v.seen[a], v.seen[b]
	switch {
	case x == y:
		return a.less(b)
	case x == nil || y == nil:
		return y == nil
	}
	return x.less(y)
}

// shielded: some ack, other than v and not by the account that leaves, revokes
// or is cut by v, is after the admit and not after v (R22).
func (v *View) shielded(admit, against *node) bool {
	whose, ok := against.author()
	if b, fault := against.Body.(*groups.FaultBody); fault {
		of := v.g.byID[b.Inc]
		whose, ok = of.who, !of.isHarbor()
	}
	return slices.ContainsFunc(v.acks, func(k *node) bool {
		return k != against && !(ok && k.by(whose)) && k.after(admit) && !k.after(against)
	})
}
