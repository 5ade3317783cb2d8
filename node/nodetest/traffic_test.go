package nodetest_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"flag"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh"
	"mutuals/node/mesh/meshtest"
	"mutuals/node/nodetest"
)

// Two members with ten groups, who have nothing to say, cost each other almost
// nothing: at most 50 bytes a second on the line between them, both ways and
// packet headers included (quality.md W2).
func TestIdleTraffic(t *testing.T) {
	const groups, most = 10, 50.0
	nodetest.Play(t, options(t, 1), func(c *nodetest.Cluster) {
		ann, bo := c.Add("Ann"), c.Add("Bo")
		for range groups {
			c.Found(ann, 2)
			c.Join(bo, c.Invite(ann))
		}
		time.Sleep(5 * time.Minute)
		for _, window := range []time.Duration{10 * time.Minute, time.Hour, time.Hour} {
			before := c.Net.Sent()
			time.Sleep(window)
			if !c.Linked([]*nodetest.Person{ann}, []*nodetest.Person{bo}) {
				t.Fatal("they are not linked")
			}
			rate := float64(c.Net.Sent()-before) / window.Seconds()
			c.Logf("%v: %.1f bytes a second", window, rate)
			if window == time.Hour && rate > most {
				t.Errorf("%.1f bytes a second, at most %v", rate, most)
			}
		}
	})
}

// Being on the topics of their codes costs two who are linked to somebody who
// carries them next to nothing while nobody looks. Time begins at midnight: so the
// topics change within that hour.
func TestIdleLobby(t *testing.T) {
	const groups, most = 3, 5.0
	rate := map[bool]float64{}
	for _, on := range []bool{false, true} {
		o := options(t, 1)
		o.Begin, o.Lobby = true, on
		nodetest.Play(t, o, func(c *nodetest.Cluster) {
			hana, ann, bo := c.Harbor("Hana"), c.Add("Ann"), c.Add("Bo")
			for range groups {
				c.Found(ann, 2)
				c.Join(bo, c.Invite(ann))
				c.Invite(bo)
			}
			time.Sleep(5 * time.Minute)
			if !c.Linked([]*nodetest.Person{hana}, []*nodetest.Person{ann}) || !c.Linked([]*nodetest.Person{hana}, []*nodetest.Person{bo}) {
				t.Fatal("they are not linked to who carries")
			}
			if now, err := ann.Node.Network(t.Context()); err != nil || on != (now.Lobby.Topics == groups && now.Lobby.Carriers == 1) {
				t.Fatalf("Ann stands at %+v, %v", now.Lobby, err)
			}
			before, window := c.Net.Sent(), time.Hour
			time.Sleep(window)
			rate[on] = float64(c.Net.Sent()-before) / window.Seconds()
			c.Logf("lobby %v: %.2f bytes a second on three lines", on, rate[on])
		})
	}
	if more := rate[true] - rate[false]; more > most {
		t.Errorf("%.2f bytes a second more, at most %v", more, most)
	}
}

var crowdSize = flag.Int("crowd", 12, "members of the group whose traffic is measured")

// frameBytes is what a message of 300 bytes weighs on a topic.
const frameBytes = 720

// What a message costs on everybody's lines together, beside the same frames on
// meshes that do nothing else, linked as the members of a group are
// (quality.md W1): one message a second, by everybody in turn. And how long it
// takes to the others' event streams in virtual time, where only the network takes
// any (quality.md L1 of large groups): the way through a node adds no wait.
func TestWireBytes(t *testing.T) {
	const words, every = 60, time.Second
	var ours float64
	var took times
	nodetest.Play(t, options(t, 1), func(c *nodetest.Cluster) {
		assemble(c, *crowdSize)
		time.Sleep(time.Minute)
		before := c.Net.Sent()
		time.Sleep(words * every)
		idle := c.Net.Sent() - before
		before = c.Net.Sent()
		stop := took.watch(c)
		for i := range words {
			took.said(time.Now())
			c.Say(c.People[i%len(c.People)])
			time.Sleep(every)
		}
		ours = float64(c.Net.Sent()-before-idle) / float64(words*(*crowdSize-1))
		stop()
		c.Settle(healing)
	})
	var rawTook times
	raw := rawBytes(t, *crowdSize, words, every, &rawTook)
	t.Logf("%d members: %.0f bytes a delivered message, %.0f of raw gossip: %.2f times", *crowdSize, ours, raw, ours/raw)
	if ours > 2*raw {
		t.Error("everything but the words costs more than they do")
	}
	all := words * (*crowdSize - 1)
	if len(took.each) != all || len(rawTook.each) != all {
		t.Fatalf("%d deliveries, %d of raw gossip, want %d of each", len(took.each), len(rawTook.each), all)
	}
	of, ofRaw := took.at(50), rawTook.at(50)
	t.Logf("%d members: p50 %v, p99 %v; of raw gossip %v, %v: %.2f times, %.2f", *crowdSize, of, took.at(99), ofRaw, rawTook.at(99),
		float64(of)/float64(ofRaw), float64(took.at(99))/float64(rawTook.at(99)))
	if float64(of) > 1.5*float64(ofRaw) {
		t.Error("a message takes more than 1.5 times as long as raw gossip")
	}
}

// times is how long each delivery took of what was said, one at a time.
type times struct {
	mu   sync.Mutex
	from time.Time
	each []time.Duration
}

func (o *times) said(at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.from = at
}

func (o *times) came() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.each = append(o.each, time.Since(o.from))
}

func (o *times) at(percent int) time.Duration {
	slices.Sort(o.each)
	return o.each[(len(o.each)-1)*percent/100]
}

// watch notes what others say on everybody's event stream, until stop.
func (o *times) watch(c *nodetest.Cluster) (stop func()) {
	ctx, cancel := context.WithCancel(c.T.Context())
	var wg sync.WaitGroup
	for _, p := range c.Members() {
		from := p.Node.LastEventID(ctx)
		wg.Go(func() {
			for {
				events, err := p.Node.NextEvents(ctx, from, 64)
				if err != nil {
					return
				}
				for _, e := range events {
					from = e.ID
					var m api.Message
					if e.Type != api.EventMessageCreated || json.Unmarshal(e.Object, &m) != nil || m.Kind != api.MessageText {
						continue
					}
					if m.Author != p.Account {
						o.came()
					}
				}
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// rawBytes lets n meshes say frames in turn.
func rawBytes(t *testing.T, n, words int, every time.Duration, took *times) (each float64) {
	synctest.Test(t, func(t *testing.T) {
		net := meshtest.NewNet(meshtest.Link{Jitter: 30 * time.Millisecond})
		defer net.Close()
		var nodes []*mesh.Mesh
		var tops []*mesh.Topic
		for range n {
			_, key, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			m, err := mesh.New(context.Background(), net.Config(mesh.Config{Key: key}))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			top, err := m.Join("words", mesh.Gate{
				Allow:   func(wire.PeerKey) bool { return true },
				Judge:   func(wire.PeerKey, []byte, bool) (mesh.Verdict, any) { return mesh.Accept, nil },
				Deliver: func(wire.PeerKey, []byte, any) { took.came() },
			})
			if err != nil {
				t.Fatal(err)
			}
			nodes, tops = append(nodes, m), append(tops, top)
		}
		for i, m := range nodes {
			for d := 1; d < n && d < 1<<6; d *= 2 {
				to := nodes[(i+d)%n].Self()
				m.Keep(to, func() []string { return []string{net.Addr(to)} })
			}
		}
		time.Sleep(time.Minute)
		before := net.Sent()
		time.Sleep(time.Duration(words) * every)
		idle := net.Sent() - before
		before = net.Sent()
		for i := range words {
			frame := make([]byte, frameBytes)
			rand.Read(frame)
			took.said(time.Now())
			if err := tops[i%n].Publish(context.Background(), frame); err != nil {
				t.Fatal(err)
			}
			time.Sleep(every)
		}
		each = float64(net.Sent()-before-idle) / float64(words*(n-1))
	})
	return each
}
