package groups

import (
	"slices"

	"mutuals/identity/wire"
)

// authorised judges whether the author of a placed operation had the right
// to write it, in the state of its past (R18, R19). It depends on nothing
// else, so all who hold that past agree.
func authorised(s *State, n *node) *Refusal {
	if s.r.nodes[n.inc].isHarbor() {
		return mayAsHarbor(s, n)
	}
	if r := hasSeat(s, n); r != nil {
		return r
	}
	switch b := n.op.Body.(type) {
	case *AdmitBody:
		return mayAdmit(s, n, &b.Request)
	case *LeaveBody:
		return mayLeave(s, n.author)
	case *RemoveBody:
		return mayRemove(s, n.author, b.Account)
	case *RoleBody:
		return mayRole(s, n, b)
	case *PolicyBody:
		return mayPolicy(s, n, b)
	case *InviteBody:
		return mayMakeInvite(s, n.author)
	case *InviteRevokeBody:
		return mayRevoke(s, n.author, s.r.nodes[n.cites].author)
	case *RekeyBody:
		return mayRekey(s, n, b)
	case *TransferBody:
		return mayTransfer(s, n, b)
	case *SucceedBody:
		return maySucceed(s, n, b)
	case *DevAddBody:
		return mayAddDevice(s, n.author, b, n.op.HLC)
	case *DevRevokeBody:
		return mayRevokeDevice(n, b)
	case *FaultBody:
		return mayFault(s, n, b)
	case *HarborBody:
		return mayHarbor(s, n, b)
	}
	return nil
}

// hasSeat: the author's inc is live and uncut and its account seated. Leaving
// takes no seat: who waits may stop waiting.
func hasSeat(s *State, n *node) *Refusal {
	switch {
	case !s.r.live.has(n.inc) || s.r.stopped(n.inc):
		return refuse(ReasonIncNotLive, "inc %s", n.op.IncID().Short())
	case !s.Seated(n.author) && n.op.Kind != KindLeave:
		return refuse(ReasonNotSeated, "account %s", n.author.Short())
	}
	return nil
}

func (s *State) direct() bool { return len(s.r.policy.Direct) > 0 }

func mayLeave(s *State, a wire.AccountID) *Refusal {
	if a == s.Owner() && !s.direct() {
		return refuse(ReasonOwnerStays, "")
	}
	return nil
}

func mayRemove(s *State, by, target wire.AccountID) *Refusal {
	if s.direct() {
		return refuse(ReasonDirect, "nobody is removed")
	}
	if !s.r.candidate(target) {
		return refuse(ReasonNotAMember, "account %s", target.Short())
	}
	return outranks(s, by, target)
}

// outranks: the owner anybody else, an admin who is a plain member.
func outranks(s *State, by, target wire.AccountID) *Refusal {
	switch rank := s.Role(by); {
	case rank == RoleMember:
		return refuse(ReasonRoleNeeded, "a member")
	case by == target || s.Role(target) <= rank:
		return refuse(ReasonOutranked, "a %v by a %v", s.Role(target), rank)
	}
	return nil
}

// underOwner: the author is the owner and names the ownership it acts under.
func underOwner(s *State, n *node, named wire.OpID) *Refusal {
	switch {
	case s.direct():
		return refuse(ReasonDirect, "no ranks and no policy")
	case n.author != s.Owner():
		return refuse(ReasonRoleNeeded, "not the owner")
	case named != s.OwnOp():
		return refuse(ReasonOwnership, "names %s", named.Short())
	}
	return nil
}

func mayRole(s *State, n *node, b *RoleBody) *Refusal {
	if r := underOwner(s, n, b.OwnOp); r != nil {
		return r
	}
	if !s.r.candidate(b.Account) {
		return refuse(ReasonNotAMember, "account %s", b.Account.Short())
	}
	if b.Account == n.author {
		return refuse(ReasonOutranked, "the owner's own role")
	}
	return nil
}

func mayPolicy(s *State, n *node, b *PolicyBody) *Refusal {
	if r := underOwner(s, n, b.OwnOp); r != nil {
		return r
	}
	if len(b.Policy.Direct) > 0 {
		return refuse(ReasonDirect, "a group does not become one")
	}
	if int(b.Cap) < s.SeatCount() {
		return refuse(ReasonCapBelowSeated, "cap %d, %d seated", b.Cap, s.SeatCount())
	}
	return nil
}

func mayMakeInvite(s *State, by wire.AccountID) *Refusal {
	if s.direct() {
		return refuse(ReasonDirect, "no invites")
	}
	if !s.rankInvites(by) {
		return refuse(ReasonRoleNeeded, "a %v does not invite here", s.Role(by))
	}
	return nil
}

// mayRevoke: one's own invite, or that of somebody of lower rank. The doc's
// "inviter or admin" is read with "only a strictly higher rank voids".
func mayRevoke(s *State, by, inviter wire.AccountID) *Refusal {
	if by == inviter {
		return nil
	}
	return outranks(s, by, inviter)
}

func mayRekey(s *State, n *node, b *RekeyBody) *Refusal {
	if want := s.highestGen() + 1; b.Gen != want {
		return refuse(ReasonRekeyGen, "generation %d, want %d", b.Gen, want)
	}
	if want := s.recipients(n.op.HLC).count(); int(b.Count) != want {
		return refuse(ReasonRekeyCount, "%d recipients, want %d", b.Count, want)
	}
	return nil
}

// mayAdmit judges an admit by its past (R19). The order of the checks is that
// of the answers a newcomer gets; see Log.MayAdmit.
func mayAdmit(s *State, n *node, q *JoinRequest) *Refusal {
	if s.requestUsed(n.request) {
		return refuse(ReasonRequestReused, "")
	}
	if q.Ms+RequestMs < n.op.HLC || q.Ms > n.op.HLC+MaxAheadMs {
		return refuse(ReasonRequestOld, "request of %d, admit of %d", q.Ms, n.op.HLC)
	}
	if r := admissible(s, n.author, n.op.IncID(), q, n.op.HLC); r != ReasonNone {
		return refuse(r, "account %s", q.Newcomer.Short())
	}
	return nil
}

func (s *State) requestUsed(hash [32]byte) bool {
	return slices.ContainsFunc(s.g.admits(hash), s.r.set.has)
}

// admissible judges everything of an admission that the state decides, in the
// order of R19: already a member, removed since, revoked,
// expired, used up, approval, cap.
func admissible(s *State, sponsor wire.AccountID, sponsorInc wire.OpID, q *JoinRequest, nowMs uint64) Reason {
	if s.r.candidate(q.Newcomer) {
		return ReasonAlreadyMember
	}
	if s.direct() && wire.AccountID(s.r.policy.Direct) != q.Newcomer {
		return ReasonDirect
	}
	if s.revoked(q.Newcomer, q.Chain) {
		return ReasonRevoked
	}
	if r := s.groupRoom(); r != nil {
		return r.Reason
	}
	id, cites := q.Invite.Get()
	if !cites {
		return s.pullable(sponsor, q)
	}
	v, ok := s.Invite(id)
	if !ok {
		return ReasonInviteUnknown
	}
	if v.Inviter != q.Inviter {
		return ReasonBadRequest
	}
	i, _ := s.find(id)
	for _, rm := range s.r.of(q.Newcomer).removes {
		if !s.r.before(rm, i) {
			return ReasonRemoved
		}
	}
	if r := v.Dead(nowMs); r != ReasonNone {
		return r
	}
	switch {
	case v.Approval && s.Role(sponsor) == RoleMember:
		return ReasonPending
	case v.Redeem == RedeemAdmins && s.Role(sponsor) == RoleMember:
		return ReasonNotSponsor
	case v.Redeem == RedeemListed && !slices.Contains(v.Incs, sponsorInc):
		return ReasonNotSponsor
	}
	return s.room()
}

func (s *State) pullable(sponsor wire.AccountID, q *JoinRequest) Reason {
	switch {
	case q.Inviter != sponsor:
		return ReasonBadRequest
	case !s.rankInvites(sponsor):
		return ReasonRoleNeeded
	}
	return s.room()
}

// room: candidates stay below cap and waitlist together.
func (s *State) room() Reason {
	if len(s.r.seats) >= s.r.cap+int(s.r.policy.Waitlist) {
		return ReasonGroupFull
	}
	return ReasonNone
}
