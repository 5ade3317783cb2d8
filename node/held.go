package node

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// held is what others say is on their disks, and how far the own chains were
// handed out (PROTOCOLS.md N11). Readers of messages and streams look at it
// while the room goes on.
type held struct {
	mu sync.Mutex
	// by is how far each holder's incarnation has a chain: content chains, and
	// every chain this device writes.
	by    map[chainOf]map[wire.OpID]uint64
	count int                  // entries about others' chains
	sent  map[wire.OpID]uint64 // own content that was written to somebody
	news  map[wire.OpID]span   // own content whose state readers have not been told
	rows  map[wire.OpID]uint64 // holders whose row on disk is behind, and since which change
	turn  uint64               // counts changes
	told  time.Time            // when readers were told last
}

// span is a run of one chain.
type span struct{ from, to uint64 }

const (
	// maxHeldElsewhere bounds what is remembered of who has others' messages:
	// 65 members' devices in a group of a thousand chains, 3 MiB. Of own
	// messages all is remembered.
	maxHeldElsewhere = 1 << 16
	// maxOwnIncs bounds the own incarnations a row speaks of: the newest ones;
	// somebody who came back more often than that has old words counted anew.
	maxOwnIncs = 16
	// maxTold is how many own messages are told anew when a member says that it
	// has them: what a window shows. The rest is right when it is read.
	maxTold = 200
)

func newHeld() *held {
	return &held{
		by: map[chainOf]map[wire.OpID]uint64{}, sent: map[wire.OpID]uint64{},
		news: map[wire.OpID]span{}, rows: map[wire.OpID]uint64{},
	}
}

// heldRow is what is remembered over a restart of one holder: how far it has
// the own chains. That of this device itself says how far they were sent.
// Evolution: fields are added at the end, with a new V.
type heldRow struct {
	_      struct{} `cbor:",toarray"`
	V      uint64
	Chains []heldChain
}

type heldChain struct {
	_     struct{} `cbor:",toarray"`
	Inc   wire.OpID
	Chain uint64
	Seq   uint64
}

// holder is whose disk an incarnation speaks for.
type holder struct {
	account wire.AccountID
	harbor  bool
}

// holdersOf lists the incarnations whose word counts: those of the devices of
// seated members, and the harbors in office.
func holdersOf(s *groups.State, peers map[wire.PeerKey]wire.OpID) map[wire.OpID]holder {
	out := make(map[wire.OpID]holder, len(peers))
	for _, id := range peers {
		if inc, ok := s.Inc(id); ok {
			out[id] = holder{account: inc.Account}
		}
	}
	for _, h := range s.Harbors() {
		if h.Appointed {
			out[h.ID] = holder{harbor: true}
		}
	}
	return out
}

// speaksFor gives the incarnation a peer reports for.
func (v *view) speaksFor(p wire.PeerKey) (wire.OpID, bool) {
	if id, ok := v.peers[p]; ok {
		return id, true
	}
	h, ok := v.state.HarborByPeer(p)
	return h.ID, ok
}

// holders counts who reports a message on its disk, besides its author: members,
// each once however many devices it has, and harbors; and how many there are.
func (r *room) holders(v *view, inc wire.OpID, seq uint64, author wire.AccountID) (members, harbors, of int) {
	of = len(v.harbors) + v.state.SeatCount()
	if v.state.Seated(author) {
		of--
	}
	r.held.mu.Lock()
	defer r.held.mu.Unlock()
	var seen map[wire.AccountID]bool
	for id, upTo := range r.held.by[chainOf{inc, groups.Content}] {
		h, ok := v.holders[id]
		switch {
		case !ok || upTo < seq || h.account == author:
		case h.harbor:
			harbors++
		case !seen[h.account]:
			if seen == nil {
				seen = map[wire.AccountID]bool{}
			}
			seen[h.account] = true
			members++
		}
	}
	return members, harbors, of
}

// heldElsewhere is how far somebody besides this device has a chain of it.
func (r *room) heldElsewhere(v *view, at chainOf) (seq uint64) {
	r.held.mu.Lock()
	defer r.held.mu.Unlock()
	for id, upTo := range r.held.by[at] {
		if _, ok := v.holders[id]; ok && id != v.me {
			seq = max(seq, upTo)
		}
	}
	return seq
}

func (r *room) wasSent(inc wire.OpID, seq uint64) bool {
	r.held.mu.Lock()
	defer r.held.mu.Unlock()
	return r.held.sent[inc] >= seq
}

// noteSent notes that own content up to a seq was written to a member or a
// harbor; any goroutine may.
func (r *room) noteSent(inc wire.OpID, seq uint64) {
	h := r.held
	h.mu.Lock()
	defer h.mu.Unlock()
	if was := h.sent[inc]; seq > was {
		h.sent[inc] = seq
		h.changed(inc, inc, span{was + 1, seq})
	}
}

// changed notes that a holder's row, and the state of some own messages, are
// not what was written and told. The lock is held.
func (h *held) changed(holder, inc wire.OpID, s span) {
	h.turn++
	h.rows[holder] = h.turn
	if s.to == 0 {
		return
	}
	if old, ok := h.news[inc]; ok {
		s = span{min(s.from, old.from), max(s.to, old.to)}
	}
	h.news[inc] = s
}

// note takes in what a peer says is on its disk; on the room's goroutine.
func (r *room) note(c *commit, peer wire.PeerKey, entries groups.Vector) {
	if r.office != nil {
		return // nobody here asks
	}
	isHarbor := r.view.Load().harbor(peer)
	if isHarbor {
		r.noteHarbor(peer, entries)
	}
	id, ok := r.view.Load().speaksFor(peer)
	if !ok {
		return
	}
	for _, e := range entries {
		r.noteClaim(id, e)
		at := chainOf{e.Inc, groups.ChainKind(e.Chain)}
		inc, _ := r.g.State().Inc(e.Inc)
		own := inc.Account == r.n.dev.account()
		if at.chain != groups.Content && e.Inc != r.me {
			continue
		}
		if seq := r.proved(at, e, own); seq > 0 && (isHarbor || r.held.reaches(at, id, e.Floor)) {
			r.held.cover(at, id, seq, own)
		}
	}
	r.tellHeld(c)
}

// proved is how far an entry shows that its sender has a chain: as far as its
// head is one we hold too. Of an own chain every head is looked up; of others'
// what lies beyond is not known here, and what lies below is taken on its word,
// which speaks for nobody but itself.
func (r *room) proved(at chainOf, e groups.VectorEntry, own bool) uint64 {
	head, ok := r.heads[at]
	switch {
	case !ok || e.Seq == head.Seq && e.Head != head.Head:
		return 0
	case e.Seq == head.Seq:
		return e.Seq
	case !own:
		return min(e.Seq, head.Seq)
	case e.Seq > head.Seq:
		return 0
	}
	found := false
	err := r.n.store.View(func(tx *store.Tx) error {
		ops, err := tx.Op(r.group, e.Inc, uint8(e.Chain), e.Seq)
		for _, o := range ops {
			found = found || groups.HeadOf(o.ID) == e.Head
		}
		return err
	})
	if err != nil {
		r.log.Warn("looking an own operation up failed", "err", err)
	}
	if !found {
		return 0
	}
	return e.Seq
}

// reaches tells whether a holder whose chain begins at a floor has all below
// it: a member that is being given the newest first has not. (Harbors are: they
// had what they dropped, and say no more than that they keep the rest.)
func (h *held) reaches(at chainOf, id wire.OpID, floor uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return floor <= h.by[at][id]+1
}

// cover notes that a holder has a chain up to a seq.
func (h *held) cover(at chainOf, id wire.OpID, seq uint64, own bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was, known := h.by[at][id]
	if seq <= was || !own && !known && h.count >= maxHeldElsewhere {
		return
	}
	if h.by[at] == nil {
		h.by[at] = map[wire.OpID]uint64{}
	}
	h.by[at][id] = seq
	switch {
	case !own && !known:
		h.count++
	case own && at.chain == groups.Content:
		h.changed(id, at.inc, span{was + 1, seq})
	case own:
		h.changed(id, at.inc, span{})
	}
}

// heldDue tells whether readers are owed something, and a second has passed.
func (r *room) heldDue() bool {
	h := r.held
	h.mu.Lock()
	defer h.mu.Unlock()
	wait := r.n.now().Sub(h.told)
	return len(h.rows) > 0 && (wait >= roomTick || wait < 0)
}

// tellHeld tells readers which own messages have another state, and writes
// what is to outlive a restart: at once, and then at most once a second, however
// many members say that they have something.
func (r *room) tellHeld(c *commit) {
	if !r.heldDue() {
		return
	}
	h := r.held
	h.mu.Lock()
	h.told = r.n.now()
	news, rows := maps.Clone(h.news), maps.Clone(h.rows)
	h.mu.Unlock()
	for inc, s := range news {
		r.tellStates(c, inc, max(s.from, s.to-min(s.to, maxTold)+1), s.to)
	}
	for id := range rows {
		b := wire.Marshal(r.heldRow(id))
		c.row(func(tx *store.Tx) error { return tx.PutHeld(r.group, store.HeldRow{Holder: id, Data: b}) })
	}
	c.then(func() { h.forget(news, rows) })
}

// forget drops what was told and written, unless it changed meanwhile.
func (h *held) forget(news map[wire.OpID]span, rows map[wire.OpID]uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for inc, s := range news {
		if h.news[inc] == s {
			delete(h.news, inc)
		}
	}
	for id, turn := range rows {
		if h.rows[id] == turn {
			delete(h.rows, id)
		}
	}
}

// ownIncs lists the incarnations of the own account, the newest first.
func (r *room) ownIncs() []groups.IncInfo {
	m, _ := r.g.State().Member(r.n.dev.account())
	incs := slices.Clone(m.Incs)
	slices.SortStableFunc(incs, func(a, b groups.IncInfo) int { return cmp.Compare(b.AtMs, a.AtMs) })
	return incs[:min(len(incs), maxOwnIncs)]
}

func (r *room) heldRow(id wire.OpID) heldRow {
	row := heldRow{V: 1}
	incs := r.ownIncs()
	r.held.mu.Lock()
	defer r.held.mu.Unlock()
	for _, inc := range incs {
		if id == r.me {
			if seq := r.held.sent[inc.ID]; seq > 0 {
				row.Chains = append(row.Chains, heldChain{Inc: inc.ID, Chain: uint64(groups.Content), Seq: seq})
			}
			continue
		}
		for _, chain := range []groups.ChainKind{groups.Control, groups.Content, groups.KEM} {
			if seq := r.held.by[chainOf{inc.ID, chain}][id]; seq > 0 {
				row.Chains = append(row.Chains, heldChain{Inc: inc.ID, Chain: uint64(chain), Seq: seq})
			}
		}
	}
	return row
}

// loadHeld reads what others said before a restart. What memory knows beyond
// that stays: it is no part of what a step that failed may have spoilt.
func (r *room) loadHeld(tx *store.Tx) error {
	rows, err := tx.Held(r.group)
	if err != nil {
		return err
	}
	r.held.mu.Lock()
	defer r.held.mu.Unlock()
	for _, row := range rows {
		var said heldRow
		if err := wire.Unmarshal(row.Data, &said); err != nil {
			return fmt.Errorf("reading what a device holds: %w", err)
		}
		for _, e := range said.Chains {
			if row.Holder == r.me {
				r.held.sent[e.Inc] = max(r.held.sent[e.Inc], e.Seq)
				continue
			}
			at := chainOf{e.Inc, groups.ChainKind(e.Chain)}
			if r.held.by[at] == nil {
				r.held.by[at] = map[wire.OpID]uint64{}
			}
			r.held.by[at][row.Holder] = max(r.held.by[at][row.Holder], e.Seq)
		}
	}
	return nil
}

// tellStates tells readers that own messages are held by more.
func (r *room) tellStates(c *commit, inc wire.OpID, from, to uint64) {
	err := r.n.store.View(func(tx *store.Tx) error {
		return tx.EachOp(r.group, inc, uint8(groups.Content), from, to, func(o store.StoredOp) error {
			c.changes = append(c.changes, r.messageChange(store.Update, api.EventMessageUpdated, o.ID))
			return nil
		})
	})
	if err != nil {
		r.log.Warn("reading own messages failed", "err", err)
	}
}

// chainOf names one chain of one incarnation.
type chainOf struct {
	inc   wire.OpID
	chain groups.ChainKind
}

// setHead and dropHead change how far this device has a chain.
func (r *room) setHead(at chainOf, e groups.VectorEntry) {
	r.heads[at] = e
	r.holding = nil
}

func (r *room) dropHead(at chainOf) {
	delete(r.heads, at)
	r.holding = nil
}

// vectorNow is what this device has written, and holds once it is synced; it is
// not to be changed. On the room's goroutine, where it is asked for at each report
// and each question of each linked member, and changes seldom between them.
func (r *room) vectorNow() groups.Vector {
	if r.holding != nil {
		return r.holding
	}
	v := make(groups.Vector, 0, len(r.heads))
	for _, e := range r.heads {
		v = append(v, e)
	}
	for _, others := range r.branches {
		v = append(v, others...)
	}
	r.holding = v.Sort()
	return r.holding
}

// pulled is told after everything a peer had was fetched.
func (r *room) pulled(peer wire.PeerKey) {
	defer r.tell(func(*commit) error { r.historyHere(); return nil })
	r.tell(func(*commit) error {
		r.heardAt = r.n.now()
		r.catchUp(true)
		return nil
	})
	r.tell(r.reopenSome)
	r.tell(r.payRevocations)
	fetch := r.fetchKeys
	if r.view.Load().blind {
		fetch = r.fetchSets
	}
	if err := fetch(r.n.ctx, peer); err != nil && r.n.ctx.Err() == nil {
		r.log.Debug("fetching keys failed", "peer", peer.Short(), "err", err)
		r.tell(func(*commit) error { r.askKeysAgain(peer); return nil })
	}
}

// await waits until this account stands as wanted in the group, syncing with
// the peer that let it in. Problem admission_void if what came of the request
// of that nonce does not count.
func (r *room) await(ctx context.Context, peer wire.PeerKey, want groups.Status, nonce [16]byte) error {
	r.tell(func(*commit) error {
		r.setLink(peer, r.n.mesh.Connected(peer))
		if l := r.links[peer]; l != nil {
			l.pullNow()
		}
		return nil
	})
	for {
		changed := r.changed.wait()
		s := r.view.Load().state
		if m, ok := s.Member(r.n.dev.account()); ok && (m.Status == want || m.Status == groups.StatusSeated) {
			return nil
		}
		if _, _, void := s.VoidRequest(nonce); void {
			return api.NewProblem(api.AdmissionVoid)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// signal is something many can wait for, again and again.
type signal struct {
	mu sync.Mutex
	c  chan struct{}
}

// wait returns a channel that is closed at the next tell.
func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c == nil {
		s.c = make(chan struct{})
	}
	return s.c
}

func (s *signal) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c != nil {
		close(s.c)
		s.c = nil
	}
}

// tickHeld tells what could not be told at once, and readers of the group
// whether what was written is anywhere else by now.
func (r *room) tickHeld() {
	v := r.view.Load()
	safe := r.safety(v)
	if safe == r.toldSafe && !r.heldDue() {
		return
	}
	err := r.commit(func(c *commit) error {
		c.others = true // they say it again when they are linked
		r.tellHeld(c)
		if safe != r.toldSafe && !r.me.IsZero() {
			c.changes = append(c.changes, r.n.change(store.Update, api.EventGroupUpdated, r.group, r.api(v)))
		}
		return nil
	})
	if err != nil {
		r.log.Warn("keeping who holds what failed", "err", err)
		return
	}
	r.toldSafe = safe
}
