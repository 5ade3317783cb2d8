package node

import (
	"slices"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// Of others' words a device tells three links at a time, those it told longest
// ago, until all know; not who said it himself; and everybody while a topic is new.
func TestHavesGoRound(t *testing.T) {
	ann := testNode(t, "Ann")
	g := newGroup(t, ann, api.GroupCreate{})
	inRoom(t, ann, g, func(r *room) {
		entry := func(seq uint64) groups.VectorEntry {
			return groups.VectorEntry{Inc: wire.OpID{1}, Chain: uint64(groups.Content), Seq: seq, Head: [16]byte{byte(seq)}}
		}
		holds := func(seq uint64) { r.holding, r.haveDue = groups.Vector{entry(seq)}, true }
		for i := range byte(7) {
			peer := wire.PeerKey{i + 1}
			r.links[peer] = &link{peer: peer, out: make(chan *outgoing, 16), toldAt: time.Unix(int64(i), 0)}
		}
		defer clear(r.links)
		defer func() { r.holding = nil }()
		settle := func(ago time.Duration) {
			for _, topic := range r.topics {
				topic.joined = r.n.now().Add(-ago)
			}
		}
		round := func() (told []byte) {
			r.roundAt = r.roundAt.Add(-haveSlow)
			r.tellHave(false)
			for peer, l := range r.links {
				for len(l.out) > 0 {
					told = append(told, peer[0])
					<-l.out
				}
			}
			slices.Sort(told)
			return told
		}
		check := func(what string, got []byte, want ...byte) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Errorf("%s: told %v, want %v", what, got, want)
			}
		}
		settle(2 * topicGathers)
		holds(1)
		check("first", round(), 1, 2, 3)
		r.tellHave(false)
		r.roundAt = r.n.now()
		if !r.haveDue {
			t.Error("those who were not told yet are not owed a have")
		}
		r.hears(r.links[wire.PeerKey{5}], groups.Vector{entry(1)})
		r.hears(r.links[wire.PeerKey{6}], groups.Vector{{Inc: wire.OpID{1}, Chain: uint64(groups.Content), Seq: 1, Head: [16]byte{9}}})
		check("second, one of whom said it himself", round(), 4, 6)
		check("third", round(), 7)
		round()
		if r.haveDue {
			t.Error("a have is owed when all know")
		}
		holds(2)
		settle(time.Second)
		check("a new topic", round(), 1, 2, 3, 4, 5, 6, 7)
		settle(2 * topicGathers)
		holds(3)
		r.passed.chains = map[chainOf]bool{{wire.OpID{1}, groups.Content}: true}
		check("what gossip did not bring", round(), 1, 2, 3, 4, 5, 6, 7)
		holds(4)
		if got := round(); len(got) != haveWide {
			t.Errorf("what came after that: told %v", got)
		}
		// Only that is told to all, or who brings a word past gossip had all tell all.
		brought := entry(1)
		brought.Inc = wire.OpID{2}
		for _, l := range r.links {
			l.told = r.holding
		}
		r.holding, r.haveDue = groups.Vector{entry(5), brought}, true
		r.passed.chains, r.roundAt = map[chainOf]bool{{brought.Inc, groups.Content}: true}, r.n.now()
		r.tellHave(false)
		for peer, l := range r.links {
			m, err := groups.DecodeSync((<-l.out).b)
			if have, ok := m.(*groups.SyncHave); err != nil || !ok || !slices.Equal(have.Entries, groups.Vector{brought}) {
				t.Errorf("%d was told %v (%v) of what gossip brought and did not", peer[0], m, err)
			}
		}
		if !r.haveDue {
			t.Error("nobody is owed what gossip brought")
		}
	})
}

// Who asked a moment ago may not have read the answer when this node ends, also if all
// were told since and nobody is owed a have.
func TestLastWordsAfterAnAnswer(t *testing.T) {
	ann := testNode(t, "Ann")
	g := newGroup(t, ann, api.GroupCreate{})
	inRoom(t, ann, g, func(r *room) {
		defer clear(r.links)
		l := &link{out: make(chan *outgoing, 16), told: r.vectorNow(), answeredAt: r.n.now()}
		r.links[wire.PeerKey{1}] = l
		r.haveDue = true
		r.tellHave(false)
		if r.haveDue || len(l.out) > 0 {
			t.Fatal("it was answered, and told again")
		}
		r.tellHave(true)
		if len(l.out) == 0 {
			t.Error("as the node ends it is told nothing")
		}
	})
}

// What several links have is pulled from one, and from the next if it did not come; what
// only another has, from him at once.
func TestLacksArePulledOnce(t *testing.T) {
	ann := testNode(t, "Ann")
	g := newGroup(t, ann, api.GroupCreate{})
	inRoom(t, ann, g, func(r *room) {
		entry := func(inc byte, seq uint64) groups.VectorEntry {
			return groups.VectorEntry{Inc: wire.OpID{inc}, Chain: uint64(groups.Content), Seq: seq, Head: [16]byte{byte(seq)}}
		}
		defer clear(r.links)
		defer func() { r.holding, r.lackDue = nil, nil }()
		has := map[byte]groups.Vector{1: {entry(1, 2)}, 2: {entry(1, 2)}, 3: {entry(1, 2)}, 4: {entry(2, 1)}}
		for n, entries := range has {
			peer := wire.PeerKey{n}
			r.links[peer] = &link{peer: peer, ask: make(chan struct{}, 1), urgent: make(chan struct{}, 1)}
			r.lackSoon(r.links[peer], entries)
		}
		look := func() (first, second int) {
			r.pullLacks()
			for peer, l := range r.links {
				for len(l.urgent) > 0 {
					<-l.urgent
					<-l.ask
					if peer[0] == 4 {
						second++
					} else {
						first++
					}
				}
			}
			return first, second
		}
		for i, want := range []int{1, 1, 1, 0} {
			first, second := look()
			if first != want || second != want*(1-min(i, 1)) {
				t.Errorf("look %d: %d asked for what three have, %d for what one has", i, first, second)
			}
			if due := r.lackDue != nil; due != (i < 2) {
				t.Errorf("look %d: another is due: %v", i, due)
			}
		}
		for n, entries := range has {
			r.lackSoon(r.links[wire.PeerKey{n}], entries)
		}
		look()
		r.holding = groups.Vector{entry(1, 2), entry(2, 1)}
		if first, _ := look(); first != 0 || r.lackDue != nil {
			t.Error("what came is asked for again")
		}
		// What has come already asks for nobody, and who has a gap before a word was not
		// asked for it.
		for range 20 {
			r.holding = groups.Vector{entry(3, 1), entry(4, 1), entry(5, 1)}
			for n := range byte(3) {
				r.lackSoon(r.links[wire.PeerKey{n + 1}], groups.Vector{entry(1, 2), entry(3+n, 1)})
			}
			if first, _ := look(); first != 1 {
				t.Errorf("%d asked for one word, beside which each names another that is here", first)
			}
			for _, l := range r.links {
				l.lacks = nil
			}
			gap := entry(1, 2)
			gap.Floor = 2
			r.lackSoon(r.links[wire.PeerKey{1}], groups.Vector{gap})
			r.lackSoon(r.links[wire.PeerKey{2}], groups.Vector{entry(1, 2)})
			if first, _ := look(); first != 1 {
				t.Error("who has the word was not asked, for another has a gap before it")
			}
		}
		look()
		look()
		// No word is the zeroth, but a member may name it.
		r.lackSoon(r.links[wire.PeerKey{1}], groups.Vector{entry(1, 0)})
		if first, _ := look(); first != 1 || r.lackDue != nil {
			t.Errorf("%d asked for a word of number 0; another look is due: %v", first, r.lackDue != nil)
		}
	})
}

// What one device says past gossip is told to all some times, and then once in a while;
// what another says is.
func TestPassedOften(t *testing.T) {
	var p passed
	now := time.Unix(0, 0)
	told := func(inc byte, chain groups.ChainKind) bool {
		p.by([]*groups.Op{{Inc: wire.SomeID(wire.OpID{inc}), Chain: chain}}, now)
		return len(p.take()) > 0
	}
	for range passedBurst {
		if !told(1, groups.Content) {
			t.Error("what passed gossip by is not told")
		}
	}
	if told(1, groups.Content) || told(2, groups.Control) {
		t.Error("told too often, or what decides")
	}
	if !told(2, groups.Content) {
		t.Error("another's is not told")
	}
	now = now.Add(haveSlow)
	if !told(1, groups.Content) || told(1, groups.Content) {
		t.Error("after a while it is told once")
	}
}
