package node

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// While one member is asked for a key no other is; and once its answer brought
// it, none is asked any more.
func TestKeysByTurns(t *testing.T) {
	ann := testNode(t, "Ann")
	g := newGroup(t, ann, api.GroupCreate{})
	crowdOf(t, ann, g, 2)
	r := ann.room(g)
	nobody := wire.PeerKey{1} // asking it fails at once
	var eid [32]byte
	var lost *epochKeys
	lose := func() {
		inRoom(t, ann, g, func(r *room) {
			e, ok := r.sendEpoch()
			if !ok {
				t.Fatal("there is no epoch")
			}
			eid, lost = e.EID, r.keys.epochs[e.EID]
			delete(r.keys.epochs, eid)
		})
	}
	lose()
	if err := r.fetchKeys(t.Context(), nobody); err == nil {
		t.Fatal("a key is lacking, and nobody was asked")
	}
	r.keysAsked <- struct{}{}
	looked, asked := r.changed.wait(), make(chan error, 1)
	go func() { asked <- r.fetchKeys(t.Context(), nobody) }()
	<-looked
	inRoom(t, ann, g, func(r *room) { r.keys.epochs[eid] = lost })
	<-r.keysAsked
	if err := <-asked; err != nil {
		t.Errorf("somebody was asked for a key that had come: %v", err)
	}
}

// Of the members that are linked a few are asked at once what they have. The
// others wait until one of those has answered, and not for long if none does.
func TestPullsByTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &room{pulls: make(chan struct{}, pullsAtOnce)}
		var leave []func()
		for range pullsAtOnce {
			leave = append(leave, r.turnToPull(t.Context()))
		}
		began := time.Now()
		r.turnToPull(t.Context())() // all of them are slow
		if waited := time.Since(began); waited != turnWait {
			t.Errorf("waited %v for slow members, want %v", waited, turnWait)
		}
		began = time.Now()
		time.AfterFunc(turnWait/4, leave[0])
		leave[0] = r.turnToPull(t.Context())
		if waited := time.Since(began); waited != turnWait/4 {
			t.Errorf("waited %v for a member that had answered after %v", waited, turnWait/4)
		}
		for _, l := range leave {
			l()
		}
		if len(r.pulls) != 0 {
			t.Errorf("%d places are never given up", len(r.pulls))
		}
	})
}

// What a have cannot be behind of is not compared: that must be so whatever
// chains there are, forked ones too.
func TestBehind(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	entry := func() groups.VectorEntry {
		return groups.VectorEntry{Inc: wire.OpID{byte(rnd.IntN(2))}, Chain: uint64(rnd.IntN(3)), Seq: 1 + uint64(rnd.IntN(3)), Head: [16]byte{byte(rnd.IntN(2))}, Floor: 1}
	}
	spared := 0
	for range 20_000 {
		r := &room{heads: map[chainOf]groups.VectorEntry{}, branches: map[chainOf]groups.Vector{}}
		for range rnd.IntN(5) {
			e := entry()
			at := chainOf{e.Inc, groups.ChainKind(e.Chain)}
			if _, known := r.heads[at]; known {
				r.branches[at] = append(r.branches[at], e)
			} else {
				r.heads[at] = e
			}
		}
		var theirs groups.Vector
		for range 1 + rnd.IntN(3) {
			theirs = append(theirs, entry())
		}
		theirs = theirs.Sort()
		if r.behind(theirs) {
			continue
		}
		spared++
		if wants := r.wants(r.vectorNow(), theirs); len(wants) > 0 {
			t.Fatalf("%v is missing of %v, here is %v", wants, theirs, r.vectorNow())
		}
	}
	if spared < 100 {
		t.Errorf("only %d were spared", spared)
	}
}
