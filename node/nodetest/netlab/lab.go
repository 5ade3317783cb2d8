package netlab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// prefix begins the name of every namespace of every lab.
const prefix = "mutuals-lab"

// Lab is one network, made for one test and removed at its end.
type Lab struct {
	tb      testing.TB
	name    string // what the names of its namespaces begin with
	inner   subnet // of all its switches but these:
	public  subnet // of the internet
	routers int
}

// labs tells the labs of one process apart.
var labs atomic.Uint64

// mustEnv, when it is 1, makes missing rights a failure (make test-net).
const mustEnv = "MUTUALS_NETLAB_MUST"

// New makes an empty lab. Where the rights or programs for it are missing the
// test is skipped and says why, unless MUTUALS_NETLAB_MUST counts on it.
func New(tb testing.TB) *Lab {
	tb.Helper()
	if err := possible(); err != nil {
		if os.Getenv(mustEnv) == "1" {
			tb.Fatalf("networks of namespaces cannot be made here: %v", err)
		}
		tb.Skipf("not run: networks of namespaces cannot be made here: %v", err)
	}
	sweep(tb)
	me, err := born("self")
	if err != nil {
		tb.Fatal(err)
	}
	return &Lab{
		tb: tb, name: fmt.Sprintf("%s-%d-%s-%d", prefix, os.Getpid(), me, labs.Add(1)),
		// The range for examples of routing (RFC 2544), which no network of the
		// machine has.
		inner: subnet{prefix: netip.MustParsePrefix("198.18.0.0/15")},
		// libp2p tries a direct way through routers between addresses alone that
		// could be public ones.
		public: subnet{prefix: netip.MustParsePrefix("31.0.0.0/16")},
	}
}

// subnet hands out addresses.
type subnet struct {
	prefix  netip.Prefix
	last    netip.Addr
	gateway netip.Addr // none: there is no way out
}

func (n *subnet) take() netip.Addr {
	if !n.last.IsValid() {
		n.last = n.prefix.Addr()
	}
	n.last = n.last.Next()
	return n.last
}

// on writes an address with the length of its network.
func (n *subnet) on(a netip.Addr) string { return netip.PrefixFrom(a, n.prefix.Bits()).String() }

// possible says what is missing for a lab, by making the smallest one, once:
// labs of one process may be made at the same time.
var possible = sync.OnceValue(func() error {
	if runtime.GOOS != "linux" {
		return errors.New("they need linux")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("the program ip (iproute2) is not installed")
	}
	me, err := born("self")
	if err != nil {
		return err
	}
	probe := fmt.Sprintf("%s-%d-%s-probe", prefix, os.Getpid(), me)
	if err := ip("netns", "add", probe); err != nil {
		return err
	}
	return errors.Join(
		ip("-n", probe, "link", "add", "name", "br0", "type", "bridge"),
		ip("-n", probe, "link", "add", "name", "v0", "type", "veth", "peer", "name", "v1"),
		ip("netns", "exec", probe, "true"),
		ip("netns", "del", probe))
})

// namespace makes one that is removed, with what runs in it, when the test ends.
func (l *Lab) namespace(name string) string {
	l.tb.Helper()
	ns := l.name + "-" + name
	l.do("netns", "add", ns)
	l.tb.Cleanup(func() {
		if err := remove(ns); err != nil {
			l.tb.Error(err)
		}
	})
	l.do("-n", ns, "link", "set", "lo", "up")
	return ns
}

// do runs ip, and fails the test if it fails.
func (l *Lab) do(args ...string) {
	l.tb.Helper()
	if err := ip(args...); err != nil {
		l.tb.Fatal(err)
	}
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// sweep removes what labs of processes that are no more left behind.
func sweep(tb testing.TB) {
	out, err := exec.Command("ip", "netns", "list").Output()
	if err != nil {
		tb.Fatalf("listing namespaces: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		ns, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest, ours := strings.CutPrefix(ns, prefix+"-")
		if !ours {
			continue
		}
		pid, rest, _ := strings.Cut(rest, "-")
		at, _, _ := strings.Cut(rest, "-")
		if now, err := born(pid); err == nil && now == at {
			continue // its process lives
		}
		// Another process may sweep at the same time: who comes second is not wrong.
		if err := remove(ns); err != nil {
			tb.Logf("removing what a killed test left: %v", err)
		}
	}
}

// remove ends what runs in a namespace and removes it; its interfaces, and
// with them the other ends of their cables, go too.
func remove(ns string) error {
	out, err := exec.Command("ip", "netns", "pids", ns).Output()
	if err != nil {
		return fmt.Errorf("listing what runs in %s: %w", ns, err)
	}
	for _, f := range strings.Fields(string(out)) {
		if pid, err := strconv.Atoi(f); err == nil {
			if p, err := os.FindProcess(pid); err == nil {
				_ = p.Kill() // it may just have ended
			}
		}
	}
	return ip("netns", "del", ns)
}

// born is when a process was started, in ticks since the machine was (proc(5),
// field 22): with its id it names a process for good.
func born(pid string) (string, error) {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return "", fmt.Errorf("reading when a process began: %w", err)
	}
	_, after, _ := strings.Cut(string(b), ") ")
	if f := strings.Fields(after); len(f) > 19 {
		return f[19], nil
	}
	return "", errors.New("reading when a process began: too few fields")
}
