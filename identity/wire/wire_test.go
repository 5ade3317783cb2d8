package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestValidKeyAcceptsRealKeysAndRefusesSmallOrder(t *testing.T) {
	for range 200 {
		pk, _, _ := ed25519.GenerateKey(nil)
		if err := ValidKey([32]byte(pk)); err != nil {
			t.Fatalf("generated key %x: %v", pk, err)
		}
	}
	for _, h := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p+1: not canonical
		"0200000000000000000000000000000000000000000000000000000000000000", // not on the curve
	} {
		b, _ := hex.DecodeString(h)
		if err := ValidKey([32]byte(b)); !errors.Is(err, ErrBadKey) {
			t.Errorf("key %s: got %v, want ErrBadKey", h, err)
		}
	}
}

type pair struct {
	_ struct{} `cbor:",toarray"`
	A [4]byte
	B []byte
	N uint64
	S string
}

func TestUnmarshalRefusesWhatIsNotCanonical(t *testing.T) {
	ok := Marshal(pair{A: [4]byte{1, 2, 3, 4}, B: nil, N: 7, S: "hi"})
	var p pair
	if err := Unmarshal(ok, &p); err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]string{
		"long length":       "84440102030440" + "1807" + "626869",
		"null for bytes":    "844401020304f607626869",
		"short fixed array": "844301020340" + "07626869",
		"long fixed array":  "8445010203040540" + "07626869",
		"array for bytes":   "84840102030440" + "07626869",
		"one field missing": "83440102030440" + "07",
		"trailing byte":     hex.EncodeToString(ok) + "00",
		"tag":               "84c1440102030440" + "07626869",
		"indefinite":        "9f440102030440" + "07626869ff",
		"float":             "84440102030440" + "f94700626869",
	} {
		b, _ := hex.DecodeString(h)
		var p pair
		if err := Unmarshal(b, &p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestCanonicalRefusesMapsFloatsNull(t *testing.T) {
	for _, h := range []string{"a0", "f94700", "f6", "81a0", "1800", "818181818181818100", "c100"} {
		b, _ := hex.DecodeString(h)
		if err := Canonical(b); err == nil {
			t.Errorf("%s: accepted", h)
		}
	}
	if err := Canonical(Marshal([]any{uint64(1), []byte{2}, "x", []any{true}})); err != nil {
		t.Error(err)
	}
}

func TestIDsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "id"))
		if a, err := ParseAccountID(AccountID(b).String()); err != nil || a != AccountID(b) {
			t.Fatal(a, err)
		}
		if _, err := ParseAccountID(DeviceID(b).String()); !errors.Is(err, ErrBadID) {
			t.Fatal("a device id was taken for an account")
		}
		if o, err := ParseOpID(OpID(b).String()); err != nil || o != OpID(b) {
			t.Fatal(o, err)
		}
	})
}

func TestSignaturesDoNotCrossDomainsOrContexts(t *testing.T) {
	pk, sk, _ := ed25519.GenerateKey(nil)
	core := []byte("core")
	sig := Sign(DomainFollow, sk, NoContext, core)
	if !Verify(DomainFollow, [32]byte(pk), NoContext, core, sig) {
		t.Fatal("own signature refused")
	}
	if Verify(DomainCard, [32]byte(pk), NoContext, core, sig) || Verify(DomainFollow, [32]byte(pk), Context{1}, core, sig) {
		t.Fatal("signature crossed a domain or context")
	}
}

func FuzzParseIDs(f *testing.F) {
	f.Add(AccountID{1}.String())
	f.Add(DeviceID{2}.String())
	f.Add(PeerKey{3}.String())
	f.Add(OpID{4}.String())
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := ParseAccountID(s); err == nil && !strings.EqualFold(a.String(), s) {
			t.Errorf("account %q reads as %v", s, a)
		}
		if d, err := ParseDeviceID(s); err == nil && !strings.EqualFold(d.String(), s) {
			t.Errorf("device %q reads as %v", s, d)
		}
		if p, err := ParsePeerKey(s); err == nil && !strings.EqualFold(p.String(), s) {
			t.Errorf("peer key %q reads as %v", s, p)
		}
		if o, err := ParseOpID(s); err == nil && o.String() != s {
			t.Errorf("operation %q reads as %v", s, o)
		}
	})
}

// What First splits off is what a decoder of the whole would have seen there.
func FuzzFirst(f *testing.F) {
	f.Add(append(Marshal(pair{S: "x"}), 1, 2, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		item, rest, err := First(b)
		if err != nil {
			return
		}
		if len(item) == 0 || !bytes.Equal(append(bytes.Clone(item), rest...), b) {
			t.Errorf("%x splits into %x and %x", b, item, rest)
		}
	})
}

// Every value of the shapes we use survives, and no other bytes give it.
func TestEncodingRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := pair{A: [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "a")), B: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "b"),
			N: rapid.Uint64().Draw(t, "n"), S: rapid.String().Draw(t, "s")}
		b := Marshal(in)
		var out pair
		if err := Unmarshal(b, &out); err != nil || out.A != in.A || !bytes.Equal(out.B, in.B) || out.N != in.N || out.S != in.S {
			t.Fatal(out, err)
		}
		if err := Canonical(b); err != nil {
			t.Fatal(err)
		}
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		other := bytes.Clone(b)
		other[at] ^= rapid.ByteRange(1, 255).Draw(t, "bits")
		var changed pair
		if err := Unmarshal(other, &changed); err == nil && !bytes.Equal(Marshal(changed), other) {
			t.Fatal("two encodings of one value")
		}
	})
}

func FuzzUnmarshal(f *testing.F) {
	f.Add(Marshal(pair{S: "x"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p pair
		_ = Unmarshal(b, &p)
		_ = Canonical(b)
	})
}
