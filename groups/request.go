package groups

import (
	"crypto/ed25519"
	"crypto/sha256"

	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
)

// JoinRequest is a newcomer's half of the mutual follow and its consent, for
// one device (R13). Evolution: never; a change is a new version, which is
// refused.
type JoinRequest struct {
	_       struct{} `cbor:",toarray"`
	V       uint64
	Group   wire.GroupID
	Invite  wire.OptID // the invite's operation, or empty: pulled in
	Inviter wire.AccountID
	// Newcomer asks; its leaf certificate names the one device that enters.
	Newcomer wire.AccountID
	Chain    identity.Chain
	Pop      identity.Pop
	KemPk    []byte
	Follow   uint64 // 1: I follow the inviter in this group
	Nonce    [16]byte
	Ms       uint64
}

// DecodeJoinRequest reads a request; it is not yet verified.
func DecodeJoinRequest(b []byte) (JoinRequest, *Refusal) {
	q, r := decodeRequest(b)
	if r != nil {
		return q, r
	}
	if r := q.bounds(); r != nil {
		return JoinRequest{}, r
	}
	return q, nil
}

func decodeRequest(b []byte) (JoinRequest, *Refusal) {
	var q JoinRequest
	if len(b) > MaxJoinRequest {
		return q, refuse(ReasonTooLarge, "join request of %d bytes, at most %d", len(b), MaxJoinRequest)
	}
	if err := wire.Unmarshal(b, &q); err != nil {
		return JoinRequest{}, refuse(ReasonMalformed, "join request: %v", err)
	}
	return q, nil
}

// Encode gives the signed bytes of the request.
func (q JoinRequest) Encode() []byte { return wire.Marshal(q) }

// Hash names the request: it admits once.
func (q JoinRequest) Hash() [32]byte { return sha256.Sum256(q.Encode()) }

// Device is the op key of the device that asks; zero without a chain.
func (q JoinRequest) Device() wire.DeviceID {
	if len(q.Chain) == 0 {
		return wire.DeviceID{}
	}
	return q.Chain.Leaf().OpKey
}

// Sign signs the request with the new device's op key.
func (q JoinRequest) Sign(op ed25519.PrivateKey) wire.Sig {
	return wire.Sign(wire.DomainJoinRequest, op, wire.Context(q.Group), q.Encode())
}

// Use signs the request with the invite's key.
func (q JoinRequest) Use(invite ed25519.PrivateKey) []byte {
	s := wire.Sign(wire.DomainInviteUse, invite, wire.Context(q.Group), q.useCore())
	return s[:]
}

type inviteUse struct {
	_    struct{} `cbor:",toarray"`
	V    uint64
	Hash [32]byte
}

func (q JoinRequest) useCore() []byte { return wire.Marshal(inviteUse{V: 1, Hash: q.Hash()}) }

// bounds of a request to be admitted: to somebody else's group.
func (q JoinRequest) bounds() *Refusal {
	if q.Inviter == q.Newcomer {
		return refuse(ReasonBadRequest, "inviting oneself")
	}
	return q.shape()
}

// ownBounds are those of a request to be added as a device of a member: to
// itself, and no ground for an admit (R42).
func (q JoinRequest) ownBounds() *Refusal {
	if q.Inviter != q.Newcomer || len(q.Invite) != 0 {
		return refuse(ReasonBadRequest, "another's device, or by an invite")
	}
	return q.shape()
}

func (q JoinRequest) shape() *Refusal {
	switch {
	case q.V != 1:
		return refuse(ReasonBadRequest, "version %d", q.V)
	case q.Follow != 1:
		return refuse(ReasonBadRequest, "follow %d", q.Follow)
	case !q.Invite.Valid():
		return refuse(ReasonBadRequest, "invite of %d bytes", len(q.Invite))
	case len(q.KemPk) != seal.KEMPublicLen:
		return refuse(ReasonBadKEM, "kem key of %d bytes", len(q.KemPk))
	case len(q.Chain) == 0 || len(q.Chain) > 3:
		return refuse(ReasonBadChain, "%d certificates", len(q.Chain))
	case q.Ms >= wire.MaxMs:
		return refuse(ReasonOutOfBounds, "request of %d ms", q.Ms)
	}
	if n := len(q.Encode()); n > MaxJoinRequest {
		return refuse(ReasonTooLarge, "join request of %d bytes, at most %d", n, MaxJoinRequest)
	}
	return nil
}

// Verify checks what the request says of itself for group: certificate
// chain, proofs of possession, KEM key and signature (R13). The invite-use
// signature is VerifyUse's.
func (q JoinRequest) Verify(group wire.GroupID, sig wire.Sig) *Refusal {
	if q.Group != group {
		return refuse(ReasonWrongGroup, "join request for %s", q.Group.Short())
	}
	leaf, r := checkDevice(q.Chain, q.Pop, q.KemPk, q.Newcomer)
	if r != nil {
		return r
	}
	if !wire.Verify(wire.DomainJoinRequest, leaf.OpKey, wire.Context(group), q.Encode(), sig) {
		return refuse(ReasonBadRequest, "bad signature of the new device")
	}
	return nil
}

// VerifyUse tells whether useSig is the invite key's over this request.
func (q JoinRequest) VerifyUse(invitePk [32]byte, useSig []byte) bool {
	return len(useSig) == sigLen &&
		wire.Verify(wire.DomainInviteUse, invitePk, wire.Context(q.Group), q.useCore(), wire.Sig(useSig))
}

// checkDevice judges what lets a device in: certificate, pop, KEM key (R14).
func checkDevice(chain identity.Chain, pop identity.Pop, kemPk []byte, account wire.AccountID) (identity.Certificate, *Refusal) {
	leaf, err := chain.Verify()
	if err != nil {
		return leaf, refuse(ReasonBadChain, "%v", err)
	}
	if leaf.Account != account {
		return leaf, refuse(ReasonWrongAccount, "certificate of %s", leaf.Account.Short())
	}
	if err := pop.Verify(leaf); err != nil {
		return leaf, refuse(ReasonBadPop, "%v", err)
	}
	if err := seal.CheckKEM(kemPk); err != nil {
		return leaf, refuse(ReasonBadKEM, "%v", err)
	}
	return leaf, nil
}
