package node

import (
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
	as := "harbor"
	switch {
	case r.Service == api.On && n.cfg.Harbor:
		as = "harbor_relay"
	case r.Service == api.On:
		as = "relay"
	}
	return publicWords(as, r.Relay, n.reachability(), n.mesh.Addrs()), true
}

// publicWords says it of a node that is there as a harbor or a relay. Nothing of
// it is an error: a harbor on the local network, or behind a relay, is one to
// whom that is enough.
func publicWords(as, relay, reachability string, addrs []string) api.Finding {
	public := slices.IndexFunc(addrs, func(a string) bool { return reachWord(a) == "public" })
	switch {
	case relay == api.RelayOnly:
		return api.NewFinding(api.FoundPublicByRelay, as)
	case reachability == api.Private:
		return api.NewFinding(api.FoundPublicClosed, as)
	case public < 0:
		return api.NewFinding(api.FoundPublicNoAddress, as, strings.Join(addrs, ", "))
	case reachability == api.Unguessed:
		return api.NewFinding(api.FoundPublicUntried, as, addrs[public])
	}
	return api.NewFinding(api.FoundPublicReached, as, addrs[public])
}
