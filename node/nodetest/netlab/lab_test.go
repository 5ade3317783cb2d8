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
// connections at that address for ever, with dialEnv it makes one and ends; with
// hearEnv it takes one datagram and says from which port it came, with tellEnv it
// sends one from port 9999.
const (
	listenEnv = "MUTUALS_NETLAB_LISTEN"
	dialEnv   = "MUTUALS_NETLAB_DIAL"
	hearEnv   = "MUTUALS_NETLAB_HEAR"
	tellEnv   = "MUTUALS_NETLAB_TELL"
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
	if at := os.Getenv(hearEnv); at != "" {
		os.Exit(hear(at))
	}
	if at := os.Getenv(tellEnv); at != "" {
		c, err := (&net.Dialer{LocalAddr: &net.UDPAddr{Port: 9999}}).Dial("udp", at)
		if err == nil {
			_, err = c.Write([]byte("hello"))
		}
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func hear(at string) int {
	c, err := net.ListenPacket("udp", at)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("listening")
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	_, from, err := c.ReadFrom(make([]byte, 16))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(from.(*net.UDPAddr).Port)
	return 0
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

// Who is behind a router reaches the internet by its address and is reached by
// nobody; what it sends to two hosts comes from one port through a cone, and
// from two through a symmetric one. A machine that moves is elsewhere.
func TestRouters(t *testing.T) {
	l := New(t)
	net := l.Internet("net")
	out, too := net.Host("out"), net.Host("too")
	cone, sym := net.Router("cone", Cone), net.Router("sym", Symmetric)
	ann, bo := cone.Inside.Host("ann"), sym.Inside.Host("bo")
	for _, h := range []*Host{out, ann, bo} {
		listens(t, h)
	}
	reach(t, true, out, out)
	reach(t, true, ann, out)
	reach(t, true, bo, out)
	reach(t, false, out, ann)
	reach(t, false, bo, ann)
	at := *ann
	at.Addr = cone.Addr
	reach(t, false, out, &at) // nor by its router's address

	for r, want := range map[*Host]bool{ann: true, bo: false} {
		if one := seenFrom(t, r, out) == seenFrom(t, r, too); one != want {
			t.Errorf("%s is seen by one port: %v, want %v", r.Name, one, want)
		}
	}

	cone.Watch(out)
	reach(t, true, ann, out)
	if n := cone.Strays(); n > 0 {
		t.Errorf("%d packets to another, and none was sent", n)
	}
	cone.Watch(too)
	reach(t, true, ann, out)
	if cone.Strays() == 0 {
		t.Error("packets to another were not counted")
	}

	cone.WAN.Down()
	reach(t, false, ann, out)
	cone.WAN.Up()
	reach(t, true, ann, out)

	old := ann.Addr
	ann.Move(sym.Inside)
	if ann.Addr == old {
		t.Error("the address is the old one")
	}
	listens(t, ann)
	reach(t, true, ann, out)
	reach(t, true, bo, ann)
}

// seenFrom gives the port from which a datagram of a host's port 9999 comes to
// another.
func seenFrom(t *testing.T, h, to *Host) string {
	t.Helper()
	hear := on(t, to, t.Context(), hearEnv+"="+to.Addr.String()+port)
	out, err := hear.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := hear.Start(); err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(out)
	if !s.Scan() || s.Text() != "listening" {
		t.Fatalf("the listener on %s says %q", to.Name, s.Text())
	}
	if err := on(t, h, t.Context(), tellEnv+"="+to.Addr.String()+port).Run(); err != nil {
		t.Fatal(err)
	}
	if !s.Scan() {
		t.Fatalf("%s heard nothing", to.Name)
	}
	if err := hear.Wait(); err != nil {
		t.Fatal(err)
	}
	return s.Text()
}
