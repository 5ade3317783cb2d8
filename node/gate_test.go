package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh"
	"mutuals/node/mesh/meshtest"
)

// volley is how many messages each side sends in a gate test.
const volley = 20

func withGatesOff(t *testing.T, name string, off mesh.Gates) *Node {
	t.Helper()
	return startNode(t, t.TempDir(), name, func(c *Config) {
		c.Mesh = func(m *mesh.Config) { m.GatesOff = off }
	})
}

// newGossiper starts a peer that keeps no rules, linked to some nodes.
func newGossiper(t *testing.T, key ed25519.PrivateKey, nodes ...*Node) *meshtest.Gossiper {
	t.Helper()
	if key == nil {
		var err error
		if _, key, err = ed25519.GenerateKey(rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	x, err := meshtest.NewGossiper(key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Close)
	for _, n := range nodes {
		relink(t, x, n)
	}
	return x
}

func relink(t *testing.T, x *meshtest.Gossiper, n *Node) {
	t.Helper()
	if err := x.Connect(t.Context(), n.mesh.Self(), n.mesh.Bound()); err != nil {
		t.Fatal(err)
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func until(t *testing.T, x *meshtest.Gossiper, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := x.Until(ctx, cond); err != nil {
		t.Fatalf("waited for: %s", what)
	}
}

// topicOf names the topic a node writes on, and its epoch.
func topicOf(t *testing.T, n *Node, g wire.GroupID) (name string, epoch groups.Epoch) {
	t.Helper()
	inRoom(t, n, g, func(r *room) {
		e, ok := r.sendEpoch()
		if !ok {
			t.Fatalf("%s has no epoch", n.ownName())
		}
		name, epoch = groups.TopicName(r.keys.epochs[e.EID].keys.Topic), e
	})
	return name, epoch
}

// subscribed waits until a node counts a peer as subscribed to an epoch's
// topic, or does so no longer.
func subscribed(t *testing.T, n *Node, g wire.GroupID, eid [32]byte, peer wire.PeerKey, want bool) {
	t.Helper()
	within(t, n, patience, fmt.Sprintf("%s to see a subscription: %v", n.ownName(), want), func() (is bool) {
		inRoom(t, n, g, func(r *room) { is = r.topics[eid] != nil && slices.Contains(r.topics[eid].t.Peers(), peer) })
		return is == want
	})
}

// talk has two members say a volley each and waits until each hears the other.
func talk(t *testing.T, g wire.GroupID, a, b *Node, prefix string) {
	t.Helper()
	for _, n := range []*Node{a, b} {
		for i := range volley {
			say(t, n, g, fmt.Sprint(prefix, n.ownName(), i))
		}
	}
	hears(t, b, g, fmt.Sprint(prefix, a.ownName(), volley-1))
	hears(t, a, g, fmt.Sprint(prefix, b.ownName(), volley-1))
	same(t, g, a, b)
}

func junk(prefix string) (out [][]byte) {
	for i := range volley {
		out = append(out, fmt.Appendf(nil, "%s %d", prefix, i))
	}
	return out
}

// keepsOut checks that between two looks a node stored only what members
// said: own and other's volley.
func keepsOut(t *testing.T, n *Node, g wire.GroupID, before map[wire.OpID]bool, members ...*Node) {
	t.Helper()
	var incs []wire.OpID
	for _, m := range members {
		inRoom(t, m, g, func(r *room) { incs = append(incs, r.me) })
	}
	th := &thief{group: g}
	ok(t, n.store.View(th.capture))
	said := 0
	for _, op := range th.content {
		switch {
		case before[op.ID]:
		case !slices.Contains(incs, op.IncID()):
			t.Errorf("%s stored an operation of somebody else", n.ownName())
		default:
			said++
		}
	}
	if want := volley * len(members); said != want {
		t.Errorf("%s stored %d operations of members, want %d", n.ownName(), said, want)
	}
}

// A stranger is a process that is given the topic's name and the addresses. It
// hears nothing, none of its frames is kept, and nobody tells it a topic. With
// the gates towards the network open the same process hears all there is, so
// what it says of itself is to be believed; its frames are refused even then.
func TestStrangerAtTheGate(t *testing.T) {
	const wide = mesh.GateProtocols | mesh.GateSubscriptions
	for _, off := range []mesh.Gates{0, wide} {
		t.Run(fmt.Sprintf("off=%d", off), func(t *testing.T) {
			a, b := withGatesOff(t, "Ann", off), testNode(t, "Bo")
			g := newGroup(t, a, api.GroupCreate{})
			join(t, b, invite(t, a, g, 1, ""))
			talk(t, g, a, b, "warm ")
			before, stats := contentIDs(t, a, g), a.mesh.Stats()
			name, epoch := topicOf(t, a, g)

			x := startOutsider(t, newKey, a, b)
			for _, n := range []*Node{a, b} {
				x.order(t, "subscribe", n, name)
				x.publish(t, n, name, junk("stranger"))
			}
			if off == wide {
				subscribed(t, a, g, epoch.EID, x.key, true)
				within(t, a, patience, "the stranger's frames to be refused", func() bool {
					return a.mesh.Stats().Strangers >= stats.Strangers+volley
				})
			}
			talk(t, g, a, b, "")
			if off == wide {
				x.do(t, fmt.Sprintf("await %s %d", name, volley))
				x.reads(t, "done")
			} else if heard, learnt := x.report(t, name); heard != 0 || learnt != 0 {
				t.Errorf("the stranger heard %d frames and learnt %d topics", heard, learnt)
			}
			keepsOut(t, a, g, before, a, b)
			keepsOut(t, b, g, before, a, b)
			if !a.mesh.Connected(x.key) || !b.mesh.Connected(x.key) {
				t.Error("the stranger is not linked any more: that was no test")
			}
		})
	}
}

// Without the first gate a stranger need not be given the name: it is told.
func TestStrangerIsToldTheTopic(t *testing.T) {
	a := withGatesOff(t, "Ann", mesh.GateProtocols)
	name, _ := topicOf(t, a, newGroup(t, a, api.GroupCreate{}))
	x := newGossiper(t, nil, a)
	until(t, x, "the name of the topic", func() bool { return x.Saw(name) })
}

// neighbour admits an applicant to groups of a node and returns a peer with
// its key, linked to that node.
func neighbour(t *testing.T, n *Node, gs ...wire.GroupID) (*meshtest.Gossiper, wire.AccountID) {
	t.Helper()
	p, err := newApplicant(t.Context())
	ok(t, err)
	for _, g := range gs {
		v, err := p.ask(t.Context(), n, invite(t, n, g, 1, "").Passcode)
		if err != nil || v.Outcome != outcomeAdmitted {
			t.Fatalf("admitting a neighbour: outcome %d, %v", v.Outcome, err)
		}
	}
	ok(t, p.mesh.Close())
	within(t, n, patience, "the applicant's link to end", func() bool { return !n.mesh.Connected(p.keys.PeerKey()) })
	return newGossiper(t, p.keys.Peer, n), p.account()
}

// shout has a node send frames on the topic of an epoch, whatever they are.
func shout(t *testing.T, n *Node, g wire.GroupID, eid [32]byte, frames ...[]byte) {
	t.Helper()
	inRoom(t, n, g, func(r *room) {
		for _, f := range frames {
			ok(t, r.topics[eid].t.Publish(t.Context(), f))
		}
	})
}

// fence waits until x has everything that n sent it before: packets to one
// peer stay in order.
func fence(t *testing.T, n *Node, shared wire.GroupID, x *meshtest.Gossiper) {
	t.Helper()
	_, epoch := topicOf(t, n, shared)
	shout(t, n, shared, epoch.EID, []byte("fence"))
	until(t, x, "a frame in the shared group", func() bool { return x.Got([]byte("fence")) == 1 })
}

// A neighbour is a member of another group of Ann's, so the door is open for
// it. It subscribes to a topic it is no member of, and publishes there.
func TestNeighbourAtTheGate(t *testing.T) {
	t.Parallel()
	for _, off := range []mesh.Gates{0, mesh.GateSubscriptions, mesh.GateValidator} {
		t.Run(fmt.Sprintf("off=%d", off), func(t *testing.T) {
			a, b := withGatesOff(t, "Ann", off), testNode(t, "Bo")
			g, other := newGroup(t, a, api.GroupCreate{}), newGroup(t, a, api.GroupCreate{Name: "Other"})
			join(t, b, invite(t, a, g, 1, ""))
			x, _ := neighbour(t, a, other)
			name, _ := topicOf(t, a, g)
			shared, epoch := topicOf(t, a, other)
			ok(t, x.Subscribe(t.Context(), a.mesh.Self(), name, shared))
			subscribed(t, a, other, epoch.EID, x.Key(), true)

			talk(t, g, a, b, "warm ")
			before, stats, heard := contentIDs(t, a, g), a.mesh.Stats(), x.Heard(name)
			ok(t, x.Publish(t.Context(), a.mesh.Self(), name, junk("neighbour")...))
			if off == mesh.GateValidator {
				// They pass for a member's and are handed to the room, which
				// looks at nothing that its judge has not seen.
				within(t, a, patience, "the neighbour's frames to pass", func() bool {
					return a.mesh.Stats().Delivered >= stats.Delivered+volley && a.mesh.Stats().Strangers == stats.Strangers
				})
				return
			}
			within(t, a, patience, "the neighbour's frames to be refused", func() bool {
				return a.mesh.Stats().Strangers >= stats.Strangers+volley
			})
			talk(t, g, a, b, "")
			fence(t, a, other, x)
			switch got := x.Heard(name) - heard; {
			case off == 0 && x.Heard(name) != 0:
				t.Errorf("the neighbour heard %d frames", x.Heard(name))
			case off == mesh.GateSubscriptions && got < volley:
				t.Errorf("without the gate the neighbour should hear %d frames, heard %d", volley, got)
			}
			keepsOut(t, a, g, before, a, b)
			keepsOut(t, b, g, before, a, b)
		})
	}
}

var errRollBack = errors.New("not to be kept")

// forge has a node write a volley under the epoch of the moment that nobody
// gets to see, itself included.
func forge(ctx context.Context, n *Node, g wire.GroupID) (frames [][]byte, err error) {
	r := n.room(g)
	if r == nil {
		return nil, errors.New("forging: no such group")
	}
	err = r.step(ctx, func(c *commit) error {
		e, _ := r.sendEpoch()
		for i := range volley {
			op, err := craft(r, e, fmt.Sprint("forged ", i))
			if err != nil {
				return err
			}
			r.take(c, op)
			frames = append(frames, op.Frame())
		}
		return errRollBack
	})
	if !errors.Is(err, errRollBack) {
		return nil, err
	}
	return frames, nil
}

// C was a member, and is a process of its own. It is removed while it runs.
// Then another process comes with the peer key from C's home, knows the old
// topic's name and is given the new one's, and publishes what C signed while
// it was a member, on both and by sync. It hears nothing, and nothing of it is
// stored.
func TestRemovedAtTheGate(t *testing.T) {
	a, b, home := testNode(t, "Ann"), testNode(t, "Bo"), t.TempDir()
	g := newGroup(t, a, api.GroupCreate{})
	inv := invite(t, a, g, 2, "")
	join(t, b, inv)
	c := startChild(t, home)
	c.do(t, "join "+inv.Passcode)
	c.reads(t, "joined")
	talk(t, g, a, b, "warm ")
	old, _ := topicOf(t, a, g)
	c.do(t, fmt.Sprint("forge ", g))
	var frames [][]byte
	for range volley {
		f, err := hex.DecodeString(strings.TrimPrefix(c.reads(t, "frame "), "frame "))
		ok(t, err)
		frames = append(frames, f)
	}
	first, refusal := groups.Decode(frames[0])
	if refusal != nil {
		t.Fatal(refusal)
	}
	cy, known := a.room(g).view.Load().state.Inc(first.IncID())
	if !known {
		t.Fatal("A does not know C")
	}

	must[api.Member](t)(a.RemoveMember(t.Context(), g, cy.Account, ""))
	within(t, b, patience, "B to see the removal", func() bool { return !b.room(g).view.Load().member(cy.Peer) })
	within(t, b, patience, "B to have the new epoch", func() bool { e := b.room(g).view.Load().epoch; return e.Gen > 0 && e == a.room(g).view.Load().epoch })
	c.kill()
	now, _ := topicOf(t, a, g)
	if now == old {
		t.Fatal("the topic did not move")
	}
	before := contentIDs(t, a, g)
	maps.Copy(before, contentIDs(t, b, g)) // what C itself said as it joined may have come to one of them

	x := startOutsider(t, home, a, b)
	if x.key != cy.Peer {
		t.Fatal("the process does not have the key of the removed")
	}
	pushed := mesh.AppendFrame(nil, groups.EncodeSync(&groups.SyncHave{Group: g}))
	pushed = mesh.AppendFrame(pushed, groups.EncodeSync(&groups.Segment{Inc: cy.ID, Chain: uint64(groups.Content), Frames: frames[:16]}))
	for _, n := range []*Node{a, b} {
		x.order(t, "subscribe", n, old, now)
		x.publish(t, n, old, frames)
		x.publish(t, n, now, frames)
		x.order(t, "push", n, protocolSync, hex.EncodeToString(pushed))
	}
	talk(t, g, a, b, "")
	if heard, learnt := x.report(t, old, now); heard != 0 || learnt != 0 {
		t.Errorf("the removed heard %d frames and learnt %d topics", heard, learnt)
	}
	keepsOut(t, a, g, before, a, b)
	keepsOut(t, b, g, before, a, b)
}

// A device of Ann's is stolen and revoked while it runs. Then another process
// comes with the peer key from its home, knows the old topic's name and is
// given the new one's, and publishes what the device signed before it was
// revoked and showed nobody, on both. It hears nothing, and nothing of it is
// stored; Ann's other device goes on.
func TestRevokedAtTheGate(t *testing.T) {
	l := newLostAndFound(t)
	old, epoch := topicOf(t, l.bo, l.g)
	subscribed(t, l.bo, l.g, epoch.EID, l.old.mesh.Self(), true)
	frames, err := forge(t.Context(), l.old, l.g)
	ok(t, err)
	thief, lost := l.old.mesh.Self(), l.old.dev.id()

	must[api.DeviceRevoked](t)(l.now.RevokeDevice(t.Context(), lost, api.DeviceRevoke{Reason: api.RevokedStolen}))
	isOver(t, l.bo, l.g, lost)
	within(t, l.bo, patience, "Bo to have the new epoch", func() bool {
		e := l.bo.room(l.g).view.Load().epoch
		return e.EID != epoch.EID && e == l.now.room(l.g).view.Load().epoch
	})
	ok(t, l.old.Close())
	now, _ := topicOf(t, l.bo, l.g)
	if now == old {
		t.Fatal("the topic did not move")
	}
	talk(t, l.g, l.bo, l.now, "warm ")
	before := contentIDs(t, l.bo, l.g)

	x := startOutsider(t, l.oldHome, l.bo, l.now)
	if x.key != thief {
		t.Fatal("the process does not have the key of the revoked")
	}
	for _, n := range []*Node{l.bo, l.now} {
		x.order(t, "subscribe", n, old, now)
		x.publish(t, n, old, frames)
		x.publish(t, n, now, frames)
	}
	talk(t, l.g, l.bo, l.now, "")
	if heard, learnt := x.report(t, old, now); heard != 0 || learnt != 0 {
		t.Errorf("the revoked heard %d frames and learnt %d topics", heard, learnt)
	}
	keepsOut(t, l.bo, l.g, before, l.bo, l.now)
	keepsOut(t, l.now, l.g, before, l.bo, l.now)
}

// C is removed from one group and stays in another, so its link stays too.
// What is still said on the topic it knew, to members who have not heard of
// the new epoch, does not reach it; without the fourth gate it does.
func TestRemovalTakesTheSubscription(t *testing.T) {
	for _, off := range []mesh.Gates{0, mesh.GateRemoval} {
		t.Run(fmt.Sprintf("off=%d", off), func(t *testing.T) {
			a := withGatesOff(t, "Ann", off)
			g, other := newGroup(t, a, api.GroupCreate{}), newGroup(t, a, api.GroupCreate{Name: "Other"})
			x, account := neighbour(t, a, g, other)
			old, epoch := topicOf(t, a, g)
			shared, sharedEpoch := topicOf(t, a, other)
			ok(t, x.Subscribe(t.Context(), a.mesh.Self(), old, shared))
			subscribed(t, a, g, epoch.EID, x.Key(), true)
			subscribed(t, a, other, sharedEpoch.EID, x.Key(), true)
			say(t, a, g, "while a member")
			until(t, x, "what is said while a member", func() bool { return x.Heard(old) > 0 })

			must[api.Member](t)(a.RemoveMember(t.Context(), g, account, ""))
			if off == 0 {
				subscribed(t, a, g, epoch.EID, x.Key(), false)
			}
			frames := junk("said on the old topic")
			shout(t, a, g, epoch.EID, frames...)
			fence(t, a, other, x)
			want := 0
			if off == mesh.GateRemoval {
				want = volley
			}
			if got := x.Got(frames...); got != want {
				t.Errorf("the removed heard %d frames, want %d", got, want)
			}
			if now, _ := topicOf(t, a, g); now == old {
				t.Error("the topic did not move")
			}
		})
	}
}
