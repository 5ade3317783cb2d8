package node

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// maxRevocations bounds the revocations kept of one account: it has five live
// devices, and replaces one now and then. The first ones are kept, since there
// is none of a revocation.
const maxRevocations = 64

// revokedRow is what is stored of an account's revocations.
// Evolution: fields are added at the end, with a new V.
type revokedRow struct {
	_    struct{} `cbor:",toarray"`
	V    uint64
	List []identity.SignedRevocation
	// Peers are the network keys of devices that ended, as far as they were
	// known: what named them may be replaced.
	Peers []wire.PeerKey
}

// reached tells whether a device of somebody ended.
func (p *person) reached(c identity.Chain) bool {
	return slices.ContainsFunc(p.revoked.List, func(s identity.SignedRevocation) bool { return s.Revocation.Reaches(c) })
}

// voided tells whether what a device dated n does not count any more
// (identity/SPEC.md I15).
func (p *person) voided(c identity.Chain, n uint64) bool {
	return slices.ContainsFunc(p.revoked.List, func(s identity.SignedRevocation) bool { return s.Voids(c, n) })
}

// revoked tells whether a device ended, by its certificates.
func (ps *people) revoked(c identity.Chain) bool {
	if len(c) == 0 {
		return false
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.byID[c.Leaf().Account]
	return p != nil && p.reached(c)
}

// endOf is the earliest revocation that reaches a device.
func (ps *people) endOf(c identity.Chain) (identity.Revocation, bool) {
	for _, s := range ps.revocations(c.Leaf().Account) {
		if s.Revocation.Reaches(c) {
			return s.Revocation, true
		}
	}
	return identity.Revocation{}, false
}

// voided is [person.voided] of whom the chain is.
func (ps *people) voided(c identity.Chain, n uint64) bool {
	if len(c) == 0 {
		return false
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.byID[c.Leaf().Account]
	return p != nil && p.voided(c, n)
}

// revocations lists those of an account, oldest first.
func (ps *people) revocations(a wire.AccountID) []identity.SignedRevocation {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.byID[a]; p != nil {
		return slices.Clone(p.revoked.List)
	}
	return nil
}

// endedPeer finds whose device a peer was that ended.
func (ps *people) endedPeer(peer wire.PeerKey) (wire.AccountID, bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for a, p := range ps.byID {
		if slices.Contains(p.revoked.Peers, peer) {
			return a, true
		}
	}
	return wire.AccountID{}, false
}

// ended tells whether this device was revoked by its account.
func (n *Node) ended() bool { return n.people.revoked(n.dev.chain) }

// mayWrite is the problem of a device that was revoked; nil of any other.
func (n *Node) mayWrite() error {
	if n.ended() {
		return api.NewProblem(api.Revoked)
	}
	return nil
}

// takeRevocation keeps a revocation that was handed over, of somebody who is
// known here.
func (n *Node) takeRevocation(ctx context.Context, frame []byte) error {
	s, err := identity.DecodeRevocation(frame)
	if err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	if !n.acquaintances()[s.Revocation.Account] {
		return fmt.Errorf("%w: a device of nobody known here", errDirectRefused)
	}
	if err := n.learnRevocation(ctx, s); err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	return nil
}

// learnRevocation keeps a revocation and draws its consequences: what the
// device dated later counts no more, nobody speaks to it, and one of this
// account is written into each of its groups and told to all contacts.
func (n *Node) learnRevocation(ctx context.Context, s identity.SignedRevocation) error {
	if err := s.Verify(); err != nil {
		return err
	}
	n.edges.Lock()
	defer n.edges.Unlock()
	a := s.Revocation.Account
	n.people.mu.Lock()
	p := n.people.get(a)
	known := slices.ContainsFunc(p.revoked.List, func(o identity.SignedRevocation) bool {
		return o.Revocation.OpKey == s.Revocation.OpKey && o.Revocation.Ms <= s.Revocation.Ms && keepsMore(s, o)
	})
	late := len(s.Chain) > 0 && p.voided(s.Chain, s.Revocation.Ms)
	if known || late || len(p.revoked.List) >= maxRevocations {
		n.people.mu.Unlock()
		return nil // known, by a device that had ended itself, or too many
	}
	row := revokedRow{V: 1, List: append(slices.Clone(p.revoked.List), s), Peers: slices.Clone(p.revoked.Peers)}
	slices.SortStableFunc(row.List, func(a, b identity.SignedRevocation) int { return cmp.Compare(a.Revocation.Ms, b.Revocation.Ms) })
	in, profile, card := p.in, p.profile, p.card
	contacts := map[wire.AccountID]bool{}
	var outs []*person // whom a device of this account followed after its end
	for id, o := range n.people.byID {
		if a == n.dev.account() && o.out != nil && s.Voids(o.out.Chain, o.out.Edge.N) {
			outs = append(outs, o)
		}
		if (o.following() || o.followsUs()) && !o.blocked {
			contacts[id] = true
		}
	}
	n.people.mu.Unlock()
	for _, c := range n.chainsOf(a) {
		if leaf := c.Leaf(); s.Revocation.Reaches(c) && !slices.Contains(row.Peers, leaf.PeerKey) {
			row.Peers = append(row.Peers, leaf.PeerKey)
		}
	}
	voidEdge := in != nil && s.Voids(in.Chain, in.Edge.N)
	voidProfile := profile != nil && s.Voids(profile.Chain, profile.Profile.N)
	voidCard := card != nil && s.Voids(card.Chain, card.Card.Ms)
	err := n.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutPerson(store.Revoked, a, wire.Marshal(row)); err != nil {
			return err
		}
		if voidEdge {
			if err := tx.DeleteEdge(store.EdgeIn, a); err != nil {
				return err
			}
		}
		if voidProfile {
			if err := tx.DeletePerson(store.Profile, a); err != nil {
				return err
			}
		}
		if voidCard {
			if err := tx.DeletePerson(store.Card, a); err != nil {
				return err
			}
		}
		for _, o := range outs {
			if err := tx.DeleteEdge(store.EdgeOut, o.account); err != nil {
				return err
			}
		}
		if a != n.dev.account() {
			return nil
		}
		for id := range contacts {
			if err := n.queue(tx, id, directRevocation, "revoked/"+hex.EncodeToString(s.Revocation.OpKey[:12]), wire.Marshal(s)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("storing a revocation: %w", err)
	}
	n.people.mu.Lock()
	p.revoked = row
	p.peers = slices.DeleteFunc(p.peers, func(k wire.PeerKey) bool { return slices.Contains(row.Peers, k) })
	if voidEdge && p.in == in {
		p.in = nil
	}
	for _, o := range outs {
		if s.Voids(o.out.Chain, o.out.Edge.N) {
			o.out = nil
		}
	}
	if voidProfile && p.profile == profile {
		p.profile = nil
	}
	if voidCard && p.card == card {
		p.card = nil
	}
	n.people.mu.Unlock()
	n.log.Info("a device was revoked", "account", a.Short(), "device", s.Revocation.OpKey.Short(), "reason", s.Revocation.Reason)
	n.spreadRevocation(s, contacts)
	return nil
}

// keepsMore tells whether a revocation of the same device ends nothing that o
// does not end.
func keepsMore(s, o identity.SignedRevocation) bool {
	return !slices.ContainsFunc(o.Revocation.Keep, func(d wire.DeviceID) bool { return !slices.Contains(s.Revocation.Keep, d) })
}

// spreadRevocation has everybody hear of a revocation that was just stored.
func (n *Node) spreadRevocation(s identity.SignedRevocation, contacts map[wire.AccountID]bool) {
	if !n.begun.Load() {
		return
	}
	if s.Revocation.Account == n.dev.account() {
		for _, r := range n.openRooms() {
			r.owesRevocation(s)
		}
		for id := range contacts {
			n.flush(id)
		}
		n.tuneKeeps()
	}
	for _, p := range n.mesh.Peers() {
		n.linkSibling(p.Peer)
		n.metRevoked(p.Peer)
	}
	n.ownChanged()
}

// chainsOf lists the certificate chains of an account's devices that are known
// here.
func (n *Node) chainsOf(a wire.AccountID) (out []identity.Chain) {
	n.people.mu.Lock()
	if p := n.people.byID[a]; p != nil {
		if p.in != nil {
			out = append(out, p.in.Chain)
		}
		if p.profile != nil {
			out = append(out, p.profile.Chain)
		}
		if p.card != nil {
			out = append(out, p.card.Chain)
		}
	}
	n.people.mu.Unlock()
	for _, r := range n.openRooms() {
		m, _ := r.view.Load().state.Member(a)
		for _, inc := range m.Incs {
			out = append(out, inc.Chain)
		}
	}
	if a == n.dev.account() {
		for _, d := range n.devices.all() {
			out = append(out, d.Chain)
		}
	}
	return slices.DeleteFunc(out, func(c identity.Chain) bool { return len(c) == 0 })
}

// metRevoked tells a linked device that ended that it did, and lets go of it.
func (n *Node) metRevoked(peer wire.PeerKey) {
	a, over := n.people.endedPeer(peer)
	if !over {
		return
	}
	if !n.rates.farewell(peer) {
		n.mesh.ClosePeer(peer)
		return
	}
	list := n.people.revocations(a)
	n.wg.Go(func() {
		ctx, cancel := context.WithTimeout(n.ctx, farewellTime)
		defer cancel()
		if err := n.tellRevocations(ctx, peer, list); err != nil {
			n.log.Debug("telling a revocation failed", "peer", peer.Short(), "err", err)
		}
		<-ctx.Done() // it may ask its groups meanwhile what became of it
		n.mesh.ClosePeer(peer)
	})
}

func (n *Node) tellRevocations(ctx context.Context, peer wire.PeerKey, list []identity.SignedRevocation) error {
	s, err := n.mesh.Open(ctx, peer, protocolDirect)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, rev := range list[:min(len(list), maxDirectFrames/2)] {
		if _, err := handOver(s, directRevocation, wire.Marshal(rev)); err != nil {
			return err
		}
	}
	return nil
}
