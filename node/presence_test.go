package node

import (
	"maps"
	"slices"
	"testing"
	"time"

	"mutuals/groups/groupstest"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh"
	"mutuals/node/mesh/meshtest"
)

// deadAddr is where nobody listens: a dial is refused at once.
const deadAddr = "/ip4/127.0.0.1/tcp/1"

// recordsOf are signed addresses of people that are keys alone.
func recordsOf(t *testing.T, people ...*groupstest.Person) (out [][]byte) {
	t.Helper()
	for _, p := range people {
		out = append(out, must[[]byte](t)(meshtest.Record(p.Keys.Peer, deadAddr)))
	}
	return out
}

// Of a group too large to dial all of it, those are chosen first of whom an
// address is known, by whatever way, and only then others.
func TestChoosesWhoHasAnAddress(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), "Ann", func(cfg *Config) {
		cfg.Mesh = func(c *mesh.Config) { c.OnAbsent = nil } // nobody is known to be away
	})
	g := newGroup(t, n, api.GroupCreate{})
	people := crowdOf(t, n, g, 99)
	self, v := n.mesh.Self(), n.room(g).view.Load()
	choose := func() []wire.PeerKey { return n.somePeers(self, v, &choice{}) }

	blindly := choose()
	people = slices.DeleteFunc(people, func(p *groupstest.Person) bool {
		return slices.Contains(blindly, p.Chain.Leaf().PeerKey)
	})
	ways := map[string]func(p *groupstest.Person, peer wire.PeerKey){
		"a record":          func(p *groupstest.Person, _ wire.PeerKey) { n.learnRecords(recordsOf(t, p)) },
		"the local network": func(_ *groupstest.Person, peer wire.PeerKey) { n.mesh.LearnAddrs(peer, []string{deadAddr}) },
		"a card": func(p *groupstest.Person, peer wire.PeerKey) {
			hint := packHint(must[string](t)(mesh.FullAddr(peer, deadAddr)))
			n.people.mu.Lock()
			defer n.people.mu.Unlock()
			n.people.get(p.Account).card = &identity.SignedCard{Card: identity.Card{Hints: [][]byte{hint}}}
		},
		"a join that waits": func(_ *groupstest.Person, peer wire.PeerKey) {
			n.tasks.take(&task{of: n.tasks, waits: &waiting{Peer: peer, Addrs: []string{deadAddr}}})
		},
	}
	var known []wire.PeerKey
	for _, way := range slices.Sorted(maps.Keys(ways)) {
		p := people[len(known)]
		peer := p.Chain.Leaf().PeerKey
		ways[way](p, peer)
		known = append(known, peer)
		got := choose()
		for _, k := range known {
			if !slices.Contains(got[:len(known)], k) {
				t.Errorf("%s told an address of %s, who is not chosen first", way, k.Short())
			}
		}
		if len(got) != maxLinks {
			t.Errorf("%d are chosen, not %d: without an address they are tried too", len(got), maxLinks)
		}
	}
}

// Where nobody answers, others are chosen beside those whose dials hang, a few more each
// second, until all are tried or many hang; and nobody is dropped who is being dialled.
func TestChoosesBesideWhatHangs(t *testing.T) {
	t.Parallel()
	n := testNode(t, "Ann")
	seats := 500
	g := newGroup(t, n, api.GroupCreate{Cap: &seats})
	people := crowdOf(t, n, g, 400)
	n.learnRecords(recordsOf(t, people...))
	self, v := n.mesh.Self(), n.room(g).view.Load()
	ok(t, n.Close()) // nobody else chooses
	now := time.Now()
	n.absent, n.cfg.Now = newAbsences(), func() time.Time { return now }
	dialled := map[wire.PeerKey]bool{}
	choose := func() (chosen, fresh int) {
		got := n.somePeers(self, v, &choice{})
		for p := range dialled {
			if !slices.Contains(got, p) {
				t.Fatalf("%s is dropped while it is being dialled", p.Short())
			}
		}
		for _, p := range got {
			if !dialled[p] {
				fresh++
				dialled[p] = true
				n.absent.await(p, n.now())
			}
		}
		return len(got), fresh
	}
	if got, _ := choose(); got != maxLinks {
		t.Fatalf("%d are chosen at first, not %d", got, maxLinks)
	}
	for len(dialled) < maxHanging {
		if _, fresh := choose(); fresh != 0 {
			t.Fatalf("%d more are chosen before the others hang", fresh)
		}
		now = now.Add(hangsAfter)
		before := len(dialled)
		if got, fresh := choose(); fresh != min(searchLinks, maxHanging-before) || got != before+fresh {
			t.Fatalf("%d are chosen beside %d that hang, %d of them new", got, before, fresh)
		}
	}
	now = now.Add(hangsAfter)
	if _, fresh := choose(); fresh != 0 {
		t.Fatalf("%d more are chosen though %d hang", fresh, maxHanging)
	}
	// Who is missed makes room.
	for p := range dialled {
		n.absent.missed(p, n.now())
		delete(dialled, p)
		break
	}
	if _, fresh := choose(); fresh != 1 {
		t.Errorf("%d are chosen for one that was missed", fresh)
	}
}
