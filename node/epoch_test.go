package node

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// stopped is a clock that stands until it is moved.
type stopped struct{ ms atomic.Int64 }

func newStopped() *stopped {
	c := &stopped{}
	c.ms.Store(time.Now().UnixMilli())
	return c
}

func (c *stopped) now() time.Time         { return time.UnixMilli(c.ms.Load()) }
func (c *stopped) move(by time.Duration)  { c.ms.Add(by.Milliseconds()) }
func (c *stopped) config(cfg *Config)     { cfg.Now = c.now }
func countEpochs(r *room) int             { return len(r.g.Epochs()) }
func epochNow(r *room) (e groups.Epoch)   { e, _ = r.sendEpoch(); return e }
func wrapsFor(r *room, id wire.OpID) bool { return recipientOf(r, epochNow(r), id) }
func recipientOf(r *room, e groups.Epoch, id wire.OpID) bool {
	return slices.ContainsFunc(r.g.Recipients(e.Rekey), func(to groups.Recipient) bool { return to.Inc == id })
}

// Who joins a group with history from joining gets an epoch of its own; those
// who come within two seconds of it share the next, and a message does not
// wait for that.
func TestAdmitsShareAnEpoch(t *testing.T) {
	t.Parallel()
	c := newStopped()
	ann := startNode(t, t.TempDir(), "Ann", c.config)
	join := "join"
	g := newGroup(t, ann, api.GroupCreate{Policy: &api.PolicyPatch{History: &join}})
	inv := invite(t, ann, g, 9, "")
	look := func(what string, epochs int, need bool) {
		t.Helper()
		inRoom(t, ann, g, func(r *room) {
			if n := countEpochs(r); n != epochs || r.g.NeedRekey() != need {
				t.Errorf("%s: %d epochs, want %d; one is needed: %v, want %v", what, n, epochs, r.g.NeedRekey(), need)
			}
		})
	}
	come := func(n int) {
		t.Helper()
		for _, p := range applicants(t, n) {
			if v, err := p.ask(t.Context(), ann, inv.Passcode); err != nil || v.Outcome != outcomeAdmitted {
				t.Fatalf("outcome %d, %v", v.Outcome, err)
			}
		}
	}
	look("before", 1, false)
	come(1)
	look("one came", 2, false)
	come(4)
	look("four more", 2, true)
	c.move(admitShare)
	within(t, ann, patience, "the epoch they share", func() (done bool) {
		inRoom(t, ann, g, func(r *room) { done = countEpochs(r) == 3 && !r.g.NeedRekey() })
		return done
	})
	come(2)
	look("two more", 4, true)
	say(t, ann, g, "somebody waits")
	look("after a message", 5, false)
	c.move(time.Hour)
	look("an hour later", 5, false)
}

// Who asks for keys while an epoch is due waits for it, and does not look again
// because it looked, or another who waits.
func TestWhoWaitsForAnEpochRests(t *testing.T) {
	c := newStopped()
	ann := startNode(t, t.TempDir(), "Ann", c.config)
	join := "join"
	g := newGroup(t, ann, api.GroupCreate{Policy: &api.PolicyPatch{History: &join}})
	inv := invite(t, ann, g, 9, "")
	for _, p := range applicants(t, 2) {
		must[verdictMsg](t)(p.ask(t.Context(), ann, inv.Passcode))
	}
	r := ann.room(g)
	var req seal.Request
	inRoom(t, ann, g, func(r *room) {
		if req.Inc = r.me; !r.g.NeedRekey() {
			t.Fatal("the second newcomer needs no epoch")
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	steps := make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-r.changed.wait():
				n++
			case <-ctx.Done():
				steps <- n
				return
			}
		}
	}()
	ends := make(chan error)
	for range 2 { // one looking is no reason for the other to look
		go func() {
			_, err := r.bundle(ctx, req)
			ends <- err
		}()
	}
	for range 2 {
		if err := <-ends; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it did not wait: %v", err)
		}
	}
	if n := <-steps; n > 10 {
		t.Errorf("they looked %d times", n)
	}
}

// An epoch that a code was wrapped for is replaced before the next message
// once the code is dead, and one that a harbor knows the topic of at once when
// the harbor is withdrawn.
func TestStaleEpochIsReplaced(t *testing.T) {
	c := newStopped()
	ann := startNode(t, t.TempDir(), "Ann", c.config)
	g := newGroup(t, ann, api.GroupCreate{})
	r := ann.room(g)
	_, kemPk := must2(t)(seal.GenerateKEM(rand.Reader))
	box := must[identity.DeviceKeys](t)(identity.NewDeviceKeys(rand.Reader))
	write := func(kind groups.Kind, body any) (id wire.OpID) {
		t.Helper()
		ok(t, r.step(t.Context(), func(c *commit) error {
			op, err := r.own(c, kind, body)
			if err == nil {
				id = op.ID
			}
			return err
		}))
		return id
	}
	now := func() (e groups.Epoch) {
		inRoom(t, ann, g, func(r *room) { e = epochNow(r) })
		return e
	}
	code := write(groups.KindInvite, &groups.InviteBody{InvitePk: box.ID(), MaxUses: 1, NotAfterMs: ann.nowMs() + 60_000, KemPk: kemPk, Role: uint64(groups.RoleMember)})
	ok(t, r.step(t.Context(), r.rekey))
	wrapped := now()
	say(t, ann, g, "while the code lives")
	if e := now(); e.EID != wrapped.EID {
		t.Error("an epoch was replaced for nothing")
	}
	inRoom(t, ann, g, func(r *room) {
		if !wrapsFor(r, code) {
			t.Fatal("the code is not wrapped for: that is no test")
		}
	})
	c.move(2 * time.Minute)
	say(t, ann, g, "after it")
	inRoom(t, ann, g, func(r *room) {
		if e := epochNow(r); e.Gen != wrapped.Gen+1 || wrapsFor(r, code) {
			t.Errorf("generation %d after %d, the dead code is wrapped for: %v", e.Gen, wrapped.Gen, wrapsFor(r, code))
		}
	})

	own := r.view.Load().state.OwnOp()
	me := r.view.Load().me
	harbor := write(groups.KindHarbor, &groups.HarborBody{OwnOp: own, OpKey: box.ID(), PeerKey: box.PeerKey(), Rights: groups.RightStore,
		Pop: groups.ProveHarbor(box.Op, box.Peer, g, me)})
	ok(t, r.step(t.Context(), r.rekey))
	known := now()
	write(groups.KindHarbor, &groups.HarborBody{Change: true, OwnOp: own, Harbor: harbor})
	if e := now(); e.Gen != known.Gen+1 {
		t.Errorf("generation %d after the withdrawal, %d before", e.Gen, known.Gen)
	}
}

// rekey is an epoch of the rogue's: whom it names gets a good wrap, the others
// one nobody can open.
func (r *rogue) rekey(t *testing.T, n *Node, good ...wire.OpID) (op *groups.Op, leaves []seal.Leaf) {
	t.Helper()
	e := must[seal.Secret](t)(seal.NewSecret(rand.Reader))
	op = must[*groups.Op](t)(r.log.ComposeRekey(r.inc, r.keys.Op, n.nowMs(), func(ctx [32]byte, _ uint64, to []groups.Recipient) (eid, root [32]byte, err error) {
		for _, q := range to {
			pk := q.KemPk
			if !slices.Contains(good, q.Inc) {
				_, pk, _ = seal.GenerateKEM(rand.Reader)
			}
			leaves = append(leaves, seal.WrapAll(wire.GroupID(r.log.Group()), ctx, e, []seal.Recipient{{ID: q.Inc, KemGen: q.KemGen, KemPk: pk}})...)
		}
		return seal.Derive(r.log.Group(), ctx, e).EID, seal.Root(seal.Hashes(leaves)), nil
	}))
	return op, leaves
}

// learn takes in what somebody else wrote meanwhile.
func (r *rogue) learn(t *testing.T, n *Node, g wire.GroupID) {
	t.Helper()
	var ops []*groups.Op
	inRoom(t, n, g, func(here *room) { ops = here.g.Ops() })
	for _, op := range ops {
		if !r.log.Has(op.ID) {
			r.log.Apply(op)
		}
	}
}

// A member publishes wraps that nobody can open: people go on under the epoch
// before; where that has ended, whoever speaks makes another, and a while
// later somebody does though nobody speaks. Nobody is blamed, since a wrong
// wrap cannot be proved. A wrap that fails for one is made good by whoever
// could open its own.
func TestWrapsNobodyCanOpen(t *testing.T) {
	t.Parallel()
	c := newStopped()
	s := newSiegeAt(t, c.config)
	mal := s.newRogue(t)
	cys := make([]*applicant, 2) // to be removed by Mal, who is an admin
	for i := range cys {
		cys[i] = applicants(t, 1)[0]
		if v, err := cys[i].ask(t.Context(), s.ann, invite(t, s.ann, s.group, 1, "").Passcode); err != nil || v.Outcome != outcomeAdmitted {
			t.Fatalf("outcome %d, %v", v.Outcome, err)
		}
	}
	must[api.Member](t)(s.ann.PatchMember(t.Context(), s.group, mal.acc, api.MemberPatch{Role: api.RoleAdmin}))
	same(t, s.group, s.ann, s.bo)
	publish := func(t *testing.T, leaves []seal.Leaf, ops ...*groups.Op) {
		t.Helper()
		var frames [][]byte
		for _, op := range ops {
			mal.log.Apply(op)
			frames = append(frames, op.Frame())
		}
		seg := &groups.Segment{Inc: mal.inc, Chain: uint64(groups.Control), Frames: frames}
		for _, n := range []*Node{s.ann, s.bo} {
			mal.tell(t, n, s.group, seg, &groups.SyncWraps{Group: s.group, Rekey: ops[len(ops)-1].ID, Leaves: leaves})
		}
		same(t, s.group, s.ann, s.bo)
	}
	state := func(n *Node, eid [32]byte) (best, held bool, e groups.Epoch) {
		inRoom(t, n, s.group, func(r *room) {
			best, held, e = r.g.Eligible()[0].EID == eid, r.keys.has(eid), epochNow(r)
		})
		return
	}

	s.attack(t, "beside an epoch that holds", 2, func(t *testing.T) {
		mal.learn(t, s.ann, s.group)
		_, _, before := state(s.ann, [32]byte{})
		op, leaves := mal.rekey(t, s.ann)
		publish(t, leaves, op)
		eid := op.Body.(*groups.RekeyBody).EID
		for _, n := range []*Node{s.ann, s.bo} {
			if best, held, e := state(n, eid); !best || held || e.EID != before.EID {
				t.Errorf("%s: Mal's epoch is the best: %v, held: %v; sends under generation %d, before %d", n.ownName(), best, held, e.Gen, before.Gen)
			}
		}
		s.flows(t)
	})
	s.attack(t, "with a removal, and people speak", 2, func(t *testing.T) {
		mal.learn(t, s.ann, s.group)
		out := must[*groups.Op](t)(mal.log.ComposeControl(mal.inc, mal.keys.Op, s.ann.nowMs(), groups.KindRemove, &groups.RemoveBody{Account: cys[0].account()}))
		mal.log.Apply(out)
		op, leaves := mal.rekey(t, s.ann)
		publish(t, leaves, out, op)
		if best, held, _ := state(s.ann, op.Body.(*groups.RekeyBody).EID); !best || held {
			t.Fatalf("Mal's epoch is the best: %v, held: %v: that is no test", best, held)
		}
		s.flows(t)
	})
	s.attack(t, "with a removal, and nobody speaks", 2, func(t *testing.T) {
		mal.learn(t, s.ann, s.group)
		out := must[*groups.Op](t)(mal.log.ComposeControl(mal.inc, mal.keys.Op, s.ann.nowMs(), groups.KindRemove, &groups.RemoveBody{Account: cys[1].account()}))
		mal.log.Apply(out)
		op, leaves := mal.rekey(t, s.ann)
		publish(t, leaves, out, op)
		c.move(wrapPatience + time.Second)
		within(t, s.ann, patience, "an epoch that can be read", func() bool {
			_, _, a := state(s.ann, [32]byte{})
			_, _, b := state(s.bo, [32]byte{})
			return a.Gen > op.Body.(*groups.RekeyBody).Gen && a.EID == b.EID
		})
	})
	s.attack(t, "for one of two", 2, func(t *testing.T) {
		mal.learn(t, s.ann, s.group)
		boInc := s.bo.room(s.group).view.Load().me
		op, leaves := mal.rekey(t, s.ann, boInc)
		eid := op.Body.(*groups.RekeyBody).EID
		publish(t, leaves, op)
		within(t, s.bo, patience, "Bo to open its wrap", func() bool { _, held, _ := state(s.bo, eid); return held })
		say(t, s.bo, s.group, "under Mal's epoch")
		// Ann may have asked Bo before Bo could open it; the clock stands, and
		// the time to ask again comes by hand.
		within(t, s.ann, patience, "Ann to be given the epoch", func() bool {
			inRoom(t, s.ann, s.group, func(r *room) {
				for _, l := range r.links {
					if !l.keysAt.IsZero() {
						l.keysAt = c.now()
					}
				}
			})
			_, held, _ := state(s.ann, eid)
			return held
		})
		hears(t, s.ann, s.group, "under Mal's epoch")
		if _, held, e := state(s.ann, eid); !held || e.EID != eid {
			t.Error("Ann was not given the epoch by Bo")
		}
	})
}
