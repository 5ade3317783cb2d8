package identity

import (
	"fmt"
	"io"

	"golang.org/x/crypto/chacha20poly1305"

	"mutuals/identity/wire"
)

// RestoreHello is how a device that has only its root's word says whose it is
// to somebody it is linked to (I25). It is sealed under the account's id: who
// never met the account learns nothing of it, and who did need not say so
// before it has seen the proof.
//
// Evolution: fields are never added or reused; another shape is another V.
type RestoreHello struct {
	_     struct{} `cbor:",toarray"`
	V     uint64
	Nonce [chacha20poly1305.NonceSizeX]byte
	Box   []byte
}

// restoreProof is what the box holds.
type restoreProof struct {
	_     struct{} `cbor:",toarray"`
	Chain Chain
	Pop   Pop
}

// NewRestoreHello seals the device's certificate and proofs for the device m,
// over the connection that proves the certificate's peer key. The error is
// rand's.
func NewRestoreHello(rand io.Reader, chain Chain, pop Pop, m wire.PeerKey) (RestoreHello, error) {
	h := RestoreHello{V: Version}
	if _, err := io.ReadFull(rand, h.Nonce[:]); err != nil {
		return h, fmt.Errorf("drawing a nonce: %w", err)
	}
	leaf := chain.Leaf()
	h.Box = boxSeal(restoreKey(leaf.Account, leaf.PeerKey, m), h.Nonce, wire.Marshal(restoreProof{Chain: chain, Pop: pop}), nil)
	return h, nil
}

// restoreKey is Expand(account, "mutuals/1/restore" || r || m).
func restoreKey(a wire.AccountID, r, m wire.PeerKey) [32]byte {
	return wire.Expand(a, wire.LabelRestore, r[:], m[:])
}

// DecodeRestoreHello reads a hello up to its bounds; the caller then tries
// Open with the accounts it knows. Errors as [DecodeEdge].
func DecodeRestoreHello(frame []byte) (RestoreHello, error) {
	return decodeFlat[RestoreHello]("restore hello", frame, MaxRestoreHello)
}

func (h *RestoreHello) check() error { return checkVersion(h.V) }

// Open returns the certificate of the device r that speaks to m, if the hello
// was sealed for the account a; ok is false if it was not. The error tells what
// in it does not hold: a certificate by the root alone, of this account and of
// the peer key r that the connection proved, and both proofs.
func (h RestoreHello) Open(a wire.AccountID, r, m wire.PeerKey) (chain Chain, pop Pop, ok bool, err error) {
	plain, ok := boxOpen(restoreKey(a, r, m), h.Nonce, h.Box, nil)
	if !ok {
		return nil, pop, false, nil
	}
	var p restoreProof
	if err := wire.Unmarshal(plain, &p); err != nil {
		return nil, pop, true, fmt.Errorf("reading a restore hello: %w", err)
	}
	if err := p.verify(a, r); err != nil {
		return nil, pop, true, fmt.Errorf("reading a restore hello: %w", err)
	}
	return p.Chain, p.Pop, true, nil
}

func (p *restoreProof) verify(a wire.AccountID, r wire.PeerKey) error {
	if len(p.Chain) != 1 {
		return fmt.Errorf("%w: %d certificates instead of the root's word alone", ErrBadChain, len(p.Chain))
	}
	leaf, err := p.Chain.Verify()
	if err != nil {
		return err
	}
	switch {
	case leaf.Account != a:
		return fmt.Errorf("%w: it is of account %v, not %v", ErrBadChain, leaf.Account, a)
	case leaf.PeerKey != r:
		return fmt.Errorf("%w: the connection proved another key than the certificate names", ErrBadProof)
	}
	return p.Pop.Verify(leaf)
}
