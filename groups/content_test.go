package groups

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mutuals/groups/seal"
	"mutuals/identity/wire"
)

func TestMaxPlainIsWhatABoxHolds(t *testing.T) {
	if MaxPlain != seal.MaxPlain {
		t.Errorf("MaxPlain is %d, seal's %d", MaxPlain, seal.MaxPlain)
	}
}

func TestPlainRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := Text{
			Text:  rapid.StringN(1, 200, 800).Draw(t, "text") + ".",
			Files: []wire.Raw{wire.Marshal([]uint64{1})},
		}
		if rapid.Bool().Draw(t, "reply") {
			text.ReplyTo = wire.SomeID(wire.OpID{1})
		}
		for range rapid.IntRange(0, 3).Draw(t, "mentions") {
			text.Mentions = append(text.Mentions, wire.AccountID{2})
		}
		p := Plain{Kind: ContentText, After: make([][16]byte, rapid.IntRange(0, MaxAfter).Draw(t, "after")), Payload: text.Encode()}
		b, err := EncodePlain(p)
		if err != nil {
			t.Fatal(err)
		}
		q, err := DecodePlain(b)
		if err != nil || len(q.After) != len(p.After) {
			t.Fatal(err)
		}
		got, err := DecodeText(q.Payload)
		if err != nil || got.Text != text.Text || len(got.Mentions) != len(text.Mentions) || !bytes.Equal(got.ReplyTo, text.ReplyTo) {
			t.Fatal(got, err)
		}
	})
}

func TestContentRefuses(t *testing.T) {
	ref := make([]byte, MaxFileRef+1)
	for name, err := range map[string]error{
		"text length":  Text{Text: strings.Repeat("a", MaxText+1)}.Check(),
		"empty text":   Text{Text: " \n"}.Check(),
		"reply":        Text{Text: "a", ReplyTo: wire.OptID{1}}.Check(),
		"mentions":     Text{Text: "a", Mentions: make([]wire.AccountID, MaxMentions+1)}.Check(),
		"files":        Text{Text: "a", Files: make([]wire.Raw, MaxFiles+1)}.Check(),
		"file":         Text{Text: "a", Files: []wire.Raw{{0xf6}}}.Check(),
		"file length":  Text{Text: "a", Files: []wire.Raw{wire.Marshal(ref)}}.Check(),
		"no acts":      Moderation{Reason: "a"}.Check(),
		"many acts":    Moderation{Ops: make([]wire.OpID, MaxModerated+1), Reason: "a"}.Check(),
		"act twice":    Moderation{Ops: make([]wire.OpID, 2), Reason: "a"}.Check(),
		"no reason":    Moderation{Ops: make([]wire.OpID, 1), Reason: "\n "}.Check(),
		"long reason":  Moderation{Ops: make([]wire.OpID, 1), Reason: strings.Repeat("a", MaxReason+1)}.Check(),
		"no name":      GroupInfo{Name: " "}.Check(),
		"name":         GroupInfo{Name: strings.Repeat("a", MaxGroupName+1)}.Check(),
		"description":  GroupInfo{Name: "a", Description: strings.Repeat("a", MaxDescription+1)}.Check(),
		"ice-breakers": GroupInfo{Name: "a", IceBreakers: make([]string, MaxIceBreakers+1)}.Check(),
		"ice-breaker":  GroupInfo{Name: "a", IceBreakers: []string{strings.Repeat("a", MaxIceBreaker+1)}}.Check(),
		"picture":      GroupInfo{Name: "a", Picture: []byte{0xa0}}.Check(),
	} {
		if !errors.Is(err, ErrContent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, p := range map[string]Plain{
		"after": {Kind: 1, After: make([][16]byte, MaxAfter+1), Payload: wire.Raw{0x80}},
		"map":   {Kind: 1, Payload: wire.Raw{0xa0}}, "none": {Kind: 1, Payload: nil},
		"large": {Kind: 1, Payload: wire.Marshal(make([]byte, MaxPlain))},
	} {
		if _, err := EncodePlain(p); !errors.Is(err, ErrContent) {
			t.Errorf("encoding %s: %v", name, err)
		}
		if _, err := DecodePlain(wire.Marshal(p)); !errors.Is(err, ErrContent) {
			t.Errorf("decoding %s: %v", name, err)
		}
	}
	for name, b := range map[string]wire.Raw{
		"bad utf-8": {0x84, 0x61, 0xff, 0x40, 0x80, 0x80}, "short": {0x83, 0x61, 'a', 0x40, 0x80}, "null reply": {0x84, 0x61, 'a', 0xf6, 0x80, 0x80},
	} {
		if _, err := DecodeText(b); !errors.Is(err, ErrContent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestProfileFitsTheNesting: a profile with its certificate chain is the
// deepest content there is.
func TestProfileFitsTheNesting(t *testing.T) {
	chain := []any{[]any{[]any{uint64(1)}, []byte{2}}} // [[certificate, signature]]
	signed := wire.Marshal([]any{[]any{uint64(1)}, []byte{3}, chain})
	b, err := EncodePlain(Plain{Kind: ContentProfile, Payload: ProfileContent{Signed: signed}.Encode()})
	if err != nil {
		t.Fatal(err)
	}
	p, err := DecodePlain(b)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeProfileContent(p.Payload); err != nil || !bytes.Equal(got.Signed, signed) {
		t.Error(err)
	}
}

func FuzzDecodePlain(f *testing.F) {
	for _, p := range []Plain{
		{Kind: ContentText, Payload: Text{Text: "hi", Mentions: []wire.AccountID{{1}}}.Encode()},
		{Kind: ContentProfile, Payload: ProfileContent{Signed: wire.Raw{0x80}}.Encode()},
		{Kind: ContentGroupInfo, After: [][16]byte{{1}}, Payload: GroupInfo{Name: "g", IceBreakers: []string{"?"}}.Encode()},
		{Kind: 99, Payload: wire.Raw{0x40}},
	} {
		b, _ := EncodePlain(p)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodePlain(b)
		if err != nil {
			return
		}
		if again, err := EncodePlain(p); err != nil || !bytes.Equal(again, b) {
			t.Fatal("two encodings of one plaintext")
		}
		if x, err := DecodeText(p.Payload); err == nil && !bytes.Equal(x.Encode(), p.Payload) {
			t.Fatal("two encodings of one text")
		}
		if x, err := DecodeGroupInfo(p.Payload); err == nil && !bytes.Equal(x.Encode(), p.Payload) {
			t.Fatal("two encodings of one group-info")
		}
		if x, err := DecodeProfileContent(p.Payload); err == nil && !bytes.Equal(x.Encode(), p.Payload) {
			t.Fatal("two encodings of one profile")
		}
	})
}
