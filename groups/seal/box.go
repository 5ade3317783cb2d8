package seal

import (
	"crypto/cipher"
	"crypto/subtle"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"mutuals/identity/wire"
)

// ErrOpen means that a box, wrap or reply does not open: another key, another
// context, cut off, changed, badly padded. One answer serves every failure
// (S5).
var ErrOpen = errors.New("sealed box does not open")

// ErrTooLong means that a plaintext is longer than MaxPlain bytes.
var ErrTooLong = errors.New("too long for one message")

// SealedLen returns the length of the box a plaintext of n bytes seals to. It
// goes into the operation before the box is made, since the box covers it.
// The error wraps ErrTooLong.
func SealedLen(n int) (int, error) {
	padded, ok := step(n)
	if !ok {
		return 0, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLong, n, MaxPlain)
	}
	return commitLen + padded + tagLen, nil
}

// Seal pads plain and returns kc || AEAD(K, nonce 0, aad, padded) (S3). Each
// message key seals once: the nonce is constant. It panics when [SealedLen]
// would refuse the length, which the caller has asked first.
func (m MessageKey) Seal(aad, plain []byte) []byte {
	padded, ok := pad(plain)
	if !ok {
		panic("internal error: sealing a plaintext longer than SealedLen allows")
	}
	kc := m.commitment()
	out := make([]byte, commitLen, commitLen+len(padded)+tagLen)
	copy(out, kc[:])
	var nonce [chacha20poly1305.NonceSize]byte
	return m.aead().Seal(out, nonce[:], padded, aad)
}

// Open returns the plaintext of a box, or ErrOpen and nothing else. It
// recomputes kc before it decrypts: no box opens under two keys, whatever its
// maker did (S3).
func (m MessageKey) Open(aad, box []byte) ([]byte, error) {
	if len(box) < MinSealed || len(box) > MaxSealed || !isStep(len(box)-commitLen-tagLen) {
		return nil, ErrOpen
	}
	kc := m.commitment()
	if subtle.ConstantTimeCompare(kc[:], box[:commitLen]) != 1 {
		return nil, ErrOpen
	}
	var nonce [chacha20poly1305.NonceSize]byte
	padded, err := m.aead().Open(nil, nonce[:], box[commitLen:], aad)
	if err != nil {
		return nil, ErrOpen
	}
	plain, ok := unpad(padded)
	if !ok {
		return nil, ErrOpen
	}
	return plain, nil
}

func (m MessageKey) commitment() [32]byte { return wire.Expand(m, wire.LabelKC) }

func (m MessageKey) aead() cipher.AEAD {
	k := wire.Expand(m, wire.LabelKey)
	a, err := chacha20poly1305.New(k[:])
	if err != nil {
		panic("internal error: chacha20poly1305: " + err.Error())
	}
	return a
}
