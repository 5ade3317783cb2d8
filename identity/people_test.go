package identity

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"testing"

	"mutuals/identity/wire"
)

// person is an account with one device, made from one number.
type person struct {
	entropy Entropy
	root    Root
	keys    DeviceKeys
	chain   Chain
}

const testMs = 1_700_000_000_000

// testRand gives the same bytes for the same seed, for ever.
func testRand(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

func newPerson(seed byte) person {
	r := testRand(seed)
	e, err := NewEntropy(r)
	if err != nil {
		panic(err)
	}
	k, err := NewDeviceKeys(r)
	if err != nil {
		panic(err)
	}
	root := e.Root()
	return person{e, root, k, NewChain(root, k, 1, CapAddDevices, testMs)}
}

func newKeys(seed byte) DeviceKeys {
	k, err := NewDeviceKeys(testRand(seed))
	if err != nil {
		panic(err)
	}
	return k
}

// extend certifies k as a device added by the last one of p's chain.
func (p person) extend(k DeviceKeys, caps uint64) person {
	c := NewCertificate(p.root.Account(), k, uint64(len(p.chain)+1), caps, testMs)
	return person{p.entropy, p.root, k, append(p.chain[:len(p.chain):len(p.chain)], signCert(p.keys.Op, c))}
}

// signCert signs whatever it is given.
func signCert(key ed25519.PrivateKey, c Certificate) SignedCert {
	return SignedCert{Cert: c, Sig: wire.Sign(wire.DomainDeviceCert, key, wire.NoContext, wire.Marshal(c))}
}

// reasons are the words vectors use for refusals (SPEC.md I3).
var reasons = []struct {
	err  error
	word string
}{
	{wire.ErrMalformed, "malformed"}, {wire.ErrNotCanonical, "not canonical"}, {wire.ErrBadKey, "key"},
	{ErrNewer, "newer"}, {ErrBounds, "bounds"}, {ErrBadChain, "chain"}, {ErrBadSignature, "signature"},
	{ErrBadProof, "proof"}, {ErrSelf, "self"}, {ErrNotKeyFile, "not a key file"},
	{ErrWrongPassphrase, "wrong passphrase"}, {ErrWrongKey, "wrong key"}, {ErrDamaged, "damaged"},
	{ErrLocked, "locked"}, {ErrBadPassphrase, "bad passphrase"},
}

// reasonOf names the one reason err wraps; "" for nil.
func reasonOf(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var words *WordsError
	if errors.As(err, &words) {
		return "words: " + string(words.Reason)
	}
	var armour *wire.ArmourError
	if errors.As(err, &armour) {
		return "armour"
	}
	found := ""
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			if found != "" {
				t.Errorf("%v has two reasons, %s and %s", err, found, r.word)
			}
			found = r.word
		}
	}
	if found == "" {
		t.Errorf("%v has no known reason", err)
	}
	return found
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
