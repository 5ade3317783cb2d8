package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/node/mesh"
	"mutuals/store"
)

const (
	// rekeyStep is how long each seat waits for the one before it to make an
	// epoch that the group needs: two clock ticks and a round trip.
	rekeyStep = 2 * time.Second
	// admitShare is how long after an admission that needed an epoch the next
	// such admissions wait to share one: a person who joins does not notice,
	// and twenty who join at once cost two epochs instead of twenty.
	admitShare = 2 * time.Second
	// wrapPatience is how long a device that cannot open the epoch the group is
	// under waits before it makes another: until then its own wrap and a key
	// request to each linked member have come back or failed.
	wrapPatience = 15 * time.Second
	// keysTurn is how long who lacks a key waits for the answer of the member it
	// asked before it asks the next as well: else after each rekey everybody
	// asked all it is linked to at once. Longer than an answer takes on most
	// lines, and not so long that a member that never answers delays much.
	keysTurn = time.Second
)

// sendEpoch is the epoch to write under: of the eligible ones whose secret is
// here, the one of highest generation, then lowest order key; none if a valid
// rekey of a higher generation is not eligible (groups/SPEC.md R35).
func (r *room) sendEpoch() (groups.Epoch, bool) { return r.g.SendEpoch(r.keys.has) }

// freshEpoch is sendEpoch for who is about to write: none either if the epoch
// is to be replaced before the next message (R35).
func (r *room) freshEpoch() (groups.Epoch, bool) {
	e, ok := r.sendEpoch()
	return e, ok && !r.worn(e) && !r.g.Stale(e, r.n.nowMs())
}

// minimumEpoch sees to it that the group gets an epoch every seated device can
// read. Who made the change makes the epoch in the same commit, so that a
// removal and its rekey leave together; the others wait their turn.
func (r *room) minimumEpoch(c *commit, s *groups.State) error {
	me, ok := s.Inc(r.me)
	if err := r.mayWrite(); !ok || !me.Live || me.Cut || !me.Seated || err != nil {
		r.rekeyAt = time.Time{}
		if errors.Is(err, errCatching) && len(r.self.later) == 0 {
			r.self.later = append(r.self.later, func(c *commit) error { return r.minimumEpoch(c, r.g.State()) })
		}
		return nil
	}
	now, wait := r.n.now(), time.Duration(r.seatIndex(s))*rekeyStep
	switch e, held := r.sendEpoch(); {
	case r.g.NeedRekey() && len(c.own) > 0:
		if !admitsOnly(c.own) {
			return r.rekey(c)
		}
		if shared := r.sharedAt.Add(admitShare); now.Before(shared) {
			r.rekeyAt = shared
			return nil
		}
		r.sharedAt = now
		return r.rekey(c)
	case r.g.NeedRekey():
	case !held:
		wait += wrapPatience
	case withdraws(c.own) && r.g.Stale(e, r.n.nowMs()):
		return r.rekey(c)
	default:
		r.rekeyAt = time.Time{}
		return nil
	}
	if r.rekeyAt.IsZero() {
		r.rekeyAt = now.Add(wait)
	}
	return nil
}

// admitsOnly tells whether all a commit wrote that could end an epoch are
// admissions.
func admitsOnly(own []*groups.Op) bool {
	return !slices.ContainsFunc(own, func(op *groups.Op) bool {
		return op.Chain == groups.Control && op.Kind != groups.KindAdmit
	})
}

// withdraws tells whether a commit may have taken a harbor's office.
func withdraws(own []*groups.Op) bool {
	return slices.ContainsFunc(own, func(op *groups.Op) bool { return op.Chain == groups.Control && op.Kind == groups.KindHarbor })
}

// lateEpoch makes the epoch that was due, if it still is.
func (r *room) lateEpoch(c *commit) error {
	if _, held := r.sendEpoch(); held || !r.view.Load().seated() {
		return nil
	}
	// Whose wrap fails while nobody is linked has nobody to talk to either.
	if !r.g.NeedRekey() && len(r.links) == 0 {
		r.rekeyAt = r.n.now().Add(wrapPatience)
		return nil
	}
	return r.rekey(c)
}

// answerableEpoch sees to it that who is answered about keys can go on under an
// epoch it may read. When one is about to be made, by its turn or for several
// newcomers, wait says how long that takes, but not past until.
func (r *room) answerableEpoch(c *commit, until time.Time) (wait time.Duration, _ error) {
	if !r.g.NeedRekey() {
		return 0, nil
	}
	due := r.rekeyAt
	if due.After(until) {
		due = until
	}
	if wait := due.Sub(r.n.now()); wait > 0 {
		return wait, nil
	}
	return 0, r.rekey(c)
}

// seatIndex counts the seated members with a linked device that come before
// this one: who is away need not be waited for.
func (r *room) seatIndex(s *groups.State) int {
	self := r.n.dev.account()
	i := 0
	for _, m := range r.everybody(s) {
		if m.Account == self || m.Status != groups.StatusSeated {
			break
		}
		for _, inc := range m.Incs {
			if r.links[inc.Peer] != nil {
				i++
				break
			}
		}
	}
	return i
}

// rekey makes a new epoch: a fresh secret, wrapped for every device that must
// read it.
func (r *room) rekey(c *commit) error {
	e, err := seal.NewSecret(r.n.cfg.Rand)
	if err != nil {
		return err
	}
	var leaves []seal.Leaf
	op, err := r.g.ComposeRekey(r.me, r.n.dev.keys.Op, r.n.nowMs(), func(ctx [32]byte, _ uint64, to []groups.Recipient) (eid, root [32]byte, err error) {
		wrapFor := make([]seal.Recipient, len(to))
		for i, t := range to {
			wrapFor[i] = seal.Recipient{ID: t.Inc, KemGen: t.KemGen, KemPk: t.KemPk}
		}
		leaves = seal.WrapAll(r.group, ctx, e, wrapFor)
		return seal.Derive(r.group, ctx, e).EID, seal.Root(seal.Hashes(leaves)), nil
	})
	if err != nil {
		return fmt.Errorf("making an epoch: %w", err)
	}
	if err := r.takeOwn(c, op); err != nil {
		return fmt.Errorf("making an epoch: %w", err)
	}
	body := op.Body.(*groups.RekeyBody)
	if !r.keepSecret(c, op.Ctx(), body.EID, e) {
		panic("internal error: an own epoch secret does not match its eid")
	}
	r.putWraps(c, op.ID, body.EID, leaves)
	c.wraps = append(c.wraps, &groups.SyncWraps{Group: r.group, Rekey: op.ID, Leaves: leaves})
	r.rekeyAt = time.Time{}
	return nil
}

// keepSecret takes a secret in, if it is the epoch's.
func (r *room) keepSecret(c *commit, ctx, eid [32]byte, e seal.Secret) bool {
	if r.keys.has(eid) {
		return true
	}
	now := r.n.nowMs()
	if !r.keys.add(ctx, eid, e, now) {
		return false
	}
	c.dirty, c.keyed = true, true
	c.row(func(tx *store.Tx) error { return tx.PutEpoch(r.group, eid, e, now) })
	return true
}

// keepWraps stores a wrap set that was handed over, if it is the one an
// accepted rekey committed to.
func (r *room) keepWraps(c *commit, rekey wire.OpID, leaves []seal.Leaf) {
	op := r.g.Op(rekey)
	if op == nil {
		return // the rekey has not come yet; its leaf is asked for then
	}
	body, ok := op.Body.(*groups.RekeyBody)
	if !ok || seal.Root(seal.Hashes(leaves)) != body.WrapRoot {
		return
	}
	if op.HLC < r.wrapsGone {
		return // nobody is served them any more
	}
	if r.office != nil {
		if err := r.keepSet(c, op, leaves); err != nil {
			r.log.Warn("keeping wraps failed", "err", err)
		}
		return
	}
	for _, leaf := range leaves {
		if r.opensLeaf(leaf.ID) {
			r.unwrap(c, op, leaf)
		}
	}
	r.putWraps(c, rekey, body.EID, leaves)
	r.openLocked(c)
}

// leafOf names the leaf of an epoch that this device can open: its own, or else
// that of the sleep-proof invite it came in by.
func (r *room) leafOf(e groups.Epoch) (leaf wire.OpID, ok bool) {
	for _, to := range r.g.Recipients(e.Rekey) {
		if r.opensLeaf(to.Inc) && (!ok || to.Inc == r.me) {
			leaf, ok = to.Inc, true
		}
	}
	return leaf, ok
}

// opensLeaf tells whether leaves of a recipient are for this device: it is the
// recipient, or was admitted by that sleep-proof invite.
func (r *room) opensLeaf(recipient wire.OpID) bool {
	by, cited := r.g.State().InviteOf(r.me)
	return recipient == r.me || cited && recipient == by.ID && len(by.KemPk) > 0
}

// unwrap opens the leaf that is for this device, by the newest KEM key or one
// before it: its author may not have heard of the newest.
func (r *room) unwrap(c *commit, rekey *groups.Op, leaf seal.Leaf) bool {
	if len(leaf.Wrap) == 0 {
		return false
	}
	for _, k := range r.keys.seeds() {
		e, err := seal.Unwrap(k.seed, r.group, rekey.Ctx(), leaf.ID, uint32(leaf.KemGen), leaf.Wrap)
		if err == nil {
			return r.keepSecret(c, rekey.Ctx(), rekey.Body.(*groups.RekeyBody).EID, e)
		}
	}
	return false
}

// wanted lists the epochs whose secret is not here and should be, newest first.
func (r *room) wanted() (out []groups.Epoch) {
	from := r.keepFrom()
	for _, e := range r.aged() {
		if !r.keys.has(e.EID) && !r.outlived(e, from) {
			out = append(out, e.Epoch)
		}
	}
	return out
}

// fetchKeys gets the secrets this device lacks from one linked member: first
// the leaf that is its own, then by a key request. It runs on the link's
// goroutine.
func (r *room) fetchKeys(ctx context.Context, peer wire.PeerKey) error {
	var rekeys []wrapped
	lacks := false
	look := func(*commit) error {
		rekeys = nil
		lacks = !r.me.IsZero() && r.lacksKeys()
		for _, e := range r.wanted() {
			if leaf, ok := r.leafOf(e); ok {
				rekeys = append(rekeys, wrapped{e, leaf})
			}
		}
		return nil
	}
	if err := r.step(ctx, look); err != nil || !lacks {
		return err
	}
	turn := time.NewTimer(keysTurn)
	defer turn.Stop()
	select {
	case r.keysAsked <- struct{}{}:
		defer func() { <-r.keysAsked }()
	case <-turn.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := r.step(ctx, look); err != nil || !lacks {
		return err // the one before had it
	}
	if len(rekeys) > 0 {
		if err := r.fetchLeaves(ctx, peer, rekeys); err != nil {
			return err
		}
	}
	if r.view.Load().harbor(peer) {
		return nil // it has leaves, and no key
	}
	return r.requestKeys(ctx, peer)
}

// lacksKeys tells whether there is anything that members may be asked for.
func (r *room) lacksKeys() bool { return len(r.wanted()) > 0 || r.lacksNames() }

// askWraps opens a stream on which a peer is asked for wraps; nil if it refuses,
// which the pull that comes finds the reason of.
func (r *room) askWraps(ctx context.Context, peer wire.PeerKey) (*mesh.Stream, error) {
	s, err := r.n.mesh.Open(ctx, peer, protocolSync)
	if err != nil {
		return nil, fmt.Errorf("asking for wraps: %w", err)
	}
	ok, err := r.greet(ctx, s)
	if err != nil || !ok {
		return nil, errors.Join(err, s.Reset())
	}
	return s, nil
}

// greet says hello where only wraps are asked for, and reads past the vector.
func (r *room) greet(ctx context.Context, s *mesh.Stream) (ok bool, err error) {
	mine, err := r.vector(ctx)
	if err != nil {
		return false, err
	}
	if err := writeSync(s, &groups.SyncHello{V: groups.SyncVersion, Group: r.group, Digest: groups.Digest(mine)}); err != nil {
		return false, err
	}
	m, err := readSync(s)
	if err != nil {
		return false, err
	}
	hello, ok := m.(*groups.SyncHello)
	if ok && hello.Digest != groups.Digest(mine) {
		_, err = readVector(s)
	}
	return ok, err
}

// wrapped is an epoch that was wrapped for this device.
type wrapped struct {
	groups.Epoch
	leaf wire.OpID // the own inc, or the sleep-proof invite that it came in by
}

// fetchLeaves asks a peer for own leaves, one after another on one stream.
func (r *room) fetchLeaves(ctx context.Context, peer wire.PeerKey, epochs []wrapped) error {
	s, err := r.askWraps(ctx, peer)
	if err != nil || s == nil {
		return err
	}
	defer s.Close()
	for _, e := range epochs {
		if err := writeSync(s, &groups.SyncWrapWant{Rekey: e.Rekey, Recipient: e.leaf}); err != nil {
			return err
		}
		m, err := readSync(s)
		if err != nil {
			return err
		}
		wrap, ok := m.(*groups.SyncWrap)
		if !ok || wrap.Rekey != e.Rekey || wrap.Leaf.ID != e.leaf || int(wrap.Count) != e.Count || !wrap.Verify(e.WrapRoot) {
			continue // not held, or not what the rekey committed to: a key request follows
		}
		err = r.step(ctx, func(c *commit) error {
			if op := r.g.Op(e.Rekey); op != nil && r.unwrap(c, op, wrap.Leaf) {
				r.openLocked(c)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// tick does what is due by the clock.
func (r *room) tick() {
	r.recent.age()
	if r.haveDue {
		r.tellHave(false)
	}
	r.resumePulls()
	r.parked.expire(r.n.now())
	if !r.parked.empty() {
		// What was ahead of our clock may not be any more.
		if err := r.commit(func(c *commit) error { r.unpark(c); return nil }); err != nil {
			r.log.Warn("taking in what waited failed", "err", err)
		}
	}
	r.tickReceipts()
	if r.office != nil {
		r.tickOffice()
		return
	}
	r.tickRevocations()
	r.proveForks()
	r.catchUp(false)
	if !r.rekeyAt.IsZero() && !r.n.now().Before(r.rekeyAt) && r.mayWrite() == nil {
		r.rekeyAt = time.Time{}
		if err := r.commit(r.lateEpoch); err != nil {
			r.log.Warn("making an epoch failed", "err", err)
			r.rekeyAt = r.n.now().Add(rekeyStep)
		}
	}
	r.tellTopics()
	if !r.lobbyAt.IsZero() && !r.n.now().Before(r.lobbyAt) {
		r.lobbyAt = time.Time{}
		r.tellLobby()
	}
	r.tickHeld()
	r.tickGaps()
	r.tickKeys()
	r.tendKEM()
	r.tendSecrets()
	r.tendBodies()
	r.staleAsks()
	r.staleProposals()
	r.tickGroup()
}
