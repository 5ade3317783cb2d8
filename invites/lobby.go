package invites

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	W "mutuals/identity/wire"
)

// BoxKind says what a sealed lobby record holds.
type BoxKind uint8

// The list of kinds.
const (
	BoxPreview BoxKind = 1 // a [SignedPreview]
	BoxAddress BoxKind = 2 // a signed peer record, judged by the mesh
	BoxSeek    BoxKind = 3 // nothing: somebody looks for who lets them in
)

// ErrBadBox is the one answer to every lobby record that does not open.
var ErrBadBox = errors.New("not a lobby record of this passcode")

// box is what travels: [1, kind, day, salt16, ciphertext] (SPEC.md V13).
type box struct {
	_    struct{} `cbor:",toarray"`
	V    uint64
	Kind uint64
	Day  uint64
	Salt [16]byte
	Box  []byte
}

// SealLobby seals plain for the holders of a code. root is Keys().Lobby for a
// preview, and Keys().Topic, which harbors have too, for the other kinds; salt
// must be fresh random bytes at each call, since the nonce is zero. It panics
// on a plain text that no holder would open, being too long.
func SealLobby(root [32]byte, kind BoxKind, day uint32, salt [16]byte, plain []byte) []byte {
	b := box{V: 1, Kind: uint64(kind), Day: uint64(day), Salt: salt}
	b.Box = lobbyAEAD(root, kind, day, salt).seal(plain)
	out := W.Marshal(b)
	if len(out) > maxBox(kind) {
		panic("internal error: sealing a lobby record out of bounds")
	}
	return out
}

// OpenLobby opens a sealed record of the kind wanted and returns the day it
// was sealed for: an address record of another day than yesterday, today or
// tomorrow is stale. The error is ErrBadBox.
func OpenLobby(root [32]byte, kind BoxKind, sealed []byte) (plain []byte, day uint32, err error) {
	var b box
	if len(sealed) > maxBox(kind) || W.Unmarshal(sealed, &b) != nil ||
		b.V != 1 || b.Kind != uint64(kind) || b.Day > 1<<32-1 {
		return nil, 0, ErrBadBox
	}
	day = uint32(b.Day)
	plain, err = lobbyAEAD(root, kind, day, b.Salt).open(b.Box)
	if err != nil {
		return nil, 0, ErrBadBox
	}
	return plain, day, nil
}

func maxBox(kind BoxKind) int {
	switch kind {
	case BoxPreview:
		return MaxLobbyPreview
	case BoxAddress:
		return MaxLobbyAddress
	case BoxSeek:
		return maxLobbySeek
	}
	return 0
}

// lobbyKey is a key for one record.
type lobbyKey [32]byte

// lobbyAEAD derives K = Expand(root, "mutuals/1/invite-lobby" || kind ||
// u32be day || salt16).
func lobbyAEAD(root [32]byte, kind BoxKind, day uint32, salt [16]byte) lobbyKey {
	return W.Expand(root, W.LabelInviteLob, []byte{byte(kind)}, binary.BigEndian.AppendUint32(nil, day), salt[:])
}

func (k lobbyKey) seal(plain []byte) []byte {
	a, err := chacha20poly1305.New(k[:])
	if err != nil {
		panic("internal error: lobby key: " + err.Error())
	}
	return a.Seal(nil, make([]byte, chacha20poly1305.NonceSize), plain, nil) // a key seals once
}

func (k lobbyKey) open(ct []byte) ([]byte, error) {
	a, err := chacha20poly1305.New(k[:])
	if err != nil {
		return nil, fmt.Errorf("lobby key: %w", err)
	}
	return a.Open(nil, make([]byte, chacha20poly1305.NonceSize), ct, nil)
}
