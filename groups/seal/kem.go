package seal

import (
	"crypto/hpke"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"mutuals/identity/wire"
)

// ErrKEMKey means that bytes are no KEM key anybody can seal to.
var ErrKEMKey = errors.New("not a usable kem key")

// GenerateKEM draws a seed from rand and returns it with its public key. The
// key is hpke.NewPrivateKey(seed), never DeriveKeyPair, which gives another
// key for the same seed (S6). The error is rand's.
func GenerateKEM(rand io.Reader) (seed [KEMSeedLen]byte, pk []byte, err error) {
	if _, err := io.ReadFull(rand, seed[:]); err != nil {
		return seed, nil, fmt.Errorf("drawing a kem seed: %w", err)
	}
	return seed, KEMPublic(seed), nil
}

// KEMPublic returns the public key of a seed, KEMPublicLen bytes.
func KEMPublic(seed [KEMSeedLen]byte) []byte { return private(seed).PublicKey().Bytes() }

// CheckKEM returns nil iff somebody can seal to pk: it parses and a trial
// encapsulation succeeds, which a low-order X25519 part fails though it
// parses (S6). The trial's randomness never changes the verdict: a clamped
// scalar takes every point of small order to zero, and no other. Else the
// error wraps ErrKEMKey.
func CheckKEM(pk []byte) error {
	k, err := public(pk)
	if err != nil {
		return err
	}
	if _, _, err := hpke.NewSender(k, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), nil); err != nil {
		return fmt.Errorf("%w: trial encapsulation: %v", ErrKEMKey, err)
	}
	return nil
}

func public(pk []byte) (hpke.PublicKey, error) {
	if len(pk) != KEMPublicLen {
		return nil, fmt.Errorf("%w: %d bytes, want %d", ErrKEMKey, len(pk), KEMPublicLen)
	}
	k, err := hpke.MLKEM768X25519().NewPublicKey(pk)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrKEMKey, err)
	}
	return k, nil
}

func private(seed [KEMSeedLen]byte) hpke.PrivateKey {
	k, err := hpke.MLKEM768X25519().NewPrivateKey(seed[:])
	if err != nil {
		panic("internal error: kem key of a seed: " + err.Error())
	}
	return k
}

// sealTo is HPKE base mode, single use; the error wraps ErrKEMKey.
func sealTo(pk, info, plain []byte) ([]byte, error) {
	k, err := public(pk)
	if err != nil {
		return nil, err
	}
	box, err := hpke.Seal(k, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info, plain)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrKEMKey, err)
	}
	return box, nil
}

// openWith is the other side; every failure is ErrOpen.
func openWith(seed [KEMSeedLen]byte, info, box []byte) ([]byte, error) {
	plain, err := hpke.Open(private(seed), hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info, box)
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// info is an HPKE info: a label and parts of fixed length.
func info(l wire.Label, parts ...[]byte) []byte {
	b := []byte(l)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
