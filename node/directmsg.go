package node

import (
	"mutuals/groups"
	"mutuals/identity"
	"mutuals/identity/wire"
)

// Kinds of frames of /mutuals/direct/1. Each frame is answered by an ack once
// it is stored (or was refused for good), which ends its entry in the
// sender's outbox.
const (
	directEdge       = 1
	directProfile    = 2
	directRevocation = 3
	directOffer      = 4
	directAnswer     = 5
	directDecline    = 6
	directRecord     = 7
	directAsk        = 8
	directWithdraw   = 9
	directHeir       = 10
	directHeirYes    = 11
	directSuccession = 12
	directVote       = 13
	directSibling    = 14
	directOwn        = 15
	directAddMe      = 16
	directLobby      = 18 // 17 was without topics
)

// maxDirectFrame bounds one direct frame: a join request of 16 KiB or a
// genesis of 128 KiB with its preview.
const maxDirectFrame = 160 << 10

type directMsg struct {
	_       struct{} `cbor:",toarray"`
	V, Kind uint64
	Body    []byte // one encoded value of the kind
}

// ackMsg answers a directMsg. OK is 1 if stored; 0 if it was refused for good
// and need not come again.
type ackMsg struct {
	_     struct{} `cbor:",toarray"`
	V, OK uint64
}

// offerMsg asks a mutual into a group. What it says of the group is shown as
// the inviter's words until the admit was synced.
type offerMsg struct {
	_       struct{} `cbor:",toarray"`
	Inviter wire.AccountID
	Genesis []byte // the frame
	Preview offerPreview
	Nonce   [16]byte
}

type offerPreview struct {
	_           struct{} `cbor:",toarray"`
	Name        string
	Members     uint64
	Cap         uint64
	HistoryDays uint64
}

// answerMsg is the yes to an offer: the newcomer's half and consent.
type answerMsg struct {
	_       struct{} `cbor:",toarray"`
	Request groups.JoinRequest
	Sig     wire.Sig
}

// declineMsg is the no, to whoever asked; as directWithdraw it is how who asked
// takes back. It is not signed: the connection proves the peer, and only those
// know the nonce who took part.
type declineMsg struct {
	_     struct{} `cbor:",toarray"`
	Group wire.GroupID
	Nonce [16]byte
}

// passedMsg is somebody's join request, passed on by the member who was asked
// to an admin, whose yes it needs.
type passedMsg struct {
	_       struct{} `cbor:",toarray"`
	Request groups.JoinRequest
	Sig     wire.Sig
	UseSig  wire.Sig
}

// heirMsg offers a group to its next owner.
type heirMsg struct {
	_     struct{} `cbor:",toarray"`
	Group wire.GroupID
	OwnOp wire.OpID // the ownership that would end
	Nonce [16]byte
}

// heirYesMsg is the heir's consent, as the transfer will carry it.
type heirYesMsg struct {
	_      struct{} `cbor:",toarray"`
	Group  wire.GroupID
	Nonce  [16]byte
	Chain  identity.Chain
	Ms     uint64
	Accept wire.Sig // owner-accept
}

// successionMsg asks an admin to elect an heir.
type successionMsg struct {
	_     struct{} `cbor:",toarray"`
	Group wire.GroupID
	OwnOp wire.OpID
	Heir  wire.AccountID
	Ms    uint64 // when it was proposed: what all sign
	Nonce [16]byte
}

// voteMsg is an admin's yes.
type voteMsg struct {
	_     struct{} `cbor:",toarray"`
	Group wire.GroupID
	Nonce [16]byte
	Inc   wire.OpID
	Sig   wire.Sig // succeed
}
