package node

import (
	"cmp"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"

	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh"
	"mutuals/store"
)

// relayingKey is how this device is reached; of this device alone.
const relayingKey = "relaying"

// maxRelays is how many relays may be named: each is kept linked, and two are
// used.
const maxRelays = 8

// Relaying is how a node is reached from where nothing lets others in, and what
// it does for others in that place (PROTOCOLS.md N18). What is empty is as the
// person set it, or as in defaultRelaying.
type Relaying struct {
	Relay       string   // api.RelayAuto, RelayOnly or RelayOff
	Relays      []string // multiaddrs with /p2p
	Service     string   // api.On or Off: relays for others
	For         string   // api.RelayForKnown or RelayForAnyone
	PortMapping string   // api.On or Off
}

var defaultRelaying = Relaying{Relay: api.RelayAuto, Service: api.Off, For: api.RelayForKnown, PortMapping: api.On}

// over is r where it says something, else under.
func (r Relaying) over(under Relaying) Relaying {
	if len(r.Relays) == 0 {
		r.Relays = under.Relays
	}
	return Relaying{
		Relay: cmp.Or(r.Relay, under.Relay), Relays: r.Relays, Service: cmp.Or(r.Service, under.Service),
		For: cmp.Or(r.For, under.For), PortMapping: cmp.Or(r.PortMapping, under.PortMapping),
	}
}

// check says what does not hold in r, in the words of the settings; "" if it
// does.
func (r Relaying) check() string {
	for _, s := range []struct {
		name, value string
		may         []string
	}{
		{"relay", r.Relay, []string{"", api.RelayAuto, api.RelayOnly, api.RelayOff}},
		{"relay_service", r.Service, []string{"", api.On, api.Off}},
		{"relay_for", r.For, []string{"", api.RelayForKnown, api.RelayForAnyone}},
		{"port_mapping", r.PortMapping, []string{"", api.On, api.Off}},
	} {
		if !slices.Contains(s.may, s.value) {
			return fmt.Sprintf("%s is %s, not %q", s.name, strings.Join(s.may[1:], " or "), s.value)
		}
	}
	if len(r.Relays) > maxRelays {
		return fmt.Sprintf("%d relays are named; %d are enough", len(r.Relays), maxRelays)
	}
	for _, a := range r.Relays {
		if _, addr, err := mesh.ParseAddr(a); err != nil || strings.Contains(addr, "/p2p-circuit") {
			return fmt.Sprintf("a relay is named by a multiaddr with /p2p, such as /ip4/192.0.2.1/udp/4101/quic-v1/p2p/12D3Koo…, not by %q", a)
		}
	}
	return ""
}

// whole says why r, in which nothing is left empty, cannot run.
func (r Relaying) whole() string {
	if r.Relay == api.RelayOnly && len(r.Relays) == 0 {
		return "with relay only, relays must name at least one: nobody else is dialled"
	}
	return ""
}

// relayingRow is what the person set. Evolution: fields are added at the end,
// with a new V.
type relayingRow struct {
	_ struct{} `cbor:",toarray"`
	V uint64
	R relayingFields
}

type relayingFields struct {
	_                                struct{} `cbor:",toarray"`
	Relay, Service, For, PortMapping string
	Relays                           []string
}

// relaying is how this node is to be reached: as the configuration says, else as
// the person set it.
func (n *Node) relaying() (Relaying, error) {
	set, err := n.relayingSet()
	return n.cfg.Relaying.over(set).over(defaultRelaying), err
}

// relayingSet is what the person set.
func (n *Node) relayingSet() (out Relaying, err error) {
	err = n.store.View(func(tx *store.Tx) error {
		b, ok, err := tx.Setting(relayingKey)
		if err != nil || !ok {
			return err
		}
		var row relayingRow
		if err := wire.Unmarshal(b, &row); err != nil {
			return err
		}
		out = Relaying{Relay: row.R.Relay, Relays: row.R.Relays, Service: row.R.Service, For: row.R.For, PortMapping: row.R.PortMapping}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("reading settings: %w", err)
	}
	return out, err
}

func putRelaying(tx *store.Tx, r Relaying) error {
	return tx.PutSetting(relayingKey, wire.Marshal(relayingRow{V: 1, R: relayingFields{
		Relay: r.Relay, Service: r.Service, For: r.For, PortMapping: r.PortMapping, Relays: r.Relays,
	}}))
}

// patchRelaying gives what a change makes of the settings; changed is false if
// it is about other things.
func (n *Node) patchRelaying(in api.SettingsPatch) (out Relaying, changed bool, err error) {
	if out, err = n.relayingSet(); err != nil {
		return out, false, err
	}
	fixed := func(name string) error {
		return api.NewProblem(api.NotAllowed).Explain("%s is set where mutualsd was started: by a flag, MUTUALS_%s or config.toml", name, strings.ToUpper(name))
	}
	for _, f := range []struct {
		name  string
		given *string
		fix   string
		into  *string
	}{
		{"relay", in.Relay, n.cfg.Relaying.Relay, &out.Relay},
		{"relay_service", in.RelayService, n.cfg.Relaying.Service, &out.Service},
		{"relay_for", in.RelayFor, n.cfg.Relaying.For, &out.For},
		{"port_mapping", in.PortMapping, n.cfg.Relaying.PortMapping, &out.PortMapping},
	} {
		if f.given == nil {
			continue
		}
		if f.fix != "" && f.fix != *f.given {
			return out, false, fixed(f.name)
		}
		*f.into, changed = *f.given, true
	}
	if in.Relays != nil {
		if fix := n.cfg.Relaying.Relays; len(fix) > 0 && !slices.Equal(fix, *in.Relays) {
			return out, false, fixed("relays")
		}
		out.Relays, changed = *in.Relays, true
	}
	if !changed {
		return out, false, nil
	}
	for _, why := range []string{out.check(), n.cfg.Relaying.over(out).over(defaultRelaying).whole()} {
		if why != "" {
			return out, false, api.NewProblem(api.BadRequest).Explain("%s", why)
		}
	}
	return out, true, nil
}

// relayingAPI puts how this node is reached into settings.
func (n *Node) relayingAPI(out *api.Settings) error {
	r, err := n.relaying()
	if err != nil {
		return err
	}
	out.Relay, out.Relays, out.RelayService, out.RelayFor, out.PortMapping = r.Relay, r.Relays, r.Service, r.For, r.PortMapping
	now := n.reached
	out.Restart = r.Relay != now.Relay || r.PortMapping != now.PortMapping || !slices.Equal(r.Relays, now.Relays)
	return nil
}

// meshConfig is how a device joins the network.
func (n *Node) meshConfig(key ed25519.PrivateKey, r Relaying) mesh.Config {
	cfg := mesh.Config{
		Key: key, Listen: n.listenAddrs(), MDNS: !n.cfg.NoMDNS, Log: n.log,
		Relay: relayings[r.Relay], Relays: r.Relays,
	}
	// Who listens on this machine only is of a lab on it: no router is asked
	// for anything.
	if !slices.ContainsFunc(cfg.Listen, func(a string) bool { return mesh.ReachOf(a) > mesh.ReachLoopback || unspecified(a) }) {
		return cfg
	}
	cfg.MapPorts, cfg.Probe = r.PortMapping == api.On, true
	return cfg
}

var relayings = map[string]mesh.Relaying{api.RelayAuto: mesh.RelayAuto, api.RelayOnly: mesh.RelayOnly, api.RelayOff: mesh.RelayOff}

// unspecified tells whether an address stands for all interfaces.
func unspecified(addr string) bool {
	ip, ok := addrIP(addr)
	return ok && ip.IsUnspecified()
}

// relayService is what the settings say of relaying for others.
func (n *Node) relayService(r Relaying) *mesh.RelayService {
	if r.Service != api.On {
		return nil
	}
	if r.For == api.RelayForAnyone {
		// Strangers' links are limited: what they cost is this person's to pay.
		return &mesh.RelayService{Limited: true}
	}
	return &mesh.RelayService{For: n.relaysFor}
}

// relaysFor tells whether a peer is of somebody this person deals with: an own
// device, a member of a shared group or its harbor, or of an account that is
// followed, or named by the configuration. A stranger who follows is none.
func (n *Node) relaysFor(peer wire.PeerKey) bool {
	if _, own := n.devices.sibling(peer); own || n.shares(peer) {
		return true
	}
	return slices.ContainsFunc(n.people.claimants(peer), func(a wire.AccountID) bool {
		return n.people.following(a) && !n.people.blocked(a) || n.serves(a)
	})
}

// relayedBy tells whether a peer may be a relay of this device, which learns who
// dials it: whom it would relay for, and whom the configuration has it dial.
func (n *Node) relayedBy(peer wire.PeerKey) bool {
	return n.relaysFor(peer) || slices.ContainsFunc(n.cfg.Bootstrap, func(a string) bool {
		p, _, err := mesh.ParseAddr(a)
		return err == nil && p == peer
	})
}

// serveAsRelay does what the settings say of relaying for others.
func (n *Node) serveAsRelay() error {
	r, err := n.relaying()
	if err == nil {
		err = n.mesh.ServeAsRelay(n.relayService(r))
	}
	return err
}

// addrsChanged tells watchers and linked members where this device is now.
func (n *Node) addrsChanged() {
	for _, r := range n.openRooms() {
		r.tell(func(*commit) error {
			for _, l := range r.links {
				l.pullSoon() // its hello has the new record
			}
			return nil
		})
	}
	n.rdv.relist()
	n.networkChanged()
}
