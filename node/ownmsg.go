package node

import "mutuals/identity/wire"

// Kinds of items that own devices tell each other (PROTOCOLS.md N10). Numbers
// are never reused; an item of a kind that is not known is passed over.
const (
	ownEdge     = 1  // a signed edge from or to this account
	ownProfile  = 2  // a signed profile, its own or a contact's
	ownCard     = 3  // a contact's signed card
	ownBlock    = 4  // blockItem
	ownSettings = 5  // settingsItem
	ownSibling  = 6  // an ownDevice
	ownGroup    = 7  // groupItem
	ownRead     = 8  // readItem
	ownRevoked  = 9  // a signed revocation, of an own device or a contact's
	ownRequest  = 10 // requestItem
	ownReceipts = 11 // receiptsItem
)

// maxOwnItems bounds the items of one message.
const maxOwnItems = wire.MaxElements

// maxOwnFrame is how many bytes of items travel in one direct frame.
const maxOwnFrame = 128 << 10

// ownItem is one thing that all devices of an account know; of two that speak
// of the same, one wins wherever they meet.
type ownItem struct {
	_    struct{} `cbor:",toarray"`
	Kind uint64
	Body []byte
}

// ownMsg carries items between devices of one account.
type ownMsg struct {
	_     struct{} `cbor:",toarray"`
	V     uint64
	Items []ownItem
}

// siblingMsg is how a device shows another that it is of the same account. The
// digest is over all items it knows: equal ones need not travel.
type siblingMsg struct {
	_      struct{} `cbor:",toarray"`
	V      uint64
	Device ownDevice
	Digest [32]byte
}

// addMeMsg asks a sibling to add the device at the other end to a group (R42).
type addMeMsg struct {
	_     struct{} `cbor:",toarray"`
	Group wire.GroupID
	KemPk []byte
}

// blockItem is whether an account is blocked; the later word holds, then the
// block.
type blockItem struct {
	_       struct{} `cbor:",toarray"`
	Account wire.AccountID
	Blocked bool
	Ms      uint64
}

// settingsItem is how the person wants all own nodes to behave; the later word
// holds.
type settingsItem struct {
	_          struct{} `cbor:",toarray"`
	Ms         uint64
	AutoAccept string
}

// receiptsItem is whether the person takes read receipts; the later word holds,
// then the no.
type receiptsItem struct {
	_     struct{} `cbor:",toarray"`
	Ms    uint64
	Takes bool
}

// groupItem names a group this account is in.
type groupItem struct {
	_       struct{} `cbor:",toarray"`
	Seated  bool     // else it waits for a seat, and no device can be added yet
	Genesis []byte   // the frame
}

// readItem is how far the person has read; the later place holds.
type readItem struct {
	_     struct{} `cbor:",toarray"`
	Group wire.GroupID
	Ms    uint64
	ID    wire.OptID
}

// Kinds of requests in a requestItem.
const (
	askedFollow     = 1 // somebody follows: the nonce is the edge's id, cut
	askedSeat       = 2 // a seat is offered: an offerMsg
	askedJoin       = 3 // somebody asks to be let in: a passedMsg
	askedOwnership  = 4 // a group is offered: a heirMsg
	askedSuccession = 5 // an owner is proposed: a successionMsg
)

// How a request ended.
const (
	endedGone = 1 // with a yes, or taken back, or overtaken
	endedNo   = 2 // with this person's no
)

// requestItem is what the person is asked, on whatever device, or was; the end
// holds.
type requestItem struct {
	_     struct{} `cbor:",toarray"`
	Kind  uint64
	From  wire.AccountID
	Nonce [16]byte // names it among those of this kind and account
	Group wire.OptID
	End   uint64 // 0 while it waits
	Ms    uint64 // when it came, or ended
	Body  []byte // as it came; empty once it ended
}

// item encodes one.
func item(kind uint64, v any) ownItem { return ownItem{Kind: kind, Body: wire.Marshal(v)} }

// hash names an item by what it says.
func (i ownItem) hash() [32]byte { return wire.Hash(wire.Marshal(i)) }
