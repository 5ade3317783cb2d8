// Package identity is who someone is and whom they follow. It owns accounts
// (24 words and the root key they give), devices and the certificates that tie
// them to an account, follow edges and the list of them, profiles, contact
// cards, revocations, safety numbers, and the sealing of a device's own
// secrets. What counts as mutual is decided in [Mutual] and nowhere else.
//
// It refuses a key under which a signature proves nothing, a device that did
// not prove both its keys, a chain of certificates that does not lead from the
// account to the signer, and whatever is above the bounds in bounds.go. It has
// no clock, no files, no network, no goroutines: time and randomness come in
// as arguments, sealed bytes go out. It does not know groups or passcodes.
//
// Begin with [NewEntropy], [Entropy.Root], [NewDeviceKeys] and [NewChain];
// then [SignEdge], and [DecodeEdge] with [SignedEdge.Verify] at the other end.
//
// A worked trace: Ada sets up. NewEntropy gives 32 bytes, shown as 24 words;
// Root().Account() is her id. NewDeviceKeys makes an op key and a peer key;
// the root certifies both, the device proves both ([DeviceKeys.Prove]), and
// the certificate with its signature is her chain. The root key leaves memory.
// Ada follows Ben: SignEdge writes [1, Ada, her op key, Ben, n, 1, ms], signs
// it in the domain "follow" and attaches the chain. Ben's device reads it:
// DecodeEdge checks length, canonical form and bounds, Verify checks the chain
// from Ada's account to the op key and the signature under that op key. Ben
// follows back, and [Mutual] of the two edges is true on both sides.
//
// The rules are numbered in SPEC.md (I… here, W… in package wire); comments
// cite them.
package identity
