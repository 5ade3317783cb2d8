package node

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
	"mutuals/store"
)

// A thief has the whole home of somebody who was removed, the passcode that
// let them in, and everything on a member's disk that is no secret of that
// member. It knows the formats and tries every key on everything.
type thief struct {
	group   wire.GroupID
	pool    map[[32]byte]bool // 32 bytes that may be a seed, a secret or a key
	content []*groups.Op
	rekeys  []*groups.Op
	wraps   [][]seal.Leaf
}

// openHome opens the store of a node that is off with the keys beside it.
func openHome(t *testing.T, dir string) (identity.Secrets, *store.Store) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, fileKeys))
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := identity.OpenKeys(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(filepath.Join(dir, dirStore), secrets.StoreKey(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return secrets, s
}

// newThief takes the home of somebody removed and the disk of a member; both
// nodes are off.
func newThief(t *testing.T, g wire.GroupID, removed, member string, passcode string) *thief {
	t.Helper()
	th := &thief{group: g, pool: map[[32]byte]bool{}}
	secrets, home := openHome(t, removed)
	for _, k := range [][32]byte{secrets.Master, secrets.OpSeed, secrets.PeerSeed, secrets.StoreKey()} {
		th.pool[k] = true
	}
	found, err := invites.Extract(passcode, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	code := found.Passcode.Keys()
	for _, k := range [][32]byte{[32]byte(code.Sign.Seed()), code.KEMSeed, code.Rdv, code.Lobby, code.Topic} {
		th.pool[k] = true
	}
	if err := home.View(func(tx *store.Tx) error {
		epochs, err := tx.Epochs(g)
		if err != nil {
			return err
		}
		kems, err := tx.KEMs(g)
		if err != nil {
			return err
		}
		single, err := tx.MessageKeys(g)
		if err != nil {
			return err
		}
		for _, e := range epochs {
			th.pool[e.Secret] = true
		}
		for _, k := range kems {
			th.pool[k.Seed] = true
		}
		for _, m := range single {
			th.pool[m.Key] = true
		}
		if len(epochs) == 0 || len(kems) == 0 {
			t.Errorf("the removed had %d epoch secrets and %d KEM seeds: that home is no test", len(epochs), len(kems))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	_, disk := openHome(t, member)
	if err := disk.View(func(tx *store.Tx) error { return th.capture(tx) }); err != nil {
		t.Fatal(err)
	}
	return th
}

// capture takes every frame and every wrap.
func (th *thief) capture(tx *store.Tx) error {
	heads, err := tx.Heads(th.group)
	if err != nil {
		return err
	}
	for _, h := range heads {
		err := tx.EachOp(th.group, h.Inc, h.Chain, 0, h.Seq, func(o store.StoredOp) error {
			op, refusal := groups.Decode(o.Frame)
			switch {
			case refusal != nil:
				return refusal
			case op.Chain == groups.Content:
				th.content = append(th.content, op)
			case op.Kind == groups.KindRekey:
				th.rekeys = append(th.rekeys, op)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, k := range th.rekeys {
		leaves, _, err := (&room{group: th.group}).wraps(tx, k.ID)
		if err != nil {
			return err
		}
		th.wraps = append(th.wraps, leaves)
	}
	return nil
}

// unwrapAll tries every key on every leaf, as if the leaf were of any rekey.
func (th *thief) unwrapAll() {
	for seed := range th.pool {
		for _, leaves := range th.wraps {
			for _, leaf := range leaves {
				for _, k := range th.rekeys {
					if e, err := seal.Unwrap(seed, th.group, k.Ctx(), leaf.ID, uint32(leaf.KemGen), leaf.Wrap); err == nil {
						th.pool[e] = true
					}
				}
			}
		}
	}
}

// opened lists what the thief reads, by operation.
func (th *thief) opened() map[wire.OpID]string {
	th.unwrapAll()
	out := map[wire.OpID]string{}
	for key := range th.pool {
		var epochs []seal.Keys
		for _, k := range th.rekeys {
			epochs = append(epochs, seal.Derive(th.group, k.Ctx(), key))
		}
		for _, op := range th.content {
			candidates := []seal.MessageKey{key}
			for _, e := range epochs {
				candidates = append(candidates, e.Sender(op.IncID()).Message(op.Seq, op.Salt))
			}
			for _, m := range candidates {
				if plain, err := m.Open(groups.ContentAAD(th.group, op), op.Cipher); err == nil {
					out[op.ID] = string(plain)
				}
			}
		}
	}
	return out
}

// saidSince returns what was said on a disk and is not among before.
func (th *thief) saidSince(before map[wire.OpID]bool) (out []wire.OpID) {
	for _, op := range th.content {
		if !before[op.ID] {
			out = append(out, op.ID)
		}
	}
	return out
}

// contentIDs lists the content operations a running node holds.
func contentIDs(t *testing.T, n *Node, g wire.GroupID) map[wire.OpID]bool {
	t.Helper()
	th := &thief{group: g}
	if err := n.store.View(func(tx *store.Tx) error { return th.capture(tx) }); err != nil {
		t.Fatal(err)
	}
	out := map[wire.OpID]bool{}
	for _, op := range th.content {
		out[op.ID] = true
	}
	return out
}

// craft writes a text of this device under an epoch, whether it may or not; on
// the room's goroutine.
func craft(r *room, e groups.Epoch, text string) (*groups.Op, error) {
	plain, err := groups.EncodePlain(groups.Plain{Kind: groups.ContentText, Payload: groups.Text{Text: text}.Encode()})
	if err != nil {
		return nil, err
	}
	var salt [16]byte
	if _, err := io.ReadFull(rand.Reader, salt[:]); err != nil {
		return nil, err
	}
	size, err := seal.SealedLen(len(plain))
	if err != nil {
		return nil, err
	}
	return r.g.ComposeContent(r.me, r.n.dev.keys.Op, r.n.nowMs(), e.EID, salt, size, func(aad []byte, seq uint64) ([]byte, error) {
		return r.keys.epochs[e.EID].keys.Sender(r.me).Message(seq, salt).Seal(aad, plain), nil
	})
}

// removeWithoutRekey removes somebody as a careless node would: it goes on
// speaking under the epoch that the removed knows.
func removeWithoutRekey(t *testing.T, n *Node, g wire.GroupID, a wire.AccountID, text string) {
	t.Helper()
	r := n.room(g)
	err := r.step(t.Context(), func(c *commit) error {
		old, ok := r.sendEpoch()
		if !ok {
			return fmt.Errorf("no epoch to speak under")
		}
		op, err := r.g.ComposeControl(r.me, n.dev.keys.Op, n.nowMs(), groups.KindRemove, &groups.RemoveBody{Account: a, Pins: r.g.PinsFor(a)})
		if err != nil {
			return err
		}
		r.take(c, op) // not takeOwn: that makes a new epoch in the same commit
		said, err := craft(r, old, text)
		if err != nil {
			return err
		}
		r.take(c, said)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// C is removed. With its whole home and everything captured from A's disk it
// opens what was said before and nothing that was said after; where the
// removal comes without a new epoch, it opens what was said after too.
func TestRemovedReadsNothing(t *testing.T) {
	t.Parallel()
	for _, rekeyed := range []bool{true, false} {
		t.Run(fmt.Sprintf("rekey=%v", rekeyed), func(t *testing.T) {
			homeA, homeC := t.TempDir(), t.TempDir()
			a, b, c := startNode(t, homeA, "Ann", nil), testNode(t, "Bo"), startNode(t, homeC, "Cy", nil)
			d := testNode(t, "Di")
			g := newGroup(t, a, api.GroupCreate{})
			inv := invite(t, a, g, 10, "")
			for _, n := range []*Node{b, c, d} {
				join(t, n, inv)
			}
			for i := range 5 {
				say(t, a, g, fmt.Sprint("before A ", i))
				say(t, b, g, fmt.Sprint("before B ", i))
			}
			// C has lived through more than one epoch.
			must[api.Member](t)(a.RemoveMember(t.Context(), g, d.dev.account(), ""))
			say(t, a, g, "before, second epoch")
			hears(t, b, g, "before, second epoch")
			hears(t, c, g, "before, second epoch")
			say(t, c, g, "before C")
			hears(t, a, g, "before C")
			same(t, g, a, b, c)
			before := contentIDs(t, a, g)

			if rekeyed {
				must[api.Member](t)(a.RemoveMember(t.Context(), g, c.dev.account(), ""))
			} else {
				removeWithoutRekey(t, a, g, c.dev.account(), "after, careless")
			}
			for i := range 20 {
				say(t, a, g, fmt.Sprint("after A ", i))
			}
			hears(t, b, g, "after A 19")
			for i := range 20 {
				say(t, b, g, fmt.Sprint("after B ", i))
			}
			hears(t, a, g, "after B 19")
			within(t, c, patience, "C to see that it was removed", func() bool {
				return must[api.Group](t)(c.Group(t.Context(), g)).Status == api.MemberRemoved
			})
			same(t, g, a, b)
			for _, n := range []*Node{c, a} {
				if err := n.Close(); err != nil {
					t.Fatal(err)
				}
			}

			th := newThief(t, g, homeC, homeA, inv.Passcode)
			opened := th.opened()
			for id := range before {
				if _, ok := opened[id]; !ok {
					t.Errorf("the thief cannot open %s of before: it does not try hard enough", id.Short())
				}
			}
			since := th.saidSince(before)
			if len(since) < 40 {
				t.Fatalf("only %d operations since the removal", len(since))
			}
			read := slices.DeleteFunc(slices.Clone(since), func(id wire.OpID) bool { _, ok := opened[id]; return !ok })
			switch {
			case rekeyed && len(read) > 0:
				t.Errorf("the thief opens %d of %d said after the removal", len(read), len(since))
			case !rekeyed && (len(read) != 1 || !strings.Contains(opened[read[0]], "after, careless")):
				t.Errorf("without a new epoch the thief should open the one careless word, opened %d", len(read))
			}
		})
	}
}
