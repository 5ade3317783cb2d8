package groups

import (
	"mutuals/identity/wire"
)

// InviteInfo is an invite and what became of it.
type InviteInfo struct {
	ID         wire.OpID
	Inviter    wire.AccountID
	InvitePk   [32]byte
	Max        int
	Used       int // admits that cite it, void ones too, never above Max
	NotAfterMs uint64
	CreatedMs  uint64
	Redeem     uint64
	Incs       []wire.OpID
	Approval   bool
	KemPk      []byte
	Valid      bool // the invite operation is in force
	Revoked    bool
	// InviterGone: the inviter left or was removed since; a return does not
	// revive the invite.
	InviterGone bool
}

// Dead tells why the invite admits nobody at nowMs; ReasonNone if it does.
// The order is that of the answers a newcomer gets.
func (v InviteInfo) Dead(nowMs uint64) Reason {
	switch {
	case !v.Valid:
		return ReasonInviteVoid
	case v.Revoked:
		return ReasonInviteRevoked
	case v.InviterGone:
		return ReasonInviterGone
	case nowMs > v.NotAfterMs:
		return ReasonInviteExpired
	case v.Used >= v.Max:
		return ReasonInviteUsed
	}
	return ReasonNone
}

// Live tells whether the invite admits somebody at nowMs.
func (v InviteInfo) Live(nowMs uint64) bool { return v.Dead(nowMs) == ReasonNone }

// Invites lists every invite by order key.
func (s *State) Invites() []InviteInfo {
	var list []int
	for i := range s.r.set.all() {
		if s.r.nodes[i].op.Kind == KindInvite {
			list = append(list, i)
		}
	}
	s.r.sortByKey(list)
	out := make([]InviteInfo, len(list))
	for at, i := range list {
		out[at] = s.inviteInfo(i)
	}
	return out
}

// Invite gives one invite by its operation.
func (s *State) Invite(id wire.OpID) (InviteInfo, bool) {
	i, ok := s.find(id)
	if !ok || s.r.nodes[i].op.Kind != KindInvite {
		return InviteInfo{}, false
	}
	return s.inviteInfo(i), true
}

// InviteByKey gives the invite of a passcode's key: of several, the first by
// order key, and a valid one before any other.
func (s *State) InviteByKey(pk [32]byte) (InviteInfo, bool) {
	var found InviteInfo
	ok := false
	for _, v := range s.Invites() {
		if v.InvitePk == pk && (!ok || v.Valid && !found.Valid) {
			found, ok = v, true
		}
	}
	return found, ok
}

// InviteOf gives the invite that an inc was admitted by; ok is false for one
// that came in otherwise.
func (s *State) InviteOf(inc wire.OpID) (InviteInfo, bool) {
	i, ok := s.find(inc)
	if !ok || s.r.nodes[i].op.Kind != KindAdmit || s.r.nodes[i].cites < 0 {
		return InviteInfo{}, false
	}
	return s.inviteInfo(s.r.nodes[i].cites), true
}

// MayHaveLeaf tells whether a device may be given a leaf of a wrap set: its
// own, or that of the invite which admitted it (SYNC.md Y9).
func (s *State) MayHaveLeaf(inc, recipient wire.OpID) bool {
	if info, ok := s.Inc(inc); !ok || !info.Seated {
		return false
	}
	by, cited := s.InviteOf(inc)
	return inc == recipient || cited && by.ID == recipient
}

func (s *State) inviteInfo(i int) InviteInfo {
	n := s.r.nodes[i]
	b, became := n.op.Body.(*InviteBody), s.r.issue(i)
	return InviteInfo{
		ID: n.op.ID, Inviter: n.author, InvitePk: b.InvitePk, Max: int(b.MaxUses),
		Used: min(len(became.uses), int(b.MaxUses)), NotAfterMs: b.NotAfterMs, CreatedMs: n.op.HLC,
		Redeem: b.Redeem, Incs: b.Incs, Approval: b.Approval == 1, KemPk: b.KemPk,
		Valid:       s.r.valid.has(i),
		Revoked:     len(became.ends) > 0 || len(became.recalls) > 0,
		InviterGone: !s.r.live.has(s.r.base(n.inc)),
	}
}
