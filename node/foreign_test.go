package node

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/node/api"
)

// foreignDir holds the peer of another implementation.
var foreignDir = filepath.Join("nodetest", "foreign")

// foreignEnds is how long it may take to end after its input did.
const foreignEnds = 10 * time.Second

// foreign is a process of peers made of js-libp2p.
type foreign struct {
	t    *testing.T
	in   io.Writer
	said chan foreignEvent
}

type foreignEvent struct {
	Peer       string `json:"peer"`
	Up         bool   `json:"up"`
	Subscribed bool   `json:"subscribed"`
	Published  *int   `json:"published"`
	Frame      string `json:"frame"`
	Error      string `json:"error"`
}

// startForeign starts the process, or skips the test where there is no Node.js:
// in continuous integration that is a failure.
func startForeign(t *testing.T) *foreign {
	t.Helper()
	lacks := func(what string) {
		t.Helper()
		if os.Getenv("CI") != "" {
			t.Fatalf("%s: .ci/run installs it", what)
		}
		t.Skipf("%s: whether another implementation can talk with ours is NOT tested here", what)
	}
	if testing.Short() {
		t.Skip("runs another program")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		lacks("there is no Node.js")
	}
	if _, err := os.Stat(filepath.Join(foreignDir, "node_modules", "libp2p")); err != nil {
		lacks("js-libp2p is not installed (npm ci in node/nodetest/foreign)")
	}
	cmd := exec.Command(node, "peer.mjs")
	cmd.Dir = foreignDir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	ok(t, err)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	f := &foreign{t: t, in: in, said: make(chan foreignEvent, 64)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(f.said)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var e foreignEvent
			if json.Unmarshal(lines.Bytes(), &e) != nil {
				e.Error = lines.Text()
			}
			f.said <- e
		}
	}()
	t.Cleanup(func() {
		in.Close() // its end
		late := time.AfterFunc(foreignEnds, func() { cmd.Process.Kill() })
		for range f.said {
		}
		<-read
		late.Stop()
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("the other program: %v\n%s", err, stderr.Bytes())
		}
	})
	return f
}

func (f *foreign) do(command map[string]any) {
	f.t.Helper()
	b, err := json.Marshal(command)
	ok(f.t, err)
	_, err = f.in.Write(append(b, '\n'))
	ok(f.t, err)
}

// await returns the next event that is wanted, and fails at an error; what came
// before it is put into past.
func (f *foreign) await(what string, past *[]foreignEvent, want func(foreignEvent) bool) foreignEvent {
	f.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e, open := <-f.said:
			if !open || e.Error != "" {
				f.t.Fatalf("waiting for %s: the other program says %q", what, e.Error)
			}
			if past != nil {
				*past = append(*past, e)
			}
			if want(e) {
				return e
			}
		case <-timeout:
			f.t.Fatalf("%s never came", what)
		}
	}
}

// enter has a peer with a device's key join the topic a node writes on.
func (f *foreign) enter(name string, key ed25519.PrivateKey, n *Node, topic string) {
	f.t.Helper()
	var at []string
	for _, a := range n.mesh.Bound() {
		if strings.Contains(a, "/tcp/") {
			at = append(at, a)
		}
	}
	f.do(map[string]any{"peer": name, "seed": hex.EncodeToString(key.Seed()), "topic": topic, "dial": at})
	f.await(name+" to be up", nil, func(e foreignEvent) bool { return e.Peer == name && e.Up })
}

// Another implementation of libp2p, with a member's device key and the topic's
// name, takes part in a group's gossip with a real node: each gets what the
// other says, as it was said. With any other key it gets nothing, and what it
// sends is taken from nobody.
func TestForeignPeer(t *testing.T) {
	f := startForeign(t)
	ann, bo := testNode(t, "Ann"), testNode(t, "Bo")
	g := newGroup(t, ann, api.GroupCreate{})
	join(t, bo, invite(t, ann, g, 1, ""))
	say(t, bo, g, "from our own program")
	hears(t, ann, g, "from our own program")
	same(t, g, ann, bo)

	// What Bo's device would say next, said by another program.
	var topic string
	var ops []*groups.Op
	inRoom(t, bo, g, func(r *room) {
		e, _ := r.sendEpoch()
		keys := r.keys.epochs[e.EID].keys
		topic = groups.TopicName(keys.Topic)
		for _, text := range []string{"from another program", "never heard"} {
			plain := must[[]byte](t)(groups.EncodePlain(groups.Plain{Kind: groups.ContentText, Payload: groups.Text{Text: text}.Encode()}))
			size := must[int](t)(seal.SealedLen(len(plain)))
			op := must[*groups.Op](t)(r.g.ComposeContent(r.me, bo.dev.keys.Op, max(bo.nowMs(), r.maxHLC+1), e.EID, [16]byte{1}, size, func(aad []byte, seq uint64) ([]byte, error) {
				return keys.Sender(r.me).Message(seq, [16]byte{1}).Seal(aad, plain), nil
			}))
			r.g.Apply(op)
			ops = append(ops, op)
		}
	})
	key := bo.dev.keys.Peer
	ok(t, bo.Close())

	f.enter("member", key, ann, topic)
	_, strange, err := ed25519.GenerateKey(rand.Reader)
	ok(t, err)
	f.enter("stranger", strange, ann, topic)
	within(t, ann, patience, "both to be linked", func() bool { return len(ann.mesh.Peers()) == 2 })
	within(t, ann, patience, "Ann to see the member on the topic", func() bool {
		seen := false
		inRoom(t, ann, g, func(r *room) {
			for _, at := range r.topics {
				seen = seen || slices.Contains(at.t.Peers(), bo.dev.peer())
			}
		})
		return seen
	})

	var past []foreignEvent
	hello := must[api.Message](t)(ann.Send(t.Context(), g, api.MessageCreate{Text: "from here"}))
	f.await("what Ann says", &past, func(e foreignEvent) bool {
		if e.Peer != "member" || e.Frame == "" {
			return false
		}
		got, refusal := groups.DecodeGossip(must[[]byte](t)(hex.DecodeString(e.Frame)))
		return refusal == nil && got[len(got)-1].ID == hello.ID
	})

	f.do(map[string]any{"peer": "member", "publish": hex.EncodeToString(groups.EncodeGossip(ops[:1]))})
	hears(t, ann, g, "from another program")
	// The stranger has the next of these, as if it had got hold of it.
	f.do(map[string]any{"peer": "stranger", "publish": hex.EncodeToString(groups.EncodeGossip(ops[1:]))})
	f.await("the stranger to have sent", &past, func(e foreignEvent) bool { return e.Peer == "stranger" && e.Published != nil })

	last := must[api.Message](t)(ann.Send(t.Context(), g, api.MessageCreate{Text: "the last"}))
	f.await("the last of what Ann says", &past, func(e foreignEvent) bool {
		got, refusal := groups.DecodeGossip(must[[]byte](t)(hex.DecodeString(e.Frame)))
		return e.Peer == "member" && refusal == nil && got[len(got)-1].ID == last.ID
	})
	for _, e := range past {
		if e.Peer == "stranger" && (e.Frame != "" || e.Subscribed || e.Published != nil && *e.Published > 0) {
			t.Errorf("the stranger: %+v", e)
		}
	}
	if got := texts(t, ann, g); slices.Contains(got, "never heard") {
		t.Errorf("Ann took what a stranger sent: %q", got)
	}
}
