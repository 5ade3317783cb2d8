package node

import (
	"encoding/json"
	"fmt"
	"testing"

	"mutuals/node/api"
)

// Who is told of a change and asks at once is not shown what was before it.
func TestEventsAreNotAheadOfTheView(t *testing.T) {
	n := testNode(t, "Ann")
	g := must[api.Group](t)(n.CreateGroup(t.Context(), api.GroupCreate{Name: "0000"})).ID
	const renames = 60
	after := n.LastEventID(t.Context())
	failed := make(chan error, 1)
	go func() {
		for i := 1; i <= renames; i++ {
			name := fmt.Sprintf("%04d", i)
			if _, err := n.PatchGroup(t.Context(), g, api.GroupPatch{Name: &name}); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	for told := ""; told < fmt.Sprintf("%04d", renames); {
		events, err := n.NextEvents(t.Context(), after, 1)
		if err != nil {
			t.Fatal(err)
		}
		now := must[api.Group](t)(n.Group(t.Context(), g))
		for _, e := range events {
			after = e.ID
			if e.Type != api.EventGroupUpdated {
				continue
			}
			var object api.Group
			if err := json.Unmarshal(e.Object, &object); err != nil {
				t.Fatal(err)
			}
			if told = object.Name; now.Name < told {
				t.Fatalf("told of %q, shown %q", told, now.Name)
			}
		}
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
}

// An event of a message has the message as it is when the reader is told; of one
// that has been let go it says so. No change is without an event: who reads up to
// the newest must come to it.
func TestEventsHaveMessagesAsTheyAre(t *testing.T) {
	n := testNode(t, "Ann")
	g := newGroup(t, n, api.GroupCreate{})
	after := n.LastEventID(t.Context())
	stays := must[api.Message](t)(n.Send(t.Context(), g, api.MessageCreate{Text: "<stays> & is told"}))
	gone := must[api.Message](t)(n.Send(t.Context(), g, api.MessageCreate{Text: "gone"}))
	r := n.room(g)
	err := r.step(t.Context(), func(c *commit) error { r.dropEntry(c, gone.ID); return nil })
	if err != nil {
		t.Fatal(err)
	}
	told := map[string][]api.Message{}
	for last := n.LastEventID(t.Context()); after != last; {
		events, err := n.NextEvents(t.Context(), after, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			after = e.ID
			var m api.Message
			if err := json.Unmarshal(e.Object, &m); err != nil {
				t.Fatal(err)
			}
			told[e.Type] = append(told[e.Type], m)
		}
	}
	if got := told[api.EventMessageCreated]; len(got) != 1 || got[0].ID != stays.ID || got[0].Text != stays.Text {
		t.Errorf("told of %+v, want the one that stays", got)
	}
	if got := told[api.EventMessageRetracted]; len(got) != 1 || got[0].ID != gone.ID || got[0].Group != g {
		t.Errorf("told that %+v are gone, want the other", got)
	}
}
