package node

import (
	"crypto/ed25519"
	"fmt"

	"mutuals/groups/seal"
	"mutuals/identity/wire"
)

const protocolReceipt = "/mutuals/receipt/1"

// Bounds of the receipt stream.
const (
	// maxReceiptStreams is how many one peer may hold open: one a shared group
	// comes each second at most, and is over at once.
	maxReceiptStreams = 16
	// maxReceipts bounds the receipts of one frame, and maxReceiptFrame what they
	// weigh: each is 488 bytes at most.
	maxReceipts     = 128
	maxReceiptFrame = 64 << 10
	// maxReceiptFrames bounds a stream: a receipt of each device of the largest
	// group.
	maxReceiptFrames = 8
)

// receiptsMsg hands receipts of a group's devices on, the sender's own and
// others' (PROTOCOLS.md N20).
type receiptsMsg struct {
	_        struct{} `cbor:",toarray"`
	V        uint64
	Group    wire.GroupID
	Ask      uint64        // 1: give me what is newer than Have
	Have     []receiptHave // ascending by Inc
	Receipts [][]byte      // encoded signedReceipts
}

// receiptHave is the newest receipt of a device that the asker has.
type receiptHave struct {
	_   struct{} `cbor:",toarray"`
	Inc wire.OpID
	N   uint64
}

// receipt is the newest word of one device on how far its person has read,
// sealed for the group. Evolution: V counts; a reader passes over a V it does
// not know.
type receipt struct {
	_    struct{} `cbor:",toarray"`
	V    uint64
	Inc  wire.OpID
	N    uint64 // when it was said, ms: the newer one holds
	EID  [32]byte
	Salt [16]byte
	Box  []byte
}

// signedReceipt is what travels: the encoded receipt and the signature of its
// incarnation's op key in the group (domain receipt).
type signedReceipt struct {
	_    struct{} `cbor:",toarray"`
	Core []byte
	Sig  wire.Sig
}

// receiptBody is what is sealed.
type receiptBody struct {
	_     struct{}   `cbor:",toarray"`
	Takes bool       // the person shows receipts, and is shown others'
	Ms    uint64     // place of the newest message read of somebody who takes them too; 0: none
	ID    wire.OptID // and its id
}

// receiptBox is the length of every sealed receiptBody.
const receiptBox = seal.MinSealed

// seal seals and signs what a device says of how far its person has read.
func (b receiptBody) seal(key ed25519.PrivateKey, group wire.GroupID, r receipt, keys seal.Keys) []byte {
	r.V, r.EID = 1, keys.EID
	r.Box = keys.Reader(r.Inc).Message(r.N, r.Salt).Seal(nil, wire.Marshal(b))
	core := wire.Marshal(r)
	return wire.Marshal(signedReceipt{Core: core, Sig: wire.Sign(wire.DomainReceipt, key, wire.Context(group), core)})
}

// readReceipt reads a receipt; who signed it is not known yet.
func readReceipt(b []byte) (r receipt, s signedReceipt, err error) {
	if err = wire.Unmarshal(b, &s); err == nil {
		err = wire.Unmarshal(s.Core, &r)
	}
	switch {
	case err != nil:
	case r.V != 1 || r.N == 0 || r.N >= wire.MaxMs || len(r.Box) != receiptBox:
		err = fmt.Errorf("%w: version %d, number %d, a box of %d bytes", wire.ErrMalformed, r.V, r.N, len(r.Box))
	}
	if err != nil {
		return r, s, fmt.Errorf("reading a receipt: %w", err)
	}
	return r, s, nil
}

// by tells whether an op key signed the receipt for a group.
func (s signedReceipt) by(device wire.DeviceID, group wire.GroupID) bool {
	return wire.Verify(wire.DomainReceipt, device, wire.Context(group), s.Core, s.Sig)
}

// open reads what a receipt says, with the keys of its epoch.
func (r receipt) open(keys seal.Keys) (b receiptBody, err error) {
	plain, err := keys.Reader(r.Inc).Message(r.N, r.Salt).Open(nil, r.Box)
	if err != nil {
		return b, err
	}
	if err := wire.Unmarshal(plain, &b); err != nil {
		return b, fmt.Errorf("reading a receipt: %w", err)
	}
	_, named := b.ID.Get()
	if b.Ms >= wire.MaxMs || named != (b.Ms > 0) || named && !b.Takes {
		return b, fmt.Errorf("reading a receipt: %w: place %d", wire.ErrMalformed, b.Ms)
	}
	return b, nil
}
