package groups

import (
	"slices"

	"mutuals/identity/wire"
)

// Cause is why an operation is void, for people. It repeats in words what
// validity.go decides, and a property test holds the two together.
type Cause uint8

// The causes.
const (
	CauseNone          Cause = iota
	CauseStopped             // its device was revoked, or a fault of it proven
	CauseAuthorGone          // its author was removed, or left
	CauseAuthorVoid          // how its author came in is void
	CauseRank                // its author had not, or no longer, the rank
	CauseTargetRank          // its target was of no lower rank
	CauseInviteRevoked       // the invite was revoked
	CauseInviteVoid          // the invite is void
	CauseInviteUsed          // the invite was used up by others
	CauseInviterGone         // whoever made the invite was removed, or left
	CauseTargetRemoved       // who was let in had been removed, and the invite is older
	CauseRival               // another hand-over of the group counts
	CauseOwnerStays          // the owner does not leave
)

var causeWords = [...]string{"", "device-stopped", "author-gone", "author-void", "rank", "target-rank", "invite-revoked",
	"invite-void", "invite-used", "inviter-gone", "target-removed", "rival", "owner-stays"}

// String gives the word of the API; "" for CauseNone.
func (c Cause) String() string { return causeWords[c] }

// why tells what makes an operation void, and by which operation; by is -1
// where no single one does. Cause and validity follow the same rules (R23 to
// R26) in the same order.
func (r *resolution) why(o int) (c Cause, by int) {
	n := r.nodes[o]
	if r.valid.has(o) {
		return CauseNone, -1
	}
	switch b := n.op.Body.(type) {
	case *RemoveBody:
		return r.whyOutranked(o, b.Account)
	case *InviteRevokeBody:
		if inviter := r.nodes[n.cites].author; inviter != n.author {
			return r.whyOutranked(o, inviter)
		}
	case *RoleBody, *PolicyBody, *HarborBody:
		return r.whyNotOwner(o)
	case *TransferBody:
		return r.whyNoHeir(o, b.OwnOp, b.Heir)
	case *SucceedBody:
		return r.whyNoHeir(o, b.OwnOp, b.Heir)
	case *LeaveBody:
		if !r.cut(o) {
			return CauseOwnerStays, r.ownOp()
		}
	case *AdmitBody:
		return r.whyNotAdmitted(o, b)
	}
	return r.whyAuthor(o)
}

// first gives the first operation of a list, by order key, that is not
// excused; -1 if all are.
func (r *resolution) first(list []int, excused func(int) bool) int {
	list = slices.Clone(list)
	r.sortByKey(list)
	for _, v := range list {
		if !excused(v) {
			return v
		}
	}
	return -1
}

func never(int) bool { return false }

// foremost gives, of all operations that are meant, the first by order key,
// whatever came first; -1 if none is.
func (r *resolution) foremost(meant func(int) bool) int {
	least := -1
	for i := range r.set.all() {
		if meant(i) && (least < 0 || r.nodes[i].key.Compare(r.nodes[least].key) < 0) {
			least = i
		}
	}
	return least
}

// whyAuthor: its device stopped, its author's way in void, its author gone.
func (r *resolution) whyAuthor(o int) (Cause, int) {
	n := r.nodes[o]
	if r.cut(o) {
		return CauseStopped, r.first(r.cutBy(o), never)
	}
	if !r.incValid.has(n.inc) {
		return CauseAuthorVoid, n.inc
	}
	return CauseAuthorGone, r.touched(o, n.author, n.inc, nil)
}

// touched is the first removal or leave that outlives minds; -1 if none.
func (r *resolution) touched(o int, a wire.AccountID, inc int, spares func(int) bool) int {
	base, p := r.base(inc), r.of(a)
	clear := func(v int) bool { return r.before(v, base) || r.before(o, v) }
	if v := r.first(p.removes, clear); v >= 0 {
		return v
	}
	return r.first(p.leaves, func(v int) bool { return clear(v) || spares != nil && spares(v) })
}

// whyNotOwner: an act of the owner's by somebody who was not, or under an
// ownership that had ended.
func (r *resolution) whyNotOwner(o int) (Cause, int) {
	if r.cut(o) {
		return CauseStopped, r.first(r.cutBy(o), never)
	}
	if at := r.ownership(o); at >= 0 && at < len(r.owners)-1 {
		return CauseRank, r.owners[at+1].op
	}
	return CauseRank, r.ownOp()
}

// whyOutranked: an act on x that only a strictly higher rank may do.
func (r *resolution) whyOutranked(o int, x wire.AccountID) (Cause, int) {
	author := r.nodes[o].author
	switch {
	case author == x || x == r.owner() && !r.before(o, r.ownOp()):
		return CauseTargetRank, r.ownOp()
	case r.cut(o):
		return CauseStopped, r.first(r.cutBy(o), never)
	case !r.adminAt(author, o):
		return CauseRank, r.demoted(author, o)
	}
	grants := slices.DeleteFunc(slices.Clone(r.of(x).grants), func(g int) bool { return r.before(o, g) })
	return CauseTargetRank, r.first(grants, never)
}

// demoted is what took from an account the rank it wrote o with: an end of its
// ownership, a revoke, or what voids the grant it relied on.
func (r *resolution) demoted(a wire.AccountID, o int) int {
	if at := r.ownership(o); at >= 0 && at < len(r.owners)-1 && r.owners[at].owner == a && !r.before(o, r.owners[at+1].op) {
		return r.owners[at+1].op
	}
	if v := r.first(r.of(a).revokes, func(v int) bool { return r.before(o, v) }); v >= 0 {
		return v
	}
	return r.foremost(func(i int) bool {
		b, ok := r.nodes[i].op.Body.(*RoleBody)
		granted := ok && b.Account == a && b.Role == uint64(RoleAdmin) || heirOf(r.nodes[i].op) == a
		return granted && r.before(i, o) && !r.valid.has(i)
	})
}

// whyNoHeir: a hand-over that is not of the chain of owners.
func (r *resolution) whyNoHeir(o int, under wire.OpID, heir wire.AccountID) (Cause, int) {
	for at := range r.owners[1:] {
		if r.nodes[r.owners[at].op].op.ID == under {
			return CauseRival, r.owners[at+1].op
		}
	}
	if r.cut(o) {
		return CauseStopped, r.first(r.cutBy(o), never)
	}
	meanwhile := func(i int, a wire.AccountID) bool {
		return r.nodes[i].author == a && r.concurrent(i, o) && !r.cut(i)
	}
	if i := r.foremost(func(i int) bool { return r.nodes[i].op.Kind == KindLeave && meanwhile(i, heir) }); i >= 0 {
		return CauseAuthorGone, i
	}
	if r.nodes[o].op.Kind == KindSucceed {
		if i := r.foremost(func(i int) bool { return meanwhile(i, r.owner()) }); i >= 0 {
			return CauseRival, i // a sign of life
		}
	}
	return CauseRank, r.ownOp()
}

// whyNotAdmitted follows admitValid.
func (r *resolution) whyNotAdmitted(o int, b *AdmitBody) (Cause, int) {
	n := r.nodes[o]
	spares := func(v int) bool { return r.shielded(o, v) }
	if v := r.first(r.cutBy(o), spares); v >= 0 {
		return CauseStopped, v
	}
	if !r.sponsorValid(o) {
		if r.nodes[n.inc].isHarbor() && r.incValid.has(n.inc) {
			return CauseRank, r.first(r.acts[n.inc], func(t int) bool {
				return r.nodes[t].op.Body.(*HarborBody).Rights&RightSponsor != 0 || r.before(o, t)
			})
		}
		return CauseAuthorVoid, n.inc
	}
	if v := r.touched(o, n.author, n.inc, spares); v >= 0 {
		return CauseAuthorGone, v
	}
	i := n.cites
	if i < 0 {
		return CauseNone, -1
	}
	invite, became := r.nodes[i], r.issue(i)
	base := r.base(invite.inc)
	if !r.valid.has(i) {
		if !r.incValid.has(base) {
			return CauseInviteVoid, i
		}
		if v := r.first(r.voiders(i), spares); v >= 0 {
			return CauseInviteVoid, v
		}
	}
	if most := invite.op.Body.(*InviteBody).MaxUses; uint64(slices.Index(became.uses, o)) >= most {
		return CauseInviteUsed, became.uses[most-1]
	}
	after := func(v int) bool { return r.before(o, v) }
	if v := r.first(became.recalls, func(v int) bool { return after(v) || spares(v) }); v >= 0 {
		return CauseInviteRevoked, v
	}
	if v := r.first(became.ends, after); v >= 0 {
		return CauseInviteRevoked, v
	}
	if v := r.touched(o, invite.author, invite.inc, spares); v >= 0 {
		return CauseInviterGone, v
	}
	return CauseTargetRemoved, r.first(r.of(b.Request.Newcomer).removes, func(v int) bool { return !r.before(v, o) || r.before(v, i) })
}
