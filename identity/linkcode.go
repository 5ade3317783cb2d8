package identity

import (
	"crypto/subtle"
	"fmt"
	"io"
	"strings"

	"mutuals/identity/wire"
)

// LinkSecret is what a link code proves: whoever has it may knock, once, at the
// device that showed it. It prints as "[secret]" under every verb.
type LinkSecret [16]byte

// Format keeps the secret out of logs.
func (LinkSecret) Format(s fmt.State, _ rune) { writeSecret(s) }

// MarshalText keeps the secret out of JSON.
func (LinkSecret) MarshalText() ([]byte, error) { return []byte(secretText), nil }

// LinkCode is what a device of an account shows so that a new machine finds it
// and knocks (I22): as text to copy, or as QR. It names no account.
//
// Evolution: fields are never added or reused; another shape is another V.
type LinkCode struct {
	_      struct{} `cbor:",toarray"`
	V      uint64
	Peer   wire.PeerKey // the device that opened the door
	Secret LinkSecret
	Expiry uint64 // seconds since 1970
	Check  [2]byte
	Hints  [][]byte // its addresses (invites/SPEC.md V5, bit 4), at most MaxHints; opaque here
}

// linkCodeLink begins a link code's link; the armoured code follows.
const linkCodeLink = "mutuals://link/"

// NewLinkCode draws a secret from rand for the device peer; the error is
// rand's, or ErrBounds.
func NewLinkCode(rand io.Reader, peer wire.PeerKey, expiry uint64, hints [][]byte) (LinkCode, error) {
	c := LinkCode{V: Version, Peer: peer, Expiry: expiry, Hints: hints}
	if _, err := io.ReadFull(rand, c.Secret[:]); err != nil {
		return LinkCode{}, fmt.Errorf("drawing the secret of a link code: %w", err)
	}
	c.Check = c.sum()
	if err := c.check(); err != nil {
		return LinkCode{}, fmt.Errorf("making a link code: %w", err)
	}
	return c, nil
}

type linkCodeCore struct {
	_      struct{} `cbor:",toarray"`
	V      uint64
	Peer   wire.PeerKey
	Secret []byte
	Expiry uint64
	Hints  [][]byte
}

// sum is the check of a code: letters that were all changed for right ones, or
// a QR misread, name no other machine.
func (c *LinkCode) sum() [2]byte {
	core := wire.Marshal(linkCodeCore{V: c.V, Peer: c.Peer, Secret: c.Secret[:], Expiry: c.Expiry, Hints: c.Hints})
	h := wire.Hash(append([]byte(wire.LabelLink), core...))
	return [2]byte(h[:2])
}

func (c *LinkCode) check() error {
	if err := checkVersion(c.V); err != nil {
		return err
	}
	if c.Expiry >= 1<<32 {
		return fmt.Errorf("%w: expiry %d", ErrBounds, c.Expiry)
	}
	if err := checkHints(c.Hints); err != nil {
		return err
	}
	if sum := c.sum(); subtle.ConstantTimeCompare(c.Check[:], sum[:]) != 1 {
		return fmt.Errorf("%w: check of the link code", ErrBadProof)
	}
	if err := wire.ValidKey(c.Peer); err != nil {
		return fmt.Errorf("link code: %w", err)
	}
	return nil
}

// DecodeLinkCode reads the bytes of a code: whole, of this version, and
// unspoilt. Whether it has expired is for the caller, who has a clock. Errors
// as [DecodeEdge], and ErrBadProof, wire.ErrBadKey.
func DecodeLinkCode(frame []byte) (LinkCode, error) {
	return decodeFlat[LinkCode]("link code", frame, MaxLinkCode)
}

// Text returns the code as letters to copy, armoured like a passcode (W7).
func (c LinkCode) Text() string { return wire.Armour(wire.MarkLink, wire.Marshal(c)) }

// Link returns the code as a mutuals:// link.
func (c LinkCode) Link() string { return linkCodeLink + c.Text() }

// ParseLinkCode finds a link code in text (bare, a link, or inside a pasted
// message) and reads it. The error is a *wire.ArmourError, or one of
// [DecodeLinkCode].
func ParseLinkCode(text string) (LinkCode, error) {
	frame, err := wire.Dearmour(wire.MarkLink, text)
	if err != nil {
		return LinkCode{}, fmt.Errorf("finding link code: %w", err)
	}
	return DecodeLinkCode(frame)
}

// QR returns what a QR code of the link code says: the link in upper case and
// without dashes, letters of the alphanumeric mode.
func (c LinkCode) QR() string {
	return strings.ToUpper(linkCodeLink) + strings.ReplaceAll(c.Text(), "-", "")
}
