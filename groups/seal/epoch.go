package seal

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"

	"mutuals/identity/wire"
)

// Secret is E, the 32 random bytes an epoch is made of. It never travels but
// inside a wrap or a key reply.
type Secret [SecretLen]byte

// NewSecret reads a fresh secret from rand; the error is rand's.
func NewSecret(rand io.Reader) (Secret, error) {
	var e Secret
	if _, err := io.ReadFull(rand, e[:]); err != nil {
		return Secret{}, fmt.Errorf("drawing an epoch secret: %w", err)
	}
	return e, nil
}

// Keys is what an epoch's secret gives (S1).
type Keys struct {
	prk [32]byte
	// EID names the epoch in operations; it tells nothing of the secret.
	EID [32]byte
	// Topic names the gossip topic of the epoch.
	Topic [32]byte
	// Rdv is the rendezvous secret: DHT keys are derived from it day by day.
	Rdv [32]byte
}

// Derive gives the keys of secret e in group for the rekey operation whose
// place is ctx = SHA-256(CBOR [inc, seq, prev, parents]). Group and ctx are
// part of the salt: a copied eid opens for nobody (S1).
func Derive(group wire.GroupID, ctx [32]byte, e Secret) Keys {
	var salt [64]byte
	copy(salt[:32], group[:])
	copy(salt[32:], ctx[:])
	prk := wire.Extract(salt[:], e[:])
	return Keys{
		prk:   prk,
		EID:   wire.Expand(prk, wire.LabelEID),
		Topic: wire.Expand(prk, wire.LabelTopic),
		Rdv:   wire.Expand(prk, wire.LabelRdv),
	}
}

// Confirm derives the keys and tells whether they belong to eid. A secret
// that came from anybody else is used only if this says yes, with the ctx and
// eid of an accepted rekey (S8).
func Confirm(group wire.GroupID, ctx [32]byte, e Secret, eid [32]byte) (Keys, bool) {
	k := Derive(group, ctx, e)
	if subtle.ConstantTimeCompare(k.EID[:], eid[:]) != 1 {
		return Keys{}, false
	}
	return k, true
}

// SenderKey is S_inc: what one incarnation's messages of an epoch are derived
// from. Keep it while the incarnation speaks; it saves one derivation a
// message.
type SenderKey [32]byte

// Sender gives the sender key of an incarnation (S2).
func (k Keys) Sender(inc wire.OpID) SenderKey {
	return SenderKey(wire.Expand(k.prk, wire.LabelSender, inc[:]))
}

// Reader gives the key that an incarnation's receipts of an epoch are derived
// from, as its messages are from that of Sender (S11). No message is sealed
// under it.
func (k Keys) Reader(inc wire.OpID) SenderKey {
	return SenderKey(wire.Expand(k.prk, wire.LabelReader, inc[:]))
}

// MessageKey is M, the secret of one message. It can be handed to a newcomer
// without the epoch: it opens one box and tells nothing of the others.
type MessageKey [32]byte

// Message gives the secret of the message number seq sent with salt (S2). The
// salt is fresh at each send: a device that forgot it had sent seq does not
// use one key twice.
func (s SenderKey) Message(seq uint64, salt [16]byte) MessageKey {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], seq)
	return MessageKey(wire.Expand(s, wire.LabelMsg, n[:], salt[:]))
}

// DHTKey gives the key under which devices of the epoch find each other on a
// day, counted in whole UTC days since 1970 (S9).
func (k Keys) DHTKey(day uint32) [32]byte { return DHTKey(k.Rdv, day) }

// DHTKey blinds a rendezvous secret for a day: SHA-256(rdv || u32be day) (S9).
func DHTKey(rdv [32]byte, day uint32) [32]byte {
	var b [36]byte
	copy(b[:], rdv[:])
	binary.BigEndian.PutUint32(b[32:], day)
	return sha256.Sum256(b[:])
}
