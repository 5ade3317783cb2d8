package node

import (
	"cmp"
	"context"
	"crypto/ed25519"
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
	// officeAsked is how long a harbor keeps the room of a group whose owner
	// asked and appointed nobody; officeLeft, the room of one it was dismissed
	// from, in case that is undone.
	officeAsked = time.Hour
	officeLeft  = 7 * 24 * time.Hour
)

// office is what a room has where this node is the group's harbor: then it
// holds no key of the group, and is no member's. It belongs to the room's
// goroutine.
type office struct {
	row  officeRow
	key  ed25519.PrivateKey // of this appointment alone
	used int64              // bytes of frames and wraps on disk
	sets map[wire.OpID]wrapsHere
}

// officeRow is what is on disk of an office beside the group's operations.
// Evolution: fields are added at the end, with a new V.
type officeRow struct {
	_       struct{} `cbor:",toarray"`
	V       uint64
	OpSeed  [32]byte
	For     wire.AccountID // who asked
	Owner   wire.PeerKey   // whose device that was
	AskedMs uint64
	LeftMs  uint64 // when it was seen to be dismissed; 0 in office
	Topics  []toldTopic
}

// toldTopic is the topic of an epoch as a member told it.
type toldTopic struct {
	_      struct{} `cbor:",toarray"`
	Rekey  wire.OpID
	Topic  [32]byte
	Author bool // by the device that made the epoch, which knows
}

func officeKey(g wire.GroupID) string { return "office/" + g.String() }

// loadOffice reads whether this node keeps the group as its harbor.
func (r *room) loadOffice(tx *store.Tx) error {
	b, ok, err := tx.Setting(officeKey(r.group))
	if err != nil || !ok {
		return err
	}
	o := &office{sets: map[wire.OpID]wrapsHere{}}
	if err := wire.Unmarshal(b, &o.row); err != nil {
		return err
	}
	o.key = ed25519.NewKeyFromSeed(o.row.OpSeed[:])
	if old := r.office; old != nil {
		r.n.harbored.Add(-old.used) // read again
	}
	r.office = o
	return nil
}

// weighOffice counts what the group takes on this disk.
func (r *room) weighOffice(tx *store.Tx) error {
	heads, err := tx.Heads(r.group)
	if err != nil {
		return err
	}
	for _, h := range heads {
		if err := tx.EachOp(r.group, h.Inc, h.Chain, 0, ^uint64(0), func(o store.StoredOp) error {
			r.office.used += int64(len(o.Frame))
			return nil
		}); err != nil {
			return err
		}
	}
	if err := tx.EachWraps(r.group, func(rekey wire.OpID, b []byte) error {
		_, here, err := readKept(b)
		r.office.sets[rekey] = here
		r.office.used += int64(here.size)
		return err
	}); err != nil {
		return err
	}
	r.n.harbored.Add(r.office.used)
	return nil
}

// weigh notes bytes that came or went.
func (r *room) weigh(bytes int) {
	r.office.used += int64(bytes)
	r.n.harbored.Add(int64(bytes))
}

func (r *room) saveOffice(c *commit) {
	c.dirty = true
	b := wire.Marshal(r.office.row)
	c.row(func(tx *store.Tx) error { return tx.PutSetting(officeKey(r.group), b) })
}

// held is the appointment of this office as a state has it; zero before there
// is one.
func (o *office) held(s *groups.State, self wire.PeerKey) groups.HarborInfo {
	device := wire.DeviceID(o.key.Public().(ed25519.PublicKey))
	for _, h := range s.Harbors() {
		if h.Device == device && h.Peer == self {
			return h
		}
	}
	return groups.HarborInfo{}
}

// pen is what this node writes with in the group: its device's, or that of its
// appointment.
func (r *room) pen() (inc wire.OpID, key ed25519.PrivateKey) {
	if r.office != nil {
		return r.office.held(r.g.State(), r.n.mesh.Self()).ID, r.office.key
	}
	return r.me, r.n.dev.keys.Op
}

// settleOffice notes what a step made of the appointment.
func (r *room) settleOffice(c *commit) {
	h := r.office.held(r.g.State(), r.n.mesh.Self())
	switch left := !h.ID.IsZero() && !h.Appointed; {
	case left && r.office.row.LeftMs == 0:
		r.office.row.LeftMs = r.n.nowMs()
		r.saveOffice(c)
	case !left && r.office.row.LeftMs != 0:
		r.office.row.LeftMs = 0
		r.saveOffice(c)
	}
	if r.overfull() {
		c.then(func() { r.tell(r.makeRoom) })
	}
}

// tickOffice does what is due by the clock: wrap sets too old to be asked for
// go, and with an office that is over the room.
func (r *room) tickOffice() {
	now := r.n.now()
	row, h := r.office.row, r.view.Load().office
	switch {
	case h.ID.IsZero() && now.Sub(msTime(row.AskedMs)) > officeAsked,
		row.LeftMs != 0 && now.Sub(msTime(row.LeftMs)) > officeLeft:
		r.office.row.AskedMs, r.office.row.LeftMs = r.n.nowMs(), 0 // asked for once
		r.n.wg.Go(func() { r.n.dropRoom(r) })
		return
	}
	err := r.commit(func(c *commit) error {
		for rekey, here := range r.office.sets {
			op := r.g.Op(rekey)
			if op != nil && now.Sub(msTime(op.HLC)) <= wrapsKept || slices.ContainsFunc(r.g.Eligible(), func(e groups.Epoch) bool { return e.Rekey == rekey }) {
				continue
			}
			delete(r.office.sets, rekey)
			r.weigh(-here.size)
			c.dirty = true
			c.row(func(tx *store.Tx) error { return tx.DeleteWraps(r.group, rekey) })
		}
		return nil
	})
	if err != nil {
		r.log.Warn("forgetting old wraps failed", "err", err)
	}
}

// wrapsHere is what a harbor has of one wrap set.
type wrapsHere struct {
	leaves map[wire.OpID]bool
	count  int // how many there are in all
	size   int // bytes on disk
}

func (w wrapsHere) whole() bool { return w.count > 0 && len(w.leaves) == w.count }

// keptWraps is a wrap set as it lies on a harbor's disk: each leaf with the
// proof it was given by, since no member can give all, without the one it has
// opened and erased. Evolution: fields are added at the end, with a new V.
type keptWraps struct {
	_      struct{} `cbor:",toarray"`
	V      uint64
	Count  uint64
	Leaves []keptLeaf // ascending by index
}

type keptLeaf struct {
	_     struct{} `cbor:",toarray"`
	Index uint64
	Leaf  seal.Leaf
	Proof [][32]byte
}

func readKept(b []byte) (set keptWraps, here wrapsHere, err error) {
	if err := wire.Unmarshal(b, &set); err != nil {
		return set, here, fmt.Errorf("reading a wrap set: %w", err)
	}
	here = wrapsHere{leaves: map[wire.OpID]bool{}, count: int(set.Count), size: len(b)}
	for _, l := range set.Leaves {
		here.leaves[l.Leaf.ID] = true
	}
	return set, here, nil
}

// keepSet stores a whole wrap set, whose root was compared.
func (r *room) keepSet(c *commit, rekey *groups.Op, leaves []seal.Leaf) error {
	hashes := seal.Hashes(leaves)
	list := make([]keptLeaf, len(leaves))
	for i, leaf := range leaves {
		list[i] = keptLeaf{Index: uint64(i), Leaf: leaf, Proof: seal.Proof(hashes, i)}
	}
	return r.keepLeaves(c, rekey.ID, len(leaves), list)
}

// keepLeaves adds leaves, whose proofs were verified, to what is kept of a
// set.
func (r *room) keepLeaves(c *commit, rekey wire.OpID, count int, fresh []keptLeaf) error {
	set := keptWraps{V: 1, Count: uint64(count)}
	var old wrapsHere
	err := r.n.store.View(func(tx *store.Tx) error {
		b, ok, err := tx.Wraps(r.group, rekey)
		if err == nil && ok {
			set, old, err = readKept(b)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, l := range fresh {
		if !old.leaves[l.Leaf.ID] {
			set.Leaves = append(set.Leaves, l)
		}
	}
	if len(set.Leaves) == len(old.leaves) {
		return nil
	}
	slices.SortFunc(set.Leaves, func(a, b keptLeaf) int { return int(a.Index) - int(b.Index) })
	b := wire.Marshal(set)
	_, now, err := readKept(b)
	if err != nil {
		return err
	}
	r.office.sets[rekey] = now
	r.weigh(now.size - old.size)
	c.dirty = true
	c.row(func(tx *store.Tx) error { return tx.PutWraps(r.group, rekey, b) })
	return nil
}

// keptLeaf reads one leaf back.
func (r *room) keptLeaf(tx *store.Tx, rekey, recipient wire.OpID) (m *groups.SyncWrap, err error) {
	b, ok, err := tx.Wraps(r.group, rekey)
	if err != nil || !ok {
		return nil, err
	}
	set, _, err := readKept(b)
	for _, l := range set.Leaves {
		if l.Leaf.ID == recipient {
			m = &groups.SyncWrap{Rekey: rekey, Index: l.Index, Count: set.Count, Leaf: l.Leaf, Proof: l.Proof}
		}
	}
	return m, err
}

// lacked is an epoch some of whose leaves are not here.
type lacked struct {
	groups.Epoch
	leaves []wire.OpID
}

// lackingSets lists epochs of whose wraps this harbor should have more, as far
// as a peer is not known to have no more either.
func (r *room) lackingSets(peer wire.PeerKey) (out []lacked) {
	old := r.n.now().Add(-wrapsKept)
	for _, e := range r.g.Epochs() {
		here := r.office.sets[e.Rekey]
		if here.whole() || msTime(e.CreatedMs).Before(old) || r.refused[refusal{peer, e.EID}] {
			continue
		}
		l := lacked{Epoch: e}
		for _, to := range r.g.Recipients(e.Rekey) {
			if !here.leaves[to.Inc] {
				l.leaves = append(l.leaves, to.Inc)
			}
		}
		out = append(out, l)
	}
	return out
}

// servesEpoch tells whether all leaves of an epoch are here but one at most: who
// gave them may have erased the one it opened itself.
func (r *room) servesEpoch(rekey wire.OpID) error {
	body, ok := r.g.Op(rekey).Body.(*groups.RekeyBody)
	if !ok || len(r.office.sets[rekey].leaves)+1 < int(body.Count) {
		return errLacks
	}
	return nil
}

// leavesAhead is how many leaves are asked for before the answers are read.
const leavesAhead = 32

// fetchSets gets the wraps this harbor lacks from one linked member or harbor,
// leaf by leaf.
func (r *room) fetchSets(ctx context.Context, peer wire.PeerKey) error {
	var lacking []lacked
	err := r.step(ctx, func(*commit) error {
		lacking = r.lackingSets(peer)
		return nil
	})
	if err != nil || len(lacking) == 0 {
		return err
	}
	s, err := r.askWraps(ctx, peer)
	if err != nil || s == nil {
		return err
	}
	defer s.Close()
	for _, e := range lacking {
		var got []keptLeaf
		for ask := range slices.Chunk(e.leaves, leavesAhead) {
			some, err := fetchSome(s, e.Epoch, ask)
			if err != nil {
				return err
			}
			got = append(got, some...)
		}
		err = r.step(ctx, func(c *commit) error {
			if len(got) < len(e.leaves) {
				r.refused[refusal{peer, e.EID}] = true // it has no more
			}
			if len(got) == 0 {
				return nil
			}
			return r.keepLeaves(c, e.Rekey, e.Count, got)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// fetchSome asks for some leaves of an epoch and verifies what comes.
func fetchSome(s *mesh.Stream, e groups.Epoch, ask []wire.OpID) (got []keptLeaf, err error) {
	for _, id := range ask {
		if err := writeSync(s, &groups.SyncWrapWant{Rekey: e.Rekey, Recipient: id}); err != nil {
			return nil, err
		}
	}
	for _, id := range ask {
		m, err := readSync(s)
		if err != nil {
			return nil, err
		}
		if w, ok := m.(*groups.SyncWrap); ok && w.Rekey == e.Rekey && w.Leaf.ID == id && int(w.Count) == e.Count && w.Verify(e.WrapRoot) {
			got = append(got, keptLeaf{Index: w.Index, Leaf: w.Leaf, Proof: w.Proof})
		}
	}
	return got, nil
}

// takeTopic notes the topic of an epoch. The first to tell it is believed until
// the device that made the epoch tells another.
func (r *room) takeTopic(c *commit, from wire.OpID, m topicBody) error {
	op := r.g.Op(m.Rekey)
	if op == nil || op.Kind != groups.KindRekey {
		return errLacks
	}
	told := toldTopic{Rekey: m.Rekey, Topic: m.Topic, Author: op.IncID() == from}
	list := r.office.row.Topics
	at := slices.IndexFunc(list, func(t toldTopic) bool { return t.Rekey == m.Rekey })
	if at >= 0 && (list[at].Topic == m.Topic || list[at].Author || !told.Author) {
		return nil
	}
	if at >= 0 {
		list = slices.Delete(slices.Clone(list), at, at+1)
	}
	r.office.row.Topics = r.newestTopics(append(slices.Clone(list), told))
	r.saveOffice(c)
	c.then(r.tuneTopics)
	return nil
}

// newestTopics are those of the newest epochs, as many as a room listens on.
func (r *room) newestTopics(list []toldTopic) []toldTopic {
	gen := func(t toldTopic) uint64 { return r.g.Op(t.Rekey).Body.(*groups.RekeyBody).Gen }
	slices.SortStableFunc(list, func(a, b toldTopic) int { return int(int64(gen(b)) - int64(gen(a))) })
	return list[:min(len(list), maxTopics)]
}

// limit is how many bytes the group may take here: what the owner allows, and
// what this node has left.
func (r *room) limit() int64 {
	free := max(int64(r.n.cfg.HarborQuota)-(r.n.harbored.Load()-r.office.used), 0)
	if q := r.view.Load().office.Quota; q > 0 && int64(q) < free {
		return int64(q)
	}
	return free
}

func (r *room) overfull() bool { return r.office.used > r.limit() }

const (
	// pruneStep is how many operations one transaction deletes.
	pruneStep = 512
	// pruneLook is how many it looks at, over all chains.
	pruneLook = 4096
)

// makeRoom drops the bodies of the oldest content until a tenth of the group's
// bytes are free again and, where none is left to drop, whole operations.
// Control operations stay, and of each chain its newest, by which others see
// how far it goes.
func (r *room) makeRoom(c *commit) error {
	if r.office == nil || !r.overfull() {
		return nil
	}
	old, bare, err := r.oldest()
	if err != nil || len(old) == 0 {
		return err
	}
	limit := r.limit()
	goal := limit - limit/10
	r.saveBodies(c)
	for i, op := range old {
		if r.office.used <= goal {
			return nil
		}
		if i == pruneStep {
			break
		}
		switch {
		case bare:
			if err := r.dropOp(c, op); err != nil {
				return err
			}
		case op.Whole():
			r.weigh(-len(op.Cipher))
			r.dropBody(c, op)
			fallthrough
		default:
			r.bodies.dropped[op.IncID()] = op.Seq
		}
	}
	c.then(func() { r.tell(r.makeRoom) })
	return nil
}

// dropOp deletes the oldest operation of a chain and raises its floor.
func (r *room) dropOp(c *commit, op *groups.Op) error {
	at := chainOf{op.IncID(), groups.Content}
	head := r.heads[at]
	head.Floor = op.Seq + 1
	r.setHead(at, head)
	r.weigh(-len(op.Frame()))
	c.dirty = true
	id, ok := r.chainHead(at)
	if !ok {
		return fmt.Errorf("no head of a chain that is here")
	}
	c.row(func(tx *store.Tx) error {
		if err := tx.DeleteOp(r.group, at.inc, op.Seq, op.ID); err != nil {
			return err
		}
		return tx.PutHead(r.group, at.inc, uint8(groups.Content), store.Head{Seq: head.Seq, ID: id, Floor: head.Floor})
	})
	return nil
}

func (r *room) chainHead(at chainOf) (wire.OpID, bool) {
	_, id, ok := r.g.ChainHead(at.inc, at.chain)
	return id, ok
}

// oldest lists content from the beginnings of its chains, by its clock: what may
// have a body and, once there is none, what is left without.
func (r *room) oldest() (out []*groups.Op, bare bool, err error) {
	each := uint64(max(pruneLook/max(len(r.heads), 1), 8))
	for _, bare = range []bool{false, true} {
		for at, head := range r.heads {
			from := max(head.Floor, 1)
			if !bare {
				from = max(from, r.bodies.dropped[at.inc]+1)
			}
			if at.chain != groups.Content || head.Seq <= from {
				continue
			}
			ops, err := r.heldFrom(at, from, min(from+each, head.Seq)-1)
			if err != nil {
				return nil, false, err
			}
			out = append(out, ops...)
		}
		if len(out) > 0 {
			break
		}
	}
	// A chain's clocks do not go back, so each is cut from its beginning.
	slices.SortStableFunc(out, func(a, b *groups.Op) int {
		return cmp.Or(cmp.Compare(a.HLC, b.HLC), cmp.Compare(a.Seq, b.Seq))
	})
	return out, bare, nil
}
