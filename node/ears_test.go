package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
	"mutuals/node/mesh"
	"mutuals/node/mesh/meshtest"
)

// inLobby is a node that takes part in the lobby, and begins at those named.
func inLobby(t testing.TB, name string, named ...*Node) *Node {
	t.Helper()
	return startNode(t, t.TempDir(), name, func(c *Config) {
		c.Lobby = true
		for _, n := range named {
			c.Bootstrap = append(c.Bootstrap, n.mesh.Addrs()...)
		}
	})
}

// carrying is a node that is there for others, and no member of anything.
func carrying(t testing.TB) *Node {
	t.Helper()
	return startNode(t, t.TempDir(), "Hana", func(c *Config) { c.Lobby, c.Harbor = true, true })
}

// deadCode is a code as it is when no address in it leads anywhere any more.
func deadCode(t testing.TB, inv api.Invite) api.Invite {
	t.Helper()
	code := must[invites.Found](t)(invites.Extract(inv.Passcode, time.Now())).Passcode
	gone := must[[]byte](t)(invites.PackHint(invites.Hint{Addr: "/ip4/127.0.0.1/tcp/9", Peer: wire.PeerKey(someKey(t).Public().(ed25519.PublicKey))}))
	code.Hints = [][]byte{gone}
	inv.Passcode = code.Text()
	return inv
}

func someKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	ok(t, err)
	return key
}

// listens waits until a node is on the topics of so many codes.
func listens(t testing.TB, n *Node, codes int) {
	t.Helper()
	n.rdv.ring()
	within(t, n, patience, "being on the topics of its codes", func() bool {
		s := n.mesh.Lobby()
		return s.Entered == codes && s.Carriers > 0
	})
}

// No address in the code leads anywhere, there is no directory, and nobody of the
// group is linked to the newcomer: a stranger to both carries its question to a
// member who is not the code's maker, though the maker is gone for good; and while
// the maker is there the newcomer sees what the code leads to.
func TestLobbyAlone(t *testing.T) {
	hana := carrying(t)
	ann, bo := inLobby(t, "Ann", hana), inLobby(t, "Bo", hana)
	g := newGroup(t, ann, api.GroupCreate{Name: "Hiking"})
	inv := invite(t, ann, g, 10, "")
	join(t, bo, inv)
	all := api.AnnounceAll
	must[api.Settings](t)(bo.PatchSettings(t.Context(), api.SettingsPatch{Announce: &all}))
	listens(t, ann, 1)
	listens(t, bo, 1)
	old := deadCode(t, inv)

	cai := inLobby(t, "Cai", hana)
	seen := must[api.Inspect](t)(cai.Inspect(t.Context(), api.InspectRequest{Text: old.Passcode, Preview: true}))
	if seen.Preview == nil || seen.Preview.Name != "Hiking" || seen.Preview.Members != 2 {
		t.Errorf("the code is shown as %+v", seen.Preview)
	}
	ok(t, ann.Close())
	for _, p := range cai.mesh.Peers() { // Ann may have been dialled
		if p.Peer != hana.mesh.Self() {
			cai.mesh.ClosePeer(p.Peer)
		}
	}
	began := time.Now()
	task := tryJoin(t, cai, old)
	t.Logf("joined %v after the paste", time.Since(began).Round(time.Millisecond))
	if task.Stage != api.StageJoined || !slices.ContainsFunc(task.Tried, func(a api.Attempt) bool { return a.Way == "lobby" && a.Error == "" }) {
		t.Fatalf("stage %q, problem %v, tried %+v", task.Stage, task.Problem, task.Tried)
	}
	same(t, g, bo, cai)
	if s := hana.mesh.Lobby(); !s.Carrying || s.Carried == 0 || s.Entered != 0 {
		t.Errorf("who carried it stands at %+v", s)
	}
	off := startNode(t, t.TempDir(), "Di", nil)
	if task := tryJoin(t, off, old); task.Stage != api.StageRefused || !slices.ContainsFunc(task.Tried, func(a api.Attempt) bool {
		return a.Way == "lobby" && strings.Contains(a.Error, "--lobby on")
	}) {
		t.Errorf("switched off: stage %q, tried %+v", task.Stage, task.Tried)
	}
}

// codeHolder is somebody with a code who says on its topic whatever it likes.
type codeHolder struct {
	t     *testing.T
	code  invites.Passcode
	day   uint32
	mesh  *mesh.Mesh
	topic *mesh.LobbyTopic
	heard chan invites.Frame
}

func newCodeHolder(t *testing.T, at *Node, inv api.Invite) *codeHolder {
	t.Helper()
	h := &codeHolder{t: t, code: must[invites.Found](t)(invites.Extract(inv.Passcode, time.Now())).Passcode, day: invites.Day(time.Now()), heard: make(chan invites.Frame, 1000)}
	h.mesh = must[*mesh.Mesh](t)(mesh.New(t.Context(), mesh.Config{
		Key: someKey(t), Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Lobby: func([32]byte, []byte) mesh.Verdict { return mesh.Accept },
	}))
	t.Cleanup(func() { h.mesh.Close() })
	ok(t, h.mesh.Connect(t.Context(), at.mesh.Self(), at.mesh.Addrs()))
	name := invites.LobbyTopic(h.code.Keys().Topic, h.day)
	h.topic = must[*mesh.LobbyTopic](t)(h.mesh.EnterLobby(name, func(b []byte) {
		if f, err := invites.ReadFrame(name, b, h.day); err == nil {
			h.heard <- f
		}
	}))
	select {
	case <-h.topic.Met():
	case <-time.After(patience):
		t.Fatal("nobody carries")
	}
	return h
}

func (h *codeHolder) frame(kind invites.BoxKind, plain []byte) []byte {
	var salt [16]byte
	rand.Read(salt[:])
	return invites.SignFrame(h.code.Keys().Topic, h.day, invites.SealLobby(h.code.Keys().Topic, kind, h.day, salt, plain))
}

func (h *codeHolder) say(frame []byte) {
	h.t.Helper()
	ok(h.t, h.topic.Say(h.t.Context(), frame))
}

// A holder of a code that asks and asks is answered a few times, and the same
// question never twice; what others answered already is not said again.
func TestLobbyFlood(t *testing.T) {
	// At noon, whatever the hour: Eve is on the topic of the day alone, to which Ann goes up
	// to an hour late.
	noon, now := &clock{}, time.Now()
	noon.shift(now.UTC().Truncate(24 * time.Hour).Add(12 * time.Hour).Sub(now))
	hana := startNode(t, t.TempDir(), "Hana", func(c *Config) { c.Lobby, c.Harbor, c.Now = true, true, noon.now })
	ann := startNode(t, t.TempDir(), "Ann", func(c *Config) { c.Lobby, c.Bootstrap, c.Now = true, hana.mesh.Addrs(), noon.now })
	g := newGroup(t, ann, api.GroupCreate{})
	inv := invite(t, ann, g, 10, "")
	listens(t, ann, 1)
	eve := newCodeHolder(t, hana, inv)
	var answers int
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 60 {
		eve.say(eve.frame(invites.BoxSeek, nil))
	}
	again := time.NewTicker(2 * time.Second) // what is said before all are neighbours is lost
	defer again.Stop()
	for answers == 0 {
		select {
		case f := <-eve.heard:
			if f.Kind == invites.BoxAddress {
				answers++
			}
		case <-again.C:
			eve.say(eve.frame(invites.BoxSeek, nil))
		case <-ctx.Done():
			t.Fatal("no answer")
		}
	}
	if n := ann.mesh.Stats().LobbyFrames; n > 100 {
		t.Errorf("%d frames came through", n)
	}

	// What an ear makes of it, without the way there.
	e := &ear{n: ann, r: ann.room(g), row: rowOf(inv.ID, eve.code), day: eve.day, may: rate.NewLimiter(rate.Inf, 1)}
	e.waiting = true // so that nothing is said
	seek := eve.frame(invites.BoxSeek, nil)
	e.hear(seek)
	e.hear(seek)
	if len(e.answered) != 1 {
		t.Errorf("a repeated question counts %d times", len(e.answered))
	}
	other := &codeHolder{t: t, code: eve.code, day: eve.day - 1}
	e.hear(other.frame(invites.BoxSeek, nil))
	e.hear(eve.frame(invites.BoxSeek, nil)[1:])
	e.hear(nil)
	if len(e.answered) != 1 {
		t.Error("a question of another day, or none, counts")
	}
	for i := range 3 * maxSeeks {
		if !e.first([32]byte{1, byte(i), byte(i >> 8)}) || len(e.answered)+len(e.before) > 2*maxSeeks {
			t.Fatalf("question %d: %d are remembered", i, len(e.answered)+len(e.before))
		}
	}
	last := eve.frame(invites.BoxSeek, nil)
	e.hear(last)
	if f, err := invites.ReadFrame(invites.LobbyTopic(e.row.Topic, e.day), last, e.day); err != nil || e.first(wire.Hash(f.Sealed)) {
		t.Error("after many questions no more are heard", err)
	}
	e.hear(eve.frame(invites.BoxAddress, []byte("x")))
	if e.others != 1 {
		t.Error("another's answer was not counted")
	}
	e.others = enoughAnswers
	e.top = nil // saying anything would panic
	e.answer(t.Context())
}

// Whoever asks by a code that is dead is not told where members are, though the
// device is on its topic yet.
func TestDeadCodeIsNotAnswered(t *testing.T) {
	c := newStopped()
	ann := startNode(t, t.TempDir(), "Ann", c.config)
	g := newGroup(t, ann, api.GroupCreate{})
	for what, dies := range map[string]func(api.Invite){
		"expired": func(i api.Invite) { c.move(i.ExpiresAt.Sub(c.now()) + time.Second) },
		"revoked": func(i api.Invite) { must[api.Invite](t)(ann.RevokeInvite(t.Context(), g, i.ID.String())) },
	} {
		inv := invite(t, ann, g, 10, "")
		e := &ear{n: ann, r: ann.room(g), row: lobbyRow{Invite: inv.ID}, day: invites.Day(c.now())}
		if !e.stands() {
			t.Errorf("%s: it is dead before", what)
		}
		dies(inv)
		if e.stands() {
			t.Errorf("%s: it stands", what)
		}
		e.answer(t.Context()) // saying anything would panic
	}
}

// A member who says of its own code that it has no topic takes no other code's ears
// away.
func TestEarsPassOver(t *testing.T) {
	hana := carrying(t)
	ann, bo := inLobby(t, "Ann", hana), inLobby(t, "Bo", hana)
	g := newGroup(t, ann, api.GroupCreate{})
	join(t, bo, invite(t, ann, g, 10, ""))
	newest := invite(t, bo, g, 10, "")
	all := api.AnnounceAll
	must[api.Settings](t)(ann.PatchSettings(t.Context(), api.SettingsPatch{Announce: &all}))
	listens(t, ann, 2)
	none := lobbyMsg{Group: g, Codes: []lobbyRow{{Invite: newest.ID}}}
	ok(t, ann.takeLobby(t.Context(), bo.mesh.Self(), wire.Marshal(none)))
	listens(t, ann, 1)
}

// Who carries can come and go as often as it likes: that makes nobody ask again and
// again.
func TestSeekAsksFew(t *testing.T) {
	ann := inLobby(t, "Ann")
	inv := invite(t, ann, newGroup(t, ann, api.GroupCreate{}), 10, "")
	code := must[invites.Found](t)(invites.Extract(inv.Passcode, time.Now())).Passcode
	cai := inLobby(t, "Cai")
	liar := must[*meshtest.Gossiper](t)(meshtest.NewLobbyist(someKey(t)))
	t.Cleanup(liar.Close)
	liar.Carry()
	ok(t, liar.Connect(t.Context(), cai.mesh.Self(), cai.mesh.Bound()))
	within(t, cai, patience, "taking it for one who carries", func() bool { return cai.mesh.Lobby().Carriers == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- cai.searchLobby(ctx, code, func(mesh.Found) {}, func(invites.Preview) {}) }()
	name := invites.LobbyTopic(code.Keys().Topic, invites.Day(time.Now()))
	topic := base64.RawURLEncoding.EncodeToString(name[:])
	ok(t, liar.Until(t.Context(), func() bool { return liar.Saw(topic) }))
	apart := time.NewTicker(20 * time.Millisecond)
	defer apart.Stop()
	for range 5 * maxTopicAsks {
		heard := liar.Heard(topic)
		ok(t, liar.Subscribe(t.Context(), cai.mesh.Self(), topic))
		soon, stop := context.WithTimeout(t.Context(), 2*time.Second)
		err := liar.Until(soon, func() bool { return liar.Heard(topic) > heard })
		stop()
		if err != nil {
			break
		}
		ok(t, liar.Unsubscribe(t.Context(), cai.mesh.Self(), topic))
		<-apart.C // coming and going in one moment are none
	}
	cancel()
	<-done
	if got := liar.Heard(topic); got == 0 || got > maxTopicAsks {
		t.Errorf("it was asked %d times", got)
	}
}
