package identity

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"mutuals/identity/wire"
)

// Purposes of a number (I21); another one gives another number.
const (
	SASInvite = "invite"
	SASLink   = "link"
	SASVerify = "verify"
)

// NumberDigits is how long a number is that people compare: a guess is right
// once in a million, and three tries close the door.
const NumberDigits = 6

// SAS is the transcript of two machines that are to show that nobody stands
// between them: one opened a door (A), the other knocked (B). Both ends of one
// connection make the same one; whoever is in the middle holds two connections,
// and two transcripts (I21).
type SAS struct{ transcript [32]byte }

type sasCore struct {
	_       struct{} `cbor:",toarray"`
	V       uint64
	Purpose string
	A, B    wire.PeerKey
	Hello   [32]byte
}

// NewSAS begins with the two peer keys the connection proved, and B's hello as
// it travelled, empty if the purpose has none.
func NewSAS(purpose string, a, b wire.PeerKey, hello []byte) SAS {
	return SAS{wire.Hash(wire.Marshal(sasCore{V: Version, Purpose: purpose, A: a, B: b, Hello: wire.Hash(hello)}))}
}

// Commit is what B sends first: its random rB, hidden, so that A's choice of rA
// cannot depend on it nor rB on rA.
func (s SAS) Commit(rB [32]byte) [32]byte {
	h := sha256.New()
	h.Write([]byte(wire.LabelSASCommit))
	h.Write(s.transcript[:])
	h.Write(rB[:])
	return [32]byte(h.Sum(nil))
}

// Number is what both sides come to: B shows it, A's person types it. It is
// ErrBadProof when rB is not what commit hid.
func (s SAS) Number(commit, rA, rB [32]byte) (string, error) {
	want := s.Commit(rB)
	if subtle.ConstantTimeCompare(commit[:], want[:]) != 1 {
		return "", fmt.Errorf("%w: not what was committed to", ErrBadProof)
	}
	prk := wire.Extract(s.transcript[:], append(rA[:], rB[:]...))
	out := wire.Expand(prk, wire.LabelSAS)
	return fmt.Sprintf("%0*d", NumberDigits, binary.BigEndian.Uint64(out[:8])%1_000_000), nil
}

// ReadNumber returns the digits of a number as somebody typed it: in groups,
// with spaces or dashes, in full-width digits. false: it is not six digits.
func ReadNumber(typed string) (string, bool) {
	if len(typed) > maxTypedNumber {
		return "", false
	}
	var digits []byte
	for _, r := range typed {
		switch {
		case r >= '0' && r <= '9':
			digits = append(digits, byte(r))
		case r >= '０' && r <= '９':
			digits = append(digits, byte(r-'０')+'0')
		case r == ' ' || r == '-' || r == '\t' || r == '\n' || r == '\r' || r == '\u3000' || r == '\u00a0':
		default:
			return "", false
		}
	}
	return string(digits), len(digits) == NumberDigits
}
