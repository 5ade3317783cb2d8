package wire

import (
	"crypto/hkdf"
	"crypto/sha256"
)

// Label is an HKDF info or HPKE info; the list is disjoint from the domains
// (identity/SPEC.md W5).
type Label string

// The list of labels.
const (
	LabelRoot       Label = "mutuals/1/root" // the salt of what 24 words give
	LabelEID        Label = "mutuals/1/eid"
	LabelTopic      Label = "mutuals/1/topic"
	LabelRdv        Label = "mutuals/1/rdv"
	LabelSender     Label = "mutuals/1/sender"
	LabelMsg        Label = "mutuals/1/msg"
	LabelKey        Label = "mutuals/1/key"
	LabelKC         Label = "mutuals/1/kc"
	LabelChunk      Label = "mutuals/1/chunk"
	LabelManifest   Label = "mutuals/1/manifest"
	LabelWrap       Label = "mutuals/1/wrap"
	LabelKeyRep     Label = "mutuals/1/key-rep"
	LabelLink       Label = "mutuals/1/link"
	LabelLinkRep    Label = "mutuals/1/link-rep"
	LabelSAS        Label = "mutuals/1/sas"
	LabelSASCommit  Label = "mutuals/1/sas-commit"
	LabelDoor       Label = "mutuals/1/door"
	LabelSafety     Label = "mutuals/1/safety"
	LabelInvite     Label = "mutuals/1/invite"
	LabelInviteSign Label = "mutuals/1/invite-sign"
	LabelInviteKEM  Label = "mutuals/1/invite-kem"
	LabelInviteRdv  Label = "mutuals/1/invite-rdv"
	LabelInviteLob  Label = "mutuals/1/invite-lobby"
	LabelInviteTop  Label = "mutuals/1/invite-topic"
	LabelStore      Label = "mutuals/1/store"
	LabelKeyfile    Label = "mutuals/1/keyfile"
	LabelRestore    Label = "mutuals/1/restore"
	LabelReader     Label = "mutuals/1/reader"
)

// Extract is HKDF-Extract with SHA-256 (RFC 5869 section 2.2).
func Extract(salt, secret []byte) [32]byte {
	prk, err := hkdf.Extract(sha256.New, secret, salt)
	if err != nil {
		panic("internal error: hkdf extract: " + err.Error())
	}
	return [32]byte(prk)
}

// Expand is HKDF-Expand with SHA-256 to 32 bytes (RFC 5869 section 2.3), which is
// HMAC of info and a byte of 1; info = label followed by the parts, each of which
// must be of fixed length. It is written out since each message that is read takes
// three: without it they are a sixth of the memory that is given for one.
func Expand(prk [32]byte, l Label, parts ...[]byte) [32]byte {
	var room [sha256.BlockSize + 128]byte // longer infos are put elsewhere
	inner := room[:sha256.BlockSize]
	var outer [sha256.BlockSize + sha256.Size]byte
	for i := range sha256.BlockSize {
		inner[i], outer[i] = 0x36, 0x5c
	}
	for i, b := range prk {
		inner[i] ^= b
		outer[i] ^= b
	}
	inner = append(inner, l...)
	for _, p := range parts {
		inner = append(inner, p...)
	}
	sum := sha256.Sum256(append(inner, 1))
	copy(outer[sha256.BlockSize:], sum[:])
	return sha256.Sum256(outer[:])
}
