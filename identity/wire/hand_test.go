package wire

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"testing"

	"pgregory.net/rapid"
)

// shape has a field of each kind that a Reader reads.
type shape struct {
	_     struct{} `cbor:",toarray"`
	N     uint64
	B     []byte
	Fixed [16]byte
	Text  string
	Many  [][16]byte
	Raw   Raw
}

const manyMost = 8

// readShape reads it by hand.
func readShape(b []byte) (s shape, ok bool) {
	r := Read(b)
	r.Tuple(6)
	s.N, s.B, s.Fixed, s.Text = r.Uint(), r.Bytes(), [16]byte(r.Fixed(16)), r.Text()
	for range r.Array(manyMost) {
		s.Many = append(s.Many, [16]byte(r.Fixed(16)))
	}
	s.Raw = r.Raw()
	return s, r.End()
}

func appendShape(s shape) []byte {
	b := AppendArray(nil, 6)
	b = AppendUint(b, s.N)
	b = AppendBytes(b, s.B)
	b = AppendBytes(b, s.Fixed[:])
	b = AppendText(b, s.Text)
	b = AppendArray(b, len(s.Many))
	for _, m := range s.Many {
		b = AppendBytes(b, m[:])
	}
	return append(b, s.Raw...)
}

func someShape(t *rapid.T) shape {
	s := shape{
		N: rapid.Uint64().Draw(t, "n") >> rapid.IntRange(0, 63).Draw(t, "less"), B: make([]byte, rapid.IntRange(0, 300).Draw(t, "b")),
		Text: rapid.String().Draw(t, "text"), Many: make([][16]byte, rapid.IntRange(0, manyMost).Draw(t, "many")),
	}
	s.Raw = Marshal([]any{s.Text, s.N, s.B, true, []any{false, []any{}}})
	return s
}

func TestReadByHandIsWhatReflectionReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := someShape(t)
		b := Marshal(s)
		if !bytes.Equal(appendShape(s), b) {
			t.Fatalf("written by hand %x, by reflection %x", appendShape(s), b)
		}
		got, ok := readShape(b)
		if !ok || !bytes.Equal(Marshal(got), b) {
			t.Fatalf("read %v: %+v", ok, got)
		}
	})
}

// FuzzReadByHand: what is accepted by hand, reflection accepts as the same, and
// what Canonical says of a value is not another thing by hand.
func FuzzReadByHand(f *testing.F) {
	f.Add(Marshal(shape{N: 1 << 40, Text: "hi", Raw: Raw{0x80}}))
	f.Add(Marshal(shape{N: 255, B: make([]byte, 256), Raw: Raw{0x81, 0x81, 0xf5}}))
	f.Add([]byte{0x86, 0x18, 0x17})
	f.Fuzz(func(t *testing.T, b []byte) { sameByHand(t, b) })
}

// TestReadByHandOfWhatIsAlmostRight: every byte of a right one changed in turn.
func TestReadByHandOfWhatIsAlmostRight(t *testing.T) {
	right := Marshal(shape{N: 300, B: make([]byte, 30), Text: "né", Many: make([][16]byte, 2), Raw: Marshal([]any{"x", 70000, true})})
	if _, ok := readShape(right); !ok {
		t.Fatal("the right one is refused")
	}
	accepted := 0
	for at := range right {
		for to := range 256 {
			b := bytes.Clone(right)
			b[at] = byte(to)
			if sameByHand(t, b) {
				accepted++
			}
		}
		sameByHand(t, right[:at])
	}
	if accepted == 0 {
		t.Fatal("nothing was accepted")
	}
}

func sameByHand(t *testing.T, b []byte) (accepted bool) {
	t.Helper()
	if got, ok := readShape(b); ok {
		accepted = true
		var want shape
		if err := Unmarshal(b, &want); err != nil {
			t.Fatalf("%x is accepted by hand: %v", b, err)
		}
		if !bytes.Equal(Marshal(got), b) {
			t.Fatalf("%x is read as %+v", b, got)
		}
	}
	r := Read(b)
	if r.Raw(); !r.End() {
		return accepted
	}
	var v any
	if err := decMode.Unmarshal(b, &v); err != nil || !plain(v) {
		t.Fatalf("%x is canonical by hand: %v", b, err)
	}
	if again := Marshal(v); !bytes.Equal(again, b) {
		t.Fatalf("%x is canonical by hand, not %x", b, again)
	}
	return accepted
}

func TestExpandIsHKDF(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prk := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "prk"))
		part := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "part")
		want, err := hkdf.Expand(sha256.New, prk[:], string(LabelMsg)+string(part), 32)
		if err != nil {
			t.Fatal(err)
		}
		if got := Expand(prk, LabelMsg, part); got != [32]byte(want) {
			t.Fatalf("%x, not %x", got, want)
		}
	})
}

// BenchmarkExpand and its allocations are what a message's key takes three times.
func BenchmarkExpand(b *testing.B) {
	b.ReportAllocs()
	salt := make([]byte, 24)
	for b.Loop() {
		Expand([32]byte{1}, LabelMsg, salt)
	}
}
