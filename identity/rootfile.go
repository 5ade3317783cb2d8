package identity

import (
	"fmt"
	"io"

	"golang.org/x/crypto/chacha20poly1305"

	"mutuals/identity/wire"
)

// rootfileLine begins root.sealed (I20).
const rootfileLine = "mutuals-root/1\n"

// rootfile is what follows the line, which is the box's AAD.
type rootfile struct {
	_     struct{} `cbor:",toarray"`
	Nonce [chacha20poly1305.NonceSizeX]byte
	Box   []byte
}

// NewEraseKey draws a root erase key, for [SealRoot] and
// [Secrets].RootEraseKey; the error is rand's.
func NewEraseKey(rand io.Reader) ([]byte, error) {
	key := make([]byte, 32)
	if _, err := io.ReadFull(rand, key); err != nil {
		return nil, fmt.Errorf("drawing an erase key: %w", err)
	}
	return key, nil
}

// SealRoot returns the bytes of root.sealed: the entropy, kept until the
// person confirmed the words. eraseKey has 32 bytes and lives in keys.sealed
// only, so that rewriting that file without it makes this one unreadable
// wherever a copy lingers. The error is rand's.
func SealRoot(rand io.Reader, eraseKey []byte, e Entropy) ([]byte, error) {
	if len(eraseKey) != 32 {
		panic("internal error: a root erase key has 32 bytes")
	}
	var f rootfile
	if _, err := io.ReadFull(rand, f.Nonce[:]); err != nil {
		return nil, fmt.Errorf("sealing root: %w", err)
	}
	f.Box = boxSeal([32]byte(eraseKey), f.Nonce, e[:], []byte(rootfileLine))
	return append([]byte(rootfileLine), wire.Marshal(f)...), nil
}

// OpenRoot opens the bytes of root.sealed. Errors: ErrNotKeyFile, ErrBounds,
// wire's, ErrWrongKey.
func OpenRoot(eraseKey, file []byte) (Entropy, error) {
	rest, err := afterLine(file, rootfileLine)
	if err != nil {
		return Entropy{}, fmt.Errorf("opening root: %w", err)
	}
	var f rootfile
	if err := wire.Unmarshal(rest, &f); err != nil {
		return Entropy{}, fmt.Errorf("opening root: %w", err)
	}
	if len(eraseKey) != 32 {
		return Entropy{}, fmt.Errorf("opening root: %w", ErrWrongKey)
	}
	plain, ok := boxOpen([32]byte(eraseKey), f.Nonce, f.Box, []byte(rootfileLine))
	if !ok || len(plain) != len(Entropy{}) {
		return Entropy{}, fmt.Errorf("opening root: %w", ErrWrongKey)
	}
	return Entropy(plain), nil
}
