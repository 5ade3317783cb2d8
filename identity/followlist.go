package identity

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"

	"mutuals/identity/wire"
)

// FollowList is a checkpoint of all edges an account made, for its own devices
// and backups: it shows that an edge is missing and never deletes one (I14).
//
// Evolution: fields are never added or reused; another shape is another V.
type FollowList struct {
	_       struct{} `cbor:",toarray"`
	V       uint64
	Account wire.AccountID
	By      wire.DeviceID
	N       uint64   // see NextN
	Root    [32]byte // EdgeRoot of the newest edge to each account, of either state
}

// SignedFollowList is a list as it travels, domain follow-list.
type SignedFollowList struct {
	_     struct{} `cbor:",toarray"`
	List  FollowList
	Sig   wire.Sig
	Chain Chain
}

// SignFollowList signs root, an [EdgeRoot], as the chain's account's list.
func SignFollowList(k DeviceKeys, chain Chain, n uint64, root [32]byte) SignedFollowList {
	mustMatch(k, chain)
	l := FollowList{V: Version, Account: chain.Leaf().Account, By: k.ID(), N: n, Root: root}
	return SignedFollowList{List: l, Sig: wire.Sign(wire.DomainFollowList, k.Op, wire.NoContext, wire.Marshal(l)), Chain: chain}
}

// DecodeFollowList reads a frame up to its bounds; the caller then calls
// Verify. Errors as [DecodeEdge].
func DecodeFollowList(frame []byte) (SignedFollowList, error) {
	return decode[SignedFollowList]("follow list", frame, MaxFollowListFrame)
}

// Verify checks bounds, chain and signature (I8, I14).
func (s SignedFollowList) Verify() error {
	err := s.check()
	if err == nil {
		err = verifyBy(wire.DomainFollowList, s.List.Account, s.List.By, s.Chain, wire.Marshal(s.List), s.Sig)
	}
	if err != nil {
		return fmt.Errorf("verifying follow list: %w", err)
	}
	return nil
}

func (s *SignedFollowList) check() error {
	if err := checkVersion(s.List.V); err != nil {
		return err
	}
	if err := checkMs("n", s.List.N); err != nil {
		return err
	}
	return s.Chain.check()
}

// EdgeRoot returns the RFC 6962 tree head of the ids, ascending and without
// repetitions; of none, SHA-256 of nothing (I14). ids is not changed.
func EdgeRoot(ids [][32]byte) [32]byte {
	sorted := slices.Clone(ids)
	slices.SortFunc(sorted, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	sorted = slices.Compact(sorted)
	if len(sorted) == 0 {
		return sha256.Sum256(nil)
	}
	return treeHead(sorted)
}

// treeHead is RFC 6962 section 2.1 for one id or more.
func treeHead(ids [][32]byte) [32]byte {
	if len(ids) == 1 {
		return sha256.Sum256(append([]byte{0x00}, ids[0][:]...))
	}
	k := 1
	for k*2 < len(ids) {
		k *= 2
	}
	l, r := treeHead(ids[:k]), treeHead(ids[k:])
	return sha256.Sum256(slices.Concat([]byte{0x01}, l[:], r[:]))
}
