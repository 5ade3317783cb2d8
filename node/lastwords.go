package node

import (
	"context"
	"sync"
	"time"
)

// lastWords bounds what a node that closes still tells: a round trip to linked
// members on a slow line. One that hangs is not waited for.
const lastWords = time.Second

// sayLast tells linked members what they were not told yet: what they wrote a
// moment ago is on this disk, and with this node gone nobody else may be there to
// say so.
func (n *Node) sayLast() {
	if !n.begun.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(n.ctx, lastWords)
	defer cancel()
	var all sync.WaitGroup
	for _, r := range n.openRooms() {
		all.Go(func() { r.sayLast(ctx) })
	}
	all.Wait()
}

func (r *room) sayLast(ctx context.Context) {
	var links []*link
	err := r.step(ctx, func(*commit) error {
		r.tellHave(true)
		for _, l := range r.links {
			if !l.closing {
				l.closing = true
				close(l.last)
			}
			links = append(links, l)
		}
		return nil
	})
	if err != nil {
		return // busy or ended: it tells when it is back
	}
	for _, l := range links {
		select {
		case <-l.ended:
		case <-ctx.Done():
			return
		}
	}
}
