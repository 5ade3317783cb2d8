package mesh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"mutuals/identity/wire"
)

// members is a group as the gates of one node see it; it may change.
type members struct {
	mu  sync.Mutex
	set map[wire.PeerKey]bool
}

func group(ks ...wire.PeerKey) *members {
	m := &members{set: map[wire.PeerKey]bool{}}
	for _, k := range ks {
		m.set[k] = true
	}
	return m
}

func (m *members) allow(k wire.PeerKey) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.set[k]
}

func (m *members) put(k wire.PeerKey, in bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set[k] = in
}

// inbox collects what a topic delivers.
type inbox struct {
	ch chan string
}

func newInbox() *inbox { return &inbox{ch: make(chan string, 4096)} }

func (b *inbox) deliver(_ wire.PeerKey, frame []byte, _ any) { b.ch <- string(frame) }

// until takes frames up to and with want, and returns those before it.
func (b *inbox) until(t testing.TB, want string) (before []string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case got := <-b.ch:
			if got == want {
				return before
			}
			before = append(before, got)
		case <-timeout:
			t.Fatalf("frame %q never came; before it %d others", want, len(before))
		}
	}
}

func judgeAll(wire.PeerKey, []byte, bool) (Verdict, any) { return Accept, nil }

// enter joins a topic open to g.
func enter(t testing.TB, n *node, topic string, g *members) (*Topic, *inbox) {
	t.Helper()
	in := newInbox()
	top, err := n.Join(topic, Gate{Allow: g.allow, Judge: judgeAll, Deliver: in.deliver})
	if err != nil {
		t.Fatal(err)
	}
	return top, in
}

// say publishes on a topic.
func say(t testing.TB, top *Topic, frame string) {
	t.Helper()
	if err := top.Publish(context.Background(), []byte(frame)); err != nil {
		t.Fatal(err)
	}
}

// sees waits until top counts peer as subscribed (or no longer): there is no
// event for it, so it asks in turn with the scheduler.
func sees(t testing.TB, top *Topic, peer wire.PeerKey, want bool) {
	t.Helper()
	ctx := within(t)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for slices.Contains(top.Peers(), peer) != want {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("subscription of %s: want %v", peer.Short(), want)
		}
	}
}

func TestPublishReachesAtOnce(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	g := group(a.Self(), b.Self())
	_, in := enter(t, b, "talk", g)
	link2(t, a, b)
	top, _ := enter(t, a, "other", g)
	sees(t, top, b.Self(), false)
	// B subscribed long before A joins: the first message must not wait for a
	// heartbeat (1 s) to build a mesh, nor be lost.
	top, _ = enter(t, a, "talk", g)
	sees(t, top, b.Self(), true)
	begin := time.Now()
	say(t, top, "hello")
	in.until(t, "hello")
	t.Logf("first message after %v", time.Since(begin))
}

// Ten milliseconds after Join a message must reach whoever is linked and in
// the topic, in both directions, in a group of six, every time.
func TestPublishTenMillisecondsAfterJoin(t *testing.T) {
	const n = 6
	nodes := make([]*node, n)
	g := group()
	for i := range nodes {
		nodes[i] = start(t, nil)
		g.put(nodes[i].Self(), true)
		// A first topic opens gossip between them, as any older group does.
		for _, other := range nodes[:i] {
			link2(t, nodes[i], other)
		}
	}
	for round := range 5 {
		name := fmt.Sprint("epoch ", round)
		var tops []*Topic
		var boxes []*inbox
		for _, n := range nodes {
			top, in := enter(t, n, name, g)
			tops, boxes = append(tops, top), append(boxes, in)
		}
		timer := time.NewTimer(10 * time.Millisecond)
		<-timer.C
		for i, top := range tops {
			say(t, top, fmt.Sprint(name, i))
		}
		for i, box := range boxes {
			got := map[string]bool{}
			timeout := time.After(patience)
			for len(got) < n-1 {
				select {
				case f := <-box.ch:
					got[f] = true
				case <-timeout:
					t.Fatalf("round %d: node %d has %d of %d", round, i, len(got), n-1)
				}
			}
		}
		for _, top := range tops {
			top.Leave()
		}
	}
}

func TestRefreshAdmits(t *testing.T) {
	for _, tc := range []struct {
		name   string
		shared bool // they share another group, so gossip is open between them
	}{{"stranger", false}, {"neighbour", true}} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := start(t, nil), start(t, nil)
			all := group(a.Self(), b.Self())
			if tc.shared {
				ta, _ := enter(t, a, "shared", all)
				enter(t, b, "shared", all)
				link2(t, a, b)
				sees(t, ta, b.Self(), true)
			} else {
				link2(t, a, b)
			}
			known := group(a.Self())
			ta, ina := enter(t, a, "talk", known) // A has not heard of B's admission
			tb, inb := enter(t, b, "talk", all)   // B announces too early
			if tc.shared {
				probe(t, a, b, all)
			}
			sees(t, ta, b.Self(), false)
			known.put(b.Self(), true)
			a.Refresh(b.Self())
			sees(t, ta, b.Self(), true)
			sees(t, tb, a.Self(), true)
			say(t, ta, "welcome")
			inb.until(t, "welcome")
			say(t, tb, "thanks")
			ina.until(t, "thanks")
		})
	}
}

// probes numbers them: GossipSub takes the same frame only once.
var probes atomic.Int64

// probe returns when everything a and b sent each other before has been
// handled: a frame through a topic of its own comes behind it.
func probe(t *testing.T, a, b *node, g *members) {
	t.Helper()
	name := fmt.Sprint("probe ", probes.Add(1))
	ta, ina := enter(t, a, name, g)
	tb, inb := enter(t, b, name, g)
	sees(t, ta, b.Self(), true)
	sees(t, tb, a.Self(), true)
	say(t, ta, name+"a")
	inb.until(t, name+"a")
	say(t, tb, name+"b")
	ina.until(t, name+"b")
	ta.Leave()
	tb.Leave()
}

// An epoch's members do not all move to its topic in the same moment.
func TestAnnouncedBeforeJoin(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	g := group(a.Self(), b.Self())
	enter(t, a, "old", g)
	enter(t, b, "old", g)
	link2(t, a, b)
	for i := range 10 { // more often than a peer could be asked to announce again
		name := fmt.Sprint("new ", i)
		tb, inb := enter(t, b, name, g)
		probe(t, a, b, g)
		ta, ina := enter(t, a, name, g)
		sees(t, ta, b.Self(), true)
		sees(t, tb, a.Self(), true)
		say(t, ta, name)
		inb.until(t, name)
		say(t, tb, "re "+name)
		ina.until(t, "re "+name)
	}
}

// GossipSub's stream to a peer breaks and is opened anew, while the peer's own
// lives on: what the peer announced on it still counts.
func TestBrokenStreamKeepsSubscriptions(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	g := group(a.Self(), b.Self())
	ta, _ := enter(t, a, "talk", g)
	tb, in := enter(t, b, "talk", g)
	link2(t, a, b)
	sees(t, ta, b.Self(), true)
	sees(t, tb, a.Self(), true)
	reads := func() *inbound {
		b.gossip.mu.Lock()
		defer b.gossip.mu.Unlock()
		return b.gossip.link(idOf(a.Self())).in
	}
	old := reads()
	for _, c := range a.host.Network().ConnsToPeer(idOf(b.Self())) {
		for _, s := range c.GetStreams() {
			if s.Protocol() == gossipProtocol && s.Stat().Direction == network.DirOutbound {
				s.Reset()
			}
		}
	}
	ctx := within(t)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for now := reads(); now == nil || now == old; now = reads() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the stream was not opened anew")
		}
	}
	sees(t, ta, b.Self(), true)
	say(t, ta, "hello")
	in.until(t, "hello")
}

func TestVerdicts(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	g := group(a.Self(), b.Self())
	ta, _ := enter(t, a, "talk", g)
	got := make(chan any, 16)
	tb, err := b.Join("talk", Gate{
		Allow: g.allow,
		Judge: func(from wire.PeerKey, frame []byte, _ bool) (Verdict, any) {
			if from != a.Self() {
				t.Error("frame from another")
			}
			switch frame[0] {
			case 'i':
				return Ignore, nil
			case 'r':
				return Reject, nil
			}
			return Accept, len(frame)
		},
		Deliver: func(_ wire.PeerKey, frame []byte, checked any) { got <- fmt.Sprint(string(frame), checked) },
	})
	if err != nil {
		t.Fatal(err)
	}
	link2(t, a, b)
	sees(t, ta, b.Self(), true)
	say(t, ta, "ignored")
	say(t, ta, "rejected")
	say(t, ta, "fine")
	select {
	case v := <-got:
		if v != "fine4" {
			t.Fatalf("delivered %v", v)
		}
	case <-time.After(patience):
		t.Fatal("nothing delivered")
	}
	if s := b.Stats(); s.Rejected != 1 || s.Ignored != 1 || s.Delivered != 1 {
		t.Errorf("stats %+v", s)
	}
	if err := ta.Publish(context.Background(), make([]byte, MaxGossip+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("publishing too much: %v", err)
	}
	big := bytes.Repeat([]byte("x"), MaxGossip)
	say(t, ta, string(big))
	select {
	case v := <-got:
		if v != fmt.Sprint(string(big), MaxGossip) {
			t.Error("largest frame came changed")
		}
	case <-time.After(patience):
		t.Fatal("largest frame never came")
	}
	tb.Leave()
	if err := tb.Publish(context.Background(), []byte("x")); !errors.Is(err, ErrLeft) {
		t.Errorf("publishing after leaving: %v", err)
	}
	sees(t, ta, b.Self(), false)
}

// Frames of one author come in order, and a burst beyond all default queues
// is not lost.
func TestOrderOfABurst(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	g := group(a.Self(), b.Self())
	ta, _ := enter(t, a, "talk", g)
	_, in := enter(t, b, "talk", g)
	link2(t, a, b)
	sees(t, ta, b.Self(), true)
	const n = 2000
	for i := range n {
		say(t, ta, fmt.Sprint(i))
	}
	before := in.until(t, fmt.Sprint(n-1))
	if len(before) != n-1 {
		t.Fatalf("%d frames before the last, want %d", len(before), n-1)
	}
	for i, f := range before {
		if f != fmt.Sprint(i) {
			t.Fatalf("frame %d is %q", i, f)
		}
	}
	if s := b.Stats(); s.DropsIn != 0 || a.Stats().DropsOut != 0 {
		t.Errorf("dropped: %+v %+v", s, a.Stats())
	}
}
