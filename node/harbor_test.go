package node

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// harborNode starts a node that offers storage.
func harborNode(t testing.TB, dir string) *Node {
	t.Helper()
	return startNode(t, dir, "Hana", func(c *Config) { c.Harbor = true })
}

// appoint makes h a harbor of the group and waits until it holds all there is.
func appoint(t testing.TB, a, h *Node, g wire.GroupID, rights ...string) api.Harbor {
	t.Helper()
	befriend(t, a, h)
	out := must[api.Harbor](t)(a.AddHarbor(t.Context(), api.HarborCreate{Group: g, Who: h.dev.account().String(), Rights: rights}))
	inOffice(t, h, g, true)
	holdsAll(t, g, a, h)
	return out
}

func inOffice(t testing.TB, h *Node, g wire.GroupID, want bool) {
	t.Helper()
	within(t, h, patience, fmt.Sprintf("a harbor in office: %v", want), func() bool {
		r := h.room(g)
		return r != nil && r.view.Load().office.Appointed == want
	})
}

// holdsAll waits until a harbor has every operation and every wrap set of a
// member.
func holdsAll(t testing.TB, g wire.GroupID, a, h *Node) {
	t.Helper()
	same(t, g, a, h)
	var rekeys []groups.Epoch
	inRoom(t, a, g, func(r *room) { rekeys = r.g.Epochs() })
	within(t, h, patience, "the harbor to hold every wrap set", func() (all bool) {
		inRoom(t, h, g, func(r *room) {
			all = !slices.ContainsFunc(rekeys, func(e groups.Epoch) bool { return len(r.office.sets[e.Rekey].leaves) < e.Count-1 })
		})
		return all
	})
}

// Ann says something and goes; Bo comes when she is gone, and finds it at the
// harbor, with the key.
func TestHarborKeepsWhatNobodyElseHas(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	a, b, h := testNode(t, "Ann"), startNode(t, home, "Bo", nil), harborNode(t, t.TempDir())
	g := newGroup(t, a, api.GroupCreate{})
	join(t, b, invite(t, a, g, 1, ""))
	appoint(t, a, h, g, api.RightStore)
	same(t, g, a, b)
	ok(t, b.Close())

	say(t, a, g, "while Bo slept")
	// A new epoch, which Bo knows nothing of.
	inRoom(t, a, g, func(r *room) { ok(t, r.commit(r.rekey)) })
	say(t, a, g, "under another key")
	holdsAll(t, g, a, h)
	ok(t, a.Close())

	b = startNode(t, home, "Bo", nil)
	hears(t, b, g, "while Bo slept")
	hears(t, b, g, "under another key")
	say(t, b, g, "good morning")
	same(t, g, b, h)
}

// A harbor's disk and keys give away nobody's words, names or keys: every row
// is looked through, and every 32 bytes of secrets there are tried on
// everything that is kept.
func TestHarborIsBlind(t *testing.T) {
	home := t.TempDir()
	a, b, h := testNode(t, "Ann"), testNode(t, "Bartholomew"), harborNode(t, home)
	g := newGroup(t, a, api.GroupCreate{Name: "Nightingale"})
	join(t, b, invite(t, a, g, 1, ""))
	appoint(t, a, h, g, api.RightStore, api.RightSponsor)
	for _, n := range []*Node{a, b} {
		say(t, n, g, "a philharmonic word of "+n.ownName())
	}
	same(t, g, a, b)
	words := []string{"Nightingale", "Bartholomew", "philharmonic"}
	var secrets [][32]byte
	inRoom(t, a, g, func(r *room) {
		for _, e := range r.keys.epochs {
			secrets = append(secrets, e.secret)
		}
		for _, s := range r.keys.kem {
			secrets = append(secrets, s.seed)
		}
	})
	holdsAll(t, g, a, h)
	looked := looksThrough(t, a, words, secrets)
	if len(looked) != len(words)+len(secrets) {
		t.Fatalf("on a member's disk only %d of %d are found: that is no test", len(looked), len(words)+len(secrets))
	}
	if looked := looksThrough(t, h, words, secrets); len(looked) > 0 {
		t.Errorf("on the harbor's disk: %q", looked)
	}
	if must[api.Kept](t)(h.KeptGroups(t.Context())).Items[0].Members != 2 {
		t.Error("a harbor that does not even count its members was no test")
	}
	if list := must[[]api.Group](t)(h.Groups(t.Context())); len(list) > 0 {
		t.Errorf("a harbor shows a group: %+v", list)
	}
	if _, err := h.Send(t.Context(), g, api.MessageCreate{Text: "I am a member"}); code(err) != api.NotFound {
		t.Errorf("a harbor speaks: %v", err)
	}

	// Its keys, its appointment's among them, open none of what it keeps.
	th := &thief{group: g, pool: map[[32]byte]bool{}}
	inRoom(t, h, g, func(r *room) { th.pool[r.office.row.OpSeed] = true })
	s := h.dev.secrets
	for _, k := range [][32]byte{s.Master, s.OpSeed, s.PeerSeed, s.StoreKey()} {
		th.pool[k] = true
	}
	ok(t, h.store.View(func(tx *store.Tx) error {
		// Whatever looks like a key, at any place of any row.
		if err := tx.EachRow(func(_, value []byte) error {
			if len(value) <= 256 {
				for i := 0; i+32 <= len(value); i++ {
					th.pool[[32]byte(value[i:])] = true
				}
			}
			return nil
		}); err != nil {
			return err
		}
		return th.capture(tx)
	}))
	if len(th.content) < 4 || len(th.wraps) == 0 {
		t.Fatalf("the harbor keeps %d messages and %d wrap sets: that is no test", len(th.content), len(th.wraps))
	}
	for id := range th.openedBy(th.pool) {
		t.Errorf("the harbor opens %s", id.Short())
	}
	// The same search with a member's secrets finds what there is.
	for _, e := range secrets {
		th.pool[e] = true
	}
	if len(th.openedBy(th.pool)) != len(th.content) {
		t.Error("with the members' keys not everything opens: that search is no test")
	}
}

// openedBy is opened without the wraps, which take long: a pool of secrets is
// tried as epoch secrets and as message keys.
func (th *thief) openedBy(pool map[[32]byte]bool) map[wire.OpID]string {
	out := map[wire.OpID]string{}
	for key := range pool {
		for _, k := range th.rekeys {
			keys := seal.Derive(th.group, k.Ctx(), key)
			if body := k.Body.(*groups.RekeyBody); keys.EID != body.EID {
				continue
			}
			for _, op := range th.content {
				if plain, err := keys.Sender(op.IncID()).Message(op.Seq, op.Salt).Open(groups.ContentAAD(th.group, op), op.Cipher); err == nil {
					out[op.ID] = string(plain)
				}
			}
		}
		for _, op := range th.content {
			if plain, err := seal.MessageKey(key).Open(groups.ContentAAD(th.group, op), op.Cipher); err == nil {
				out[op.ID] = string(plain)
			}
		}
	}
	return out
}

// looksThrough searches every row of a node's store.
func looksThrough(t *testing.T, n *Node, words []string, secrets [][32]byte) (found []string) {
	t.Helper()
	needles := map[string]string{}
	for _, w := range words {
		needles[w] = w
	}
	for i, s := range secrets {
		needles[string(s[:])] = fmt.Sprint("secret ", i)
	}
	ok(t, n.store.View(func(tx *store.Tx) error {
		return tx.EachRow(func(key, value []byte) error {
			for needle, name := range needles {
				if bytes.Contains(value, []byte(needle)) || bytes.Contains(key, []byte(needle)) {
					found = append(found, name)
					delete(needles, needle)
				}
			}
			return nil
		})
	}))
	return found
}

// A harbor listens where members talk, told by name only, and no longer once it
// is withdrawn: then the group has another key and topic, and it is refused.
func TestWithdrawnHarborIsRefused(t *testing.T) {
	t.Parallel()
	a, b, h := testNode(t, "Ann"), testNode(t, "Bo"), harborNode(t, t.TempDir())
	g := newGroup(t, a, api.GroupCreate{})
	join(t, b, invite(t, a, g, 1, ""))
	made := appoint(t, a, h, g)
	_, epoch := topicOf(t, a, g)
	for _, n := range []*Node{a, b} {
		subscribed(t, n, g, epoch.EID, h.mesh.Self(), true)
	}
	if _, err := b.RemoveHarbor(t.Context(), made.ID.String()); code(err) != api.RoleNeeded {
		t.Errorf("a member withdraws a harbor: %v", err)
	}
	must[api.Harbor](t)(a.RemoveHarbor(t.Context(), made.ID.String()))
	inOffice(t, h, g, false)
	_, next := topicOf(t, a, g)
	if next.Gen <= epoch.Gen {
		t.Errorf("epoch %d after the harbor was withdrawn, %d before", next.Gen, epoch.Gen)
	}
	say(t, a, g, "among ourselves")
	hears(t, b, g, "among ourselves")
	within(t, b, patience, "the harbor to be let go", func() bool {
		return b.mesh.Connected(h.mesh.Self()) == false || !b.room(g).view.Load().knows(h.mesh.Self())
	})
	inRoom(t, h, g, func(r *room) {
		if len(r.links) > 0 || len(r.topics) > 0 {
			t.Errorf("%d links and %d topics out of office", len(r.links), len(r.topics))
		}
	})
	// It asks all the same, and is told no more than why not.
	ok(t, h.mesh.Connect(t.Context(), a.mesh.Self(), a.mesh.Bound()))
	ok(t, h.room(g).pull(t.Context(), a.mesh.Self()))
	before := contentIDs(t, h, g)
	for id := range contentIDs(t, a, g) {
		delete(before, id)
	}
	if len(before) > 0 || len(contentIDs(t, h, g)) == len(contentIDs(t, a, g)) {
		t.Error("a withdrawn harbor has what was said since")
	}
	if list := must[[]api.Harbor](t)(a.Harbors(t.Context(), g)); len(list) > 0 {
		t.Errorf("still listed: %+v", list)
	}
	// Appointed again it is another appointment, and gets everything.
	again := must[api.Harbor](t)(a.AddHarbor(t.Context(), api.HarborCreate{Group: g, Who: h.dev.account().String()}))
	if again.Device == made.Device {
		t.Error("one key for two appointments")
	}
	inOffice(t, h, g, true)
	holdsAll(t, g, a, h)
}

// What a node answers who asks it to keep a group.
func TestAppointing(t *testing.T) {
	t.Parallel()
	a, b := testNode(t, "Ann"), testNode(t, "Bo")
	h := harborNode(t, t.TempDir())
	g := newGroup(t, a, api.GroupCreate{})
	join(t, b, invite(t, a, g, 1, ""))
	card := func(n *Node) string { return must[api.Card](t)(n.Card(t.Context())).Text }
	for _, c := range []struct {
		by   *Node
		in   api.HarborCreate
		want api.Code
	}{
		{b, api.HarborCreate{Group: g, Who: card(h)}, api.RoleNeeded},
		{a, api.HarborCreate{Group: wire.GroupID{9}, Who: card(h)}, api.NotFound},
		{a, api.HarborCreate{Group: g, Who: card(h), Rights: []string{"rule"}}, api.BadRequest},
		{a, api.HarborCreate{Group: g, Who: "Hana"}, api.BadRequest},
		{a, api.HarborCreate{Group: g, Who: api.HarborSelf}, api.PeerUnreachable},
		{a, api.HarborCreate{Group: g, Who: card(b)}, api.Declined}, // offers nothing
		{a, api.HarborCreate{Group: g, Who: card(h)}, api.Declined}, // no mutual
	} {
		if _, err := c.by.AddHarbor(t.Context(), c.in); code(err) != c.want {
			t.Errorf("%+v: %v, want %s", c.in, err, c.want)
		}
	}
	befriend(t, a, h)
	self := api.HarborForSelf
	must[api.Settings](t)(h.PatchSettings(t.Context(), api.SettingsPatch{HarborFor: &self}))
	if _, err := a.AddHarbor(t.Context(), api.HarborCreate{Group: g, Who: card(h)}); code(err) != api.Declined {
		t.Errorf("a node that keeps its own groups only keeps a mutual's: %v", err)
	}
	mutuals := api.HarborForMutuals
	must[api.Settings](t)(h.PatchSettings(t.Context(), api.SettingsPatch{HarborFor: &mutuals}))
	made := must[api.Harbor](t)(a.AddHarbor(t.Context(), api.HarborCreate{Group: g, Who: card(h), Quota: 5 << 20}))
	if made.Account != h.dev.account() || made.Name != "Hana" || made.Quota != 5<<20 || !slices.Equal(made.Rights, []string{api.RightStore}) {
		t.Errorf("%+v", made)
	}
	inOffice(t, h, g, true)
	if _, err := a.AddHarbor(t.Context(), api.HarborCreate{Group: g, Who: card(h)}); code(err) != api.Declined {
		t.Errorf("appointed twice: %v", err)
	}
	rights, quota := []string{api.RightStore, api.RightSponsor}, uint64(0)
	changed := must[api.Harbor](t)(a.PatchHarbor(t.Context(), made.ID.String(), api.HarborPatch{Rights: &rights, Quota: &quota}))
	if !slices.Equal(changed.Rights, rights) || changed.Quota != 0 || changed.ID != made.ID {
		t.Errorf("changed: %+v", changed)
	}
	within(t, h, patience, "the harbor to know its right", func() bool { return h.room(g).view.Load().office.Sponsors() })
	// It does not become a member: it could read then.
	task := tryJoin(t, h, invite(t, a, g, 1, ""))
	if task.Stage == api.StageJoined || h.room(g).view.Load().seated() {
		t.Errorf("a harbor joins: %+v", task)
	}
	kept := must[api.Kept](t)(h.KeptGroups(t.Context()))
	if len(kept.Items) != 1 || !kept.Offering || kept.Items[0].For != a.dev.account() || kept.Items[0].Bytes == 0 || kept.Bytes != kept.Items[0].Bytes {
		t.Errorf("kept: %+v", kept)
	}
}

// A harbor that is short of room deletes the oldest words, never who is in; who
// was not away for longer than that misses nothing, and who was gets the rest
// from a member.
func TestHarborPrunes(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	homeB := t.TempDir()
	homeA := t.TempDir()
	a, b, h := startNode(t, homeA, "Ann", nil), startNode(t, homeB, "Bo", nil), harborNode(t, home)
	g := newGroup(t, a, api.GroupCreate{})
	join(t, b, invite(t, a, g, 1, ""))
	made := appoint(t, a, h, g)
	const lines = 60
	for i := range lines {
		say(t, a, g, fmt.Sprint(strings.Repeat("-", 1000), i))
	}
	same(t, g, a, b, h)
	ok(t, b.Close())
	used := must[api.Kept](t)(h.KeptGroups(t.Context())).Bytes
	quota := uint64(used - 20_000)
	must[api.Harbor](t)(a.PatchHarbor(t.Context(), made.ID.String(), api.HarborPatch{Quota: &quota}))
	within(t, h, patience, "the harbor to keep to its quota", func() bool {
		return must[api.Kept](t)(h.KeptGroups(t.Context())).Bytes <= int64(quota)
	})
	var control int
	inRoom(t, a, g, func(r *room) { control = len(r.g.Ops()) })
	var dropped uint64
	inRoom(t, h, g, func(r *room) {
		if got := len(r.g.Ops()); got != control {
			t.Errorf("%d control operations of %d are left", got, control)
		}
		for at, e := range r.heads {
			if at.chain == groups.Content && e.Seq > 0 {
				dropped = max(dropped, r.bodies.dropped[at.inc])
			}
		}
	})
	if dropped < 5 {
		t.Fatalf("nothing was pruned: up to %d", dropped)
	}
	// New words still find room, over a restart too.
	ok(t, h.Close())
	h = harborNode(t, home)
	say(t, a, g, "after the restart")
	same(t, g, a, h)
	if rep := must[store.Report](t)(h.store.Check(t.Context(), func(frame []byte) (wire.OpID, error) {
		op, refusal := groups.Decode(frame)
		if refusal != nil {
			return wire.OpID{}, refusal
		}
		return op.ID, nil
	})); len(rep.Problems) > 0 {
		t.Errorf("problems in the harbor's store: %+v", rep.Problems)
	}
	ok(t, a.Close())
	b = startNode(t, homeB, "Bo", nil)
	hears(t, b, g, "after the restart") // it had all but that

	// Who joins by the harbor's word alone has every chain, from its beginning,
	// and is told that words are gone.
	cy := testNode(t, "Cy")
	join(t, cy, invite(t, b, g, 1, ""))
	same(t, g, b, cy)
	whole(t, cy)

	// Where not even the bare chains find room, their beginnings go.
	quota = 1
	a = startNode(t, homeA, "Ann", nil)
	must[api.Harbor](t)(a.PatchHarbor(t.Context(), made.ID.String(), api.HarborPatch{Quota: &quota}))
	within(t, h, patience, "whole operations to go", func() bool {
		var floor uint64
		inRoom(t, h, g, func(r *room) {
			for at, e := range r.heads {
				if at.chain == groups.Content {
					floor = max(floor, e.Floor)
				}
			}
		})
		return floor > 5
	})
	whole(t, h)
}
