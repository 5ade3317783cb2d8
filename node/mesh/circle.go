package mesh

import (
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"sync"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"mutuals/identity/wire"
)

// circle names who hears a topic of a device, itself and the linked subscribers it
// can send to, in a few bytes; zero if there are none. It stands before each frame,
// as its author's is: he hands the frame to all of them. Whoever has the same one
// and got the frame from the author knows that there is nobody to pass it on to. In
// a small group all are linked with all, and passing on costs three times as much as
// saying it.
type circle [8]byte

func circleOf(ids ...peer.ID) (c circle) {
	slices.Sort(ids)
	h := sha256.New()
	for _, id := range ids {
		h.Write([]byte(id)) // all of one length, or they would be no Ed25519 keys
	}
	copy(c[:], h.Sum(nil))
	return c
}

// listeners are the subscribers of a topic that are linked.
type listeners struct {
	mu      sync.Mutex
	ids     map[peer.ID]struct{}
	reached []wire.PeerKey // those of them that can be sent to; replaced, never changed
	sum     circle         // of these
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

// draw makes the circle what it is now.
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
	t.hears.sum, t.hears.reached = circle{}, nil
	for _, id := range ids {
		if key, ok := keyOf(id); ok {
			t.hears.reached = append(t.hears.reached, key)
		}
	}
	if len(ids) > 0 {
		t.hears.sum = circleOf(append(ids, t.g.m.host.ID())...)
	}
}

// circle is who hears what this device says on the topic.
func (t *Topic) circle() circle {
	t.hears.mu.Lock()
	defer t.hears.mu.Unlock()
	return t.hears.sum
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

// frameOf parts what travels on a topic; ok is false if it is too short.
func frameOf(data []byte) (of circle, frame []byte, ok bool) {
	if len(data) < len(of) {
		return of, nil, false
	}
	return circle(data[:len(of)]), data[len(of):], true
}
