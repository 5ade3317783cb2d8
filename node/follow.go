package node

import (
	"context"
	"errors"
	"fmt"

	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
	"mutuals/store"
)

// Follow makes the edge from this account to another and hands it over as soon
// as the other can be reached. A contact card makes somebody reachable who is
// not known yet; it may be any pasted text that holds one.
func (n *Node) Follow(ctx context.Context, a wire.AccountID, card string) (api.Person, error) {
	if a == n.dev.account() {
		return api.Person{}, api.NewProblem(api.BadRequest).Explain("nobody follows themselves")
	}
	if card != "" {
		if err := n.takeCard(ctx, a, card); err != nil {
			return api.Person{}, err
		}
	}
	n.people.mu.Lock()
	if p := n.people.byID[a]; p != nil && p.following() {
		defer n.people.mu.Unlock()
		return p.api(), nil
	}
	n.people.mu.Unlock()
	if err := n.setEdge(ctx, a, 1); err != nil {
		return api.Person{}, err
	}
	n.reach(a)
	return n.Person(ctx, a)
}

// Unfollow withdraws the edge. Groups stay as they are: a seat was given under
// both halves and is not taken back by one.
func (n *Node) Unfollow(ctx context.Context, a wire.AccountID) (api.Person, error) {
	n.people.mu.Lock()
	p := n.people.byID[a]
	following := p != nil && (p.following() || p.said())
	n.people.mu.Unlock()
	if p == nil {
		return api.Person{}, api.NewProblem(api.NotFound).Explain("nothing is known of %v", a)
	}
	if following {
		if err := n.setEdge(ctx, a, 0); err != nil {
			return api.Person{}, err
		}
	}
	return n.Person(ctx, a)
}

// Block drops what an account sends outside groups, and unfollows it; with on
// false it is heard again.
func (n *Node) Block(ctx context.Context, a wire.AccountID, on bool) (api.Person, error) {
	n.people.mu.Lock()
	b := blockItem{Account: a, Blocked: on, Ms: identity.NextN(n.people.get(a).decidedMs, n.nowMs())}
	n.people.mu.Unlock()
	err := n.store.Update(ctx, func(tx *store.Tx) error { return putBlock(tx, b) })
	if err != nil {
		return api.Person{}, err
	}
	n.people.mu.Lock()
	p := n.people.get(a)
	p.blocked, p.decidedMs = on, b.Ms
	following := p.following()
	n.people.mu.Unlock()
	n.ownChanged()
	if on && following {
		if err := n.setEdge(ctx, a, 0); err != nil {
			return api.Person{}, err
		}
	}
	return n.Person(ctx, a)
}

// takeCard reads a contact card and keeps it, if it is a's.
func (n *Node) takeCard(ctx context.Context, a wire.AccountID, text string) error {
	found, err := invites.Extract(text, n.now())
	if err != nil || found.Card == "" {
		return api.NewProblem(api.BadRequest).Explain("the text holds no contact card")
	}
	card, err := identity.ParseCard(found.Card)
	if err != nil {
		return api.NewProblem(api.BadRequest).Explain("the contact card cannot be read: %v", err)
	}
	if card.Card.Account != a {
		return api.NewProblem(api.BadRequest).Explain("the card is %v's, not %v's", card.Card.Account, a)
	}
	if n.people.voided(card.Chain, card.Card.Ms) {
		return api.NewProblem(api.BadRequest).Explain("the card is of a device that its owner revoked: ask for a new one")
	}
	if err := n.store.Update(ctx, func(tx *store.Tx) error {
		return tx.PutPerson(store.Card, a, wire.Marshal(card))
	}); err != nil {
		return err
	}
	n.people.mu.Lock()
	p := n.people.get(a)
	p.card = &card
	p.meet(card.Chain)
	n.people.mu.Unlock()
	n.ownChanged()
	for _, w := range n.hintWays(card.Card.Hints) {
		n.mesh.LearnAddrs(w.peer, w.addrs)
	}
	return nil
}

// setEdge signs, stores and queues the edge to an account.
func (n *Node) setEdge(ctx context.Context, a wire.AccountID, state uint64) error {
	if err := n.mayWrite(); err != nil {
		return err
	}
	n.edges.Lock()
	defer n.edges.Unlock()
	n.people.mu.Lock()
	p := n.people.get(a)
	last := p.saidN
	if p.out != nil {
		last = max(last, p.out.Edge.N)
	}
	now := n.nowMs()
	e := identity.SignEdge(n.dev.keys, n.dev.chain, a, identity.NextN(last, now), state, now)
	becameMutual := identity.Mutual(&e, p.in)
	n.people.mu.Unlock()
	b := wire.Marshal(e)
	err := n.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutEdge(store.EdgeOut, a, b); err != nil {
			return err
		}
		if err := n.queue(tx, a, directEdge, "edge", b); err != nil {
			return err
		}
		if err := n.queueProfile(tx, a); err != nil {
			return err
		}
		if state == 0 {
			return nil
		}
		if err := n.endRequest(tx, followRequestID(a), endedGone); err != nil {
			return err
		}
		if becameMutual {
			return tx.Change(n.change(store.Add, api.EventMutual, wire.GroupID{}, n.personWith(a, &e, nil)))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("storing a follow edge: %w", err)
	}
	n.people.mu.Lock()
	n.people.get(a).out = &e
	n.people.mu.Unlock()
	n.ownChanged()
	if err := n.signFollowList(ctx); err != nil {
		return err
	}
	n.flush(a)
	return nil
}

// personWith is a person as it will be once an edge is committed.
func (n *Node) personWith(a wire.AccountID, out, in *identity.SignedEdge) api.Person {
	n.people.mu.Lock()
	defer n.people.mu.Unlock()
	p := *n.people.get(a)
	if out != nil {
		p.out = out
	}
	if in != nil {
		p.in = in
	}
	return p.api()
}

const followListKey = "follow-list"

// signFollowList signs the checkpoint over all own edges, for own devices and
// backups.
func (n *Node) signFollowList(ctx context.Context) error {
	n.people.mu.Lock()
	var ids [][32]byte
	for _, p := range n.people.byID {
		if p.out != nil {
			ids = append(ids, p.out.Edge.ID())
		}
	}
	n.people.mu.Unlock()
	var last uint64
	if err := n.store.View(func(tx *store.Tx) error {
		b, ok, err := tx.Setting(followListKey)
		if err != nil || !ok {
			return err
		}
		old, err := identity.DecodeFollowList(b)
		last = old.List.N
		return err
	}); err != nil {
		return fmt.Errorf("reading the follow list: %w", err)
	}
	list := identity.SignFollowList(n.dev.keys, n.dev.chain, identity.NextN(last, n.nowMs()), identity.EdgeRoot(ids))
	return n.store.Update(ctx, func(tx *store.Tx) error { return tx.PutSetting(followListKey, wire.Marshal(list)) })
}

// errEdgeRefused means that an edge proves nothing to this account.
var errEdgeRefused = errors.New("not an edge for this account")

// errEdgeEarly means that an edge is of a clock that runs ahead: not now.
var errEdgeEarly = errors.New("an edge of later than now")

// takeEdge keeps an edge that somebody made to this account.
func (n *Node) takeEdge(ctx context.Context, e identity.SignedEdge) error {
	n.edges.Lock()
	defer n.edges.Unlock()
	if e.Edge.To != n.dev.account() || e.Edge.From == n.dev.account() || e.Verify() != nil || n.people.voided(e.Chain, e.Edge.N) {
		return errEdgeRefused
	}
	if e.Edge.N > n.nowMs()+uint64(clockAhead.Milliseconds()) {
		return errEdgeEarly
	}
	from := e.Edge.From
	n.people.mu.Lock()
	p := n.people.byID[from]
	switch {
	case p != nil && p.blocked:
		n.people.mu.Unlock()
		return nil
	case p == nil && n.people.strangers() >= maxStrangers:
		n.people.mu.Unlock()
		return errEdgeRefused
	case p != nil && p.in != nil && !identity.NewerEdge(e, *p.in):
		n.people.mu.Unlock()
		return nil // known, or older
	}
	p = n.people.get(from)
	p.meet(e.Chain)
	out := p.out
	was := p.followsUs()
	n.people.mu.Unlock()
	follows := e.Edge.State == 1
	mutual := identity.Mutual(out, &e)
	err := n.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutEdge(store.EdgeIn, from, wire.Marshal(e)); err != nil {
			return err
		}
		if !follows || was {
			return nil
		}
		if mutual {
			return tx.Change(n.change(store.Add, api.EventMutual, wire.GroupID{}, n.personWith(from, nil, &e)))
		}
		id := e.Edge.ID()
		req := requestRow{V: 1, Kind: api.RequestFollow, From: from, AtMs: n.nowMs(), Body: id[:]}
		if err := tx.PutRequest(followRequestID(from), wire.Marshal(req)); err != nil {
			return err
		}
		return tx.Change(n.change(store.Add, api.EventFollowReceived, wire.GroupID{}, n.personWith(from, nil, &e)))
	})
	if err != nil {
		return fmt.Errorf("storing a follow edge: %w", err)
	}
	n.people.mu.Lock()
	n.people.get(from).in = &e
	n.people.mu.Unlock()
	n.ownChanged()
	n.reach(from)
	return nil
}

// followBack makes the own edge that an admission promised (PROTOCOLS.md N1). One
// withdrawn since this account consented stays withdrawn; one withdrawn before
// is made anew, since who asks for a seat, or invites, says again that it
// follows. Nobody blocked is followed.
func (n *Node) followBack(p promise) {
	if p.to == n.dev.account() || p.to.IsZero() {
		return
	}
	n.people.mu.Lock()
	who := n.people.byID[p.to]
	done := who != nil && (who.blocked || who.following() || who.out != nil && who.out.Edge.N >= p.ms)
	n.people.mu.Unlock()
	if done {
		return
	}
	if n.restored.before(p.ms) {
		// Another device consented, and may have thought better of it since.
		if err := n.noteSaid(n.ctx, saidRow{Account: p.to, N: p.ms, State: 1}); err != nil && n.ctx.Err() == nil {
			n.log.Warn("noting a promised edge failed", "account", p.to.Short(), "err", err)
		}
		return
	}
	if err := n.setEdge(n.ctx, p.to, 1); err != nil && n.ctx.Err() == nil {
		n.log.Warn("following back failed", "account", p.to.Short(), "err", err)
	}
}
