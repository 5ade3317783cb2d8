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
