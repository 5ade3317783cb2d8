package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mutuals/node/api"
	"mutuals/node/nodetest/netlab"
)

// TestNetScripts runs testdata/net/*.txtar: the two programs on machines of
// their own, in a network whose cables are pulled. Beside the commands of
// TestScripts there are:
//
//	internet                 makes the switch net, where addresses look public
//	router NAME cone|symmetric   a router on it, and the switch NAME behind it
//	host NAME SWITCH         a machine with an empty home; from then on NAME is mutuals there
//	move HOST SWITCH         takes a machine to another switch and address
//	watch ROUTER HOST        counts what leaves through a router for anybody but a machine
//	nostrays ROUTER          fails unless that was nothing
//	cut                      pulls the cable between the switches east and west
//	meet                     plugs it in again
//	unplug NAME, plug NAME   the same for a machine's own cable, or a router's outer one
//	pass DURATION            lets time pass
//	start                    starts a watch
//	took WHAT [MOST]         logs what it shows, and fails if that is over MOST
//	agree GROUP HOST…        waits until all these tell the same of the group, and
//	                         logs how long that took since cables were last plugged in
//
// The condition slow holds in make test-net: of scripts that take minutes.
func TestNetScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes")
	}
	netlab.New(t) // skips everything where no network can be made
	t.Parallel()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	cmds := map[string]func(*testscript.TestScript, bool, []string){"internet": internet, "router": router, "host": host, "move": move, "watch": watch, "nostrays": noStrays, "cut": cut, "meet": meet, "unplug": unplug, "plug": plug, "pass": pass, "start": start, "took": took, "agree": agree}
	maps.Copy(cmds, commands)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/net",
		RequireExplicitExec: true,
		Cmds:                cmds,
		Condition: func(cond string) (bool, error) {
			if cond != "slow" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return os.Getenv("MUTUALS_NETLAB_SLOW") == "1", nil
		},
		Setup: func(env *testscript.Env) error {
			prepare(t, env)
			// As at home, but that each port is a free one.
			env.Setenv("MUTUALS_LISTEN", "/ip4/0.0.0.0/udp/0/quic-v1,/ip4/0.0.0.0/tcp/0")
			env.Setenv("MUTUALS_MDNS", "")
			on := filepath.Join(env.WorkDir, "on")
			env.Setenv("PATH", on+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Values[networkKey{}] = layNetwork(env.T().(testing.TB))
			return os.Mkdir(on, 0o700)
		},
	})
}

// networkKey finds a script's network among its values.
type networkKey struct{}

// network is what one script is played in.
type network struct {
	lab      *netlab.Lab
	switches map[string]*netlab.Switch
	trunk    *netlab.Link
	hosts    map[string]*netlab.Host
	routers  map[string]*netlab.Router
	cables   map[string]func() *netlab.Link // of hosts and routers
	plugged  time.Time                      // when the last cable was
	started  time.Time                      // when the watch was
}

func layNetwork(tb testing.TB) *network {
	lab := netlab.New(tb)
	n := &network{lab: lab, switches: map[string]*netlab.Switch{"east": lab.Switch("east"), "west": lab.Switch("west")}, hosts: map[string]*netlab.Host{}, routers: map[string]*netlab.Router{}, cables: map[string]func() *netlab.Link{}}
	n.trunk = lab.Trunk(n.switches["east"], n.switches["west"])
	return n
}

func networkOf(ts *testscript.TestScript) *network { return ts.Value(networkKey{}).(*network) }

func host(ts *testscript.TestScript, neg bool, args []string) {
	n := networkOf(ts)
	if neg || len(args) != 2 || n.switches[args[1]] == nil {
		ts.Fatalf("usage: host NAME SWITCH")
	}
	h := n.switches[args[1]].Host(args[0])
	n.hosts[args[0]] = h
	n.cables[args[0]] = func() *netlab.Link { return h.Link }
	in := h.Command(context.Background(), "mutuals")
	script := fmt.Sprintf("#!/bin/sh\nexec %s --home %s \"$@\"\n", strings.Join(in.Args, " "), ts.MkAbs(args[0]))
	ts.Check(os.WriteFile(ts.MkAbs("on/"+args[0]), []byte(script), 0o700))
}

func internet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: internet")
	}
	n := networkOf(ts)
	n.switches["net"] = n.lab.Internet("net")
}

func router(ts *testscript.TestScript, neg bool, args []string) {
	n := networkOf(ts)
	if neg || len(args) != 2 || n.switches["net"] == nil || args[1] != string(netlab.Cone) && args[1] != string(netlab.Symmetric) {
		ts.Fatalf("usage: internet, then router NAME cone|symmetric")
	}
	r := n.switches["net"].Router(args[0], netlab.NAT(args[1]))
	n.switches[args[0]], n.routers[args[0]] = r.Inside, r
	n.cables[args[0]] = func() *netlab.Link { return r.WAN }
}

func move(ts *testscript.TestScript, neg bool, args []string) {
	n := networkOf(ts)
	if neg || len(args) != 2 || n.hosts[args[0]] == nil || n.switches[args[1]] == nil {
		ts.Fatalf("usage: move HOST SWITCH")
	}
	n.hosts[args[0]].Move(n.switches[args[1]])
}

func watch(ts *testscript.TestScript, neg bool, args []string) {
	n := networkOf(ts)
	if neg || len(args) != 2 || n.routers[args[0]] == nil || n.hosts[args[1]] == nil {
		ts.Fatalf("usage: watch ROUTER HOST")
	}
	n.routers[args[0]].Watch(n.hosts[args[1]])
}

func noStrays(ts *testscript.TestScript, neg bool, args []string) {
	n := networkOf(ts)
	if len(args) != 1 || n.routers[args[0]] == nil {
		ts.Fatalf("usage: nostrays ROUTER")
	}
	strays := n.routers[args[0]].Strays()
	ts.Logf("%d packets strayed", strays)
	if neg != (strays > 0) {
		ts.Fatalf("%d packets strayed", strays)
	}
}

func cut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: cut")
	}
	networkOf(ts).trunk.Down()
}

func meet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: meet")
	}
	n := networkOf(ts)
	n.trunk.Up()
	n.plugged = time.Now()
}

func unplug(ts *testscript.TestScript, neg bool, args []string) {
	n := networkOf(ts)
	if neg || len(args) != 1 || n.cables[args[0]] == nil {
		ts.Fatalf("usage: unplug NAME")
	}
	n.cables[args[0]]().Down()
}

func plug(ts *testscript.TestScript, neg bool, args []string) {
	n := networkOf(ts)
	if neg || len(args) != 1 || n.cables[args[0]] == nil {
		ts.Fatalf("usage: plug NAME")
	}
	n.cables[args[0]]().Up()
	n.plugged = time.Now()
}

// pass is for what takes its time: a cut that is long.
func pass(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: pass DURATION")
	}
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	<-time.After(d)
}

func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: start")
	}
	networkOf(ts).started = time.Now()
}

func took(ts *testscript.TestScript, neg bool, args []string) {
	n := networkOf(ts)
	if neg || len(args) < 1 || len(args) > 2 || n.started.IsZero() {
		ts.Fatalf("usage: start, then took WHAT [MOST]")
	}
	d := time.Since(n.started).Round(time.Millisecond)
	ts.Logf("%s took %v", args[0], d)
	if len(args) == 2 {
		most, err := time.ParseDuration(args[1])
		ts.Check(err)
		if d > most {
			ts.Fatalf("%s took %v, more than %v", args[0], d, most)
		}
	}
}

// agree looks again whenever a node says that something happened.
func agree(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: agree GROUP HOST HOST…")
	}
	group, hosts := args[0], args[1:]
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	happened := make(chan struct{}, 1)
	for _, h := range hosts {
		dir := ts.MkAbs(h)
		client, err := api.Dial(ctx, api.Home{Runtime: dir, State: dir}, api.English)
		ts.Check(err)
		defer client.Close()
		now, err := client.Snapshot(ctx)
		ts.Check(err)
		go func() {
			for range client.Events(ctx, now.EventID) {
				select {
				case happened <- struct{}{}:
				default:
				}
			}
		}()
	}
	for {
		err := differ(ts, group, hosts)
		if err == nil {
			break
		}
		select {
		case <-happened:
		case <-ctx.Done():
			if differ(ts, group, hosts) == nil {
				ts.Fatalf("all agree, but nobody was told that this changed: %v", err)
			}
			ts.Fatalf("%v", err)
		}
	}
	if n := networkOf(ts); !n.plugged.IsZero() {
		ts.Logf("%s agree %v after the cable was plugged in", strings.Join(hosts, ", "), time.Since(n.plugged).Round(10*time.Millisecond))
	}
}

// differ reads a group by the command line of each host and says how two of
// them differ, if they do.
func differ(ts *testscript.TestScript, group string, hosts []string) error {
	for _, q := range questions {
		first := ""
		for i, h := range hosts {
			cmd := exec.Command(ts.MkAbs("on/"+h), slices.Concat(q.args, []string{group, "--json"})...)
			cmd.Env = append(os.Environ(), "PATH="+ts.Getenv("PATH"))
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				return fmt.Errorf("%s %s: %w: %s", h, q.args, err, stderr.Bytes())
			}
			told, err := q.common(out)
			switch {
			case err != nil:
				return fmt.Errorf("%s %s: %w", h, q.args, err)
			case i == 0:
				first = told
			case told != first:
				return fmt.Errorf("%s tell differently:\n%s\n%s\n%s\n%s", q.args, hosts[0], first, h, told)
			}
		}
	}
	return nil
}

// question is a command whose answers must be the same for all.
type question struct {
	args []string
	// own names what each may tell otherwise: how it stands itself, and what
	// it has heard of others' disks.
	own []string
	// must says what is no answer yet.
	must map[string]any
}

var questions = []question{
	{args: []string{"group", "show"}, own: []string{"role", "status", "place", "unread", "last_message", "only_here", "safe_to_close", "complete_to"}, must: map[string]any{"synced": true}},
	{args: []string{"members", "list"}, own: []string{"online"}},
	{args: []string{"waitlist"}, own: []string{"online"}},
	{args: []string{"log", "-n", "1000"}, own: []string{"held_by", "state", "late"}},
}

// common is what is the same for all of an answer: JSON, one object a line.
func (q question) common(answer []byte) (string, error) {
	var out strings.Builder
	for d := json.NewDecoder(bytes.NewReader(answer)); d.More(); {
		var line map[string]any
		if err := d.Decode(&line); err != nil {
			return "", err
		}
		for k, v := range q.must {
			if line[k] != v {
				return "", fmt.Errorf("%s is %v", k, line[k])
			}
		}
		objects := []any{line}
		if items, ok := line["items"].([]any); ok {
			objects = items
		}
		for _, o := range objects {
			o := o.(map[string]any)
			for _, k := range q.own {
				delete(o, k)
			}
			if o["status"] == "waitlisted" {
				delete(o, "name") // told to the group with the seat; till then who knows them has one
			}
			b, err := json.Marshal(o)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&out, "\t%s\n", b)
		}
	}
	return out.String(), nil
}
