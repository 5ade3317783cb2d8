// Package seal turns secrets into boxes only the right people open. It owns
// the key schedule of an epoch, the sealed box of one message and its
// padding, the post-quantum hybrid wraps that hand an epoch's secret to each
// recipient, the hash tree a rekey commits to, and the request and reply by
// which a device asks for secrets it lacks.
//
// It refuses to know what an operation is: callers give it ids, a context
// hash and bytes. It keeps nothing, and has no clock. It answers every box
// that does not open with the one error [ErrOpen], so that nobody learns from
// the answer how far a forged box got. It refuses KEM keys that parse but can
// never be sealed to ([CheckKEM]).
//
// Begin with [NewSecret] and [Derive]; then [Keys.Sender], [SenderKey.Message]
// and [MessageKey.Seal] for content, [WrapAll] and [Root] for a rekey.
//
// A worked trace: a device makes an epoch. E := NewSecret; ctx names the place
// of its rekey operation; keys := Derive(group, ctx, E), keys.EID goes into
// the operation; leaves := WrapAll(group, ctx, E, recipients) and
// Root(Hashes(leaves)) too. Recipient 7 fetches leaves[7] with its Proof,
// checks VerifyProof, calls Unwrap with its seed and Confirm with the eid of
// the accepted rekey. A message: M := keys.Sender(inc).Message(seq, salt),
// then M.Seal(aad, plain); the reader derives the same M and calls M.Open.
//
// The rules are numbered in SPEC.md beside this file; comments cite them.
package seal
