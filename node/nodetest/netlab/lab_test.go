package netlab

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The test binary is also what runs on the hosts: with listenEnv it takes
// connections at that address for ever, with dialEnv it makes one and ends.
const (
	listenEnv = "MUTUALS_NETLAB_LISTEN"
	dialEnv   = "MUTUALS_NETLAB_DIAL"
)

func TestMain(m *testing.M) {
	if at := os.Getenv(listenEnv); at != "" {
		l, err := net.Listen("tcp", at)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("listening")
		for {
			if c, err := l.Accept(); err == nil {
				c.Close()
			}
		}
	}
	if at := os.Getenv(dialEnv); at != "" {
		if _, err := net.DialTimeout("tcp", at, 300*time.Millisecond); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const port = ":9"

func on(t *testing.T, h *Host, ctx context.Context, env string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := h.Command(ctx, exe)
	cmd.Env = append(os.Environ(), env)
	return cmd
}

// listens starts a listener on a host and waits until it stands.
func listens(t *testing.T, h *Host) {
	t.Helper()
	cmd := on(t, h, context.Background(), listenEnv+"="+h.Addr.String()+port)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if s := bufio.NewScanner(out); !s.Scan() || s.Text() != "listening" {
		t.Fatalf("the listener on %s says %q", h.Name, s.Text())
	}
}

// reach demands that the hosts can, or cannot, connect. What is to be reached
// may take a moment: a bridge learns where everybody is.
func reach(t *testing.T, want bool, from, to *Host) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		got := on(t, from, t.Context(), dialEnv+"="+to.Addr.String()+port).Run() == nil
		if got == want {
			return
		}
		if got || time.Now().After(end) {
			t.Fatalf("%s reaches %s: %v, want %v", from.Name, to.Name, got, want)
		}
	}
}

func TestLinks(t *testing.T) {
	l := New(t)
	east, west := l.Switch("east"), l.Switch("west")
	trunk := l.Trunk(east, west)
	ann, abe, bo := east.Host("ann"), east.Host("abe"), west.Host("bo")
	for _, h := range []*Host{ann, abe, bo} {
		listens(t, h)
	}
	reach(t, true, ann, abe)
	reach(t, true, ann, bo)

	trunk.Down()
	reach(t, false, ann, bo)
	reach(t, true, ann, abe)
	trunk.Up()
	reach(t, true, bo, ann)

	ann.Link.Down()
	reach(t, false, ann, abe)
	reach(t, true, bo, abe)
	ann.Link.Up()
	reach(t, true, ann, abe)

	east.Split([]*Host{ann})
	reach(t, false, ann, abe)
	reach(t, true, bo, abe)
	east.Mend()
	reach(t, true, ann, bo)
}

// What a lab made is gone with its test, and what a killed test left with the
// next lab, processes and all.
func TestNothingIsLeft(t *testing.T) {
	var mine string
	t.Run("lab", func(t *testing.T) {
		l := New(t)
		mine = l.name
		l.Switch("sw").Host("ann")
		if !strings.Contains(spaces(t), mine) {
			t.Errorf("no namespace %s-…", mine)
		}
	})
	if mine == "" {
		t.Skip("no lab was made")
	}
	if strings.Contains(spaces(t), mine) {
		t.Errorf("%s is left", mine)
	}

	// No process has this id and was born with the machine.
	dead := fmt.Sprintf("%s-%d-0-1-ann", prefix, os.Getpid())
	if err := ip("netns", "add", dead); err != nil {
		t.Fatal(err)
	}
	left := exec.Command("ip", "netns", "exec", dead, "sleep", "3600")
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	// Only once it runs inside can it be found there.
	for !strings.Contains(pids(dead), fmt.Sprint(left.Process.Pid)) {
		time.Sleep(time.Millisecond)
	}
	New(t)
	if strings.Contains(spaces(t), dead) {
		t.Errorf("%s is left", dead)
	}
	_ = left.Wait() // it was killed
}

func spaces(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("ip", "netns", "list").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func pids(ns string) string {
	out, _ := exec.Command("ip", "netns", "pids", ns).Output()
	return string(out)
}
