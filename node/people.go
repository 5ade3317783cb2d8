package node

import (
	"context"
	"slices"
	"sync"

	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// maxStrangers bounds accounts that follow without being followed back or
// sharing a group: anybody can make accounts and follow.
const maxStrangers = 1000

// maxPeersOf bounds the devices of one account that are remembered, the newest:
// five are live at most, and some are being replaced. A root can certify any
// number.
const maxPeersOf = 8

// people is what this node knows of other accounts. Rows lie in the store; a
// copy lies here, since every list of names reads it.
type people struct {
	mu   sync.Mutex
	byID map[wire.AccountID]*person
}

// person is one account that is not, or not only, this one.
type person struct {
	account wire.AccountID
	out, in *identity.SignedEdge
	profile *identity.SignedProfile
	card    *identity.SignedCard
	note    personNote
	blocked bool
	// decidedMs is when blocked was said, one way or the other; 0: never.
	decidedMs uint64
	peers     []wire.PeerKey // devices seen in chains that its root vouches for
	revoked   revokedRow
	// The own edge as others show it, after a restore from words; n 0: none.
	saidN, saidState uint64
}

// personNote is what the user keeps of somebody.
// Evolution: fields are added at the end, with a new V.
type personNote struct {
	_         struct{} `cbor:",toarray"`
	V         uint64
	Nickname  string
	Verified  bool
	Delivered uint64 // n of the own edge that the other side acknowledged
}

func (p *person) mutual() bool { return identity.Mutual(p.out, p.in) }
func (p *person) following() bool {
	return p.out != nil && p.out.Edge.State == 1
}
func (p *person) followsUs() bool { return p.in != nil && p.in.Edge.State == 1 }

// name is what to call somebody: the signed profile's name, else what the card
// said.
func (p *person) name() string {
	switch {
	case p.profile != nil:
		return p.profile.Profile.Name
	case p.card != nil:
		return p.card.Card.Name
	}
	return ""
}

// meet notes a device of somebody, as a verified chain names it.
func (p *person) meet(c identity.Chain) {
	if len(c) == 0 || p.reached(c) {
		return
	}
	p.meetPeer(c.Leaf().PeerKey)
}

func (p *person) meetPeer(k wire.PeerKey) {
	if slices.Contains(p.peers, k) || slices.Contains(p.revoked.Peers, k) {
		return
	}
	if len(p.peers) == maxPeersOf {
		p.peers = slices.Delete(p.peers, 0, 1)
	}
	p.peers = append(p.peers, k)
}

// meetPeer notes a device of somebody that a checked path or request names.
func (ps *people) meetPeer(a wire.AccountID, k wire.PeerKey) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.get(a).meetPeer(k)
}

// blocked tells whether the person blocked an account.
func (ps *people) blocked(a wire.AccountID) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.byID[a]
	return p != nil && p.blocked
}

// get returns the person of an account, new if need be. The lock is held.
func (ps *people) get(a wire.AccountID) *person {
	p := ps.byID[a]
	if p == nil {
		p = &person{account: a}
		ps.byID[a] = p
	}
	return p
}

// loadPeople reads what is stored.
func loadPeople(s *store.Store) (*people, error) {
	ps := &people{byID: map[wire.AccountID]*person{}}
	err := s.View(func(tx *store.Tx) error {
		// First: devices that ended are met no more.
		if err := tx.EachPerson(store.Revoked, func(a wire.AccountID, b []byte) error {
			return wire.Unmarshal(b, &ps.get(a).revoked)
		}); err != nil {
			return err
		}
		edges := func(d store.EdgeDirection, set func(*person, *identity.SignedEdge)) error {
			return tx.EachEdge(d, func(a wire.AccountID, b []byte) error {
				var e identity.SignedEdge
				if err := wire.Unmarshal(b, &e); err != nil {
					return err
				}
				set(ps.get(a), &e)
				return nil
			})
		}
		if err := edges(store.EdgeOut, func(p *person, e *identity.SignedEdge) { p.out = e }); err != nil {
			return err
		}
		if err := edges(store.EdgeIn, func(p *person, e *identity.SignedEdge) { p.in = e; p.meet(e.Chain) }); err != nil {
			return err
		}
		if err := tx.EachPerson(store.Profile, func(a wire.AccountID, b []byte) error {
			var v identity.SignedProfile
			if err := wire.Unmarshal(b, &v); err != nil {
				return err
			}
			p := ps.get(a)
			p.profile = &v
			p.meet(v.Chain)
			return nil
		}); err != nil {
			return err
		}
		if err := tx.EachPerson(store.Card, func(a wire.AccountID, b []byte) error {
			var v identity.SignedCard
			if err := wire.Unmarshal(b, &v); err != nil {
				return err
			}
			p := ps.get(a)
			p.card = &v
			p.meet(v.Chain)
			return nil
		}); err != nil {
			return err
		}
		if err := tx.EachPerson(store.Note, func(a wire.AccountID, b []byte) error {
			return wire.Unmarshal(b, &ps.get(a).note)
		}); err != nil {
			return err
		}
		if err := tx.EachPerson(store.Block, func(a wire.AccountID, b []byte) error {
			ps.get(a).blocked = true
			return wire.Unmarshal(b, &ps.get(a).decidedMs)
		}); err != nil {
			return err
		}
		return tx.EachPerson(store.Unblock, func(a wire.AccountID, b []byte) error {
			return wire.Unmarshal(b, &ps.get(a).decidedMs)
		})
	})
	return ps, err
}

// putProfile stores a profile unless a newer one is known.
func (ps *people) putProfile(tx *store.Tx, p identity.SignedProfile) error {
	b, ok, err := tx.Person(store.Profile, p.Profile.Account)
	if err != nil {
		return err
	}
	if ok {
		var old identity.SignedProfile
		if wire.Unmarshal(b, &old) == nil && !identity.NewerProfile(p, old) {
			return nil
		}
	}
	return tx.PutPerson(store.Profile, p.Profile.Account, wire.Marshal(p))
}

// learnProfile takes a stored profile over into memory; renamed tells whether
// it says another name than was known.
func (ps *people) learnProfile(v identity.SignedProfile) (renamed bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.get(v.Profile.Account)
	if p.profile == nil || identity.NewerProfile(v, *p.profile) {
		old := p.name()
		p.profile = &v
		p.meet(v.Chain)
		return p.name() != old
	}
	return false
}

// name returns what an account calls itself, "" if it never said.
func (ps *people) name(a wire.AccountID) string {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.byID[a]; p != nil {
		return p.name()
	}
	return ""
}

// mutual tells whether two verified edges join this account and another.
func (ps *people) following(a wire.AccountID) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.byID[a]
	return p != nil && p.following()
}

func (ps *people) mutual(a wire.AccountID) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.byID[a]
	return p != nil && p.mutual()
}

// devices returns the peer keys of an account's devices that are known.
func (ps *people) devices(a wire.AccountID) []wire.PeerKey {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.byID[a]; p != nil {
		return slices.Clone(p.peers)
	}
	return nil
}

// claimants returns the accounts whose chains name a peer as their device.
// They are claims: a chain needs no proof by the peer key (identity/SPEC.md I9),
// so nothing secret may depend on them.
func (ps *people) claimants(peer wire.PeerKey) []wire.AccountID {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var out []wire.AccountID
	for a, p := range ps.byID {
		if slices.Contains(p.peers, peer) {
			out = append(out, a)
		}
	}
	return out
}

// strangers counts who follows without any tie to this account.
func (ps *people) strangers() int {
	n := 0
	for _, p := range ps.byID {
		if p.in != nil && p.out == nil {
			n++
		}
	}
	return n
}

func (p *person) api() api.Person {
	out := api.Person{
		Account: p.account, Name: p.name(), Nickname: p.note.Nickname, Following: p.following(), FollowsYou: p.followsUs(),
		Mutual: p.mutual(), Verified: p.note.Verified, Blocked: p.blocked, Said: p.said(),
	}
	if p.out != nil {
		out.Delivered = p.note.Delivered >= p.out.Edge.N
	}
	return out
}

// list returns the people that keep says yes to, by name and then account.
func (ps *people) list(keep func(*person) bool) []api.Person {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var out []api.Person
	for _, p := range ps.byID {
		if keep(p) {
			out = append(out, p.api())
		}
	}
	slices.SortFunc(out, func(a, b api.Person) int {
		if a.Name != b.Name {
			if a.Name < b.Name {
				return -1
			}
			return 1
		}
		return slices.Compare(a.Account[:], b.Account[:])
	})
	return out
}

// People returns everybody this account follows, is followed by or blocks.
func (n *Node) People(context.Context) ([]api.Person, error) {
	return n.people.list(func(p *person) bool { return p.following() || p.followsUs() || p.blocked }), nil
}

// Follows returns whom this account follows, and after a restore whom others
// say it does.
func (n *Node) Follows(context.Context) ([]api.Person, error) {
	return n.people.list(func(p *person) bool { return p.following() || p.said() }), nil
}

// Followers returns who follows this account.
func (n *Node) Followers(context.Context) ([]api.Person, error) {
	return n.people.list(func(p *person) bool { return p.followsUs() && !p.blocked }), nil
}

// Mutuals returns who follows this account and is followed by it.
func (n *Node) Mutuals(context.Context) ([]api.Person, error) {
	return n.people.list(func(p *person) bool { return p.mutual() && !p.blocked }), nil
}

// Person returns one account; problem not_found if nothing is known of it.
func (n *Node) Person(_ context.Context, a wire.AccountID) (api.Person, error) {
	n.people.mu.Lock()
	defer n.people.mu.Unlock()
	p := n.people.byID[a]
	if p == nil {
		return api.Person{}, api.NewProblem(api.NotFound).Explain("nothing is known of %v", a)
	}
	return p.api(), nil
}
