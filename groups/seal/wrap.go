package seal

import (
	"fmt"

	"mutuals/identity/wire"
)

// Wrap seals e to one recipient of the rekey at ctx: a device by its
// incarnation and the generation of its KEM key, an invite by its id and 0
// (S7). The error wraps ErrKEMKey.
func Wrap(pk []byte, group wire.GroupID, ctx [32]byte, inc wire.OpID, kemGen uint32, e Secret) ([]byte, error) {
	return sealTo(pk, wrapInfo(group, ctx, inc, kemGen), e[:])
}

// Unwrap opens a wrap with the seed of the recipient's key. Every failure is
// ErrOpen. Whether the secret is the epoch's, [Confirm] tells.
func Unwrap(seed [KEMSeedLen]byte, group wire.GroupID, ctx [32]byte, inc wire.OpID, kemGen uint32, wrap []byte) (Secret, error) {
	if len(wrap) != WrapLen {
		return Secret{}, ErrOpen
	}
	e, err := openWith(seed, wrapInfo(group, ctx, inc, kemGen), wrap)
	if err != nil || len(e) != SecretLen {
		return Secret{}, ErrOpen
	}
	return Secret(e), nil
}

func wrapInfo(group wire.GroupID, ctx [32]byte, inc wire.OpID, kemGen uint32) []byte {
	return info(wire.LabelWrap, group[:], ctx[:], inc[:], u32(kemGen))
}

// Recipient is one whom a rekey is wrapped for.
type Recipient struct {
	ID     wire.OpID // the incarnation, or the sleep-proof invite
	KemGen uint32    // generation of KemPk; 0 for an invite
	KemPk  []byte    // the newest key of that recipient the author holds; empty: none
}

// Leaf is one entry of a wrap set. Evolution: never; a new form needs a new
// suite.
type Leaf struct {
	_      struct{} `cbor:",toarray"`
	ID     wire.OpID
	KemGen uint64 // < 2^32
	Wrap   []byte // WrapLen bytes, or empty: the author held no usable key
}

// WrapAll wraps e for each recipient, in their order. One whose key is
// missing or unusable gets an empty wrap and asks a member later; the epoch
// does not fail for the others (S7).
func WrapAll(group wire.GroupID, ctx [32]byte, e Secret, to []Recipient) []Leaf {
	leaves := make([]Leaf, len(to))
	for i, r := range to {
		wrap, err := Wrap(r.KemPk, group, ctx, r.ID, r.KemGen, e)
		if err != nil {
			wrap = nil
		}
		leaves[i] = Leaf{ID: r.ID, KemGen: uint64(r.KemGen), Wrap: wrap}
	}
	return leaves
}

// EncodeWraps encodes a wrap set, to be handed to holders as one blob.
func EncodeWraps(leaves []Leaf) []byte { return wire.Marshal(leaves) }

// DecodeWraps decodes a wrap set and checks its form; whether it is the one a
// rekey committed to, Root(Hashes(leaves)) tells. The error wraps
// wire.ErrMalformed or is wire.ErrNotCanonical.
func DecodeWraps(b []byte) ([]Leaf, error) {
	if len(b) > MaxWrapSet {
		return nil, fmt.Errorf("reading a wrap set: %w: %d bytes, at most %d", wire.ErrMalformed, len(b), MaxWrapSet)
	}
	var leaves []Leaf
	if err := wire.Unmarshal(b, &leaves); err != nil {
		return nil, fmt.Errorf("reading a wrap set: %w", err)
	}
	if len(leaves) > MaxLeaves {
		return nil, fmt.Errorf("reading a wrap set: %w: %d leaves, at most %d", wire.ErrMalformed, len(leaves), MaxLeaves)
	}
	for i := range leaves {
		if err := leaves[i].Check(); err != nil {
			return nil, fmt.Errorf("reading a wrap set: leaf %d: %w", i, err)
		}
	}
	return leaves, nil
}

// Check tells whether the leaf's numbers and lengths are legal; the error
// wraps wire.ErrMalformed.
func (l Leaf) Check() error {
	if len(l.Wrap) != 0 && len(l.Wrap) != WrapLen {
		return fmt.Errorf("%w: a wrap of %d bytes", wire.ErrMalformed, len(l.Wrap))
	}
	if l.KemGen >= 1<<32 {
		return fmt.Errorf("%w: kem generation %d", wire.ErrMalformed, l.KemGen)
	}
	return nil
}
