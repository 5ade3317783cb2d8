package netlab

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// NAT is how a router translates addresses.
type NAT string

// The kinds. A cone shows a host to everybody by one port; a symmetric one
// draws another port for each address that is spoken to.
const (
	Cone      NAT = "cone"
	Symmetric NAT = "symmetric"
)

// Internet makes the switch whose hosts have public-looking addresses, of
// 31.0.0.0/16.
func (l *Lab) Internet(name string) *Switch {
	l.tb.Helper()
	return l.newSwitch(name, &l.public)
}

// Router stands between a switch and the hosts behind it. It lets in what
// answers them, and drops the rest without a word.
type Router struct {
	Inside *Switch    // in a network of its own, 192.168.n.0/24
	Addr   netip.Addr // by which those behind it are seen
	WAN    *Link
	lab    *Lab
	ns     string
}

// Router makes one; name is of its inside. Where nft is missing the test is
// skipped, or fails, as in New.
func (s *Switch) Router(name string, nat NAT) *Router {
	l := s.lab
	l.tb.Helper()
	if _, err := exec.LookPath("nft"); err != nil {
		if os.Getenv(mustEnv) == "1" {
			l.tb.Fatal("the program nft (nftables) is not installed")
		}
		l.tb.Skip("not run: routers need the program nft (nftables)")
	}
	l.routers++
	in := &subnet{prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, byte(l.routers), 0}), 24)}
	in.gateway = in.take()
	r := &Router{Inside: l.newSwitch(name, in), Addr: s.net.take()}
	ns := l.namespace(name + "-router")
	r.lab, r.ns = l, ns
	r.WAN = l.link(end{ns, "wan"}, s.plug())
	l.do("-n", ns, "addr", "add", s.net.on(r.Addr), "dev", "wan")
	l.link(end{ns, "lan"}, r.Inside.plug())
	l.do("-n", ns, "addr", "add", in.on(in.gateway), "dev", "lan")
	l.in(ns, "", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
	how := "masquerade"
	if nat == Symmetric {
		how = "masquerade fully-random"
	}
	l.in(ns, fmt.Sprintf(rules, how), "nft", "-f", "-")
	return r
}

// rules of a router: chains may not be called fwd, a word of nft's.
const rules = `
table ip nat {
	chain out { type nat hook postrouting priority 100; oifname "wan" %s; }
}
table ip filter {
	chain through { type filter hook forward priority 0; policy drop; iifname "lan" accept; ct state established,related accept; }
	chain here { type filter hook input priority 0; policy accept; iifname "wan" ct state new drop; }
}
`

// Watch counts from now on what leaves for anybody but a host.
func (r *Router) Watch(but *Host) {
	r.lab.tb.Helper()
	r.lab.in(r.ns, fmt.Sprintf(`
table ip watch
delete table ip watch
table ip watch {
	counter strays { }
	chain through { type filter hook forward priority -10; iifname "lan" ip daddr != %s counter name strays; }
}
`, but.Addr), "nft", "-f", "-")
}

// Strays is how many packets Watch counted.
func (r *Router) Strays() int {
	r.lab.tb.Helper()
	out := r.lab.in(r.ns, "", "nft", "list", "counter", "ip", "watch", "strays")
	_, after, _ := strings.Cut(out, "packets ")
	n, err := strconv.Atoi(strings.Fields(after + " ?")[0])
	if err != nil {
		r.lab.tb.Fatalf("reading a counter: %v: %s", err, out)
	}
	return n
}

// in runs a program in a namespace and gives what it says; the test fails if it
// fails.
func (l *Lab) in(ns, stdin, name string, args ...string) string {
	l.tb.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", ns, name}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		l.tb.Fatalf("%s in %s: %v: %s", name, ns, err, out)
	}
	return string(out)
}
