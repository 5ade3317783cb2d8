package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mutuals/identity/wire"
)

// counter is a reader of predictable bytes, for keys a test need not keep
// secret.
type counter byte

func (c *counter) Read(b []byte) (int, error) {
	for i := range b {
		*c++
		b[i] = byte(*c)
	}
	return len(b), nil
}

func draw32(t *rapid.T, name string) [32]byte {
	return [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, name))
}

// allSteps is S4 as a plain list, not as the code computes it.
var allSteps = []int{256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 61440}

func TestPaddingOfEveryLength(t *testing.T) {
	plain := bytes.Repeat([]byte{0x80}, MaxPlain+1) // the end mark's own byte: the hardest to tell apart
	next := 0
	for n := 0; n <= MaxPlain; n++ {
		for n >= allSteps[next] {
			next++
		}
		if got, ok := step(n); !ok || got != allSteps[next] {
			t.Fatalf("step(%d) = %d, want %d", n, got, allSteps[next])
		}
		if n%61 != 0 && n+3 < allSteps[next] { // full bytes near each edge and for a sample
			continue
		}
		p, ok := pad(plain[:n])
		if !ok {
			t.Fatalf("pad refuses %d bytes", n)
		}
		got, ok := unpad(p)
		if !ok || !bytes.Equal(got, plain[:n]) {
			t.Fatalf("unpad of %d bytes gives %d, %v", n, len(got), ok)
		}
	}
	if _, ok := pad(plain); ok {
		t.Error("pad takes more than MaxPlain")
	}
	steps := map[int]bool{}
	for _, s := range allSteps {
		steps[s] = true
	}
	for n := -1; n <= maxStep+1; n++ {
		if isStep(n) != steps[n] {
			t.Fatalf("isStep(%d) = %v", n, isStep(n))
		}
	}
}

func TestUnpadRefuses(t *testing.T) {
	for _, b := range [][]byte{nil, make([]byte, 256), append(make([]byte, 255), 1), {0x80, 1}, {0x81}} {
		if _, ok := unpad(b); ok {
			t.Errorf("unpad takes % x…", b[:min(8, len(b))])
		}
	}
}

func TestSealedLenIsTheLengthSealed(t *testing.T) {
	var m MessageKey
	for _, n := range []int{0, 1, 254, 255, 256, 1000, 32767, 32768, MaxPlain} {
		want, err := SealedLen(n)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(m.Seal(nil, make([]byte, n))); got != want {
			t.Errorf("%d bytes seal to %d, SealedLen says %d", n, got, want)
		}
	}
	for _, n := range []int{-1, MaxPlain + 1, 1 << 40} {
		if _, err := SealedLen(n); !errors.Is(err, ErrTooLong) {
			t.Errorf("SealedLen(%d): %v", n, err)
		}
	}
}

// place is all that decides under which key a message is sealed.
type place struct {
	group wire.GroupID
	ctx   [32]byte
	e     Secret
	inc   wire.OpID
	seq   uint64
	salt  [16]byte
}

func (p place) key() MessageKey {
	return Derive(p.group, p.ctx, p.e).Sender(p.inc).Message(p.seq, p.salt)
}

func TestWrongContextNeverOpens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := place{
			group: draw32(t, "group"), ctx: draw32(t, "ctx"), e: draw32(t, "e"), inc: draw32(t, "inc"),
			seq:  rapid.Uint64().Draw(t, "seq"),
			salt: [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "salt")),
		}
		aad := rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "aad")
		plain := rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "plain")
		box := p.key().Seal(aad, plain)
		got, err := p.key().Open(aad, box)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("own box: %v", err)
		}
		refuse := func(what string, p place, aad, box []byte) {
			t.Helper()
			if _, err := p.key().Open(aad, box); err != ErrOpen { //nolint:errorlint // S5: the very same value
				t.Fatalf("another %s: %v", what, err)
			}
		}
		bit := rapid.IntRange(0, 127).Draw(t, "bit")
		flip := func(b []byte) { b[bit/8] ^= 1 << (bit % 8) }
		q := p
		flip(q.group[:])
		refuse("group", q, aad, box)
		q = p
		flip(q.ctx[:])
		refuse("ctx", q, aad, box)
		q = p
		flip(q.e[:])
		refuse("secret", q, aad, box)
		q = p
		flip(q.inc[:])
		refuse("inc", q, aad, box)
		q = p
		flip(q.salt[:])
		refuse("salt", q, aad, box)
		q = p
		q.seq ^= 1 << (bit % 64)
		refuse("seq", q, aad, box)
		refuse("aad", p, append(bytes.Clone(aad), 0), box)
		bad := bytes.Clone(box)
		bad[rapid.IntRange(0, len(box)-1).Draw(t, "at")] ^= 1
		refuse("byte", p, aad, bad)
		refuse("length", p, aad, box[:rapid.IntRange(0, len(box)-1).Draw(t, "cut")])
		refuse("tail", p, aad, append(bytes.Clone(box), 0))
		if _, ok := Confirm(p.group, p.ctx, p.e, Derive(p.group, p.ctx, p.e).EID); !ok {
			t.Fatal("own eid refused")
		}
		q = p
		flip(q.ctx[:])
		if _, ok := Confirm(q.group, q.ctx, q.e, Derive(p.group, p.ctx, p.e).EID); ok {
			t.Fatal("an eid was taken for another ctx")
		}
	})
}

// TestCommitmentRefusesASecondReading holds S3: a box whose AEAD would open
// under a key is refused when its commitment names another.
func TestCommitmentRefusesASecondReading(t *testing.T) {
	a, b := MessageKey{1}, MessageKey{2}
	box := a.Seal(nil, []byte("pay 1"))
	kc := b.commitment()
	copy(box, kc[:])
	if _, err := a.Open(nil, box); err != ErrOpen {
		t.Errorf("with another's commitment: %v", err)
	}
	if _, err := b.Open(nil, box); err != ErrOpen {
		t.Errorf("under the other key: %v", err)
	}
}

func TestBoxWithBadPaddingDoesNotOpen(t *testing.T) {
	m := MessageKey{3}
	for _, padded := range [][]byte{make([]byte, 256), bytes.Repeat([]byte{7}, 256), append(bytes.Repeat([]byte{0x80}, 300), 0)} {
		kc := m.commitment()
		box := m.aead().Seal(kc[:], make([]byte, 12), padded, nil)
		if _, err := m.Open(nil, box); err != ErrOpen {
			t.Errorf("padded % x…: %v", padded[:4], err)
		}
	}
}

func TestProofsVerifyAtTheirPlaceOnly(t *testing.T) {
	for n := 1; n <= 70; n++ {
		leaves := make([][32]byte, n)
		for i := range leaves {
			leaves[i] = LeafHash(wire.OpID{byte(i), byte(n)}, uint32(i), []byte("wrap"))
		}
		root := Root(leaves)
		for i := range leaves {
			p := Proof(leaves, i)
			if len(p) > MaxProof {
				t.Fatalf("proof of %d of %d is %d deep", i, n, len(p))
			}
			for j := range leaves {
				if got := VerifyProof(root, leaves[i], j, n, p); got != (i == j) {
					t.Fatalf("proof of %d of %d at place %d: %v", i, n, j, got)
				}
				if i != j && VerifyProof(root, leaves[j], i, n, p) {
					t.Fatalf("leaf %d of %d verifies at place %d", j, n, i)
				}
			}
			if VerifyProof(root, leaves[i], i, n, append(p[:len(p):len(p)], [32]byte{})) {
				t.Fatalf("a longer proof of %d of %d verifies", i, n)
			}
			if len(p) > 0 && VerifyProof(root, leaves[i], i, n, p[1:]) {
				t.Fatalf("a shorter proof of %d of %d verifies", i, n)
			}
		}
		if VerifyProof(root, leaves[0], -1, n, Proof(leaves, 0)) || VerifyProof(root, leaves[0], n, n, Proof(leaves, 0)) {
			t.Fatalf("a place outside the %d verifies", n)
		}
	}
	big := make([][32]byte, MaxLeaves)
	for i := range big {
		big[i] = [32]byte{byte(i), byte(i >> 8)}
	}
	root := Root(big)
	for _, i := range []int{0, 1, 511, 512, 1014, 1015} {
		if !VerifyProof(root, big[i], i, MaxLeaves, Proof(big, i)) {
			t.Errorf("proof of %d of %d refused", i, MaxLeaves)
		}
	}
	if Proof(big, MaxLeaves) != nil || Proof(nil, 0) != nil {
		t.Error("a proof of no leaf")
	}
}

// TestNodeIsNoLeaf holds the domain separation of S7: an inner node cannot be
// shown as a leaf of a smaller tree.
func TestNodeIsNoLeaf(t *testing.T) {
	leaves := [][32]byte{{1}, {2}, {3}, {4}}
	if VerifyProof(Root(leaves), node(leaves[0], leaves[1]), 0, 4, [][32]byte{node(leaves[2], leaves[3])}) {
		t.Error("an inner node verifies as a leaf")
	}
}

func TestRekeyReachesEveryRecipientWithAKey(t *testing.T) {
	group, ctx := wire.GroupID{1}, [32]byte{2}
	e, err := NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var seeds [][32]byte
	var to []Recipient
	for i := range 5 {
		seed, pk, err := GenerateKEM(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		seeds = append(seeds, seed)
		to = append(to, Recipient{ID: wire.OpID{byte(i)}, KemGen: uint32(i), KemPk: pk})
	}
	to[2].KemPk = nil
	to[3].KemPk = lowOrder(to[3].KemPk)
	leaves := WrapAll(group, ctx, e, to)
	back, err := DecodeWraps(EncodeWraps(leaves))
	if err != nil {
		t.Fatal(err)
	}
	hashes := Hashes(back)
	root := Root(Hashes(leaves))
	for i, l := range back {
		if !VerifyProof(root, l.Hash(), i, len(back), Proof(hashes, i)) {
			t.Errorf("leaf %d does not verify", i)
		}
		got, err := Unwrap(seeds[i], group, ctx, l.ID, uint32(l.KemGen), l.Wrap)
		if i == 2 || i == 3 {
			if err != ErrOpen || len(l.Wrap) != 0 {
				t.Errorf("leaf %d without a key: %v, %d bytes", i, err, len(l.Wrap))
			}
			continue
		}
		if err != nil || got != e {
			t.Errorf("leaf %d: %v", i, err)
		}
		for what, try := range map[string]func() (Secret, error){
			"seed":   func() (Secret, error) { return Unwrap([32]byte{9}, group, ctx, l.ID, uint32(l.KemGen), l.Wrap) },
			"group":  func() (Secret, error) { return Unwrap(seeds[i], wire.GroupID{9}, ctx, l.ID, uint32(l.KemGen), l.Wrap) },
			"ctx":    func() (Secret, error) { return Unwrap(seeds[i], group, [32]byte{9}, l.ID, uint32(l.KemGen), l.Wrap) },
			"inc":    func() (Secret, error) { return Unwrap(seeds[i], group, ctx, wire.OpID{9}, uint32(l.KemGen), l.Wrap) },
			"kemGen": func() (Secret, error) { return Unwrap(seeds[i], group, ctx, l.ID, 99, l.Wrap) },
			"length": func() (Secret, error) { return Unwrap(seeds[i], group, ctx, l.ID, uint32(l.KemGen), l.Wrap[1:]) },
		} {
			if _, err := try(); err != ErrOpen {
				t.Errorf("leaf %d with another %s: %v", i, what, err)
			}
		}
	}
}

// lowOrder replaces the X25519 part of a public key by the point zero.
func lowOrder(pk []byte) []byte {
	bad := bytes.Clone(pk)
	clear(bad[KEMPublicLen-32:])
	return bad
}

func TestCheckKEM(t *testing.T) {
	seed, pk, err := GenerateKEM(new(counter))
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckKEM(pk); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pk, KEMPublic(seed)) {
		t.Error("KEMPublic gives another key than GenerateKEM")
	}
	one := bytes.Clone(lowOrder(pk))
	one[KEMPublicLen-32] = 1
	coefficient := bytes.Clone(pk)
	coefficient[0], coefficient[1] = 0xff, 0xff // 0xfff is above ML-KEM's modulus
	for name, bad := range map[string][]byte{
		"empty": nil, "short": pk[:len(pk)-1], "long": append(bytes.Clone(pk), 0),
		"low order zero": lowOrder(pk), "low order one": one, "coefficient": coefficient,
	} {
		if err := CheckKEM(bad); !errors.Is(err, ErrKEMKey) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Wrap(bad, wire.GroupID{}, [32]byte{}, wire.OpID{}, 0, Secret{}); !errors.Is(err, ErrKEMKey) {
			t.Errorf("wrapping for %s: %v", name, err)
		}
	}
}

func TestRandomnessThatEndsIsAnError(t *testing.T) {
	short := io.LimitReader(rand.Reader, 31)
	if _, err := NewSecret(short); err == nil {
		t.Error("a secret of 31 bytes")
	}
	if _, _, err := GenerateKEM(io.LimitReader(rand.Reader, 31)); err == nil {
		t.Error("a seed of 31 bytes")
	}
}

func TestReplyOpensForItsRequestOnly(t *testing.T) {
	seed, pk, err := GenerateKEM(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	body, err := EncodeBundle(Bundle{
		Epochs:   []EpochSecret{{EID: [32]byte{1}, Secret: Secret{2}}},
		Messages: []MessageSecret{{Op: wire.OpID{3}, Key: MessageKey{4}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	group, inc, nonce := wire.GroupID{5}, wire.OpID{6}, [16]byte{7}
	box, err := SealReply(pk, group, inc, 8, nonce, body)
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenReply(seed, group, inc, 8, nonce, box)
	if err != nil || !bytes.Equal(got, body) {
		t.Fatal(err)
	}
	if b, err := DecodeBundle(got); err != nil || b.Epochs[0].Secret != (Secret{2}) || b.Messages[0].Key != (MessageKey{4}) {
		t.Fatal(b, err)
	}
	for name, try := range map[string]func() ([]byte, error){
		"seed":  func() ([]byte, error) { return OpenReply([32]byte{}, group, inc, 8, nonce, box) },
		"group": func() ([]byte, error) { return OpenReply(seed, wire.GroupID{}, inc, 8, nonce, box) },
		"inc":   func() ([]byte, error) { return OpenReply(seed, group, wire.OpID{}, 8, nonce, box) },
		"gen":   func() ([]byte, error) { return OpenReply(seed, group, inc, 9, nonce, box) },
		"nonce": func() ([]byte, error) { return OpenReply(seed, group, inc, 8, [16]byte{}, box) },
		"cut":   func() ([]byte, error) { return OpenReply(seed, group, inc, 8, nonce, box[:40]) },
	} {
		if _, err := try(); err != ErrOpen {
			t.Errorf("another %s: %v", name, err)
		}
	}
	// A wrap is no reply though both go to one key: their infos differ.
	w, _ := Wrap(pk, group, [32]byte{}, inc, 8, Secret{})
	if _, err := OpenReply(seed, group, inc, 8, nonce, w); err != ErrOpen {
		t.Errorf("a wrap as a reply: %v", err)
	}
	if _, err := SealReply(pk, group, inc, 8, nonce, make([]byte, MaxReplyBody+1)); !errors.Is(err, ErrTooLong) {
		t.Errorf("a long reply: %v", err)
	}
	if _, err := EncodeBundle(Bundle{Epochs: make([]EpochSecret, 4000)}); !errors.Is(err, ErrTooLong) {
		t.Errorf("a long bundle: %v", err)
	}
}

func TestKeyRequestIsSignedForOneGroup(t *testing.T) {
	pk, sk, _ := ed25519.GenerateKey(nil)
	s := SignRequest(sk, wire.GroupID{1}, Request{V: 1, EIDs: make([][32]byte, MaxRequestEIDs)})
	b := wire.Marshal(s)
	if len(b) > MaxRequest {
		t.Fatalf("the longest request has %d bytes, MaxRequest is %d", len(b), MaxRequest)
	}
	back, err := DecodeRequest(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := back.Verify(wire.GroupID{1}, wire.DeviceID(pk)); err != nil {
		t.Error(err)
	}
	if err := back.Verify(wire.GroupID{2}, wire.DeviceID(pk)); !errors.Is(err, ErrRequest) {
		t.Errorf("for another group: %v", err)
	}
	for name, r := range map[string]Request{
		"version": {V: 2}, "eids": {V: 1, EIDs: make([][32]byte, MaxRequestEIDs+1)},
		"gen": {V: 1, KemGen: 1 << 32}, "ms": {V: 1, Ms: wire.MaxMs},
	} {
		if _, err := DecodeRequest(wire.Marshal(SignRequest(sk, wire.GroupID{1}, r))); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecodeWrapsRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"short wrap": EncodeWraps([]Leaf{{Wrap: make([]byte, WrapLen-1)}}),
		"kem gen":    EncodeWraps([]Leaf{{KemGen: 1 << 32}}),
		"too many":   EncodeWraps(make([]Leaf, MaxLeaves+1)),
		"tail":       append(EncodeWraps([]Leaf{{}}), 0),
		"too long":   make([]byte, MaxWrapSet+1),
	} {
		if _, err := DecodeWraps(b); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	full := make([]Leaf, MaxLeaves)
	for i := range full {
		full[i] = Leaf{ID: wire.OpID{1}, KemGen: 1<<32 - 1, Wrap: make([]byte, WrapLen)}
	}
	if _, err := DecodeWraps(EncodeWraps(full)); err != nil {
		t.Errorf("the largest wrap set: %v", err)
	}
}

func FuzzDecodeWraps(f *testing.F) {
	f.Add(EncodeWraps([]Leaf{{ID: wire.OpID{1}, KemGen: 2}}))
	f.Add(EncodeWraps([]Leaf{{Wrap: make([]byte, WrapLen)}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		leaves, err := DecodeWraps(b)
		if err != nil {
			return
		}
		if !bytes.Equal(EncodeWraps(leaves), b) {
			t.Fatal("two encodings of one wrap set")
		}
		Root(Hashes(leaves))
	})
}

func FuzzDecodeBundle(f *testing.F) {
	b, _ := EncodeBundle(Bundle{Epochs: make([]EpochSecret, 1), Messages: make([]MessageSecret, 1)})
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := DecodeBundle(b)
		if err != nil {
			return
		}
		if again, err := EncodeBundle(got); err != nil || !bytes.Equal(again, b) {
			t.Fatal("two encodings of one bundle")
		}
	})
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add(wire.Marshal(SignedRequest{Request: Request{V: 1, EIDs: make([][32]byte, 2)}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeRequest(b)
		if err == nil && !bytes.Equal(wire.Marshal(s), b) {
			t.Fatal("two encodings of one request")
		}
	})
}

func FuzzOpen(f *testing.F) {
	m := MessageKey{1}
	f.Add([]byte("aad"), m.Seal([]byte("aad"), []byte("plain")))
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, aad, box []byte) {
		if plain, err := m.Open(aad, box); err == nil {
			if !bytes.Equal(m.Seal(aad, plain), box) && len(box) == MinSealed {
				t.Fatal("a box opened that Seal does not make")
			}
		} else if err != ErrOpen {
			t.Fatalf("error %v", err)
		}
		if _, err := Unwrap([32]byte{1}, wire.GroupID{}, [32]byte{}, wire.OpID{}, 0, box); err != ErrOpen {
			t.Fatalf("unwrap: %v", err)
		}
	})
}

func TestSecretsDoNotPrint(t *testing.T) {
	k := Derive(wire.GroupID{}, [32]byte{}, Secret{1})
	for _, v := range []any{Secret{1}, k, k.Sender(wire.OpID{}), MessageKey{1}, EpochSecret{Secret: Secret{1}}} {
		for _, verb := range []string{"%v", "%+v", "%x", "%s", "%d", "%#v"} {
			if got := fmt.Sprintf(verb, v); !strings.Contains(got, "[secret]") {
				t.Errorf("%T under %s: %s", v, verb, got)
			}
		}
	}
}
