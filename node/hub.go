package node

import (
	"context"
	"sync"

	"mutuals/node/api"
)

// hubBuffer is how many passing events a slow reader may lag behind before it
// misses some; they are not replayed, so nothing waits for it.
const hubBuffer = 64

// hub passes on what is worth seeing now and not worth storing: progress and
// the state of the network. What is stored travels by the store's change log
// instead, and only there.
type hub struct {
	mu      sync.Mutex
	readers map[chan api.Event]struct{}
}

func newHub() *hub { return &hub{readers: map[chan api.Event]struct{}{}} }

func (h *hub) tell(e api.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.readers {
		select {
		case c <- e:
		default: // a reader that is behind misses it
		}
	}
}

// watch returns what is told until ctx is done; the channel is then closed.
func (h *hub) watch(ctx context.Context) <-chan api.Event {
	c := make(chan api.Event, hubBuffer)
	h.mu.Lock()
	h.readers[c] = struct{}{}
	h.mu.Unlock()
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.readers, c)
		close(c)
	})
	return c
}

// Watch returns events that have no id and are not replayed (progress of
// tasks, changes of the network) until ctx is done.
func (n *Node) Watch(ctx context.Context) <-chan api.Event { return n.hub.watch(ctx) }
