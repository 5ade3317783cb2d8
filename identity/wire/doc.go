// Package wire is the lowest room: how bytes that people sign, hash and
// send look. It owns deterministic CBOR, the typed ids, the list of signing
// domains and of key-derivation labels, and the armour of cards and
// passcodes. It knows nothing of accounts, groups or the network.
//
// It refuses every byte string that is not the one canonical encoding of its
// value ([Unmarshal], [Canonical]), every Ed25519 key under which a signature
// proves nothing ([ValidKey]), and offers no way to sign without naming a
// domain ([Sign]).
//
// Begin with [Marshal] and [Unmarshal]; then [Sign] and [Verify].
//
// A worked trace: a follow edge is a struct with a `cbor:",toarray"` field.
// Marshal turns it into its core; Sign(DomainFollow, key, NoContext, core)
// signs "mutuals/1/follow" || 0x00 || 32 zero bytes || SHA-256(core); the
// reader calls Unmarshal, which decodes, encodes again and compares, and then
// Verify with the same domain.
//
// The rules are numbered in identity/SPEC.md; comments cite them.
package wire
