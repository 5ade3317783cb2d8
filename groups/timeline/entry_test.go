package timeline

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"mutuals/identity/wire"
)

// TestEntryIsEncodedAsReflectionDoes: what is written by hand is what
// wire.Marshal writes, and Decode reads it.
func TestEntryIsEncodedAsReflectionDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flag := rapid.Bool()
		ids := func(name string) [][16]byte { return make([][16]byte, rapid.IntRange(0, 3).Draw(t, name)) }
		e := Entry{
			V: entryVersion, ID: wire.OpID{1}, Group: wire.GroupID{2}, Inc: wire.OpID{3}, Author: wire.AccountID{4}, Device: wire.DeviceID{5},
			Seq: rapid.Uint64().Draw(t, "seq"), HLC: 1 << 40, OrderMs: 1<<40 + 1, Kind: rapid.Uint64Range(0, 300).Draw(t, "kind"),
			Late: flag.Draw(t, "late"), Newer: flag.Draw(t, "newer"), Folded: rapid.SampledFrom([]Folded{Shown, Malformed, PastPin}).Draw(t, "folded"),
			After: ids("after"), Awaits: ids("awaits"), Text: rapid.String().Draw(t, "text"),
			Mentions: make([]wire.AccountID, rapid.IntRange(0, 3).Draw(t, "mentions")), Payload: emptyPayload(),
		}
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
		if want := wire.Marshal(e); !bytes.Equal(b, want) {
			t.Fatalf("%x, not %x", b, want)
		}
		if got, err := Decode(b); err != nil || !bytes.Equal(got.Encode(), b) {
			t.Fatalf("read as %+v: %v", got, err)
		}
	})
}
