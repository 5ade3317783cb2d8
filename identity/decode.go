package identity

import (
	"fmt"

	"mutuals/identity/wire"
)

// shaped is a value that can tell whether its numbers and lengths are within
// the bounds of its format, without any cryptography.
type shaped interface{ check() error }

// decode reads one frame: its length, its canonical form, its bounds, in that
// order (I2). A core of another version has another shape, so a frame that
// does not fit is looked at once more for its version alone.
func decode[T any, P interface {
	*T
	shaped
}](what string, frame []byte, max int) (T, error) {
	var v, none T
	if len(frame) > max {
		return none, fmt.Errorf("reading %s: %w: %d bytes", what, ErrBounds, len(frame))
	}
	if err := wire.Unmarshal(frame, &v); err != nil {
		if newer(frame) {
			err = ErrNewer
		}
		return none, fmt.Errorf("reading %s: %w", what, err)
	}
	if err := P(&v).check(); err != nil {
		return none, fmt.Errorf("reading %s: %w", what, err)
	}
	return v, nil
}

// newer tells whether frame is canonical and [[v, …], …] with v above ours.
func newer(frame []byte) bool {
	var outer, core []wire.Raw
	var v uint64
	return wire.Canonical(frame) == nil &&
		wire.Unmarshal(frame, &outer) == nil && len(outer) > 0 &&
		wire.Unmarshal(outer[0], &core) == nil && len(core) > 0 &&
		wire.Unmarshal(core[0], &v) == nil && v > Version
}

// verifyBy checks what a device signed for its account: the chain leads from
// account to by, and sig is by's over core (I8).
func verifyBy(d wire.Domain, account wire.AccountID, by wire.DeviceID, chain Chain, core []byte, sig wire.Sig) error {
	leaf, err := chain.Verify()
	if err != nil {
		return err
	}
	if leaf.Account != account {
		return fmt.Errorf("%w: it is of account %v, not %v", ErrBadChain, leaf.Account, account)
	}
	if leaf.OpKey != by {
		return fmt.Errorf("%w: it ends at device %v, not %v", ErrBadChain, leaf.OpKey, by)
	}
	if !wire.Verify(d, by, wire.NoContext, core, sig) {
		return ErrBadSignature
	}
	return nil
}

// mustMatch guards the sign functions: signing with another device's chain
// would make something nobody accepts.
func mustMatch(k DeviceKeys, chain Chain) {
	if len(chain) == 0 || chain.Leaf().OpKey != k.ID() {
		panic("internal error: signing with another device's certificate chain")
	}
}
