package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"sync"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh"
	"mutuals/store"
)

// newRoom makes a room that is not loaded and does not run yet.
func (n *Node) newRoom(group wire.GroupID) *room {
	return &room{
		n: n, group: group, log: n.log.With("group", group.Short()),
		calls: make(chan func()), words: make(chan word), later: later{bell: make(chan struct{}, 1)}, arrivals: make(chan *arrival, arrivalQueue), receipts: make(chan *reader, maxReceipts), done: make(chan struct{}),
		keysAsked: make(chan struct{}, 1), pulls: make(chan struct{}, pullsAtOnce),
		self:  selfcheck{ready: make(chan struct{})},
		links: map[wire.PeerKey]*link{}, topics: map[[32]byte]*topic{}, refused: map[refusal]bool{}, held: newHeld(),
	}
}

// load reads the room from disk, throwing away what memory held.
func (r *room) load() error {
	r.keys = newKeyring(r.group)
	r.locked = map[[32]byte]map[wire.OpID]lockedOp{}
	r.parked = parking{}
	r.heads = map[chainOf]groups.VectorEntry{}
	r.branches = map[chainOf]groups.Vector{}
	r.holding = nil
	r.strays = map[wire.OpID]bool{}
	r.forks, r.below = map[wire.OpID]*fork{}, map[chainOf]uint64{}
	r.upward = map[chainOf]bool{}
	r.names = map[wire.AccountID]opRef{}
	r.latest, r.maxHLC, r.g = nil, 0, nil
	r.owed, r.unheard = nil, map[[32]byte]*unheard{}
	r.placing = placing{}
	err := r.n.store.View(func(tx *store.Tx) error {
		row, ok, err := tx.Group(r.group)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("no row of group %s", r.group.Short())
		}
		if err := wire.Unmarshal(row.Meta, &r.meta); err != nil {
			return err
		}
		if _, r.kept, err = tx.Setting(keptKey(r.group)); err != nil {
			return err
		}
		if err := r.loadOffice(tx); err != nil {
			return err
		}
		if err := r.loadBodies(tx); err != nil {
			return err
		}
		if err := r.loadControl(tx); err != nil {
			return err
		}
		heads, err := tx.Heads(r.group)
		if err != nil {
			return err
		}
		for _, h := range heads {
			// Of control chains the disk names one head; below, all are found.
			if groups.ChainKind(h.Chain) != groups.Control {
				r.setHead(chainOf{h.Inc, groups.ChainKind(h.Chain)}, groups.VectorEntry{Inc: h.Inc, Chain: uint64(h.Chain), Seq: h.Seq, Head: groups.HeadOf(h.ID), Floor: h.Floor})
				r.g.Restore(h.Inc, groups.ChainKind(h.Chain), h.Seq, h.ID)
			}
		}
		if err := r.loadOlders(tx, heads); err != nil {
			return err
		}
		if err := r.loadReceipts(tx); err != nil {
			return err
		}
		if r.office != nil {
			return r.weighOffice(tx)
		}
		if err := r.loadAsks(tx); err != nil {
			return err
		}
		if err := r.loadRefolds(tx); err != nil {
			return err
		}
		if _, ok, err := tx.Setting(genesisKey(r.group)); err != nil {
			return err
		} else if !ok { // of a store of before
			r.tell(func(c *commit) error {
				c.row(func(tx *store.Tx) error { return tx.PutSetting(genesisKey(r.group), r.genesis) })
				return nil
			})
		}
		if err := r.loadReopens(tx); err != nil {
			return err
		}
		if err := r.loadGaps(tx); err != nil {
			return err
		}
		if err := r.loadRetained(tx); err != nil {
			return err
		}
		if err := r.loadSecrets(tx); err != nil {
			return err
		}
		for _, rd := range r.reading.by {
			r.openReceipt(rd)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading group %s: %w", r.group.Short(), err)
	}
	if r.genesis == nil {
		r.genesis = r.g.Op(wire.OpID(r.group)).Frame()
	}
	for _, op := range r.g.Ops() {
		r.moveHead(op)
	}
	r.seen.loaded(r.g.Ops(), r.heads)
	if r.office != nil {
		return nil
	}
	r.findMe(r.g.State())
	if err := r.n.store.View(r.loadHeld); err != nil {
		return fmt.Errorf("reading group %s: %w", r.group.Short(), err)
	}
	r.noteForks(r.g.State())
	r.loadOwed()
	r.nameBranches(r.g.State())
	// A look into each chain, of which a group of a hundred has a hundred: not
	// what somebody who opens a window should wait for.
	r.tell(func(*commit) error { return r.countSaid() })
	r.tell(r.openMore)
	r.tell(r.refoldMore)
	r.tell(r.reopenSome)
	r.tell(r.keepSides)
	return r.countUnread()
}

// loadControl applies the control operations in the order they were taken in,
// and of each device the newest KEM key.
func (r *room) loadControl(tx *store.Tx) error {
	var stored []store.StoredOp
	kem := map[wire.OpID]store.StoredOp{} // the newest of each
	err := tx.EachControl(r.group, func(o store.StoredOp) error {
		if groups.ChainKind(o.Chain) == groups.Control {
			stored = append(stored, o)
		} else {
			kem[o.Inc] = o
		}
		return nil
	})
	if err != nil {
		return err
	}
	stored = slices.AppendSeq(stored, maps.Values(kem))
	ops, err := decodeStored(stored)
	if err != nil {
		return err
	}
	for _, op := range ops {
		if r.g != nil {
			r.g.Apply(op)
			continue
		}
		var refusal *groups.Refusal
		if r.g, refusal = groups.Found(op); refusal != nil {
			return refusal
		}
	}
	if r.g == nil {
		return fmt.Errorf("%w: the operation that founded the group is not there", store.ErrDamaged)
	}
	return nil
}

// decodeStored decodes operations on all cores: with a large group that is half
// of what opening it takes.
func decodeStored(stored []store.StoredOp) ([]*groups.Op, error) {
	ops := make([]*groups.Op, len(stored))
	cores := runtime.GOMAXPROCS(0)
	errs := make([]error, cores)
	var wg sync.WaitGroup
	for core := range cores {
		wg.Go(func() {
			for i := core; i < len(stored); i += cores {
				op, refusal := groups.Reread(stored[i].Frame)
				if refusal != nil {
					errs[core] = fmt.Errorf("%w: operation %s: %v", store.ErrDamaged, stored[i].ID.Short(), refusal)
					return
				}
				ops[i] = op
			}
		})
	}
	wg.Wait()
	return ops, errors.Join(errs...)
}

// loadSecrets reads what opens messages, which of them wait for a key, and the
// newest of what is shown.
func (r *room) loadSecrets(tx *store.Tx) error {
	epochs, err := tx.Epochs(r.group)
	if err != nil {
		return err
	}
	for _, row := range epochs {
		if e, ok := r.g.EpochByEID(row.EID); ok {
			r.keys.add(e.Ctx, row.EID, seal.Secret(row.Secret), row.CreatedMs)
		}
	}
	kems, err := tx.KEMs(r.group)
	if err != nil {
		return err
	}
	for _, k := range kems {
		r.keys.kem[k.Gen] = kemSeed{k.Seed, k.CreatedMs}
	}
	single, err := tx.MessageKeys(r.group)
	if err != nil {
		return err
	}
	for _, m := range single {
		r.keys.single[m.Op] = seal.MessageKey(m.Key)
	}
	if err := tx.EachParked(r.group, func(p store.ParkedOp) error {
		var row lockedRow
		if err := wire.Unmarshal(p.Data, &row); err != nil {
			return err
		}
		if r.locked[row.EID] == nil {
			r.locked[row.EID] = map[wire.OpID]lockedOp{}
		}
		r.locked[row.EID][p.ID] = lockedOp{row.Inc, row.Seq}
		return nil
	}); err != nil {
		return err
	}
	if b, ok, err := tx.Setting(r.namesKey()); err != nil {
		return err
	} else if ok {
		var refs []opRef
		if err := wire.Unmarshal(b, &refs); err != nil {
			return err
		}
		for _, ref := range refs {
			r.names[ref.Of] = ref
		}
	}
	return r.loadLatest(tx)
}

// loadLatest finds the newest entry that is shown, and the clock of all.
func (r *room) loadLatest(tx *store.Tx) error {
	at := store.Cursor{OrderMs: wire.MaxMs}
	for {
		rows, err := tx.PageEntries(r.group, at, store.Before, 32)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range slices.Backward(rows) {
			e, err := entryOf(row)
			if err != nil {
				return err
			}
			r.maxHLC = max(r.maxHLC, e.OrderMs)
			if spokenIn(e) {
				r.latest = &e
				return nil
			}
		}
		at = rows[0].Cursor
	}
}

// prepareRoom puts a group on disk and opens its room: by its founder, or by
// somebody about to ask for a seat, whose KEM key must be kept before the
// request leaves.
func (n *Node) prepareRoom(ctx context.Context, genesis *groups.Op, kemPk []byte, seed [32]byte, sponsor wire.PeerKey) (*room, error) {
	group := wire.GroupID(genesis.ID)
	n.opening.Lock()
	defer n.opening.Unlock()
	if r := n.room(group); r != nil {
		if r.view.Load().blind {
			return nil, errBlind
		}
		err := r.step(ctx, func(c *commit) error {
			r.keepKEM(c, kemPk, seed)
			r.meta.Sponsor = sponsor
			r.saveMeta(c)
			return nil
		})
		return r, err
	}
	if err := n.storeRoom(ctx, genesis, kemPk, seed, sponsor); err != nil {
		return nil, err
	}
	return n.openRoom(group)
}

// storeRoom puts a new group on disk.
func (n *Node) storeRoom(ctx context.Context, genesis *groups.Op, kemPk []byte, seed [32]byte, sponsor wire.PeerKey) error {
	if _, refusal := groups.Found(genesis); refusal != nil {
		return refusal
	}
	group := wire.GroupID(genesis.ID)
	if err := n.mayOpen(group); err != nil {
		return err
	}
	err := n.store.Update(ctx, func(tx *store.Tx) error {
		if err := putGenesis(tx, genesis, sponsor); err != nil {
			return err
		}
		return tx.PutKEM(group, kemSlot(kemPk), seed, n.nowMs())
	})
	if err != nil {
		return fmt.Errorf("storing a new group: %w", err)
	}
	return nil
}

// putGenesis writes a group that begins here; sponsor is whom to sync with
// until its members are known.
func putGenesis(tx *store.Tx, genesis *groups.Op, sponsor wire.PeerKey) error {
	group := wire.GroupID(genesis.ID)
	meta := groupMeta{V: 1, CreatedMs: genesis.HLC, Sponsor: sponsor}
	if err := tx.PutGroup(store.GroupRow{ID: group, Meta: wire.Marshal(meta)}); err != nil {
		return err
	}
	if err := tx.PutSetting(genesisKey(group), genesis.Frame()); err != nil {
		return err
	}
	if err := tx.PutOp(group, genesis.ID, uint8(groups.Control), 0, genesis.ID, genesis.Frame()); err != nil {
		return err
	}
	return tx.PutHead(group, genesis.ID, uint8(groups.Control), store.Head{Seq: 0, ID: genesis.ID})
}

// errBlind ends what would make a member of a group's harbor.
var errBlind = api.NewProblem(api.NotAllowed).Explain("this node keeps that group as its harbor, and must not be able to read it: use another node")

// openRoom loads a group and runs its room.
func (n *Node) openRoom(group wire.GroupID) (*room, error) {
	r := n.newRoom(group)
	if err := r.load(); err != nil {
		return nil, err
	}
	r.self.since = n.now()
	r.catchUp(false)
	_, first := r.look() // before anybody can find the room: all who do read its view
	n.roomsMu.Lock()
	n.rooms[group] = r
	n.roomsMu.Unlock()
	r.rewire(nil, first) // after: gates ask the rooms
	r.changed.tell()
	if r.gaps = r.findGaps(); len(r.gaps.list) > 0 {
		r.gapsOf = r.gapBasis()
		r.show() // what was missing before a restart still is
	}
	r.meetDevices(r.g.Ops())
	n.wg.Go(func() { r.run(n.ctx) })
	return r, nil
}

// forgetRoom drops a group this account was not let into.
func (n *Node) forgetRoom(r *room) {
	if r.view.Load().ours() {
		return // it was a member once: the history stays
	}
	n.dropRoom(r)
}

// dropUnfinished forgets a group whose making was cut off: its genesis alone is
// on disk, and nobody was told of it.
func (n *Node) dropUnfinished(r *room) error {
	alone := false
	err := r.step(n.ctx, func(*commit) error {
		alone = !r.me.IsZero() && len(r.g.Ops()) == 1 && !r.reopens.due
		return nil
	})
	if err == nil && alone {
		n.dropRoom(r)
	}
	return err
}

// dropRoom ends a room and deletes its group from the disk.
func (n *Node) dropRoom(r *room) {
	n.roomsMu.Lock()
	delete(n.rooms, r.group)
	n.roomsMu.Unlock()
	r.stop()
	err := n.store.Update(n.ctx, func(tx *store.Tx) error {
		return errors.Join(tx.DeleteSetting(officeKey(r.group)), tx.DeleteSetting(keptKey(r.group)), tx.DeleteSetting(genesisKey(r.group)), tx.DeleteSetting(reopensKey(r.group)))
	})
	if r.office != nil {
		n.harbored.Add(-r.office.used)
	}
	if err = errors.Join(err, n.store.ForgetGroup(n.ctx, r.group)); err != nil && n.ctx.Err() == nil {
		n.log.Warn("forgetting a group failed", "err", err)
	}
}

// findMe finds the own incarnation: the live one, or else the last there was.
// Who was removed, or whose admission turned void, still reads what it has, also
// after a restart, and a refused join later must not take it for a stranger's
// room and forget it.
func (r *room) findMe(s *groups.State) {
	self := r.n.dev.id()
	if inc, ok := s.IncOfDevice(self); ok {
		r.me = inc.ID
		return
	}
	if !r.me.IsZero() {
		return
	}
	if m, ok := s.Member(r.n.dev.account()); ok {
		for _, inc := range m.Incs { // by order key: the last is the newest
			if inc.Device == self {
				r.me = inc.ID
			}
		}
		return
	}
	for at := range r.heads { // never let in validly: whatever it wrote under
		if inc, ok := s.Inc(at.inc); ok && inc.Device == self {
			r.me = inc.ID
		}
	}
}

func (r *room) saveMeta(c *commit) {
	c.dirty = true
	b := wire.Marshal(r.meta)
	c.row(func(tx *store.Tx) error { return tx.PutGroup(store.GroupRow{ID: r.group, Meta: b}) })
}

// room returns the open room of a group, nil if there is none.
func (n *Node) room(g wire.GroupID) *room {
	n.roomsMu.RLock()
	defer n.roomsMu.RUnlock()
	return n.rooms[g]
}

// openRooms returns all rooms in a fixed order.
func (n *Node) openRooms() []*room {
	n.roomsMu.RLock()
	defer n.roomsMu.RUnlock()
	out := make([]*room, 0, len(n.rooms))
	for _, r := range n.rooms {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *room) int { return slices.Compare(a.group[:], b.group[:]) })
	return out
}

// memberRoom returns the room of a group this account is or was in; problem
// group_unreadable if it is not open for what is on the disk, not_found otherwise.
func (n *Node) memberRoom(g wire.GroupID) (*room, error) {
	if p := n.cannotRead(g); p != nil {
		return nil, p
	}
	r := n.room(g)
	if r == nil || !r.view.Load().ours() {
		return nil, api.NewProblem(api.NotFound).Explain("no group %v here", g)
	}
	return r, nil
}

// returning tells whether this account has a seat and this device, which a
// backup gave the history to, is not in the group yet.
func (v *view) returning() bool { return v.kept && v.me.IsZero() }

// notSeated says why this account may not act in the group.
func (r *room) notSeated() *api.Problem {
	v := r.view.Load()
	if inc, ok := v.state.Inc(v.me); ok && inc.Cut {
		return api.NewProblem(v.stoppedBy())
	}
	m, ok := v.state.Member(r.n.dev.account())
	switch {
	case v.void() != nil:
		return api.NewProblem(api.AdmissionVoid)
	case v.returning():
		return api.NewProblem(api.NotSynced).Explain("this device was restored from a backup and is not back in the group yet: any member it is linked to lets it in")
	case !ok || m.Status == groups.StatusLeft:
		return api.NewProblem(api.NotMember)
	case m.Status == groups.StatusWaitlisted:
		return api.NewProblem(api.Waitlisted, "place", strconv.Itoa(m.WaitPos))
	case m.Status == groups.StatusRemoved:
		return api.NewProblem(api.Removed)
	}
	return api.NewProblem(api.NotMember)
}

// misbehaves tells whether an error is one an honest peer cannot cause.
func misbehaves(err error) bool {
	var refusal *groups.Refusal
	return errors.Is(err, wire.ErrMalformed) || errors.Is(err, wire.ErrNotCanonical) || errors.Is(err, errStep) || errors.Is(err, errForged) || errors.Is(err, mesh.ErrTooLarge) ||
		errors.As(err, &refusal) && refusal.Reason.Class() == groups.ClassReject
}
