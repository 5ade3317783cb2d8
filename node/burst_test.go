package node

import (
	"fmt"
	"sync"
	"testing"

	"mutuals/node/api"
)

// What somebody says at once arrives whole, each once and in order, in fewer
// messages of gossip than it has words, and nothing of it finds a full queue.
func TestBurst(t *testing.T) {
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
