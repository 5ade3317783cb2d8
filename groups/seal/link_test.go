package seal

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"mutuals/identity/wire"
)

const linkVectorFile = "testdata/vectors/link-1.json"

type linkVector struct {
	Name  string   `json:"name"`
	Seed  hexBytes `json:"seed"`
	Cert  hexBytes `json:"certificate_hash"`
	Box   hexBytes `json:"box"`
	Body  hexBytes `json:"body,omitempty"`
	Error string   `json:"error,omitempty"`
}

// HPKE draws its own randomness, so a box is made once and read for ever.
func TestLinkVectors(t *testing.T) {
	b, err := os.ReadFile(linkVectorFile)
	if errors.Is(err, os.ErrNotExist) && *write { // an old vector never changes
		b = newLinkVectors(t)
		err = os.WriteFile(linkVectorFile, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	var vs []linkVector
	if err := json.Unmarshal(b, &vs); err != nil || len(vs) == 0 {
		t.Fatal(len(vs), err)
	}
	for _, v := range vs {
		body, err := OpenLink([KEMSeedLen]byte(v.Seed), [32]byte(v.Cert), v.Box)
		if word(err) != v.Error || !bytes.Equal(body, v.Body) {
			t.Errorf("%s: %x, %v", v.Name, body, err)
		}
	}
}

func newLinkVectors(t *testing.T) []byte {
	t.Helper()
	seed := bytes.Repeat([]byte{0x21}, KEMSeedLen)
	pk := KEMPublic([KEMSeedLen]byte(seed))
	cert := wire.Hash([]byte("the core of a certificate"))
	body := wire.Marshal([]any{uint64(1), "laptop", []any{}})
	box, err := SealLink(pk, cert, body)
	if err != nil {
		t.Fatal(err)
	}
	other := wire.Hash([]byte("another"))
	reply, err := SealReply(pk, wire.GroupID(cert), wire.OpID{}, 0, [16]byte{}, body)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(box)
	flipped[len(flipped)-1] ^= 1
	b, err := json.MarshalIndent([]linkVector{
		{Name: "ok", Seed: seed, Cert: cert[:], Box: box, Body: body},
		{Name: "another seed", Seed: make([]byte, KEMSeedLen), Cert: cert[:], Box: box, Error: "open"},
		{Name: "another certificate", Seed: seed, Cert: other[:], Box: box, Error: "open"},
		{Name: "changed", Seed: seed, Cert: cert[:], Box: flipped, Error: "open"},
		{Name: "a key reply", Seed: seed, Cert: cert[:], Box: reply, Error: "open"},
		{Name: "empty", Seed: seed, Cert: cert[:], Error: "open"},
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

func TestALinkReplyHasABound(t *testing.T) {
	seed, pk, err := GenerateKEM(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, MaxLinkBody)
	box, err := SealLink(pk, [32]byte{1}, body)
	if err != nil || len(box) != MaxLink {
		t.Fatalf("%d bytes, %v", len(box), err)
	}
	if got, err := OpenLink(seed, [32]byte{1}, box); err != nil || len(got) != len(body) {
		t.Fatal(err)
	}
	if _, err := SealLink(pk, [32]byte{1}, append(body, 0)); !errors.Is(err, ErrTooLong) {
		t.Errorf("a longer one: %v", err)
	}
	if _, err := OpenLink(seed, [32]byte{1}, append(box, 0)); err != ErrOpen {
		t.Errorf("a longer box: %v", err)
	}
	if _, err := SealLink(pk[1:], [32]byte{1}, nil); !errors.Is(err, ErrKEMKey) {
		t.Errorf("to no key: %v", err)
	}
}

func FuzzOpenLink(f *testing.F) {
	seed := [KEMSeedLen]byte{1}
	box, err := SealLink(KEMPublic(seed), [32]byte{2}, []byte("body"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(box)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if body, err := OpenLink(seed, [32]byte{2}, b); err != nil && err != ErrOpen || err == nil && len(body)+encLen+tagLen != len(b) {
			t.Fatalf("%d bytes, %v", len(body), err)
		}
	})
}
