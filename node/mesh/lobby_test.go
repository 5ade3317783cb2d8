package mesh_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/mesh"
	"mutuals/node/mesh/meshtest"
)

// lobbyTopic is one with a name that a holder of a code would use.
func lobbyTopic(n int) [32]byte {
	seed := [32]byte{byte(n), byte(n >> 8), 1}
	return [32]byte(ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey))
}

func topicText(topic [32]byte) string { return base64.RawURLEncoding.EncodeToString(topic[:]) }

// inLobby is a device on loopback that takes part in the lobby, where frames that
// begin with bad are forged and those that begin with old are of another day.
func inLobby(t *testing.T, change func(*mesh.Config)) *mesh.Mesh {
	t.Helper()
	cfg := mesh.Config{Key: key(t), Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Lobby: func(_ [32]byte, frame []byte) mesh.Verdict {
		switch {
		case strings.HasPrefix(string(frame), "bad"):
			return mesh.Reject
		case strings.HasPrefix(string(frame), "old"):
			return mesh.Ignore
		}
		return mesh.Accept
	}}
	if change != nil {
		change(&cfg)
	}
	m, err := mesh.New(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// carrier carries topics for others.
func carrier(t *testing.T) *mesh.Mesh {
	return inLobby(t, func(c *mesh.Config) { c.DHTServe = true })
}

func lobbyLink(t *testing.T, a, b *mesh.Mesh) {
	t.Helper()
	if err := a.Connect(soon(t), b.Self(), b.Addrs()); err != nil {
		t.Fatal(err)
	}
}

// enterLobby enters a topic and gathers what is heard.
func enterLobby(t *testing.T, m *mesh.Mesh, topic [32]byte) (*mesh.LobbyTopic, chan string) {
	t.Helper()
	heard := make(chan string, 4096)
	top, err := m.EnterLobby(topic, func(frame []byte) { heard <- string(frame) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(top.Leave)
	return top, heard
}

// reaches says a frame, again and again, until it is heard; what else is heard is
// dropped.
func reaches(t *testing.T, from *mesh.LobbyTopic, heard chan string, what string) {
	t.Helper()
	ctx := soon(t)
	for try := 0; ; try++ {
		if err := from.Say(ctx, fmt.Appendf(nil, "%s %d", what, try)); err != nil {
			t.Fatal(err)
		}
		after := time.After(time.Second)
	wait:
		for {
			select {
			case got := <-heard:
				if strings.HasPrefix(got, what) {
					return
				}
			case <-after:
				break wait
			case <-ctx.Done():
				t.Fatalf("%s was not heard", what)
			}
		}
	}
}

// Two that are linked to the same third, or to two that are linked, hear each other
// on a topic that only they know; who carries is on it as long as they are.
func TestLobby(t *testing.T) {
	p, q := carrier(t), carrier(t)
	ann, bo, cai := inLobby(t, nil), inLobby(t, nil), inLobby(t, nil)
	lobbyLink(t, ann, p)
	lobbyLink(t, bo, p)
	lobbyLink(t, cai, q)
	lobbyLink(t, p, q)
	a, aHears := enterLobby(t, ann, lobbyTopic(1))
	b, bHears := enterLobby(t, bo, lobbyTopic(1))
	reaches(t, a, bHears, "ann looks")
	reaches(t, b, aHears, "bo is here")
	c, cHears := enterLobby(t, cai, lobbyTopic(1))
	reaches(t, c, bHears, "cai looks, two steps away")
	reaches(t, b, cHears, "bo is here, two steps away")
	if s := p.Lobby(); !s.On || !s.Carrying || s.Carried != 1 || s.Entered != 0 {
		t.Errorf("who carries stands at %+v", s)
	}
	if s := ann.Lobby(); s.Carrying || s.Carried != 0 || s.Entered != 1 || s.Carriers != 1 {
		t.Errorf("who looks stands at %+v", s)
	}
	a.Leave()
	if err := a.Say(soon(t), []byte("x")); !errors.Is(err, mesh.ErrLeft) {
		t.Errorf("after leaving: %v", err)
	}
	again, againHears := enterLobby(t, ann, lobbyTopic(1))
	reaches(t, again, bHears, "ann looks again")
	reaches(t, b, againHears, "bo is still here")
	if err := again.Say(soon(t), make([]byte, 4<<10)); !errors.Is(err, mesh.ErrTooLarge) {
		t.Errorf("a frame that is too long: %v", err)
	}
}

// Where there is nobody who carries, nothing is told: not the topics either.
func TestLobbyTellsNoStranger(t *testing.T) {
	ann, bo, off := inLobby(t, nil), inLobby(t, nil), inLobby(t, func(c *mesh.Config) { c.Lobby = nil })
	a, _ := enterLobby(t, ann, lobbyTopic(1))
	_, heard := enterLobby(t, bo, lobbyTopic(1))
	lobbyLink(t, ann, bo)
	eve := lobbyist(t, ann)
	if err := eve.Subscribe(soon(t), ann.Self(), topicText(lobbyTopic(1))); err != nil {
		t.Log("refused at once:", err) // or when the other side has looked
	}
	p := carrier(t)
	lobbyLink(t, ann, p)
	lobbyLink(t, bo, p)
	reaches(t, a, heard, "ann looks")
	if eve.Topics() > 0 || eve.Heard(topicText(lobbyTopic(1))) > 0 {
		t.Error("a stranger was told what a device looks for")
	}
	if _, err := off.EnterLobby(lobbyTopic(1), func([]byte) {}); !errors.Is(err, mesh.ErrLobbyOff) {
		t.Errorf("switched off: %v", err)
	}
	if s := off.Lobby(); s.On {
		t.Errorf("switched off it stands at %+v", s)
	}
}

// Who entered a topic and is linked to nobody who carries dials whom it was named.
func TestLobbyDials(t *testing.T) {
	p := carrier(t)
	named := func(c *mesh.Config) { c.DHTPeers = p.Addrs }
	ann, bo := inLobby(t, named), inLobby(t, named)
	if ann.Connected(p.Self()) {
		t.Fatal("linked without a reason")
	}
	a, _ := enterLobby(t, ann, lobbyTopic(1))
	_, heard := enterLobby(t, bo, lobbyTopic(1))
	reaches(t, a, heard, "ann looks")
}

func lobbyist(t *testing.T, to *mesh.Mesh) *meshtest.Gossiper {
	t.Helper()
	g, err := meshtest.NewLobbyist(key(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	if err := g.Connect(soon(t), to.Self(), to.Bound()); err != nil {
		t.Fatal(err)
	}
	return g
}

// A stranger that names a thousand topics gets as many as a device may have, and
// those of names that no code has not at all; what it says is bounded, what is
// forged is refused and it is shut out; and who looks is heard all the same.
func TestLobbyStrangers(t *testing.T) {
	p := carrier(t)
	ann, bo := inLobby(t, nil), inLobby(t, nil)
	lobbyLink(t, ann, p)
	lobbyLink(t, bo, p)
	a, _ := enterLobby(t, ann, lobbyTopic(1))
	_, heard := enterLobby(t, bo, lobbyTopic(1))
	reaches(t, a, heard, "ann looks")

	greedy := lobbyist(t, p)
	names := []string{"short", topicText([32]byte{1}), strings.Repeat("A", 43)} // the last two are keys under which anything is signed
	for i := range 1000 {
		names = append(names, topicText(lobbyTopic(1000+i)))
	}
	for some := range slices.Chunk(names, 100) {
		if err := greedy.Subscribe(soon(t), p.Self(), some...); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the stranger's topics", func() bool { // they come in parts
		return p.Lobby().Carried == 1+64 && p.Stats().LobbyRefused >= 3+1000-64
	})
	if s := p.Stats(); s.LobbyRefused != 3+1000-64 {
		t.Errorf("%d topics were refused", s.LobbyRefused)
	}

	// A holder of the code that says too much: what passes is a burst.
	loud := lobbyist(t, p)
	if err := loud.Subscribe(soon(t), p.Self(), topicText(lobbyTopic(1))); err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		if err := loud.Publish(soon(t), p.Self(), topicText(lobbyTopic(1)), fmt.Appendf(nil, "loud %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the flood to be refused", func() bool { return p.Stats().LobbyRefused > 3+1000-64+300 })
	if passed := p.Stats().LobbyFrames; passed > 150 {
		t.Errorf("%d frames passed", passed)
	}

	// What is forged, or too long, costs who brings it its link; what is of another day does not.
	for name, frame := range map[string][]byte{"forged": []byte("bad"), "huge": make([]byte, 3<<10)} {
		liar := lobbyist(t, p)
		if err := liar.Subscribe(soon(t), p.Self(), topicText(lobbyTopic(1))); err != nil {
			t.Fatal(err)
		}
		for i := range 12 {
			_ = liar.Publish(soon(t), p.Self(), topicText(lobbyTopic(1)), fmt.Appendf(nil, "old %d", i))
		}
		looks := 0
		until(t, name+": shut out", func() bool {
			if looks%500 == 0 { // what a busy carrier drops unread is said again
				for i := range 12 {
					_ = liar.Publish(soon(t), p.Self(), topicText(lobbyTopic(1)), fmt.Append(frame, looks+i))
				}
			}
			looks++
			return shutOut(p, liar.Key())
		})
	}
	if shutOut(p, greedy.Key()) || shutOut(p, loud.Key()) {
		t.Error("who only says much was shut out")
	}
	for ; len(heard) > 0; <-heard {
	}
	reaches(t, a, heard, "ann still looks")
}

func shutOut(m *mesh.Mesh, who wire.PeerKey) bool {
	for _, s := range m.ShutOut() {
		if s.Peer == who {
			return true
		}
	}
	return false
}

// Nobody is dialled because a stranger on a topic names it.
func TestLobbyDialsNobodyNamed(t *testing.T) {
	p := carrier(t)
	ann, bo, named := inLobby(t, nil), inLobby(t, nil), inLobby(t, nil)
	lobbyLink(t, ann, p)
	lobbyLink(t, bo, p)
	a, _ := enterLobby(t, ann, lobbyTopic(1))
	_, heard := enterLobby(t, bo, lobbyTopic(1))
	reaches(t, a, heard, "ann looks")
	eve := lobbyist(t, p)
	topic := topicText(lobbyTopic(1))
	if err := eve.Subscribe(soon(t), p.Self(), topic); err != nil {
		t.Fatal(err)
	}
	if err := eve.Prune(soon(t), p.Self(), topic, time.Hour, map[wire.PeerKey][]byte{named.Self(): named.Record()}); err != nil {
		t.Fatal(err)
	}
	reaches(t, a, heard, "ann looks again")
	if err := eve.Publish(soon(t), p.Self(), topic, []byte("eve is done")); err != nil {
		t.Fatal(err)
	}
	for <-heard != "eve is done" { // so what she sent before was looked at
	}
	cai := inLobby(t, nil) // a link meanwhile takes longer than the one to whom was named
	lobbyLink(t, cai, p)
	_, cHears := enterLobby(t, cai, lobbyTopic(1))
	reaches(t, a, cHears, "ann looks on")
	if named.Connected(p.Self()) {
		t.Error("somebody was dialled whom a stranger named")
	}
}
