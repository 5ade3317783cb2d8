package mesh

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"mutuals/identity/wire"
)

// stranger is a libp2p host of somebody else: it is given the names of topics
// and the addresses of nodes, and runs GossipSub or floodsub as it likes.
type stranger struct {
	host.Host
	ps   *pubsub.PubSub
	self wire.PeerKey

	mu   sync.Mutex
	cond *sync.Cond
	saw  []string // topics others announced to it, in the order of arrival
	got  []string // frames others sent to it, likewise, over all topics
}

// everyProtocol is what a stranger speaks: the public ones and ours.
var everyProtocol = []protocol.ID{gossipProtocol, pubsub.GossipSubID_v12, pubsub.GossipSubID_v11, pubsub.FloodSubID}

func newStranger(t *testing.T, flood bool) *stranger {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h, err := libp2p.New(libp2p.Identity(key), libp2p.ListenAddrStrings(local()...), libp2p.DisableRelay())
	if err != nil {
		t.Fatal(err)
	}
	s := &stranger{Host: h}
	s.cond = sync.NewCond(&s.mu)
	s.self, _ = keyOf(h.ID())
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); h.Close() })
	opts := []pubsub.Option{
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(frameID), pubsub.WithFloodPublish(true),
		pubsub.WithAppSpecificRpcInspector(s.record),
	}
	if flood {
		s.ps, err = pubsub.NewFloodsubWithProtocols(ctx, h, everyProtocol, slices.Delete(opts, 3, 4)...)
	} else {
		s.ps, err = pubsub.NewGossipSub(ctx, h, append(opts, pubsub.WithGossipSubProtocols(everyProtocol,
			func(f pubsub.GossipSubFeature, id protocol.ID) bool {
				return id != pubsub.FloodSubID && f == pubsub.GossipSubFeatureMesh
			}))...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// record sees every packet before anything is filtered or put in a queue, so
// what stands in front of a fence has been seen when the fence has.
func (s *stranger) record(_ peer.ID, rpc *pubsub.RPC) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range rpc.GetSubscriptions() {
		s.saw = append(s.saw, a.GetTopicid())
	}
	for _, m := range rpc.GetPublish() {
		_, frame, _ := frameOf(m.Data)
		s.got = append(s.got, string(frame))
	}
	s.cond.Broadcast()
	return nil
}

// until waits for what and returns it.
func (s *stranger) until(t *testing.T, list *[]string, want string) {
	t.Helper()
	ctx := within(t)
	stop := context.AfterFunc(ctx, s.cond.Broadcast)
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !slices.Contains(*list, want) {
		if ctx.Err() != nil {
			t.Fatalf("%q never came to the stranger", want)
		}
		s.cond.Wait()
	}
}

// heard counts the frames that begin with prefix.
func (s *stranger) heard(prefix string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.got {
		if strings.HasPrefix(f, prefix) {
			n++
		}
	}
	return n
}

// shutOut checks that nothing has come from n and nothing can: n has no
// gossip stream towards the stranger. Call it when n has identified it.
func (s *stranger) shutOut(t *testing.T, n *node) {
	t.Helper()
	for _, c := range n.host.Network().ConnsToPeer(s.ID()) {
		for _, st := range c.GetStreams() {
			if st.Stat().Direction == network.DirOutbound && slices.Contains(everyProtocol, st.Protocol()) {
				t.Errorf("a gossip stream is open towards the stranger: %s", st.Protocol())
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.saw) > 0 {
		t.Errorf("stranger learnt topics %q", s.saw)
	}
}

func (s *stranger) reach(t *testing.T, n *node) {
	t.Helper()
	// It may not have noticed yet that an earlier link was closed.
	poll(t, func() bool { return s.Network().Connectedness(idOf(n.Self())) != network.Connected })
	if err := s.Connect(within(t), addrInfo(n.Self(), n.Addrs())); err != nil {
		t.Fatal(err)
	}
	n.presence.wait(t, s.self, true)
}

func (s *stranger) enter(t *testing.T, topic string) *pubsub.Topic {
	t.Helper()
	top, err := s.ps.Join(topic)
	if err != nil {
		t.Fatal(err)
	}
	sub, err := top.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sub.Cancel)
	return top
}

// Twenty messages each way, as many attackers as kinds, all gates shut: the
// members hear each other and nobody else, and nobody else hears a member.
func TestAllGatesShut(t *testing.T) {
	for _, flood := range []bool{true, false} {
		t.Run(fmt.Sprintf("flood=%v", flood), func(t *testing.T) {
			a, b, s := start(t, nil), start(t, nil), newStranger(t, flood)
			g := group(a.Self(), b.Self())
			ta, _ := enter(t, a, "talk", g)
			_, inb := enter(t, b, "talk", g)
			top := s.enter(t, "talk")
			s.reach(t, a)
			s.reach(t, b)
			link2(t, a, b)
			sees(t, ta, b.Self(), true)
			for i := range 20 {
				if err := top.Publish(context.Background(), fmt.Appendf([]byte{0}, "stranger %d", i)); err != nil {
					t.Fatal(err)
				}
				say(t, ta, fmt.Sprint("member ", i))
			}
			say(t, ta, "last")
			if before := inb.until(t, "last"); len(before) != 20 {
				t.Errorf("member got %d frames, want 20: %q", len(before), before)
			}
			s.shutOut(t, a)
			s.shutOut(t, b)
			if n := s.heard(""); n != 0 {
				t.Errorf("stranger got %d frames", n)
			}
			if p := ta.Peers(); slices.Contains(p, s.self) {
				t.Error("stranger counts as subscribed")
			}
		})
	}
}

// A peer may know our own protocol's name and still learns no topic.
func TestGateProtocols(t *testing.T) {
	for _, off := range []bool{false, true} {
		t.Run(fmt.Sprintf("off=%v", off), func(t *testing.T) {
			a := start(t, func(c *Config) {
				if off {
					c.GatesOff = GateProtocols
				}
			})
			s := newStranger(t, false)
			enter(t, a, "secret name", group(a.Self()))
			s.reach(t, a)
			if off {
				s.until(t, &s.saw, "secret name")
				return
			}
			s.shutOut(t, a)
		})
	}
}

// neighbours sets up a member A with the given gates off and a neighbour, who
// shares the group "shared" with A but is no member of "talk".
func neighbours(t *testing.T, off Gates) (a *node, ta *Topic, ina *inbox, s *stranger, talkers, all *members) {
	a = start(t, func(c *Config) { c.GatesOff = off })
	s = newStranger(t, false)
	all = group(a.Self(), s.self)
	talkers = group(a.Self())
	ta, ina = enter(t, a, "talk", talkers)
	return a, ta, ina, s, talkers, all
}

func TestGateSubscriptions(t *testing.T) {
	for _, off := range []bool{false, true} {
		t.Run(fmt.Sprintf("off=%v", off), func(t *testing.T) {
			var gates Gates
			if off {
				gates = GateSubscriptions
			}
			a, ta, _, s, _, all := neighbours(t, gates)
			shared, _ := enter(t, a, "shared", all)
			s.enter(t, "talk")
			s.enter(t, "shared")
			s.reach(t, a)
			sees(t, shared, s.self, true)
			for i := range 20 {
				say(t, ta, fmt.Sprint("private ", i))
			}
			say(t, shared, "fence")
			s.until(t, &s.got, "fence")
			want := 0
			if off {
				want = 20
			}
			if n := s.heard("private"); n != want {
				t.Errorf("neighbour heard %d of 20, want %d", n, want)
			}
		})
	}
}

func TestGateValidator(t *testing.T) {
	for _, off := range []bool{false, true} {
		t.Run(fmt.Sprintf("off=%v", off), func(t *testing.T) {
			var gates Gates
			if off {
				gates = GateValidator
			}
			a, _, ina, s, talkers, all := neighbours(t, gates)
			shared, insh := enter(t, a, "shared", all)
			sshared := s.enter(t, "shared")
			talk := s.enter(t, "talk")
			s.reach(t, a)
			sees(t, shared, s.self, true)
			known(t, s, a, "talk")
			known(t, s, a, "shared")
			// As the member writes it who will say the same.
			b := start(t, nil)
			of := circleOf([]wire.PeerKey{a.Self()})
			for i := range 20 {
				if err := talk.Publish(context.Background(), fmt.Appendf(slices.Clone(of), "intruder %d", i)); err != nil {
					t.Fatal(err)
				}
			}
			if err := sshared.Publish(context.Background(), append([]byte{0}, "fence"...)); err != nil {
				t.Fatal(err)
			}
			insh.until(t, "fence")
			if off {
				ina.until(t, "intruder 19")
				return
			}
			if len(ina.ch) != 0 {
				t.Errorf("%d frames of a neighbour got in", len(ina.ch))
			}
			if n := a.Stats().Strangers; n != 20 {
				t.Errorf("counted %d frames of no member, want 20", n)
			}
			// What an intruder brought first is still taken from a member.
			both := group(a.Self(), b.Self())
			tb, _ := enter(t, b, "talk", both)
			link2(t, a, b)
			talkers.put(b.Self(), true)
			a.Refresh(b.Self())
			sees(t, tb, a.Self(), true)
			say(t, tb, "intruder 0")
			ina.until(t, "intruder 0")
		})
	}
}

// known waits until the stranger counts n as subscribed, or it would have
// nobody to send to.
func known(t *testing.T, s *stranger, n *node, topic string) {
	t.Helper()
	ctx := within(t)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !slices.Contains(s.ps.ListPeers(topic), idOf(n.Self())) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("stranger never saw topic %q", topic)
		}
	}
}

// C is a member and in the mesh, and is removed. Its subscription was let in
// when it was right to; filter and validator never look at it again.
func TestGateRemoval(t *testing.T) {
	for _, off := range []bool{false, true} {
		for _, elsewhere := range []bool{false, true} {
			t.Run(fmt.Sprintf("off=%v/elsewhere=%v", off, elsewhere), func(t *testing.T) {
				a := start(t, func(c *Config) {
					if off {
						c.GatesOff = GateRemoval
					}
				})
				c := newStranger(t, false)
				talkers := group(a.Self(), c.self)
				ta, _ := enter(t, a, "talk", talkers)
				c.enter(t, "talk")
				all := group(a.Self(), c.self)
				var shared *Topic
				if elsewhere || off {
					shared, _ = enter(t, a, "shared", all)
					c.enter(t, "shared")
				}
				c.reach(t, a)
				sees(t, ta, c.self, true)
				say(t, ta, "while a member")
				c.until(t, &c.got, "while a member")
				if shared != nil {
					sees(t, shared, c.self, true)
				}

				talkers.put(c.self, false)
				a.Refresh(c.self)
				if !off {
					sees(t, ta, c.self, false)
				}
				if shared == nil {
					a.presence.wait(t, c.self, false)
					c.mu.Lock()
					c.saw = nil
					c.mu.Unlock()
					c.reach(t, a) // it may dial again, as the stranger it is
					c.shutOut(t, a)
				}
				for i := range 20 {
					say(t, ta, fmt.Sprint("after ", i))
				}
				if shared != nil {
					say(t, shared, "fence")
					c.until(t, &c.got, "fence")
				}
				want := 0
				if off {
					want = 20
				}
				if n := c.heard("after"); n != want {
					t.Errorf("removed member heard %d of 20, want %d", n, want)
				}
			})
		}
	}
}
