package invites

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	W "mutuals/identity/wire"
)

// Secret is what makes a passcode more than an address: whoever holds it is
// followed, in advance, by the inviter.
type Secret [16]byte

// String hides the secret from logs and %v.
func (Secret) String() string { return "(secret)" }

// New makes a passcode for a group with a fresh secret from rand. The expiry
// is rounded down to seconds; the signed invite decides. Hints are packed
// ones ([PackHint]), the best first. The error says which hint is bad, that
// there are too many or the expiry is out of range, or is rand's.
func New(rand io.Reader, group W.GroupID, inviter W.AccountID, expiry time.Time, flags uint8, hints [][]byte) (Passcode, error) {
	p := Passcode{V: Version, Flags: flags, Hints: hints}
	copy(p.GroupPrefix[:], group[:])
	copy(p.InviterPrefix[:], inviter[:])
	s := expiry.Unix()
	if s < 0 || s > 1<<32-1 {
		return Passcode{}, fmt.Errorf("making a passcode: expiry %v is out of range", expiry)
	}
	p.Expiry = uint32(s)
	if flags&^knownFlags != 0 {
		return Passcode{}, fmt.Errorf("making a passcode: unknown flags %#x", flags)
	}
	if len(hints) > MaxHints {
		return Passcode{}, fmt.Errorf("making a passcode: %d hints, at most %d", len(hints), MaxHints)
	}
	for i, h := range hints {
		if _, err := UnpackHint(h); err != nil {
			return Passcode{}, fmt.Errorf("making a passcode: hint %d: %w", i+1, err)
		}
	}
	if _, err := io.ReadFull(rand, p.Secret[:]); err != nil {
		return Passcode{}, fmt.Errorf("making a passcode: reading randomness: %w", err)
	}
	return p, nil
}

// Keys are what a passcode's holder derives from it (SPEC.md V6).
type Keys struct {
	// Sign is the invite key: it greets a sponsor and signs a join request.
	Sign ed25519.PrivateKey
	// KEMSeed is the seed of the invite's X-Wing key, for sleep-proof codes.
	KEMSeed [32]byte
	// Rdv blinds the DHT key of each day ([RendezvousKey]).
	Rdv [32]byte
	// Lobby is the root of the lobby's previews ([SealLobby]).
	Lobby [32]byte
	// Topic is the secret of the lobby's gossip topic ([LobbyTopic]), and the root
	// of the addresses said there.
	Topic [32]byte
}

// InvitePk is the public invite key, which the signed invite holds.
func (k Keys) InvitePk() [32]byte { return [32]byte(k.Sign.Public().(ed25519.PublicKey)) }

// Keys derives the keys. Every field but the hints and the check goes in, so
// a code with one of them changed has other keys and finds nothing.
func (p Passcode) Keys() Keys {
	head := make([]byte, 0, 34)
	head = append(head, p.V, p.Flags)
	head = append(head, p.GroupPrefix[:]...)
	head = append(head, p.InviterPrefix[:]...)
	head = binary.BigEndian.AppendUint32(head, p.Expiry)
	prk := W.Extract(append([]byte(W.LabelInvite), head...), p.Secret[:])
	seed := W.Expand(prk, W.LabelInviteSign)
	return Keys{
		Sign:    ed25519.NewKeyFromSeed(seed[:]),
		KEMSeed: W.Expand(prk, W.LabelInviteKEM),
		Rdv:     W.Expand(prk, W.LabelInviteRdv),
		Lobby:   W.Expand(prk, W.LabelInviteLob),
		Topic:   W.Expand(prk, W.LabelInviteTop),
	}
}

// OfGroup tells whether the passcode is for the group.
func (p Passcode) OfGroup(g W.GroupID) bool { return bytes.Equal(p.GroupPrefix[:], g[:16]) }

// ByInviter tells whether the passcode says it comes from the account.
func (p Passcode) ByInviter(a W.AccountID) bool { return bytes.Equal(p.InviterPrefix[:], a[:12]) }

// SleepProof tells whether a newcomer may enter and read with no member awake.
func (p Passcode) SleepProof() bool { return p.Flags&FlagSleepProof != 0 }

// Approval tells whether an admin will be asked.
func (p Passcode) Approval() bool { return p.Flags&FlagApproval != 0 }

// ExpiresAt is the last second of the passcode.
func (p Passcode) ExpiresAt() time.Time { return time.Unix(int64(p.Expiry), 0).UTC() }

// Expired tells whether that second is over. It is a courtesy to the reader:
// the signed invite decides.
func (p Passcode) Expired(now time.Time) bool { return now.Unix() > int64(p.Expiry) }
