package netlab

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strconv"
)

// Switch joins the links that are plugged into it: a bridge in a namespace of
// its own.
type Switch struct {
	lab    *Lab
	ns     string
	ports  int
	sides  int // bridges made so far
	plugs  []string
	portOf map[*Host]string
}

// Switch makes one with nothing plugged in.
func (l *Lab) Switch(name string) *Switch {
	l.tb.Helper()
	s := &Switch{lab: l, ns: l.namespace(name), portOf: map[*Host]string{}}
	s.side(0)
	return s
}

// side makes sure of a bridge and returns its name.
func (s *Switch) side(n int) string {
	name := "br" + strconv.Itoa(n)
	if n == s.sides {
		s.sides++
		s.lab.do("-n", s.ns, "link", "add", "name", name, "type", "bridge")
		s.lab.do("-n", s.ns, "link", "set", name, "up")
	}
	return name
}

// port names the next plug.
func (s *Switch) port() string {
	s.ports++
	p := "p" + strconv.Itoa(s.ports)
	s.plugs = append(s.plugs, p)
	return p
}

// Split parts the switch: the hosts of each side reach each other and nobody
// else, whoever is on no side (and every trunk) stays together as they were.
// Nobody's own port goes down.
func (s *Switch) Split(sides ...[]*Host) {
	s.lab.tb.Helper()
	for i, hosts := range sides {
		bridge := s.side(i + 1)
		for _, h := range hosts {
			port, ok := s.portOf[h]
			if !ok {
				s.lab.tb.Fatalf("%s is not plugged into %s", h.Name, s.ns)
			}
			s.lab.do("-n", s.ns, "link", "set", port, "master", bridge)
		}
	}
}

// Mend undoes every Split.
func (s *Switch) Mend() {
	s.lab.tb.Helper()
	for _, p := range s.plugs {
		s.lab.do("-n", s.ns, "link", "set", p, "master", "br0")
	}
}

// Host is one machine of the lab: a namespace with one interface, eth0.
type Host struct {
	Name string
	Addr netip.Addr // on eth0; all hosts of a lab are in one network
	Link *Link      // to its switch
	ns   string
}

// Host makes one and plugs it into the switch.
func (s *Switch) Host(name string) *Host {
	s.lab.tb.Helper()
	s.lab.hosts++
	h := &Host{Name: name, Addr: addr(s.lab.hosts), ns: s.lab.namespace(name)}
	h.Link = s.lab.link(end{h.ns, "eth0"}, s.plug())
	s.portOf[h] = h.Link.b.port
	s.lab.do("-n", h.ns, "addr", "add", fmt.Sprintf("%s/15", h.Addr), "dev", "eth0")
	return h
}

// Command is a process on the host, not started yet: as exec.CommandContext in
// everything else.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", h.ns, name}, args...)...)
}
