package mesh_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/mesh"
	"mutuals/node/mesh/meshtest"
)

const patience = 2 * time.Minute

func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// until waits for something that shows in nothing else.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx := soon(t)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func key(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func keyOf(k ed25519.PrivateKey) wire.PeerKey { return wire.PeerKey(k.Public().(ed25519.PublicKey)) }

// circle is a topic whose members are known beforehand.
type circle struct {
	t       *testing.T
	name    string
	members map[wire.PeerKey]bool
	judge   func(from wire.PeerKey, frame []byte, known bool) (mesh.Verdict, any)
}

func newCircle(t *testing.T, members ...wire.PeerKey) *circle {
	c := &circle{t: t, name: "circle", members: map[wire.PeerKey]bool{}}
	for _, m := range members {
		c.members[m] = true
	}
	c.judge = func(_ wire.PeerKey, frame []byte, _ bool) (mesh.Verdict, any) {
		if strings.HasPrefix(string(frame), "bad") {
			return mesh.Reject, nil
		}
		return mesh.Accept, nil
	}
	return c
}

// enter starts a member on loopback and puts it on the topic.
func (c *circle) enter(k ed25519.PrivateKey) (*mesh.Mesh, *mesh.Topic, chan string) {
	c.t.Helper()
	m, err := mesh.New(context.Background(), mesh.Config{Key: k, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { m.Close() })
	got := make(chan string, 1<<14)
	top, err := m.Join(c.name, mesh.Gate{
		Allow:   func(p wire.PeerKey) bool { return c.members[p] },
		Judge:   c.judge,
		Deliver: func(_ wire.PeerKey, frame []byte, _ any) { got <- string(frame) },
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return m, top, got
}

// hears publishes a frame and waits for it; it returns how long that took.
func hears(t *testing.T, top *mesh.Topic, frame string, got chan string) time.Duration {
	t.Helper()
	began := time.Now()
	if err := top.Publish(soon(t), []byte(frame)); err != nil {
		t.Fatal(err)
	}
	over := time.After(patience)
	for {
		select {
		case f := <-got:
			if f == frame {
				return time.Since(began)
			}
		case <-over:
			t.Fatalf("%q was not heard", frame)
		}
	}
}

func link(t *testing.T, from, to *mesh.Mesh) {
	t.Helper()
	if err := from.Connect(soon(t), to.Self(), to.Bound()); err != nil {
		t.Fatal(err)
	}
}

func heapNow() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapInuse + s.StackInuse
}

func count(ok func(*meshtest.Caller) bool, callers []*meshtest.Caller) (n int) {
	for _, c := range callers {
		if c != nil && ok(c) {
			n++
		}
	}
	return n
}

// A thousand strangers, each with a key of its own, link from two hundred
// addresses. What they may hold is bounded; members stay linked and hear each
// other, a member and a newcomer who come then get in and are served.
func TestThousandStrangers(t *testing.T) {
	const strangers, places = 1000, 64
	ka, kb, kc := key(t), key(t), key(t)
	c := newCircle(t, keyOf(ka), keyOf(kb), keyOf(kc))
	a, ta, _ := c.enter(ka)
	b, tb, heardB := c.enter(kb)
	served := make(chan struct{}, 1)
	a.Handle("/ask/1", 4, func(_ context.Context, s *mesh.Stream) {
		if f, err := s.ReadFrame(100); err == nil && s.WriteFrame(f) == nil {
			served <- struct{}{}
		}
	})
	link(t, b, a)
	until(t, "both on the topic", func() bool { return len(ta.Peers()) == 1 && len(tb.Peers()) == 1 })
	hears(t, ta, "before", heardB)
	newcomer, err := meshtest.Call(soon(t), nil, "127.9.9.9", a.Self(), a.Bound()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer newcomer.Close()
	question, err := newcomer.Open(soon(t), "/ask/1")
	if err != nil {
		t.Fatal(err)
	}
	before, gos := heapNow(), runtime.NumGoroutine()

	callers := make([]*meshtest.Caller, strangers)
	defer func() {
		for _, s := range callers {
			if s != nil {
				s.Close()
			}
		}
	}()
	began := time.Now()
	var refused atomic.Int64
	var calling sync.WaitGroup
	gate := make(chan struct{}, 16)
	for i := range callers {
		calling.Add(1)
		gate <- struct{}{}
		go func() {
			defer calling.Done()
			defer func() { <-gate }()
			s, err := meshtest.Call(soon(t), nil, fmt.Sprintf("127.1.%d.%d", i%4, 1+i/4%50), a.Self(), a.Bound()[0])
			if err != nil {
				refused.Add(1)
				return
			}
			callers[i] = s
		}()
	}
	calling.Wait()
	took := time.Since(began)
	linked := func() int { return count((*meshtest.Caller).Linked, callers) }
	until(t, "strangers to be few", func() bool { return linked() <= places })
	after := heapNow()
	slow := hears(t, ta, "during", heardB)
	if !newcomer.Linked() {
		t.Error("a newcomer in the middle of asking was put out")
	}
	if _, err := question.Write(mesh.AppendFrame(nil, []byte("?"))); err != nil {
		t.Error(err)
	}
	select {
	case <-served:
	case <-time.After(patience):
		t.Error("a newcomer is not served")
	}
	// A member who was away.
	m, tm, heardC := c.enter(kc)
	link(t, m, a)
	until(t, "the third member on the topic", func() bool { return len(ta.Peers()) == 2 && len(tm.Peers()) > 0 })
	hears(t, ta, "all three", heardC)
	if !a.Connected(b.Self()) {
		t.Error("a member lost its link")
	}
	st := a.Stats()
	t.Logf("%d strangers from 200 addresses in %v: %d hold links, %d put out, %d refused; a message took %v; memory of all here %.1f MB before, %.1f MB after; %d goroutines before, %d after",
		strangers, took.Round(time.Millisecond), linked(), st.Crowded, refused.Load(), slow.Round(10*time.Microsecond),
		float64(before)/1e6, float64(after)/1e6, gos, runtime.NumGoroutine())
	// Besides the links there are the callers' own ends.
	if grown := int64(after) - int64(before); grown > 32<<20 {
		t.Errorf("memory grew by %d bytes", grown)
	}
	if st.Crowded == 0 {
		t.Error("nobody was put out")
	}
}

// Strangers who open streams and never say for what cannot take those of members,
// however many links they make: libp2p lets all peers together have 128 of them.
func TestSilentStreams(t *testing.T) {
	ka, kb := key(t), key(t)
	c := newCircle(t, keyOf(ka), keyOf(kb))
	a, ta, _ := c.enter(ka)
	b, _, _ := c.enter(kb)
	a.Handle("/ask/1", 4, func(_ context.Context, s *mesh.Stream) {
		if f, err := s.ReadFrame(100); err == nil {
			s.WriteFrame(f)
		}
	})
	link(t, b, a)
	until(t, "both on the topic", func() bool { return len(ta.Peers()) == 1 })
	before := heapNow()
	opened := 0
	for i := range 64 {
		s, err := meshtest.Call(soon(t), nil, fmt.Sprintf("127.2.0.%d", i+1), a.Self(), a.Bound()[0])
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for range 256 {
			st, err := s.Open(soon(t), "")
			if err != nil {
				break
			}
			st.SetDeadline(time.Now().Add(patience))
			if _, err := st.Write([]byte{0x13}); err != nil { // the length of "/multistream/1.0.0"
				break
			}
			opened++
		}
	}
	ask, err := b.Open(soon(t), a.Self(), "/ask/1")
	if err != nil {
		t.Fatalf("a member gets no stream: %v", err)
	}
	if err := ask.WriteFrame([]byte("?")); err != nil {
		t.Fatal(err)
	}
	if _, err := ask.ReadFrame(100); err != nil {
		t.Errorf("a member is not answered: %v", err)
	}
	grown := int64(heapNow()) - int64(before)
	t.Logf("%d silent streams opened on 64 links, memory of both ends grew by %.1f MB, a member was served", opened, float64(grown)/1e6)
}

// A peer that comes from another address again and again holds a few links at
// most, and takes nobody's place.
func TestWanderer(t *testing.T) {
	ka, kb := key(t), key(t)
	c := newCircle(t, keyOf(ka), keyOf(kb))
	a, ta, _ := c.enter(ka)
	b, _, heard := c.enter(kb)
	link(t, b, a)
	until(t, "both on the topic", func() bool { return len(ta.Peers()) == 1 })
	wanderer := key(t)
	var calls []*meshtest.Caller
	most := 0
	for i := range 100 {
		s, err := meshtest.Call(soon(t), wanderer, fmt.Sprintf("127.3.0.%d", i+1), a.Self(), a.Bound()[0])
		if err != nil {
			continue // refused already in the handshake
		}
		defer s.Close()
		calls = append(calls, s)
		most = max(most, count((*meshtest.Caller).Linked, calls))
	}
	until(t, "its links to be few", func() bool { return count((*meshtest.Caller).Linked, calls) <= 8 })
	hears(t, ta, "still", heard)
	t.Logf("a peer from 100 addresses holds %d links, %d at most", count((*meshtest.Caller).Linked, calls), most)
	if !a.Connected(b.Self()) {
		t.Error("a member lost its link")
	}
}
