package node

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// What somebody says at once arrives whole, each once and in order, in fewer
// messages of gossip than it has words, and nothing of it finds a full queue.
func TestBurst(t *testing.T) {
	t.Parallel()
	ann, bo, cy := testNode(t, "Ann"), testNode(t, "Bo"), testNode(t, "Cy")
	g := newGroup(t, ann, api.GroupCreate{})
	inv := invite(t, ann, g, 2, "")
	join(t, bo, inv)
	join(t, cy, inv)
	same(t, g, ann, bo, cy)
	before := ann.mesh.Stats().Published
	const words = 300
	var wg sync.WaitGroup
	for i := range words {
		wg.Go(func() {
			if _, err := ann.Send(t.Context(), g, api.MessageCreate{Text: fmt.Sprint("word ", i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if sent := ann.mesh.Stats().Published - before; sent >= words {
		t.Errorf("%d messages of gossip for %d words", sent, words)
	}
	same(t, g, ann, bo, cy)
	for _, n := range []*Node{bo, cy} {
		if lost := n.stats.dropped.Load(); lost > 0 {
			t.Errorf("%d arrivals found no place", lost)
		}
		page := must[api.MessagePage](t)(n.Messages(t.Context(), g, api.Page{Limit: api.MaxPage}))
		last := uint64(0)
		for _, m := range page.Items {
			if m.Kind == api.MessageText && m.Seq <= last {
				t.Errorf("seq %d stands after %d", m.Seq, last)
			}
			last = m.Seq
		}
	}
}

// Two members who cannot reach each other hear each other at once through a
// harbor, which passes on what it cannot read: by gossip, not when they sync.
func TestGossipThroughHarbor(t *testing.T) {
	t.Parallel()
	ann, bo, h := testNode(t, "Ann"), testNode(t, "Bo"), harborNode(t, t.TempDir())
	g := newGroup(t, ann, api.GroupCreate{})
	join(t, bo, invite(t, ann, g, 1, ""))
	appoint(t, ann, h, g, api.RightStore)
	same(t, g, ann, bo)
	ann.mesh.Block(bo.mesh.Self(), true)
	bo.mesh.Block(ann.mesh.Self(), true)
	within(t, bo, patience, "Ann and Bo apart", func() bool {
		return !bo.mesh.Connected(ann.mesh.Self()) && !ann.mesh.Connected(bo.mesh.Self())
	})
	for _, n := range []*Node{ann, bo} {
		within(t, n, patience, "the harbor on the topic", func() (on bool) {
			inRoom(t, n, g, func(r *room) {
				e, ok := r.sendEpoch()
				on = ok && r.topics[e.EID] != nil && slices.Contains(r.topics[e.EID].t.Peers(), h.mesh.Self())
			})
			return on
		})
	}
	before := [2]uint64{ann.mesh.Stats().Delivered, bo.mesh.Stats().Delivered}
	for i := range 5 {
		from, to := ann, bo
		if i%2 == 1 {
			from, to = bo, ann
		}
		text := fmt.Sprint("past the harbor ", i)
		say(t, from, g, text)
		hears(t, to, g, text)
	}
	if ann.mesh.Stats().Delivered == before[0] || bo.mesh.Stats().Delivered == before[1] {
		t.Error("nothing came by gossip")
	}
	same(t, g, ann, bo, h)
}

// Words go straight to whom the topic does not reach, and to nobody else, however
// young it is; what decides goes straight to all as long as meshes form.
func TestStraight(t *testing.T) {
	t.Parallel()
	ann, bo := testNode(t, "Ann"), testNode(t, "Bo")
	g := newGroup(t, ann, api.GroupCreate{})
	join(t, bo, invite(t, ann, g, 1, ""))
	say(t, ann, g, "so that there is an epoch")
	hears(t, bo, g, "so that there is an epoch")
	within(t, ann, patience, "Bo on the topic", func() (on bool) {
		inRoom(t, ann, g, func(r *room) {
			on = slices.Contains(r.topics[r.wroteOn].t.Reached(), bo.mesh.Self())
		})
		return on
	})
	inRoom(t, ann, g, func(r *room) {
		links := r.links
		defer func() { r.links = links }()
		on, off := &link{out: make(chan *outgoing, 8)}, &link{out: make(chan *outgoing, 8)}
		r.links = map[wire.PeerKey]*link{bo.mesh.Self(): on, {1}: off}
		r.topics[r.wroteOn].joined = r.n.now()
		word := r.stored(r.me, groups.Content, r.heads[chainOf{r.me, groups.Content}].Seq, r.latest.ID)
		r.publish([]*groups.Op{word})
		if len(on.out) != 0 || len(off.out) != 1 {
			t.Errorf("a word went straight %d times to who is on the topic, %d times to who is not", len(on.out), len(off.out))
		}
		r.publish([]*groups.Op{r.g.Ops()[1]})
		if len(on.out) != 1 || len(off.out) != 2 {
			t.Errorf("what decides went straight %d times to who is on the topic, %d times to who is not", len(on.out), len(off.out)-1)
		}
		r.topics[r.wroteOn].joined = r.n.now().Add(-2 * meshForms)
		r.publish([]*groups.Op{r.g.Ops()[1]})
		if len(on.out) != 1 || len(off.out) != 3 {
			t.Errorf("once meshes have formed, what decides went straight %d times more to who is on the topic", len(on.out)-1)
		}
	})
}
