package node

import (
	"fmt"

	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
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

// certifies tells whether the chain makes a device what the certificate that was
// shown says, by the device at the other end.
func (m replyMsg) certifies(cert identity.Certificate, door wire.PeerKey) error {
	leaf, err := m.Chain.Verify()
	switch {
	case err != nil:
		return fmt.Errorf("reading the certificate: %w", err)
	case leaf != cert:
		return fmt.Errorf("%w: not the certificate that was shown", identity.ErrBadChain)
	case len(m.Chain) < 2 || m.Chain[len(m.Chain)-2].Cert.PeerKey != door:
		return fmt.Errorf("%w: not signed by the device at the other end", identity.ErrBadChain)
	}
	return nil
}

// doneMsg says that it is on the new device's disk.
type doneMsg struct {
	_       struct{} `cbor:",toarray"`
	V, Step uint64
}

// linkBody is what a new device is told: what own devices tell each other
// (N10), and where this one is.
type linkBody struct {
	_      struct{} `cbor:",toarray"`
	V      uint64
	Items  []ownItem
	Record []byte // the door's signed peer record
}

// readBody reads what was in the box.
func readBody(plain []byte) (body linkBody, err error) {
	if err := wire.Unmarshal(plain, &body); err != nil {
		return body, err
	}
	if body.V != 1 {
		return body, fmt.Errorf("%w: link body of version %d", identity.ErrNewer, body.V)
	}
	return body, nil
}
