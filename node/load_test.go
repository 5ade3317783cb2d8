package node

import (
	"testing"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// A room that can be found has a view: whoever looks while a group is being
// opened (here a stranger's address, which arrives at any moment) must not meet
// a room without one.
func TestRoomIsNotFoundBeforeItsView(t *testing.T) {
	a := testNode(t, "Ann")
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			default:
			}
			for _, r := range a.openRooms() {
				if r.view.Load() == nil {
					t.Error("a room without a view was found")
					return
				}
			}
			a.knowsPeer(wire.PeerKey{1})
		}
	}()
	for range 20 {
		newGroup(t, a, api.GroupCreate{})
	}
	close(end)
	<-ended
}
