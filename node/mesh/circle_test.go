package mesh

import (
	"bytes"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"

	"mutuals/identity/wire"
)

// What an author hands to all is passed on by nobody. Who is linked with somebody
// he does not reach knows it, and passes it on.
func TestCircle(t *testing.T) {
	var nodes []*node
	g := group()
	for range 4 {
		n := start(t, nil)
		g.put(n.Self(), true)
		nodes = append(nodes, n)
	}
	author := nodes[0].Self()
	var tops []*Topic
	var boxes []*inbox
	var known [4]atomic.Uint64
	var keep atomic.Bool
	for i, n := range nodes {
		box := newInbox()
		top, err := n.Join("talk", Gate{Allow: g.allow, Deliver: box.deliver, Judge: func(from wire.PeerKey, _ []byte, all bool) (Verdict, any) {
			if all && from == author {
				known[i].Add(1)
				if keep.Load() {
					return Keep, nil
				}
			}
			return Accept, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		tops, boxes = append(tops, top), append(boxes, box)
	}
	a, b, c, d := nodes[0], nodes[1], nodes[2], nodes[3]
	if !bytes.Equal(tops[0].circle(), noCircle) {
		t.Error("who is linked with nobody has a circle")
	}
	link2(t, a, b)
	link2(t, a, c)
	link2(t, b, c)
	for _, top := range tops[:3] {
		poll(t, func() bool { return len(top.Reached()) == 2 })
	}
	said := 0
	word := func() string {
		said++
		return fmt.Sprint("word ", said)
	}
	poll(t, func() bool { // until there are meshes, at the next heartbeat
		say(t, tops[0], word())
		return b.Stats().Duplicates > 0 && c.Stats().Duplicates > 0
	})
	for _, box := range boxes[1:3] {
		box.until(t, fmt.Sprint("word ", said))
	}
	keep.Store(true)
	const words = 200
	var before [4]uint64
	for i, n := range nodes {
		before[i] = n.Stats().Duplicates
	}
	for range words {
		say(t, tops[0], word())
	}
	for i := 1; i < 3; i++ {
		boxes[i].until(t, fmt.Sprint("word ", said))
		if n := int(known[i].Load()); n < words {
			t.Errorf("%d frames of %d are known to have reached all", n, said)
		}
		if n := nodes[i].Stats().Duplicates - before[i]; n > words/4 { // a few were on their way
			t.Errorf("%d of %d frames came twice", n, words)
		}
	}

	link2(t, c, d)
	poll(t, func() bool { return len(tops[2].Reached()) == 3 && len(tops[3].Reached()) == 1 })
	knew := [4]uint64{1: known[1].Load(), 2: known[2].Load()}
	poll(t, func() bool { // until c's mesh has taken d in, likewise
		say(t, tops[0], word())
		return len(boxes[3].ch) > 0
	})
	boxes[1].until(t, fmt.Sprint("word ", said))
	boxes[2].until(t, fmt.Sprint("word ", said))
	if known[1].Load() == knew[1] {
		t.Error("b, linked with a and c alone, does not know that they have what a says")
	}
	if known[2].Load() != knew[2] {
		t.Error("c believes that all have what d has not")
	}

	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	poll(t, func() bool { return len(tops[2].Reached()) == 2 })
}

// What travels is a circle and a frame. A circle says who is in it, and of one that
// is too large nothing.
func TestCircleOf(t *testing.T) {
	var keys []wire.PeerKey
	for i := range byte(maxTags + 1) {
		keys = append(keys, wire.PeerKey{9, 8, 7, 6, 5, i})
	}
	for n := range maxTags + 2 {
		c := circleOf(keys[:n])
		said, frame, ok := frameOf(append(slices.Clone(c), "frame"...))
		if !ok || !bytes.Equal(said, c) || string(frame) != "frame" {
			t.Fatalf("a circle of %d is read as %x and %q", n, said, frame)
		}
		for i, key := range keys {
			if holds(c, key) != (i < n && n <= maxTags) {
				t.Errorf("a circle of %d has key %d in it: %v", n, i, holds(c, key))
			}
		}
		if n > 0 && n <= maxTags {
			if _, _, ok := frameOf(c[:len(c)-1]); ok {
				t.Errorf("a circle of %d that is cut off is taken", n)
			}
		}
	}
	for _, data := range [][]byte{nil, bytes.Repeat([]byte{maxTags + 1}, 1000)} {
		if _, _, ok := frameOf(data); ok {
			t.Errorf("%d bytes are taken for a circle and a frame", len(data))
		}
	}
}

// A frame is the same under whatever circle it comes, and judged once.
func TestCircleHidesNoFrame(t *testing.T) {
	under := func(i int) []byte { return circleOf([]wire.PeerKey{{byte(i)}}) }
	id := func(circle []byte, frame string) string { return talkID(&pb.Message{Data: append(circle, frame...)}) }
	if id(under(1), "a frame") != id(under(2), "a frame") || id(noCircle[:1:1], "a frame") != id(under(2), "a frame") {
		t.Error("a frame that is here counts as another under another circle")
	}
	if id(under(1), "a frame") == id(under(1), "another") || id([]byte{99}, "no circle") == id([]byte{99}, "nor this") {
		t.Error("two frames are one")
	}
	n, m := start(t, nil), start(t, nil)
	g := group()
	g.put(n.Self(), true)
	g.put(m.Self(), true)
	from, _ := enter(t, n, "talk", g)
	_, in := enter(t, m, "talk", g)
	link2(t, n, m)
	eventually(t, "the other to hear the topic", func() bool { return len(from.Peers()) == 1 })
	for i := range 20 {
		if err := from.topic.Publish(t.Context(), append(under(i), "old"...)); err != nil {
			t.Fatal(err)
		}
	}
	if err := from.Publish(t.Context(), []byte("last")); err != nil {
		t.Fatal(err)
	}
	if before := in.until(t, "last"); len(before) != 1 {
		t.Errorf("one frame came %d times", len(before))
	}
}
