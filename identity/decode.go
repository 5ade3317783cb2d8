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
	return decodeAs[T, P](what, frame, max, newer)
}

// decodeFlat is decode for what travels without signature and chain around it:
// the version is the frame's own first number.
func decodeFlat[T any, P interface {
	*T
	shaped
}](what string, frame []byte, max int) (T, error) {
	return decodeAs[T, P](what, frame, max, func(frame []byte) bool {
		return wire.Canonical(frame) == nil && versionOf(frame) > Version
	})
}

func decodeAs[T any, P interface {
	*T
	shaped
}](what string, frame []byte, max int, newer func([]byte) bool) (T, error) {
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

// newer tells whether frame is canonical and has, as its core or as a
// certificate of its chain, something of a version above ours: [core, …], or
// [core, signature, [[certificate, signature]…]].
func newer(frame []byte) bool {
	if wire.Canonical(frame) != nil {
		return false
	}
	parts := elements(frame)
	if len(parts) == 0 {
		return false
	}
	if versionOf(parts[0]) > Version {
		return true
	}
	if len(parts) != 3 {
		return false
	}
	for _, signed := range elements(parts[2]) {
		if cert := elements(signed); len(cert) > 0 && versionOf(cert[0]) > Version {
			return true
		}
	}
	return false
}

// versionOf is the first number of an array, 0 if there is none.
func versionOf(core wire.Raw) (v uint64) {
	if e := elements(core); len(e) > 0 && wire.Unmarshal(e[0], &v) == nil {
		return v
	}
	return 0
}

// elements splits an array; nil if b is none.
func elements(b []byte) (e []wire.Raw) {
	if wire.Unmarshal(b, &e) != nil {
		return nil
	}
	return e
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
