package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcutil/bech32"
)

var update = flag.Bool("update", false, "write vector files that are missing; an old vector never changes")

// vectors compares what is made now with the file of that name, and returns
// the file's.
func vectors[T any](t *testing.T, name string, made []T) []T {
	t.Helper()
	path := filepath.Join("..", "testdata", "vectors", name)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && *update {
		if b, err = json.MarshalIndent(made, "", "  "); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if err != nil {
		t.Fatal(err)
	}
	var stored []T
	if err := json.Unmarshal(b, &stored); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(stored, made) {
		t.Errorf("%s: what we write has changed", name)
	}
	return stored
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// reasonOf is the word of SPEC.md I3.
func reasonOf(t testing.TB, err error) string {
	t.Helper()
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrMalformed):
		return "malformed"
	case errors.Is(err, ErrNotCanonical):
		return "not canonical"
	case errors.Is(err, ErrBadKey):
		return "key"
	case errors.Is(err, ErrBadID):
		return "id"
	}
	t.Errorf("%v has no known reason", err)
	return "unknown"
}

type encodingVector struct {
	Name   string `json:"name"`
	Bytes  string `json:"bytes"`
	Reason string `json:"reason,omitempty"`
}

// Any value, kind unknown (W1).
func TestEncodingVectors(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("81", n) + "00" }
	made := []encodingVector{
		{"zero", "00", ""},
		{"the last number in one byte", "17", ""},
		{"24", "1818", ""},
		{"2^64-1", "1bffffffffffffffff", ""},
		{"-1", "20", ""},
		{"no bytes", "40", ""},
		{"one byte", "4101", ""},
		{"text", "6568656c6c6f", ""},
		{"Chinese text", "66e58fa3e4bba4", ""},
		{"false and true", "82f4f5", ""},
		{"an empty array", "80", ""},
		{"six arrays deep", deep(6), ""},
		{"seven arrays deep", deep(7), "malformed"},
		{"nothing", "", "malformed"},
		{"two values", "0000", "malformed"},
		{"cut off in a number", "18", "malformed"},
		{"cut off in bytes", "4201", "malformed"},
		{"cut off in an array", "8200", "malformed"},
		{"an array that claims 2^32 elements", "9affffffff", "malformed"},
		{"an array of 4 097", "991001" + strings.Repeat("00", 4097), "malformed"},
		{"bytes that claim 2^63", "5b7fffffffffffffff", "malformed"},
		{"0 in two bytes", "1800", "not canonical"},
		{"23 in two bytes", "1817", "not canonical"},
		{"255 in three bytes", "1900ff", "not canonical"},
		{"65 535 in five bytes", "1a0000ffff", "not canonical"},
		{"2^32-1 in nine bytes", "1b00000000ffffffff", "not canonical"},
		{"the length of bytes in two bytes", "580101", "not canonical"},
		{"the length of an array in two bytes", "980100", "not canonical"},
		{"the length of text in two bytes", "780161", "not canonical"},
		{"bytes of indefinite length", "5f4101ff", "malformed"},
		{"text of indefinite length", "7f6161ff", "malformed"},
		{"an array of indefinite length", "9f00ff", "malformed"},
		{"a lone break", "ff", "malformed"},
		{"text that is no UTF-8", "61ff", "malformed"},
		{"text with half a surrogate pair", "63eda080", "malformed"},
		{"an empty map", "a0", "malformed"},
		{"a map", "a10000", "malformed"},
		{"a tag", "c000", "malformed"},
		{"a big number", "c24101", "malformed"},
		{"a half float", "f93c00", "malformed"},
		{"a float", "fa3f800000", "malformed"},
		{"a double", "fb3ff0000000000000", "malformed"},
		{"not a number", "f97e00", "malformed"},
		{"null", "f6", "malformed"},
		{"undefined", "f7", "malformed"},
		{"a simple value", "e0", "malformed"},
		{"a simple value in two bytes", "f820", "malformed"},
		{"a reserved length", "1c", "malformed"},
	}
	for _, v := range vectors(t, "wire-encoding.json", made) {
		if got := reasonOf(t, Canonical(unhex(t, v.Bytes))); got != v.Reason {
			t.Errorf("%s: got %q, want %q", v.Name, got, v.Reason)
		}
	}
}

type keyVector struct {
	Name   string `json:"name"`
	Key    string `json:"key"`
	Reason string `json:"reason,omitempty"`
}

// Keys that can carry a signature, and those that cannot (W4).
func TestKeyVectors(t *testing.T) {
	pk := func(seed byte) string {
		k := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32)).Public().(ed25519.PublicKey)
		return hex.EncodeToString(k)
	}
	zeros := func(first, last string) string { return first + strings.Repeat("00", 30) + last }
	ones := func(first, last string) string { return first + strings.Repeat("ff", 30) + last }
	made := []keyVector{
		{"of seed 01…", pk(1), ""},
		{"of seed 02…", pk(2), ""},
		{"the base point", "58" + strings.Repeat("66", 31), ""},
		{"its negative", "58" + strings.Repeat("66", 30) + "e6", ""},
		{"order 1, the identity", zeros("01", "00"), "key"},
		{"order 1, with a sign", zeros("01", "80"), "key"},
		{"order 2", ones("ec", "7f"), "key"},
		{"order 2, with a sign", ones("ec", "ff"), "key"},
		{"order 4", zeros("00", "00"), "key"},
		{"order 4, the other", zeros("00", "80"), "key"},
		{"order 8", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "key"},
		{"order 8, with a sign", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa", "key"},
		{"order 8, the other", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "key"},
		{"order 8, the other, with a sign", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85", "key"},
		{"y = p, for 0", ones("ed", "7f"), "key"},
		{"y = p + 1, for 1", ones("ee", "7f"), "key"},
		{"y = p + 3, for 3 (a good point)", ones("f0", "7f"), "key"},
		{"y = 2^255 - 1", ones("ff", "7f"), "key"},
		{"y = 2 is on no point", zeros("02", "00"), "key"},
		{"all ones", ones("ff", "ff"), "key"},
	}
	for _, v := range vectors(t, "wire-keys.json", made) {
		if got := reasonOf(t, ValidKey([32]byte(unhex(t, v.Key)))); got != v.Reason {
			t.Errorf("%s: got %q, want %q", v.Name, got, v.Reason)
		}
	}
}

type idVector struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"` // account, device, peer, op
	Text   string `json:"text"`
	ID     string `json:"id,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Ids as text (W2).
func TestIDVectors(t *testing.T) {
	var id [32]byte
	for i := range id {
		id[i] = byte(i)
	}
	h := hex.EncodeToString(id[:])
	account, device, peer, op := AccountID(id).String(), DeviceID(id).String(), PeerKey(id).String(), OpID(id).String()
	five, err := bech32.ConvertBits(id[:], 8, 5, true)
	if err != nil {
		t.Fatal(err)
	}
	older, err := bech32.Encode(hrpAccount, five)
	if err != nil {
		t.Fatal(err)
	}
	made := []idVector{
		{"an account", "account", account, h, ""},
		{"an account in upper case", "account", strings.ToUpper(account), h, ""},
		{"a device", "device", device, h, ""},
		{"a peer key", "peer", peer, h, ""},
		{"an operation", "op", op, h, ""},
		{"nothing", "account", "", "", "id"},
		{"a device for an account", "account", device, "", "id"},
		{"an account for a device", "device", account, "", "id"},
		{"an account for a peer key", "peer", account, "", "id"},
		{"an account in both cases", "account", "MU" + account[2:], "", "id"},
		{"a letter wrong", "account", account[:len(account)-1] + "p", "", "id"},
		{"a letter missing", "account", account[:len(account)-1], "", "id"},
		{"31 bytes", "account", bech(hrpAccount, id[:31]), "", "id"},
		{"33 bytes", "account", bech(hrpAccount, append(id[:], 0)), "", "id"},
		{"the older bech32", "account", older, "", "id"},
		{"longer than 90 letters", "account", account + strings.Repeat("q", 40), "", "id"},
		{"an operation in upper case", "op", strings.ToUpper(op), "", "id"},
		{"an operation in base 16", "op", "f01711220" + h, "", "id"},
		{"an operation of the raw codec", "op", "bafkrei" + op[7:], "", "id"},
		{"an operation of CID version 0", "op", "QmNPGcd3GEs1MApwDVYWEr7mdg5KzkVPvFBP2qB4VzqDsH", "", "id"},
		{"an operation with a letter missing", "op", op[:len(op)-1], "", "id"},
	}
	for _, v := range vectors(t, "wire-ids.json", made) {
		var got [32]byte
		var err error
		switch v.Kind {
		case "account":
			got, err = parsed(ParseAccountID(v.Text))
		case "device":
			got, err = parsed(ParseDeviceID(v.Text))
		case "peer":
			got, err = parsed(ParsePeerKey(v.Text))
		case "op":
			got, err = parsed(ParseOpID(v.Text))
			if g, gerr := ParseGroupID(v.Text); [32]byte(g) != got || (gerr == nil) != (err == nil) {
				t.Errorf("%s: a group's id reads otherwise", v.Name)
			}
		}
		if r := reasonOf(t, err); r != v.Reason || err == nil && hex.EncodeToString(got[:]) != v.ID {
			t.Errorf("%s: got %x %q, want %s %q", v.Name, got, r, v.ID, v.Reason)
		}
	}
}

func parsed[T ~[32]byte](id T, err error) ([32]byte, error) { return id, err }

type signatureVector struct {
	Name    string `json:"name"`
	Domain  Domain `json:"domain"`
	Context string `json:"context"`
	Core    string `json:"core"`
	Key     string `json:"key"`
	Input   string `json:"input"` // what Ed25519 signs
	Sig     string `json:"sig"`
	Holds   bool   `json:"holds"`
}

// domains is the whole list of W3, in its order.
var domains = []Domain{
	DomainOp, DomainDeviceCert, DomainDevicePop, DomainPeerPop, DomainDeviceRevoke, DomainAccountMove,
	DomainFollow, DomainFollowList, DomainProfile, DomainCard, DomainJoinHello, DomainJoinRequest,
	DomainInviteUse, DomainOwnerAccept, DomainSucceed, DomainHarborPop, DomainHarborReq, DomainKeyReq,
	DomainLobby, DomainBackup, DomainExport, DomainReceipt, DomainLobbyFrame,
}

// labels is the whole list of W5, in its order.
var labels = []Label{
	LabelRoot, LabelEID, LabelTopic, LabelRdv, LabelSender, LabelMsg, LabelKey, LabelKC, LabelChunk,
	LabelManifest, LabelWrap, LabelKeyRep, LabelLink, LabelLinkRep, LabelSAS, LabelSASCommit, LabelDoor,
	LabelSafety, LabelInvite, LabelInviteSign, LabelInviteKEM, LabelInviteRdv, LabelInviteLob, LabelInviteTop,
	LabelStore, LabelKeyfile, LabelRestore, LabelReader,
}

// What is signed in every domain, and a signature carried where it does not
// belong (W3).
func TestSignatureVectors(t *testing.T) {
	sk := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	core := Marshal([]any{uint64(1), []byte{2, 3}, "core"})
	vector := func(name string, d Domain, ctx Context) signatureVector {
		sig := Sign(d, sk, ctx, core)
		return signatureVector{
			Name: name, Domain: d, Context: hex.EncodeToString(ctx[:]), Core: hex.EncodeToString(core),
			Key: hex.EncodeToString(sk.Public().(ed25519.PublicKey)), Input: hex.EncodeToString(toSign(d, ctx, core)),
			Sig: hex.EncodeToString(sig[:]), Holds: true,
		}
	}
	var made []signatureVector
	for _, d := range domains {
		made = append(made, vector("domain "+strings.TrimPrefix(string(d), "mutuals/1/"), d, NoContext))
	}
	made = append(made, vector("in a group", DomainOp, Context{1}))
	bad := func(name string, edit func(*signatureVector)) {
		v := vector(name, DomainFollow, NoContext)
		edit(&v)
		v.Holds = false
		made = append(made, v)
	}
	bad("another domain", func(v *signatureVector) { v.Domain = DomainCard })
	bad("another context", func(v *signatureVector) { v.Context = hex.EncodeToString(append([]byte{1}, make([]byte, 31)...)) })
	bad("another core", func(v *signatureVector) { v.Core += "00" })
	bad("another key", func(v *signatureVector) {
		v.Key = hex.EncodeToString(ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey))
	})
	bad("a bit of R flipped", func(v *signatureVector) { v.Sig = flipped(v.Sig, 0) })
	bad("a bit of S flipped", func(v *signatureVector) { v.Sig = flipped(v.Sig, 32) })
	bad("S above the order", func(v *signatureVector) { v.Sig = v.Sig[:64] + strings.Repeat("ff", 32) })
	bad("over the core itself", func(v *signatureVector) {
		v.Sig = hex.EncodeToString(ed25519.Sign(sk, core))
	})
	for _, v := range vectors(t, "wire-signatures.json", made) {
		ctx, core := Context(unhex(t, v.Context)), unhex(t, v.Core)
		if v.Holds && !bytes.Equal(toSign(v.Domain, ctx, core), unhex(t, v.Input)) {
			t.Errorf("%s: what is signed has changed", v.Name)
		}
		if got := Verify(v.Domain, [32]byte(unhex(t, v.Key)), ctx, core, Sig(unhex(t, v.Sig))); got != v.Holds {
			t.Errorf("%s: verifies %v, want %v", v.Name, got, v.Holds)
		}
	}
}

func flipped(h string, at int) string {
	b, err := hex.DecodeString(h)
	if err != nil {
		panic(err)
	}
	b[at] ^= 1
	return hex.EncodeToString(b)
}

type kdfVector struct {
	Label Label  `json:"label"`
	PRK   string `json:"prk"`
	Part  string `json:"part,omitempty"`
	Out   string `json:"out"`
}

// Extract and Expand under every label (W5).
func TestLabelVectors(t *testing.T) {
	prk := Extract([]byte("salt"), []byte("secret"))
	var made []kdfVector
	for _, l := range labels {
		out := Expand(prk, l)
		made = append(made, kdfVector{Label: l, PRK: hex.EncodeToString(prk[:]), Out: hex.EncodeToString(out[:])})
	}
	out := Expand(prk, LabelMsg, []byte{0, 0, 0, 0, 0, 0, 0, 7})
	made = append(made, kdfVector{LabelMsg, hex.EncodeToString(prk[:]), "0000000000000007", hex.EncodeToString(out[:])})
	for _, v := range vectors(t, "wire-labels.json", made) {
		got := Expand([32]byte(unhex(t, v.PRK)), v.Label, unhex(t, v.Part))
		if hex.EncodeToString(got[:]) != v.Out {
			t.Errorf("%s: got %x, want %s", v.Label, got, v.Out)
		}
	}
}

// Nothing signed can be taken for a derivation, and each name stands once.
func TestDomainsAndLabelsAreDisjoint(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range domains {
		seen[string(d)] = true
	}
	for _, l := range labels {
		seen[string(l)] = true
	}
	if len(seen) != len(domains)+len(labels) {
		t.Errorf("%d names, %d of them different", len(domains)+len(labels), len(seen))
	}
	for file, n := range map[string]int{"sign.go": len(domains), "kdf.go": len(labels)} {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Count(src, []byte(`= "mutuals/1/`)); got != n {
			t.Errorf("%s has %d names, the test lists %d", file, got, n)
		}
	}
	for s := range seen {
		if !strings.HasPrefix(s, "mutuals/1/") || strings.Contains(s, "\x00") {
			t.Errorf("name %q", s)
		}
	}
}
