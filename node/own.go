package node

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mutuals/groups"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh"
	"mutuals/store"
)

// ownItems gathers what all devices of this account are to know, in a fixed
// order: who follows whom before what people say of themselves.
func (n *Node) ownItems() ([]ownItem, error) {
	row, err := n.settings()
	if err != nil {
		return nil, err
	}
	at, err := n.settingsMs()
	if err != nil {
		return nil, err
	}
	var out []ownItem
	for _, d := range n.devices.all() {
		out = append(out, item(ownSibling, d))
	}
	out = append(out, n.people.ownItems(n.dev.account())...)
	if at > 0 {
		out = append(out, item(ownSettings, settingsItem{Ms: at, AutoAccept: row.AutoAccept}))
	}
	var receipts receiptsItem
	if err := n.store.View(func(tx *store.Tx) (err error) {
		receipts, err = readReceiptsItem(tx)
		return err
	}); err != nil {
		return nil, err
	}
	if receipts.Ms > 0 {
		out = append(out, item(ownReceipts, receipts))
	}
	for _, r := range n.openRooms() {
		v := r.view.Load()
		if s := v.stands(); s.in {
			out = append(out, item(ownGroup, groupItem{Seated: s.seated, Genesis: r.genesis}))
		}
		if !v.me.IsZero() && len(v.meta.ReadID) > 0 {
			out = append(out, item(ownRead, readItem{Group: r.group, Ms: v.meta.ReadMs, ID: v.meta.ReadID}))
		}
	}
	asked, err := n.requestItems()
	return append(out, asked...), err
}

// ownItems is what is known of people who have a tie to the account self, and
// of itself, by account.
func (ps *people) ownItems(self wire.AccountID) []ownItem {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var list []*person
	for a, p := range ps.byID {
		if a == self || p.out != nil || p.in != nil || p.decidedMs > 0 {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b *person) int { return slices.Compare(a.account[:], b.account[:]) })
	var edges, rest []ownItem
	for _, p := range list {
		for _, s := range p.revoked.List {
			rest = append(rest, item(ownRevoked, s))
		}
		for _, e := range []*identity.SignedEdge{p.out, p.in} {
			if e != nil {
				edges = append(edges, item(ownEdge, *e))
			}
		}
		if p.profile != nil {
			rest = append(rest, item(ownProfile, *p.profile))
		}
		if p.card != nil {
			rest = append(rest, item(ownCard, *p.card))
		}
		if p.decidedMs > 0 {
			rest = append(rest, item(ownBlock, blockItem{Account: p.account, Blocked: p.blocked, Ms: p.decidedMs}))
		}
	}
	return append(edges, rest...)
}

// ownDigest is over a set of items, whatever their order.
func ownDigest(items []ownItem) [32]byte {
	ids := make([][32]byte, len(items))
	for i, it := range items {
		ids[i] = it.hash()
	}
	slices.SortFunc(ids, func(a, b [32]byte) int { return slices.Compare(a[:], b[:]) })
	return wire.Hash(wire.Marshal(ids))
}

// merge is what a message of items changes: rows in one transaction, and what
// follows once they are on disk.
type merge struct {
	n     *Node
	from  wire.PeerKey
	seen  map[string]bool
	rows  []func(*store.Tx) error
	after []func()
	asked []requestItem    // judged last, by what came with them
	reach []wire.AccountID // whom there is something to hand over to
	list  bool             // own edges came: the list of them is signed anew
}

// takeOwn takes in what another device of this account knows. Each item is
// judged as if it came by itself; one that does not hold is passed over, and
// the error says that there was one.
func (n *Node) takeOwn(ctx context.Context, from wire.PeerKey, items []ownItem) error {
	if len(items) > maxOwnItems {
		return fmt.Errorf("%w: %d items", errDirectRefused, len(items))
	}
	n.edges.Lock()
	m := &merge{n: n, from: from, seen: map[string]bool{}}
	var bad []error
	for _, it := range items {
		if err := m.take(ctx, it); err != nil {
			bad = append(bad, fmt.Errorf("%w: item of kind %d: %v", errDirectRefused, it.Kind, err))
		}
	}
	err := m.commit(ctx)
	n.edges.Unlock()
	if err != nil {
		return fmt.Errorf("storing what another device knows: %w", err)
	}
	if n.mesh != nil && len(m.reach) > 0 {
		n.tuneKeeps() // a card that says where they are may have come with the edge
		for _, a := range m.reach {
			n.flush(a)
		}
	}
	for _, it := range m.asked {
		if err := n.takeRequest(ctx, it); err != nil {
			bad = append(bad, fmt.Errorf("%w: a request of kind %d: %v", errDirectRefused, it.Kind, err))
		}
	}
	if m.list {
		if err := n.signFollowList(ctx); err != nil {
			return err
		}
	}
	n.ownChanged()
	return errors.Join(bad...)
}

func (m *merge) commit(ctx context.Context) error {
	if len(m.rows) > 0 {
		err := m.n.store.Update(ctx, func(tx *store.Tx) error {
			for _, row := range m.rows {
				if err := row(tx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, fn := range m.after {
		fn()
	}
	return nil
}

func (m *merge) row(fn func(*store.Tx) error) { m.rows = append(m.rows, fn) }
func (m *merge) then(fn func())               { m.after = append(m.after, fn) }

// first tells whether nothing of that name came before in this message.
func (m *merge) first(kind uint64, name []byte) bool {
	key := fmt.Sprintf("%d %x", kind, name)
	was := m.seen[key]
	m.seen[key] = true
	return !was
}

// as decodes the body of an item.
func as[T any](it ownItem) (v T, err error) {
	err = wire.Unmarshal(it.Body, &v)
	return v, err
}

func (m *merge) take(ctx context.Context, it ownItem) error {
	switch it.Kind {
	case ownEdge:
		return taken(it, m.edge)
	case ownProfile:
		return taken(it, m.profile)
	case ownCard:
		return taken(it, m.card)
	case ownBlock:
		return taken(it, m.block)
	case ownSettings:
		return taken(it, m.settings)
	case ownReceipts:
		return taken(it, m.receipts)
	case ownSibling:
		return taken(it, func(d ownDevice) error {
			_, err := m.n.learnDevice(ctx, d)
			return err
		})
	case ownGroup:
		return taken(it, func(g groupItem) error { return m.n.takeOwnGroup(ctx, m.from, g) })
	case ownRevoked:
		return taken(it, m.revocation)
	case ownRequest:
		return taken(it, func(r requestItem) error {
			m.asked = append(m.asked, r)
			return nil
		})
	case ownRead:
		return taken(it, func(r readItem) error { return m.n.takeRead(ctx, r) })
	}
	return nil // of a newer version
}

func taken[T any](it ownItem, take func(T) error) error {
	v, err := as[T](it)
	if err != nil {
		return err
	}
	return take(v)
}

// edge takes an edge this account made elsewhere, or that was handed to
// another device of it (I11).
func (m *merge) edge(e identity.SignedEdge) error {
	self := m.n.dev.account()
	out := e.Edge.From == self
	if !out && e.Edge.To != self || e.Edge.From == e.Edge.To {
		return errEdgeRefused
	}
	if err := e.Verify(); err != nil {
		return err
	}
	if m.n.people.voided(e.Chain, e.Edge.N) {
		return errEdgeRefused
	}
	if e.Edge.N > m.n.nowMs()+uint64(clockAhead.Milliseconds()) {
		return errEdgeEarly
	}
	other, side := e.Edge.From, store.EdgeIn
	if out {
		other, side = e.Edge.To, store.EdgeOut
	}
	ps := m.n.people
	ps.mu.Lock()
	p := ps.byID[other]
	if p == nil && !out && ps.strangers() >= maxStrangers {
		ps.mu.Unlock()
		return nil
	}
	p = ps.get(other)
	known, back := p.in, p.out
	if out {
		known, back = p.out, p.in
	}
	ps.mu.Unlock()
	if known != nil && !identity.NewerEdge(e, *known) || !m.first(ownEdge, append(other[:], byte(side))) {
		return nil
	}
	m.list = m.list || out
	follows := e.Edge.State == 1 && (known == nil || known.Edge.State == 0)
	m.row(func(tx *store.Tx) error {
		if err := tx.PutEdge(side, other, wire.Marshal(e)); err != nil {
			return err
		}
		if out {
			// The device that made it may never meet the other: each hands it over.
			if err := m.n.queue(tx, other, directEdge, "edge", wire.Marshal(e)); err != nil {
				return err
			}
			if err := m.n.queueProfile(tx, other); err != nil {
				return err
			}
		}
		switch {
		case !follows:
			return nil
		case identity.Mutual(&e, back):
			if err := m.n.endRequest(tx, followRequestID(other), endedGone); err != nil {
				return err
			}
			return tx.Change(m.n.change(store.Add, api.EventMutual, wire.GroupID{}, m.n.personWithEdge(other, out, e)))
		case out:
			return m.n.endRequest(tx, followRequestID(other), endedGone)
		}
		return tx.Change(m.n.change(store.Add, api.EventFollowReceived, wire.GroupID{}, m.n.personWithEdge(other, out, e)))
	})
	m.then(func() {
		ps.mu.Lock()
		p := ps.get(other)
		if out {
			p.out = &e
		} else {
			p.in = &e
			p.meet(e.Chain)
		}
		ps.mu.Unlock()
		if out {
			m.reach = append(m.reach, other)
		}
	})
	return nil
}

// personWithEdge is a person as it will be once an edge is committed.
func (n *Node) personWithEdge(a wire.AccountID, out bool, e identity.SignedEdge) api.Person {
	if out {
		return n.personWith(a, &e, nil)
	}
	return n.personWith(a, nil, &e)
}

func (m *merge) profile(p identity.SignedProfile) error {
	if err := p.Verify(); err != nil {
		return err
	}
	if m.n.people.voided(p.Chain, p.Profile.N) {
		return errDirectRefused
	}
	m.row(func(tx *store.Tx) error { return m.n.people.putProfile(tx, p) })
	m.then(func() { m.n.learnProfile(p) })
	return nil
}

func (m *merge) card(c identity.SignedCard) error {
	if err := c.Verify(); err != nil {
		return err
	}
	if m.n.people.voided(c.Chain, c.Card.Ms) {
		return errDirectRefused
	}
	a, ps := c.Card.Account, m.n.people
	ps.mu.Lock()
	p := ps.byID[a]
	known := p != nil && p.card != nil && p.card.Card.Ms >= c.Card.Ms
	ps.mu.Unlock()
	if known || a == m.n.dev.account() || !m.first(ownCard, a[:]) {
		return nil
	}
	m.row(func(tx *store.Tx) error { return tx.PutPerson(store.Card, a, wire.Marshal(c)) })
	m.then(func() {
		ps.mu.Lock()
		defer ps.mu.Unlock()
		p := ps.get(a)
		p.card = &c
		p.meet(c.Chain)
		if p.out != nil {
			m.reach = append(m.reach, a)
		}
	})
	return nil
}

// revocation takes over that a device ended. What it voids of these same items
// is dropped after.
func (m *merge) revocation(s identity.SignedRevocation) error {
	m.then(func() {
		m.n.wg.Go(func() {
			if err := m.n.learnRevocation(m.n.ctx, s); err != nil && m.n.ctx.Err() == nil {
				m.n.log.Debug("a revocation was not kept", "err", err)
			}
		})
	})
	return nil
}

// block takes over whom the person blocked, or heard again, elsewhere.
func (m *merge) block(b blockItem) error {
	if b.Account == m.n.dev.account() || b.Ms >= wire.MaxMs {
		return errDirectRefused
	}
	ps := m.n.people
	ps.mu.Lock()
	p := ps.get(b.Account)
	known := p.decidedMs > b.Ms || p.decidedMs == b.Ms && (p.blocked || !b.Blocked)
	ps.mu.Unlock()
	if known || !m.first(ownBlock, b.Account[:]) {
		return nil
	}
	m.row(func(tx *store.Tx) error { return putBlock(tx, b) })
	m.then(func() {
		ps.mu.Lock()
		defer ps.mu.Unlock()
		p := ps.get(b.Account)
		p.blocked, p.decidedMs = b.Blocked, b.Ms
	})
	return nil
}

// putBlock writes whether somebody is blocked, and when that was decided.
func putBlock(tx *store.Tx, b blockItem) error {
	set, gone := store.Block, store.Unblock
	if !b.Blocked {
		set, gone = gone, set
	}
	if err := tx.DeletePerson(gone, b.Account); err != nil {
		return err
	}
	return tx.PutPerson(set, b.Account, wire.Marshal(b.Ms))
}

func (m *merge) settings(s settingsItem) error {
	switch s.AutoAccept {
	case "", api.AutoAcceptOff, api.AutoAcceptDirect, api.AutoAcceptMutuals:
	default:
		return errDirectRefused
	}
	if s.Ms >= wire.MaxMs {
		return errDirectRefused
	}
	if !m.first(ownSettings, nil) {
		return nil
	}
	m.row(func(tx *store.Tx) error {
		row, at, err := readSettings(tx)
		if err != nil || at > s.Ms || at == s.Ms && row.AutoAccept >= s.AutoAccept {
			return err
		}
		row.V, row.AutoAccept = 1, s.AutoAccept
		return putSettings(tx, row, s.Ms)
	})
	return nil
}

// receipts takes over whether the person takes read receipts.
func (m *merge) receipts(s receiptsItem) error {
	if s.Ms == 0 || s.Ms >= wire.MaxMs {
		return errDirectRefused
	}
	if !m.first(ownReceipts, nil) {
		return nil
	}
	m.row(func(tx *store.Tx) error {
		old, err := readReceiptsItem(tx)
		if err != nil || old.Ms > s.Ms || old.Ms == s.Ms && !old.Takes {
			return err
		}
		m.then(func() { m.n.takeReceipts(s.Takes) })
		return tx.PutSetting(receiptsKey, wire.Marshal(s))
	})
	return nil
}

// takeRead moves the read marker of a group on.
func (n *Node) takeRead(ctx context.Context, mark readItem) error {
	r := n.room(mark.Group)
	if mark.Ms >= wire.MaxMs {
		return errDirectRefused
	}
	if n.mesh == nil {
		return n.readStored(ctx, mark)
	}
	if r == nil {
		return nil
	}
	return r.step(ctx, func(c *commit) error { return r.readTo(c, mark.Ms, mark.ID, receiptSibling) })
}

// takeOwnGroup notes that this account is in a group, which this device is then
// to be added to by the one that says so, or another.
func (n *Node) takeOwnGroup(ctx context.Context, from wire.PeerKey, g groupItem) error {
	op, refusal := groups.Decode(g.Genesis)
	if refusal == nil {
		_, refusal = groups.Found(op)
	}
	if refusal != nil {
		return refusal
	}
	return n.wish(ctx, from, op, g.Seated)
}

// learnRecord keeps where a sibling may be dialled, from a message that it
// signed nothing else of.
func (n *Node) learnRecord(ctx context.Context, peer wire.PeerKey, record []byte) error {
	signer, addrs, seq, err := mesh.ParseRecord(record)
	if err != nil || signer != peer {
		return fmt.Errorf("addresses of somebody else: %v", err)
	}
	n.recordsMu.Lock()
	n.recordBy[peer] = n.numbered(knownRecord{seq: seq, bytes: record, addrs: addrs})
	n.recordsMu.Unlock()
	return n.store.Update(ctx, func(tx *store.Tx) error { return tx.PutRecord(peer, record) })
}
