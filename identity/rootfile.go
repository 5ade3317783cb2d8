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

// SealRoot returns the bytes of root.sealed, which keep the entropy until the
// person confirmed the words, and a fresh key for them, 32 bytes. The key lives
// in keys.sealed only ([Secrets].RootEraseKey), so that rewriting that file
// without it makes root.sealed unreadable wherever a copy lingers. The error
// is rand's.
func SealRoot(rand io.Reader, e Entropy) (file, eraseKey []byte, err error) {
	var f rootfile
	eraseKey = make([]byte, 32)
	for _, b := range [][]byte{eraseKey, f.Nonce[:]} {
		if _, err := io.ReadFull(rand, b); err != nil {
			return nil, nil, fmt.Errorf("sealing root: %w", err)
		}
	}
	f.Box = boxSeal([32]byte(eraseKey), f.Nonce, e[:], []byte(rootfileLine))
	return append([]byte(rootfileLine), wire.Marshal(f)...), eraseKey, nil
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
