package node

import (
	"mutuals/groups"
	"mutuals/identity/wire"
)

const protocolHarbor = "/mutuals/harbor/1"

// Kinds of what a harbor is asked (PROTOCOLS.md N12), never reused.
const (
	harborAppoint = 1 // appointBody; the admission path of who asks follows as a second frame
	harborTopic   = 2 // topicBody
	harborInvite  = 3 // inviteBody
)

// Bounds of the harbor stream.
const (
	maxHarborFrame  = 48 << 10 // a sealed preview of 40 KiB and what names it
	maxHarborAnswer = 1 << 10  // two keys and two signatures
)

// harborMsg is what travels first on a harbor stream.
type harborMsg struct {
	_       struct{} `cbor:",toarray"`
	V       uint64
	Group   wire.GroupID
	Request []byte   // an encoded harborReq
	Sig     wire.Sig // harbor-req over it, by the op key of its inc, in the group
}

// harborReq is what a member asks of a harbor. It names both, so that nobody
// else can use it, nor anywhere else.
type harborReq struct {
	_      struct{} `cbor:",toarray"`
	V      uint64
	Inc    wire.OpID
	Harbor wire.PeerKey
	Nonce  [16]byte
	Ms     uint64
	What   harborWhat
}

type harborWhat struct {
	_    struct{} `cbor:",toarray"`
	Kind uint64
	Body []byte // one encoded value of the kind
}

// appointBody asks a node to be a group's harbor.
type appointBody struct {
	_      struct{} `cbor:",toarray"`
	Rights uint64
	Quota  uint64 // bytes; 0: as many as it gives
}

// harborPath is the admission path of the device that asks, genesis first.
type harborPath struct {
	_      struct{} `cbor:",toarray"`
	Frames [][]byte
}

// topicBody names the gossip topic of an epoch: its name, which tells nothing
// of the epoch's secret.
type topicBody struct {
	_     struct{} `cbor:",toarray"`
	Rekey wire.OpID
	Topic [32]byte
}

// inviteBody leaves a sleep-proof invite with a harbor, which says yes once
// the invite and the wraps of the rekey are on its disk.
type inviteBody struct {
	_       struct{} `cbor:",toarray"`
	Invite  wire.OpID
	Rekey   wire.OpID
	Preview []byte // sealed for who holds the code; may be empty
}

// What a harbor answers, never reused.
const (
	harborYes      = 0
	harborOffers   = 1 // it keeps nothing for others
	harborStranger = 2 // not for this account
	harborFull     = 3 // its disk or its number of groups
	harborMember   = 4 // it is a member of the group itself
	harborInOffice = 5 // it is the group's harbor already
	harborLacks    = 6 // what was named is not here yet
)

type harborAnswer struct {
	_       struct{} `cbor:",toarray"`
	V       uint64
	Outcome uint64
	Body    []byte // an encoded consentBody after a yes to an appointment, else empty
}

// consentBody is a harbor's consent, as the appointment will carry it.
type consentBody struct {
	_       struct{} `cbor:",toarray"`
	OpKey   wire.DeviceID
	PeerKey wire.PeerKey
	Pop     groups.HarborPop
}
