package identity

import (
	"bytes"
	"fmt"
	"slices"

	"mutuals/identity/wire"
)

// Reasons of a revocation. Others are allowed and mean ReasonOther.
const (
	ReasonOther   uint64 = 0
	ReasonLost    uint64 = 1
	ReasonStolen  uint64 = 2
	ReasonRetired uint64 = 3
)

// Revocation ends a device for good (I15). There is none of a revocation.
//
// Evolution: fields are never added or reused; another shape is another V.
type Revocation struct {
	_       struct{} `cbor:",toarray"`
	V       uint64
	Account wire.AccountID
	By      wire.DeviceID // a device of the account, or the account's own key: the root signed
	OpKey   wire.DeviceID // the device that ends
	Reason  uint64
	Ms      uint64 // when; what the device dated later does not count
	// Keep names devices that stay although their chain goes through the one
	// that ends, ascending: who loses the telephone that added the laptop does
	// not lose the laptop.
	Keep []wire.DeviceID
}

// SignedRevocation is a revocation as it travels, domain device-revoke. The
// chain is empty iff the root signed.
type SignedRevocation struct {
	_          struct{} `cbor:",toarray"`
	Revocation Revocation
	Sig        wire.Sig
	Chain      Chain
}

// SignRevocation signs, as the device k with its own chain, that device of the
// same account ends at ms, and which of those it added stay, in any order. See
// [Root.Revoke] for the root's.
func SignRevocation(k DeviceKeys, chain Chain, device wire.DeviceID, reason, ms uint64, keep ...wire.DeviceID) SignedRevocation {
	mustMatch(k, chain)
	r := Revocation{V: Version, Account: chain.Leaf().Account, By: k.ID(), OpKey: device, Reason: reason, Ms: ms, Keep: ascending(keep)}
	return SignedRevocation{Revocation: r, Sig: wire.Sign(wire.DomainDeviceRevoke, k.Op, wire.NoContext, wire.Marshal(r)), Chain: chain}
}

func ascending(keep []wire.DeviceID) []wire.DeviceID {
	keep = slices.Clone(keep)
	slices.SortFunc(keep, compareDevices)
	return slices.Compact(keep)
}

func compareDevices(a, b wire.DeviceID) int { return bytes.Compare(a[:], b[:]) }

// DecodeRevocation reads a frame up to its bounds; the caller then calls
// Verify. Errors as [DecodeEdge].
func DecodeRevocation(frame []byte) (SignedRevocation, error) {
	return decode[SignedRevocation]("revocation", frame, MaxRevocationFrame)
}

// Verify checks bounds, chain and signature (I8, I15). It does not ask whether
// OpKey ever was a device of the account: then the revocation ends nothing.
func (s SignedRevocation) Verify() error {
	if err := s.verify(); err != nil {
		return fmt.Errorf("verifying revocation: %w", err)
	}
	return nil
}

func (s SignedRevocation) verify() error {
	if err := s.check(); err != nil {
		return err
	}
	r, core := s.Revocation, wire.Marshal(s.Revocation)
	if !s.byRoot() {
		return verifyBy(wire.DomainDeviceRevoke, r.Account, r.By, s.Chain, core, s.Sig)
	}
	if err := wire.ValidKey(r.Account); err != nil {
		return err
	}
	if !wire.Verify(wire.DomainDeviceRevoke, r.Account, wire.NoContext, core, s.Sig) {
		return ErrBadSignature
	}
	return nil
}

func (s *SignedRevocation) byRoot() bool {
	return s.Revocation.By == wire.DeviceID(s.Revocation.Account)
}

func (s *SignedRevocation) check() error {
	r := &s.Revocation
	if err := checkVersion(r.V); err != nil {
		return err
	}
	if r.Reason > MaxReason {
		return fmt.Errorf("%w: reason %d", ErrBounds, r.Reason)
	}
	if err := checkMs("time", r.Ms); err != nil {
		return err
	}
	if len(r.Keep) > MaxKeep {
		return fmt.Errorf("%w: %d devices kept, at most %d", ErrBounds, len(r.Keep), MaxKeep)
	}
	for i := 1; i < len(r.Keep); i++ {
		if compareDevices(r.Keep[i-1], r.Keep[i]) >= 0 {
			return fmt.Errorf("%w: kept devices out of order", ErrBounds)
		}
	}
	if s.byRoot() != (len(s.Chain) == 0) {
		return fmt.Errorf("%w: the root signs without one, a device with one", ErrBadChain)
	}
	return s.Chain.check()
}

// Voids tells whether this revocation voids what the device at the end of
// chain signed with clock value n: the revocation reaches it, and n is later
// than the end (I15). Of several revocations each counts, so the earliest
// decides.
func (s SignedRevocation) Voids(chain Chain, n uint64) bool {
	return n > s.Revocation.Ms && s.Revocation.Reaches(chain)
}

// Reaches tells whether the device at the end of chain ends with this
// revocation: it is the one that ends, or was added by it, directly or not,
// and neither it nor one between the two is kept (I15).
func (r Revocation) Reaches(chain Chain) bool {
	for i := len(chain) - 1; i >= 0; i-- {
		switch c := chain[i].Cert; {
		case c.Account != r.Account:
			return false
		case c.OpKey == r.OpKey:
			return true
		case slices.Contains(r.Keep, c.OpKey):
			return false
		}
	}
	return false
}
