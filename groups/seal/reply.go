package seal

import (
	"fmt"

	"mutuals/identity/wire"
)

// SealReply seals the body of a key reply to the asker's newest KEM key. The
// nonce is the request's, so that a reply answers one request only (S8). The
// body is at most MaxReplyBody bytes; the error wraps ErrKEMKey or
// ErrTooLong.
func SealReply(pk []byte, group wire.GroupID, inc wire.OpID, kemGen uint32, nonce [16]byte, body []byte) ([]byte, error) {
	if len(body) > MaxReplyBody {
		return nil, fmt.Errorf("%w: a key reply of %d bytes, at most %d", ErrTooLong, len(body), MaxReplyBody)
	}
	return sealTo(pk, replyInfo(group, inc, kemGen, nonce), body)
}

// OpenReply opens a key reply; every failure is ErrOpen.
func OpenReply(seed [KEMSeedLen]byte, group wire.GroupID, inc wire.OpID, kemGen uint32, nonce [16]byte, box []byte) ([]byte, error) {
	if len(box) < encLen+tagLen || len(box) > MaxReply {
		return nil, ErrOpen
	}
	return openWith(seed, replyInfo(group, inc, kemGen, nonce), box)
}

func replyInfo(group wire.GroupID, inc wire.OpID, kemGen uint32, nonce [16]byte) []byte {
	return info(wire.LabelKeyRep, group[:], inc[:], u32(kemGen), nonce[:])
}

// Bundle is the body of a key reply: whole epochs, and single messages where
// the asker may not have the epoch. Evolution: never; a longer array is
// refused.
type Bundle struct {
	_        struct{} `cbor:",toarray"`
	Epochs   []EpochSecret
	Messages []MessageSecret
}

// EpochSecret is one epoch handed over. Use Secret only once [Confirm] agreed.
type EpochSecret struct {
	_      struct{} `cbor:",toarray"`
	EID    [32]byte
	Secret Secret
}

// MessageSecret is one message handed over.
type MessageSecret struct {
	_   struct{} `cbor:",toarray"`
	Op  wire.OpID
	Key MessageKey
}

// EncodeBundle encodes a bundle; the error wraps ErrTooLong.
func EncodeBundle(b Bundle) ([]byte, error) {
	if len(b.Epochs) > wire.MaxElements || len(b.Messages) > wire.MaxElements {
		return nil, fmt.Errorf("%w: a key reply of %d epochs and %d messages", ErrTooLong, len(b.Epochs), len(b.Messages))
	}
	out := wire.Marshal(b)
	if len(out) > MaxReplyBody {
		return nil, fmt.Errorf("%w: a key reply of %d bytes, at most %d", ErrTooLong, len(out), MaxReplyBody)
	}
	return out, nil
}

// DecodeBundle decodes the body of a key reply; the error wraps
// wire.ErrMalformed or wire.ErrNotCanonical.
func DecodeBundle(b []byte) (Bundle, error) {
	var out Bundle
	if len(b) > MaxReplyBody {
		return out, fmt.Errorf("reading a key reply: %w: %d bytes, at most %d", wire.ErrMalformed, len(b), MaxReplyBody)
	}
	if err := wire.Unmarshal(b, &out); err != nil {
		return Bundle{}, fmt.Errorf("reading a key reply: %w", err)
	}
	return out, nil
}
