package node

import (
	"slices"
	"testing"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh"
	"mutuals/store"
)

// A member asks a harbor for what is another's, speaks for another, lies about
// a topic and floods it; a stranger asks at all. It keeps to the rules, and
// serves on.
func TestHostileAtAHarbor(t *testing.T) {
	t.Parallel()
	a, b, h, x := testNode(t, "Ann"), testNode(t, "Bo"), harborNode(t, t.TempDir()), testNode(t, "Xu")
	g := newGroup(t, a, api.GroupCreate{})
	join(t, b, invite(t, a, g, 1, ""))
	appoint(t, a, h, g, api.RightStore, api.RightSponsor)
	inv := sleepProof(t, a, g, 1)
	holdsAll(t, g, a, h)
	same(t, g, a, b)
	var e groups.Epoch
	var ann, bo wire.OpID
	inRoom(t, a, g, func(r *room) { e, _ = r.sendEpoch(); ann = r.me })
	inRoom(t, b, g, func(r *room) { bo = r.me })
	leaves := func(n *Node, want ...wire.OpID) int {
		t.Helper()
		s := must[*mesh.Stream](t)(n.room(g).askWraps(t.Context(), h.mesh.Self()))
		defer s.Close()
		return len(must[[]keptLeaf](t)(fetchSome(s, e, want)))
	}
	if leaves(b, bo) != 1 {
		t.Fatal("no own leaf: that is no test")
	}
	if n := leaves(b, ann, inv.ID, wire.OpID{}); n != 0 {
		t.Errorf("%d leaves of others", n)
	}

	r := b.room(g)
	outcome := func(kind uint64, body any) uint64 {
		answer, err := r.askHarbor(t.Context(), h.mesh.Self(), kind, body, nil)
		if err != nil {
			return ^uint64(0)
		}
		return answer.Outcome
	}
	if got := outcome(harborInvite, inviteBody{Invite: inv.ID, Rekey: e.Rekey, Preview: []byte("mine")}); got == harborYes {
		t.Error("a preview for another's invite is taken")
	}
	if got := outcome(99, topicBody{}); got != harborLacks {
		t.Errorf("a kind of a newer version: outcome %d", got)
	}
	lie := topicBody{Rekey: e.Rekey, Topic: [32]byte{66}}
	outcome(harborTopic, lie)
	within(t, h, patience, "the harbor to believe who made the epoch", func() (right bool) {
		inRoom(t, h, g, func(r *room) {
			right = slices.ContainsFunc(r.office.row.Topics, func(k toldTopic) bool { return k.Rekey == e.Rekey && k.Author && k.Topic != lie.Topic })
		})
		return right
	})
	answered := 0
	for range 3 * harborsPerMinute {
		if outcome(harborTopic, lie) == harborYes {
			answered++
		}
	}
	if answered == 0 || answered > harborsPerMinute+2 {
		t.Errorf("%d of %d requests at once are answered", answered, 3*harborsPerMinute)
	}

	// A stranger, who knows the group's id and the harbor's address.
	ok(t, x.mesh.Connect(t.Context(), h.mesh.Self(), h.mesh.Bound()))
	forged := x.newRoom(g)
	forged.view.Store(&view{me: bo}) // as Bo, signed by itself
	if answer, err := forged.askHarbor(t.Context(), h.mesh.Self(), harborTopic, lie, nil); err == nil && answer.Outcome == harborYes {
		t.Error("a stranger is answered")
	}
	s := must[*mesh.Stream](t)(x.mesh.Open(t.Context(), h.mesh.Self(), protocolSync))
	ok(t, writeSync(s, &groups.SyncHello{V: groups.SyncVersion, Group: g}))
	if m, err := readSync(s); err == nil {
		if refused, is := m.(*groups.SyncRefused); !is || len(refused.Frames) > 0 {
			t.Errorf("a stranger gets %T by sync", m)
		}
	}
	say(t, a, g, "all the same")
	same(t, g, a, h, b)
}

// A harbor that lies serves a leaf nobody made and holds words back; who meets
// another member has all, and no lie is taken.
func TestLyingHarbor(t *testing.T) {
	t.Parallel()
	homeB := t.TempDir()
	a, b, h := testNode(t, "Ann"), startNode(t, homeB, "Bo", nil), harborNode(t, t.TempDir())
	g := newGroup(t, a, api.GroupCreate{})
	join(t, b, invite(t, a, g, 1, ""))
	appoint(t, a, h, g)
	same(t, g, a, b)
	ok(t, b.Close())
	inRoom(t, a, g, func(r *room) { ok(t, r.commit(r.rekey)) })
	say(t, a, g, "kept back")
	holdsAll(t, g, a, h)
	var rekey wire.OpID
	inRoom(t, h, g, func(r *room) {
		epochs := r.g.Epochs()
		rekey = epochs[len(epochs)-1].Rekey
		// Every leaf of the newest epoch becomes one that nobody made, and the
		// last word is forgotten.
		ok(t, r.n.store.Update(t.Context(), func(tx *store.Tx) error {
			b, _, err := tx.Wraps(g, rekey)
			if err != nil {
				return err
			}
			set, _, err := readKept(b)
			for i := range set.Leaves {
				set.Leaves[i].Leaf.Wrap = make([]byte, seal.WrapLen)
			}
			if err != nil {
				return err
			}
			return tx.PutWraps(g, rekey, wire.Marshal(set))
		}))
		for at, head := range r.heads {
			if at.chain == groups.Content {
				head.Seq = 1
				r.setHead(at, head)
			}
		}
	})
	a.mesh.ClosePeer(h.mesh.Self())
	x := a.mesh.Self()
	h.mesh.Forget(x)
	b = startNode(t, homeB, "Bo", nil)
	hears(t, b, g, "kept back") // Ann has it, and the key
	inRoom(t, b, g, func(r *room) {
		if _, held := r.sendEpoch(); !held {
			t.Error("no key to write under")
		}
	})
}
