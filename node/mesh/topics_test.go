package mesh

import (
	"fmt"
	"testing"

	"mutuals/identity/wire"
)

// A device in as many groups as it may be in, each with the topics of all the epochs
// it still listens to, is heard by those it links with: all are named in one packet.
func TestManyTopics(t *testing.T) {
	const topics = 200 * 8
	a, b := start(t, nil), start(t, nil)
	g := group(a.Self(), b.Self())
	gate := Gate{Allow: g.allow, Judge: func(wire.PeerKey, []byte, bool) (Verdict, any) { return Accept, nil }, Deliver: func(wire.PeerKey, []byte, any) {}}
	join := func(n *node, i int) *Topic {
		top, err := n.Join(fmt.Sprintf("%043d", i), gate)
		if err != nil {
			t.Fatal(err)
		}
		return top
	}
	for i := range topics {
		join(a, i)
	}
	first, last := join(b, 0), join(b, topics-1)
	link2(t, a, b)
	poll(t, func() bool { return len(first.Peers()) == 1 && len(last.Peers()) == 1 })
}
