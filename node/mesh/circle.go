package mesh

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"mutuals/identity/wire"
)

// Before each frame stands its author's circle: whom he hands it to, the linked
// subscribers he can send to, each by the first bytes of its key. Who got the frame
// from the author, and is linked on the topic with nobody besides, has nobody to pass
// it on to. In a small group all are linked with all, or nearly, and passing on costs
// three times as much as saying.
const (
	// tagLen is how much of a key is said: so much that nobody makes a key to be
	// taken for another's, which would keep frames from that one for a while.
	tagLen = 6
	// maxTags bounds a circle: of larger ones nothing is said, since who gets the
	// frame knows somebody else then.
	maxTags = 16
)

// noCircle is that of who says nothing of whom he reaches.
var noCircle = []byte{0}

// circleOf is the circle of who reaches some peers.
func circleOf(reached []wire.PeerKey) []byte {
	if len(reached) > maxTags {
		return noCircle
	}
	b := append(make([]byte, 0, 1+tagLen*len(reached)), byte(len(reached)))
	for _, key := range reached {
		b = append(b, key[:tagLen]...)
	}
	return b
}

// frameOf parts what travels on a topic; ok is false if that is no circle and a frame.
func frameOf(data []byte) (circle, frame []byte, ok bool) {
	if len(data) == 0 || data[0] > maxTags || len(data) < 1+tagLen*int(data[0]) {
		return nil, nil, false
	}
	n := 1 + tagLen*int(data[0])
	return data[:n], data[n:], true
}

// holds tells whether a circle has a peer in it.
func holds(circle []byte, key wire.PeerKey) bool {
	for tags := circle[1:]; len(tags) > 0; tags = tags[tagLen:] {
		if bytes.Equal(tags[:tagLen], key[:tagLen]) {
			return true
		}
	}
	return false
}

// listeners are the subscribers of a topic that are linked.
type listeners struct {
	mu      sync.Mutex
	ids     map[peer.ID]struct{}
	reached []wire.PeerKey // those of them that can be sent to
	circle  []byte         // of these; both are replaced, never changed
}

// follow keeps up with who comes to the topic and goes, until it is left.
func (t *Topic) follow(ctx context.Context) {
	for {
		e, err := t.events.NextPeerEvent(ctx)
		if err != nil {
			return
		}
		t.hears.mu.Lock()
		if e.Type == pubsub.PeerJoin {
			t.hears.ids[e.Peer] = struct{}{}
		} else {
			delete(t.hears.ids, e.Peer)
		}
		t.hears.mu.Unlock()
		t.draw()
	}
}

// draw makes these what they are now.
func (t *Topic) draw() {
	t.hears.mu.Lock()
	defer t.hears.mu.Unlock()
	ids := slices.Collect(maps.Keys(t.hears.ids))
	t.g.mu.Lock()
	ids = slices.DeleteFunc(ids, func(id peer.ID) bool {
		l := t.g.links[id]
		return l == nil || !l.reachable || t.g.score(id) < publishScore
	})
	t.g.mu.Unlock()
	t.hears.reached = nil
	for _, id := range ids {
		if key, ok := keyOf(id); ok {
			t.hears.reached = append(t.hears.reached, key)
		}
	}
	slices.SortFunc(t.hears.reached, func(a, b wire.PeerKey) int { return bytes.Compare(a[:], b[:]) })
	t.hears.circle = circleOf(t.hears.reached)
}

// circle is that of this device.
func (t *Topic) circle() []byte {
	t.hears.mu.Lock()
	defer t.hears.mu.Unlock()
	return t.hears.circle
}

// known tells whether all that a frame could be passed on to are in the circle that
// stands before it, or brought it.
func (t *Topic) known(circle []byte, from wire.PeerKey) bool {
	for _, key := range t.Reached() {
		if key != from && !holds(circle, key) {
			return false
		}
	}
	return true
}

// Reached returns the linked members to whom Publish hands a frame at once; the
// list is not to be changed.
func (t *Topic) Reached() []wire.PeerKey {
	t.hears.mu.Lock()
	defer t.hears.mu.Unlock()
	return t.hears.reached
}

// redraw is draw for all topics that a peer is on.
func (g *gossip) redraw(id peer.ID) {
	for _, t := range *g.topics.Load() {
		t.hears.mu.Lock()
		_, ok := t.hears.ids[id]
		t.hears.mu.Unlock()
		if ok {
			t.draw()
		}
	}
}
