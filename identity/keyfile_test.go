package identity

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"mutuals/identity/wire"
)

// keyfileWith is a file with these parameters that no key opens.
func keyfileWith(method, t, mKiB, p uint64) []byte {
	return append([]byte(keyfileLine), wire.Marshal(keyfile{Method: method, T: t, MKiB: mKiB, P: p, Box: make([]byte, 130)})...)
}

// Nobody is asked, and no memory is filled, for a file that asks for too much
// (I19).
func TestNoWorkBeforeTheBounds(t *testing.T) {
	for _, c := range []struct {
		name               string
		method, t, mKiB, p uint64
		want               error
	}{
		{"1 GiB and one KiB", 2, 1, 1<<20 + 1, 1, ErrBounds},
		{"memory that wraps at 2^32", 2, 1, 1<<32 + 64, 1, ErrBounds},
		{"17 passes", 2, 17, 1 << 10, 1, ErrBounds},
		{"passes that wrap at 2^32", 2, 1<<32 + 1, 1 << 10, 1, ErrBounds},
		{"no pass", 2, 0, 1 << 10, 1, ErrBounds},
		{"17 lanes", 2, 1, 1 << 10, 17, ErrBounds},
		{"lanes that wrap at 2^8", 2, 1, 1 << 12, 257, ErrBounds},
		{"lanes times eight that wrap at 2^64", 2, 1, 8, 1<<61 + 1, ErrBounds},
		{"no lane", 2, 1, 1 << 10, 0, ErrBounds},
		{"less than 8 KiB a lane", 2, 1, 15, 2, ErrBounds},
		{"passes without a passphrase", 0, 1, 0, 0, ErrBounds},
		{"memory with the keychain", 1, 0, 64, 0, ErrBounds},
		{"a later method", 3, 0, 0, 0, ErrNewer},
		{"a method that wraps", 1 << 32, 0, 0, 0, ErrNewer},
	} {
		_, err := OpenKeys(keyfileWith(c.method, c.t, c.mKiB, c.p), func(Method) (Protection, error) {
			t.Errorf("%s: somebody was asked", c.name)
			return Protection{}, ErrLocked
		})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	// At the bounds somebody is asked; the work itself is not done here.
	for _, m := range [][3]uint64{{1, 8, 1}, {16, 1 << 20, 16}} {
		asked := false
		_, err := OpenKeys(keyfileWith(2, m[0], m[1], m[2]), func(Method) (Protection, error) {
			asked = true
			return Protection{}, ErrLocked
		})
		if !asked || !errors.Is(err, ErrLocked) {
			t.Errorf("argon2id %v: asked %v, %v", m, asked, err)
		}
	}
}

func TestASealedFileCutAnywhereIsRefused(t *testing.T) {
	keys, err := SealKeys(testRand(1), testSecrets(), Unprotected())
	if err != nil {
		t.Fatal(err)
	}
	root, eraseKey, err := SealRoot(testRand(2), Entropy{1})
	if err != nil {
		t.Fatal(err)
	}
	for n := range keys {
		if _, err := OpenKeys(keys[:n], nil); err == nil || reasonOf(t, err) == "" {
			t.Errorf("keys.sealed opened with %d of %d bytes", n, len(keys))
		}
	}
	for n := range root {
		if _, err := OpenRoot(eraseKey, root[:n]); err == nil || reasonOf(t, err) == "" {
			t.Errorf("root.sealed opened with %d of %d bytes", n, len(root))
		}
	}
}

// The key of method 0 and the associated data, by other means than the code's
// own (I19).
func TestKeysSealedIsWhatTheSpecSays(t *testing.T) {
	s := testSecrets()
	file, err := SealKeys(testRand(1), s, Unprotected())
	if err != nil {
		t.Fatal(err)
	}
	line := len("mutuals-keys/1\n")
	// The line, 87 00, 50 and the salt, 00 00 00, 58 18 and the nonce, the box.
	salt := file[line+3 : line+19]
	nonce := file[line+24 : line+48]
	box := file[line+50:]
	key, err := hkdf.Expand(sha256.New, salt, "mutuals/1/keyfile", 32)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := aead.Open(nil, nonce, box, file[:line+22])
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Join([][]byte{{0x84, 0x58, 0x20}, s.Master[:], {0x58, 0x20}, s.OpSeed[:], {0x58, 0x20}, s.PeerSeed[:], {0x40}}, nil)
	if !bytes.Equal(plain, want) {
		t.Errorf("the box holds %x, want %x", plain, want)
	}
}

// Whoever has the keys can seal anything; a reader still holds it to the
// format.
func TestABoxThatOpensIsStillJudged(t *testing.T) {
	protection := Keychain([32]byte{1})
	unlock := func(Method) (Protection, error) { return protection, nil }
	f := keyfile{Method: uint64(MethodKeychain)}
	for want, plain := range map[error][]byte{
		ErrBounds:            wire.Marshal(keybox{RootEraseKey: make([]byte, 31)}),
		wire.ErrMalformed:    []byte("no list"),
		wire.ErrNotCanonical: append([]byte{0x98, 0x04}, wire.Marshal(keybox{})[1:]...),
	} {
		f.Box = boxSeal(protection.Key, f.Nonce, plain, f.aad())
		if _, err := OpenKeys(append([]byte(keyfileLine), wire.Marshal(f)...), unlock); !errors.Is(err, want) {
			t.Errorf("keys: %v, want %v", err, want)
		}
	}
	for _, n := range []int{0, 31, 33} {
		r := rootfile{Box: boxSeal(protection.Key, f.Nonce, make([]byte, n), []byte(rootfileLine))}
		if _, err := OpenRoot(protection.Key[:], append([]byte(rootfileLine), wire.Marshal(r)...)); !errors.Is(err, ErrWrongKey) {
			t.Errorf("root of %d bytes: %v", n, err)
		}
	}
}

func TestWordsAreCountedBeforeTheLastAreRead(t *testing.T) {
	var w *WordsError
	if _, err := ParseWords(Entropy{}.Words() + " nonsense"); !errors.As(err, &w) || w.Reason != WordsCount {
		t.Errorf("24 words and one unknown: %v", err)
	}
}
