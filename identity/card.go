package identity

import (
	"fmt"

	"mutuals/identity/wire"
)

// Card makes a stranger reachable: who, under which name, at which addresses
// (I17). Whoever holds it may follow, and hand the edge over.
//
// Evolution: fields are never added or reused; another shape is another V.
type Card struct {
	_       struct{} `cbor:",toarray"`
	V       uint64
	Account wire.AccountID
	By      wire.DeviceID
	Name    string
	Hints   [][]byte // packed addresses (invites/SPEC.md), at most MaxHints; opaque here
	Ms      uint64   // when it was made; of two the later is newer
}

// SignedCard is a card as it travels, domain card.
type SignedCard struct {
	_     struct{} `cbor:",toarray"`
	Card  Card
	Sig   wire.Sig
	Chain Chain
}

// cardLink begins a card's link; the armoured card follows.
const cardLink = "mutuals://card/"

// SignCard signs a card of the chain's account. The error is a *[FieldError]
// about the name, or wraps ErrBounds.
func SignCard(k DeviceKeys, chain Chain, name string, hints [][]byte, ms uint64) (SignedCard, error) {
	mustMatch(k, chain)
	c := Card{V: Version, Account: chain.Leaf().Account, By: k.ID(), Name: name, Hints: hints, Ms: ms}
	if err := c.check(); err != nil {
		return SignedCard{}, fmt.Errorf("signing card: %w", err)
	}
	return SignedCard{Card: c, Sig: wire.Sign(wire.DomainCard, k.Op, wire.NoContext, wire.Marshal(c)), Chain: chain}, nil
}

// DecodeCard reads a frame up to its bounds; the caller then calls Verify.
// Errors as [DecodeEdge].
func DecodeCard(frame []byte) (SignedCard, error) {
	return decode[SignedCard]("card", frame, MaxCardFrame)
}

// Verify checks bounds, chain and signature (I8, I17).
func (s SignedCard) Verify() error {
	err := s.check()
	if err == nil {
		err = verifyBy(wire.DomainCard, s.Card.Account, s.Card.By, s.Chain, wire.Marshal(s.Card), s.Sig)
	}
	if err != nil {
		return fmt.Errorf("verifying card: %w", err)
	}
	return nil
}

func (s *SignedCard) check() error {
	if err := s.Card.check(); err != nil {
		return err
	}
	return s.Chain.check()
}

func (c *Card) check() error {
	if err := checkVersion(c.V); err != nil {
		return err
	}
	if err := CheckName(c.Name); err != nil {
		return err
	}
	if err := checkHints(c.Hints); err != nil {
		return err
	}
	return checkMs("time", c.Ms)
}

// checkHints judges how many addresses there are, and their lengths.
func checkHints(hints [][]byte) error {
	if len(hints) > MaxHints {
		return fmt.Errorf("%w: %d hints", ErrBounds, len(hints))
	}
	for _, h := range hints {
		if len(h) == 0 || len(h) > MaxHintBytes {
			return fmt.Errorf("%w: hint of %d bytes", ErrBounds, len(h))
		}
	}
	return nil
}

// Text returns the card as letters to copy, armoured like a passcode (W7).
func (s SignedCard) Text() string { return wire.Armour(wire.MarkCard, wire.Marshal(s)) }

// Link returns the card as a mutuals:// link.
func (s SignedCard) Link() string { return cardLink + s.Text() }

// ParseCard finds a card in text (bare, a link, or inside a pasted message),
// reads and verifies it. The error is a *wire.ArmourError, or one of
// [DecodeCard] or [SignedCard.Verify].
func ParseCard(text string) (SignedCard, error) {
	frame, err := wire.Dearmour(wire.MarkCard, text)
	if err != nil {
		return SignedCard{}, fmt.Errorf("finding card: %w", err)
	}
	card, err := DecodeCard(frame)
	if err != nil {
		return SignedCard{}, err
	}
	if err := card.Verify(); err != nil {
		return SignedCard{}, err
	}
	return card, nil
}
