package wire

import (
	"crypto/ed25519"
	"crypto/sha256"
)

// Domain says what a signature is for. No two kinds of signed bytes share
// one, and none is ever reused (identity/SPEC.md W3).
type Domain string

// The list of domains; DomainAccountMove is reserved.
const (
	DomainOp           Domain = "mutuals/1/op"
	DomainDeviceCert   Domain = "mutuals/1/device-cert"
	DomainDevicePop    Domain = "mutuals/1/device-pop"
	DomainPeerPop      Domain = "mutuals/1/peer-pop"
	DomainDeviceRevoke Domain = "mutuals/1/device-revoke"
	DomainAccountMove  Domain = "mutuals/1/account-move"
	DomainFollow       Domain = "mutuals/1/follow"
	DomainFollowList   Domain = "mutuals/1/follow-list"
	DomainProfile      Domain = "mutuals/1/profile"
	DomainCard         Domain = "mutuals/1/card"
	DomainJoinHello    Domain = "mutuals/1/join-hello"
	DomainJoinRequest  Domain = "mutuals/1/join-request"
	DomainInviteUse    Domain = "mutuals/1/invite-use"
	DomainOwnerAccept  Domain = "mutuals/1/owner-accept"
	DomainSucceed      Domain = "mutuals/1/succeed"
	DomainHarborPop    Domain = "mutuals/1/harbor-pop"
	DomainHarborReq    Domain = "mutuals/1/harbor-req"
	DomainKeyReq       Domain = "mutuals/1/key-req"
	DomainLobby        Domain = "mutuals/1/lobby"
	DomainBackup       Domain = "mutuals/1/backup"
	DomainExport       Domain = "mutuals/1/export"
	DomainReceipt      Domain = "mutuals/1/receipt"
	DomainLobbyFrame   Domain = "mutuals/1/lobby-frame"
)

// Context is the group id, or NoContext where the domain has none.
type Context = [32]byte

// NoContext is the context of what belongs to no group.
var NoContext Context

// Sign returns Ed25519(key, domain || 0x00 || context || SHA-256(core)).
func Sign(d Domain, key ed25519.PrivateKey, ctx Context, core []byte) Sig {
	return Sig(ed25519.Sign(key, toSign(d, ctx, core)))
}

// Verify tells whether sig is key's signature over core in domain and
// context, with the semantics of Go's crypto/ed25519. Check a key with
// [ValidKey] when it is first met: Verify alone accepts small-order keys,
// under which one signature fits every message.
func Verify(d Domain, key [32]byte, ctx Context, core []byte, sig Sig) bool {
	return ed25519.Verify(key[:], toSign(d, ctx, core), sig[:])
}

func toSign(d Domain, ctx Context, core []byte) []byte {
	h := sha256.Sum256(core)
	b := make([]byte, 0, len(d)+1+64)
	b = append(b, d...)
	b = append(b, 0)
	b = append(b, ctx[:]...)
	return append(b, h[:]...)
}
