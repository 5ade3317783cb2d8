package groups

import (
	"slices"

	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
)

type (
	// DevAddBody lets one more device of a member in; its operation is that
	// device's inc (R42). Evolution: never.
	DevAddBody struct {
		_       struct{} `cbor:",toarray"`
		Account wire.AccountID
		Chain   identity.Chain
		Pop     identity.Pop
		KemPk   []byte
		// Request is the new device's own join request, to itself and by no
		// invite, with its signature: how a device that has only the root's
		// word asks another account's device. Empty when a sibling adds it.
		Request []byte
		Sig     []byte
	}
	// DevRevokeBody ends a device of its author's account in this group
	// (R43). Evolution: never.
	DevRevokeBody struct {
		_          struct{} `cbor:",toarray"`
		Revocation identity.Revocation
		Sig        wire.Sig
		Chain      identity.Chain // of the device that signed; empty: the root
		Pins       []Pin
	}
)

// Signed is the revocation as it travels outside groups.
func (b *DevRevokeBody) Signed() identity.SignedRevocation {
	return identity.SignedRevocation{Revocation: b.Revocation, Sig: b.Sig, Chain: b.Chain}
}

// request decodes what the new device signed.
func (b *DevAddBody) request() (JoinRequest, *Refusal) {
	q, r := decodeRequest(b.Request)
	if r != nil {
		return q, r
	}
	return q, q.ownBounds()
}

func (b *DevAddBody) bounds() *Refusal {
	switch {
	case len(b.Chain) == 0 || len(b.Chain) > 3:
		return refuse(ReasonBadChain, "%d certificates", len(b.Chain))
	case len(b.KemPk) != seal.KEMPublicLen:
		return refuse(ReasonBadKEM, "kem key of %d bytes", len(b.KemPk))
	case len(b.Request) == 0 && len(b.Sig) != 0, len(b.Request) != 0 && len(b.Sig) != sigLen:
		return refuse(ReasonBadRequest, "request of %d bytes, signature of %d", len(b.Request), len(b.Sig))
	case len(b.Request) == 0:
		return nil
	}
	_, r := b.request()
	return r
}

func (b *DevRevokeBody) bounds() *Refusal {
	if len(b.Chain) > 3 {
		return refuse(ReasonBadChain, "%d certificates", len(b.Chain))
	}
	return checkPins(b.Pins)
}

// checkDevAdd verifies certificate, proofs, KEM key, and the request if there
// is one, which says the same as the body (R42).
func (l *Log) checkDevAdd(b *DevAddBody) *Refusal {
	if _, r := checkDevice(b.Chain, b.Pop, b.KemPk, b.Account); r != nil {
		return r
	}
	if len(b.Request) == 0 {
		return nil
	}
	q, r := b.request()
	if r != nil {
		return r
	}
	same := DevAddBody{Account: q.Newcomer, Chain: q.Chain, Pop: q.Pop, KemPk: q.KemPk, Request: b.Request, Sig: b.Sig}
	if !slices.Equal(wire.Marshal(same), wire.Marshal(*b)) {
		return refuse(ReasonBadRequest, "asked for another device")
	}
	return q.Verify(l.group, wire.Sig(b.Sig))
}

func checkDevRevoke(b *DevRevokeBody) *Refusal {
	if err := b.Signed().Verify(); err != nil {
		return refuse(ReasonBadRevocation, "%v", err)
	}
	return nil
}

// mayAddDevice (R42).
func mayAddDevice(s *State, by wire.AccountID, b *DevAddBody, hlc uint64) *Refusal {
	if !s.r.candidate(b.Account) {
		return refuse(ReasonNotAMember, "account %s", b.Account.Short())
	}
	rooted := len(b.Chain) == 1
	if by != b.Account && (!rooted || len(b.Request) == 0) {
		return refuse(ReasonBadRequest, "another's device without the root's word and its own request")
	}
	if len(b.Request) > 0 {
		q, _ := b.request()
		if q.Ms+RequestMs < hlc || q.Ms > hlc+MaxAheadMs {
			return refuse(ReasonRequestOld, "request of %d, added at %d", q.Ms, hlc)
		}
	}
	return s.deviceRoom(b.Account, b.Chain, rooted)
}

// deviceRoom: the device was not revoked, is not in already, and neither the
// account nor the group has too many.
func (s *State) deviceRoom(a wire.AccountID, chain identity.Chain, rooted bool) *Refusal {
	if s.revoked(a, chain) {
		return refuse(ReasonRevoked, "device %s", chain.Leaf().OpKey.Short())
	}
	mine := 0
	for _, i := range s.r.liveOf(s.r.of(a)) {
		if s.r.stopped(i) {
			continue
		}
		mine++
		if s.r.nodes[i].leaf.OpKey == chain.Leaf().OpKey {
			return refuse(ReasonDeviceKnown, "device %s", chain.Leaf().OpKey.Short())
		}
	}
	limit := MaxDevicesOf
	if rooted {
		limit = MaxRootedOf
	}
	if mine >= limit {
		return refuse(ReasonTooMany, "%d devices of %s", mine, a.Short())
	}
	return s.groupRoom()
}

// groupRoom: the group has fewer than MaxDevices live devices.
func (s *State) groupRoom() *Refusal {
	if all := s.r.live.count(); all >= MaxDevices {
		return refuse(ReasonTooMany, "%d devices in the group", all)
	}
	return nil
}

// revoked tells whether a dev-revoke reaches a device with that chain.
func (s *State) revoked(a wire.AccountID, chain identity.Chain) bool {
	return slices.ContainsFunc(s.r.of(a).revocations, func(v int) bool {
		return s.r.nodes[v].op.Body.(*DevRevokeBody).Revocation.Reaches(chain)
	})
}

func mayRevokeDevice(n *node, b *DevRevokeBody) *Refusal {
	if b.Revocation.Account != n.author {
		return refuse(ReasonWrongAccount, "a device of %s", b.Revocation.Account.Short())
	}
	return nil
}

// Revocations lists the revocations of an account's devices that its devices
// wrote into the group, by order key.
func (s *State) Revocations(a wire.AccountID) []identity.Revocation {
	list := slices.Clone(s.r.of(a).revocations)
	s.r.sortByKey(list)
	out := make([]identity.Revocation, len(list))
	for at, i := range list {
		out[at] = s.r.nodes[i].op.Body.(*DevRevokeBody).Revocation
	}
	return out
}

// MayAddDevice answers a device that asks a member to add it: ReasonNone when
// the dev-add would be accepted now, written by the account of the inc author.
func (l *Log) MayAddDevice(author wire.OpID, b DevAddBody, nowMs uint64) Reason {
	s := l.State()
	inc, ok := s.Inc(author)
	if !ok || !inc.Seated {
		return ReasonNotSeated
	}
	if r := b.bounds(); r != nil {
		return r.Reason
	}
	if r := l.checkDevAdd(&b); r != nil {
		return r.Reason
	}
	if r := mayAddDevice(s, inc.Account, &b, nowMs); r != nil {
		return r.Reason
	}
	return ReasonNone
}

// CutBy lists the operations that stopped an inc: revocations of its device
// and proven faults, by order key.
func (s *State) CutBy(inc wire.OpID) []wire.OpID {
	i, ok := s.find(inc)
	if !ok {
		return nil
	}
	list := slices.Clone(s.r.cuts[i])
	s.r.sortByKey(list)
	return s.ids(list)
}

// CutByFault tells whether a proven contradiction is among what stopped an inc.
func (s *State) CutByFault(inc wire.OpID) bool {
	i, ok := s.find(inc)
	return ok && slices.ContainsFunc(s.r.cuts[i], func(v int) bool { return s.r.nodes[v].op.Kind == KindFault })
}

func (s *State) ids(list []int) []wire.OpID {
	out := make([]wire.OpID, len(list))
	for at, i := range list {
		out[at] = s.r.nodes[i].op.ID
	}
	return out
}
