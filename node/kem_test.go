package node

import (
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// kemOf is the generation that a node holds of a device's KEM key.
func kemOf(t *testing.T, n *Node, g wire.GroupID, of *Node) (gen uint32) {
	t.Helper()
	inRoom(t, n, g, func(r *room) {
		if inc, ok := r.g.State().IncOfDevice(of.dev.id()); ok {
			gen = inc.KemGen
		}
	})
	return gen
}

// seedsOnDisk lists the KEM seeds a node has stored.
func seedsOnDisk(t *testing.T, n *Node, g wire.GroupID) (seeds [][32]byte) {
	t.Helper()
	ok(t, n.store.View(func(tx *store.Tx) error {
		rows, err := tx.KEMs(g)
		for _, row := range rows {
			seeds = append(seeds, row.Seed)
		}
		return err
	}))
	return seeds
}

// A device replaces its KEM key once it has its seat, and again a month later;
// the others wrap for the newest, the one before is kept, older ones are gone
// from the disk. All that outlives a restart.
func TestKEMKeysRotate(t *testing.T) {
	t.Parallel()
	c, home := newStopped(), t.TempDir()
	ann, bo := startNode(t, t.TempDir(), "Ann", c.config), startNode(t, home, "Bo", c.config)
	g := newGroup(t, ann, api.GroupCreate{})
	join(t, bo, invite(t, ann, g, 1, "1h"))
	reach := func(what string, ofBo, ofAnn uint32) {
		t.Helper()
		within(t, ann, patience, what, func() bool {
			return kemOf(t, ann, g, bo) == ofBo && kemOf(t, bo, g, bo) == ofBo && kemOf(t, ann, g, ann) == ofAnn && kemOf(t, bo, g, ann) == ofAnn
		})
	}
	reach("a new key for the seat", 1, 0)
	first := seedsOnDisk(t, bo, g)
	for month := uint32(1); month <= 2; month++ {
		c.move(kemAge - kemJitter - time.Minute)
		ok(t, ann.room(g).step(t.Context(), func(*commit) error {
			if ann.room(g).kemDue() {
				t.Error("a key is replaced early")
			}
			return nil
		}))
		c.move(kemJitter + time.Hour)
		reach("keys of another month", 1+month, month)
	}
	if now := seedsOnDisk(t, bo, g); len(first) != 2 || len(now) != 2 {
		t.Errorf("%d seeds on disk at first, %d now", len(first), len(now))
	} else {
		for _, old := range first {
			if now[0] == old || now[1] == old {
				t.Error("a seed of two months ago is on disk")
			}
		}
	}
	ok(t, ann.room(g).step(t.Context(), ann.room(g).rekey))
	inRoom(t, ann, g, func(r *room) {
		for _, to := range r.g.Recipients(epochNow(r).Rekey) {
			if to.KemGen < 2 {
				t.Errorf("wrapped for generation %d", to.KemGen)
			}
		}
	})
	say(t, ann, g, "under new keys")
	hears(t, bo, g, "under new keys")
	ok(t, bo.Close())
	bo = startNode(t, home, "Bo", c.config)
	if kemOf(t, bo, g, bo) != 3 || kemOf(t, bo, g, ann) != 2 {
		t.Errorf("after a restart Bo has generation %d, of Ann's %d", kemOf(t, bo, g, bo), kemOf(t, bo, g, ann))
	}
	say(t, ann, g, "and again")
	hears(t, bo, g, "and again")
}

// rekeyFor is an epoch wrapped for KEM keys as they were some time ago.
func rekeyFor(c *commit, r *room, then []groups.Recipient) (eid [32]byte, err error) {
	e, err := seal.NewSecret(r.n.cfg.Rand)
	if err != nil {
		return eid, err
	}
	var leaves []seal.Leaf
	op, err := r.g.ComposeRekey(r.me, r.n.dev.keys.Op, r.n.nowMs(), func(ctx [32]byte, _ uint64, _ []groups.Recipient) (_, root [32]byte, err error) {
		for _, to := range then {
			leaves = append(leaves, seal.WrapAll(r.group, ctx, e, []seal.Recipient{{ID: to.Inc, KemGen: to.KemGen, KemPk: to.KemPk}})...)
		}
		eid = seal.Derive(r.group, ctx, e).EID
		return eid, seal.Root(seal.Hashes(leaves)), nil
	})
	if err != nil {
		return eid, err
	}
	c.wraps = append(c.wraps, &groups.SyncWraps{Group: r.group, Rekey: op.ID, Leaves: leaves})
	if err := r.takeOwn(c, op); err != nil {
		return eid, err
	}
	r.keepSecret(c, op.Ctx(), eid, e)
	return eid, nil
}

// An epoch made for a KEM key that was replaced meanwhile opens by the key
// before; one made for a key that is erased is asked for.
func TestEpochForAnOldKEMKey(t *testing.T) {
	t.Parallel()
	c := newStopped()
	ann, bo := startNode(t, t.TempDir(), "Ann", c.config), startNode(t, t.TempDir(), "Bo", c.config)
	g := newGroup(t, ann, api.GroupCreate{})
	join(t, bo, invite(t, ann, g, 1, "1h"))
	within(t, ann, patience, "Bo's key", func() bool { return kemOf(t, ann, g, bo) == 1 })
	for rotations := 0; rotations <= 2; rotations++ {
		var then []groups.Recipient
		inRoom(t, ann, g, func(r *room) { then = r.g.State().Recipients(ann.nowMs()) })
		for range rotations {
			c.move(groups.RequestMs * time.Millisecond)
			ok(t, bo.room(g).step(t.Context(), bo.room(g).rotateKEM))
		}
		opens := false
		inRoom(t, bo, g, func(r *room) {
			for _, to := range then {
				wrap := must[[]byte](t)(seal.Wrap(to.KemPk, g, [32]byte{}, to.Inc, to.KemGen, seal.Secret{}))
				for _, k := range r.keys.seeds() {
					_, err := seal.Unwrap(k.seed, g, [32]byte{}, r.me, to.KemGen, wrap)
					opens = opens || err == nil
				}
			}
		})
		if opens != (rotations < 2) {
			t.Errorf("after %d rotations Bo opens what was wrapped before: %v", rotations, opens)
		}
		var eid [32]byte
		ok(t, ann.room(g).step(t.Context(), func(c *commit) (err error) {
			eid, err = rekeyFor(c, ann.room(g), then)
			return err
		}))
		within(t, bo, patience, "the epoch", func() (has bool) {
			inRoom(t, bo, g, func(r *room) { has = r.keys.has(eid) })
			return has
		})
	}
}
