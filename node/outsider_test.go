package node

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/mesh/meshtest"
)

const (
	// outsiderEnv makes the test binary a process of a peer that keeps no rules
	// and does what its standard input says. The value is the home whose peer
	// key it takes, or newKey.
	outsiderEnv = "MUTUALS_OUTSIDER_CHILD"
	newKey      = "new"
	// maxOrder bounds a line that an outsider reads: a volley in hexadecimal.
	maxOrder = 1 << 20
)

// outsider is a process that has addresses, the names of topics, and nothing
// of a group's keys. It prints "key KEY" when it is there, and obeys one line
// after another; a KEY is a node's peer key in hexadecimal.
//
//	link KEY ADDR…           links to a node
//	subscribe KEY TOPIC…     tells it that it wants to hear these
//	publish KEY TOPIC HEX…   sends it frames
//	push KEY PROTOCOL HEX    writes bytes on a stream, and reads until the node
//	                         ends it
//	await TOPIC N            waits until N frames came on a topic
//	report TOPIC…
//
// After each line it prints "done", after report "heard N learnt M": frames
// that came on these topics, topics that it was told of.
func outsider(home string, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	key, err := outsiderKey(home)
	if err != nil {
		return err
	}
	x, err := meshtest.NewGossiper(key)
	if err != nil {
		return err
	}
	defer x.Close()
	self := x.Key()
	fmt.Fprintf(out, "key %x\n", self[:])

	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxOrder)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		verb, words := words[0], words[1:]
		answer := "done"
		switch verb {
		case "link":
			err = x.Connect(ctx, peerOf(words[0]), words[1:])
		case "subscribe":
			err = x.Subscribe(ctx, peerOf(words[0]), words[1:]...)
		case "publish":
			var frames [][]byte
			if frames, err = unhex(words[2:]); err == nil {
				err = x.Publish(ctx, peerOf(words[0]), words[1], frames...)
			}
		case "push":
			err = push(ctx, x, peerOf(words[0]), words[1], words[2])
		case "await":
			var want int
			if want, err = strconv.Atoi(words[1]); err == nil {
				err = x.Until(ctx, func() bool { return x.Heard(words[0]) >= want })
			}
		case "report":
			heard := 0
			for _, topic := range words {
				heard += x.Heard(topic)
			}
			answer = fmt.Sprintf("heard %d learnt %d", heard, x.Topics())
		default:
			err = fmt.Errorf("no such order: %q", verb)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", verb, err)
		}
		fmt.Fprintln(out, answer)
	}
	return lines.Err()
}

func outsiderKey(home string) (ed25519.PrivateKey, error) {
	if home == newKey {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	b, err := os.ReadFile(filepath.Join(home, fileKeys))
	if err != nil {
		return nil, err
	}
	secrets, err := identity.OpenKeys(b, nil)
	if err != nil {
		return nil, err
	}
	return secrets.Device().Peer, nil
}

// push writes on a stream and waits until the node ends it, in whatever way.
func push(ctx context.Context, x *meshtest.Gossiper, to wire.PeerKey, protocol, data string) error {
	b, err := hex.DecodeString(data)
	if err != nil {
		return err
	}
	s, err := x.Open(ctx, to, protocol)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	// A node that refuses may end the stream before it has read all: no fault.
	_, _ = s.Write(b)
	_ = s.CloseWrite()
	_, _ = io.Copy(io.Discard, s)
	return nil
}

// peerOf reads what outsiderProcess.order writes; other texts are no peer, and
// nobody is linked to it.
func peerOf(text string) (p wire.PeerKey) {
	_, _ = hex.Decode(p[:], []byte(text))
	return p
}

func unhex(words []string) ([][]byte, error) {
	var out [][]byte
	for _, w := range words {
		b, err := hex.DecodeString(w)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func enhex(frames [][]byte) (out []string) {
	for _, f := range frames {
		out = append(out, hex.EncodeToString(f))
	}
	return out
}

// outsiderProcess is an outsider that runs.
type outsiderProcess struct {
	*process
	key wire.PeerKey
}

// startOutsider starts one, linked to some nodes.
func startOutsider(t *testing.T, home string, nodes ...*Node) *outsiderProcess {
	t.Helper()
	x := &outsiderProcess{process: startProcess(t, outsiderEnv, home)}
	x.key = peerOf(strings.TrimPrefix(x.reads(t, "key "), "key "))
	for _, n := range nodes {
		x.order(t, "link", n, n.mesh.Bound()...)
	}
	return x
}

// order has it do something to a node and waits until that is done.
func (x *outsiderProcess) order(t *testing.T, verb string, n *Node, words ...string) {
	t.Helper()
	self := n.mesh.Self()
	x.do(t, fmt.Sprintf("%s %x %s", verb, self[:], strings.Join(words, " ")))
	x.reads(t, "done")
}

// publish has it send a node frames on a topic.
func (x *outsiderProcess) publish(t *testing.T, n *Node, topic string, frames [][]byte) {
	t.Helper()
	x.order(t, "publish", n, append([]string{topic}, enhex(frames)...)...)
}

// report asks what it heard on some topics, and how many topics it was told.
func (x *outsiderProcess) report(t *testing.T, topics ...string) (heard, learnt int) {
	t.Helper()
	x.do(t, "report "+strings.Join(topics, " "))
	line := x.reads(t, "heard")
	if _, err := fmt.Sscanf(line, "heard %d learnt %d", &heard, &learnt); err != nil {
		t.Fatalf("the outsider says %q: %v", line, err)
	}
	return heard, learnt
}
