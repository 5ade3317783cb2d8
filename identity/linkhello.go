package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"

	"mutuals/identity/wire"
)

// LinkHello is how a new machine knocks at the device whose link code it holds
// (I23): the public halves of the keys it made, and a tag that only the code's
// secret gives, for this connection. No private key moves.
//
// Evolution: fields are never added or reused; another shape is another V.
type LinkHello struct {
	_       struct{} `cbor:",toarray"`
	V       uint64
	OpKey   wire.DeviceID
	PeerKey wire.PeerKey
	KemPk   []byte // what the answer is sealed to, KEMPublicLen bytes; groups/seal judges it
	Tag     [32]byte
}

type linkHelloCore struct {
	_       struct{} `cbor:",toarray"`
	V       uint64
	OpKey   wire.DeviceID
	PeerKey wire.PeerKey
	KemPk   []byte
}

// NewLinkHello makes the hello of the new device k for the holder of code; its
// KEM key is for this link only.
func NewLinkHello(k DeviceKeys, kemPk []byte, code LinkCode) LinkHello {
	h := LinkHello{V: Version, OpKey: k.ID(), PeerKey: k.PeerKey(), KemPk: kemPk}
	h.Tag = h.tag(code.Secret, code.Peer, h.PeerKey)
	return h
}

// DecodeLinkHello reads a hello up to its bounds; the caller then calls
// Verify. Errors as [DecodeEdge].
func DecodeLinkHello(frame []byte) (LinkHello, error) {
	return decodeFlat[LinkHello]("link hello", frame, MaxLinkHello)
}

func (h *LinkHello) check() error {
	if err := checkVersion(h.V); err != nil {
		return err
	}
	if len(h.KemPk) != KEMPublicLen {
		return fmt.Errorf("%w: kem key of %d bytes", ErrBounds, len(h.KemPk))
	}
	return nil
}

// Verify tells whether the hello is by a holder of secret who speaks to device
// o over a connection that proved the key n, which must be the peer key the
// hello names: else a hello overheard by whoever stands between could be shown
// from elsewhere. The tag comes first: who does not hold the secret learns
// nothing else. Errors: ErrBadProof, wire.ErrBadKey, ErrBadChain.
func (h LinkHello) Verify(secret LinkSecret, o, n wire.PeerKey) error {
	want := h.tag(secret, o, n)
	if !hmac.Equal(h.Tag[:], want[:]) {
		return fmt.Errorf("%w: tag of the link hello", ErrBadProof)
	}
	if h.PeerKey != n {
		return fmt.Errorf("%w: the connection proved another key than the hello names", ErrBadProof)
	}
	for _, key := range [][32]byte{h.OpKey, h.PeerKey} {
		if err := wire.ValidKey(key); err != nil {
			return fmt.Errorf("link hello: %w", err)
		}
	}
	if [32]byte(h.OpKey) == [32]byte(h.PeerKey) || [32]byte(h.PeerKey) == [32]byte(o) || [32]byte(h.OpKey) == [32]byte(o) {
		return fmt.Errorf("%w: op key, peer key and the device's own are not three keys", ErrBadChain)
	}
	return nil
}

// tag is HMAC-SHA256(Expand(secret, "mutuals/1/link"), core || o || n). HMAC
// fills a key of 16 bytes up with zeros, so the array is the secret itself.
func (h *LinkHello) tag(secret LinkSecret, o, n wire.PeerKey) [32]byte {
	var prk [32]byte
	copy(prk[:], secret[:])
	key := wire.Expand(prk, wire.LabelLink)
	m := hmac.New(sha256.New, key[:])
	m.Write(wire.Marshal(linkHelloCore{V: h.V, OpKey: h.OpKey, PeerKey: h.PeerKey, KemPk: h.KemPk}))
	m.Write(o[:])
	m.Write(n[:])
	return [32]byte(m.Sum(nil))
}
