package node

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/store"
)

const (
	// kemAge is when a device replaces its KEM key in a group: whoever takes its
	// seeds opens wraps of two such spans, and none that are older.
	kemAge = 30 * 24 * time.Hour
	// kemJitter spreads the replacements of devices that came at one moment;
	// it only makes them earlier.
	kemJitter = 3 * 24 * time.Hour
)

// kemSeed is the private half of one KEM key of this device in this group.
type kemSeed struct {
	seed [seal.KEMSeedLen]byte
	ms   uint64 // when it was made
}

// kemSlot names a KEM seed by the key it belongs to: two incarnations of one
// device in one group both begin with generation 0.
func kemSlot(pk []byte) uint32 {
	h := wire.Hash(pk)
	return binary.BigEndian.Uint32(h[:4])
}

// seeds lists the KEM seeds held, newest first: the current one, the one
// before, and those of requests for a seat that may still be answered.
func (k *keyring) seeds() []kemSeed {
	out := make([]kemSeed, 0, len(k.kem))
	for _, s := range k.kem {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b kemSeed) int { return cmp.Compare(b.ms, a.ms) })
	return out
}

// kemDue tells whether this device is to replace its KEM key: the one it asked
// for its seat with, once it has the seat, since that lay about as long as
// people took to answer; one that is 30 days old; one whose seed is gone.
func (r *room) kemDue() bool {
	me, ok := r.g.State().Inc(r.me)
	if !ok || !me.Seated || r.mayWrite() != nil {
		return false
	}
	slot := kemSlot(me.KemPk)
	now, held := r.keys.kem[slot]
	if !held || me.KemGen == 0 && me.ID != wire.OpID(r.group) {
		return true
	}
	early := time.Duration(slot) * (kemJitter / (1 << 32))
	return r.n.now().Sub(msTime(now.ms)) > kemAge-early
}

// rotateKEM makes this device's next KEM key and publishes it. The one before
// stays, for wraps made by who had not heard; older ones are erased.
func (r *room) rotateKEM(c *commit) error {
	seed, pk, err := seal.GenerateKEM(r.n.cfg.Rand)
	if err != nil {
		return err
	}
	me, _ := r.g.State().Inc(r.me)
	op, err := r.g.ComposeKEM(r.me, r.n.dev.keys.Op, r.n.nowMs(), pk)
	if err != nil {
		return fmt.Errorf("making a KEM key: %w", err)
	}
	if err := r.takeOwn(c, op); err != nil {
		return fmt.Errorf("making a KEM key: %w", err)
	}
	r.keepKEM(c, pk, seed)
	r.eraseKEM(c, kemSlot(me.KemPk))
	return nil
}

// keepKEM puts a KEM seed on disk with what makes it this device's.
func (r *room) keepKEM(c *commit, pk []byte, seed [seal.KEMSeedLen]byte) {
	slot, now := kemSlot(pk), r.n.nowMs()
	r.keys.kem[slot] = kemSeed{seed, now}
	c.dirty = true
	c.row(func(tx *store.Tx) error { return tx.PutKEM(r.group, slot, seed, now) })
}

// eraseKEM erases what is older than the key before the current one, unless a
// live incarnation of this device still goes by it, or a request for a seat
// may.
func (r *room) eraseKEM(c *commit, before uint32) {
	keep := map[uint32]bool{before: true}
	for _, inc := range r.g.State().PeerIncs(r.n.mesh.Self()) {
		if inc.Live {
			keep[kemSlot(inc.KemPk)] = true
		}
	}
	now := r.n.nowMs()
	for slot, s := range r.keys.kem {
		if keep[slot] || s.ms > r.keys.kem[before].ms || s.ms+groups.RequestMs > now {
			continue
		}
		delete(r.keys.kem, slot)
		c.row(func(tx *store.Tx) error { return tx.DeleteKEM(r.group, slot) })
	}
}

// tendKEM replaces the KEM key when that is due.
func (r *room) tendKEM() {
	if !r.kemDue() {
		return
	}
	if err := r.commit(r.rotateKEM); err != nil {
		r.log.Warn("replacing a KEM key failed", "err", err)
	}
}
