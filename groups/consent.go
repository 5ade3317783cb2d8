package groups

import (
	"slices"

	"mutuals/identity/wire"
)

// ConsentWay is how an account came into a group.
type ConsentWay uint8

// The ways.
const (
	WayFounded  ConsentWay = iota // by making the group
	WayPulledIn                   // by an offer it accepted
	WayInvited                    // by a passcode
)

func (w ConsentWay) String() string {
	switch w {
	case WayFounded:
		return "founded"
	case WayPulledIn:
		return "pulled-in"
	}
	return "invited"
}

// Consent is what a verified proof shows: that both accounts agreed, with
// whose signatures, when. It does not show that the seat still stands, nor
// that the group's limits and removals were kept: for that the whole of the
// group's control operations is needed (R65).
type Consent struct {
	Group wire.GroupID
	Way   ConsentWay
	Admit wire.OpID
	// Account came in, with Device.
	Account wire.AccountID
	Device  wire.DeviceID
	// Inviter is the account it came through, which said yes with
	// InviterDevice; zero for a founder.
	Inviter       wire.AccountID
	InviterDevice wire.DeviceID
	// Sponsor wrote the admission: the inviter itself, or by a passcode any
	// member the invite allows; zero where a harbor did, then only the device
	// is known.
	Sponsor       wire.AccountID
	SponsorDevice wire.DeviceID
	// Invite and what it allowed; zero unless WayInvited.
	Invite     wire.OpID
	MaxUses    uint64
	NotAfterMs uint64
	// AtMs is the admission's clock.
	AtMs uint64
	// Signatures are those of the agreement, oldest first.
	Signatures []ConsentSignature
	// Names are all accounts that the proof names, oldest first.
	Names []wire.AccountID
	// Operations is how many were verified.
	Operations int
}

// ConsentSignature is one half of an agreement.
type ConsentSignature struct {
	What    string // genesis, invite, request, invite-use, admit
	Account wire.AccountID
	// Key is the Ed25519 key it verifies under: a device's, or of an invite-use
	// the invite's.
	Key  [32]byte
	AtMs uint64 // what the signed bytes say; of an invite-use the request's
	Sig  wire.Sig
}

// consent reads out a path that was verified.
func (p *Path) consent(admit wire.OpID, ops []*Op) Consent {
	n := p.byID[admit]
	c := Consent{Group: p.Group, Admit: admit, Account: n.account, Device: wire.DeviceID(n.leaf.OpKey), AtMs: n.op.HLC, Operations: len(ops)}
	for _, o := range ops {
		if a := p.byID[o.ID].account; !a.IsZero() && !slices.Contains(c.Names, a) {
			c.Names = append(c.Names, a)
		}
	}
	sign := func(what string, n *node) {
		inc := p.byID[n.op.IncID()]
		c.Signatures = append(c.Signatures, ConsentSignature{What: what, Account: inc.account, Key: inc.leaf.OpKey, AtMs: n.op.HLC, Sig: n.op.Sig})
	}
	b, ok := n.op.Body.(*AdmitBody)
	if !ok {
		sign("genesis", n)
		return c
	}
	sponsor := p.byID[n.op.IncID()]
	c.Way, c.Inviter = WayPulledIn, b.Request.Inviter
	c.Sponsor, c.SponsorDevice = sponsor.account, wire.DeviceID(sponsor.leaf.OpKey)
	c.InviterDevice = c.SponsorDevice
	id, invited := b.Request.Invite.Get()
	if invited {
		invite := p.byID[id]
		c.Way, c.Invite, c.MaxUses, c.NotAfterMs = WayInvited, id, p.invite[id].MaxUses, p.invite[id].NotAfterMs
		c.InviterDevice = wire.DeviceID(p.byID[invite.op.IncID()].leaf.OpKey)
		sign("invite", invite)
	}
	c.Signatures = append(c.Signatures, ConsentSignature{What: "request", Account: c.Account, Key: c.Device, AtMs: b.Request.Ms, Sig: b.Sig})
	if invited {
		c.Signatures = append(c.Signatures, ConsentSignature{What: "invite-use", Account: c.Account, Key: p.invite[id].InvitePk, AtMs: b.Request.Ms, Sig: wire.Sig(b.UseSig)})
	}
	sign("admit", n)
	return c
}
