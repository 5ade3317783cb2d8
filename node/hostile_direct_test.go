package node

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh"
)

// direct hands one frame over and returns the ack.
func (p *applicant) direct(t *testing.T, n *Node, kind uint64, body []byte) (ack ackMsg, err error) {
	t.Helper()
	if err := p.mesh.Connect(t.Context(), n.mesh.Self(), n.mesh.Bound()); err != nil {
		t.Fatal(err)
	}
	s, err := p.mesh.Open(t.Context(), n.mesh.Self(), protocolDirect)
	if err != nil {
		return ack, err
	}
	defer s.Close()
	s.SetDeadline(time.Now().Add(10 * time.Second))
	if err := s.WriteFrame(wire.Marshal(directMsg{V: 1, Kind: kind, Body: body})); err != nil {
		return ack, err
	}
	b, err := s.ReadFrame(maxHelloFrame)
	if err != nil {
		return ack, err
	}
	return ack, wire.Unmarshal(b, &ack)
}

// befriend makes an applicant and a node mutuals.
func (p *applicant) befriend(t *testing.T, n *Node) {
	t.Helper()
	must[api.Person](t)(n.Follow(t.Context(), p.account(), ""))
	e := identity.SignEdge(p.keys, p.chain, n.dev.account(), 1, 1, n.nowMs())
	if ack, err := p.direct(t, n, directEdge, wire.Marshal(e)); err != nil || ack.OK != 1 {
		t.Fatalf("an honest edge: %+v, %v", ack, err)
	}
	if !n.people.mutual(p.account()) {
		t.Fatal("not mutual")
	}
}

func applicants(t *testing.T, n int) []*applicant {
	t.Helper()
	out := make([]*applicant, n)
	for i := range out {
		out[i] = must[*applicant](t)(newApplicant(t.Context()))
		t.Cleanup(func() { out[i].mesh.Close() })
	}
	return out
}

// Anybody can make accounts and follow: it fills a bounded list, one peer does
// it slowly, and nothing is sent to any of them unasked.
func TestMadeUpFollowers(t *testing.T) {
	t.Parallel()
	s := newSiege(t)
	self := s.ann.dev.account()
	edge := func() identity.SignedEdge {
		entropy := must[identity.Entropy](t)(identity.NewEntropy(rand.Reader))
		keys := must[identity.DeviceKeys](t)(identity.NewDeviceKeys(rand.Reader))
		root := entropy.Root()
		cert := identity.Certificate{V: 1, Account: root.Account(), OpKey: keys.ID(), PeerKey: keys.PeerKey(), DeviceNo: 1}
		return identity.SignEdge(keys, identity.Chain{root.Certify(cert)}, self, 1, 1, s.ann.nowMs())
	}
	s.attack(t, "over one link", 2, func(t *testing.T) {
		p := applicants(t, 1)[0]
		taken := 0
		for range 300 {
			if ack, err := p.direct(t, s.ann, directEdge, wire.Marshal(edge())); err == nil && ack.OK == 1 {
				taken++
			}
		}
		if taken > maxDirectFrames+30 {
			t.Errorf("one peer brought %d followers at once", taken)
		}
	})
	s.attack(t, "over any number of links", 2, func(t *testing.T) {
		s.ann.people.mu.Lock()
		for i := range maxStrangers - 10 - s.ann.people.strangers() {
			e := edge0(self, i)
			s.ann.people.byID[e.Edge.From] = &person{account: e.Edge.From, in: &e}
		}
		s.ann.people.mu.Unlock()
		taken := 0
		for range 30 {
			if err := s.ann.takeEdge(t.Context(), edge()); err == nil {
				taken++
			}
		}
		if n := s.ann.people.strangers(); n > maxStrangers || taken != 10 {
			t.Errorf("%d strangers are kept, at most %d; %d of 30 were taken, 10 fit", n, maxStrangers, taken)
		}
	})
	s.attack(t, "a profile for all of them", 2, func(t *testing.T) {
		bio := "hello world"
		must[api.Profile](t)(s.ann.SetProfile(t.Context(), api.ProfilePatch{Bio: &bio}))
		if n := len(s.ann.outboxAccounts()); n > 5 {
			t.Errorf("something waits for %d accounts, made-up ones among them", n)
		}
	})
	s.attack(t, "edges that are none", 2, func(t *testing.T) {
		ps := applicants(t, 2)
		p, q := ps[0], ps[1]
		good := identity.SignEdge(p.keys, p.chain, self, 1, 1, s.ann.nowMs())
		forged := good
		forged.Edge.From = q.account()
		byOther := identity.SignEdge(q.keys, q.chain, self, 2, 1, s.ann.nowMs())
		byOther.Edge.From, byOther.Chain = p.account(), p.chain
		elsewhere := identity.SignEdge(p.keys, p.chain, q.account(), 1, 1, s.ann.nowMs())
		for name, e := range map[string]identity.SignedEdge{"in another's name": forged, "by another key": byOther, "to another": elsewhere} {
			if ack, err := p.direct(t, s.ann, directEdge, wire.Marshal(e)); err == nil && ack.OK != 0 {
				t.Errorf("an edge %s is taken", name)
			}
		}
		ahead := identity.SignEdge(p.keys, p.chain, self, s.ann.nowMs()+3_600_000, 1, s.ann.nowMs())
		if ack, err := p.direct(t, s.ann, directEdge, wire.Marshal(ahead)); err == nil {
			t.Errorf("an edge of an hour ahead is answered %+v: it would not come again", ack)
		}
	})
}

// edge0 is an unsigned edge of a made-up account.
func edge0(to wire.AccountID, i int) identity.SignedEdge {
	var e identity.SignedEdge
	rand.Read(e.Edge.From[:])
	e.Edge.To, e.Edge.N, e.Edge.State = to, uint64(i)+1, 1
	return e
}

// Offers, answers and declines count from whom they can be, and a mutual
// cannot fill the disk with them.
func TestForgedOffers(t *testing.T) {
	s := newSiege(t)
	ps := applicants(t, 3)
	friend, stranger, third := ps[0], ps[1], ps[2]
	friend.befriend(t, s.ann)
	third.befriend(t, s.ann)
	requests := func() []api.Request { return must[[]api.Request](t)(s.ann.Requests(t.Context())) }
	waiting := len(requests())
	offerOf := func(by *applicant, name string, limit uint64, p groups.Policy) offerMsg {
		_, pk := must2(t)(seal.GenerateKEM(rand.Reader))
		var nonce [16]byte
		rand.Read(nonce[:])
		g := groups.ComposeGenesis(by.keys, by.chain, pk, nonce, limit, p, s.ann.nowMs())
		return offerMsg{Inviter: by.account(), Genesis: g.Frame(), Preview: offerPreview{Name: name}, Nonce: nonce}
	}
	offer := func(by *applicant, name string) offerMsg { return offerOf(by, name, 10, groups.DefaultPolicy()) }
	direct := func(by *applicant, to wire.AccountID) offerMsg {
		p := groups.DefaultPolicy()
		p.Waitlist, p.Direct = 0, to[:]
		return offerOf(by, "", 2, p)
	}
	s.attack(t, "offers", 2, func(t *testing.T) {
		byStranger := offer(stranger, "x")
		borrowed := offer(friend, "x") // the friend's, brought by another
		forged := offer(friend, "x")
		forged.Genesis[len(forged.Genesis)-1] ^= 1
		var content []byte
		inRoom(t, s.ann, s.group, func(r *room) {
			size := must[int](t)(seal.SealedLen(100))
			op, err := r.g.ComposeContent(r.me, s.ann.dev.keys.Op, s.ann.nowMs(), [32]byte{1}, [16]byte{}, size, func([]byte, uint64) ([]byte, error) { return make([]byte, size), nil })
			if err != nil {
				t.Fatal(err)
			}
			content = op.Frame()
		})
		message := offer(friend, "x")
		message.Genesis = content
		others := direct(friend, third.account())
		foreign := direct(third, s.ann.dev.account())
		foreign.Inviter = friend.account()
		talk := direct(stranger, s.ann.dev.account())
		for name, try := range map[string]struct {
			by *applicant
			o  offerMsg
		}{"by a stranger": {stranger, byStranger}, "brought by another": {stranger, borrowed}, "with a forged genesis": {friend, forged}, "of a message": {friend, message},
			"of a conversation of others": {friend, others}, "of a conversation with another": {friend, foreign}, "of a conversation by a stranger": {stranger, talk}} {
			if ack, err := try.by.direct(t, s.ann, directOffer, wire.Marshal(try.o)); err != nil || ack.OK != 0 {
				t.Errorf("an offer %s: %+v, %v", name, ack, err)
			}
		}
		if n := len(requests()); n != waiting {
			t.Errorf("%d requests, %d before", n, waiting)
		}
	})
	s.attack(t, "a name cut inside a letter", 2, func(t *testing.T) {
		o := offer(friend, strings.Repeat("山", groups.MaxGroupName))
		if _, err := friend.direct(t, s.ann, directOffer, wire.Marshal(o)); err != nil {
			t.Fatal(err)
		}
		if n := len(requests()); n > waiting+1 {
			t.Errorf("%d requests", n)
		}
	})
	s.attack(t, "offers without end", 2, func(t *testing.T) {
		for range 3 * maxOffers / 2 {
			s.ann.takeOffer(t.Context(), friend.mesh.Self(), wire.Marshal(offer(friend, "again")))
		}
		if n := len(requests()); n > waiting+maxOffers {
			t.Errorf("%d offers wait", n-waiting)
		}
		if err := s.ann.takeOffer(t.Context(), third.mesh.Self(), wire.Marshal(offer(third, "mine"))); err != nil {
			t.Errorf("an offer of somebody else: %v", err)
		}
	})
	s.attack(t, "conversations without end", 2, func(t *testing.T) {
		for range 3 * maxParts {
			s.ann.takeOffer(t.Context(), third.mesh.Self(), wire.Marshal(direct(third, s.ann.dev.account())))
		}
		opened := 0
		for _, r := range s.ann.openRooms() {
			if v := r.view.Load(); v.state.Owner() == third.account() {
				opened++
			}
		}
		if opened == 0 || opened > maxParts {
			t.Errorf("%d conversations of one mutual were opened unasked", opened)
		}
		if groups := must[[]api.Group](t)(s.ann.Groups(t.Context())); len(groups) != 1 {
			t.Errorf("%d groups are listed that nobody was let into", len(groups)-1)
		}
	})
	s.attack(t, "answers and declines by others", 2, func(t *testing.T) {
		task := must[api.Task](t)(s.ann.AddMember(t.Context(), s.group, friend.account()))
		open, ok := s.ann.tasks.open(s.group, api.TaskOffer)[0].what()
		if !ok {
			t.Fatal("an offer waits for nobody")
		}
		_, pk := must2(t)(seal.GenerateKEM(rand.Reader))
		answer := func(by *applicant, nonce [16]byte) []byte {
			req := groups.JoinRequest{
				V: 1, Group: s.group, Inviter: s.ann.dev.account(), Newcomer: by.account(), Chain: by.chain, Pop: by.pop,
				KemPk: pk, Follow: 1, Nonce: nonce, Ms: s.ann.nowMs(),
			}
			return wire.Marshal(answerMsg{Request: req, Sig: req.Sign(by.keys.Op)})
		}
		forged := answer(friend, open.Nonce)
		forged[len(forged)-1] ^= 1
		for name, try := range map[string]struct {
			by   *applicant
			kind uint64
			body []byte
		}{
			"a stranger's yes":           {stranger, directAnswer, answer(stranger, open.Nonce)},
			"another mutual's yes":       {third, directAnswer, answer(third, open.Nonce)},
			"a yes brought by another":   {third, directAnswer, answer(friend, open.Nonce)},
			"a yes to no offer":          {friend, directAnswer, answer(friend, [16]byte{1})},
			"a no by another":            {third, directDecline, wire.Marshal(declineMsg{Group: s.group, Nonce: open.Nonce})},
			"a no to no offer":           {friend, directDecline, wire.Marshal(declineMsg{Group: s.group, Nonce: [16]byte{1}})},
			"a no for a group not here":  {friend, directDecline, wire.Marshal(declineMsg{Nonce: open.Nonce})},
			"a yes for a group not here": {friend, directAnswer, wire.Marshal(answerMsg{Request: groups.JoinRequest{Chain: friend.chain, Nonce: open.Nonce}})},
		} {
			if ack, err := try.by.direct(t, s.ann, try.kind, try.body); err != nil || ack.OK != 0 {
				t.Errorf("%s: %+v, %v", name, ack, err)
			}
		}
		if now := must[api.Task](t)(s.ann.Task(t.Context(), task.ID)); now.Over() {
			t.Errorf("the offer was ended by others: %+v", now)
		}
		if ack, err := friend.direct(t, s.ann, directAnswer, answer(friend, open.Nonce)); err != nil || ack.OK != 1 {
			t.Errorf("the honest yes: %+v, %v", ack, err)
		}
		if now := must[api.Task](t)(s.ann.Task(t.Context(), task.ID)); now.Stage != api.StageJoined {
			t.Errorf("after the honest yes: %+v", now)
		}
	})
}

// What the other side refuses is not shown as delivered, and what it never
// answers does not hold up anybody else.
func TestFalseAcks(t *testing.T) {
	s := newSiege(t)
	ps := applicants(t, 2)
	refuser, silent := ps[0], ps[1]
	served := make(chan struct{}, 64)
	refuser.mesh.Handle(protocolDirect, 4, func(_ context.Context, st *mesh.Stream) {
		for {
			if _, err := st.ReadFrame(maxDirectFrame); err != nil {
				return
			}
			st.WriteFrame(wire.Marshal(ackMsg{V: 1}))
			served <- struct{}{}
		}
	})
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	silent.mesh.Handle(protocolDirect, 4, func(_ context.Context, st *mesh.Stream) { <-hold })
	for _, p := range ps {
		e := identity.SignEdge(p.keys, p.chain, s.ann.dev.account(), 1, 1, s.ann.nowMs())
		if _, err := p.direct(t, s.ann, directEdge, wire.Marshal(e)); err != nil {
			t.Fatal(err)
		}
		must[api.Person](t)(s.ann.Follow(t.Context(), p.account(), ""))
	}
	<-served
	within(t, s.ann, patience, "the refused to leave the outbox", func() bool {
		for _, a := range s.ann.outboxAccounts() {
			if a == refuser.account() {
				return false
			}
		}
		return true
	})
	if p := must[api.Person](t)(s.ann.Person(t.Context(), refuser.account())); p.Delivered {
		t.Error("a follow that was refused is shown as delivered")
	}
	s.flows(t)
	befriend(t, s.ann, testNode(t, "Cy"))
}

func must2(t *testing.T) func(a [32]byte, b []byte, err error) ([32]byte, []byte) {
	return func(a [32]byte, b []byte, err error) ([32]byte, []byte) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return a, b
	}
}
