package node

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// childEnv makes the test binary a process that runs one node and does what
// its standard input says; the value is the node's home.
const childEnv = "MUTUALS_NODE_CHILD"

func TestMain(m *testing.M) {
	var err error
	switch home, outside := os.Getenv(childEnv), os.Getenv(outsiderEnv); {
	case os.Getenv(siegeEnv) != "":
		err = horde(os.Getenv(siegeEnv), os.Stdin, os.Stdout)
	case home != "":
		err = child(home, os.Stdin, os.Stdout)
	case outside != "":
		err = outsider(outside, os.Stdin, os.Stdout)
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

// child does one line after another:
//
//	join PASSCODE     prints "joined GROUP"
//	say GROUP PREFIX  says PREFIX0, PREFIX1, … for ever, and prints "ack N"
//	                  when Send has returned for the first N
//	forge GROUP       prints "frame HEX" for each of a volley that it signs now
//	                  and shows to nobody
func child(home string, in io.Reader, out io.Writer) error {
	ctx := context.Background()
	n, err := Open(ctx, Config{Home: home, NoMDNS: true, Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		return err
	}
	defer n.Close()
	if !n.begun.Load() {
		if _, err := n.CreateIdentity(ctx, api.IdentityCreate{Name: "Child"}); err != nil {
			return err
		}
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		switch words := strings.Fields(lines.Text()); words[0] {
		case "join":
			task, err := n.JoinByPasscode(ctx, words[1])
			if err != nil {
				return err
			}
			changed := n.hub.watch(ctx)
			for !task.Over() {
				select {
				case <-changed:
				case <-time.After(50 * time.Millisecond):
				}
				if task, err = n.Task(ctx, task.ID); err != nil {
					return err
				}
			}
			if task.Problem != nil {
				return task.Problem
			}
			fmt.Fprintln(out, "joined", task.Result.Group)
		case "say":
			g, err := wire.ParseGroupID(words[1])
			if err != nil {
				return err
			}
			for i := 0; ; i++ {
				if _, err := n.Send(ctx, g, api.MessageCreate{Text: fmt.Sprint(words[2], i)}); err != nil {
					return err
				}
				fmt.Fprintln(out, "ack", i+1)
			}
		case "forge":
			g, err := wire.ParseGroupID(words[1])
			if err != nil {
				return err
			}
			frames, err := forge(ctx, n, g)
			if err != nil {
				return err
			}
			for _, f := range frames {
				fmt.Fprintf(out, "frame %x\n", f)
			}
		}
	}
	return nil
}

// process is a child that runs.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// startChild runs a node on a home.
func startChild(t *testing.T, home string) *process {
	t.Helper()
	return startProcess(t, childEnv, home)
}

// startProcess runs the test binary as what a variable makes of it. A test that
// does so is not parallel: until the child runs its program it shares the locks
// of all homes that are open here, and one closed meanwhile stays locked.
func startProcess(t *testing.T, env, value string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(exe)}
	p.cmd.Env = append(os.Environ(), env+"="+value)
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

func (p *process) do(t *testing.T, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		t.Fatal(err)
	}
}

// reads waits for a line that begins with want and returns it.
func (p *process) reads(t *testing.T, want string) string {
	t.Helper()
	for p.out.Scan() {
		if strings.HasPrefix(p.out.Text(), want) {
			return p.out.Text()
		}
		if strings.HasPrefix(p.out.Text(), "error") {
			t.Fatalf("the child says %q", p.out.Text())
		}
	}
	t.Fatalf("the child ended before %q: %v", want, p.out.Err())
	return ""
}

// kill is kill -9.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// timelineOf reads everything a node shows of a group, page by page.
func timelineOf(t *testing.T, n *Node, g wire.GroupID) (out []api.Message) {
	t.Helper()
	at := api.Page{Limit: api.MaxPage}
	for {
		page := must[api.MessagePage](t)(n.Messages(t.Context(), g, at))
		out = append(slices.Clone([]api.Message(page.Items)), out...)
		if page.Before == "" {
			return out
		}
		at.Before = page.Before
	}
}

// withPrefix lists the texts of a timeline that begin with prefix.
func withPrefix(t *testing.T, n *Node, g wire.GroupID, prefix string) (out []string) {
	t.Helper()
	for _, m := range timelineOf(t, n, g) {
		if strings.HasPrefix(m.Text, prefix) {
			out = append(out, m.Text)
		}
	}
	return out
}

func numbered(prefix string, count int) (out []string) {
	for i := range count {
		out = append(out, fmt.Sprint(prefix, i))
	}
	return out
}

// announced counts how often a node told its readers of each new message.
func announced(t *testing.T, n *Node, prefix string) map[string]int {
	t.Helper()
	changes, err := n.store.Changes(0, 1<<20)
	if err != nil && !errors.Is(err, store.ErrPruned) {
		t.Fatal(err)
	}
	events, err := n.render(changes)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, e := range events {
		var m api.Message
		if e.Type == api.EventMessageCreated && json.Unmarshal(e.Object, &m) == nil && strings.HasPrefix(m.Text, prefix) {
			out[m.Text]++
		}
	}
	return out
}

// B is killed, misses 500 messages, and comes back to all of them, in order,
// none twice.
func TestReaderKilled(t *testing.T) {
	const missed = 500
	a, home := testNode(t, "Ann"), t.TempDir()
	g := newGroup(t, a, api.GroupCreate{})
	b := startChild(t, home)
	b.do(t, "join "+invite(t, a, g, 1, "").Passcode)
	b.reads(t, "joined")
	b.kill()
	for i := range missed {
		say(t, a, g, fmt.Sprint("m-", i))
	}
	back := startNode(t, home, "Bo", nil)
	within(t, back, patience, "B to have what it missed", func() bool { return len(withPrefix(t, back, g, "m-")) >= missed })
	same(t, g, a, back)
	if got := withPrefix(t, back, g, "m-"); !slices.Equal(got, numbered("m-", missed)) {
		t.Errorf("B shows %d messages, not the %d in order: %.200q", len(got), missed, got)
	}
	told := announced(t, back, "m-")
	for text, times := range told {
		if times != 1 {
			t.Errorf("B was told %d times of %q", times, text)
		}
	}
	if len(told) != missed {
		t.Errorf("B was told of %d messages, want %d", len(told), missed)
	}
}

// A sender is killed while it goes on sending: what Send returned for is on
// its disk and reaches the others when it is back.
func TestSenderKilled(t *testing.T) {
	a, home := testNode(t, "Ann"), t.TempDir()
	g := newGroup(t, a, api.GroupCreate{})
	s := startChild(t, home)
	s.do(t, "join "+invite(t, a, g, 1, "").Passcode)
	s.reads(t, "joined")
	for round, acks := range []int{1, 7, 40} {
		prefix := fmt.Sprintf("r%d-", round)
		s.do(t, fmt.Sprintf("say %s %s", g, prefix))
		s.reads(t, fmt.Sprintf("ack %d", acks))
		s.kill()

		back := startNode(t, home, "Sam", nil)
		got := withPrefix(t, back, g, prefix)
		if len(got) < acks || !slices.Equal(got, numbered(prefix, len(got))) {
			t.Fatalf("round %d: %d were acknowledged, back are %q", round, acks, got)
		}
		same(t, g, back, a)
		if heard := withPrefix(t, a, g, prefix); !slices.Equal(heard, got) {
			t.Fatalf("round %d: A heard %q of %q", round, heard, got)
		}
		say(t, back, g, prefix+"back") // the chain goes on where it was
		hears(t, a, g, prefix+"back")
		if err := back.Close(); err != nil {
			t.Fatal(err)
		}
		s = startChild(t, home)
	}
}

// Everybody was off; A, through whom both came, stays off. B and C find each
// other by the addresses A's hellos handed on, on the ports they had.
func TestRestartWithoutFounder(t *testing.T) {
	t.Parallel()
	homes := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	a, b, c := startNode(t, homes[0], "Ann", nil), startNode(t, homes[1], "Bo", nil), startNode(t, homes[2], "Cy", nil)
	g := newGroup(t, a, api.GroupCreate{})
	for _, n := range []*Node{b, c} {
		join(t, n, invite(t, a, g, 1, ""))
	}
	say(t, b, g, "before")
	hears(t, c, g, "before")
	within(t, b, patience, "B and C to know where the other is", func() bool {
		return b.recordOf(c.dev.peer()) != nil && c.recordOf(b.dev.peer()) != nil
	})
	ports := b.mesh.Bound()
	for _, n := range []*Node{a, b, c} {
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b, c = startNode(t, homes[1], "Bo", nil), startNode(t, homes[2], "Cy", nil)
	if !slices.Equal(b.mesh.Bound(), ports) {
		t.Errorf("B listens on %v, before on %v", b.mesh.Bound(), ports)
	}
	say(t, b, g, "anybody there?")
	hears(t, c, g, "anybody there?")
	say(t, c, g, "I am")
	hears(t, b, g, "I am")
	if got := withPrefix(t, c, g, "before"); len(got) != 1 {
		t.Errorf("C shows what was said before %d times", len(got))
	}
}
