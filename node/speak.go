package node

import (
	"context"
	"errors"
	"fmt"
	"io"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/groups/timeline"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// lockedOp is content nobody gave us the key of yet.
type lockedOp struct {
	inc wire.OpID
	seq uint64
}

// word is a message that waits to be written.
type word struct {
	say    func(*commit) error
	answer chan error
}

// speak runs say like a step, in one transaction with what others say at the
// same moment; say may run a second time, from where the room stood before.
func (r *room) speak(ctx context.Context, say func(*commit) error) error {
	for {
		err := r.speakNow(ctx, say)
		if !errors.Is(err, errCatching) {
			return err
		}
		if err := r.awaitCaught(ctx); err != nil {
			return err
		}
	}
}

func (r *room) speakNow(ctx context.Context, say func(*commit) error) error {
	r.speaking.begin()
	defer r.speaking.end()
	w := word{say, make(chan error, 1)}
	select {
	case r.words <- w:
	case <-ctx.Done():
		return ctx.Err()
	case <-r.done:
		return errClosed
	}
	select {
	case err := <-w.answer:
		return err
	case <-r.done:
		return errClosed
	}
}

// say encrypts one content payload under the epoch of the moment and takes it
// in. With no epoch to write under, or one that has become stale, it makes one
// first: somebody is waiting.
func (r *room) say(c *commit, kind uint64, payload wire.Raw) (*groups.Op, error) {
	me, ok := r.g.State().Inc(r.me)
	if !ok || !me.Live || me.Cut || !me.Seated {
		return nil, r.notSeated()
	}
	e, ok := r.freshEpoch()
	if !ok {
		if err := r.rekey(c); err != nil {
			return nil, err
		}
		if e, ok = r.sendEpoch(); !ok {
			return nil, api.NewProblem(api.KeyMissing)
		}
	}
	plain, err := groups.EncodePlain(groups.Plain{Kind: kind, Payload: payload})
	if err != nil {
		return nil, api.NewProblem(api.TooLarge)
	}
	size, err := seal.SealedLen(len(plain))
	if err != nil {
		return nil, api.NewProblem(api.TooLarge)
	}
	var salt [16]byte
	if _, err := io.ReadFull(r.n.cfg.Rand, salt[:]); err != nil {
		return nil, fmt.Errorf("drawing a salt: %w", err)
	}
	keys := r.keys.epochs[e.EID].keys
	// The hybrid clock passes everything shown here, so an answer stands below
	// its question on every device, whatever the clocks say.
	now := max(r.n.nowMs(), r.maxHLC+1)
	op, err := r.g.ComposeContent(r.me, r.n.dev.keys.Op, now, e.EID, salt, size, func(aad []byte, seq uint64) ([]byte, error) {
		return keys.Sender(r.me).Message(seq, salt).Seal(aad, plain), nil
	})
	if err != nil {
		return nil, fmt.Errorf("writing a message: %w", err)
	}
	return op, r.takeOwn(c, op)
}

// open decrypts an accepted content operation and shows it, or notes that its
// key is missing.
func (r *room) open(c *commit, op *groups.Op) {
	if _, ok := r.named[op.IncID()]; ok {
		// It may have been let go and be back.
		if e, here := r.entryBy([16]byte(op.ID[:16])); here {
			r.foldAnew(c, op, e)
			return
		}
	}
	if plain, ok := r.ahead[op]; ok && r.keys.has(op.EID) && r.g.EligibleAt(op.Heads, op.EID) {
		r.use(c, op.EID, op.HLC)
		r.fold(c, op, r.place(op), plain)
		return
	}
	key, ok := r.keys.message(op.ID, op.IncID(), op.EID, op.Seq, op.Salt)
	if !ok {
		r.lock(c, op)
		return
	}
	place := r.place(op)
	plain, ok := r.decrypt(key, op)
	_, single := r.keys.single[op.ID]
	switch single = single && !r.keys.has(op.EID); {
	case !ok && single:
		delete(r.keys.single, op.ID) // not its key: somebody else may have it
		r.lock(c, op)
		return
	case !ok:
		r.enter(c, timeline.Unread(place, timeline.Malformed))
		return
	case single:
		// It has shown that it fits: kept, for the newcomers of tomorrow.
		c.row(func(tx *store.Tx) error { return tx.PutMessageKey(r.group, op.ID, key) })
	default:
		r.use(c, op.EID, op.HLC)
	}
	r.fold(c, op, place, plain)
}

// decrypt opens an operation's box. What was written under an epoch that its
// author could see was not eligible stays closed (groups/SPEC.md R36).
func (r *room) decrypt(key seal.MessageKey, op *groups.Op) (groups.Plain, bool) {
	if !r.g.EligibleAt(op.Heads, op.EID) {
		return groups.Plain{}, false
	}
	return openBox(key, r.group, op)
}

func (r *room) place(op *groups.Op) timeline.Place {
	inc, _ := r.g.State().Inc(op.IncID())
	p := timeline.Place{
		ID: op.ID, Group: r.group, Inc: op.IncID(), Author: inc.Account, Device: inc.Device,
		Seq: op.Seq, HLC: op.HLC, ArrivedMs: r.n.nowMs(), Folded: r.standing(op),
	}
	if past, ok := r.g.At(op.Heads); ok {
		p.Ranked = past.Role(inc.Account) != groups.RoleMember
		p.Acted = func(id wire.OpID) bool { return past.Moderated(inc.Account, id) }
	}
	return p
}

// standing is why an accepted content operation is folded, by all we hold.
func (r *room) standing(op *groups.Op) timeline.Folded {
	switch r.g.State().ContentStanding(op.IncID(), op.Seq) {
	case groups.PastPin:
		return timeline.PastPin
	case groups.IncInvalid:
		return timeline.IncInvalid
	}
	if r.g.Standing(op) == groups.PastPin {
		return timeline.Silenced
	}
	return timeline.Shown
}

// fold makes of a plaintext what people see.
func (r *room) fold(c *commit, op *groups.Op, place timeline.Place, plain groups.Plain) {
	e := timeline.Fold(place, plain, r.known)
	r.maxHLC = max(r.maxHLC, e.OrderMs)
	switch plain.Kind {
	case groups.ContentProfile:
		r.takeProfile(c, op, e)
	case groups.ContentGroupInfo:
		r.takeInfo(c, op, e)
	case groups.ContentModeration:
		r.noteReason(c, e)
		r.enter(c, e)
	default:
		r.enter(c, e)
	}
}

// enter puts an entry into the timeline and tells the readers.
func (r *room) enter(c *commit, e timeline.Entry) {
	r.putEntry(c, e)
	c.changes = append(c.changes, r.messageChange(store.Add, api.EventMessageCreated, e.ID))
	r.placed(c, e)
	if !spokenIn(e) {
		return
	}
	if r.latest == nil || r.latest.Key().Compare(e.Key()) < 0 {
		r.latest = &e
	}
	if e.Author != r.n.dev.account() && r.readMark().Compare(e.Key()) < 0 && r.unread < maxUnread {
		r.unread++
		if r.mentionsMe(e) {
			r.mentions++
		}
	}
}

// takeProfile keeps a member's newest profile; it is shown as a name, not as a
// line of the conversation.
func (r *room) takeProfile(c *commit, op *groups.Op, e timeline.Entry) {
	content, err := groups.DecodeProfileContent(e.Payload)
	if err != nil || e.Folded != timeline.Shown {
		return
	}
	var p identity.SignedProfile // an entry that is shown was verified as it was made
	if err := wire.Unmarshal(content.Signed, &p); err != nil || r.n.people.voided(p.Chain, p.Profile.N) {
		return
	}
	r.nameOp(c, e.Author, op)
	c.row(func(tx *store.Tx) error { return r.n.people.putProfile(tx, p) })
	c.then(func() { r.n.learnProfile(p) })
}

// takeInfo takes over a group-info if it is newer than the one that holds.
func (r *room) takeInfo(c *commit, op *groups.Op, e timeline.Entry) {
	info, ok := e.Info()
	if !ok || op.HLC < r.meta.InfoHLC {
		return
	}
	r.meta.Name, r.meta.Description, r.meta.IceBreakers = info.Name, info.Description, info.IceBreakers
	r.meta.InfoOp, r.meta.InfoHLC = wire.SomeID(op.ID), op.HLC
	r.nameOp(c, wire.AccountID{}, op)
	r.saveMeta(c)
	c.regroup = true
}

// lock notes content whose key is missing.
func (r *room) lock(c *commit, op *groups.Op) {
	if r.locked[op.EID] == nil {
		r.locked[op.EID] = map[wire.OpID]lockedOp{}
	}
	r.locked[op.EID][op.ID] = lockedOp{op.IncID(), op.Seq}
	at := lockedRow{EID: op.EID, Inc: op.IncID(), Seq: op.Seq}
	c.row(func(tx *store.Tx) error { return tx.PutParked(r.group, op.ID, wire.Marshal(at)) })
}

// lockedRow is how locked content is remembered over a restart.
type lockedRow struct {
	_   struct{} `cbor:",toarray"`
	EID [32]byte
	Inc wire.OpID
	Seq uint64
}

// openStep is how many locked messages are opened in one transaction, unless
// they are heavy: what they become on disk has to fit into it.
const openStep = 256

// openStepBytes is the same for what they weigh.
const openStepBytes = 128 << 10

// openLocked opens what waited for keys that are here now: as much as one
// transaction takes, and the rest soon.
func (r *room) openLocked(c *commit) {
	opened, bytes := 0, 0
	for eid, ops := range r.locked {
		for id, at := range ops {
			if !r.keys.has(eid) {
				if _, ok := r.keys.single[id]; !ok {
					continue
				}
			}
			if opened == openStep || bytes >= openStepBytes {
				c.then(func() { r.tell(r.openMore) })
				return
			}
			op := r.stored(at.inc, groups.Content, at.seq, id)
			if op == nil {
				continue // in this same commit: opened when it was taken
			}
			opened, bytes = opened+1, bytes+len(op.Cipher)
			delete(ops, id)
			c.dirty = true
			c.row(func(tx *store.Tx) error { return tx.DeleteParked(r.group, id) })
			r.open(c, op)
		}
		if len(ops) == 0 {
			delete(r.locked, eid)
		}
	}
}

// openMore goes on with what was too much for one transaction, or was not
// reached before the node stopped.
func (r *room) openMore(c *commit) error {
	r.openLocked(c)
	return nil
}

// stored reads one operation back from disk; nil if it is not there.
func (r *room) stored(inc wire.OpID, chain groups.ChainKind, seq uint64, id wire.OpID) *groups.Op {
	var found *groups.Op
	err := r.n.store.View(func(tx *store.Tx) error {
		ops, err := tx.Op(r.group, inc, uint8(chain), seq)
		if err != nil {
			return err
		}
		for _, o := range ops {
			if o.ID == id {
				if op, refusal := groups.Decode(o.Frame); refusal == nil {
					found = op
				}
			}
		}
		return nil
	})
	if err != nil {
		r.log.Warn("reading an operation failed", "op", id.Short(), "err", err)
	}
	return found
}
