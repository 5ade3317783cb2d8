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
	out.Disk.BadBlocks = int(n.badBlocks.Load())
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
	add := func(code api.FindingCode, args ...any) { out = append(out, api.NewFinding(code, args...)) }
	add(api.FoundKeysUnsealed)
	if words, err := n.ConfirmWords(ctx, false); err == nil && !words.Confirmed {
		add(api.FoundWordsMissing)
	} else {
		add(api.FoundWordsKept)
	}
	out = append(out, diskFinding(n.store.Disk()))
	if f, ok := n.damageFinding(); ok {
		out = append(out, f)
	}
	out = append(out, n.unreadableFindings()...)
	network, err := n.networkFindings(ctx)
	if err != nil {
		return nil, err
	}
	out = append(out, network...)
	if f, ok := n.publicFinding(); ok {
		out = append(out, f)
	}
	if n.ended() {
		add(api.FoundDeviceEnded)
	}
	if n.cloned() {
		add(api.FoundHomeCopied)
	}
	if said := len(n.people.list((*person).said)); said > 0 && n.restored.unconfirmed() {
		add(api.FoundFollowsUnsure, said)
	}
	out = append(out, clockFinding(n.clocks.compare(n.nowMs())))
	if shut := n.mesh.ShutOut(); len(shut) > 0 {
		if names := n.shutOutNames(shut); len(names) > 0 {
			add(api.FoundPeersShutOut, len(shut), strings.Join(names, ", "))
		} else {
			add(api.FoundStrangersShutOut, len(shut))
		}
	}
	if lost := n.stats.dropped.Load(); lost > 0 {
		add(api.FoundGossipOverflowed, lost)
	}
	return out, nil
}

// shutOutNames are the names of those that are shut out and known.
func (n *Node) shutOutNames(out []mesh.ShutOut) (names []string) {
	for _, o := range out {
		for _, a := range n.accountsOf(o.Peer) {
			name := n.nameOf(a)
			if name == "" {
				name = a.Short() // it has not told one yet
			}
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
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
