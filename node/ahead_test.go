package node

import (
	"testing"

	"mutuals/groups"
	"mutuals/identity/wire"
)

// Who reads a run opens all of it with the keys of the moment; what is shown is what was
// found so.
func TestAhead(t *testing.T) {
	bo, _, g, people, chains := apart(t, 1, 8)
	r, chain := bo.room(g), chains[people[0].Inc]
	one := runOf(t, r, chain)
	one.ahead = r.lookAhead(one.ops)
	if len(one.ahead) != len(chain) {
		t.Fatalf("%d of %d messages were opened", len(one.ahead), len(chain))
	}
	said := groups.Text{Text: "found ahead"}
	last := one.ops[len(one.ops)-1]
	one.ahead[last] = groups.Plain{Kind: groups.ContentText, Payload: said.Encode()}
	must[int](t)(r.takeRuns(t.Context(), wire.PeerKey{}, []run{one}, false))
	inRoom(t, bo, g, func(r *room) {
		if e, here := r.entryBy([16]byte(last.ID[:16])); !here || e.Text != said.Text {
			t.Errorf("it is opened again: %q, %v", e.Text, here)
		}
	})
}

// What was opened ahead under a secret that was erased before the room came to it is not
// shown, and none of it is opened any more.
func TestAheadOfErasing(t *testing.T) {
	bo, _, g, people, chains := apart(t, 1, 8)
	r, chain := bo.room(g), chains[people[0].Inc]
	one := runOf(t, r, chain)
	one.ahead = r.lookAhead(one.ops)
	ok(t, r.step(t.Context(), func(c *commit) error {
		r.eraseEpoch(c, chain[0].EID)
		return nil
	}))
	if again := r.lookAhead(one.ops); len(again) > 0 {
		t.Errorf("%d messages were opened under what was erased", len(again))
	}
	must[int](t)(r.takeRuns(t.Context(), wire.PeerKey{}, []run{one}, false))
	if n := shown(t, bo, g, chain[1:]); n > 0 {
		t.Errorf("%d messages are shown", n)
	}
}

// Nothing is taken for somebody's word because another's key signed it, wherever in a run
// it stands.
func TestAheadOfAnother(t *testing.T) {
	bo, _, g, people, chains := apart(t, 2, 8)
	r, chain := bo.room(g), chains[people[0].Inc]
	give(t, bo, g, chains[people[1].Inc], 1, 1, false)
	posing := *people[0]
	posing.Inc = people[1].Inc
	var forged []*groups.Op // the second of hers, which would stand behind the first of the other
	inRoom(t, bo, g, func(r *room) {
		forged = append(forged, must[*groups.Op](t)(textAs(r, &posing, "not hers")))
	})
	if forged[0].Seq != chain[0].Seq+1 {
		t.Fatalf("seq %d does not seem to go on from %d", forged[0].Seq, chain[0].Seq)
	}
	for _, ops := range [][]*groups.Op{append(chain[:1:1], forged...), append(forged[:1:1], chain[2]), forged} {
		one := runOf(t, r, ops)
		r.lookAhead(one.ops)
		for _, op := range one.ops {
			if op.ID != forged[0].ID {
				continue
			}
			inRoom(t, bo, g, func(r *room) {
				if refusal := r.g.Check(op); refusal == nil || refusal.Reason != groups.ReasonBadSignature {
					t.Errorf("in a run of %d it is %v", len(ops), refusal)
				}
			})
		}
	}
}

// runOf decodes a run as it comes.
func runOf(t testing.TB, r *room, ops []*groups.Op) run {
	t.Helper()
	seg := &groups.Segment{Inc: ops[0].IncID(), Chain: uint64(groups.Content)}
	for _, op := range ops {
		seg.Frames = append(seg.Frames, op.Frame())
	}
	return must[run](t)(r.decodeRun(wire.PeerKey{}, seg))
}

// One signed message again and again is verified no oftener than a run of as many may be
// signed.
func TestAheadAgainAndAgain(t *testing.T) {
	bo, _, g, people, chains := apart(t, 1, 2*groups.SignedEvery)
	chain := chains[people[0].Inc]
	var again []*groups.Op
	for range groups.MaxSegmentOps {
		again = append(again, chain[groups.SignedEvery-1])
	}
	if !again[0].Signed || again[0].Seq%groups.SignedEvery != 0 {
		t.Fatalf("seq %d is not one of those that are verified", again[0].Seq)
	}
	one := runOf(t, bo.room(g), again)
	if found := bo.room(g).lookAhead(one.ops); len(found) > 1 {
		t.Errorf("%d of one message were opened", len(found))
	}
	if refusal := bo.room(g).checkRun(one.ops); refusal == nil {
		t.Error("it is taken for a run")
	}
}
