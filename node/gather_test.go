package node

import (
	"errors"
	"slices"
	"testing"

	"mutuals/groups"
	"mutuals/node/api"
)

// What is said alone is on the disk at once. After several were said together the
// next wait for as many, or for a moment; and what arrived meanwhile goes into
// the same transaction, unless one of them is refused: that one is told so alone.
func TestGathering(t *testing.T) {
	t.Parallel()
	ann := testNode(t, "Ann")
	g := newGroup(t, ann, api.GroupCreate{})
	bo := crowdOf(t, ann, g, 1)[0]
	say(t, ann, g, "so that there is an epoch")
	r := ann.room(g)
	onRoom := func(fn func()) {
		t.Helper()
		done := make(chan struct{})
		r.calls <- func() { defer close(done); fn() }
		<-done
	}
	text := func(s string) word {
		return word{answer: make(chan error, 1), say: func(c *commit) error {
			_, err := r.say(c, groups.ContentText, groups.Text{Text: s}.Encode())
			return err
		}}
	}
	answered := func(w word, want error) {
		t.Helper()
		select {
		case err := <-w.answer:
			if !errors.Is(err, want) {
				t.Errorf("answered %v, want %v", err, want)
			}
		default:
			t.Error("it was not said")
		}
	}
	waits := func(w word) {
		t.Helper()
		if len(w.answer) > 0 {
			t.Error("it was said at once, though as many as before may come")
		}
	}
	var late word
	onRoom(func() {
		for range 3 {
			w := text("alone")
			r.hear(w)
			answered(w, nil)
			if r.gathering.rest != nil {
				t.Fatal("after a word that came alone the next is to wait")
			}
		}
		one, two := text("one"), text("two")
		r.gathering.words = []word{one}
		before := r.begun.Load()
		r.hear(two)
		answered(one, nil)
		answered(two, nil)
		if n := r.begun.Load() - before; n != 1 {
			t.Errorf("two words that waited took %d transactions", n)
		}
		three, four := text("three"), text("four")
		r.hear(three)
		waits(three)
		r.hear(four)
		answered(three, nil)
		answered(four, nil)
		// Of three who speak one was still on his way: the others wait for him too.
		for range 3 {
			r.speaking.begin()
		}
		five, six, seven, eight, nine := text("five"), text("six"), text("seven"), text("eight"), text("nine")
		r.hear(five)
		r.hear(six)
		answered(five, nil)
		answered(six, nil)
		r.hear(seven)
		r.hear(eight)
		waits(eight)
		r.hear(nine)
		answered(seven, nil)
		answered(nine, nil)
		for range 3 {
			r.speaking.end()
		}
		// Of so many that no transaction takes them all, those who speak later wait for no
		// more than one takes.
		for range 100 * wordBatch {
			r.speaking.begin()
		}
		for range 100 * wordBatch {
			r.speaking.end()
		}
		ten, eleven := text("ten"), text("eleven")
		r.gathering.words, r.gathering.rest = []word{ten}, nil
		r.hear(eleven)
		answered(ten, nil)
		answered(eleven, nil)
		if r.gathering.atOnce > wordBatch {
			t.Errorf("%d are waited for, of which a transaction takes %d", r.gathering.atOnce, wordBatch)
		}
		r.gathering.atOnce = 2
		late = text("late")
		r.hear(late)
		waits(late)
	})
	if err := <-late.answer; err != nil {
		t.Fatal(err)
	}

	refused := errors.New("refused")
	arrive := func(s string) {
		op, err := textAs(r, bo, s)
		ok(t, err)
		r.arrivals <- &arrival{ops: []*groups.Op{op}, bytes: len(op.Frame())}
		r.arriving.Add(int64(len(op.Frame())))
	}
	onRoom(func() {
		arrive("by Bo")
		w, before := text("beside Bo"), r.begun.Load()
		r.gathering.rest = nil
		r.hear(w)
		answered(w, nil)
		if n := r.begun.Load() - before; n != 1 {
			t.Errorf("a word and an arrival took %d transactions", n)
		}
		arrive("by Bo again")
		w, bad := text("beside what is refused"), word{answer: make(chan error, 1), say: func(*commit) error { return refused }}
		r.gathering.words, r.gathering.rest = []word{w}, nil
		r.hear(bad)
		answered(w, nil)
		answered(bad, refused)
		if n := r.arriving.Load(); n != 0 {
			t.Errorf("%d bytes are still to be taken in", n)
		}
	})
	said := texts(t, ann, g)
	for _, s := range []string{"alone", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "late", "by Bo", "beside Bo", "by Bo again", "beside what is refused"} {
		if !slices.Contains(said, s) {
			t.Errorf("%q is not in the timeline", s)
		}
	}
}
