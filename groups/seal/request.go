package seal

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"mutuals/identity/wire"
)

// ErrRequest means that a key request is not signed by whom it names.
var ErrRequest = errors.New("key request is not signed by its device")

// Request asks one responder for secrets, over /mutuals/key/1 (S8). The
// responder also refuses one whose Responder is not itself, whose stream does
// not belong to Inc's device, and whose Ms is over five minutes off: it knows
// those, this room does not.
// Evolution: V counts; a reader refuses a V it does not know.
type Request struct {
	_         struct{} `cbor:",toarray"`
	V         uint64   // 1
	Inc       wire.OpID
	KemGen    uint64 // < 2^32: generation of the key the reply is wanted for
	EIDs      [][32]byte
	Responder wire.PeerKey
	Nonce     [16]byte
	Ms        uint64
}

// SignedRequest is what travels. Evolution: never.
type SignedRequest struct {
	_       struct{} `cbor:",toarray"`
	Request Request
	Sig     wire.Sig
}

// SignRequest signs r with the op key of the asking incarnation.
func SignRequest(key ed25519.PrivateKey, group wire.GroupID, r Request) SignedRequest {
	return SignedRequest{Request: r, Sig: wire.Sign(wire.DomainKeyReq, key, wire.Context(group), wire.Marshal(r))}
}

// Verify returns nil iff the request is signed by op key device for group,
// else ErrRequest.
func (s SignedRequest) Verify(group wire.GroupID, device wire.DeviceID) error {
	if !wire.Verify(wire.DomainKeyReq, device, wire.Context(group), wire.Marshal(s.Request), s.Sig) {
		return ErrRequest
	}
	return nil
}

// DecodeRequest decodes a signed request and checks its bounds, not its
// signature. The error wraps wire.ErrMalformed or wire.ErrNotCanonical.
func DecodeRequest(b []byte) (SignedRequest, error) {
	var s SignedRequest
	bad := func(err error) (SignedRequest, error) {
		return SignedRequest{}, fmt.Errorf("reading a key request: %w", err)
	}
	if len(b) > MaxRequest {
		return bad(fmt.Errorf("%w: %d bytes, at most %d", wire.ErrMalformed, len(b), MaxRequest))
	}
	if err := wire.Unmarshal(b, &s); err != nil {
		return bad(err)
	}
	r := s.Request
	switch {
	case r.V != 1:
		return bad(fmt.Errorf("%w: version %d", wire.ErrMalformed, r.V))
	case len(r.EIDs) > MaxRequestEIDs:
		return bad(fmt.Errorf("%w: %d epochs, at most %d", wire.ErrMalformed, len(r.EIDs), MaxRequestEIDs))
	case r.KemGen >= 1<<32:
		return bad(fmt.Errorf("%w: kem generation %d", wire.ErrMalformed, r.KemGen))
	case r.Ms >= wire.MaxMs:
		return bad(fmt.Errorf("%w: time %d", wire.ErrMalformed, r.Ms))
	}
	return s, nil
}
