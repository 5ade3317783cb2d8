package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mutuals/node/api"
)

// TestScripts runs testdata/*.txtar against the two programs as they are
// built for people, each home a folder of the script's. Beside testscript's
// own commands there are:
//
//	exits CODE PROGRAM ARGS…        runs it and demands that exit code
//	waitfor REGEXP PROGRAM ARGS…    runs it until it succeeds and its output matches
//	field NAME PATH                 sets $NAME from the last line of JSON on stdout: a.b.0.c
//	lines N                         demands N lines on stdout
//	wrap FILE BEFORE AFTER          writes stdout to FILE between two other texts
//	kill9 HOME                      ends the daemon of that home as a power cut would
//	term HOME                       tells the daemon of that home to stop, as the system does; it has 10 s
//	freeze HOME, thaw HOME          stops its process where it stands, and lets it go on
//	say HOME GROUP N TEXT           sends TEXT 1 … TEXT N, each answered before the next
//	blind HOME WORD…                demands that no WORD is in the memory of that daemon
//	flood HOME GROUP N TEXT         the same, as fast as it goes and in no order
//	inorder N TEXT                  demands that stdout holds just those messages, in order
func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes")
	}
	t.Parallel()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			prepare(t, env)
			// Nothing but loopback, and ports that are free.
			env.Setenv("MUTUALS_LISTEN", "/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/udp/0/quic-v1")
			env.Setenv("MUTUALS_MDNS", "off")
			return nil
		},
		Cmds: commands,
	})
}

// commands are those of every script.
var commands = map[string]func(*testscript.TestScript, bool, []string){
	"exits":   exits,
	"waitfor": waitfor,
	"field":   field,
	"lines":   lines,
	"wrap":    wrap,
	"kill9":   kill9,
	"term":    terminate,
	"freeze":  signals(syscall.SIGSTOP),
	"thaw":    signals(syscall.SIGCONT),
	"flood":   flood,
	"say":     say,
	"inorder": inorder,
	"blind":   blind,
}

// prepare gives a script the programs, and nodes that leave nothing
// behind.
func prepare(t *testing.T, env *testscript.Env) {
	env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
	env.Setenv("MUTUALS_API", "127.0.0.1:0")
	env.Setenv("LC_ALL", "C.UTF-8")
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("XDG_RUNTIME_DIR", "")
	env.Defer(func() { endDaemons(t, env.WorkDir) })
}

// bin is the folder that TestMain makes and removes for the programs.
var bin string

// build builds mutuals and mutualsd into bin, once for all tests.
var build = sync.OnceValue(func() error {
	cmd := exec.Command("go", "build", "-o", bin+string(os.PathSeparator), "mutuals/cmd/mutuals", "mutuals/cmd/mutualsd")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the programs: %w\n%s", err, out)
	}
	return nil
})

// TestMain plays twice as many scripts at once as there are processors: they
// wait for nodes, cables and clocks more than they compute.
func TestMain(m *testing.M) {
	flag.Parse()
	if most := runtime.GOMAXPROCS(0); flag.Lookup("test.parallel").Value.String() == strconv.Itoa(most) {
		if err := flag.Set("test.parallel", strconv.Itoa(2*most)); err != nil {
			panic(err)
		}
	}
	var err error
	if bin, err = os.MkdirTemp("", "mutuals-programs-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(bin)
	os.Exit(code)
}

// endDaemons kills the daemons that a script started and left running, and
// waits until they are gone, so that its folder can be removed.
func endDaemons(t *testing.T, work string) {
	homes, err := filepath.Glob(filepath.Join(work, "*", "api.json"))
	if err != nil {
		t.Error(err)
	}
	for _, file := range homes {
		dir := filepath.Dir(file)
		e, err := api.Home{Runtime: dir, State: dir}.ReadEndpoint()
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if err := endProcess(e.PID); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// endProcess kills a process and waits until it is gone.
func endProcess(pid int) error {
	if !alive(pid) {
		return nil
	}
	if err := kill(pid); err != nil {
		return err
	}
	return until(time.Minute, fmt.Sprintf("process %d to end", pid), func() bool { return !alive(pid) })
}

// until asks again and again until the answer is yes.
func until(limit time.Duration, what string, ask func() bool) error {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !ask() {
		select {
		case <-timeout.C:
			return fmt.Errorf("waited %v for %s", limit, what)
		case <-again.C:
		}
	}
	return nil
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// patience is how long waitfor waits: far more than anything takes on two
// loaded cores, so that a failure means never.
const patience = 2 * time.Minute

func waitfor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: waitfor REGEXP PROGRAM ARGS…")
	}
	want, err := regexp.Compile("(?ms)" + args[0])
	ts.Check(err)
	ts.Check(until(patience, "output that matches "+args[0], func() bool {
		return ts.Exec(args[1], args[2:]...) == nil && want.MatchString(ts.ReadFile("stdout"))
	}))
}

func field(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: field NAME PATH")
	}
	all := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
	var v any
	ts.Check(json.Unmarshal([]byte(all[len(all)-1]), &v))
	for _, key := range strings.Split(args[1], ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(in) {
				ts.Fatalf("no item %q of %d", key, len(in))
			}
			v = in[i]
		}
	}
	switch v := v.(type) {
	case string:
		ts.Setenv(args[0], v)
	case float64:
		ts.Setenv(args[0], strconv.FormatFloat(v, 'f', -1, 64))
	default:
		ts.Fatalf("%s is %v", args[1], v)
	}
}

func lines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: lines N")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := strings.Count(ts.ReadFile("stdout"), "\n"); got != want {
		ts.Fatalf("%d lines, want %d", got, want)
	}
}

func wrap(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: wrap FILE BEFORE AFTER")
	}
	text := args[1] + "\n" + ts.ReadFile("stdout") + args[2] + "\n"
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

func kill9(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: kill9 HOME")
	}
	dir := ts.MkAbs(args[0])
	e, err := api.Home{Runtime: dir, State: dir}.ReadEndpoint()
	ts.Check(err)
	ts.Check(endProcess(e.PID))
}

func say(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: say HOME GROUP N TEXT")
	}
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	ctx := context.Background()
	dir := ts.MkAbs(args[0])
	client, err := api.Dial(ctx, api.Home{Runtime: dir, State: dir}, api.English)
	ts.Check(err)
	defer client.Close()
	groups, err := client.Groups(ctx)
	ts.Check(err)
	for _, g := range groups {
		if g.Name != args[1] {
			continue
		}
		for i := range n {
			_, err := client.Send(ctx, g.ID, api.MessageCreate{Text: fmt.Sprintf("%s %d", args[3], i+1)})
			ts.Check(err)
		}
		return
	}
	ts.Fatalf("no group %q", args[1])
}

func inorder(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: inorder N TEXT")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
	if len(got) != n {
		ts.Fatalf("%d messages, want %d", len(got), n)
	}
	for i, line := range got {
		var m api.Message
		ts.Check(json.Unmarshal([]byte(line), &m))
		if want := fmt.Sprintf("%s %d", args[1], i+1); m.Text != want {
			ts.Fatalf("message %d is %q, want %q", i+1, m.Text, want)
		}
	}
}
