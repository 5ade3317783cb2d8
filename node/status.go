package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
	"mutuals/node/mesh"
)

// Status is the node at a glance; it answers before an identity exists.
func (n *Node) Status(context.Context) api.Status {
	out := api.Status{Ready: true, Version: n.cfg.Version, Identity: api.IdentityNone, SafeToClose: true, Clock: api.Clock{State: api.ClockUnknown}, Disk: api.Disk{State: api.DiskUnknown}}
	if !n.begun.Load() {
		return out
	}
	out.Identity = api.IdentityReady
	out.Account, out.Device, out.Revoked = n.dev.account(), n.dev.id(), n.ended()
	out.Addrs, out.Peers = n.mesh.Addrs(), len(n.mesh.Peers())
	out.Reachability, out.Relays = n.reachability(), n.places()
	for _, r := range n.openRooms() {
		out.OnlyHere += r.onlyHere(r.view.Load())
	}
	out.SafeToClose = out.OnlyHere == 0
	out.Clock = n.clocks.compare(n.nowMs())
	out.Disk = diskOf(n.store.Disk())
	return out
}

// Peers lists the connections of the node.
func (n *Node) Peers(context.Context) ([]api.Peer, error) {
	var out []api.Peer
	for _, p := range n.mesh.Peers() {
		one := api.Peer{Peer: p.Peer.String(), Addr: p.Addr, Direction: "out", Score: p.Score, Faults: p.Faults}
		if p.Inbound {
			one.Direction = "in"
		}
		if as := n.accountsOf(p.Peer); len(as) > 0 {
			one.Account, one.Name = as[0], n.nameOf(as[0])
		}
		out = append(out, one)
	}
	return out, nil
}

// jsonOf encodes what is told of in an event.
func jsonOf(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("internal error: encoding an event: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Doctor looks at what commonly goes wrong.
func (n *Node) Doctor(ctx context.Context) ([]api.Finding, error) {
	var out []api.Finding
	add := func(check, level, title, hint string) {
		out = append(out, api.Finding{Check: check, Level: level, Title: title, Hint: hint})
	}
	add("keys", "warning", "the keys of this device are protected by the file permission only",
		"keep this home on an encrypted disk")
	if words, err := n.ConfirmWords(ctx, false); err == nil && !words.Confirmed {
		add("words", "warning", "the 24 words were not written down yet", "run \"mutuals id words\" and keep them on paper")
	} else {
		add("words", "ok", "the 24 words were written down", "")
	}
	out = append(out, diskFinding(n.store.Disk()))
	if err := n.networkFindings(ctx, add); err != nil {
		return nil, err
	}
	if f, ok := n.publicFinding(); ok {
		out = append(out, f)
	}
	if n.ended() {
		add("device", "error", "this device was revoked by its account: it reads what it has and writes nothing",
			"delete this home, and link the machine anew, or take the account up from its words in a new one")
	}
	if n.cloned() {
		out = append(out, cloneFinding())
	}
	if said := len(n.people.list((*person).said)); said > 0 && n.restored.unconfirmed() {
		add("restore", "warning", fmt.Sprintf("this device was made from the words; others say that you follow %d people, which was not confirmed", said),
			"run \"mutuals follows\", then \"mutuals follows --confirm\"")
	}
	out = append(out, clockFinding(n.clocks.compare(n.nowMs())))
	if out := n.mesh.ShutOut(); len(out) > 0 {
		add("peers", "warning", shutOutTitle(len(out), n.shutOutNames(out)), "if it is somebody you know, their copy may be too old or broken: ask them to update it")
	}
	if lost := n.stats.dropped.Load(); lost > 0 {
		add("gossip", "warning", fmt.Sprintf("%d arrivals overflowed and were fetched by sync instead", lost), "")
	}
	return out, nil
}

// shutOutNames are the names of those that are shut out and known.
func (n *Node) shutOutNames(out []mesh.ShutOut) (names []string) {
	for _, o := range out {
		for _, a := range n.accountsOf(o.Peer) {
			if name := n.nameOf(a); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func shutOutTitle(peers int, names []string) string {
	title := fmt.Sprintf("%d peers sent what no honest peer sends, and are shut out for a while", peers)
	if len(names) > 0 {
		title += ": " + strings.Join(names, ", ")
	}
	return title
}

// inspectPasscode says what a passcode says of itself; unverified.
func (n *Node) inspectPasscode(out *api.Inspect, code invites.Passcode) {
	out.Kind, out.ExpiresAt = api.InspectPasscode, code.ExpiresAt()
	for _, b := range code.Hints {
		if h, err := invites.UnpackHint(b); err == nil {
			out.Hints = append(out.Hints, hintAddr(h))
		}
	}
	for _, r := range n.openRooms() {
		if code.OfGroup(r.group) && r.view.Load().seated() {
			out.Problem = api.NewProblem(api.AlreadyMember)
		}
	}
}

// inspectCard says whose card a text holds.
func (n *Node) inspectCard(text string) (api.Inspect, error) {
	card, err := identity.ParseCard(text)
	if err != nil {
		return api.Inspect{Problem: api.NewProblem(api.PasscodeMalformed).Explain("the contact card does not hold")}, nil
	}
	out := api.Inspect{Kind: api.InspectCard, Account: card.Card.Account, Inviter: &api.Inviter{Account: card.Card.Account, Name: card.Card.Name}}
	for _, b := range card.Card.Hints {
		if h, err := invites.UnpackHint(b); err == nil {
			out.Hints = append(out.Hints, hintAddr(h))
		}
	}
	return out, nil
}

// ownNets lists the subnets of this machine's interfaces.
func ownNets() ([]netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	var out []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Masked())
		}
	}
	return out, nil
}

// noteDelivered notes that the other side has the newest edge on its disk; nil
// if a newer one was made meanwhile.
func (n *Node) noteDelivered(a wire.AccountID, frame []byte) *personNote {
	var e identity.SignedEdge
	if err := wire.Unmarshal(frame, &e); err != nil {
		return nil
	}
	n.people.mu.Lock()
	defer n.people.mu.Unlock()
	p := n.people.get(a)
	p.note.V, p.note.Delivered = 1, max(p.note.Delivered, e.Edge.N)
	note := p.note
	return &note
}
