package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/node/mesh"
)

// join puts the rogue on the topic Ann writes on.
func (r *rogue) join(t *testing.T, n *Node, g wire.GroupID) *mesh.Topic {
	t.Helper()
	var name string
	inRoom(t, n, g, func(room *room) {
		e, ok := room.sendEpoch()
		if !ok {
			t.Fatal("no epoch")
		}
		name = groups.TopicName(room.keys.epochs[e.EID].keys.Topic)
	})
	topic, err := r.mesh.Join(name, mesh.Gate{
		Allow:   func(wire.PeerKey) bool { return true },
		Judge:   func(wire.PeerKey, []byte, bool) (mesh.Verdict, any) { return mesh.Accept, nil },
		Deliver: func(wire.PeerKey, []byte, any) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	within(t, n, patience, "Ann on the rogue's topic", func() bool { return len(topic.Peers()) > 0 || ctx.Err() != nil })
	return topic
}

// content is the rogue's next message, sealed with noise.
func (r *rogue) content(t *testing.T, n *Node) *groups.Op {
	t.Helper()
	size := must[int](t)(seal.SealedLen(100))
	var eid [32]byte
	rand.Read(eid[:])
	return must[*groups.Op](t)(r.log.ComposeContent(r.inc, r.keys.Op, n.nowMs(), eid, [16]byte{}, size, func([]byte, uint64) ([]byte, error) { return make([]byte, size), nil }))
}

// contents is what the rogue says next, in one chain.
func (r *rogue) contents(t *testing.T, n *Node, count int) (out []*groups.Op) {
	t.Helper()
	for range count {
		op := r.content(t, n)
		r.log.Apply(op)
		out = append(out, op)
	}
	return out
}

// A member's bad frames are stopped at the first node, cost it its place, and
// hide nothing that others say.
func TestRogueGossip(t *testing.T) {
	t.Parallel()
	s := newSiege(t)
	r := s.newRogue(t)
	topic := r.join(t, s.ann, s.group)
	at := s.ann.room(s.group)

	s.attack(t, "the same core twice", 2, func(t *testing.T) {
		op := r.content(t, s.ann)
		self := r.mesh.Self()
		if v, _ := at.judgeGossip(self, op.Frame(), false); v != mesh.Accept {
			t.Fatalf("an honest frame: %v", v)
		}
		if v, _ := at.judgeGossip(self, op.Frame(), false); v != mesh.Ignore {
			t.Errorf("the same frame again: %v", v)
		}
		// What is on disk is not passed on again, whoever sends it.
		var old []byte
		inRoom(t, s.ann, s.group, func(room *room) {
			old = room.g.Ops()[1].Frame()
		})
		if v, _ := at.judgeGossip(self, old, false); v != mesh.Ignore {
			t.Errorf("an old control operation: %v", v)
		}
		frame := s.stored(t)
		if v, _ := at.judgeGossip(self, frame, false); v != mesh.Ignore {
			t.Errorf("an old message: %v", v)
		}
	})
	s.attack(t, "frames", 4, func(t *testing.T) {
		noise := make([]byte, 500)
		rand.Read(noise)
		op := r.content(t, s.ann)
		forged := bytes.Clone(op.Frame())
		forged[len(op.Core)+3] ^= 1
		short := op.Frame()[:len(op.Frame())-1]
		control := must[*groups.Op](t)(r.log.ComposeControl(r.inc, r.keys.Op, s.ann.nowMs(), groups.KindAck, &groups.AckBody{}))
		padded := append(bytes.Clone(control.Frame()), 0)
		self := r.mesh.Self()
		for name, f := range map[string][]byte{"noise": noise, "forged": forged, "short": short, "padded": padded, "empty": nil} {
			if v, _ := at.judgeGossip(self, f, false); v != mesh.Reject {
				t.Errorf("%s: %v", name, v)
			}
		}
		if v, _ := at.judgeGossip(wire.PeerKey{1}, op.Frame(), false); v != mesh.Reject {
			t.Error("a good frame of a stranger passes")
		}
		if v, _ := at.judgeGossip(self, op.Frame(), false); v != mesh.Accept {
			t.Error("a forged signature took the place of the good frame")
		}
		if v, _ := at.judgeGossip(self, strangerOp(1, wire.Marshal(groups.RemoveBody{Account: r.acc})).Frame(), false); v != mesh.Ignore {
			t.Errorf("an operation of nobody known: %v", v)
		}
	})
	s.attack(t, "runs", 4, func(t *testing.T) {
		self := r.mesh.Self()
		said := r.contents(t, s.ann, 20)
		judged := func(what string, frame []byte, want mesh.Verdict) {
			t.Helper()
			if v, _ := at.judgeGossip(self, frame, false); v != want {
				t.Errorf("%s: %v, want %v", what, v, want)
			}
		}
		// Whom its author reaches is his word alone: by another's, a frame would stop
		// at whoever that one chooses.
		if v, _ := at.judgeGossip(s.bo.mesh.Self(), said[10].Frame(), true); v != mesh.Accept {
			t.Errorf("a frame that somebody else says all have: %v", v)
		}
		if v, _ := at.judgeGossip(self, said[11].Frame(), true); v != mesh.Keep {
			t.Errorf("a frame that its author says all have: %v", v)
		}
		forged := groups.EncodeGossip(said[:3])
		forged[len(forged)-len(said[2].Cipher)-1] ^= 1
		judged("a forged run", forged, mesh.Reject)
		judged("what hangs on nothing", groups.EncodeGossip([]*groups.Op{said[0], said[2]}), mesh.Reject)
		judged("a run", groups.EncodeGossip(said[:3]), mesh.Accept)
		judged("the run again", groups.EncodeGossip(said[:3]), mesh.Ignore)
		judged("a part of it", groups.EncodeGossip(said[1:3]), mesh.Ignore)
		judged("its last alone", said[2].Frame(), mesh.Ignore)
		judged("old and new", groups.EncodeGossip(said[1:4]), mesh.Accept)
		// Each operation counts, however they are put together.
		if rates := newRates(); !rates.allow(r.inc, groups.Content, 10_000) || rates.allow(r.inc, groups.Content, 10_000) {
			t.Error("the operations of a run are not counted")
		}
	})
	s.attack(t, "a flood on the topic", 6, func(t *testing.T) {
		for i := range 400 {
			noise := make([]byte, 300)
			rand.Read(noise)
			topic.Publish(t.Context(), noise)
			op := strangerOp(i, wire.Marshal(groups.RemoveBody{Account: r.acc}))
			topic.Publish(t.Context(), op.Frame())
		}
		s.flows(t)
	})
	s.attack(t, "a message nobody can open", 4, func(t *testing.T) {
		op := r.content(t, s.ann)
		r.tell(t, s.ann, s.group, &groups.Segment{Inc: r.inc, Chain: 1, Frames: [][]byte{op.Frame()}})
	})
}

// stored is the frame of Ann's newest message.
func (s *siege) stored(t *testing.T) (frame []byte) {
	t.Helper()
	inRoom(t, s.ann, s.group, func(r *room) {
		seq, id, ok := r.g.ChainHead(r.me, groups.Content)
		if !ok {
			t.Fatal("Ann said nothing")
		}
		frame = r.stored(r.me, groups.Content, seq, id).Frame()
	})
	return frame
}

// A made-up key of a message does not close the message for who gets the right
// one later.
func TestMadeUpMessageKey(t *testing.T) {
	s := newSiege(t)
	cy := testNode(t, "Cy")
	join(t, cy, invite(t, s.ann, s.group, 1, ""))
	same(t, s.group, s.ann, cy)
	frame := s.stored(t)
	op, _ := groups.Decode(frame)
	r := s.bo.room(s.group)
	var right seal.MessageKey
	inRoom(t, s.bo, s.group, func(r *room) { right, _ = r.keys.message(op.ID, op.IncID(), op.EID, op.Seq, op.Salt) })
	inRoom(t, s.bo, s.group, func(r *room) { delete(r.keys.epochs, op.EID) })
	if err := r.step(t.Context(), func(c *commit) error {
		r.lock(c, op)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	give := func(k seal.MessageKey) {
		t.Helper()
		if err := r.step(t.Context(), func(c *commit) error {
			r.takeBundle(c, wire.PeerKey{}, nil, seal.Bundle{Messages: []seal.MessageSecret{{Op: op.ID, Key: k}}})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	waits := func() (yes bool) {
		inRoom(t, s.bo, s.group, func(r *room) { _, yes = r.locked[op.EID][op.ID] })
		return yes
	}
	give(seal.MessageKey{1})
	if !waits() {
		t.Error("a made-up key closed the message for good")
	}
	give(right)
	if waits() {
		t.Error("the right key does not open it")
	}
}

// What waits for operations that never come has bounds by peer and by weight,
// and goes after a while.
func TestParking(t *testing.T) {
	var p parking
	now := time.Now()
	evil, good := wire.PeerKey{1}, wire.PeerKey{2}
	body := wire.Marshal(groups.RemoveBody{Pins: make([]groups.Pin, 0)})
	n := 0
	for p.add(strangerOp(n, body), evil, now) {
		n++
	}
	if n != maxParked/parkShare {
		t.Errorf("one peer parked %d operations, want %d", n, maxParked/parkShare)
	}
	one := strangerOp(n, body)
	if !p.add(one, good, now) {
		t.Error("another peer finds no room")
	}
	if p.add(one, good, now) || p.count() != n+1 {
		t.Error("an operation is parked twice")
	}
	none := func(wire.OpID) bool { return false }
	if got := p.ready(none, nil); len(got) != 0 {
		t.Errorf("%d operations are judged again and again", len(got))
	}
	p.remove(one)
	if p.count() != n || p.by[good] != (load{}) {
		t.Error("a removed operation still counts")
	}
	if p.expire(now.Add(parkedFor)) || !p.expire(now.Add(parkedFor+time.Second)) || !p.empty() || p.bytes != 0 || len(p.by) != 0 {
		t.Errorf("after %v: %d operations, %d bytes", parkedFor, p.count(), p.bytes)
	}
}
