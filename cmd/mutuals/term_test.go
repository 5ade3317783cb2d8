package main

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mutuals/node/api"
)

// endLimit is how long a daemon may take to end.
const endLimit = 10 * time.Second

// pidOf gives the process of a home's daemon.
func pidOf(ts *testscript.TestScript, home string) int {
	dir := ts.MkAbs(home)
	e, err := api.Home{Runtime: dir, State: dir}.ReadEndpoint()
	ts.Check(err)
	return e.PID
}

func terminate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: term HOME")
	}
	pid, began := pidOf(ts, args[0]), time.Now()
	ts.Check(syscall.Kill(pid, syscall.SIGTERM))
	ts.Check(until(endLimit, fmt.Sprintf("process %d to end", pid), func() bool { return !alive(pid) }))
	ts.Logf("ended %v after SIGTERM", time.Since(began).Round(10*time.Millisecond))
}

// signals sends a daemon a signal.
func signals(sig syscall.Signal) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("it takes a HOME")
		}
		ts.Check(syscall.Kill(pidOf(ts, args[0]), sig))
	}
}

// floodAtOnce is how many messages are on their way at a time.
const floodAtOnce = 32

func flood(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: flood HOME GROUP N TEXT")
	}
	var n int
	_, err := fmt.Sscan(args[2], &n)
	ts.Check(err)
	ctx, dir := context.Background(), ts.MkAbs(args[0])
	client, err := api.Dial(ctx, api.Home{Runtime: dir, State: dir}, api.English)
	ts.Check(err)
	defer client.Close()
	groups, err := client.Groups(ctx)
	ts.Check(err)
	for _, g := range groups {
		if g.Name != args[1] {
			continue
		}
		todo, failed := make(chan int), make(chan error, floodAtOnce)
		var senders sync.WaitGroup
		for range floodAtOnce {
			senders.Go(func() {
				for i := range todo {
					if _, err := client.Send(ctx, g.ID, api.MessageCreate{Text: fmt.Sprintf("%s %d", args[3], i)}); err != nil {
						select {
						case failed <- err:
						default:
						}
					}
				}
			})
		}
		for i := range n {
			todo <- i + 1
		}
		close(todo)
		senders.Wait()
		select {
		case err := <-failed:
			ts.Check(err)
		default:
		}
		return
	}
	ts.Fatalf("no group %q", args[1])
}
