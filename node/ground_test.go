package node

import (
	"context"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// clock is a node's clock that a test sets ahead; it goes on by itself.
type clock struct{ off atomic.Int64 }

func (c *clock) now() time.Time         { return time.Now().Add(time.Duration(c.off.Load())) }
func (c *clock) shift(by time.Duration) { c.off.Add(int64(by)) }

// startNode opens a home on loopback, with an identity of that name if it has
// none yet. Close may be called early.
func startNode(t testing.TB, dir, name string, change func(*Config)) *Node {
	t.Helper()
	cfg := Config{
		Home: dir, NoMDNS: true, Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"},
	}
	if os.Getenv("MUTUALS_TEST_LOG") != "" {
		cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", name)
	}
	if change != nil {
		change(&cfg)
	}
	n, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(func() { n.Close() })
	if !n.begun.Load() {
		if _, err := n.CreateIdentity(t.Context(), api.IdentityCreate{Name: name}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return n
}

func newClockedNode(t *testing.T, name string, c *clock) *Node {
	t.Helper()
	return startNode(t, t.TempDir(), name, func(cfg *Config) { cfg.Now = c.now })
}

func newGroup(t testing.TB, n *Node, in api.GroupCreate) wire.GroupID {
	t.Helper()
	if in.Name == "" {
		in.Name = "Hiking"
	}
	return must[api.Group](t)(n.CreateGroup(t.Context(), in)).ID
}

func invite(t testing.TB, n *Node, g wire.GroupID, uses int, expires string) api.Invite {
	t.Helper()
	return must[api.Invite](t)(n.CreateInvite(t.Context(), g, api.InviteCreate{Uses: &uses, Expires: expires}))
}

// tryJoin pastes a passcode and waits for what comes of it.
func tryJoin(t testing.TB, n *Node, inv api.Invite) api.Task {
	t.Helper()
	return waitTask(t, n, must[api.Task](t)(n.JoinByPasscode(t.Context(), inv.Passcode)).ID)
}

func join(t testing.TB, n *Node, inv api.Invite) {
	t.Helper()
	if task := tryJoin(t, n, inv); task.Stage != api.StageJoined {
		t.Fatalf("%s joins: stage %q, problem %v", n.ownName(), task.Stage, task.Problem)
	}
}

func problemCode(task api.Task) api.Code {
	if task.Problem == nil {
		return ""
	}
	return task.Problem.Code
}

// befriend makes two people mutuals.
func befriend(t testing.TB, a, b *Node) {
	t.Helper()
	follow(t, a, b)
	within(t, b, patience, "a follow to answer", func() bool { return len(must[[]api.Request](t)(b.Requests(t.Context()))) == 1 })
	req := must[[]api.Request](t)(b.Requests(t.Context()))[0]
	must[api.Request](t)(b.AnswerRequest(t.Context(), req.ID, true))
	within(t, a, patience, "mutual", func() bool { return a.people.mutual(b.dev.account()) && b.people.mutual(a.dev.account()) })
}

// inRoom looks at what only the room's goroutine may.
func inRoom(t testing.TB, n *Node, g wire.GroupID, look func(r *room)) {
	t.Helper()
	r := n.room(g)
	if r == nil {
		t.Fatalf("%s has no such group", n.ownName())
	}
	if err := r.step(t.Context(), func(*commit) error { look(r); return nil }); err != nil {
		t.Fatal(err)
	}
}

// same waits until two nodes hold the same operations.
func same(t testing.TB, g wire.GroupID, nodes ...*Node) {
	t.Helper()
	digest := func(n *Node) (d [32]byte) {
		inRoom(t, n, g, func(r *room) { d = groups.Digest(r.vectorNow()) })
		return d
	}
	for _, n := range nodes[1:] {
		within(t, n, patience, n.ownName()+" to hold what "+nodes[0].ownName()+" holds", func() bool { return digest(n) == digest(nodes[0]) })
	}
}
