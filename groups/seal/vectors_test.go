package seal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"mutuals/identity/wire"
)

// write makes a vector file that does not exist yet. An old vector never
// changes: to add some, add a file.
var write = flag.Bool("write-vectors", false, "write the vector file of seal if there is none")

const vectorFile = "testdata/vectors/seal-1.json"

type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

func (h hexBytes) b32() (out [32]byte) { copy(out[:], h); return }
func (h hexBytes) b16() (out [16]byte) { copy(out[:], h); return }

// vectors is the file. HPKE draws its own randomness, so wraps and replies
// are opening vectors: what must open, and what must not.
type vectors struct {
	Schedule scheduleVector `json:"schedule"`
	Boxes    []boxVector    `json:"boxes"`
	Wraps    []wrapVector   `json:"wraps"`
	Replies  []replyVector  `json:"replies"`
	Keys     []keyVector    `json:"kem_keys"`
	Trees    []treeVector   `json:"trees"`
}

type scheduleVector struct {
	Group  hexBytes `json:"group"`
	Ctx    hexBytes `json:"ctx"`
	Secret hexBytes `json:"e"`
	EID    hexBytes `json:"eid"`
	Topic  hexBytes `json:"topic"`
	Rdv    hexBytes `json:"rdv"`
	Day    uint32   `json:"day"`
	DHTKey hexBytes `json:"dht_key"`
	Inc    hexBytes `json:"inc"`
	Sender hexBytes `json:"sender_key"`
	Seq    uint64   `json:"seq"`
	Salt   hexBytes `json:"salt"`
	M      hexBytes `json:"message_key"`
}

// Error is the expected one: "", "open" or "kem".
type boxVector struct {
	Name  string   `json:"name"`
	M     hexBytes `json:"message_key"`
	AAD   hexBytes `json:"aad"`
	Box   hexBytes `json:"box"`
	Plain hexBytes `json:"plain,omitempty"`
	Error string   `json:"error,omitempty"`
}

type wrapVector struct {
	Name   string   `json:"name"`
	Seed   hexBytes `json:"seed"`
	Group  hexBytes `json:"group"`
	Ctx    hexBytes `json:"ctx"`
	Inc    hexBytes `json:"inc"`
	KemGen uint32   `json:"kem_gen"`
	Wrap   hexBytes `json:"wrap"`
	Secret hexBytes `json:"e,omitempty"`
	Error  string   `json:"error,omitempty"`
}

type replyVector struct {
	Name   string   `json:"name"`
	Seed   hexBytes `json:"seed"`
	Group  hexBytes `json:"group"`
	Inc    hexBytes `json:"inc"`
	KemGen uint32   `json:"kem_gen"`
	Nonce  hexBytes `json:"nonce"`
	Box    hexBytes `json:"box"`
	Body   hexBytes `json:"body,omitempty"`
	Error  string   `json:"error,omitempty"`
}

type keyVector struct {
	Name  string   `json:"name"`
	Seed  hexBytes `json:"seed,omitempty"`
	Pk    hexBytes `json:"pk"`
	Error string   `json:"error,omitempty"`
}

type treeVector struct {
	Leaves []hexBytes `json:"leaves"`
	Root   hexBytes   `json:"root"`
	Index  int        `json:"index"`
	Proof  []hexBytes `json:"proof"`
}

func word(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrOpen):
		return "open"
	case errors.Is(err, ErrKEMKey):
		return "kem"
	}
	return err.Error()
}

func TestVectors(t *testing.T) {
	if *write {
		writeVectors(t)
	}
	b, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	same := func(what string, got, want []byte) {
		t.Helper()
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", what, got, want)
		}
	}

	s := v.Schedule
	k := Derive(s.Group.b32(), s.Ctx.b32(), s.Secret.b32())
	same("eid", k.EID[:], s.EID)
	same("topic", k.Topic[:], s.Topic)
	same("rdv", k.Rdv[:], s.Rdv)
	dht := k.DHTKey(s.Day)
	same("dht key", dht[:], s.DHTKey)
	sender := k.Sender(s.Inc.b32())
	same("sender key", sender[:], s.Sender)
	m := sender.Message(s.Seq, s.Salt.b16())
	same("message key", m[:], s.M)

	for _, x := range v.Boxes {
		plain, err := MessageKey(x.M.b32()).Open(x.AAD, x.Box)
		same("box "+x.Name, plain, x.Plain)
		if word(err) != x.Error {
			t.Errorf("box %s: %v, want %q", x.Name, err, x.Error)
		}
		if err == nil {
			same("sealing "+x.Name, MessageKey(x.M.b32()).Seal(x.AAD, plain), x.Box)
		}
	}
	for _, x := range v.Wraps {
		e, err := Unwrap(x.Seed.b32(), x.Group.b32(), x.Ctx.b32(), x.Inc.b32(), x.KemGen, x.Wrap)
		want := x.Secret.b32()
		same("wrap "+x.Name, e[:], want[:])
		if word(err) != x.Error {
			t.Errorf("wrap %s: %v, want %q", x.Name, err, x.Error)
		}
	}
	for _, x := range v.Replies {
		body, err := OpenReply(x.Seed.b32(), x.Group.b32(), x.Inc.b32(), x.KemGen, x.Nonce.b16(), x.Box)
		same("reply "+x.Name, body, x.Body)
		if word(err) != x.Error {
			t.Errorf("reply %s: %v, want %q", x.Name, err, x.Error)
		}
	}
	for _, x := range v.Keys {
		if got := word(CheckKEM(x.Pk)); got != x.Error {
			t.Errorf("kem key %s: %q, want %q", x.Name, got, x.Error)
		}
		if len(x.Seed) > 0 {
			same("kem key "+x.Name, KEMPublic(x.Seed.b32()), x.Pk)
		}
	}
	for _, x := range v.Trees {
		var leaves, proof [][32]byte
		for _, l := range x.Leaves {
			leaves = append(leaves, l.b32())
		}
		for _, p := range x.Proof {
			proof = append(proof, p.b32())
		}
		root := Root(leaves)
		same("tree", root[:], x.Root)
		if !VerifyProof(root, leaves[x.Index], x.Index, len(leaves), proof) {
			t.Errorf("proof of %d of %d refused", x.Index, len(leaves))
		}
	}
}

func writeVectors(t *testing.T) {
	if _, err := os.Stat(vectorFile); err == nil {
		t.Fatalf("%s exists: an old vector never changes", vectorFile)
	}
	fill := func(n int, first byte) hexBytes {
		b := make(hexBytes, n)
		for i := range b {
			b[i] = first + byte(i)
		}
		return b
	}
	var v vectors
	group, ctx, e, inc, salt := fill(32, 0x00), fill(32, 0x20), fill(32, 0x40), fill(32, 0x60), fill(16, 0x80)
	k := Derive(group.b32(), ctx.b32(), e.b32())
	sender := k.Sender(inc.b32())
	m := sender.Message(7, salt.b16())
	dht := k.DHTKey(20000)
	v.Schedule = scheduleVector{group, ctx, e, k.EID[:], k.Topic[:], k.Rdv[:], 20000, dht[:], inc, sender[:], 7, salt, m[:]}

	aad := hexBytes("aad")
	for _, n := range []int{0, 1, 255, 256} {
		plain := fill(n, 1)
		v.Boxes = append(v.Boxes, boxVector{Name: "ok", M: m[:], AAD: aad, Box: m.Seal(aad, plain), Plain: plain})
	}
	box := m.Seal(aad, []byte("hi"))
	bad := func(name string, m, aad, box []byte) {
		v.Boxes = append(v.Boxes, boxVector{Name: name, M: m, AAD: aad, Box: box, Error: "open"})
	}
	change := func(b []byte, at int) []byte { b = bytes.Clone(b); b[at] ^= 1; return b }
	other := sender.Message(8, salt.b16())
	otherKC := other.commitment()
	bad("another key", other[:], aad, box)
	bad("another aad", m[:], []byte("aae"), box)
	bad("changed commitment", m[:], aad, change(box, 0))
	bad("another key's commitment", m[:], aad, append(bytes.Clone(otherKC[:]), box[32:]...))
	bad("changed ciphertext", m[:], aad, change(box, 40))
	bad("changed tag", m[:], aad, change(box, len(box)-1))
	bad("cut off", m[:], aad, box[:len(box)-1])
	bad("empty", m[:], aad, nil)
	kc := m.commitment()
	raw := func(padded []byte) []byte { return m.aead().Seal(bytes.Clone(kc[:]), make([]byte, 12), padded, aad) }
	bad("no end mark", m[:], aad, raw(make([]byte, 256)))
	bad("wrong end mark", m[:], aad, raw(change(make([]byte, 256), 200)))
	bad("length is no step", m[:], aad, raw(append([]byte{0x80}, make([]byte, 256)...)))

	seed := fill(32, 0xa0)
	pk := KEMPublic(seed.b32())
	wrap, err := Wrap(pk, group.b32(), ctx.b32(), inc.b32(), 3, e.b32())
	if err != nil {
		t.Fatal(err)
	}
	w := wrapVector{Name: "ok", Seed: seed, Group: group, Ctx: ctx, Inc: inc, KemGen: 3, Wrap: wrap, Secret: e}
	v.Wraps = append(v.Wraps, w)
	for name, edit := range map[string]func(*wrapVector){
		"another seed": func(w *wrapVector) { w.Seed = change(seed, 0) }, "another group": func(w *wrapVector) { w.Group = ctx },
		"another ctx": func(w *wrapVector) { w.Ctx = group }, "another inc": func(w *wrapVector) { w.Inc = ctx },
		"another generation": func(w *wrapVector) { w.KemGen = 4 }, "changed": func(w *wrapVector) { w.Wrap = change(wrap, 1200-60) },
		"empty": func(w *wrapVector) { w.Wrap = nil },
	} {
		x := w
		x.Name, x.Secret, x.Error = name, nil, "open"
		edit(&x)
		v.Wraps = append(v.Wraps, x)
	}
	body, _ := EncodeBundle(Bundle{Epochs: []EpochSecret{{EID: k.EID, Secret: e.b32()}}, Messages: []MessageSecret{{Op: inc.b32(), Key: m}}})
	reply, err := SealReply(pk, group.b32(), inc.b32(), 3, salt.b16(), body)
	if err != nil {
		t.Fatal(err)
	}
	r := replyVector{Name: "ok", Seed: seed, Group: group, Inc: inc, KemGen: 3, Nonce: salt, Box: reply, Body: body}
	v.Replies = append(v.Replies, r)
	r.Name, r.Body, r.Error, r.Nonce = "another nonce", nil, "open", fill(16, 0)
	v.Replies = append(v.Replies, r)

	v.Keys = []keyVector{
		{Name: "of a seed", Seed: seed, Pk: pk},
		{Name: "low order x25519 part", Pk: lowOrder(pk), Error: "kem"},
		{Name: "short", Pk: pk[:100], Error: "kem"},
	}
	for _, n := range []int{1, 2, 3, 7, 8} {
		x := treeVector{Index: n - 1}
		var leaves [][32]byte
		for i := range n {
			l := LeafHash(wire.OpID{byte(i)}, uint32(i), []byte{byte(i)})
			leaves = append(leaves, l)
			x.Leaves = append(x.Leaves, l[:])
		}
		root := Root(leaves)
		x.Root = root[:]
		for _, p := range Proof(leaves, n-1) {
			x.Proof = append(x.Proof, p[:])
		}
		v.Trees = append(v.Trees, x)
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(vectorFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vectorFile, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
