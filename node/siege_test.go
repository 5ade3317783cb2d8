package node

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh"
	"mutuals/node/mesh/meshtest"
)

// siege is a group of two honest nodes, Ann and Bo, under attack. After each
// attack what one says is heard by the other, and Ann has complained little.
type siege struct {
	ann, bo *Node
	group   wire.GroupID
	said    int

	mu   sync.Mutex
	logs []string // of Ann, warnings and errors
}

func newSiege(t *testing.T) *siege { return newSiegeAt(t, func(*Config) {}) }

// newSiegeAt is newSiege with nodes that are configured otherwise.
func newSiegeAt(t *testing.T, change func(*Config)) *siege {
	s := &siege{}
	s.ann = startNode(t, t.TempDir(), "Ann", func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelWarn}))
		change(c)
	})
	s.bo = startNode(t, t.TempDir(), "Bo", change)
	s.group = newGroup(t, s.ann, api.GroupCreate{})
	join(t, s.bo, invite(t, s.ann, s.group, 1, ""))
	s.flows(t)
	return s
}

// Write takes a line of Ann's log.
func (s *siege) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs = append(s.logs, string(b))
	return len(b), nil
}

// flows asserts that the honest still hear each other, both ways.
func (s *siege) flows(t *testing.T) {
	t.Helper()
	s.said++
	say(t, s.ann, s.group, fmt.Sprint("Ann ", s.said))
	hears(t, s.bo, s.group, fmt.Sprint("Ann ", s.said))
	say(t, s.bo, s.group, fmt.Sprint("Bo ", s.said))
	hears(t, s.ann, s.group, fmt.Sprint("Bo ", s.said))
}

// attack runs one attack; Ann may log at most lines for it, must still talk to
// Bo, and serves nobody hostile any more when it is over.
func (s *siege) attack(t *testing.T, name string, lines int, do func(t *testing.T)) {
	t.Run(name, func(t *testing.T) {
		s.mu.Lock()
		s.logs = nil
		s.mu.Unlock()
		do(t)
		s.flows(t)
		within(t, s.ann, patience, "Ann to stop serving:\n"+serving(), func() bool {
			return !strings.Contains(serving(), "node.(*Node).serveJoin") && !strings.Contains(serving(), "node.(*Node).serveKey")
		})
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.logs) > lines {
			t.Errorf("%d lines logged, at most %d:\n%s", len(s.logs), lines, strings.Join(s.logs[:min(len(s.logs), 10)], ""))
		}
	})
}

// serving is the stacks of everything that runs.
func serving() string {
	b := make([]byte, 4<<20)
	return string(b[:runtime.Stack(b, true)])
}

// stranger is a hostile peer linked to Ann.
func (s *siege) stranger(t *testing.T) *meshtest.Raw {
	t.Helper()
	keys := must[identity.DeviceKeys](t)(identity.NewDeviceKeys(rand.Reader))
	return s.rawOf(t, keys)
}

func (s *siege) rawOf(t *testing.T, keys identity.DeviceKeys) *meshtest.Raw {
	t.Helper()
	raw := must[*meshtest.Raw](t)(meshtest.NewRaw(keys.Peer))
	t.Cleanup(raw.Close)
	s.link(t, raw)
	return raw
}

func (s *siege) link(t *testing.T, raw *meshtest.Raw) {
	t.Helper()
	s.ann.mesh.Pardon(raw.Key()) // it may have been shut out for what it did before
	if err := raw.Connect(t.Context(), s.ann.mesh.Self(), s.ann.mesh.Bound()); err != nil {
		t.Fatal(err)
	}
}

// bytes sends raw bytes to Ann on a stream of its own and returns what she
// answers before she closes or 5 s are over.
func (s *siege) bytes(t *testing.T, raw *meshtest.Raw, proto string, b []byte) []byte {
	t.Helper()
	if !raw.Linked(s.ann.mesh.Self()) {
		s.link(t, raw) // cut off for what it did before
	}
	st, err := raw.Open(t.Context(), s.ann.mesh.Self(), proto)
	if err != nil {
		return nil
	}
	defer st.Close()
	st.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := st.Write(b); err != nil {
		return nil
	}
	st.CloseWrite()
	answer, _ := io.ReadAll(io.LimitReader(st, 1<<20))
	return answer
}

// rogue is a member that goes bad: Mal joined with an honest node, which is
// closed, and now attacks with its keys.
type rogue struct {
	keys identity.DeviceKeys
	acc  wire.AccountID
	inc  wire.OpID
	log  *groups.Log // what Mal knows of the group
	mesh *mesh.Mesh
	from *Node // Mal's node, closed
}

func (s *siege) newRogue(t *testing.T) *rogue {
	t.Helper()
	mal := startNode(t, t.TempDir(), "Mal", nil)
	join(t, mal, invite(t, s.ann, s.group, 1, ""))
	same(t, s.group, s.ann, mal)
	r := &rogue{keys: mal.dev.keys, acc: mal.dev.account(), from: mal}
	inRoom(t, mal, s.group, func(here *room) {
		r.inc = here.me
		for _, op := range here.g.Ops() {
			if r.log == nil {
				r.log, _ = groups.Found(op)
				continue
			}
			r.log.Apply(op)
		}
	})
	mal.Close()
	var err error
	r.mesh, err = mesh.New(t.Context(), mesh.Config{Key: r.keys.Peer, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.mesh.Close() })
	r.link(t, s.ann)
	return r
}

func (r *rogue) link(t *testing.T, n *Node) {
	t.Helper()
	n.mesh.Pardon(r.mesh.Self())
	if err := r.mesh.Connect(t.Context(), n.mesh.Self(), n.mesh.Bound()); err != nil {
		t.Fatal(err)
	}
}

// open opens a stream to Ann, linking again if the rogue was cut off.
func (r *rogue) open(t *testing.T, n *Node, proto string) *mesh.Stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		n.mesh.Pardon(r.mesh.Self())
		if err := r.mesh.Connect(ctx, n.mesh.Self(), n.mesh.Bound()); err == nil {
			if s, err := r.mesh.Open(ctx, n.mesh.Self(), proto); err == nil {
				t.Cleanup(func() { s.Reset() })
				return s
			}
		}
		if ctx.Err() != nil {
			t.Fatal("no stream to Ann")
		}
	}
}

// tell tells Ann sync messages unasked, and waits until she has read them: she
// closes when she has.
func (r *rogue) tell(t *testing.T, n *Node, group wire.GroupID, ms ...groups.SyncMessage) {
	t.Helper()
	s := r.open(t, n, protocolSync)
	defer s.Close()
	for _, m := range append([]groups.SyncMessage{&groups.SyncHave{Group: group}}, ms...) {
		if err := s.WriteFrame(groups.EncodeSync(m)); err != nil {
			return // cut off
		}
	}
	s.CloseWrite()
	s.SetDeadline(time.Now().Add(10 * time.Second))
	s.ReadFrame(1)
}

// strangerOp is a well-formed control operation of an inc that nobody knows.
func strangerOp(i int, body []byte) *groups.Op {
	type core struct {
		_       struct{} `cbor:",toarray"`
		V       uint64
		Chain   uint64
		Inc     wire.OpID
		Seq     uint64
		Prev    wire.OptID
		Parents []wire.OpID
		HLC     uint64
		Kind    uint64
		Body    wire.Raw
		Ext     []byte
	}
	var inc wire.OpID
	binary.BigEndian.PutUint64(inc[:], uint64(i)+1)
	rand.Read(inc[8:])
	c := core{V: 1, Inc: inc, Seq: 1, Parents: []wire.OpID{inc}, HLC: uint64(time.Now().UnixMilli()), Kind: uint64(groups.KindRemove), Body: body, Ext: []byte{}}
	op, refusal := groups.Decode(append(wire.Marshal(c), make([]byte, 64)...))
	if refusal != nil {
		panic(refusal)
	}
	return op
}
