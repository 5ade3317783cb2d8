package groups

import "fmt"

// Class is what a reason asks of whoever got the operation.
type Class uint8

// The classes of reasons.
const (
	ClassNone   Class = iota
	ClassReject       // malformed, forged or against the rules of its own past: blames the sender
	ClassIgnore       // known, or not worth keeping: blames nobody
	ClassPark         // something is missing: keep and ask for it
	ClassVoid         // accepted, without effect as things stand
	ClassHold         // ahead of our clock: keep, try again later
	ClassAnswer       // an answer to a join request, never about an operation
)

// Reason is the one word scoring, logs and API use for a protocol refusal.
// Numbers are never reused and never change; new ones are appended.
type Reason uint16

// The reasons.
const (
	ReasonNone Reason = iota
	ReasonMalformed
	ReasonTooLarge
	ReasonOutOfBounds
	ReasonUpdateNeeded
	ReasonUnsigned
	ReasonBadSignature
	ReasonBadKey
	ReasonBadChain
	ReasonBadPop
	ReasonBadKEM
	ReasonBadRequest
	ReasonBadUse
	ReasonBadBody
	ReasonWrongGroup
	ReasonWrongAccount
	ReasonUnknownInc
	ReasonMissingParent
	ReasonMissingPrev
	ReasonNotAnInc
	ReasonIncNotInPast
	ReasonPrevNotInPast
	ReasonNotAntichain
	ReasonNotMonotone
	ReasonClockBehind
	ReasonClockAhead
	ReasonClockFarAhead
	ReasonDuplicate
	ReasonBehindHead
	ReasonNotSeated
	ReasonIncNotLive
	ReasonRoleNeeded
	ReasonOutranked
	ReasonOwnerStays
	ReasonNotAMember
	ReasonAlreadyMember
	ReasonGroupFull
	ReasonInviteUnknown
	ReasonInviteRevoked
	ReasonInviteExpired
	ReasonInviteUsed
	ReasonInviterGone
	ReasonNotSponsor
	ReasonPending
	ReasonRemoved
	ReasonRequestReused
	ReasonRequestOld
	ReasonOwnership
	ReasonCapBelowSeated
	ReasonRekeyGen
	ReasonRekeyCount
	ReasonDirect
	ReasonPosting
	ReasonVoided
	ReasonIncInvalid
	ReasonPastPin
	ReasonTooMany
	ReasonBadAccept
	ReasonAcceptOld
	ReasonNoSuccession
	ReasonVotes
	ReasonBadRevocation
	ReasonRevoked
	ReasonDeviceKnown
	ReasonBadFault
	ReasonCutAlready
	ReasonInviteVoid
	reasonCount
)

type reasonFact struct {
	text  string
	class Class
}

// reasonFacts is indexed by Reason; a test holds it complete.
var reasonFacts = [reasonCount]reasonFact{
	ReasonNone:           {"nothing wrong", ClassNone},
	ReasonMalformed:      {"malformed", ClassReject},
	ReasonTooLarge:       {"too large", ClassReject},
	ReasonOutOfBounds:    {"out of bounds", ClassReject},
	ReasonUpdateNeeded:   {"update needed", ClassPark},
	ReasonUnsigned:       {"signed successor missing", ClassPark},
	ReasonBadSignature:   {"bad signature", ClassReject},
	ReasonBadKey:         {"unusable key", ClassReject},
	ReasonBadChain:       {"bad certificate chain", ClassReject},
	ReasonBadPop:         {"bad proof of possession", ClassReject},
	ReasonBadKEM:         {"unusable kem key", ClassReject},
	ReasonBadRequest:     {"join request does not hold", ClassReject},
	ReasonBadUse:         {"invite was not used with its key", ClassReject},
	ReasonBadBody:        {"malformed body", ClassReject},
	ReasonWrongGroup:     {"of another group", ClassReject},
	ReasonWrongAccount:   {"of another account", ClassReject},
	ReasonUnknownInc:     {"author's incarnation unknown", ClassPark},
	ReasonMissingParent:  {"parent missing", ClassPark},
	ReasonMissingPrev:    {"previous operation missing", ClassPark},
	ReasonNotAnInc:       {"never admitted", ClassReject},
	ReasonIncNotInPast:   {"author's incarnation not in its past", ClassReject},
	ReasonPrevNotInPast:  {"chain not continued", ClassReject},
	ReasonNotAntichain:   {"heads not an antichain in order", ClassReject},
	ReasonNotMonotone:    {"forgets what its author had seen", ClassReject},
	ReasonClockBehind:    {"clock behind what it builds on", ClassReject},
	ReasonClockAhead:     {"clock ahead", ClassHold},
	ReasonClockFarAhead:  {"clock more than a day ahead", ClassIgnore},
	ReasonDuplicate:      {"known", ClassIgnore},
	ReasonBehindHead:     {"at or behind the chain's head", ClassIgnore},
	ReasonNotSeated:      {"author has no seat", ClassReject},
	ReasonIncNotLive:     {"author's incarnation is not live", ClassReject},
	ReasonRoleNeeded:     {"author lacks the role", ClassReject},
	ReasonOutranked:      {"target is not of lower rank", ClassReject},
	ReasonOwnerStays:     {"the owner cannot leave", ClassReject},
	ReasonNotAMember:     {"target is no member", ClassReject},
	ReasonAlreadyMember:  {"already a member", ClassReject},
	ReasonGroupFull:      {"group full", ClassReject},
	ReasonInviteUnknown:  {"invite unknown", ClassReject},
	ReasonInviteRevoked:  {"invite revoked", ClassReject},
	ReasonInviteExpired:  {"invite expired", ClassReject},
	ReasonInviteUsed:     {"invite used up", ClassReject},
	ReasonInviterGone:    {"inviter no longer a member", ClassReject},
	ReasonNotSponsor:     {"author may not admit by this invite", ClassReject},
	ReasonPending:        {"waiting for approval", ClassAnswer},
	ReasonRemoved:        {"removed since the invite was made", ClassReject},
	ReasonRequestReused:  {"join request has admitted already", ClassReject},
	ReasonRequestOld:     {"join request too old or too new", ClassReject},
	ReasonOwnership:      {"acts under another ownership", ClassReject},
	ReasonCapBelowSeated: {"cap below the seats taken", ClassReject},
	ReasonRekeyGen:       {"rekey of a wrong generation", ClassReject},
	ReasonRekeyCount:     {"rekey for a wrong number of recipients", ClassReject},
	ReasonDirect:         {"not in a direct conversation", ClassReject},
	ReasonPosting:        {"author may not post", ClassReject},
	ReasonVoided:         {"voided by a higher rank, its own account or proof", ClassVoid},
	ReasonIncInvalid:     {"author's incarnation is void", ClassVoid},
	ReasonPastPin:        {"past a pin", ClassVoid},
	ReasonTooMany:        {"too many devices", ClassReject},
	ReasonBadAccept:      {"consent to an ownership does not hold", ClassReject},
	ReasonAcceptOld:      {"consent to an ownership too old or too new", ClassReject},
	ReasonNoSuccession:   {"no succession, or not yet", ClassReject},
	ReasonVotes:          {"not enough admins signed", ClassReject},
	ReasonBadRevocation:  {"revocation does not hold", ClassReject},
	ReasonRevoked:        {"device was revoked", ClassReject},
	ReasonDeviceKnown:    {"device is in already", ClassReject},
	ReasonBadFault:       {"no contradiction is proved", ClassReject},
	ReasonCutAlready:     {"stopped already", ClassReject},
	ReasonInviteVoid:     {"invite void", ClassReject},
}

// String gives the reason's text, for logs and details.
func (r Reason) String() string {
	if r < reasonCount {
		return reasonFacts[r].text
	}
	return fmt.Sprintf("reason %d", uint16(r))
}

// Class tells what to do about it; a number this version does not know is
// ClassIgnore.
func (r Reason) Class() Class {
	if r < reasonCount {
		return reasonFacts[r].class
	}
	return ClassIgnore
}

// Refusal is a reason with what exactly was wrong, which never quotes
// content or keys. Callers branch on Reason.
type Refusal struct {
	Reason Reason
	Detail string
}

func (r *Refusal) Error() string {
	if r.Detail == "" {
		return r.Reason.String()
	}
	return r.Reason.String() + ": " + r.Detail
}

func refuse(r Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: r, Detail: fmt.Sprintf(format, args...)}
}

// Verdict is what Judge says of an operation that passed Check.
type Verdict uint8

// The verdicts of protocol section 4, with two that say what to do with what
// needs no judging: Hold (ahead of our clock) and Ignore (known already).
const (
	Accept Verdict = iota // in force
	Park                  // keep it, ask for Missing, judge again
	Void                  // accepted, without effect as things stand
	Reject                // never; whoever sent it is to blame
	Hold                  // keep it until our clock is there
	Ignore                // nothing to do, nobody to blame
)

func (v Verdict) String() string {
	switch v {
	case Accept:
		return "accept"
	case Park:
		return "park"
	case Void:
		return "void"
	case Reject:
		return "reject"
	case Hold:
		return "hold"
	case Ignore:
		return "ignore"
	}
	return fmt.Sprintf("verdict %d", uint8(v))
}
