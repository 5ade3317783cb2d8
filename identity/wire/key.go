package wire

import (
	"errors"
	"math/big"
)

// ErrBadKey means that 32 bytes are no Ed25519 public key a signature can be
// trusted under.
var ErrBadKey = errors.New("not a usable ed25519 key")

// curve holds what ValidKey needs of edwards25519 (RFC 8032 section 5.1).
type curve struct {
	p, d  *big.Int
	small []*big.Int // the y of the eight points whose order divides 8
}

var ed = func() curve {
	num := func(s string) *big.Int {
		n, ok := new(big.Int).SetString(s, 0)
		if !ok {
			panic("internal error: curve constant " + s)
		}
		return n
	}
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	y8 := num("0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7")
	return curve{
		p: p,
		d: num("37095705934669439343138083508754565189542113879843219016388785533085940283555"),
		small: []*big.Int{
			big.NewInt(0), big.NewInt(1), new(big.Int).Sub(p, big.NewInt(1)),
			y8, new(big.Int).Sub(p, y8),
		},
	}
}()

// ValidKey returns nil iff key decodes to a point of edwards25519, is that
// point's canonical encoding, and the point times 8 is not the identity
// (identity/SPEC.md W4). Keys are public, so variable time is fine.
func ValidKey(key [32]byte) error {
	be := make([]byte, 32)
	for i, b := range key {
		be[31-i] = b
	}
	be[0] &= 0x7f // the sign of x
	y := new(big.Int).SetBytes(be)
	if y.Cmp(ed.p) >= 0 {
		return ErrBadKey
	}
	for _, s := range ed.small {
		if y.Cmp(s) == 0 {
			return ErrBadKey
		}
	}
	// x² = (y²-1)/(dy²+1) has a root iff (y²-1)(dy²+1) is a square. x = 0
	// only at y = ±1, refused above, so the sign of x is always meaningful.
	y2 := new(big.Int).Mul(y, y)
	u := new(big.Int).Sub(y2, big.NewInt(1))
	v := new(big.Int).Mul(ed.d, y2.Mod(y2, ed.p))
	v.Add(v, big.NewInt(1))
	u.Mul(u, v)
	u.Mod(u, ed.p)
	if big.Jacobi(u, ed.p) != 1 {
		return ErrBadKey
	}
	return nil
}
