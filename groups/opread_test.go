package groups

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"reflect"
	"testing"

	"mutuals/identity/wire"
)

// someContent is the frame of a content operation, and a key that signed it.
func someContent(t testing.TB, heads int) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	cipher := bytes.Repeat([]byte{7}, minCipher)
	hash := sha256.Sum256(cipher)
	c := contentCore{V: Version, Chain: uint64(Content), Inc: wire.SomeID(wire.OpID{1}), Seq: 300, Prev: wire.SomeID(wire.OpID{2}),
		HLC: 1 << 40, EID: [32]byte{3}, Salt: [16]byte{4}, CtLen: uint64(len(cipher)), CtHash: hash[:]}
	for i := range heads {
		c.Heads = append(c.Heads, wire.OpID{byte(i + 1)})
	}
	return signed(wire.Marshal(c), key, wire.Context{5}, cipher...).Frame()
}

// byHand is what is read by hand of bytes, and by reflection; nil if refused.
type byHand struct{ hand, reflection func(b []byte) any }

func (h byHand) check(t *testing.T, right []byte) {
	t.Helper()
	if got := h.hand(right); got == nil || !reflect.DeepEqual(got, h.reflection(right)) {
		t.Fatalf("of what is right:\n%+v\nby reflection\n%+v", got, h.reflection(right))
	}
	for at := range right {
		for bit := range 8 {
			b := bytes.Clone(right)
			b[at] ^= 1 << bit
			if got := h.hand(b); got != nil && !reflect.DeepEqual(got, h.reflection(b)) {
				t.Fatalf("bit %d of byte %d:\n%+v\nby reflection\n%+v", bit, at, got, h.reflection(b))
			}
		}
		if got := h.hand(right[:at]); got != nil && !reflect.DeepEqual(got, h.reflection(right[:at])) {
			t.Fatalf("%d bytes: %+v", at, got)
		}
	}
}

// TestReadByHand: what is accepted by hand is what reflection accepts, of frames,
// segments, plaintexts and texts, and of all that differ from one in a bit.
func TestReadByHand(t *testing.T) {
	frame, many := someContent(t, 1), someContent(t, MaxParents)
	op := byHand{
		func(b []byte) any {
			o, ok := readContent(b)
			if !ok {
				return nil
			}
			if !bytes.Equal(o.Frame(), b) {
				t.Fatalf("the frame of %x is %x", b, o.Frame())
			}
			o.frame = nil
			return *o
		},
		func(b []byte) any {
			o, refusal := decode(b, wire.Unmarshal)
			if refusal != nil {
				return nil
			}
			return *o
		},
	}
	op.check(t, frame)
	op.check(t, many)
	op.check(t, frame[:len(frame)-minCipher]) // without its body
	byHand{
		func(b []byte) any {
			s, ok := readSegment(b)
			if !ok {
				return nil
			}
			return *s
		},
		func(b []byte) any {
			var e envelope
			if wire.Unmarshal(b, &e) != nil || e.Kind != syncSegment {
				return nil
			}
			var s Segment
			if wire.Unmarshal(e.Body, &s) != nil || s.Check() != nil {
				return nil
			}
			return s
		},
	}.check(t, EncodeSync(&Segment{Inc: wire.OpID{1}, Chain: uint64(Content), Frames: [][]byte{frame[:300], frame[:20]}}))
	plain, err := EncodePlain(Plain{Kind: ContentText, After: [][16]byte{{1}, {2}}, Payload: Text{Text: "né", ReplyTo: wire.SomeID(wire.OpID{9}), Mentions: []wire.AccountID{{1}, {2}}}.Encode()})
	if err != nil {
		t.Fatal(err)
	}
	plains := byHand{
		func(b []byte) any {
			p, ok := readPlain(b)
			if !ok {
				return nil
			}
			return p
		},
		func(b []byte) any {
			var p Plain
			if wire.Unmarshal(b, &p) != nil || len(p.After) > MaxAfter || wire.Canonical(p.Payload) != nil {
				return nil
			}
			return p
		},
	}
	plains.check(t, plain)
	texts := byHand{
		func(b []byte) any {
			text, ok := readText(b)
			if !ok {
				return nil
			}
			return text
		},
		func(b []byte) any {
			var text Text
			if wire.Unmarshal(b, &text) != nil {
				return nil
			}
			return text
		},
	}
	texts.check(t, Text{Text: "né", ReplyTo: wire.SomeID(wire.OpID{9}), Mentions: []wire.AccountID{{1}, {2}}}.Encode())
	texts.check(t, Text{Text: "n"}.Encode())
}

// TestFrameIsWhatItIsNow: an operation that lost its signature or its body, or
// got it, has another frame than the one it was read from.
func TestFrameIsWhatItIsNow(t *testing.T) {
	frame := someContent(t, 1)
	o, refusal := Decode(frame)
	if refusal != nil {
		t.Fatal(refusal)
	}
	if &o.Frame()[0] != &o.Core[0] {
		t.Error("the frame is built anew")
	}
	bare := *o
	bare.Cipher = nil
	if want := frame[:len(frame)-len(o.Cipher)]; !bytes.Equal(bare.Frame(), want) {
		t.Errorf("without its body %x", bare.Frame())
	}
	if refusal := bare.Fill(o.Cipher); refusal != nil || !bytes.Equal(bare.Frame(), frame) {
		t.Errorf("filled %x: %v", bare.Frame(), refusal)
	}
	o.Signed, o.Sig = false, wire.Sig{}
	want := bytes.Clone(frame)
	clear(want[len(o.Core) : len(o.Core)+sigLen])
	if !bytes.Equal(o.Frame(), want) {
		t.Errorf("unsigned %x", o.Frame())
	}
}

// TestContentAADIsTheCoreWithoutItsHash: composed and read the same.
func TestContentAADIsTheCoreWithoutItsHash(t *testing.T) {
	o, refusal := Decode(someContent(t, 3))
	if refusal != nil {
		t.Fatal(refusal)
	}
	group := wire.GroupID{8}
	want := aadOf(group, contentCore{V: o.Version, Chain: uint64(o.Chain), Inc: o.Inc, Seq: o.Seq, Prev: o.Prev, Heads: o.Heads,
		HLC: o.HLC, EID: o.EID, Salt: o.Salt, CtLen: o.CtLen})
	if got := ContentAAD(group, o); !bytes.Equal(got, want) {
		t.Errorf("%x, not %x", got, want)
	}
}

// BenchmarkDecodeContent is what reading one message of sync costs.
func BenchmarkDecodeContent(b *testing.B) {
	frame := someContent(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, refusal := Decode(frame); refusal != nil {
			b.Fatal(refusal)
		}
	}
}
