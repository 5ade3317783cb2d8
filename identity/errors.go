package identity

import (
	"errors"
	"fmt"

	"mutuals/identity/wire"
)

// Refusals that callers branch on, besides wire.ErrMalformed,
// wire.ErrNotCanonical and wire.ErrBadKey (SPEC.md I3). Test with errors.Is.
var (
	// ErrNewer: a version or a capability this program does not know. Keep
	// the bytes, blame nobody, say "update needed".
	ErrNewer = errors.New("needs a newer version")
	// ErrBounds: a length or number outside what the format allows.
	ErrBounds = errors.New("out of bounds")
	// ErrBadChain: the certificates do not lead from the account to the signer.
	ErrBadChain = errors.New("certificate chain does not hold")
	// ErrBadSignature: a signature is not the named key's over these bytes.
	ErrBadSignature = errors.New("signature does not verify")
	// ErrBadProof: a device did not prove that it holds both its keys.
	ErrBadProof = errors.New("proof of possession does not verify")
	// ErrSelf: an edge from an account to itself.
	ErrSelf = errors.New("an account does not follow itself")
)

// checkVersion judges the first number of a core (I1).
func checkVersion(v uint64) error {
	switch {
	case v == 0:
		return fmt.Errorf("%w: version 0", ErrBounds)
	case v > Version:
		return fmt.Errorf("%w: version %d", ErrNewer, v)
	}
	return nil
}

// checkMs judges a clock value (W6).
func checkMs(what string, ms uint64) error {
	if ms >= wire.MaxMs {
		return fmt.Errorf("%w: %s %d", ErrBounds, what, ms)
	}
	return nil
}
