package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// testNode starts a node on loopback with an identity of that name.
func testNode(t testing.TB, name string) *Node {
	t.Helper()
	n := openNode(t, t.TempDir())
	if _, err := n.CreateIdentity(t.Context(), api.IdentityCreate{Name: name}); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func openNode(t testing.TB, dir string) *Node {
	t.Helper()
	level := slog.LevelWarn
	if os.Getenv("MUTUALS_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	n, err := Open(context.Background(), Config{
		Home: dir, NoMDNS: true, Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"},
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})).With("node", dir[len(dir)-8:]),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// patience bounds every wait of a test, so that a hang has a name; a passing
// one waits a fraction, on a busy machine too.
const patience = 2 * time.Minute

// within waits for a condition, looked at whenever the node's store changes.
func within(t testing.TB, n *Node, d time.Duration, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	for !ok() {
		look, stop := context.WithTimeout(ctx, 100*time.Millisecond)
		n.store.Tail(look, n.store.LastChange(), 1)
		stop()
		if ctx.Err() != nil {
			t.Fatalf("waited %v for: %s", d, what)
		}
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func follow(t testing.TB, a, b *Node) {
	t.Helper()
	card := must[api.Card](t)(b.Card(t.Context()))
	must[api.Person](t)(a.Follow(t.Context(), b.dev.account(), card.Text))
}

func waitTask(t testing.TB, n *Node, id string) api.Task {
	t.Helper()
	var task api.Task
	within(t, n, patience, "task over", func() bool {
		task = must[api.Task](t)(n.Task(t.Context(), id))
		return task.Over()
	})
	return task
}

func texts(t testing.TB, n *Node, g wire.GroupID) []string {
	t.Helper()
	page := must[api.MessagePage](t)(n.Messages(t.Context(), g, api.Page{Limit: 200}))
	var out []string
	for _, m := range page.Items {
		out = append(out, m.Text)
	}
	return out
}

func say(t testing.TB, n *Node, g wire.GroupID, text string) {
	t.Helper()
	must[api.Message](t)(n.Send(t.Context(), g, api.MessageCreate{Text: text}))
}

func hears(t testing.TB, n *Node, g wire.GroupID, text string) {
	t.Helper()
	within(t, n, patience, fmt.Sprintf("%s to hear %q, has %q", n.ownName(), text, texts(t, n, g)), func() bool {
		for _, s := range texts(t, n, g) {
			if s == text {
				return true
			}
		}
		return false
	})
}

func code(err error) api.Code { return api.CodeOf(err) }

func TestStory(t *testing.T) {
	t.Parallel()
	a, b, c, d := testNode(t, "Ann"), testNode(t, "Bo"), testNode(t, "Cy"), testNode(t, "Di")
	follow(t, a, b)
	within(t, b, patience, "Bo sees Ann's follow", func() bool {
		list := must[[]api.Request](t)(b.Requests(t.Context()))
		return len(list) == 1
	})
	req := must[[]api.Request](t)(b.Requests(t.Context()))[0]
	must[api.Request](t)(b.AnswerRequest(t.Context(), req.ID, true))
	within(t, a, patience, "mutual", func() bool { return a.people.mutual(b.dev.account()) })

	three, none := 3, 0
	g := must[api.Group](t)(a.CreateGroup(t.Context(), api.GroupCreate{Name: "Hiking", Cap: &three, Policy: &api.PolicyPatch{Waitlist: &none}}))
	say(t, a, g.ID, "first")
	if _, err := a.AddMember(t.Context(), g.ID, c.dev.account()); code(err) != api.NotMutual {
		t.Fatalf("pulling in a stranger: %v", err)
	}
	task := must[api.Task](t)(a.AddMember(t.Context(), g.ID, b.dev.account()))
	within(t, b, patience, "an offer", func() bool { return len(must[[]api.Request](t)(b.Requests(t.Context()))) == 1 })
	offer := must[[]api.Request](t)(b.Requests(t.Context()))[0]
	must[api.Request](t)(b.AnswerRequest(t.Context(), offer.ID, true))
	if task = waitTask(t, a, task.ID); task.Stage != api.StageJoined {
		t.Fatalf("offer: %+v", task)
	}
	within(t, b, patience, "Bo seated", func() bool {
		r := b.room(g.ID)
		return r != nil && r.view.Load().seated()
	})
	hears(t, b, g.ID, "first")
	say(t, b, g.ID, "from Bo")
	hears(t, a, g.ID, "from Bo")

	five := 5
	inv := must[api.Invite](t)(a.CreateInvite(t.Context(), g.ID, api.InviteCreate{Uses: &five, Lang: "zh"}))
	seen := must[api.Inspect](t)(c.Inspect(t.Context(), api.InspectRequest{Text: inv.Text, Preview: true}))
	if seen.Preview == nil || seen.Preview.Name != "Hiking" || seen.Preview.Members != 2 || seen.Preview.Cap != 3 || seen.Inviter.Account != a.dev.account() {
		t.Fatalf("preview: %+v", seen)
	}
	join := must[api.Task](t)(c.JoinByPasscode(t.Context(), "大家好 🎉\n"+inv.Text+"\n快来！😀"))
	if join = waitTask(t, c, join.ID); join.Stage != api.StageJoined {
		t.Fatalf("join: %+v", join)
	}
	hears(t, c, g.ID, "from Bo")
	say(t, c, g.ID, "from Cy")
	hears(t, a, g.ID, "from Cy")
	hears(t, b, g.ID, "from Cy")
	say(t, a, g.ID, "from Ann")
	hears(t, c, g.ID, "from Ann")
	within(t, a, patience, "Ann and Cy mutual", func() bool { return a.people.mutual(c.dev.account()) })
	within(t, c, patience, "Cy and Ann mutual", func() bool { return c.people.mutual(a.dev.account()) })

	join = waitTask(t, d, must[api.Task](t)(d.JoinByPasscode(t.Context(), inv.Passcode)).ID)
	if join.Problem == nil || join.Problem.Code != api.GroupFull {
		t.Fatalf("join of a full group: %+v", join)
	}

	must[api.Member](t)(a.RemoveMember(t.Context(), g.ID, c.dev.account(), ""))
	within(t, c, patience, "Cy to see the removal", func() bool {
		return must[api.Group](t)(c.Group(t.Context(), g.ID)).Status == api.MemberRemoved
	})
	say(t, a, g.ID, "after")
	hears(t, b, g.ID, "after")
	say(t, b, g.ID, "after too")
	hears(t, a, g.ID, "after too")
	if _, err := c.Send(t.Context(), g.ID, api.MessageCreate{Text: "still here?"}); code(err) != api.Removed {
		t.Fatalf("the removed writes: %v", err)
	}
	join = waitTask(t, c, must[api.Task](t)(c.JoinByPasscode(t.Context(), inv.Passcode)).ID)
	if join.Problem == nil || join.Problem.Code != api.Removed {
		t.Fatalf("join of the removed: %+v", join)
	}
	var p *api.Problem
	if _, err := d.JoinByPasscode(t.Context(), "hello"); !errors.As(err, &p) || p.Code != api.PasscodeMalformed {
		t.Fatalf("no passcode: %v", err)
	}
}
