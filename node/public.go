package node

import (
	"fmt"
	"slices"
	"strings"

	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh"
)

// serves tells whether the configuration names an account as one that this node
// is there for: as harbor and as relay, whether or not its person follows it. A
// block outweighs it.
func (n *Node) serves(a wire.AccountID) bool {
	return slices.Contains(n.cfg.Serve, a) && !n.people.blocked(a)
}

// reachWord is from where an own address can be dialled, in a word.
func reachWord(addr string) string {
	if strings.Contains(addr, "/p2p-circuit") {
		return "relayed"
	}
	switch mesh.ReachOf(addr) {
	case mesh.ReachPublic:
		return "public"
	case mesh.ReachLAN:
		return "lan"
	}
	return "loopback"
}

// publicFinding is what doctor says of a node that is there for others: whether
// they can come to it. Of any other there is nothing to say.
func (n *Node) publicFinding() (f api.Finding, ok bool) {
	r, err := n.relaying()
	if err != nil || !n.cfg.Harbor && r.Service != api.On {
		return f, false
	}
	as := "a harbor"
	switch {
	case r.Service == api.On && n.cfg.Harbor:
		as = "a harbor and a relay"
	case r.Service == api.On:
		as = "a relay"
	}
	return publicWords(as, r.Relay, n.reachability(), n.mesh.Addrs()), true
}

// publicWords says it of a node that is there as a harbor or a relay. Nothing of
// it is an error: a harbor on the local network, or behind a relay, is one to
// whom that is enough.
func publicWords(as, relay, reachability string, addrs []string) api.Finding {
	f := api.Finding{Check: "public", Level: "warning"}
	public := slices.IndexFunc(addrs, func(a string) bool { return reachWord(a) == "public" })
	switch {
	case relay == api.RelayOnly:
		f.Title = fmt.Sprintf("this node is %s, and others come to it by relays only", as)
		f.Hint = "start it with --relay auto or off"
	case reachability == api.Private:
		f.Title = fmt.Sprintf("this node is %s, and others who tried could not dial it: its port is closed", as)
		f.Hint = "open the ports of --listen, UDP and TCP, in the machine's firewall, the provider's and on the router"
	case public < 0:
		f.Title = fmt.Sprintf("this node is %s, and has no public address", as)
		f.Detail = "others find it at " + strings.Join(addrs, ", ")
		f.Hint = "run it where it has a public address, or forward a fixed port (--listen) on the router; in a container use the host's network"
	case reachability == api.Unguessed:
		f.Title = fmt.Sprintf("this node is %s at %s; nobody has tried yet whether others can dial it", as, addrs[public])
		f.Hint = "look again when somebody was linked to it for a minute"
	default:
		f.Level, f.Title = "ok", fmt.Sprintf("this node is %s, and others dial it at %s", as, addrs[public])
	}
	return f
}
