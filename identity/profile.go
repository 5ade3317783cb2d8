package identity

import (
	"bytes"
	"fmt"

	"mutuals/identity/wire"
)

// Profile is what a person says of themself: given to contacts and, encrypted,
// to groups (I16). The highest n wins.
//
// Evolution: fields are never added or reused; another shape is another V.
type Profile struct {
	_       struct{} `cbor:",toarray"`
	V       uint64
	Account wire.AccountID
	By      wire.DeviceID
	N       uint64 // see NextN
	Name    string
	Bio     string
	Avatar  []byte // a picture's manifest reference, opaque here; or empty
}

// SignedProfile is a profile as it travels, domain profile.
type SignedProfile struct {
	_       struct{} `cbor:",toarray"`
	Profile Profile
	Sig     wire.Sig
	Chain   Chain
}

// SignProfile signs a profile of the chain's account. The error is a
// *[FieldError] about name or bio, or wraps ErrBounds.
func SignProfile(k DeviceKeys, chain Chain, n uint64, name, bio string, avatar []byte) (SignedProfile, error) {
	mustMatch(k, chain)
	p := Profile{V: Version, Account: chain.Leaf().Account, By: k.ID(), N: n, Name: name, Bio: bio, Avatar: avatar}
	if err := p.check(); err != nil {
		return SignedProfile{}, fmt.Errorf("signing profile: %w", err)
	}
	return SignedProfile{Profile: p, Sig: wire.Sign(wire.DomainProfile, k.Op, wire.NoContext, wire.Marshal(p)), Chain: chain}, nil
}

// DecodeProfile reads a frame up to its bounds; the caller then calls Verify.
// Errors as [DecodeEdge].
func DecodeProfile(frame []byte) (SignedProfile, error) {
	return decode[SignedProfile]("profile", frame, MaxProfileFrame)
}

// Verify checks bounds, chain and signature (I8, I16).
func (s SignedProfile) Verify() error {
	err := s.check()
	if err == nil {
		err = verifyBy(wire.DomainProfile, s.Profile.Account, s.Profile.By, s.Chain, wire.Marshal(s.Profile), s.Sig)
	}
	if err != nil {
		return fmt.Errorf("verifying profile: %w", err)
	}
	return nil
}

func (s *SignedProfile) check() error {
	if err := s.Profile.check(); err != nil {
		return err
	}
	return s.Chain.check()
}

func (p *Profile) check() error {
	if err := checkVersion(p.V); err != nil {
		return err
	}
	if err := checkMs("n", p.N); err != nil {
		return err
	}
	if err := CheckName(p.Name); err != nil {
		return err
	}
	if err := CheckBio(p.Bio); err != nil {
		return err
	}
	if len(p.Avatar) > MaxAvatarBytes {
		return fmt.Errorf("%w: avatar of %d bytes", ErrBounds, len(p.Avatar))
	}
	return nil
}

// NewerProfile tells whether a supersedes b, both of one account: the higher
// n, then the lower SHA-256 of the core (I16).
func NewerProfile(a, b SignedProfile) bool {
	if a.Profile.N != b.Profile.N {
		return a.Profile.N > b.Profile.N
	}
	x, y := wire.Hash(wire.Marshal(a.Profile)), wire.Hash(wire.Marshal(b.Profile))
	return bytes.Compare(x[:], y[:]) < 0
}
