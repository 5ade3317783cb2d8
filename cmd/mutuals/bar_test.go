package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"mutuals/node/api"
)

// A bar shows what comes into its group, is written over in place, and leaves
// nothing behind when all is here or something else is to be written.
func TestBar(t *testing.T) {
	var out bytes.Buffer
	c := newCLI(nil, nil, &out, func(string) string { return "" })
	g, other := api.Group{Name: "Hikers"}, api.Group{}
	g.ID[0], other.ID[0] = 1, 2
	b := bar{c: c, live: true}
	on := func(of api.Group, state string, done int) {
		t.Helper()
		object, err := json.Marshal(api.Task{Kind: api.TaskSync, State: state, Progress: api.Progress{Done: done, Total: 4000}, Result: &api.TaskResult{Group: of.ID}})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.event(api.Event{Type: api.EventTaskProgress, Object: object}, g); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what, want string) {
		t.Helper()
		if got := out.String(); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
		out.Reset()
	}
	on(other, api.TaskRunning, 1000)
	want("another group", "")
	on(g, api.TaskRunning, 1000)
	want("a quarter", clearLine+"Hikers [#####...............] 1000 of 4000 messages")
	b.clear()
	want("before a message", clearLine)
	b.clear()
	want("before another", "")
	on(g, api.TaskRunning, 3000)
	want("on", clearLine+"Hikers [###############.....] 3000 of 4000 messages")
	on(g, api.TaskDone, 4000)
	want("all here", clearLine)
	b.live = false
	on(g, api.TaskRunning, 1000)
	want("no terminal", "")
}
