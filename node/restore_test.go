package node

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh"
)

func wordsOf(t testing.TB, n *Node) string {
	t.Helper()
	return must[api.Words](t)(n.ConfirmWords(t.Context(), false)).Words
}

// restoreNode makes a new device of an account from its words.
func restoreNode(t testing.TB, words, name string) *Node {
	t.Helper()
	n := openNode(t, t.TempDir())
	must[api.Identity](t)(n.CreateIdentity(t.Context(), api.IdentityCreate{Name: name, Words: words}))
	return n
}

// Who has heard from nobody yet whom it follows is not told to confirm that it
// follows nobody: what others say later would wait unseen.
func TestRestoredHearsFirst(t *testing.T) {
	n := restoreNode(t, wordsOf(t, testNode(t, "Ann")), "Ann")
	for _, f := range must[[]api.Finding](t)(n.Doctor(t.Context())) {
		if f.Check == "restore" {
			t.Errorf("%s: %s", f.Title, f.Hint)
		}
	}
}

// isBack waits until a restored device is in a group and can speak.
func isBack(t testing.TB, n *Node, g wire.GroupID) {
	t.Helper()
	within(t, n, patience, n.ownName()+" to be back", func() bool {
		r := n.room(g)
		if r == nil || !r.hasDevice() {
			return false
		}
		v := r.view.Load()
		return v.epoch.Gen > 0 && v.meta.Name != ""
	})
}

// Whoever shares a group lets a device back in that only has the words: it
// reads what the account could read, speaks and administrates; and what others
// say of whom it follows waits for its person.
func TestRestoredDeviceIsBackInItsGroups(t *testing.T) {
	t.Parallel()
	ann, bo, cy := testNode(t, "Ann"), testNode(t, "Bo"), testNode(t, "Cy")
	hers := newGroup(t, ann, api.GroupCreate{Name: "Hers"})
	join(t, bo, invite(t, ann, hers, 2, ""))
	join(t, cy, invite(t, ann, hers, 2, ""))
	his := newGroup(t, bo, api.GroupCreate{Name: "His"})
	join(t, ann, invite(t, bo, his, 1, ""))
	say(t, ann, hers, "before the fire")
	hears(t, bo, hers, "before the fire")
	within(t, cy, patience, "mutual", func() bool { return cy.people.mutual(ann.dev.account()) })
	words := wordsOf(t, ann)
	if err := ann.Close(); err != nil {
		t.Fatal(err)
	}

	again := restoreNode(t, words, "Ann")
	on := api.AutoAcceptMutuals
	must[api.Settings](t)(again.PatchSettings(t.Context(), api.SettingsPatch{AutoAccept: &on}))
	follow(t, again, bo)
	for _, g := range []wire.GroupID{hers, his} {
		isBack(t, again, g)
	}
	hears(t, again, hers, "before the fire")
	say(t, again, hers, "here I am again")
	for _, n := range []*Node{bo, cy} {
		hears(t, n, hers, "here I am again")
	}
	say(t, bo, his, "welcome back")
	hears(t, again, his, "welcome back")
	limit := 7
	if g := must[api.Group](t)(again.PatchGroup(t.Context(), hers, api.GroupPatch{Cap: &limit})); g.Cap != 7 || g.Role != api.RoleOwner {
		t.Errorf("the restored owner's group: %+v", g)
	}
	within(t, bo, patience, "the owner's rule", func() bool { return must[api.Group](t)(bo.Group(t.Context(), hers)).Cap == 7 })
	same(t, hers, bo, again, cy)
	inRoom(t, bo, hers, func(r *room) {
		m, _ := r.g.State().Member(again.dev.account())
		live := 0
		for _, inc := range m.Incs {
			if inc.Live {
				live++
			}
		}
		if live != 2 {
			t.Errorf("%d live devices of the account, want the old one and the new one", live)
		}
	})

	// Cy shows the edge that the old device made.
	within(t, again, patience, "what Cy says", func() bool {
		return len(must[[]api.Person](t)(again.Follows(t.Context()))) == 2
	})
	for _, p := range must[[]api.Person](t)(again.Follows(t.Context())) {
		if isCy := p.Account == cy.dev.account(); p.Said != isCy || p.Following == isCy {
			t.Errorf("%s: %+v", p.Name, p)
		}
	}
	if again.acceptsOffers(false) {
		t.Error("seats are taken unasked before the person said whom it follows")
	}
	if done := must[[]api.Person](t)(again.ConfirmFollows(t.Context(), nil)); len(done) != 1 || !done[0].Following {
		t.Errorf("confirmed: %+v", done)
	}
	within(t, again, patience, "Cy's own edge", func() bool { return again.people.mutual(cy.dev.account()) })
	if !again.acceptsOffers(false) {
		t.Error("seats are not taken unasked though that was set, and all is confirmed")
	}
	within(t, cy, patience, "the new edge", func() bool {
		cy.people.mu.Lock()
		defer cy.people.mu.Unlock()
		return cy.people.byID[again.dev.account()].in.Edge.By == again.dev.id()
	})
}

// The passcode of a group one is in already brings the restored device back in,
// and uses up none of it.
func TestRestoredByPasscode(t *testing.T) {
	ann, bo := testNode(t, "Ann"), testNode(t, "Bo")
	g := newGroup(t, ann, api.GroupCreate{})
	join(t, bo, invite(t, ann, g, 1, ""))
	inv := invite(t, ann, g, 1, "")
	words := wordsOf(t, bo)
	if err := bo.Close(); err != nil {
		t.Fatal(err)
	}
	again := restoreNode(t, words, "Bo")
	join(t, again, inv)
	isBack(t, again, g)
	say(t, again, g, "by the old code")
	hears(t, ann, g, "by the old code")
	for _, i := range must[[]api.Invite](t)(ann.Invites(t.Context(), g)) {
		if i.ID == inv.ID && i.Used != 0 {
			t.Errorf("coming back used the code: %+v", i)
		}
	}
}

// claimant is a peer that says hello to a node as it likes.
type claimant struct {
	*applicant
	to *Node
}

// tell sends frames and returns what comes back before the other end closes.
func (p claimant) tell(t *testing.T, frames ...[]byte) (answers [][]byte) {
	t.Helper()
	if err := p.mesh.Connect(t.Context(), p.to.mesh.Self(), p.to.mesh.Bound()); err != nil {
		t.Fatal(err)
	}
	s, err := p.mesh.Open(t.Context(), p.to.mesh.Self(), protocolRestore)
	if err != nil {
		return nil
	}
	defer s.Close()
	s.SetDeadline(time.Now().Add(10 * time.Second))
	for _, f := range frames {
		if s.WriteFrame(f) != nil {
			return answers
		}
	}
	s.CloseWrite()
	for {
		b, err := s.ReadFrame(maxPathFrame)
		if err != nil {
			return answers
		}
		answers = append(answers, b)
	}
}

// hello is sealed for an account, with whatever certificate and proofs.
func (p claimant) hello(t *testing.T, chain identity.Chain, pop identity.Pop) []byte {
	t.Helper()
	return wire.Marshal(must[identity.RestoreHello](t)(identity.NewRestoreHello(rand.Reader, chain, pop, p.to.mesh.Self())))
}

// returning is a device that Bo's root certified, and which is in no group.
func returning(t *testing.T, words string) *applicant {
	t.Helper()
	root := must[identity.Entropy](t)(identity.ParseWords(words)).Root()
	keys := must[identity.DeviceKeys](t)(identity.NewDeviceKeys(rand.Reader))
	p := &applicant{keys: keys, chain: identity.NewChain(root, keys, 2, 0, uint64(time.Now().UnixMilli()))}
	p.pop = keys.Prove(p.chain.Leaf())
	p.mesh = must[*mesh.Mesh](t)(mesh.New(t.Context(), mesh.Config{Key: keys.Peer, Listen: []string{"/ip4/127.0.0.1/tcp/0"}}))
	t.Cleanup(func() { p.mesh.Close() })
	return p
}

// askBack asks for a seat of an own device, as R42 has it.
func (p *applicant) askBack(t *testing.T, g wire.GroupID, ms uint64) returnMsg {
	t.Helper()
	_, pk, err := seal.GenerateKEM(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	req := groups.JoinRequest{V: 1, Group: g, Inviter: p.account(), Newcomer: p.account(), Chain: p.chain, Pop: p.pop, KemPk: pk, Follow: 1, Ms: ms}
	if _, err := io.ReadFull(rand.Reader, req.Nonce[:]); err != nil {
		t.Fatal(err)
	}
	return returnMsg{V: 1, Step: restoreAsk, Request: req, Sig: req.Sign(p.keys.Op)}
}

// Nobody but a device that the account's root certified, over its own
// connection, hears a word; and it gets into no group but its account's.
func TestOnlyTheAccountIsLetBack(t *testing.T) {
	s := newSiege(t)
	bo := s.bo.dev.account()
	words := wordsOf(t, s.bo)
	seats := func() (n int) {
		inRoom(t, s.ann, s.group, func(r *room) {
			m, _ := r.g.State().Member(bo)
			n = len(m.Incs)
		})
		return n
	}
	silent := func(name string, p *applicant, hello func(claimant) []byte) {
		s.attack(t, name, 2, func(t *testing.T) {
			c := claimant{p, s.ann}
			if got := c.tell(t, hello(c)); len(got) != 0 {
				t.Errorf("answered with %d frames", len(got))
			}
		})
	}
	strange := applicants(t, 1)[0]
	silent("an account nobody knows", strange, func(c claimant) []byte { return c.hello(t, c.chain, c.pop) })

	self := returning(t, words)
	forged := slices.Clone(self.chain)
	forged[0].Sig[7] ^= 1
	silent("no certificate by the root", self, func(c claimant) []byte { return c.hello(t, forged, c.pop) })
	silent("without proof of the keys", self, func(c claimant) []byte { return c.hello(t, c.chain, strange.pop) })
	other := returning(t, words)
	silent("another device's hello", other, func(c claimant) []byte {
		return claimant{self, s.ann}.hello(t, self.chain, self.pop) // overheard, or its own machine's
	})
	added := returning(t, words)
	var err error
	if added.chain, err = s.bo.dev.chain.Extend(s.bo.dev.keys, identity.NewCertificate(bo, added.keys, 3, 0, 1)); err != nil {
		t.Fatal(err)
	}
	silent("a device that only another device added", added, func(c claimant) []byte {
		return c.hello(t, c.chain, c.keys.Prove(c.chain.Leaf()))
	})

	show := wire.Marshal(showMsg{V: 1, Step: restoreShow, Group: s.group})
	now := s.ann.nowMs()
	verdicts := func(p *applicant, ask returnMsg) (last verdictMsg) {
		c := claimant{p, s.ann}
		got := c.tell(t, c.hello(t, c.chain, c.pop), show, wire.Marshal(ask))
		if len(got) != 4 { // list, genesis, path, verdict
			t.Fatalf("%d answers", len(got))
		}
		if err := wire.Unmarshal(got[3], &last); err != nil {
			t.Fatal(err)
		}
		return last
	}
	p := returning(t, words)
	s.attack(t, "a group it was not told", 2, func(t *testing.T) {
		c := claimant{p, s.ann}
		bad := wire.Marshal(showMsg{V: 1, Step: restoreShow, Group: wire.GroupID{7}})
		if got := c.tell(t, c.hello(t, c.chain, c.pop), bad); len(got) > 1 {
			t.Errorf("%d answers, want the list alone", len(got))
		}
	})
	for name, ask := range map[string]returnMsg{
		"another device's request": other.askBack(t, s.group, now),
		"a request a week old":     p.askBack(t, s.group, now-groups.RequestMs-1),
		"a request of tomorrow":    p.askBack(t, s.group, now+24*3600_000),
		"another group's request":  p.askBack(t, wire.GroupID{7}, now),
		"a request signed by another": func() returnMsg {
			ask := p.askBack(t, s.group, now)
			ask.Sig = ask.Request.Sign(strange.keys.Op)
			return ask
		}(),
	} {
		s.attack(t, name, 2, func(t *testing.T) {
			before := seats()
			p := returning(t, words) // a peer may say hello a few times a minute
			if name != "another device's request" {
				ask.Request.Chain, ask.Request.Pop = p.chain, p.pop
				if name != "a request signed by another" {
					ask.Sig = ask.Request.Sign(p.keys.Op)
				}
			}
			if v := verdicts(p, ask); v.Outcome != outcomeRefused || v.Reason == 0 {
				t.Errorf("verdict %+v", v)
			}
			if seats() != before {
				t.Error("a device was added")
			}
		})
	}
	s.attack(t, "the same device, again and again", 2, func(t *testing.T) {
		before := seats()
		first := verdicts(p, p.askBack(t, s.group, now))
		second := verdicts(p, p.askBack(t, s.group, now))
		if first.Outcome != outcomeAdmitted || string(first.Admit) != string(second.Admit) {
			t.Errorf("%d and %d, the same answer %v", first.Outcome, second.Outcome, string(first.Admit) == string(second.Admit))
		}
		if seats() != before+1 {
			t.Errorf("%d incs, want %d", seats(), before+1)
		}
	})
	s.attack(t, "a flood", 3, func(t *testing.T) {
		answered := 0
		for range 5 * restoresPerMinute {
			c := claimant{p, s.ann}
			if len(c.tell(t, c.hello(t, c.chain, c.pop))) > 0 {
				answered++
			}
		}
		if answered > restoresPerMinute {
			t.Errorf("one peer was answered %d times at once", answered)
		}
	})
}

// A member that lies about groups does not get a restored device into one that
// its account never entered.
func TestRestoredDeviceIsNotEnlisted(t *testing.T) {
	ann := testNode(t, "Ann")
	again := restoreNode(t, wordsOf(t, ann), "Ann")
	liar := testNode(t, "Liar")
	trap := newGroup(t, liar, api.GroupCreate{Name: "Trap"})
	var path []*groups.Op
	inRoom(t, liar, trap, func(r *room) { path = r.g.AdmissionPath(wire.OpID(trap), r.me) })
	lies := map[string]func(s *mesh.Stream) error{
		"a group it never entered": func(s *mesh.Stream) error {
			if err := s.WriteFrame(path[0].Frame()); err != nil {
				return err
			}
			return writeRestore(s, pathMsg{V: 1, Step: restorePath})
		},
		"another genesis": func(s *mesh.Stream) error {
			other := groups.ComposeGenesis(liar.dev.keys, liar.dev.chain, make([]byte, 1216), [16]byte{1}, 5, groups.DefaultPolicy(), liar.nowMs())
			return s.WriteFrame(other.Frame())
		},
		"noise": func(s *mesh.Stream) error { return s.WriteFrame([]byte("noise")) },
	}
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			p := applicants(t, 1)[0]
			told := make(chan error, 1)
			p.mesh.Handle(protocolRestore, 1, func(_ context.Context, s *mesh.Stream) {
				defer s.Close()
				hello := must[[]byte](t)(s.ReadFrame(identity.MaxRestoreHello))
				h := must[identity.RestoreHello](t)(identity.DecodeRestoreHello(hello))
				if _, _, ok, err := h.Open(ann.dev.account(), s.Peer(), p.mesh.Self()); !ok || err != nil {
					t.Errorf("the hello does not open: %v, %v", ok, err)
				}
				if err := writeRestore(s, listMsg{V: 1, Step: restoreList, Groups: []wire.GroupID{trap}}); err != nil {
					told <- err
					return
				}
				var show showMsg
				if err := readRestore(s, maxShowFrame, &show); err != nil {
					told <- err
					return
				}
				if err := lie(s); err != nil {
					told <- err
					return
				}
				var ask returnMsg
				told <- readRestore(s, maxAskFrame, &ask) // nothing must come
			})
			if err := again.mesh.Connect(t.Context(), p.mesh.Self(), p.mesh.Bound()); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-told:
				if err == nil {
					t.Error("the device asked to be let in")
				}
			case <-time.After(patience):
				t.Fatal("the device never asked")
			}
			if again.room(trap) != nil {
				t.Error("the group is here")
			}
		})
	}
}

// A copy of an own edge counts for what it is: the newest is shown, one that
// another account signed is not, and none is followed without a yes.
func TestSaidEdges(t *testing.T) {
	ann, bo := testNode(t, "Ann"), testNode(t, "Bo")
	again := restoreNode(t, wordsOf(t, ann), "Ann")
	edge := func(by *Node, n, state uint64) []byte {
		return wire.Marshal(identity.SignEdge(by.dev.keys, by.dev.chain, wire.AccountID(bo.dev.account()), n, state, n))
	}
	said := func() bool {
		p, err := again.Person(t.Context(), bo.dev.account())
		return err == nil && p.Said
	}
	now := again.nowMs()
	hear := func(frame []byte) error { return again.hearSaid(t.Context(), frame) }
	if err := hear(edge(ann, now-1000, 1)); err != nil || !said() {
		t.Fatalf("an old device's edge: %v, said %v", err, said())
	}
	if err := hear(edge(ann, now-500, 0)); err != nil || said() {
		t.Errorf("withdrawn since: %v, said %v", err, said())
	}
	if err := hear(edge(ann, now-700, 1)); err != nil || said() {
		t.Errorf("an older copy: %v, said %v", err, said())
	}
	if err := hear(edge(ann, now+3600_000, 1)); err != nil || said() {
		t.Errorf("of a clock ahead: %v, said %v", err, said())
	}
	cy := testNode(t, "Cy")
	if err := hear(edge(cy, now, 1)); !errors.Is(err, errForged) {
		t.Errorf("another's edge: %v", err)
	}
	if err := hear(edge(ann, now-100, 1)); err != nil || !said() {
		t.Fatalf("followed again: %v, said %v", err, said())
	}
	if again.people.mutual(bo.dev.account()) || len(must[[]api.Person](t)(again.ConfirmFollows(t.Context(), nil))) != 1 {
		t.Error("said counts as followed, or was not confirmed")
	}
	p := must[api.Person](t)(again.Person(t.Context(), bo.dev.account()))
	if p.Said || !p.Following {
		t.Errorf("confirmed: %+v", p)
	}
}
