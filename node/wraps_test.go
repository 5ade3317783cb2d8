package node

import (
	"testing"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// Who speaks under a new epoch hands its wraps to the harbor and to members
// first: were the author cut off between the two, what it said would lie there
// and be read by nobody.
func TestWrapsLeaveBeforeWords(t *testing.T) {
	t.Parallel()
	ann, bo, h := testNode(t, "Ann"), testNode(t, "Bo"), harborNode(t, t.TempDir())
	g := newGroup(t, ann, api.GroupCreate{})
	join(t, bo, invite(t, ann, g, 1, ""))
	appoint(t, ann, h, g, api.RightStore)
	say(t, bo, g, "here")
	hears(t, ann, g, "here")
	holdsAll(t, g, ann, h)

	// In place of the links stand queues that nobody empties.
	r, real, queues := ann.room(g), map[wire.PeerKey]*link{}, map[*Node]chan *outgoing{}
	inRoom(t, ann, g, func(r *room) {
		for _, n := range []*Node{bo, h} {
			peer := n.mesh.Self()
			if real[peer] = r.links[peer]; real[peer] == nil {
				t.Fatalf("%s is not linked", n.ownName())
			}
			queues[n] = make(chan *outgoing, 64)
			r.links[peer] = &link{peer: peer, out: queues[n], ask: make(chan struct{}, 1), urgent: make(chan struct{}, 1)}
		}
	})
	ok(t, r.step(t.Context(), func(c *commit) error {
		if err := r.rekey(c); err != nil {
			return err
		}
		op, err := craft(r, epochNow(r), "under the new one")
		if err != nil {
			return err
		}
		return r.takeOwn(c, op)
	}))
	inRoom(t, ann, g, func(r *room) {
		for peer, l := range real {
			r.links[peer] = l
		}
	})
	for n, queue := range queues {
		close(queue)
		order := ""
		for o := range queue {
			switch m := must[groups.SyncMessage](t)(groups.DecodeSync(o.b)).(type) {
			case *groups.Segment:
				order += map[groups.ChainKind]string{groups.Control: "rekey ", groups.Content: "word "}[groups.ChainKind(m.Chain)]
			case *groups.SyncWraps:
				order += "wraps "
			}
		}
		if order != "rekey wraps word " {
			t.Errorf("peer %s is told %q", n.mesh.Self().Short(), order)
		}
	}
}

// The leaf of a sleep-proof code is for who came in by it: a member that came
// otherwise gets it from nobody, though it knows its name.
func TestLeafOfACodeIsForWhoCameByIt(t *testing.T) {
	t.Parallel()
	ann, bo, cy, h := testNode(t, "Ann"), testNode(t, "Bo"), testNode(t, "Cy"), harborNode(t, t.TempDir())
	g := newGroup(t, ann, api.GroupCreate{})
	join(t, bo, invite(t, ann, g, 1, ""))
	appoint(t, ann, h, g, api.RightStore, api.RightSponsor)
	inv := sleepProof(t, ann, g, 3)
	holdsAll(t, g, ann, h)
	var e groups.Epoch
	inRoom(t, ann, g, func(r *room) { e = epochNow(r) })
	join(t, cy, inv)
	same(t, g, ann, bo, cy, h)
	asks := func(n, of *Node) groups.SyncMessage {
		t.Helper()
		r := n.room(g)
		within(t, n, patience, "a link", func() bool { return n.mesh.Connected(of.mesh.Self()) })
		s, err := r.askWraps(t.Context(), of.mesh.Self())
		ok(t, err)
		if s == nil {
			t.Fatalf("%s is not answered", n.ownName())
		}
		defer s.Close()
		ok(t, writeSync(s, &groups.SyncWrapWant{Rekey: e.Rekey, Recipient: inv.ID}))
		return must[groups.SyncMessage](t)(readSync(s))
	}
	for _, of := range []*Node{ann, h} {
		wrap, given := asks(cy, of).(*groups.SyncWrap)
		if !given || wrap.Leaf.ID != inv.ID || !wrap.Verify(e.WrapRoot) {
			t.Error("who came by the code is not given its leaf: that is no test")
		}
		if m, given := asks(bo, of).(*groups.SyncWrap); given {
			t.Errorf("who came otherwise is given the leaf of %s", m.Leaf.ID.Short())
		}
	}
}
