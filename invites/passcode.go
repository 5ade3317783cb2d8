package invites

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"

	W "mutuals/identity/wire"
)

// Version is the one passcode version this package writes and reads.
const Version = 1

// Flags of a passcode. A reader that meets another one must say "newer
// version": it changes what joining means.
const (
	FlagSleepProof uint8 = 1 << 0
	FlagApproval   uint8 = 1 << 1
	knownFlags           = FlagSleepProof | FlagApproval
)

// Passcode is a follow edge signed in advance to whoever holds its key, and
// where to find the group. It travels as 52 bytes and the hints (SPEC.md V1);
// a change of that layout needs a new version.
type Passcode struct {
	V             uint8
	Flags         uint8
	Secret        Secret
	GroupPrefix   [16]byte // of the group id
	InviterPrefix [12]byte // of the inviter's account id
	Expiry        uint32   // seconds since 1970
	Hints         [][]byte // packed, the best first, at most MaxHints
}

// Places in the fixed part (SPEC.md V1).
const (
	offSecret  = 2
	offGroup   = offSecret + 16
	offInviter = offGroup + 16
	offExpiry  = offInviter + 12
	offCheck   = offExpiry + 4
	fixedLen   = offCheck + 2
)

// Encode returns the passcode's bytes. It panics on hints that [New] and
// [Decode] refuse.
func (p Passcode) Encode() []byte {
	b := make([]byte, 0, fixedLen+MaxHints*MaxHint)
	b = append(b, p.V, p.Flags)
	b = append(b, p.Secret[:]...)
	b = append(b, p.GroupPrefix[:]...)
	b = append(b, p.InviterPrefix[:]...)
	b = binary.BigEndian.AppendUint32(b, p.Expiry)
	b = append(b, 0, 0)
	b = append(b, joinHints(p.Hints)...)
	c := check(b)
	copy(b[offCheck:], c[:])
	return b
}

// check is the first two bytes of SHA-256("mutuals/1/invite" || all but the
// check itself).
func check(b []byte) [2]byte {
	h := sha256.New()
	h.Write([]byte(W.LabelInvite))
	h.Write(b[:offCheck])
	h.Write(b[fixedLen:])
	return [2]byte(h.Sum(nil))
}

// Decode reads a passcode's bytes. The error is an *[Error]: Newer, Mistyped
// with no group named (letters were swapped beyond what their groups can
// tell), or NotAPasscode.
func Decode(b []byte) (Passcode, error) {
	if len(b) > 0 && b[0] > Version {
		return Passcode{}, &Error{Code: Newer}
	}
	if len(b) < fixedLen || b[0] != Version {
		return Passcode{}, &Error{Code: NotAPasscode}
	}
	if check(b) != [2]byte(b[offCheck:]) {
		return Passcode{}, &Error{Code: Mistyped}
	}
	p := Passcode{
		V:             b[0],
		Flags:         b[1],
		Secret:        Secret(b[offSecret:]),
		GroupPrefix:   [16]byte(b[offGroup:]),
		InviterPrefix: [12]byte(b[offInviter:]),
		Expiry:        binary.BigEndian.Uint32(b[offExpiry:]),
	}
	if p.Flags&^knownFlags != 0 {
		return Passcode{}, &Error{Code: Newer}
	}
	hints, ok := splitHints(b[fixedLen:])
	if !ok {
		return Passcode{}, &Error{Code: NotAPasscode}
	}
	p.Hints = hints
	return p, nil
}

// Code is what a text that was to be a passcode turned out to be.
type Code uint8

// The list of codes; append only.
const (
	NotAPasscode Code = iota + 1
	CutOff
	Mistyped
	Expired
	Newer
)

func (c Code) String() string {
	switch c {
	case NotAPasscode:
		return "not a passcode"
	case CutOff:
		return "the passcode is cut off"
	case Mistyped:
		return "the passcode is mistyped"
	case Expired:
		return "the passcode has expired"
	case Newer:
		return "the passcode is of a newer version"
	}
	return "unknown passcode error"
}

// Error says why a text gives no passcode. Its text holds no letters, so that
// logging it gives nothing away.
type Error struct {
	Code Code
	// Group of letters, from 1, that is mistyped or in which a text was cut
	// off; 0 if there is none to name.
	Group int
	// Letters of that group as they were pasted, upper case; for the person
	// who pasted them, never for a log.
	Letters string
}

func (e *Error) Error() string {
	if e.Code == Mistyped && e.Group > 0 {
		return e.Code.String() + " in group " + strconv.Itoa(e.Group)
	}
	return e.Code.String()
}
