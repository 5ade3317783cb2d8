package seal

import (
	"fmt"

	"mutuals/identity/wire"
)

// SealLink seals what a new device of an account is told to the KEM key of its
// hello; cert is the SHA-256 of the core of the certificate it is given, so
// that the box is of one link only (S10). The body is at most MaxLinkBody
// bytes; the error wraps ErrKEMKey or ErrTooLong.
func SealLink(pk []byte, cert [32]byte, body []byte) ([]byte, error) {
	if len(body) > MaxLinkBody {
		return nil, fmt.Errorf("%w: a link reply of %d bytes, at most %d", ErrTooLong, len(body), MaxLinkBody)
	}
	return sealTo(pk, info(wire.LabelLinkRep, cert[:]), body)
}

// OpenLink opens a link reply; every failure is ErrOpen.
func OpenLink(seed [KEMSeedLen]byte, cert [32]byte, box []byte) ([]byte, error) {
	if len(box) < encLen+tagLen || len(box) > MaxLink {
		return nil, ErrOpen
	}
	return openWith(seed, info(wire.LabelLinkRep, cert[:]), box)
}
