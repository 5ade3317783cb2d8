package groups

import (
	"bytes"
	"crypto/ed25519"
	"slices"

	"mutuals/identity"
	"mutuals/identity/wire"
)

type (
	// TransferBody hands the group to an heir who accepted (R40). Evolution:
	// never.
	TransferBody struct {
		_         struct{}  `cbor:",toarray"`
		OwnOp     wire.OpID // the ownership that ends
		Heir      wire.AccountID
		HeirChain identity.Chain // of the heir's device that accepted
		Ms        uint64         // when it did
		Accept    wire.Sig       // owner-accept
	}
	// SucceedBody makes an heir owner by the word of most admins, after the
	// owner was silent for as long as the policy says (R41). Evolution:
	// never.
	SucceedBody struct {
		_     struct{} `cbor:",toarray"`
		OwnOp wire.OpID
		Heir  wire.AccountID
		Ms    uint64       // when it was proposed: what all sign
		Sigs  []SucceedSig // ascending by inc
	}
	// SucceedSig is one admin's word.
	SucceedSig struct {
		_   struct{} `cbor:",toarray"`
		Inc wire.OpID
		Sig wire.Sig
	}
	// succession is what heir and admins sign.
	succession struct {
		_     struct{} `cbor:",toarray"`
		V     uint64
		OwnOp wire.OpID
		Heir  wire.AccountID
		Ms    uint64
	}
)

// SignOwnerAccept is an heir's consent to own the group after ownOp, by the
// op key of one of its devices there.
func SignOwnerAccept(key ed25519.PrivateKey, group wire.GroupID, ownOp wire.OpID, heir wire.AccountID, ms uint64) wire.Sig {
	return wire.Sign(wire.DomainOwnerAccept, key, wire.Context(group), successionCore(ownOp, heir, ms))
}

// SignSucceed is an admin's word for an heir, by the op key of one of its
// devices in the group.
func SignSucceed(key ed25519.PrivateKey, group wire.GroupID, ownOp wire.OpID, heir wire.AccountID, ms uint64) wire.Sig {
	return wire.Sign(wire.DomainSucceed, key, wire.Context(group), successionCore(ownOp, heir, ms))
}

func successionCore(ownOp wire.OpID, heir wire.AccountID, ms uint64) []byte {
	return wire.Marshal(succession{V: 1, OwnOp: ownOp, Heir: heir, Ms: ms})
}

// VerifyOwnerAccept tells whether device of an heir signed that it accepts:
// what the owner checks before it writes the transfer.
func VerifyOwnerAccept(device wire.DeviceID, group wire.GroupID, ownOp wire.OpID, heir wire.AccountID, ms uint64, sig wire.Sig) bool {
	return wire.Verify(wire.DomainOwnerAccept, device, wire.Context(group), successionCore(ownOp, heir, ms), sig)
}

// VerifySucceed tells whether an admin's device signed for an heir.
func VerifySucceed(device wire.DeviceID, group wire.GroupID, ownOp wire.OpID, heir wire.AccountID, ms uint64, sig wire.Sig) bool {
	return wire.Verify(wire.DomainSucceed, device, wire.Context(group), successionCore(ownOp, heir, ms), sig)
}

func (b *TransferBody) bounds() *Refusal {
	switch {
	case len(b.HeirChain) == 0 || len(b.HeirChain) > 3:
		return refuse(ReasonBadChain, "%d certificates", len(b.HeirChain))
	case b.Ms >= wire.MaxMs:
		return refuse(ReasonOutOfBounds, "accepted at %d ms", b.Ms)
	}
	return nil
}

func (b *SucceedBody) bounds() *Refusal {
	switch {
	case b.Ms >= wire.MaxMs:
		return refuse(ReasonOutOfBounds, "proposed at %d ms", b.Ms)
	case len(b.Sigs) < MinSuccessors || len(b.Sigs) > MaxCap:
		return refuse(ReasonVotes, "%d admins signed, want %d to %d", len(b.Sigs), MinSuccessors, MaxCap)
	}
	for i := 1; i < len(b.Sigs); i++ {
		if bytes.Compare(b.Sigs[i-1].Inc[:], b.Sigs[i].Inc[:]) >= 0 {
			return refuse(ReasonBadBody, "signature %d out of order", i)
		}
	}
	return nil
}

// checkTransfer verifies the heir's chain and consent (R40).
func (l *Log) checkTransfer(b *TransferBody) *Refusal {
	leaf, err := b.HeirChain.Verify()
	if err != nil {
		return refuse(ReasonBadChain, "%v", err)
	}
	if leaf.Account != b.Heir {
		return refuse(ReasonWrongAccount, "certificate of %s", leaf.Account.Short())
	}
	if !VerifyOwnerAccept(leaf.OpKey, l.group, b.OwnOp, b.Heir, b.Ms, b.Accept) {
		return refuse(ReasonBadAccept, "bad signature of the heir")
	}
	return nil
}

// checkSucceed verifies every admin's signature (R41); complete is false when
// one of the incs is not here.
func (l *Log) checkSucceed(b *SucceedBody) (complete bool, _ *Refusal) {
	for _, v := range b.Sigs {
		i, ok := l.g.find(v.Inc)
		if !ok {
			return false, nil
		}
		n := l.g.nodes[i]
		if !n.isDevice() {
			return false, refuse(ReasonNotAnInc, "inc %s is a %v", v.Inc.Short(), n.op.Kind)
		}
		if !VerifySucceed(n.leaf.OpKey, l.group, b.OwnOp, b.Heir, b.Ms, v.Sig) {
			return false, refuse(ReasonBadAccept, "bad signature of inc %s", v.Inc.Short())
		}
	}
	return true, nil
}

func mayTransfer(s *State, n *node, b *TransferBody) *Refusal {
	if r := underOwner(s, n, b.OwnOp); r != nil {
		return r
	}
	if r := mayInherit(s, b.Heir); r != nil {
		return r
	}
	device := b.HeirChain.Leaf().OpKey
	if !slices.ContainsFunc(s.r.liveOf(s.r.of(b.Heir)), func(i int) bool {
		return s.r.nodes[i].leaf.OpKey == device && !s.r.stopped(i)
	}) {
		return refuse(ReasonIncNotLive, "the heir's device %s", device.Short())
	}
	if b.Ms+AcceptMs < n.op.HLC || b.Ms > n.op.HLC+MaxAheadMs {
		return refuse(ReasonAcceptOld, "accepted at %d, transfer of %d", b.Ms, n.op.HLC)
	}
	return nil
}

func mayInherit(s *State, heir wire.AccountID) *Refusal {
	switch {
	case heir == s.Owner():
		return refuse(ReasonOutranked, "the owner itself")
	case !s.Seated(heir):
		return refuse(ReasonNotAMember, "account %s", heir.Short())
	}
	return nil
}

func maySucceed(s *State, n *node, b *SucceedBody) *Refusal {
	switch {
	case s.direct():
		return refuse(ReasonDirect, "no ranks")
	case b.OwnOp != s.OwnOp():
		return refuse(ReasonOwnership, "names %s", b.OwnOp.Short())
	case s.Role(n.author) != RoleAdmin:
		return refuse(ReasonRoleNeeded, "not an admin")
	case s.r.policy.SucceedDays == 0:
		return refuse(ReasonNoSuccession, "the owner did not allow it")
	}
	if r := mayInherit(s, b.Heir); r != nil {
		return r
	}
	if until := s.ownerLastMs() + s.r.policy.SucceedDays*dayMs; b.Ms < until {
		return refuse(ReasonNoSuccession, "not before %d, proposed at %d", until, b.Ms)
	}
	if b.Ms+VotesMs < n.op.HLC || b.Ms > n.op.HLC+MaxAheadMs {
		return refuse(ReasonAcceptOld, "proposed at %d, succession of %d", b.Ms, n.op.HLC)
	}
	return s.votes(b)
}

// votes: each signer's inc is live and uncut and of another admin with a seat,
// and they are more than half of those.
func (s *State) votes(b *SucceedBody) *Refusal {
	voted := map[wire.AccountID]bool{}
	for _, v := range b.Sigs {
		i, _ := s.find(v.Inc)
		a := s.r.nodes[i].account
		switch {
		case !s.r.live.has(i) || s.r.stopped(i):
			return refuse(ReasonIncNotLive, "inc %s", v.Inc.Short())
		case s.Role(a) != RoleAdmin || !s.Seated(a):
			return refuse(ReasonRoleNeeded, "signer %s", a.Short())
		case voted[a]:
			return refuse(ReasonVotes, "account %s signed twice", a.Short())
		}
		voted[a] = true
	}
	admins := 0
	for _, a := range s.r.seats[:s.SeatCount()] {
		if s.Role(a) == RoleAdmin {
			admins++
		}
	}
	if 2*len(voted) <= admins {
		return refuse(ReasonVotes, "%d of %d admins", len(voted), admins)
	}
	return nil
}

// ownerLastMs is the clock of the owner's last control operation that is not
// cut, or of what made it owner: its last sign of life that all can see.
func (s *State) ownerLastMs() uint64 {
	last := s.r.nodes[s.r.ownOp()].op.HLC
	for i := range s.r.set.all() {
		if n := s.r.nodes[i]; n.author == s.Owner() && !s.r.cut(i) {
			last = max(last, n.op.HLC)
		}
	}
	return last
}

// OwnerSilentMs is how long the owner has written no control operation, by
// this state; 0 while its last is ahead of nowMs.
func (s *State) OwnerSilentMs(nowMs uint64) uint64 {
	if last := s.ownerLastMs(); last < nowMs {
		return nowMs - last
	}
	return 0
}

// OwnershipInfo is one owner's time: from Op on, until the next one's.
type OwnershipInfo struct {
	Op    wire.OpID
	Owner wire.AccountID
	AtMs  uint64
	Kind  Kind // genesis, transfer or succeed
	// Settled: more than half of the others wrote something on it three days
	// later, so that no stale device's rival undoes it. A genesis is.
	Settled bool
}

// Ownership lists who owned the group, from its genesis to now.
func (s *State) Ownership() []OwnershipInfo {
	out := make([]OwnershipInfo, len(s.r.owners))
	for at, w := range s.r.owners {
		n := s.r.nodes[w.op]
		out[at] = OwnershipInfo{Op: n.op.ID, Owner: w.owner, AtMs: n.op.HLC, Kind: n.op.Kind,
			Settled: at == 0 || s.r.settled(w.op)}
	}
	return out
}
