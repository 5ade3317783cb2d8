package node

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// blank opens a home without identity.
func blank(t testing.TB, dir string) *Node {
	t.Helper()
	n, err := Open(context.Background(), Config{Home: dir, NoMDNS: true, Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"}, Log: loudly(filepath.Base(dir))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// loudly logs where a test is being looked into.
func loudly(name string) *slog.Logger {
	if os.Getenv("MUTUALS_TEST_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", name)
}

// awaitTask waits until a task is as wanted, or over; a home without identity
// has no store to watch.
func awaitTask(t testing.TB, n *Node, id string, ok func(api.Task) bool) api.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	events := n.Watch(ctx)
	for {
		task := must[api.Task](t)(n.Task(ctx, id))
		if task.Over() || ok(task) {
			return task
		}
		if _, more := <-events; !more {
			t.Fatalf("waited %v for a task that is %s at %s", patience, task.State, task.Stage)
		}
	}
}

// awaitStage waits until a task is at a stage.
func awaitStage(t testing.TB, n *Node, id, stage string) api.Task {
	t.Helper()
	task := awaitTask(t, n, id, func(k api.Task) bool { return k.Stage == stage })
	if task.Stage != stage {
		t.Fatalf("the task is %s at %s instead of %s: %v", task.State, task.Stage, stage, task.Problem)
	}
	return task
}

// linkTo makes a home a device of an account.
func linkTo(t testing.TB, old *Node, dir string, in api.DeviceLinkCreate) *Node {
	t.Helper()
	n := blank(t, dir)
	open := must[api.DeviceLink](t)(old.OpenLink(t.Context(), in))
	task := must[api.Task](t)(n.JoinAccount(t.Context(), open.Text))
	shown := awaitStage(t, n, task.ID, api.StageComparing)
	awaitStage(t, old, open.Task.ID, api.StageNumber)
	must[api.Task](t)(old.LinkNumber(t.Context(), shown.Result.Number))
	awaitStage(t, n, task.ID, api.StageLinked)
	awaitStage(t, old, open.Task.ID, api.StageLinked)
	return n
}

// A second device of an account lists its groups and follows, reads what was
// said, and writes; others see one account; each keeps up with what the other
// does.
func TestSecondDevice(t *testing.T) {
	t.Parallel()
	ann := startNode(t, t.TempDir(), "Ann", nil)
	bob := startNode(t, t.TempDir(), "Bob", nil)
	hiking := newGroup(t, ann, api.GroupCreate{Name: "Hiking"})
	books := newGroup(t, bob, api.GroupCreate{Name: "Books"})
	join(t, bob, invite(t, ann, hiking, 5, "1h"))
	join(t, ann, invite(t, bob, books, 5, "1h"))
	say(t, ann, hiking, "before")
	say(t, bob, hiking, "from Bob")
	same(t, hiking, ann, bob)
	within(t, ann, patience, "mutual", func() bool { return ann.people.mutual(bob.dev.account()) })

	dir := t.TempDir()
	two := linkTo(t, ann, dir, api.DeviceLinkCreate{})
	if two.dev.account() != ann.dev.account() || two.dev.id() == ann.dev.id() {
		t.Fatal("not a second device of the account")
	}
	for _, n := range []*Node{ann, two} {
		list := must[[]api.Device](t)(n.Devices(t.Context()))
		if len(list) != 2 || list[1].Number != 2 || list[1].MayLink || list[1].LinkedBy != ann.dev.id() {
			t.Fatalf("%+v", list)
		}
	}
	if !two.people.mutual(bob.dev.account()) {
		t.Error("the follows did not come along")
	}
	if two.ownName() != "Ann" {
		t.Errorf("the profile did not come along: %q", two.ownName())
	}
	for _, g := range []wire.GroupID{hiking, books} {
		within(t, two, patience, "the group on the second device", func() bool { r := two.room(g); return r != nil && r.view.Load().seated() })
	}
	hears(t, two, hiking, "before")
	hears(t, two, hiking, "from Bob")
	within(t, two, patience, "an epoch to write under", func() bool {
		_, err := two.Send(t.Context(), hiking, api.MessageCreate{Text: "from the second"})
		return err == nil
	})
	hears(t, ann, hiking, "from the second")
	hears(t, bob, hiking, "from the second")
	members := must[[]api.Member](t)(bob.Members(t.Context(), hiking))
	if len(members) != 2 || len(members[0].Devices) != 2 {
		t.Errorf("Bob sees %+v", members)
	}

	// What comes to one afterwards comes to the other.
	tea := newGroup(t, two, api.GroupCreate{Name: "Tea"})
	within(t, ann, patience, "a group made on the second device", func() bool { r := ann.room(tea); return r != nil && r.view.Load().seated() })
	say(t, two, tea, "tea?")
	hears(t, ann, tea, "tea?")
	auto := api.AutoAcceptMutuals
	must[api.Settings](t)(two.PatchSettings(t.Context(), api.SettingsPatch{AutoAccept: &auto}))
	within(t, ann, patience, "a setting", func() bool { return must[api.Settings](t)(ann.Settings(t.Context())).AutoAccept == auto })
	direct := api.AutoAcceptDirect
	must[api.Settings](t)(ann.PatchSettings(t.Context(), api.SettingsPatch{AutoAccept: &direct}))
	within(t, two, patience, "the setting changed back", func() bool { return must[api.Settings](t)(two.Settings(t.Context())).AutoAccept == direct })
	cy := startNode(t, t.TempDir(), "Cy", nil)
	follow(t, two, cy)
	within(t, ann, patience, "a follow", func() bool {
		p, err := ann.Person(t.Context(), cy.dev.account())
		return err == nil && p.Following
	})
	must[api.Person](t)(ann.Block(t.Context(), cy.dev.account(), true))
	within(t, two, patience, "a block", func() bool { return two.people.blocked(cy.dev.account()) })
	must[api.Person](t)(two.Block(t.Context(), cy.dev.account(), false))
	within(t, ann, patience, "an end of a block", func() bool { return !ann.people.blocked(cy.dev.account()) })
}

// A home that was not linked is as it was: whatever ended it.
func TestLinkLeavesNothing(t *testing.T) {
	ann := startNode(t, t.TempDir(), "Ann", nil)
	dir := t.TempDir()
	n := blank(t, dir)
	open := must[api.DeviceLink](t)(ann.OpenLink(t.Context(), api.DeviceLinkCreate{}))
	task := must[api.Task](t)(n.JoinAccount(t.Context(), open.Text))
	awaitStage(t, n, task.ID, api.StageComparing)
	if _, err := n.CreateIdentity(t.Context(), api.IdentityCreate{Name: "X"}); code(err) != api.NotAllowed {
		t.Errorf("an identity while one is linked: %v", err)
	}
	must[api.Task](t)(n.CancelTask(t.Context(), task.ID))
	awaitStage(t, ann, open.Task.ID, api.StageOpen)
	if n.begun.Load() {
		t.Fatal("it has an identity")
	}
	for _, name := range []string{fileKeys, fileDevice, dirStore} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", name, err)
		}
	}
	if list := must[[]api.Device](t)(ann.Devices(t.Context())); len(list) != 1 {
		t.Errorf("%+v", list)
	}
	n.beginning.Lock() // until what was cut off has ended
	n.beginning.Unlock()
	must[api.Identity](t)(n.CreateIdentity(t.Context(), api.IdentityCreate{Name: "X"}))
}

// Three wrong numbers close the door, and each ends its try.
func TestLinkWrongNumber(t *testing.T) {
	ann := startNode(t, t.TempDir(), "Ann", nil)
	n := blank(t, t.TempDir())
	open := must[api.DeviceLink](t)(ann.OpenLink(t.Context(), api.DeviceLinkCreate{}))
	if _, err := ann.LinkNumber(t.Context(), "123456"); code(err) != api.NotFound {
		t.Errorf("a number for nobody: %v", err)
	}
	for try := range linkTries {
		if left := must[api.DeviceLink](t)(ann.Link(t.Context())).TriesLeft; left != linkTries-try {
			t.Errorf("try %d: %d left", try, left)
		}
		task := must[api.Task](t)(n.JoinAccount(t.Context(), open.Text))
		shown := awaitStage(t, n, task.ID, api.StageComparing)
		awaitStage(t, ann, open.Task.ID, api.StageNumber)
		wrong := "000000"
		if shown.Result.Number == wrong {
			wrong = "000001"
		}
		if _, err := ann.LinkNumber(t.Context(), wrong); code(err) != api.NumberWrong {
			t.Errorf("a wrong number: %v", err)
		}
		if ended := awaitTask(t, n, task.ID, api.Task.Over); problemCode(ended) != api.LinkEnded {
			t.Errorf("%+v", ended)
		}
	}
	if ended := waitTask(t, ann, open.Task.ID); problemCode(ended) != api.NumberWrong {
		t.Errorf("%+v", ended)
	}
	if _, err := ann.Link(t.Context()); code(err) != api.NotFound {
		t.Errorf("the door is open still: %v", err)
	}
}

// An answer finds the device that asked, whichever of the account's is met
// first: a seat offered by the second device is taken, and a no to one ends its
// task.
func TestAnswersFindTheirDevice(t *testing.T) {
	ann := startNode(t, t.TempDir(), "Ann", nil)
	bob := startNode(t, t.TempDir(), "Bob", nil)
	befriend(t, ann, bob)
	two := linkTo(t, ann, t.TempDir(), api.DeviceLinkCreate{})
	tea, chess := newGroup(t, two, api.GroupCreate{Name: "Tea"}), newGroup(t, two, api.GroupCreate{Name: "Chess"})
	for _, turn := range []struct {
		g     wire.GroupID
		yes   bool
		stage string
	}{{tea, true, api.StageJoined}, {chess, false, api.StageDeclined}} {
		task := must[api.Task](t)(two.AddMember(t.Context(), turn.g, bob.dev.account()))
		var req api.Request
		within(t, bob, patience, "an offer", func() bool {
			for _, r := range must[[]api.Request](t)(bob.Requests(t.Context())) {
				if r.Group == turn.g {
					req = r
				}
			}
			return req.ID != ""
		})
		must[api.Request](t)(bob.AnswerRequest(t.Context(), req.ID, turn.yes))
		if ended := waitTask(t, two, task.ID); ended.Stage != turn.stage {
			t.Errorf("%+v", ended)
		}
	}
	within(t, bob, patience, "an empty outbox", func() bool { return len(bob.outboxAccounts()) == 0 })
}
