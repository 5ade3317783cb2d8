package identity

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"io"

	"mutuals/identity/wire"
)

// Entropy is the 256 random bits behind an account, which a person keeps as
// 24 words ([Entropy.Words]). Whoever has it is the account. It prints as
// "[secret]" under every verb.
type Entropy [32]byte

// NewEntropy draws fresh entropy from rand; the error is rand's.
func NewEntropy(rand io.Reader) (Entropy, error) {
	var e Entropy
	if _, err := io.ReadFull(rand, e[:]); err != nil {
		return Entropy{}, fmt.Errorf("drawing entropy: %w", err)
	}
	return e, nil
}

// Root derives the account's root key (I4).
func (e Entropy) Root() Root {
	seed, err := hkdf.Key(sha256.New, e[:], []byte(wire.LabelRoot), "ed25519", 32)
	if err != nil {
		panic("internal error: hkdf: " + err.Error())
	}
	return RootFromSeed([32]byte(seed))
}

// BackupSeed derives the secret that opens the account's backups: the seed of
// a hybrid identity of age (I26). A device keeps its public half only.
func (e Entropy) BackupSeed() [32]byte {
	seed, err := hkdf.Key(sha256.New, e[:], []byte(wire.LabelRoot), "age", 32)
	if err != nil {
		panic("internal error: hkdf: " + err.Error())
	}
	return [32]byte(seed)
}

// Format keeps the entropy out of logs.
func (Entropy) Format(s fmt.State, _ rune) { writeSecret(s) }

// MarshalText keeps the entropy out of JSON.
func (Entropy) MarshalText() ([]byte, error) { return []byte(secretText), nil }

// Root is an account's root key. It signs device certificates and revocations
// and nothing else, and leaves the machine after set-up. It prints as
// "[secret]" under every verb.
type Root struct{ key ed25519.PrivateKey }

// RootFromSeed returns the root of a 32-byte Ed25519 seed, as [Root.Seed]
// gave it.
func RootFromSeed(seed [32]byte) Root {
	return Root{ed25519.NewKeyFromSeed(seed[:])}
}

// Seed returns the Ed25519 seed of the root.
func (r Root) Seed() [32]byte { return [32]byte(r.key.Seed()) }

// Account returns the id the root gives: its public key.
func (r Root) Account() wire.AccountID {
	return wire.AccountID(r.key.Public().(ed25519.PublicKey))
}

// Certify signs c as a device of this account. It panics when c names another
// account or version, which is a mistake of the caller's code.
func (r Root) Certify(c Certificate) SignedCert {
	if c.Account != r.Account() || c.V != Version {
		panic("internal error: a root certifies devices of its own account, version 1")
	}
	return SignedCert{Cert: c, Sig: wire.Sign(wire.DomainDeviceCert, r.key, wire.NoContext, wire.Marshal(c))}
}

// Revoke signs the revocation of one of the account's devices at ms, with no
// device needed: what a person with only the words can do; devices it added
// end too, but for those to keep (I15).
func (r Root) Revoke(device wire.DeviceID, reason, ms uint64, keep ...wire.DeviceID) SignedRevocation {
	rev := Revocation{V: Version, Account: r.Account(), By: wire.DeviceID(r.Account()), OpKey: device, Reason: reason, Ms: ms, Keep: ascending(keep)}
	return SignedRevocation{Revocation: rev, Sig: wire.Sign(wire.DomainDeviceRevoke, r.key, wire.NoContext, wire.Marshal(rev))}
}

// Format keeps the key out of logs.
func (Root) Format(s fmt.State, _ rune) { writeSecret(s) }

// MarshalText keeps the key out of JSON.
func (Root) MarshalText() ([]byte, error) { return []byte(secretText), nil }

// secretText is what every secret shows of itself.
const secretText = "[secret]"

func writeSecret(s fmt.State) { _, _ = io.WriteString(s, secretText) }
