package node

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/store"
)

// What is kept of a group's secrets, and for how long (PROTOCOLS.md N8).
const (
	// leastKept is how long an epoch's secret is kept after members left it,
	// whatever the history policy says: what somebody wrote under it who was away
	// a week can be read, and its topic is listened on that long.
	leastKept = 7 * 24 * time.Hour
	// settleIn is how long a secret that came late is kept all the same: what it
	// opens comes by sync after it.
	settleIn = 24 * time.Hour
	// wrapsKept is how long wraps are served to members who were away: as long
	// as their KEM keys are sure to be kept.
	wrapsKept = 30 * 24 * time.Hour
	// sweepEvery is how often a room looks for what is to be erased, and how
	// exactly it remembers when an epoch was used.
	sweepEvery = time.Hour
	// sweepStep is how many epochs one transaction erases.
	sweepStep = 256
)

// retained is what a room remembers of the age of its secrets. Evolution:
// fields are added at the end, with a new V.
type retained struct {
	_ struct{} `cbor:",toarray"`
	V uint64
	// Horizon is what was erased: every epoch left and last used before it. It never goes
	// back, so that a policy made longer brings nothing back.
	Horizon uint64
	Wraps   uint64 // wraps of epochs made before that are erased
	Used    []epochUse
}

// epochUse is when an epoch was written under last, rounded up to sweepEvery.
type epochUse struct {
	_   struct{} `cbor:",toarray"`
	EID [32]byte
	Ms  uint64
}

func (r *room) retainedKey() string { return "retained/" + r.group.String() }

func (r *room) loadRetained(tx *store.Tx) error {
	r.used, r.horizon, r.wrapsGone, r.sweepAt = map[[32]byte]uint64{}, 0, 0, time.Time{}
	b, ok, err := tx.Setting(r.retainedKey())
	if err != nil || !ok {
		return err
	}
	var row retained
	if err := wire.Unmarshal(b, &row); err != nil {
		return fmt.Errorf("reading what is retained: %w", err)
	}
	r.horizon, r.wrapsGone = row.Horizon, row.Wraps
	for _, u := range row.Used {
		r.used[u.EID] = u.Ms
	}
	return nil
}

func (r *room) keepRetained(c *commit) {
	row := retained{V: 1, Horizon: r.horizon, Wraps: r.wrapsGone}
	for eid, ms := range r.used {
		row.Used = append(row.Used, epochUse{EID: eid, Ms: ms})
	}
	c.dirty = true
	c.row(func(tx *store.Tx) error { return tx.PutSetting(r.retainedKey(), wire.Marshal(row)) })
}

// use notes that a message under an epoch is read here.
func (r *room) use(c *commit, eid [32]byte, hlc uint64) {
	every := uint64(sweepEvery.Milliseconds())
	if ms := (hlc/every + 1) * every; ms > r.used[eid] {
		r.used[eid] = ms
		r.keepRetained(c)
	}
}

// agedEpoch is an epoch and when members left it: when the next generation was
// made. The newest has not been left.
type agedEpoch struct {
	groups.Epoch
	leftMs uint64
}

// aged lists all epochs, newest first.
func (r *room) aged() []agedEpoch {
	epochs := r.g.Epochs()
	slices.SortStableFunc(epochs, func(a, b groups.Epoch) int { return cmp.Compare(b.Gen, a.Gen) })
	out := make([]agedEpoch, 0, len(epochs))
	gen, left, next := uint64(0), uint64(wire.MaxMs), uint64(wire.MaxMs)
	for _, e := range epochs {
		if e.Gen != gen {
			gen, left = e.Gen, next
		}
		out = append(out, agedEpoch{e, left})
		next = min(next, e.CreatedMs)
	}
	return out
}

// keepFrom is the time from which the history policy needs what was said: zero
// for all of it.
func (r *room) keepFrom() uint64 {
	days, now := r.g.State().Policy().HistoryDays, r.n.nowMs()
	keep := max(uint64(leastKept.Milliseconds()), days*uint64((24*time.Hour).Milliseconds()))
	if days == groups.HistoryAll || keep > now {
		return 0
	}
	return now - keep
}

// outlived tells whether an epoch's secret is one of those that were erased or
// are to be: nobody writes under it, nothing waits for it, and nobody is to be
// given it.
func (r *room) outlived(e agedEpoch, from uint64) bool {
	if max(e.leftMs, r.used[e.EID]) >= max(r.horizon, from) || len(r.locked[e.EID]) > 0 {
		return false
	}
	// It may be old and in use: of the newer ones none opens here.
	now, ok := r.sendEpoch()
	return !ok || now.EID != e.EID
}

// tendSecrets erases what is to be erased, when it is time to look.
func (r *room) tendSecrets() {
	if r.n.now().Before(r.sweepAt) {
		return
	}
	if err := r.commit(r.sweep); err != nil {
		r.log.Warn("erasing old secrets failed", "err", err)
	}
}

// sweep erases secrets of epochs that the policy needs no more and wraps nobody
// is served any more. Of single messages those that newcomers get stay.
func (r *room) sweep(c *commit) error {
	now := r.n.nowMs()
	from, epochs := r.keepFrom(), r.aged()
	var due []agedEpoch
	for _, e := range epochs {
		if k := r.keys.epochs[e.EID]; k != nil && r.outlived(e, from) && k.ms+uint64(settleIn.Milliseconds()) <= now {
			due = append(due, e)
		}
	}
	due, err := r.heard(due)
	if err != nil {
		return err
	}
	due = due[:min(len(due), sweepStep)]
	erased := len(due)
	for _, e := range due {
		r.eraseEpoch(c, e.EID)
	}
	wraps := now - min(now, uint64(wrapsKept.Milliseconds()))
	for _, e := range epochs {
		if e.CreatedMs >= r.wrapsGone && e.CreatedMs < wraps {
			erased++
			c.row(func(tx *store.Tx) error { return tx.DeleteWraps(r.group, e.Rekey) })
		}
	}
	if erased > 0 {
		r.horizon, r.wrapsGone = max(r.horizon, from), max(r.wrapsGone, wraps)
		r.keepRetained(c)
	}
	c.then(r.tuneTopics)
	if erased < sweepStep {
		r.sweepAt = r.n.now().Add(sweepEvery)
	}
	return nil
}

// eraseEpoch erases a secret and all that derives from it, but the keys of the
// single messages that stand: the group-info and the newest profiles.
func (r *room) eraseEpoch(c *commit, eid [32]byte) {
	for _, ref := range r.names {
		if ref.EID != eid {
			continue
		}
		if key, ok := r.keys.message(ref.Op, ref.Inc, eid, ref.Seq, ref.Salt); ok {
			r.keys.single[ref.Op] = key
			c.row(func(tx *store.Tx) error { return tx.PutMessageKey(r.group, ref.Op, key) })
		}
	}
	c.dirty = true
	r.keys.erase(eid)
	delete(r.used, eid)
	delete(r.unheard, eid)
	c.row(func(tx *store.Tx) error { return tx.DeleteEpoch(r.group, eid) })
}

// eraseSingle erases the key of a message that stands no more.
func (r *room) eraseSingle(c *commit, op wire.OpID) {
	if _, ok := r.keys.single[op]; !ok {
		return
	}
	c.dirty = true
	delete(r.keys.single, op)
	c.row(func(tx *store.Tx) error { return tx.DeleteMessageKey(r.group, op) })
}

// wrapSet is a wrap set as it lies on disk: without the wrap that is this
// device's own, once that was opened, so that its KEM key opens nothing here
// that was erased. Evolution: a change has a new V.
type wrapSet struct {
	_      struct{} `cbor:",toarray"`
	V      uint64
	Own    [32]byte // hash of the leaf whose wrap was taken out; zero: none was
	Leaves []seal.Leaf
}

// putWraps stores the wrap set of an accepted rekey.
func (r *room) putWraps(c *commit, rekey wire.OpID, eid [32]byte, leaves []seal.Leaf) {
	set := wrapSet{V: 1, Leaves: append([]seal.Leaf(nil), leaves...)}
	for i, leaf := range set.Leaves {
		if leaf.ID == r.me && r.keys.has(eid) {
			set.Own = leaf.Hash()
			set.Leaves[i].Wrap = nil
		}
	}
	b := wire.Marshal(set)
	c.row(func(tx *store.Tx) error { return tx.PutWraps(r.group, rekey, b) })
}

// wraps reads a wrap set back, and the hashes of its leaves.
func (r *room) wraps(tx *store.Tx, rekey wire.OpID) (leaves []seal.Leaf, hashes [][32]byte, err error) {
	b, ok, err := tx.Wraps(r.group, rekey)
	if err != nil || !ok {
		return nil, nil, err
	}
	var set wrapSet
	if err := wire.Unmarshal(b, &set); err != nil {
		return nil, nil, fmt.Errorf("reading a wrap set: %w", err)
	}
	hashes = seal.Hashes(set.Leaves)
	for i, leaf := range set.Leaves {
		if leaf.ID == r.me && set.Own != [32]byte{} {
			hashes[i] = set.Own
		}
	}
	return set.Leaves, hashes, nil
}
