package groups

import (
	"bytes"
	"fmt"
	"math/bits"

	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
)

// Kind is what a control operation does. Numbers are never reused.
type Kind uint64

// The control kinds.
const (
	KindGenesis      Kind = 0
	KindAdmit        Kind = 1
	KindLeave        Kind = 2
	KindRemove       Kind = 3
	KindRole         Kind = 4
	KindTransfer     Kind = 5
	KindSucceed      Kind = 6
	KindPolicy       Kind = 7
	KindInvite       Kind = 8
	KindInviteRevoke Kind = 9
	KindDevAdd       Kind = 10
	KindDevRevoke    Kind = 11
	KindFault        Kind = 12
	KindRekey        Kind = 13
	KindHarbor       Kind = 14
	KindAck          Kind = 15
)

var kindNames = [...]string{"genesis", "admit", "leave", "remove", "role", "transfer", "succeed", "policy",
	"invite", "invite-revoke", "dev-add", "dev-revoke", "fault", "rekey", "harbor", "ack"}

func (k Kind) String() string {
	if k < Kind(len(kindNames)) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint64(k))
}

// Role is a member's rank; lower is higher.
type Role uint8

// The roles.
const (
	RoleOwner  Role = 0
	RoleAdmin  Role = 1
	RoleMember Role = 2
)

func (r Role) String() string {
	switch r {
	case RoleOwner:
		return "owner"
	case RoleAdmin:
		return "admin"
	}
	return "member"
}

// Redeem says who may admit by an invite.
const (
	RedeemAny    uint64 = 0
	RedeemAdmins uint64 = 1
	RedeemListed uint64 = 2
)

// WhoInvites of a policy.
const (
	InviteOwner   uint64 = 0
	InviteAdmins  uint64 = 1
	InviteMembers uint64 = 2
)

// Posting of a policy.
const (
	PostAll    uint64 = 0
	PostAdmins uint64 = 1
)

// Policy is what the owner decides besides the cap; it travels whole.
// Evolution: never; a new rule is a new kind of operation.
type Policy struct {
	_           struct{} `cbor:",toarray"`
	HistoryDays uint64   // HistoryNone, days, or HistoryAll
	WhoInvites  uint64
	Posting     uint64
	SucceedDays uint64 // 0: no succession
	Waitlist    uint64 // places past the cap
	Direct      []byte // the other account of a direct conversation, or empty
}

// DefaultPolicy: a week of history, all members invite and post, twenty wait.
func DefaultPolicy() Policy {
	return Policy{HistoryDays: 7, WhoInvites: InviteMembers, Posting: PostAll, Waitlist: 20}
}

func (p Policy) bounds() *Refusal {
	switch {
	case p.HistoryDays > MaxHistoryDays && p.HistoryDays != HistoryAll:
		return refuse(ReasonOutOfBounds, "%d days of history", p.HistoryDays)
	case p.WhoInvites > InviteMembers:
		return refuse(ReasonOutOfBounds, "who invites %d", p.WhoInvites)
	case p.Posting > PostAdmins:
		return refuse(ReasonOutOfBounds, "posting %d", p.Posting)
	case p.SucceedDays > MaxSucceedDays:
		return refuse(ReasonOutOfBounds, "%d days to succession", p.SucceedDays)
	case p.Waitlist > MaxWaitlist:
		return refuse(ReasonOutOfBounds, "waitlist of %d", p.Waitlist)
	case len(p.Direct) != 0 && len(p.Direct) != 32:
		return refuse(ReasonOutOfBounds, "direct account of %d bytes", len(p.Direct))
	}
	return nil
}

// narrower is, field by field, the more restrictive of two policies (R28).
func (p Policy) narrower(o Policy) Policy {
	p.HistoryDays = min(p.HistoryDays, o.HistoryDays)
	p.WhoInvites = min(p.WhoInvites, o.WhoInvites)
	p.Posting = max(p.Posting, o.Posting)
	p.Waitlist = min(p.Waitlist, o.Waitlist)
	if p.SucceedDays == 0 || o.SucceedDays == 0 {
		p.SucceedDays = 0
	} else {
		p.SucceedDays = max(p.SucceedDays, o.SucceedDays)
	}
	return p
}

func capBounds(c uint64) *Refusal {
	if c < MinCap || c > MaxCap {
		return refuse(ReasonOutOfBounds, "cap %d, want %d to %d", c, MinCap, MaxCap)
	}
	return nil
}

// The bodies as they travel (R8). Evolution: never.
type (
	// GenesisBody founds a group; its operation is the founder's inc.
	GenesisBody struct {
		_      struct{} `cbor:",toarray"`
		Owner  wire.AccountID
		Chain  identity.Chain
		Pop    identity.Pop
		KemPk  []byte
		Nonce  [16]byte
		Cap    uint64
		Policy Policy
		Suite  uint64
	}
	// AdmitBody lets one device in; its operation is that device's inc. It
	// is written by a sponsor.
	AdmitBody struct {
		_       struct{} `cbor:",toarray"`
		Request JoinRequest
		Sig     wire.Sig
		UseSig  []byte // the invite key's signature, or empty: pulled in
	}
	// LeaveBody: its author's account goes, with all its devices.
	LeaveBody struct {
		_    struct{} `cbor:",toarray"`
		Pins []Pin
	}
	// RemoveBody puts an account out.
	RemoveBody struct {
		_       struct{} `cbor:",toarray"`
		Account wire.AccountID
		Pins    []Pin
	}
	// RoleBody makes an account admin or member.
	RoleBody struct {
		_       struct{}  `cbor:",toarray"`
		OwnOp   wire.OpID // the ownership it is made under
		Account wire.AccountID
		Role    uint64
		Pins    []Pin
	}
	// PolicyBody sets cap and policy.
	PolicyBody struct {
		_      struct{} `cbor:",toarray"`
		OwnOp  wire.OpID
		Cap    uint64
		Policy Policy
		Pins   []Pin
	}
	// InviteBody is a follow edge signed in advance: its author's account
	// follows, in this group, whoever InvitePk certifies, under these
	// limits.
	InviteBody struct {
		_          struct{} `cbor:",toarray"`
		InvitePk   [32]byte
		MaxUses    uint64
		NotAfterMs uint64
		Redeem     uint64
		Incs       []wire.OpID // ascending; empty unless RedeemListed
		Approval   uint64
		KemPk      []byte // sleep-proof, or empty
		Role       uint64 // RoleMember
	}
	// InviteRevokeBody ends an invite.
	InviteRevokeBody struct {
		_      struct{} `cbor:",toarray"`
		Invite wire.OpID
	}
	// RekeyBody begins an epoch; the wraps lie below WrapRoot.
	RekeyBody struct {
		_        struct{} `cbor:",toarray"`
		Gen      uint64
		EID      [32]byte
		WrapRoot [32]byte
		Count    uint64
	}
	// AckBody says nothing but what its operation has seen.
	AckBody struct {
		_ struct{} `cbor:",toarray"`
	}
)

// body is what every kind of control operation has.
type body interface{ bounds() *Refusal }

// newBody gives an empty body to decode into; nil for a kind this version
// does not know (R10).
func newBody(k Kind) body {
	switch k {
	case KindGenesis:
		return new(GenesisBody)
	case KindAdmit:
		return new(AdmitBody)
	case KindLeave:
		return new(LeaveBody)
	case KindRemove:
		return new(RemoveBody)
	case KindRole:
		return new(RoleBody)
	case KindPolicy:
		return new(PolicyBody)
	case KindInvite:
		return new(InviteBody)
	case KindInviteRevoke:
		return new(InviteRevokeBody)
	case KindTransfer:
		return new(TransferBody)
	case KindSucceed:
		return new(SucceedBody)
	case KindDevAdd:
		return new(DevAddBody)
	case KindDevRevoke:
		return new(DevRevokeBody)
	case KindFault:
		return new(FaultBody)
	case KindHarbor:
		return new(HarborBody)
	case KindRekey:
		return new(RekeyBody)
	case KindAck:
		return new(AckBody)
	}
	return nil
}

func (b *GenesisBody) bounds() *Refusal {
	if r := capBounds(b.Cap); r != nil {
		return r
	}
	if r := b.Policy.bounds(); r != nil {
		return r
	}
	switch {
	case len(b.KemPk) != seal.KEMPublicLen:
		return refuse(ReasonBadKEM, "kem key of %d bytes", len(b.KemPk))
	case len(b.Policy.Direct) != 0 && (b.Cap != 2 || b.Policy.Waitlist != 0):
		return refuse(ReasonDirect, "a direct conversation of cap %d, waitlist %d", b.Cap, b.Policy.Waitlist)
	case bytes.Equal(b.Policy.Direct, b.Owner[:]):
		return refuse(ReasonDirect, "a direct conversation with oneself")
	}
	return nil
}

func (b *AdmitBody) bounds() *Refusal {
	if r := b.Request.bounds(); r != nil {
		return r
	}
	want := 0
	if len(b.Request.Invite) != 0 {
		want = sigLen
	}
	if len(b.UseSig) != want {
		return refuse(ReasonBadUse, "invite-use signature of %d bytes, want %d", len(b.UseSig), want)
	}
	return nil
}

func (b *LeaveBody) bounds() *Refusal { return checkPins(b.Pins) }

func (b *RemoveBody) bounds() *Refusal { return checkPins(b.Pins) }

func (b *RoleBody) bounds() *Refusal {
	if b.Role != uint64(RoleAdmin) && b.Role != uint64(RoleMember) {
		return refuse(ReasonOutOfBounds, "role %d", b.Role)
	}
	return checkPins(b.Pins)
}

func (b *PolicyBody) bounds() *Refusal {
	if r := capBounds(b.Cap); r != nil {
		return r
	}
	if r := b.Policy.bounds(); r != nil {
		return r
	}
	return checkPins(b.Pins)
}

func (b *InviteBody) bounds() *Refusal {
	switch {
	case b.MaxUses == 0 || b.MaxUses > MaxUses:
		return refuse(ReasonOutOfBounds, "%d uses, want 1 to %d", b.MaxUses, MaxUses)
	case b.NotAfterMs >= wire.MaxMs:
		return refuse(ReasonOutOfBounds, "not after %d", b.NotAfterMs)
	case b.Redeem > RedeemListed:
		return refuse(ReasonOutOfBounds, "redeem %d", b.Redeem)
	case (b.Redeem == RedeemListed) != (len(b.Incs) > 0) || len(b.Incs) > MaxListed:
		return refuse(ReasonOutOfBounds, "%d incs listed, redeem %d", len(b.Incs), b.Redeem)
	case b.Approval > 1:
		return refuse(ReasonOutOfBounds, "approval %d", b.Approval)
	case len(b.KemPk) != 0 && (len(b.KemPk) != seal.KEMPublicLen || b.Approval != 0):
		return refuse(ReasonBadKEM, "kem key of %d bytes, approval %d", len(b.KemPk), b.Approval)
	case b.Role != uint64(RoleMember):
		return refuse(ReasonOutOfBounds, "an invite for role %d", b.Role)
	}
	for i := 1; i < len(b.Incs); i++ {
		if bytes.Compare(b.Incs[i-1][:], b.Incs[i][:]) >= 0 {
			return refuse(ReasonBadBody, "listed inc %d out of order", i)
		}
	}
	return nil
}

func (b *InviteRevokeBody) bounds() *Refusal { return nil }

func (b *RekeyBody) bounds() *Refusal {
	if b.Gen == 0 || bits.Len64(b.Gen) > 32 {
		return refuse(ReasonOutOfBounds, "generation %d", b.Gen)
	}
	if b.Count == 0 || b.Count > seal.MaxLeaves {
		return refuse(ReasonOutOfBounds, "%d recipients", b.Count)
	}
	return nil
}

func (b *AckBody) bounds() *Refusal { return nil }
