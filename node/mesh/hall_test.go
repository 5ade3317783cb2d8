package mesh

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"
)

// hallOf is a device that carries the topics of one guest, and knows a peer that
// carries too. Frames that begin with bad are forged, with old of another day.
func hallOf(t *testing.T, topics int) (n, other *node, guest, carrier peer.ID, names []string) {
	t.Helper()
	n = start(t, func(c *Config) {
		c.DHTServe, c.Lobby = true, func(_ [32]byte, frame []byte) Verdict {
			switch {
			case bytes.HasPrefix(frame, []byte("bad")):
				return Reject
			case bytes.HasPrefix(frame, []byte("old")):
				return Ignore
			}
			return Accept
		}
	})
	other = start(t, func(c *Config) { c.DHTServe, c.Lobby = true, func([32]byte, []byte) Verdict { return Accept } })
	link2(t, n, other)
	l := n.lobby
	guest, carrier = "a guest", idOf(other.Self())
	for _, id := range []peer.ID{guest, carrier} {
		if !l.come(id) {
			t.Fatal("no room for a guest")
		}
	}
	for i := range topics {
		seed := [32]byte{1, byte(i), byte(i >> 8)}
		names = append(names, lobbyName([32]byte(ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey))))
	}
	if _, err := l.hall.FilterIncomingSubscriptions(guest, subscribes(names...)); err != nil {
		t.Fatal(err)
	}
	l.carry(time.Now())
	if n.Lobby().Carried != topics {
		t.Fatalf("%d topics are carried", n.Lobby().Carried)
	}
	return n, other, guest, carrier, names
}

func subscribes(names ...string) (out []*pb.RPC_SubOpts) {
	for _, name := range names {
		out = append(out, &pb.RPC_SubOpts{Topicid: proto.String(name), Subscribe: proto.Bool(true)})
	}
	return out
}

// said is how many of some frames go on to GossipSub.
func said(n *node, from peer.ID, topic string, frames ...[]byte) int {
	rpc := &pubsub.RPC{}
	for _, f := range frames {
		rpc.Publish = append(rpc.Publish, &pb.Message{Topic: proto.String(topic), Data: f})
	}
	_ = n.lobby.hall.inspect(from, rpc)
	return len(rpc.Publish)
}

func manyFrames(what string, count int) (out [][]byte) {
	for i := range count {
		out = append(out, fmt.Appendf(nil, "%s %d", what, i))
	}
	return out
}

// What is forged, of another day, too much or repeated is not given to GossipSub,
// which would remember it.
func TestHallRefuses(t *testing.T) {
	n, _, guest, _, names := hallOf(t, 1)
	topic := names[0]
	if got := said(n, "nobody", topic, manyFrames("x", 1)...); got != 0 {
		t.Error("who has no stream is heard")
	}
	if got := said(n, guest, lobbyName([32]byte{1}), manyFrames("x", 1)...); got != 0 {
		t.Error("a topic that nobody is on is heard")
	}
	for what, most := range map[string]int{"bad": 0, "old": 0, "good": 8} {
		if got := said(n, guest, topic, manyFrames(what, 8)...); got != most {
			t.Errorf("%d of 8 %s frames go on", got, what)
		}
	}
	if got := said(n, guest, topic, manyFrames("good", 8)...); got != 0 {
		t.Errorf("%d of 8 frames go on again", got)
	}
	if got := said(n, guest, topic, manyFrames("much", 500)...); got > guestSaysBurst {
		t.Errorf("%d of 500 frames of one guest go on", got)
	}
	if n.faults.countOf(guest) != 8 {
		t.Errorf("a guest who forged 8 frames is blamed %d times", n.faults.countOf(guest))
	}
}

// A topic's newest frames are remembered however long ago they were said, and not
// more of them than that.
func TestTopicRemembers(t *testing.T) {
	var c corner
	for i := range 10 * lobbyHeard {
		c.note([32]byte{byte(i), byte(i >> 8)})
		if i >= lobbyHeard {
			if old := i - lobbyHeard; !c.knows([32]byte{byte(old), byte(old >> 8)}) {
				t.Fatalf("frame %d is forgotten at %d", old, i)
			}
		}
		if got := len(c.heard) + len(c.before); got > 2*lobbyHeard {
			t.Fatalf("%d frames are remembered", got)
		}
	}
}

// What some say on their topics through somebody who carries takes nothing of what
// others' topics may say by the same way; but what of its frames is refused does.
func TestHallHearsWhoCarries(t *testing.T) {
	n, _, _, carrier, names := hallOf(t, 40)
	total := 0
	for i, name := range names {
		total += said(n, carrier, name, manyFrames(fmt.Sprint(i), 10)...)
	}
	if total != 400 {
		t.Errorf("%d of 400 frames on 40 topics go on", total)
	}
	if got := said(n, carrier, names[0], manyFrames("much", 500)...); got > lobbySaysBurst {
		t.Errorf("%d frames on one topic go on", got)
	}
	if got := said(n, carrier, names[1], manyFrames("more", 1)...); got != 0 {
		t.Error("who carries may bring what is refused without end")
	}
	n.lobby.mu.Lock()
	n.lobby.guests[carrier].says.SetLimit(1e9) // full at once
	n.lobby.mu.Unlock()
	if got := said(n, carrier, names[1], manyFrames("more", 1)...); got != 1 {
		t.Error("another topic is not heard")
	}
}

// However often a guest changes what it wants to hear, that counts a bounded number
// of times; and who names others all the time comes after who does not.
func TestHallNames(t *testing.T) {
	n, _, guest, carrier, names := hallOf(t, 2)
	l := n.lobby
	counted := func(from peer.ID, subs []*pb.RPC_SubOpts) int {
		pass, err := l.hall.FilterIncomingSubscriptions(from, subs)
		if err != nil {
			t.Fatal(err)
		}
		return len(pass)
	}
	if got := counted(guest, subscribes(names...)); got != 2 {
		t.Errorf("%d of 2 topics count when they are named again", got)
	}
	if got := counted("nobody", subscribes(names...)); got != 0 {
		t.Errorf("%d topics of who has no stream count", got)
	}
	toggle := func(from peer.ID, name string, times int) (got int) {
		for range times {
			for _, on := range []bool{true, false} {
				got += counted(from, []*pb.RPC_SubOpts{{Topicid: proto.String(name), Subscribe: proto.Bool(on)}})
			}
		}
		return got
	}
	other := func(i int) string {
		seed := [32]byte{2, byte(i), byte(i >> 8)}
		return lobbyName([32]byte(ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)))
	}
	if got := toggle("nobody", other(0), 8); got != 0 {
		t.Errorf("%d changes of who has no stream count", got)
	}
	if got := toggle(guest, other(0), 500); got > guestNamesBurst+8 {
		t.Errorf("%d changes of one guest count", got)
	}
	if got := toggle(carrier, other(0), 500); got != 1000 {
		t.Errorf("%d of 1000 changes of who carries count", got)
	}

	busy, quiet := peer.ID("a busy guest"), peer.ID("a quiet guest")
	for _, id := range []peer.ID{busy, quiet} {
		if !l.come(id) {
			t.Fatal("no room for a guest")
		}
	}
	toggle(busy, other(1), 30)
	counted(busy, subscribes(other(2)))
	counted(quiet, subscribes(other(3), other(4)))
	l.mu.Lock()
	delete(l.guests, guest)
	l.mu.Unlock()
	if got := l.wanted(); !slices.Equal(got, []string{other(3), other(4), other(2)}) {
		t.Errorf("the turn is %v", got)
	}
}

// However many say that they carry, what they name together is bounded, and whoever
// comes last may still name some.
func TestHallManyCarry(t *testing.T) {
	n, _, _, _, _ := hallOf(t, 1)
	var names []string
	for i := range 2 * maxNamed {
		seed := [32]byte{5, byte(i), byte(i >> 8)}
		names = append(names, lobbyName([32]byte(ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey))))
	}
	total, last := 0, 0
	for i := range 40 {
		id := peer.ID(fmt.Sprint("says that it carries ", i))
		if err := n.host.Peerstore().AddProtocols(id, carryProtocol); err != nil || !n.lobby.come(id) {
			t.Fatal("no room for a guest", err)
		}
		pass, _ := n.lobby.hall.FilterIncomingSubscriptions(id, subscribes(names...))
		if i == 0 && len(pass) != maxNamed {
			t.Errorf("the first may name %d", len(pass))
		}
		last = len(pass)
		total += last
	}
	if total > 3*maxNamedOfAll || last < maxLobbyTopics {
		t.Errorf("forty name %d together, the last %d", total, last)
	}
}

// All that somebody who carries names counts as what such a one may name, also in the
// moment in which the link is made.
func TestHallKnowsWhoCarries(t *testing.T) {
	for round := range 15 {
		carrier := func(topics int) *node {
			n := start(t, func(c *Config) { c.DHTServe, c.Lobby = true, func([32]byte, []byte) Verdict { return Accept } })
			for i := range topics {
				seed := [32]byte{4, byte(i)}
				if _, err := n.EnterLobby([32]byte(ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)), func([]byte) {}); err != nil {
					t.Fatal(err)
				}
			}
			return n
		}
		a, b := carrier(maxLobbyTopics+1), carrier(1)
		link2(t, a, b)
		eventually(t, fmt.Sprintf("round %d: all topics to be known", round), func() bool { return namedBy(b, a) == maxLobbyTopics+1 })
		a.Close()
		b.Close()
	}
}

// namedBy is how many topics a peer is known to be on.
func namedBy(n, peer *node) int {
	n.lobby.mu.Lock()
	defer n.lobby.mu.Unlock()
	if g := n.lobby.guests[idOf(peer.Self())]; g != nil {
		return len(g.topics)
	}
	return 0
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, tick := within(t), time.NewTicker(2*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// Who carries is on no more topics than it may be, whatever nobody wants any more, and
// all of them are known to who is linked to it, with its own.
func TestCarryMost(t *testing.T) {
	n, other, guest, _, _ := hallOf(t, 1)
	l := n.lobby
	l.fresh.SetBurst(2 * maxCarried)
	l.fresh.SetLimit(1e9) // full at once
	part := func(of int) (out []string) {
		for i := range maxCarried {
			seed := [32]byte{3, byte(of), byte(i), byte(i >> 8)}
			out = append(out, lobbyName([32]byte(ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey))))
		}
		return out
	}
	want := func(names []string) {
		l.mu.Lock()
		clear(l.guests[guest].topics)
		for i, name := range names {
			l.guests[guest].topics[name] = i
		}
		l.mu.Unlock()
		l.carry(time.Now())
	}
	want(part(1))
	want(part(2)[:100])
	if got := n.Lobby().Carried; got != maxCarried {
		t.Errorf("%d topics are carried", got)
	}
	l.mu.Lock()
	for _, name := range part(2)[:100] {
		if c := l.corners[name]; c == nil || c.unrelay == nil {
			t.Error("a topic that is wanted has no place beside those that nobody wants")
			break
		}
	}
	l.mu.Unlock()
	const own = 100
	for _, name := range part(3)[:own] {
		topic, _ := readLobbyName(name)
		top, err := n.EnterLobby(topic, func([]byte) {})
		if err != nil {
			t.Fatal(err)
		}
		defer top.Leave()
	}
	eventually(t, "all topics to be known", func() bool { return namedBy(other, n) == maxCarried+own })
}

// A topic has one name, and what is none is refused.
func FuzzLobbyName(f *testing.F) {
	f.Add("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	f.Add("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp") // bits left over
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA") // a key that signs for all
	f.Fuzz(func(t *testing.T, name string) {
		if topic, ok := readLobbyName(name); ok && lobbyName(topic) != name {
			t.Fatalf("%q names what is named %q", name, lobbyName(topic))
		}
	})
}
