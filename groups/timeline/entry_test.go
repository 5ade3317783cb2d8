package timeline

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mutuals/identity/wire"
)

// sample is an entry with something in each field.
func sample() Entry {
	return Entry{
		ID: wire.OpID{1}, Group: wire.GroupID{2}, Inc: wire.OpID{3}, Author: wire.AccountID{4}, Device: wire.DeviceID{5},
		Seq: 7, HLC: 1 << 40, OrderMs: 1<<40 + 1, Kind: 1, Late: true, Folded: PastPin, After: [][16]byte{{6}}, Awaits: [][16]byte{},
		Text: "hello", ReplyTo: wire.SomeID(wire.OpID{9}), Mentions: []wire.AccountID{{8}}, Files: []wire.Raw{emptyPayload()}, Payload: emptyPayload(),
	}
}

// zeros stands for what a 32-byte id has behind its first.
var zeros = strings.Repeat("00", 31)

// TestEntryVectors: the two forms that lie on disks are read as they were written; the
// newer one is written.
func TestEntryVectors(t *testing.T) {
	const rest = "f5f4781d73656e742d6265666f72652d72656d6f76616c2d7761732d6b6e6f776e81500600000000000000000000000000000080" +
		"6568656c6c6f"
	end := "582009" + zeros + "81582008" + zeros + "814040"
	first := "9401582001" + zeros + "582002" + zeros + "582003" + zeros + "582004" + zeros + "582005" + zeros +
		"071b00000100000000001b000001000000000101" + rest + end
	second := "8e02070101" + rest + end
	by := "84582002" + zeros + "582003" + zeros + "582004" + zeros + "582005" + zeros
	want := sample()
	if got := hex.EncodeToString(want.Encode()); got != second {
		t.Errorf("written as %s, not %s", got, second)
	}
	if got := hex.EncodeToString(want.Byline()); got != by {
		t.Errorf("its byline is %s, not %s", got, by)
	}
	for name, c := range map[string]struct{ by, b string }{"1": {"", first}, "2": {by, second}} {
		got, err := Decode(want.Key(), unhex(t, c.by), unhex(t, c.b))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("version %s is read as %+v: %v", name, got, err)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestEntryRefused: what is no entry is an error of its name, never an entry.
func TestEntryRefused(t *testing.T) {
	e := sample()
	good, by := e.Encode(), e.Byline()
	for name, c := range map[string]struct{ by, b []byte }{
		"nothing":         {by, nil},
		"a later version": {by, append([]byte{0x8e, 3}, good[2:]...)},
		"cut":             {by, good[:len(good)-1]},
		"too long":        {by, append(bytes.Clone(good), 0)},
		"an old one, cut": {by, []byte{0x94, 1, 0x58}},
		"no byline":       {nil, good},
		"a byline, cut":   {by[1:], good},
	} {
		if got, err := Decode(e.Key(), c.by, c.b); !errors.Is(err, ErrEntry) || !reflect.DeepEqual(got, Entry{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestEntryIsEncodedAsReflectionDoes: what is written by hand is what
// wire.Marshal writes, and Decode reads it.
func TestEntryIsEncodedAsReflectionDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flag := rapid.Bool()
		ids := func(name string) [][16]byte { return make([][16]byte, rapid.IntRange(0, 3).Draw(t, name)) }
		e := sample()
		e.Seq, e.Kind = rapid.Uint64().Draw(t, "seq"), rapid.Uint64Range(0, 300).Draw(t, "kind")
		e.Late, e.Newer = flag.Draw(t, "late"), flag.Draw(t, "newer")
		e.Folded = rapid.SampledFrom([]Folded{Shown, Malformed, PastPin}).Draw(t, "folded")
		e.After, e.Awaits, e.Text = ids("after"), ids("awaits"), rapid.String().Draw(t, "text")
		e.Mentions = make([]wire.AccountID, rapid.IntRange(0, 3).Draw(t, "mentions"))
		e.ReplyTo, e.Files = nil, nil
		if flag.Draw(t, "reply") {
			e.ReplyTo = wire.SomeID(wire.OpID{9})
		}
		if flag.Draw(t, "files") {
			e.Files = []wire.Raw{wire.Marshal([]uint64{1, 2}), emptyPayload()}
		}
		if flag.Draw(t, "payload") {
			e.Payload = wire.Marshal([]string{"x"})
		}
		b := e.Encode()
		want := wire.Marshal(entry2{
			V: 2, Seq: e.Seq, Moved: e.OrderMs - e.HLC, Kind: e.Kind, Late: e.Late, Newer: e.Newer, Folded: e.Folded, After: e.After, Awaits: e.Awaits,
			Text: e.Text, ReplyTo: e.ReplyTo, Mentions: e.Mentions, Files: e.Files, Payload: e.Payload,
		})
		if !bytes.Equal(b, want) {
			t.Fatalf("%x, not %x", b, want)
		}
		got, err := Decode(e.Key(), e.Byline(), b)
		if err != nil || got.Key() != e.Key() || got.Author != e.Author || !bytes.Equal(got.Encode(), b) || !bytes.Equal(got.Byline(), e.Byline()) {
			t.Fatalf("read as %+v: %v", got, err)
		}
	})
}
