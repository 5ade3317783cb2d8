package node

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh"
)

// Network says how the node stands in the network, and what could be done.
func (n *Node) Network(context.Context) (api.Network, error) {
	r, err := n.relaying()
	if err != nil {
		return api.Network{}, err
	}
	out := api.Network{
		Peer: n.mesh.Self().String(), Listen: n.mesh.Bound(), Addrs: n.mesh.Addrs(), Peers: len(n.mesh.Peers()),
		MDNS: !n.cfg.NoMDNS && n.reached.Relay != api.RelayOnly, DHT: cmp.Or(n.cfg.DHT, api.DHTOff), Relay: n.reached.Relay,
		Reachability: n.reachability(), NAT: n.mesh.NAT().String(), RelayService: r.Service, PortMapping: n.mapping(), Directory: n.directory(), Lobby: n.lobbyAPI(),
	}
	for _, s := range n.mesh.Relays() {
		one := api.RelayUsed{Peer: s.Relay.String(), Until: someTime(s.Until), Problem: s.Why}
		if as := n.accountsOf(s.Relay); len(as) > 0 {
			one.Account, one.Name = as[0], n.nameOf(as[0])
		}
		out.Relays = append(out.Relays, one)
	}
	links, tries := map[wire.PeerKey]mesh.PeerInfo{}, map[wire.PeerKey]mesh.Try{}
	for _, p := range n.mesh.Peers() {
		links[p.Peer] = p
	}
	for _, t := range n.mesh.Tries() {
		tries[t.Peer] = t
	}
	for _, room := range n.openRooms() {
		if v := room.view.Load(); v.seated() || v.waits() || v.office.Appointed {
			out.Groups = append(out.Groups, n.groupNetwork(room, v, links, tries))
		}
	}
	slices.SortFunc(out.Groups, func(a, b api.GroupNetwork) int { return strings.Compare(a.Name, b.Name) })
	for _, code := range n.advise(out) {
		out.Advice = append(out.Advice, api.Advice{Code: code, Text: api.AdviceText(code, api.English)})
	}
	return out, nil
}

// probeTime bounds Probe: what answers at all answers in less.
const probeTime = 10 * time.Second

// Probe dials all of the groups that are not linked, now, and says how the node
// stands when each was tried.
func (n *Node) Probe(ctx context.Context) (api.Network, error) {
	try, done := context.WithTimeout(ctx, probeTime)
	defer done()
	n.mesh.TryAll(try)
	if err := ctx.Err(); err != nil {
		return api.Network{}, err
	}
	return n.Network(ctx)
}

func (n *Node) directory() api.Directory {
	d, s := n.mesh.Directory(), n.mesh.Stats()
	return api.Directory{Keeper: d.Serving, Servers: d.Servers, Listed: int(s.Listed), Refused: int(s.Undialled)}
}

// groupNetwork lists of a group who is linked, and who is being dialled.
func (n *Node) groupNetwork(r *room, v *view, links map[wire.PeerKey]mesh.PeerInfo, tries map[wire.PeerKey]mesh.Try) api.GroupNetwork {
	out := api.GroupNetwork{Group: r.group, Name: v.meta.Name}
	add := func(p wire.PeerKey, a wire.AccountID, harbor bool) {
		one := api.GroupPeer{Peer: p.String(), Account: a, Harbor: harbor}
		if !a.IsZero() {
			one.Name = n.nameOf(a)
		}
		if l, linked := links[p]; linked {
			out.Linked++
			one.Linked, one.Path, one.Limited, one.Addr, one.Since = true, l.Path.String(), l.Limited, l.Addr, someTime(l.Since)
			one.Transport, one.Problem = transportOf(l.Addr), n.mesh.Undirect(l)
		} else if t, tried := tries[p]; tried {
			one.Tried, one.Next, one.Problem = someTime(t.At), someTime(t.Next), t.Why
		} else {
			return // others of the group are dialled, and gossip comes by them
		}
		out.Peers = append(out.Peers, one)
	}
	for p, id := range v.peers {
		if inc, ok := v.state.Inc(id); ok && p != n.mesh.Self() {
			add(p, inc.Account, false)
		}
	}
	for p := range v.harbors {
		var whose wire.AccountID
		if as := n.accountsOf(p); len(as) > 0 {
			whose = as[0]
		}
		if p != n.mesh.Self() {
			add(p, whose, true)
		}
	}
	slices.SortFunc(out.Peers, func(a, b api.GroupPeer) int {
		if a.Linked != b.Linked {
			return map[bool]int{true: -1, false: 1}[a.Linked]
		}
		return strings.Compare(a.Name+a.Peer, b.Name+b.Peer)
	})
	return out
}

// transportOf names the transport of an address; of one at a relay, to that.
func transportOf(addr string) string {
	first, _, _ := strings.Cut(addr, "/p2p/")
	switch {
	case strings.Contains(first, "/quic"):
		return "quic"
	case strings.Contains(first, "/ws"):
		return "ws"
	}
	return "tcp"
}

func someTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// reachability tells whether others got through to this node from outside.
func (n *Node) reachability() string {
	switch yes, known := n.mesh.Reachable(); {
	case yes:
		return api.Public
	case known:
		return api.Private
	}
	return api.Unguessed
}

func (n *Node) mapping() api.PortMapping {
	if n.reached.PortMapping != api.On || n.reached.Relay == api.RelayOnly {
		return api.PortMapping{State: api.MappingOff}
	}
	switch addrs, found := n.mesh.Mapped(); {
	case !found:
		return api.PortMapping{State: api.MappingNoRouter}
	case len(addrs) == 0:
		return api.PortMapping{State: api.MappingRefused}
	default:
		return api.PortMapping{State: api.MappingOpen, Addrs: addrs}
	}
}

// places counts the relays at which this node has a place.
func (n *Node) places() (places int) {
	for _, r := range n.mesh.Relays() {
		if !r.Until.IsZero() {
			places++
		}
	}
	return places
}

// advise names what a person can do.
func (n *Node) advise(now api.Network) (codes []string) {
	switch places := n.places(); {
	case places > 0 || now.Reachability == api.Public:
	case now.Relay == api.RelayOnly:
		codes = append(codes, api.AdviceRelayLost)
	case len(now.Relays) > 0:
		codes = append(codes, api.AdviceRelayRefused)
	case now.Reachability == api.Private || now.NAT == api.NATSymmetric || now.NAT == api.NATCone:
		codes = append(codes, api.AdviceRelayNeeded)
	}
	if slices.ContainsFunc(now.Groups, func(g api.GroupNetwork) bool { return g.Linked == 0 && len(g.Peers) > 0 }) {
		codes = append(codes, api.AdviceNobody)
	}
	return codes
}

// networkChanged tells watchers that links came or went, or who can reach this
// node.
func (n *Node) networkChanged() {
	object := jsonOf(map[string]any{"peers": len(n.mesh.Peers()), "reachability": n.reachability(), "relays": n.places()})
	n.hub.tell(api.Event{Type: api.EventNetworkChanged, At: n.now().UTC(), Object: object})
}

// networkFindings is what doctor says of it.
func (n *Node) networkFindings(ctx context.Context) ([]api.Finding, error) {
	now, err := n.Network(ctx)
	if err != nil {
		return nil, err
	}
	out := []api.Finding{api.NewFinding(api.FoundNetworkStands, len(now.Addrs), now.Peers, "reach_"+now.Reachability, "nat_"+now.NAT, n.places())}
	if len(now.Addrs) == 0 && now.Relay != api.RelayOnly {
		out[0] = api.NewFinding(api.FoundListensNowhere)
	}
	for _, a := range now.Advice {
		out = append(out, api.AdviceFinding(a.Code))
	}
	return out, nil
}
