package identity

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"mutuals/identity/wire"
)

// States of an edge.
const (
	EdgeUnfollow uint64 = 0
	EdgeFollow   uint64 = 1
)

// Edge says that account From follows To, or no longer does. It names nothing
// but the pair: edges are not chained, so nobody who holds one sees the rest
// of the list (I10).
//
// Evolution: fields are never added or reused; another shape is another V.
type Edge struct {
	_     struct{} `cbor:",toarray"`
	V     uint64
	From  wire.AccountID
	By    wire.DeviceID // the device of From that signed
	To    wire.AccountID
	N     uint64 // hybrid clock of the pair in ms, see NextN
	State uint64 // EdgeUnfollow or EdgeFollow
	Ms    uint64 // the signer's clock, ms since 1970; shown, decides nothing
}

// ID returns SHA-256 of the edge's core; signature and chain are no part of it.
func (e Edge) ID() [32]byte { return sha256.Sum256(wire.Marshal(e)) }

// Ahead tells whether the edge is dated more than [MaxAheadMs] after nowMs:
// then it is kept aside and counts later (I12).
func (e Edge) Ahead(nowMs uint64) bool { return e.N > nowMs && e.N-nowMs > MaxAheadMs }

// SignedEdge is an edge as it travels: signed in the domain follow, with the
// chain of the device that signed.
type SignedEdge struct {
	_     struct{} `cbor:",toarray"`
	Edge  Edge
	Sig   wire.Sig
	Chain Chain
}

// SignEdge signs, as the device k with its own chain, that the chain's account
// follows to (state 1) or not (state 0). n comes from [NextN]; ms is the clock.
// It does not judge its arguments: an edge to oneself is signed, and refused
// by Verify.
func SignEdge(k DeviceKeys, chain Chain, to wire.AccountID, n, state, ms uint64) SignedEdge {
	mustMatch(k, chain)
	e := Edge{V: Version, From: chain.Leaf().Account, By: k.ID(), To: to, N: n, State: state, Ms: ms}
	return SignedEdge{Edge: e, Sig: wire.Sign(wire.DomainFollow, k.Op, wire.NoContext, wire.Marshal(e)), Chain: chain}
}

// DecodeEdge reads a frame up to its bounds; the caller then calls Verify.
// Errors: wire.ErrMalformed, wire.ErrNotCanonical, ErrBounds, ErrNewer,
// ErrSelf, ErrBadChain.
func DecodeEdge(frame []byte) (SignedEdge, error) {
	return decode[SignedEdge]("edge", frame, MaxEdgeFrame)
}

// Verify checks bounds, chain and signature (I8, I10).
func (s SignedEdge) Verify() error {
	err := s.check()
	if err == nil {
		err = wire.ValidKey(s.Edge.To)
	}
	if err == nil {
		err = verifyBy(wire.DomainFollow, s.Edge.From, s.Edge.By, s.Chain, wire.Marshal(s.Edge), s.Sig)
	}
	if err != nil {
		return fmt.Errorf("verifying edge: %w", err)
	}
	return nil
}

func (s *SignedEdge) check() error {
	if err := s.Edge.check(); err != nil {
		return err
	}
	return s.Chain.check()
}

func (e *Edge) check() error {
	if err := checkVersion(e.V); err != nil {
		return err
	}
	if e.From == e.To {
		return ErrSelf
	}
	if e.State > EdgeFollow {
		return fmt.Errorf("%w: state %d", ErrBounds, e.State)
	}
	if err := checkMs("n", e.N); err != nil {
		return err
	}
	return checkMs("time", e.Ms)
}

// NewerEdge tells whether a supersedes b, both of one (From, To): the higher
// n, then state 0, then the lower id (I11). It is a strict total order on
// edges of different id, so merging is a set operation: in any order and with
// repetitions the same edge is left.
func NewerEdge(a, b SignedEdge) bool {
	if a.Edge.N != b.Edge.N {
		return a.Edge.N > b.Edge.N
	}
	if a.Edge.State != b.Edge.State {
		return a.Edge.State < b.Edge.State
	}
	x, y := a.Edge.ID(), b.Edge.ID()
	return bytes.Compare(x[:], y[:]) < 0
}

// NextN returns the n of the next edge, profile or list: the clock, but above
// the last n seen, in ms (I12).
func NextN(last, nowMs uint64) uint64 { return max(nowMs, last+1) }
