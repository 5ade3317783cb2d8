package timeline

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"mutuals/groups"
	"mutuals/identity/wire"
)

func none([16]byte) (uint64, bool) { return 0, false }

func text(s string, after ...wire.OpID) groups.Plain {
	p := groups.Plain{Kind: groups.ContentText, Payload: groups.Text{Text: s}.Encode()}
	for _, a := range after {
		p.After = append(p.After, groups.HeadOf(a))
	}
	return p
}

func TestFoldText(t *testing.T) {
	p := Place{ID: wire.OpID{1}, Author: wire.AccountID{2}, HLC: 1000, ArrivedMs: 1500, Seq: 3}
	e := Fold(p, text("hello"), none)
	if e.Text != "hello" || e.OrderMs != 1000 || e.Late || e.Newer || e.Folded != Shown || e.Kind != groups.ContentText {
		t.Errorf("%+v", e)
	}
}

func TestFoldKinds(t *testing.T) {
	info := groups.GroupInfo{Name: "climbers", IceBreakers: []string{"favourite wall?"}}.Encode()
	why := groups.Moderation{Ops: []wire.OpID{{1}, {2}}, Reason: "adverts"}.Encode()
	acted := func(ids ...wire.OpID) func(wire.OpID) bool {
		return func(id wire.OpID) bool { return slices.Contains(ids, id) }
	}
	for name, c := range map[string]struct {
		place  Place
		plain  groups.Plain
		folded Folded
		newer  bool
		text   string
	}{
		"info by an admin":   {Place{Ranked: true}, groups.Plain{Kind: groups.ContentGroupInfo, Payload: info}, Shown, false, "climbers"},
		"info by a member":   {Place{}, groups.Plain{Kind: groups.ContentGroupInfo, Payload: info}, NotAllowed, false, ""},
		"malformed info":     {Place{Ranked: true}, groups.Plain{Kind: groups.ContentGroupInfo, Payload: wire.Raw{0x80}}, Malformed, false, ""},
		"a reason":           {Place{Acted: acted(wire.OpID{1}, wire.OpID{2})}, groups.Plain{Kind: groups.ContentModeration, Payload: why}, Shown, false, "adverts"},
		"of another's act":   {Place{Acted: acted(wire.OpID{1})}, groups.Plain{Kind: groups.ContentModeration, Payload: why}, NotAllowed, false, ""},
		"of acts not known":  {Place{}, groups.Plain{Kind: groups.ContentModeration, Payload: why}, NotAllowed, false, ""},
		"malformed reason":   {Place{}, groups.Plain{Kind: groups.ContentModeration, Payload: wire.Raw{0x80}}, Malformed, false, ""},
		"malformed text":     {Place{}, groups.Plain{Kind: groups.ContentText, Payload: wire.Raw{0x80}}, Malformed, false, ""},
		"unknown kind":       {Place{}, groups.Plain{Kind: 77, Payload: wire.Raw{0x01}}, Shown, true, ""},
		"kind 0":             {Place{}, groups.Plain{Kind: 0, Payload: wire.Raw{0x01}}, Shown, true, ""},
		"past a pin":         {Place{Folded: PastPin}, text("later"), PastPin, false, "later"},
		"past a pin and bad": {Place{Folded: PastPin}, groups.Plain{Kind: groups.ContentText, Payload: wire.Raw{0x80}}, PastPin, false, ""},
	} {
		e := Fold(c.place, c.plain, none)
		if e.Folded != c.folded || e.Newer != c.newer || e.Text != c.text {
			t.Errorf("%s: %+v", name, e)
		}
		if g, ok := e.Info(); ok != (name == "info by an admin") || ok && g.Name != "climbers" {
			t.Errorf("%s: info %v", name, ok)
		}
		if m, ok := e.Moderation(); ok != (name == "a reason") || ok && (m.Reason != "adverts" || len(m.Ops) != 2) {
			t.Errorf("%s: moderation %v", name, ok)
		}
		back, err := Decode(e.Key(), e.Byline(), e.Encode())
		if err != nil || !bytes.Equal(back.Encode(), e.Encode()) || back.Key() != e.Key() {
			t.Errorf("%s: stored and read: %v", name, err)
		}
	}
}

func TestUnread(t *testing.T) {
	e := Unread(Place{HLC: 5, ArrivedMs: 5}, KeyMissing)
	if e.Folded != KeyMissing || e.OrderMs != 5 || e.Kind != 0 {
		t.Errorf("%+v", e)
	}
	if e := Unread(Place{Folded: IncInvalid}, KeyMissing); e.Folded != IncInvalid {
		t.Errorf("%+v", e)
	}
	if _, err := Decode(e.Key(), e.Byline(), e.Encode()); err != nil {
		t.Error(err)
	}
}

func TestLate(t *testing.T) {
	for arrived, want := range map[uint64]bool{0: false, 1000: false, 1000 + LateMs: false, 1001 + LateMs: true} {
		if e := Fold(Place{HLC: 1000, ArrivedMs: arrived}, text("a"), none); e.Late != want {
			t.Errorf("arrived at %d: late is %v", arrived, e.Late)
		}
	}
}

func TestAnAnswerStandsBelowItsQuestion(t *testing.T) {
	question := Fold(Place{ID: wire.OpID{9}, HLC: 120_000}, text("who comes?"), none)
	answer := Fold(Place{ID: wire.OpID{1}, HLC: 10_000}, text("me", question.ID), none)
	if len(answer.Awaits) != 1 || answer.OrderMs != 10_000 {
		t.Fatalf("before the question came: %+v", answer)
	}
	answer = answer.Reorder(func(p [16]byte) (uint64, bool) { return question.OrderMs, p == groups.HeadOf(question.ID) })
	if len(answer.Awaits) != 0 || answer.OrderMs != 120_001 || answer.Key().Compare(question.Key()) <= 0 {
		t.Fatalf("%+v", answer)
	}
}

// TestOrderForgetsArrival: whatever order messages come in, once all are
// there and everything that awaited was placed anew, the lines are the same.
func TestOrderForgetsArrival(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "n")
		type msg struct {
			place Place
			plain groups.Plain
		}
		var msgs []msg
		for i := range n {
			m := msg{place: Place{ID: wire.OpID{byte(i + 1)}, HLC: rapid.Uint64Range(1, 20).Draw(t, "hlc")}}
			var after []wire.OpID
			for j := range i {
				if len(after) < 3 && rapid.IntRange(0, 2).Draw(t, "after") == 0 {
					after = append(after, msgs[j].place.ID)
				}
			}
			m.plain = text("a", after...)
			msgs = append(msgs, m)
		}
		lines := func(order []int) []Key {
			shown := map[[16]byte]Entry{}
			known := func(p [16]byte) (uint64, bool) { e, ok := shown[p]; return e.OrderMs, ok }
			for _, i := range order {
				e := Fold(msgs[i].place, msgs[i].plain, known)
				shown[groups.HeadOf(e.ID)] = e
				for changed := true; changed; { // place anew what awaits it, and what follows that
					changed = false
					for id, o := range shown {
						if p := o.Reorder(known); p.Key() != o.Key() || len(p.Awaits) != len(o.Awaits) {
							shown[id], changed = p, true
						}
					}
				}
			}
			var keys []Key
			for _, e := range shown {
				keys = append(keys, e.Key())
			}
			slices.SortFunc(keys, Key.Compare)
			return keys
		}
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		want := lines(order)
		if got := lines(rapid.Permutation(order).Draw(t, "arrival")); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(Fold(Place{ID: wire.OpID{1}}, text("hello", wire.OpID{2}), none).Encode())
	f.Add(wire.Marshal(entry1{V: 1, ID: wire.OpID{1}, Text: "hello", Payload: emptyPayload()}))
	f.Add([]byte("\x8e\x02\x00\xed\x00\xf4\xf4`\x81P0000000000000000\x81P0000000000000000e00000@\x80\x800")) // a simple value for a number
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Decode(Key{}, Entry{}.Byline(), b)
		if err != nil {
			if !errors.Is(err, ErrEntry) {
				t.Fatal(err)
			}
			return
		}
		// Of what was not encoded by Encode there may be several forms (wire.Reread).
		again, err := Decode(e.Key(), e.Byline(), e.Encode())
		if err != nil || !reflect.DeepEqual(again, e) {
			t.Fatalf("read as %+v, then as %+v: %v", e, again, err)
		}
	})
}
