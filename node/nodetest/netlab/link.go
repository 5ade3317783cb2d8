package netlab

// Link is a cable between two ends.
type Link struct {
	lab  *Lab
	a, b end
}

// end is where a cable is plugged in. A port of a switch has a bridge.
type end struct{ ns, port string }

// plug is an end for the next cable into a switch.
func (s *Switch) plug() end { return end{s.ns, s.port()} }

// Trunk links two switches. Two trunks between the same two make a loop, which
// nothing here breaks.
func (l *Lab) Trunk(a, b *Switch) *Link {
	l.tb.Helper()
	t := l.link(a.plug(), b.plug())
	l.do("-n", a.ns, "link", "set", t.a.port, "master", "br0")
	return t
}

// link lays a cable whose end b is in a switch.
func (l *Lab) link(a, b end) *Link {
	l.tb.Helper()
	l.do("link", "add", "name", a.port, "netns", a.ns, "type", "veth", "peer", "name", b.port, "netns", b.ns)
	l.do("-n", b.ns, "link", "set", b.port, "master", "br0")
	c := &Link{lab: l, a: a, b: b}
	c.Up()
	return c
}

// Down pulls the cable: packets are lost without a word, and both ends see
// that there is no carrier.
func (c *Link) Down() {
	c.lab.tb.Helper()
	c.lab.do("-n", c.b.ns, "link", "set", c.b.port, "down")
}

// Up plugs it in again. Addresses of hosts stay as they were.
func (c *Link) Up() {
	c.lab.tb.Helper()
	c.lab.do("-n", c.a.ns, "link", "set", c.a.port, "up")
	c.lab.do("-n", c.b.ns, "link", "set", c.b.port, "up")
}
