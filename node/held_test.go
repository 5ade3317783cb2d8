package node

import (
	"encoding/json"
	"fmt"
	"testing"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// three makes a group of three on homes that can be opened again.
func three(t *testing.T) (g wire.GroupID, homes [3]string, nodes [3]*Node) {
	t.Helper()
	for i, name := range []string{"Ann", "Bo", "Cy"} {
		homes[i] = t.TempDir()
		nodes[i] = startNode(t, homes[i], name, nil)
	}
	g = newGroup(t, nodes[0], api.GroupCreate{})
	inv := invite(t, nodes[0], g, 2, "")
	join(t, nodes[1], inv)
	join(t, nodes[2], inv)
	same(t, g, nodes[:]...)
	return g, homes, nodes
}

func messageIs(t testing.TB, n *Node, m api.Message, what string, ok func(api.Message) bool) api.Message {
	t.Helper()
	var now api.Message
	within(t, n, patience, what, func() bool {
		now = must[api.Message](t)(n.Message(t.Context(), m.Group, m.ID.String()))
		return ok(now)
	})
	return now
}

// Where an own message is, is known after a restart as before, also with
// nobody there to ask.
func TestHeldOverARestart(t *testing.T) {
	t.Parallel()
	g, homes, nodes := three(t)
	ann := nodes[0]
	m := must[api.Message](t)(ann.Send(t.Context(), g, api.MessageCreate{Text: "who has it?"}))
	if m.HeldOf != 2 {
		t.Errorf("%d can hold it, want the two others", m.HeldOf)
	}
	messageIs(t, ann, m, "both to report it", func(m api.Message) bool { return m.HeldBy == 2 })
	within(t, ann, patience, "that to be on disk", func() bool { return !ann.room(g).heldOwed() })
	for _, n := range nodes {
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	ann = startNode(t, homes[0], "Ann", nil)
	if m := must[api.Message](t)(ann.Message(t.Context(), g, m.ID.String())); m.HeldBy != 2 || m.State != api.StateDelivered {
		t.Errorf("alone after a restart: held by %d, %s", m.HeldBy, m.State)
	}
	alone := must[api.Message](t)(ann.Send(t.Context(), g, api.MessageCreate{Text: "and this?"}))
	if alone.State != api.StateStored || alone.HeldBy != 0 {
		t.Errorf("said to nobody: %s, held by %d", alone.State, alone.HeldBy)
	}
	if st := ann.Status(t.Context()); st.SafeToClose || st.OnlyHere != 1 {
		t.Errorf("status: safe %v, %d only here", st.SafeToClose, st.OnlyHere)
	}
	if err := ann.Shutdown(t.Context(), true); code(err) != api.OnlyCopy {
		t.Errorf("a careful shutdown: %v", err)
	}
	bo := startNode(t, homes[1], "Bo", nil)
	hears(t, bo, g, "and this?")
	messageIs(t, ann, alone, "Bo to report it", func(m api.Message) bool { return m.HeldBy == 1 && m.State == api.StateDelivered })
	if g := must[api.Group](t)(ann.Group(t.Context(), g)); !g.SafeToClose {
		t.Errorf("%d only here, though Bo has all", g.OnlyHere)
	}
	if err := ann.Shutdown(t.Context(), true); err != nil {
		t.Errorf("a careful shutdown, with nothing here alone: %v", err)
	}
}

// A careful shutdown right after a message waits for whoever is linked to
// report it; in a group of one there is nobody to wait for.
func TestCarefulShutdownWaitsForReports(t *testing.T) {
	t.Parallel()
	g, _, nodes := three(t)
	lone := newGroup(t, nodes[1], api.GroupCreate{Name: "Diary"})
	say(t, nodes[1], lone, "dear diary")
	say(t, nodes[1], g, "bye")
	if err := nodes[1].Shutdown(t.Context(), true); err != nil {
		t.Errorf("right after a message: %v", err)
	}
}

// Readers are told of each own message that it was sent and reached others, in
// few events however many report it, and the last tells what holds.
func TestStatesAreTold(t *testing.T) {
	t.Parallel()
	g, _, nodes := three(t)
	ann := nodes[0]
	within(t, ann, patience, "rest", func() bool { return !ann.room(g).heldOwed() })
	from := ann.LastEventID(t.Context())
	const count = 50
	var last api.Message
	for i := range count {
		last = must[api.Message](t)(ann.Send(t.Context(), g, api.MessageCreate{Text: fmt.Sprint(i)}))
	}
	messageIs(t, ann, last, "both to report the last", func(m api.Message) bool { return m.HeldBy == 2 })
	within(t, ann, patience, "all to be told", func() bool { return !ann.room(g).heldOwed() })
	held, updates := map[string]int{}, 0
	for len(held) < count || held[last.ID.String()] < 2 {
		events := must[[]api.Event](t)(ann.NextEvents(t.Context(), from, 100))
		for _, e := range events {
			from = e.ID
			if e.Type != api.EventMessageUpdated {
				continue
			}
			var m api.Message
			if err := json.Unmarshal(e.Object, &m); err != nil {
				t.Fatal(err)
			}
			updates++
			held[m.ID.String()] = m.HeldBy
		}
	}
	for id, n := range held {
		if n != 2 {
			t.Errorf("%s: last told as held by %d", id, n)
		}
	}
	if updates > 4*count {
		t.Errorf("%d updates for %d messages", updates, count)
	}
	t.Logf("%d updates for %d messages", updates, count)
}

// A head that is none of ours is no word about our chain, wherever it stands.
func TestHeldNeedsTheHead(t *testing.T) {
	t.Parallel()
	g, _, nodes := three(t)
	ann, bo := nodes[0], nodes[1]
	var m api.Message
	for i := range 3 {
		m = must[api.Message](t)(ann.Send(t.Context(), g, api.MessageCreate{Text: fmt.Sprint(i)}))
	}
	messageIs(t, ann, m, "both to report it", func(m api.Message) bool { return m.HeldBy == 2 })
	inRoom(t, ann, g, func(r *room) {
		at := chainOf{r.me, groups.Content}
		head := r.heads[at]
		clear(r.held.by)
		c := &commit{}
		for _, e := range []groups.VectorEntry{
			{Inc: r.me, Chain: at64(groups.Content), Seq: head.Seq, Head: [16]byte{1}},
			{Inc: r.me, Chain: at64(groups.Content), Seq: head.Seq - 1, Head: [16]byte{1}},
			{Inc: r.me, Chain: at64(groups.Content), Seq: head.Seq + 1, Head: [16]byte{1}},
		} {
			r.note(c, bo.dev.peer(), groups.Vector{e})
			if n := r.heldElsewhere(r.view.Load(), at); n != 0 {
				t.Errorf("seq %d of %d with another head: held up to %d", e.Seq, head.Seq, n)
			}
		}
		r.note(c, bo.dev.peer(), groups.Vector{head})
		if n := r.heldElsewhere(r.view.Load(), at); n != head.Seq {
			t.Errorf("with the right head held up to %d of %d", n, head.Seq)
		}
	})
}

func at64(k groups.ChainKind) uint64 { return uint64(k) }

// heldOwed tells whether readers or the disk are behind.
func (r *room) heldOwed() bool {
	r.held.mu.Lock()
	defer r.held.mu.Unlock()
	return len(r.held.rows) > 0
}

// Who goes says first what it has: the author of what came a moment ago knows
// that it is held, though nobody is left to ask.
func TestLastWords(t *testing.T) {
	home := t.TempDir()
	ann, bo := testNode(t, "Ann"), startNode(t, home, "Bo", nil)
	g := newGroup(t, ann, api.GroupCreate{})
	join(t, bo, invite(t, ann, g, 1, ""))
	same(t, g, ann, bo)
	for i := range 5 {
		text := fmt.Sprint("round ", i)
		say(t, ann, g, text+", first") // its report uses up Bo's second
		m := must[api.Message](t)(ann.Send(t.Context(), g, api.MessageCreate{Text: text}))
		hears(t, bo, g, text)
		if err := bo.Close(); err != nil {
			t.Fatal(err)
		}
		now := messageIs(t, ann, m, "no link", func(api.Message) bool { return !ann.mesh.Connected(bo.dev.peer()) })
		if now.HeldBy != 1 {
			t.Errorf("%s: Bo went and did not say that it has it", text)
		}
		bo = startNode(t, home, "Bo", nil)
		same(t, g, ann, bo)
	}
}
