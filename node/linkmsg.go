package node

import (
	"mutuals/groups/seal"
	"mutuals/identity"
)

const protocolLink = "/mutuals/link/1"

// The messages of /mutuals/link/1 (PROTOCOLS.md N14), each one frame: the new
// device sends the odd ones.
const (
	linkKnock  = 1
	linkAnswer = 2
	linkReveal = 3
	linkCert   = 4
	linkProof  = 5
	linkReply  = 6
	linkDone   = 7
)

// Bounds of the link stream.
const (
	maxKnockFrame = identity.MaxLinkHello + 64
	maxLinkFrame  = 512                 // a certificate, or two signatures
	maxLinkReply  = seal.MaxLink + 2048 // three certificates of 250 bytes beside the box
)

// knockMsg is the hello of a new device (I23), as it travels into the
// transcript, and what it commits to (I21).
type knockMsg struct {
	_       struct{} `cbor:",toarray"`
	V, Step uint64
	Hello   []byte
	Commit  [32]byte
}

// randMsg is rA of the door, then rB of the new device.
type randMsg struct {
	_       struct{} `cbor:",toarray"`
	V, Step uint64
	R       [32]byte
}

// certMsg is the yes: the certificate to be, not signed yet.
type certMsg struct {
	_       struct{} `cbor:",toarray"`
	V, Step uint64
	Cert    identity.Certificate
}

type proofMsg struct {
	_       struct{} `cbor:",toarray"`
	V, Step uint64
	Pop     identity.Pop
}

// replyMsg makes the new device one of the account; Box holds a linkBody
// (groups/seal/SPEC.md S10).
type replyMsg struct {
	_       struct{} `cbor:",toarray"`
	V, Step uint64
	Chain   identity.Chain
	Box     []byte
}

// doneMsg says that it is on the new device's disk.
type doneMsg struct {
	_       struct{} `cbor:",toarray"`
	V, Step uint64
}

// linkBody is what a new device is told: what own devices tell each other
// (N9), and where this one is.
type linkBody struct {
	_      struct{} `cbor:",toarray"`
	V      uint64
	Items  []ownItem
	Record []byte // the door's signed peer record
}
