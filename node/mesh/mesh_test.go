package mesh

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mutuals/identity/wire"
)

// Close leaves no goroutine behind, ours or libp2p's.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// local listens on this machine only, on ports the system chooses.
func local() []string { return []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"} }

// patience bounds every wait of a test, so that a hang has a name; a passing
// one waits a fraction, on a busy machine too.
const patience = 2 * time.Minute

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// presence records what OnPeer says and lets a test wait for it.
type presence struct {
	mu   sync.Mutex
	cond *sync.Cond
	log  []coming
	seen map[wire.PeerKey]int // how much of the log wait has used for a peer
}

type coming struct {
	peer wire.PeerKey
	up   bool
}

func newPresence() *presence {
	p := &presence{seen: map[wire.PeerKey]int{}}
	p.cond = sync.NewCond(&p.mu)
	return p
}

func (p *presence) on(k wire.PeerKey, up bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = append(p.log, coming{k, up})
	p.cond.Broadcast()
}

// wait blocks until peer k has come (or gone) once more since the last wait.
func (p *presence) wait(t testing.TB, k wire.PeerKey, up bool) {
	t.Helper()
	ctx := within(t)
	stop := context.AfterFunc(ctx, p.cond.Broadcast)
	defer stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for i := p.seen[k]; i < len(p.log); i++ {
			if p.log[i] == (coming{k, up}) {
				p.seen[k] = i + 1
				return
			}
		}
		if ctx.Err() != nil {
			t.Fatalf("peer %s: connected=%v never came", k.Short(), up)
		}
		p.cond.Wait()
	}
}

// node is a mesh on loopback with what it saw.
type node struct {
	*Mesh
	presence *presence
}

func start(t testing.TB, change func(*Config)) *node {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{presence: newPresence()}
	cfg := Config{Key: key, Listen: local(), OnPeer: n.presence.on}
	if change != nil {
		change(&cfg)
	}
	m, err := New(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.Mesh = m
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// join links a to b and waits until both have noticed.
func link2(t testing.TB, a, b *node) {
	t.Helper()
	if err := a.Connect(within(t), b.Self(), b.Addrs()); err != nil {
		t.Fatal(err)
	}
	a.presence.wait(t, b.Self(), true)
	b.presence.wait(t, a.Self(), true)
}

func TestLinkAndPresence(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	link2(t, a, b)
	if !a.Connected(b.Self()) || len(a.Peers()) != 1 || a.Peers()[0].Peer != b.Self() || !b.Peers()[0].Inbound {
		t.Fatalf("peers: %+v %+v", a.Peers(), b.Peers())
	}
	a.ClosePeer(b.Self())
	a.presence.wait(t, b.Self(), false)
	b.presence.wait(t, a.Self(), false)
}
