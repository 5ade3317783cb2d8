package node

import (
	"errors"
	"fmt"

	"mutuals/groups"
	"mutuals/identity/wire"
)

// The four messages of /mutuals/join/1 (PROTOCOLS.md N1). Each is
// one frame, but for the answer to the hello, which is two: genesis alone, so
// that a newcomer reads at most one control operation from a stranger before
// it has compared a prefix, and then everything else.
const (
	joinHello   = 1
	joinPath    = 2
	joinAsk     = 3
	joinVerdict = 4
)

// Bounds of the join stream, the first two by protocol.
const (
	maxGenesisFrame = 128 << 10 // a control core
	maxPathFrame    = 4 << 20   // the paths of an invite and of a sponsor
	maxHelloFrame   = 256       // two keys and a signature
	maxAskFrame     = 20 << 10  // a join request of 16 KiB, two signatures
	maxVerdictFrame = 160 << 10 // one control frame and a reason
)

type helloMsg struct {
	_         struct{} `cbor:",toarray"`
	V, Step   uint64
	InvitePk  [32]byte
	Nonce     [16]byte
	Signature wire.Sig
}

// helloCore is what the invite key signs: both ends of this connection, so
// that a hello overheard cannot be used from elsewhere.
type helloCore struct {
	_     struct{} `cbor:",toarray"`
	V     uint64
	N, S  wire.PeerKey
	Nonce [16]byte
}

type pathMsg struct {
	_       struct{} `cbor:",toarray"`
	V, Step uint64
	Frames  [][]byte // oldest first, without genesis
	Preview []byte   // sealed, may be empty
}

type askMsg struct {
	_       struct{} `cbor:",toarray"`
	V, Step uint64
	Request groups.JoinRequest
	Sig     wire.Sig
	UseSig  wire.Sig
}

// Outcomes of an ask.
const (
	outcomeAdmitted   = 0
	outcomeWaitlisted = 1
	outcomePending    = 2
	outcomeRefused    = 3
)

type verdictMsg struct {
	_       struct{} `cbor:",toarray"`
	V, Step uint64
	Outcome uint64
	Admit   []byte // the admit's frame, or empty
	Reason  uint64 // a groups.Reason, 0 if admitted
}

// errStep means that the other side spoke out of turn.
var errStep = errors.New("not the message that comes here")

// errForged means that a signature is not by whom it says.
var errForged = errors.New("forged")

func checkStep(v, step, want uint64) error {
	if v != 1 || step != want {
		return fmt.Errorf("%w: version %d, step %d instead of %d", errStep, v, step, want)
	}
	return nil
}
