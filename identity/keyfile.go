package identity

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/text/unicode/norm"

	"mutuals/identity/wire"
)

// keyfileLine begins keys.sealed, and says which format follows (I19).
const keyfileLine = "mutuals-keys/1\n"

// Secrets are what a device must never lose or show: the content of
// keys.sealed. They print as "[secret]" under every verb.
type Secrets struct {
	Master       [32]byte // the store's key comes from it, see StoreKey
	OpSeed       [32]byte
	PeerSeed     [32]byte
	RootEraseKey []byte // 32 bytes while root.sealed exists, else empty
}

// NewSecrets returns the secrets of a new device with these keys: the master
// key is drawn from rand, whose error it returns.
func NewSecrets(rand io.Reader, k DeviceKeys) (Secrets, error) {
	s := Secrets{OpSeed: k.OpSeed(), PeerSeed: k.PeerSeed()}
	if _, err := io.ReadFull(rand, s.Master[:]); err != nil {
		return Secrets{}, fmt.Errorf("drawing secrets: %w", err)
	}
	return s, nil
}

// Device returns the device's keys.
func (s Secrets) Device() DeviceKeys { return DeviceKeysFromSeeds(s.OpSeed, s.PeerSeed) }

// StoreKey returns the key under which the store lies on disk.
func (s Secrets) StoreKey() [32]byte { return wire.Expand(s.Master, wire.LabelStore) }

// Format keeps the secrets out of logs.
func (Secrets) Format(s fmt.State, _ rune) { writeSecret(s) }

// MarshalText keeps the secrets out of JSON.
func (Secrets) MarshalText() ([]byte, error) { return []byte(secretText), nil }

// Method is how keys.sealed is protected.
type Method uint64

// The list of methods.
const (
	MethodNone       Method = 0 // whoever reads the file has the keys
	MethodKeychain   Method = 1 // 32 random bytes in the system's keychain
	MethodPassphrase Method = 2 // Argon2id of a passphrase
)

func (m Method) String() string {
	switch m {
	case MethodNone:
		return "none"
	case MethodKeychain:
		return "keychain"
	case MethodPassphrase:
		return "passphrase"
	}
	return fmt.Sprintf("method %d", uint64(m))
}

// Protection is what protects keys.sealed. The zero value is MethodNone. It
// prints as "[secret]" under every verb.
type Protection struct {
	Method     Method
	Key        [32]byte // MethodKeychain
	Passphrase []byte   // MethodPassphrase, as typed: UTF-8 in any normal form
	LowMemory  bool     // MethodPassphrase, sealing only: 64 MiB of work instead of 256, for machines below 2 GiB

	cost *argonCost // tests only: nil is the format's own
}

// Unprotected is MethodNone: the file's mode is all that guards it.
func Unprotected() Protection { return Protection{} }

// Keychain is MethodKeychain with the 32 bytes the keychain holds.
func Keychain(key [32]byte) Protection { return Protection{Method: MethodKeychain, Key: key} }

// Passphrase is MethodPassphrase at the format's full cost.
func Passphrase(p []byte) Protection { return Protection{Method: MethodPassphrase, Passphrase: p} }

// Format keeps the secrets out of logs.
func (Protection) Format(s fmt.State, _ rune) { writeSecret(s) }

// MarshalText keeps the secrets out of JSON.
func (Protection) MarshalText() ([]byte, error) { return []byte(secretText), nil }

// Refusals of a sealed file that callers branch on, besides ErrNewer,
// ErrBounds and wire's.
var (
	// ErrNotKeyFile: the bytes do not begin as a sealed file of ours.
	ErrNotKeyFile = errors.New("not a sealed key file")
	// ErrWrongPassphrase: the passphrase is another one, or the file was
	// changed; a box cannot tell which. The person types again.
	ErrWrongPassphrase = errors.New("wrong passphrase, or the file is damaged")
	// ErrWrongKey: the keychain's key, or the erase key, is of another file,
	// or the file was changed.
	ErrWrongKey = errors.New("wrong key, or the file is damaged")
	// ErrLocked: the file is protected and nothing to unlock it was given.
	ErrLocked = errors.New("protected")
	// ErrDamaged: a file without protection does not open.
	ErrDamaged = errors.New("file is damaged")
	// ErrBadPassphrase: empty, or above MaxPassphrase bytes.
	ErrBadPassphrase = errors.New("passphrase is empty or too long")
)

// argonCost are the parameters of Argon2id, as the file carries them.
type argonCost struct{ t, mKiB, p uint64 }

// What new files use: about half a second on the machines of 2026, and memory
// that a rack of graphics cards does not have a thousand times over.
const (
	costTime     = 3
	costKiB      = 256 << 10
	costKiBSmall = 64 << 10
	costThreads  = 4

	// What a file may ask for. Above it somebody wants to stop this machine.
	maxCostKiB     = 1 << 20
	maxCostTime    = 16
	maxCostThreads = 16
)

func (p Protection) argon() argonCost {
	switch {
	case p.Method != MethodPassphrase:
		return argonCost{}
	case p.cost != nil:
		return *p.cost
	case p.LowMemory:
		return argonCost{costTime, costKiBSmall, costThreads}
	}
	return argonCost{costTime, costKiB, costThreads}
}

// keyfile is what follows the line. All before the nonce is the box's AAD.
type keyfile struct {
	_      struct{} `cbor:",toarray"`
	Method uint64
	Salt   [16]byte
	T      uint64 // Argon2id passes; 0 unless MethodPassphrase, as the next two
	MKiB   uint64
	P      uint64
	Nonce  [chacha20poly1305.NonceSizeX]byte
	Box    []byte
}

// keybox is what the box holds.
type keybox struct {
	_                        struct{} `cbor:",toarray"`
	Master, OpSeed, PeerSeed [32]byte
	RootEraseKey             []byte
}

// SealKeys returns the bytes of keys.sealed, under a fresh salt and nonce from
// rand. The caller writes them to a new file with mode 0600, syncs and
// renames. Errors: rand's, ErrBadPassphrase, ErrNewer for an unknown method.
func SealKeys(rand io.Reader, s Secrets, p Protection) ([]byte, error) {
	if n := len(s.RootEraseKey); n != 0 && n != 32 {
		panic("internal error: a root erase key has 32 bytes")
	}
	c := p.argon()
	f := keyfile{Method: uint64(p.Method), T: c.t, MKiB: c.mKiB, P: c.p}
	for _, b := range [][]byte{f.Salt[:], f.Nonce[:]} {
		if _, err := io.ReadFull(rand, b); err != nil {
			return nil, fmt.Errorf("sealing keys: %w", err)
		}
	}
	kek, err := p.kek(&f)
	if err != nil {
		return nil, fmt.Errorf("sealing keys: %w", err)
	}
	plain := wire.Marshal(keybox{Master: s.Master, OpSeed: s.OpSeed, PeerSeed: s.PeerSeed, RootEraseKey: s.RootEraseKey})
	f.Box = boxSeal(kek, f.Nonce, plain, f.aad())
	return append([]byte(keyfileLine), wire.Marshal(f)...), nil
}

// OpenKeys opens the bytes of keys.sealed. Once line, form and bounds hold it
// calls unlock with the file's method, and unlock returns a Protection of that
// method, asking keychain or person; it is not called for MethodNone, so nil
// opens unprotected files only. Errors: ErrNotKeyFile, ErrNewer, ErrBounds,
// wire's, ErrLocked, unlock's own, ErrWrongPassphrase, ErrWrongKey or
// ErrDamaged by method.
func OpenKeys(file []byte, unlock func(Method) (Protection, error)) (Secrets, error) {
	f, err := readKeyfile(file)
	if err != nil {
		return Secrets{}, fmt.Errorf("opening keys: %w", err)
	}
	p := Unprotected()
	if m := Method(f.Method); m != MethodNone {
		if unlock == nil {
			return Secrets{}, fmt.Errorf("opening keys: %w by %v", ErrLocked, m)
		}
		if p, err = unlock(m); err != nil {
			return Secrets{}, fmt.Errorf("opening keys: %w", err)
		}
	}
	if p.Method != Method(f.Method) {
		return Secrets{}, fmt.Errorf("opening keys: protected by %v, unlocked by %v: %w", Method(f.Method), p.Method, ErrWrongKey)
	}
	kek, err := p.kek(&f)
	if err != nil {
		return Secrets{}, fmt.Errorf("opening keys: %w", err)
	}
	plain, ok := boxOpen(kek, f.Nonce, f.Box, f.aad())
	if !ok {
		return Secrets{}, fmt.Errorf("opening keys: %w", p.Method.wrong())
	}
	var b keybox
	if err := wire.Unmarshal(plain, &b); err != nil {
		return Secrets{}, fmt.Errorf("opening keys: reading the box: %w", err)
	}
	if n := len(b.RootEraseKey); n != 0 && n != 32 {
		return Secrets{}, fmt.Errorf("opening keys: %w: root erase key of %d bytes", ErrBounds, n)
	}
	return Secrets{Master: b.Master, OpSeed: b.OpSeed, PeerSeed: b.PeerSeed, RootEraseKey: b.RootEraseKey}, nil
}

// KeysMethod tells how a keys.sealed is protected, without opening it. Errors
// as the first of [OpenKeys].
func KeysMethod(file []byte) (Method, error) {
	f, err := readKeyfile(file)
	if err != nil {
		return 0, fmt.Errorf("reading keys: %w", err)
	}
	return Method(f.Method), nil
}

func (m Method) wrong() error {
	switch m {
	case MethodNone:
		return ErrDamaged
	case MethodPassphrase:
		return ErrWrongPassphrase
	}
	return ErrWrongKey
}

// readKeyfile checks all that can be checked before any work is done.
func readKeyfile(file []byte) (keyfile, error) {
	var f keyfile
	rest, err := afterLine(file, keyfileLine)
	if err != nil {
		return f, err
	}
	if err := wire.Unmarshal(rest, &f); err != nil {
		return f, err
	}
	zero := f.T == 0 && f.MKiB == 0 && f.P == 0
	switch Method(f.Method) {
	case MethodNone, MethodKeychain:
		if !zero {
			return f, fmt.Errorf("%w: work parameters without a passphrase", ErrBounds)
		}
	case MethodPassphrase:
		// Argon2 itself raises memory below 8 KiB a lane; a file says what is.
		if f.T < 1 || f.T > maxCostTime || f.P < 1 || f.P > maxCostThreads || f.MKiB < 8*f.P || f.MKiB > maxCostKiB {
			return f, fmt.Errorf("%w: argon2id t %d, m %d KiB, p %d", ErrBounds, f.T, f.MKiB, f.P)
		}
	default:
		return f, fmt.Errorf("%w: protection method %d", ErrNewer, f.Method)
	}
	return f, nil
}

// afterLine checks a sealed file's length and first line. A line of the same
// name and another number is of a newer program.
func afterLine(file []byte, line string) ([]byte, error) {
	if len(file) > MaxKeyFile {
		return nil, fmt.Errorf("%w: %d bytes", ErrBounds, len(file))
	}
	first, rest, ended := bytes.Cut(file, []byte("\n"))
	name, number, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "/")
	switch got, ok := bytes.CutPrefix(first, []byte(name+"/")); {
	case !ok || !ended:
		return nil, ErrNotKeyFile
	case string(got) != number:
		return nil, fmt.Errorf("%w: file format %q", ErrNewer, got)
	}
	return rest, nil
}

// kek derives the key of the box; its cost is the file's.
func (p Protection) kek(f *keyfile) ([32]byte, error) {
	switch p.Method {
	case MethodNone:
		// HMAC fills a short key with zeros, so this is Expand(salt16, …).
		var prk [32]byte
		copy(prk[:], f.Salt[:])
		return wire.Expand(prk, wire.LabelKeyfile), nil
	case MethodKeychain:
		return p.Key, nil
	case MethodPassphrase:
		if len(p.Passphrase) == 0 || len(p.Passphrase) > MaxPassphrase {
			return [32]byte{}, ErrBadPassphrase
		}
		pass := norm.NFC.Bytes(p.Passphrase)
		return [32]byte(argon2.IDKey(pass, f.Salt[:], uint32(f.T), uint32(f.MKiB), uint8(f.P), 32)), nil
	}
	return [32]byte{}, fmt.Errorf("%w: protection %v", ErrNewer, p.Method)
}

// aad is the file up to the nonce: the line, the head of an array of seven,
// and its first five elements.
func (f *keyfile) aad() []byte {
	return slices.Concat([]byte(keyfileLine), []byte{0x87},
		wire.Marshal(f.Method), wire.Marshal(f.Salt[:]), wire.Marshal(f.T), wire.Marshal(f.MKiB), wire.Marshal(f.P))
}

func boxSeal(key [32]byte, nonce [chacha20poly1305.NonceSizeX]byte, plain, aad []byte) []byte {
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic("internal error: xchacha20-poly1305: " + err.Error())
	}
	return aead.Seal(nil, nonce[:], plain, aad)
}

func boxOpen(key [32]byte, nonce [chacha20poly1305.NonceSizeX]byte, box, aad []byte) ([]byte, bool) {
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic("internal error: xchacha20-poly1305: " + err.Error())
	}
	plain, err := aead.Open(nil, nonce[:], box, aad)
	return plain, err == nil
}
