package node

import (
	"encoding/json"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// What members say they have, and is not here, is told with who owes it and
// who has it, over a restart too; and no more once they turn out not to have it.
func TestGapsAreTold(t *testing.T) {
	t.Parallel()
	g, homes, nodes := three(t)
	ann, bo, cy := nodes[0], nodes[1], nodes[2]
	m := must[api.Message](t)(ann.Send(t.Context(), g, api.MessageCreate{Text: "the last that came"}))
	hears(t, cy, g, m.Text)
	within(t, cy, patience, "rest", func() bool { return must[api.Group](t)(cy.Group(t.Context(), g)).Synced })
	from := cy.LastEventID(t.Context())
	annPeer, boPeer := ann.dev.peer(), bo.dev.peer()
	if err := ann.Close(); err != nil {
		t.Fatal(err)
	}
	if err := bo.Close(); err != nil {
		t.Fatal(err)
	}
	inRoom(t, cy, g, func(r *room) {
		inc := r.view.Load().peers[annPeer]
		head := r.heads[chainOf{inc, groups.Content}]
		ahead := groups.VectorEntry{Inc: inc, Chain: at64(groups.Content), Seq: head.Seq + 5, Head: [16]byte{9}, Floor: 1}
		unknown := groups.VectorEntry{Inc: wire.OpID{0xff}, Chain: at64(groups.Content), Seq: 1 << 47, Head: [16]byte{9}, Floor: 1}
		r.note(&commit{}, boPeer, groups.Vector{ahead, unknown}.Sort())
	})
	want := func(group api.Group) bool {
		if group.Synced || len(group.Gaps) != 2 {
			return false
		}
		lie, gap := group.Gaps[0], group.Gaps[1]
		return lie.Author.IsZero() && lie.Missing == maxMissing &&
			gap.Kind == api.GapMessages && gap.Author == ann.dev.account() && gap.Name == "Ann" && gap.Missing == 5 &&
			len(gap.HeldBy) == 1 && gap.HeldBy[0] == bo.dev.account() && group.CompleteTo.Equal(m.SentAt.Truncate(time.Millisecond))
	}
	within(t, cy, patience, "the gap", func() bool { return want(must[api.Group](t)(cy.Group(t.Context(), g))) })
	told := false
	for !told {
		for _, e := range must[[]api.Event](t)(cy.NextEvents(t.Context(), from, 100)) {
			from = e.ID
			var group api.Group
			if e.Type == api.EventGroupUpdated && json.Unmarshal(e.Object, &group) == nil {
				told = told || want(group)
			}
		}
	}
	if err := cy.Close(); err != nil {
		t.Fatal(err)
	}
	cy = startNode(t, homes[2], "Cy", nil)
	if group := must[api.Group](t)(cy.Group(t.Context(), g)); !want(group) {
		t.Errorf("after a restart: %+v", group.Gaps)
	}
	// Bo is asked, and has nothing of the kind.
	startNode(t, homes[1], "Bo", nil)
	within(t, cy, patience, "the gap to close", func() bool {
		group := must[api.Group](t)(cy.Group(t.Context(), g))
		return group.Synced && len(group.Gaps) == 0 && group.CompleteTo.IsZero()
	})
}

// Messages whose key is missing are named, if this device may have the key.
func TestMissingKeysAreGaps(t *testing.T) {
	g, _, nodes := three(t)
	bo := nodes[1]
	m := must[api.Message](t)(nodes[0].Send(t.Context(), g, api.MessageCreate{Text: "shut"}))
	hears(t, bo, g, "shut")
	inRoom(t, bo, g, func(r *room) {
		e, ok := r.sendEpoch()
		inc, _ := r.g.State().IncOfDevice(nodes[0].dev.id())
		r.locked[e.EID] = map[wire.OpID]lockedOp{m.ID: {inc: inc.ID, seq: m.Seq}}
		r.locked[[32]byte{1}] = map[wire.OpID]lockedOp{{1}: {inc: inc.ID, seq: m.Seq}} // of an epoch nobody knows
		got := r.findGaps()
		if !ok || len(got.list) != 1 || got.list[0].Kind != api.GapKeys || got.list[0].Missing != 1 || got.list[0].Author != nodes[0].dev.account() {
			t.Errorf("%+v", got.list)
		}
		clear(r.locked)
	})
}

// Who lies about every chain keeps nobody else's words out, and cannot make
// readers be told more than some.
func TestLiesAboutGapsAreBounded(t *testing.T) {
	g, _, nodes := three(t)
	ann, cy := nodes[0], nodes[2]
	inRoom(t, cy, g, func(r *room) {
		v := r.view.Load()
		lies := make(groups.Vector, 2*maxClaims/claimShare)
		for i := range lies {
			lies[i] = groups.VectorEntry{Inc: wire.OpID{1, byte(i >> 8), byte(i)}, Chain: at64(groups.Content), Seq: 7, Floor: 1}
		}
		liar, honest := nodes[1].dev.peer(), ann.dev.peer()
		r.note(&commit{}, liar, lies)
		inc := v.peers[honest]
		at := chainOf{inc, groups.Content}
		r.note(&commit{}, honest, groups.Vector{{Inc: inc, Chain: at64(groups.Content), Seq: r.heads[at].Seq + 2, Floor: 1}})
		if n := len(r.claims[v.peers[liar]]); n != maxClaims/claimShare {
			t.Errorf("%d lies are remembered", n)
		}
		told := r.findGaps().list
		if len(told) != 2 || told[1].Author != ann.dev.account() || told[1].Missing != 2 {
			t.Errorf("%+v", told)
		}
		clear(r.claims)
	})
}
