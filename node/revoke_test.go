package node

import (
	"testing"

	"mutuals/groups"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// lostAndFound is a group of Ann, who has an old device that runs and a new one
// made from her words, and Bo.
type lostAndFound struct {
	old, now, bo *Node
	oldHome      string
	g            wire.GroupID
	words        string
}

func newLostAndFound(t *testing.T) *lostAndFound {
	t.Helper()
	l := &lostAndFound{oldHome: t.TempDir(), bo: testNode(t, "Bo")}
	l.old = startNode(t, l.oldHome, "Ann", nil)
	l.words = wordsOf(t, l.old)
	l.g = newGroup(t, l.old, api.GroupCreate{})
	join(t, l.bo, invite(t, l.old, l.g, 1, ""))
	befriended := func() bool { return l.bo.people.mutual(l.old.dev.account()) }
	within(t, l.bo, patience, "mutual", befriended)
	say(t, l.old, l.g, "on the telephone")
	hears(t, l.bo, l.g, "on the telephone")
	l.now = restoreNode(t, l.words, "Ann")
	follow(t, l.now, l.bo)
	isBack(t, l.now, l.g)
	hears(t, l.now, l.g, "on the telephone")
	within(t, l.now, patience, "the old device in the list", func() bool { return len(must[[]api.Device](t)(l.now.Devices(t.Context()))) == 2 })
	same(t, l.g, l.bo, l.now, l.old)
	return l
}

// isOver waits until a node sees a device of the group stopped.
func isOver(t *testing.T, n *Node, g wire.GroupID, d wire.DeviceID) {
	t.Helper()
	within(t, n, patience, n.ownName()+" to see the device stopped", func() bool {
		for _, m := range n.room(g).view.Load().state.Members() {
			for _, inc := range m.Incs {
				if inc.Device == d && inc.Cut {
					return true
				}
			}
		}
		return false
	})
}

// A conversation of two has no name of its own: the answer to a revocation
// calls it by the other's.
func TestRevocationNamesAConversation(t *testing.T) {
	ann, bo := testNode(t, "Ann"), testNode(t, "Bo")
	befriend(t, ann, bo)
	must[api.Group](t)(ann.CreateGroup(t.Context(), api.GroupCreate{Direct: bo.dev.account()}))
	done := must[api.DeviceRevoked](t)(ann.revokedWhere(t.Context(), wire.DeviceID{1}))
	if len(done.Groups) != 1 || done.Groups[0].Name != "Bo" {
		t.Errorf("the groups are %+v", done.Groups)
	}
}

// A device that is revoked is stopped in every group, reads nothing that is
// said from then on, speaks to nobody, and says so itself; what it had said
// stays, and what it has it still reads.
func TestRevokedDeviceIsShutOut(t *testing.T) {
	t.Parallel()
	l := newLostAndFound(t)
	lost := l.old.dev.id()
	done := must[api.DeviceRevoked](t)(l.now.RevokeDevice(t.Context(), lost, api.DeviceRevoke{Reason: api.RevokedStolen}))
	if done.Device.RevokedAt.IsZero() || done.Device.RevokedReason != api.RevokedStolen || len(done.Groups) != 1 {
		t.Errorf("revoked: %+v", done)
	}
	for _, n := range []*Node{l.bo, l.now} {
		isOver(t, n, l.g, lost)
	}
	say(t, l.now, l.g, "not for the thief")
	hears(t, l.bo, l.g, "not for the thief")
	say(t, l.bo, l.g, "nor is this")
	hears(t, l.now, l.g, "nor is this")
	hears(t, l.bo, l.g, "on the telephone")
	inRoom(t, l.bo, l.g, func(r *room) {
		for _, op := range r.g.Ops() {
			if b, ok := op.Body.(*groups.DevRevokeBody); ok && len(b.Pins) != 1 {
				t.Errorf("%d pins, want the telephone's", len(b.Pins))
			}
		}
	})
	within(t, l.old, patience, "the thief's device to know", func() bool { return l.old.Status(t.Context()).Revoked })
	isOver(t, l.old, l.g, lost)
	if _, err := l.old.Send(t.Context(), l.g, api.MessageCreate{Text: "it is me"}); code(err) != api.Revoked {
		t.Errorf("the revoked device writes: %v", err)
	}
	for what, err := range map[string]error{
		"a group":  func() error { _, err := l.old.CreateGroup(t.Context(), api.GroupCreate{Name: "New"}); return err }(),
		"a follow": func() error { _, err := l.old.Follow(t.Context(), wire.AccountID{1}, ""); return err }(),
		"a sibling": func() error {
			_, err := l.old.RevokeDevice(t.Context(), l.now.dev.id(), api.DeviceRevoke{})
			return err
		}(),
	} {
		if code(err) != api.Revoked {
			t.Errorf("%s of the revoked device: %v", what, err)
		}
	}
	hears(t, l.old, l.g, "on the telephone")
	for _, s := range texts(t, l.old, l.g) {
		if s == "not for the thief" || s == "nor is this" {
			t.Errorf("the revoked device reads %q", s)
		}
	}
	within(t, l.bo, patience, "the contact to let go of it", func() bool {
		return !l.bo.mesh.Connected(l.old.mesh.Self()) && !l.now.mesh.Connected(l.old.mesh.Self())
	})

	// After a restart it is the same on all sides.
	if err := l.old.Close(); err != nil {
		t.Fatal(err)
	}
	l.old = startNode(t, l.oldHome, "Ann", nil)
	if !l.old.Status(t.Context()).Revoked {
		t.Error("it has forgotten that it was revoked")
	}
	if len(l.bo.devicesOf(l.now.dev.account())) != 1 {
		t.Error("the contact still dials it")
	}
}

// What a revoked device dates later does not count, with contacts that share no
// group either, and its account's other devices are not touched.
func TestRevokedDeviceSpeaksToNobody(t *testing.T) {
	t.Parallel()
	l := newLostAndFound(t)
	cy := testNode(t, "Cy")
	befriend(t, l.now, cy)
	must[api.DeviceRevoked](t)(l.now.RevokeDevice(t.Context(), l.old.dev.id(), api.DeviceRevoke{}))
	over := func(n *Node) func() bool {
		return func() bool { return n.people.revoked(l.old.dev.chain) && !n.people.revoked(l.now.dev.chain) }
	}
	for _, n := range []*Node{cy, l.bo} {
		within(t, n, patience, n.ownName()+" to hear of the revocation", over(n))
	}
	later := cy.nowMs() + 1000
	edge := identity.SignEdge(l.old.dev.keys, l.old.dev.chain, cy.dev.account(), later, 0, later)
	if err := cy.takeEdge(t.Context(), edge); err == nil || !cy.people.mutual(l.now.dev.account()) {
		t.Errorf("a later edge of the revoked device: %v", err)
	}
	profile := must[identity.SignedProfile](t)(identity.SignProfile(l.old.dev.keys, l.old.dev.chain, later, "Not Ann", "", nil))
	if err := cy.takeContactProfile(t.Context(), profile); err == nil || cy.nameOf(l.now.dev.account()) != "Ann" {
		t.Errorf("a later profile: %v, name %q", err, cy.nameOf(l.now.dev.account()))
	}
	card := must[identity.SignedCard](t)(identity.SignCard(l.old.dev.keys, l.old.dev.chain, "Ann", nil, later))
	if _, err := cy.Follow(t.Context(), l.now.dev.account(), card.Text()); err == nil {
		t.Error("its card is taken")
	}

	// The thief's own revocation of the other device is too late, and it does
	// not get back into the group by the root's certificate it has.
	back := identity.SignRevocation(l.old.dev.keys, l.old.dev.chain, l.now.dev.id(), identity.ReasonLost, later)
	if err := cy.learnRevocation(t.Context(), back); err != nil || cy.people.revoked(l.now.dev.chain) {
		t.Errorf("a revocation by the revoked counts: %v", err)
	}
	p := &applicant{keys: l.old.dev.keys, chain: l.old.dev.chain, pop: l.old.dev.pop}
	ask := p.askBack(t, l.g, l.bo.nowMs())
	isOver(t, l.bo, l.g, l.old.dev.id())
	if v := l.bo.room(l.g).addDevice(t.Context(), p.chain, &ask); v.Outcome != outcomeRefused || groups.Reason(v.Reason) != groups.ReasonRevoked {
		t.Errorf("the revoked device asks to come back: %+v", v)
	}
	// A code does not let it in either, though this group never heard of it.
	other := newGroup(t, l.bo, api.GroupCreate{Name: "Other"})
	task := must[verdictMsg](t)(p.byCode(t, l.bo, invite(t, l.bo, other, 1, "")))
	if task.Outcome != outcomeRefused || groups.Reason(task.Reason) != groups.ReasonRevoked {
		t.Errorf("the revoked device asks by a code: %+v", task)
	}
}

// byCode has a device ask a room for a seat without a stream of its own.
func (p *applicant) byCode(t *testing.T, n *Node, inv api.Invite) (verdictMsg, error) {
	t.Helper()
	code, err := n.readPasscode(inv.Passcode)
	if err != nil {
		return verdictMsg{}, err
	}
	r, id := n.roomOfInvite(code.Keys().InvitePk())
	back := p.askBack(t, r.group, n.nowMs())
	req := back.Request
	req.Invite, req.Inviter = wire.SomeID(id), n.dev.account()
	ask := askMsg{V: 1, Step: joinAsk, Request: req, Sig: req.Sign(p.keys.Op), UseSig: wire.Sig(req.Use(code.Keys().Sign))}
	return r.decide(t.Context(), p.chain.Leaf().PeerKey, id, &ask), nil
}

// The words revoke too; those of another account do not, nor does a device end
// itself, or one that is not known.
func TestRevokedByTheWords(t *testing.T) {
	t.Parallel()
	l := newLostAndFound(t)
	cy := testNode(t, "Cy")
	for name, c := range map[string]struct {
		device wire.DeviceID
		in     api.DeviceRevoke
		want   api.Code
	}{
		"another's words": {l.old.dev.id(), api.DeviceRevoke{Words: wordsOf(t, cy)}, api.BadRequest},
		"no words":        {l.old.dev.id(), api.DeviceRevoke{Words: "not the words"}, api.BadRequest},
		"a strange word":  {l.old.dev.id(), api.DeviceRevoke{Reason: "bored"}, api.BadRequest},
		"itself":          {l.now.dev.id(), api.DeviceRevoke{Words: l.words}, api.NotAllowed},
		"no device":       {cy.dev.id(), api.DeviceRevoke{Words: l.words}, api.NotFound},
	} {
		if _, err := l.now.RevokeDevice(t.Context(), c.device, c.in); code(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	must[api.DeviceRevoked](t)(l.now.RevokeDevice(t.Context(), l.old.dev.id(), api.DeviceRevoke{Words: l.words, Reason: api.RevokedLost}))
	isOver(t, l.bo, l.g, l.old.dev.id())
	for _, s := range l.bo.people.revocations(l.now.dev.account()) {
		if len(s.Chain) != 0 {
			t.Error("not signed by the root")
		}
	}
}

// A revocation that is made while nobody can be heard waits: its pins would
// hide what others heard the device say.
func TestRevocationWaitsForASync(t *testing.T) {
	t.Parallel()
	l := newLostAndFound(t)
	dir := l.now.home.dir
	if err := l.now.Close(); err != nil {
		t.Fatal(err)
	}
	say(t, l.old, l.g, "said meanwhile")
	hears(t, l.bo, l.g, "said meanwhile")
	boHome := l.bo.home.dir
	for _, n := range []*Node{l.bo, l.old} {
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	l.now = startNode(t, dir, "Ann", nil)
	done := must[api.DeviceRevoked](t)(l.now.RevokeDevice(t.Context(), l.old.dev.id(), api.DeviceRevoke{}))
	if len(done.Groups) != 1 || done.Groups[0].State != api.RevokedPending {
		t.Fatalf("with nobody there: %+v", done.Groups)
	}
	inRoom(t, l.now, l.g, func(r *room) {
		r.tickRevocations()
		if len(r.g.State().Revocations(r.n.dev.account())) != 0 {
			t.Error("written before anybody was heard")
		}
	})
	l.bo = startNode(t, boHome, "Bo", nil)
	isOver(t, l.bo, l.g, l.old.dev.id())
	isOver(t, l.now, l.g, l.old.dev.id())
	for _, n := range []*Node{l.bo, l.now} {
		hears(t, n, l.g, "said meanwhile")
		for _, m := range must[api.MessagePage](t)(n.Messages(t.Context(), l.g, api.Page{Limit: 50})).Items {
			if m.Text == "said meanwhile" && m.Folded != "" {
				t.Errorf("what was said before the revocation is folded: %s", m.Folded)
			}
		}
	}
}
