package groups

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"mutuals/groups/seal"
	"mutuals/identity/wire"
)

func syncMessages() []SyncMessage {
	return []SyncMessage{
		&SyncHello{V: SyncVersion, Group: wire.GroupID{1}, Digest: [32]byte{2}, Records: [][]byte{{3}}, Ms: 4},
		&SyncVector{Entries: Vector{entry(1, 0, 5, 1)}, More: true},
		&SyncWant{Wants: []Want{{Inc: wire.OpID{1}, Chain: 1, From: 2, To: 3}}, NewestFirst: true},
		&Segment{Inc: wire.OpID{1}, Chain: 1, Frames: [][]byte{{1, 2}, {3}}},
		&SyncDone{Status: SyncPartial},
		&SyncWrapWant{Rekey: wire.OpID{1}, Recipient: wire.OpID{2}},
		&SyncWrap{Rekey: wire.OpID{1}, Index: 1, Count: 2, Leaf: seal.Leaf{ID: wire.OpID{2}}, Proof: [][32]byte{{9}}},
		&SyncHave{Group: wire.GroupID{1}, Entries: Vector{entry(1, 0, 5, 1)}},
		&SyncWraps{Group: wire.GroupID{1}, Rekey: wire.OpID{1}, Leaves: []seal.Leaf{{ID: wire.OpID{2}}}},
		&SyncRefused{Group: wire.GroupID{1}, Frames: [][]byte{{1}}},
	}
}

func TestSyncMessagesRoundTrip(t *testing.T) {
	for _, m := range syncMessages() {
		b := EncodeSync(m)
		got, err := DecodeSync(b)
		if err != nil {
			t.Errorf("%T: %v", m, err)
			continue
		}
		if got.syncKind() != m.syncKind() || !bytes.Equal(EncodeSync(got), b) {
			t.Errorf("%T comes back as %T", m, got)
		}
		for _, bad := range [][]byte{b[:len(b)-1], append(bytes.Clone(b), 0)} {
			if _, err := DecodeSync(bad); !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%T of another length: %v", m, err)
			}
		}
	}
}

func TestSyncBounds(t *testing.T) {
	many := func(n int) [][]byte {
		out := make([][]byte, n)
		for i := range out {
			out[i] = []byte{1}
		}
		return out
	}
	big := make([]byte, MaxFrame)
	for name, m := range map[string]SyncMessage{
		"version":        &SyncHello{V: SyncVersion + 1},
		"records":        &SyncHello{V: SyncVersion, Records: many(MaxHelloRecords + 1)},
		"far clock":      &SyncHello{V: SyncVersion, Ms: wire.MaxMs + 1},
		"empty record":   &SyncHello{V: SyncVersion, Records: [][]byte{{}}},
		"long record":    &SyncHello{V: SyncVersion, Records: [][]byte{make([]byte, MaxRecord+1)}},
		"unsorted":       &SyncVector{Entries: Vector{entry(2, 0, 1, 1), entry(1, 0, 1, 1)}},
		"no wants":       &SyncWant{},
		"backwards":      &SyncWant{Wants: []Want{{From: 2, To: 1}}},
		"chain":          &SyncWant{Wants: []Want{{Chain: 3}}},
		"far":            &SyncWant{Wants: []Want{{To: maxSeq}}},
		"window":         &SyncWant{Wants: []Want{{From: 1, To: MaxWantOps}, {From: 1, To: 1}}},
		"wants":          &SyncWant{Wants: make([]Want, MaxWants+1)},
		"empty segment":  &Segment{},
		"empty frame":    &Segment{Frames: [][]byte{{}}},
		"long segment":   &Segment{Frames: many(MaxSegmentOps + 1)},
		"heavy segment":  &Segment{Frames: [][]byte{big, big, big, big}},
		"heavy frame":    &Segment{Frames: [][]byte{append(big, 0)}},
		"segment chain":  &Segment{Chain: 3, Frames: many(1)},
		"leaf place":     &SyncWrap{Index: 2, Count: 2},
		"leaf count":     &SyncWrap{Count: seal.MaxLeaves + 1},
		"proof":          &SyncWrap{Count: 1, Proof: make([][32]byte, seal.MaxProof+1)},
		"have":           &SyncHave{Entries: make(Vector, MaxHave+1)},
		"no leaves":      &SyncWraps{},
		"bad leaf":       &SyncWraps{Leaves: []seal.Leaf{{Wrap: []byte{1}}}},
		"refused frames": &SyncRefused{Frames: many(MaxRefusedFrames + 1)},
		"refused bytes":  &SyncRefused{Frames: [][]byte{big, big, big, big}},
	} {
		if err := m.Check(); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		b := wire.Marshal(envelope{Kind: m.syncKind(), Body: wire.Marshal(m)})
		if _, err := DecodeSync(b); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s decodes: %v", name, err)
		}
	}
	for name, b := range map[string][]byte{
		"kind 0": {0x82, 0, 0x80}, "kind 99": {0x82, 0x18, 99, 0x80}, "null body": {0x82, 5, 0xf6}, "no body": {0x81, 5},
		"too long": make([]byte, MaxSyncFrame+1),
	} {
		if _, err := DecodeSync(b); err == nil {
			t.Errorf("%s decodes", name)
		}
	}
}

func TestLargestMessagesFit(t *testing.T) {
	leaves := make([]seal.Leaf, seal.MaxLeaves)
	for i := range leaves {
		leaves[i] = seal.Leaf{KemGen: 1<<32 - 1, Wrap: make([]byte, seal.WrapLen)}
	}
	page := make(Vector, MaxVectorPage)
	for i := range page {
		page[i] = VectorEntry{Inc: wire.OpID{0xff, byte(i >> 8), byte(i)}, Chain: 2, Seq: maxSeq - 1, Floor: maxSeq - 1}
	}
	frames := make([][]byte, MaxSegmentOps)
	for i := range frames {
		frames[i] = make([]byte, MaxSegmentBytes/MaxSegmentOps)
	}
	for _, m := range []SyncMessage{&SyncWraps{Leaves: leaves}, &SyncVector{Entries: page}, &Segment{Frames: frames}} {
		if n := len(EncodeSync(m)); n > MaxSyncFrame {
			t.Errorf("%T: %d bytes, MaxSyncFrame is %d", m, n, MaxSyncFrame)
		}
		if _, err := DecodeSync(EncodeSync(m)); err != nil {
			t.Errorf("%T: %v", m, err)
		}
	}
	records := make([][]byte, MaxHelloRecords)
	for i := range records {
		records[i] = make([]byte, MaxRecord)
	}
	for _, m := range []SyncMessage{&SyncHello{V: SyncVersion, Records: records, Ms: wire.MaxMs}, &SyncHave{Entries: page[:MaxHave]}} {
		if n := len(EncodeSync(m)); n > MaxOpening {
			t.Errorf("%T: %d bytes, MaxOpening is %d", m, n, MaxOpening)
		}
	}
	v := append(page, entry(0xff, 0, 1, 1)).Sort()
	pages := Pages(v)
	if len(pages) != 2 || !pages[0].More || pages[1].More || len(pages[1].Entries) != 1 || len(Pages(nil)) != 1 {
		t.Errorf("%d pages", len(pages))
	}
}

// TestWindowsCoverWants: the windows together ask for exactly what was
// wanted, each within bounds, also when a vector lies about its length.
func TestWindowsCoverWants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var wants []Want
		total := uint64(0)
		for i := range rapid.IntRange(0, 600).Draw(t, "n") {
			from := rapid.Uint64Range(0, 100).Draw(t, "from")
			n := rapid.Uint64Range(0, 40).Draw(t, "len")
			if rapid.IntRange(0, 50).Draw(t, "long") == 0 {
				n *= 1000
			}
			wants = append(wants, Want{Inc: wire.OpID{byte(i >> 8), byte(i)}, From: from, To: from + n})
			total += n + 1
		}
		newest := rapid.Bool().Draw(t, "newest first")
		sum, last := uint64(0), Want{}
		rest := wants
		for {
			var m *SyncWant
			if m, rest = Window(rest, newest); m == nil {
				break
			}
			if err := m.Check(); err != nil {
				t.Fatal(err)
			}
			for _, w := range m.Wants {
				sum += w.To - w.From + 1
				if w.Inc == last.Inc && sum > w.To-w.From+1 && (newest && w.To+1 != last.From || !newest && w.From != last.To+1) {
					t.Fatalf("%v after %v", w, last)
				}
				last = w
			}
		}
		if sum != total {
			t.Fatalf("windows ask for %d of %d operations", sum, total)
		}
	})
	if m, rest := Window([]Want{{From: 0, To: maxSeq - 1}}, true); m.Check() != nil || len(rest) != 1 {
		t.Error("a lying vector is not cut")
	}
}

func TestWrapLeafIsVerified(t *testing.T) {
	leaves := []seal.Leaf{{ID: wire.OpID{1}}, {ID: wire.OpID{2}}, {ID: wire.OpID{3}}}
	h := seal.Hashes(leaves)
	root := seal.Root(h)
	m := &SyncWrap{Index: 1, Count: 3, Leaf: leaves[1], Proof: seal.Proof(h, 1)}
	if !m.Verify(root) {
		t.Error("own leaf refused")
	}
	m.Index = 2
	if m.Verify(root) {
		t.Error("a leaf verifies at another place")
	}
	m = &SyncWrap{Index: 1 << 63, Count: 1<<63 + 1, Leaf: leaves[1]}
	if m.Verify(root) {
		t.Error("a leaf verifies at no place")
	}
}

// TestSegmentsKeepBounds: whatever the sizes and signatures, segments are
// within bounds, end on a signed operation and lose none before the last.
func TestSegmentsKeepBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 700).Draw(t, "n")
		every := rapid.IntRange(1, 100).Draw(t, "signed every")
		size := rapid.IntRange(3, 4000).Draw(t, "size")
		b := SegmentBuilder{Inc: wire.OpID{1}, Chain: 1}
		next := 0
		take := func(s Segment) {
			if err := s.Check(); err != nil {
				t.Fatal(err)
			}
			for _, f := range s.Frames {
				if int(f[0])|int(f[1])<<8 != next {
					t.Fatalf("operation %d where %d should be", int(f[0])|int(f[1])<<8, next)
				}
				next++
			}
			if s.Frames[len(s.Frames)-1][2] != 1 {
				t.Fatal("a segment ends on an unsigned operation")
			}
		}
		for i := range n {
			f := make([]byte, size)
			f[0], f[1] = byte(i), byte(i>>8)
			signed := i%every == every-1
			if signed {
				f[2] = 1
			}
			s, full, err := b.Add(f, signed)
			if err != nil {
				t.Fatal(err)
			}
			if full {
				take(s)
			}
		}
		if s, ok := b.Rest(); ok {
			take(s)
		}
		if next != n/every*every {
			t.Fatalf("%d of %d operations served", next, n/every*every)
		}
	})
	var b SegmentBuilder
	var err error
	for range MaxSegmentOps + 1 {
		if _, _, e := b.Add([]byte{1}, false); e != nil {
			err = e
		}
	}
	if err == nil {
		t.Error("a run no signature ends is served")
	}
	if _, _, err := b.Add(make([]byte, MaxFrame+1), true); err == nil {
		t.Error("a frame beyond MaxFrame is served")
	}
}

func FuzzDecodeSync(f *testing.F) {
	for _, m := range syncMessages() {
		f.Add(EncodeSync(m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeSync(b)
		if err == nil && !bytes.Equal(EncodeSync(m), b) {
			t.Fatal("two encodings of one message")
		}
		if v, ok := m.(*SyncVector); ok {
			Missing(nil, v.Entries)
			Missing(v.Entries, Vector{entry(1, 0, 5, 1)})
		}
		if w, ok := m.(*SyncWrap); ok {
			w.Verify([32]byte{})
		}
	})
}
