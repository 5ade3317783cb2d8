package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcutil/bech32"
	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
)

// Ids are sized arrays of distinct types, so that swapped arguments do not
// compile. In CBOR each is a byte string of its length.
type (
	// AccountID is the Ed25519 public key of an account's root; as text mu1….
	AccountID [32]byte
	// DeviceID is the Ed25519 public op key of a device; as text md1….
	DeviceID [32]byte
	// PeerKey is the Ed25519 public key a device proves to libp2p; as text mp1….
	PeerKey [32]byte
	// OpID is SHA-256 of an operation's core; as text a CIDv1 (dag-cbor).
	// An incarnation and an invite are named by the operation that made them.
	OpID [32]byte
	// GroupID is the OpID of the group's genesis; as text the same CID.
	GroupID [32]byte
	// Sig is an Ed25519 signature.
	Sig [64]byte
)

// OptID is an OpID that may be absent: 32 bytes or none.
type OptID []byte

// SomeID returns id as a present OptID.
func SomeID(id OpID) OptID { return OptID(id[:]) }

// Get returns the id and whether there is one.
func (o OptID) Get() (OpID, bool) {
	if len(o) != 32 {
		return OpID{}, false
	}
	return OpID(o), true
}

// Valid tells whether o has a length the protocol allows: 0 or 32.
func (o OptID) Valid() bool { return len(o) == 0 || len(o) == 32 }

// Hash returns the OpID of a core.
func Hash(core []byte) OpID { return sha256.Sum256(core) }

const (
	hrpAccount = "mu"
	hrpDevice  = "md"
	hrpPeer    = "mp"
)

// ErrBadID means that a text is not an id of the kind asked for.
var ErrBadID = errors.New("not an id")

func (a AccountID) String() string { return bech(hrpAccount, a[:]) }
func (d DeviceID) String() string  { return bech(hrpDevice, d[:]) }
func (p PeerKey) String() string   { return bech(hrpPeer, p[:]) }
func (o OpID) String() string      { return cidText(o) }
func (g GroupID) String() string   { return cidText(g) }

// Short returns a few letters of an id for a log line.
func (a AccountID) Short() string { return a.String()[:11] }

// Short returns a few letters of an id for a log line.
func (d DeviceID) Short() string { return d.String()[:11] }

// Short returns a few letters of an id for a log line.
func (p PeerKey) Short() string { return p.String()[:11] }

// Short returns a few digits of an id for a log line.
func (o OpID) Short() string { return hex.EncodeToString(o[:5]) }

// Short returns a few digits of an id for a log line.
func (g GroupID) Short() string { return hex.EncodeToString(g[:5]) }

// IsZero tells whether no account is named.
func (a AccountID) IsZero() bool { return a == AccountID{} }

// IsZero tells whether no operation is named.
func (o OpID) IsZero() bool { return o == OpID{} }

// IsZero tells whether no group is named.
func (g GroupID) IsZero() bool { return g == GroupID{} }

// MarshalText gives the mu1… form, for JSON.
func (a AccountID) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// MarshalText gives the md1… form, for JSON.
func (d DeviceID) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// MarshalText gives the CID, for JSON.
func (o OpID) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// MarshalText gives the CID, for JSON.
func (g GroupID) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText reads the mu1… form.
func (a *AccountID) UnmarshalText(b []byte) (err error) { *a, err = ParseAccountID(string(b)); return }

// UnmarshalText reads the md1… form.
func (d *DeviceID) UnmarshalText(b []byte) (err error) { *d, err = ParseDeviceID(string(b)); return }

// UnmarshalText reads a CID.
func (o *OpID) UnmarshalText(b []byte) (err error) { *o, err = ParseOpID(string(b)); return }

// UnmarshalText reads a CID.
func (g *GroupID) UnmarshalText(b []byte) (err error) { *g, err = ParseGroupID(string(b)); return }

// ParseAccountID reads mu1…; the error wraps ErrBadID.
func ParseAccountID(s string) (AccountID, error) {
	b, err := unbech(hrpAccount, s)
	return AccountID(b), err
}

// ParseDeviceID reads md1…; the error wraps ErrBadID.
func ParseDeviceID(s string) (DeviceID, error) {
	b, err := unbech(hrpDevice, s)
	return DeviceID(b), err
}

// ParsePeerKey reads mp1…; the error wraps ErrBadID.
func ParsePeerKey(s string) (PeerKey, error) {
	b, err := unbech(hrpPeer, s)
	return PeerKey(b), err
}

// ParseOpID reads a CIDv1 with codec dag-cbor and sha2-256, in base 32 and
// lower case: one id, one text. The error wraps ErrBadID.
func ParseOpID(s string) (OpID, error) {
	if len(s) != cidLen {
		return OpID{}, fmt.Errorf("%w: %q", ErrBadID, clip(s))
	}
	c, err := cid.Decode(s)
	if err != nil {
		return OpID{}, fmt.Errorf("%w: %q", ErrBadID, clip(s))
	}
	d, err := multihash.Decode(c.Hash())
	if err != nil || len(d.Digest) != 32 || cidText([32]byte(d.Digest)) != s {
		return OpID{}, fmt.Errorf("%w: %q", ErrBadID, clip(s))
	}
	return OpID(d.Digest), nil
}

// ParseGroupID reads a group's CID; the error wraps ErrBadID.
func ParseGroupID(s string) (GroupID, error) {
	o, err := ParseOpID(s)
	return GroupID(o), err
}

// cidLen is the letter b and 36 bytes in base 32.
const cidLen = 59

func cidText(h [32]byte) string {
	mh, err := multihash.Encode(h[:], multihash.SHA2_256)
	if err != nil {
		panic("internal error: multihash: " + err.Error())
	}
	return cid.NewCidV1(cid.DagCBOR, mh).String()
}

func bech(hrp string, b []byte) string {
	five, err := bech32.ConvertBits(b, 8, 5, true)
	if err != nil {
		panic("internal error: bech32 bits: " + err.Error())
	}
	s, err := bech32.EncodeM(hrp, five)
	if err != nil {
		panic("internal error: bech32: " + err.Error())
	}
	return s
}

// Bech32 encodes bytes with the checksum of BIP 173, as others' formats spell
// their keys; ids of ours have that of BIP 350.
func Bech32(hrp string, b []byte) string {
	five, err := bech32.ConvertBits(b, 8, 5, true)
	if err != nil {
		panic("internal error: bech32 bits: " + err.Error())
	}
	s, err := bech32.Encode(hrp, five)
	if err != nil {
		panic("internal error: bech32: " + err.Error())
	}
	return s
}

func unbech(hrp, s string) ([32]byte, error) {
	bad := func() ([32]byte, error) { return [32]byte{}, fmt.Errorf("%w: %q", ErrBadID, clip(s)) }
	if len(s) > 90 {
		return bad()
	}
	got, five, version, err := bech32.DecodeGeneric(s)
	if err != nil || got != hrp || version != bech32.VersionM {
		return bad()
	}
	b, err := bech32.ConvertBits(five, 5, 8, false)
	if err != nil || len(b) != 32 {
		return bad()
	}
	return [32]byte(b), nil
}

// clip keeps a quoted offending value short.
func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}
