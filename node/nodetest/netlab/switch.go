package netlab

import (
	"context"
	"net/netip"
	"os/exec"
	"strconv"
)

// Switch joins the links that are plugged into it: a bridge in a namespace of
// its own.
type Switch struct {
	lab    *Lab
	ns     string
	net    *subnet
	ports  int
	sides  int // bridges made so far
	plugs  []string
	portOf map[*Host]string
}

// Switch makes one with nothing plugged in.
func (l *Lab) Switch(name string) *Switch {
	l.tb.Helper()
	return l.newSwitch(name, &l.inner)
}

func (l *Lab) newSwitch(name string, net *subnet) *Switch {
	l.tb.Helper()
	s := &Switch{lab: l, ns: l.namespace(name), net: net, portOf: map[*Host]string{}}
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
	Addr netip.Addr // on eth0, in the network of its switch
	Link *Link      // to its switch
	ns   string
	at   *Switch
}

// Host makes one and plugs it into the switch.
func (s *Switch) Host(name string) *Host {
	s.lab.tb.Helper()
	h := &Host{Name: name, ns: s.lab.namespace(name)}
	h.plug(s)
	return h
}

// plug gives the host an address on a switch, and a way out if that has one.
func (h *Host) plug(s *Switch) {
	s.lab.tb.Helper()
	h.at, h.Addr = s, s.net.take()
	h.Link = s.lab.link(end{h.ns, "eth0"}, s.plug())
	s.portOf[h] = h.Link.b.port
	s.lab.do("-n", h.ns, "addr", "add", s.net.on(h.Addr), "dev", "eth0")
	if s.net.gateway.IsValid() {
		s.lab.do("-n", h.ns, "route", "add", "default", "via", s.net.gateway.String())
	}
}

// Move unplugs the machine and plugs it into another switch, where it has
// another address: what was linked at the old one is not told.
func (h *Host) Move(to *Switch) {
	to.lab.tb.Helper()
	to.lab.do("-n", h.ns, "link", "del", "eth0")
	delete(h.at.portOf, h)
	h.plug(to)
}

// Command is a process on the host, not started yet: as exec.CommandContext in
// everything else.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", h.ns, name}, args...)...)
}
