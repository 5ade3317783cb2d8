package node

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
)

// request is an honest join request of an applicant, by a passcode.
func (p *applicant) request(t *testing.T, g wire.GroupID, inv api.Invite) passedMsg {
	t.Helper()
	code := must[invites.Found](t)(invites.Extract(inv.Passcode, time.Now())).Passcode
	_, kemPk := must2(t)(seal.GenerateKEM(rand.Reader))
	q := groups.JoinRequest{
		V: 1, Group: g, Invite: wire.SomeID(inv.ID), Inviter: inv.Inviter, Newcomer: p.account(),
		Chain: p.chain, Pop: p.pop, KemPk: kemPk, Follow: 1, Ms: uint64(time.Now().UnixMilli()),
	}
	rand.Read(q.Nonce[:])
	return passedMsg{Request: q, Sig: q.Sign(p.keys.Op), UseSig: wire.Sig(q.Use(code.Keys().Sign))}
}

// Nobody hands a group over, elects, or answers a newcomer who may not.
func TestForgedRank(t *testing.T) {
	s := newSiege(t)
	ps := applicants(t, 3)
	stranger := ps[0].mesh.Self()
	bo := s.bo.mesh.Self()
	refused := func(t *testing.T, what string, err error) {
		t.Helper()
		if !errors.Is(err, errDirectRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
	ctx := t.Context()
	own := s.ann.room(s.group).view.Load().state.OwnOp()

	s.attack(t, "a group that is not theirs to give", 2, func(t *testing.T) {
		offer := wire.Marshal(heirMsg{Group: s.group, OwnOp: own, Nonce: [16]byte{1}})
		refused(t, "an offer by a plain member", s.ann.takeHeir(ctx, bo, offer))
		refused(t, "an offer by a stranger", s.bo.takeHeir(ctx, stranger, offer))
		now := s.ann.nowMs()
		m := wire.Marshal(successionMsg{Group: s.group, OwnOp: own, Heir: s.bo.dev.account(), Ms: now})
		refused(t, "a proposal by a plain member", s.ann.takeSuccession(ctx, bo, m))
		refused(t, "a vote on nothing", s.ann.takeVote(ctx, bo, wire.Marshal(voteMsg{Group: s.group, Nonce: [16]byte{2}})))
	})
	s.attack(t, "answers to an offer of the group", 2, func(t *testing.T) {
		task := must[api.Task](t)(s.ann.Transfer(ctx, s.group, s.bo.dev.account()))
		w, _ := s.ann.tasks.open(s.group, api.TaskTransfer)[0].what()
		yes := func(n *Node, ms uint64) []byte {
			return wire.Marshal(heirYesMsg{Group: s.group, Nonce: w.Nonce, Chain: n.dev.chain, Ms: ms,
				Accept: groups.SignOwnerAccept(n.dev.keys.Op, s.group, own, s.bo.dev.account(), s.ann.nowMs())})
		}
		now := s.ann.nowMs()
		refused(t, "a yes by a stranger", s.ann.takeHeirYes(ctx, stranger, yes(s.bo, now)))
		refused(t, "a yes with another's signature", s.ann.takeHeirYes(ctx, bo, yes(s.ann, now)))
		refused(t, "a yes signed over another time", s.ann.takeHeirYes(ctx, bo, yes(s.bo, 1)))
		refused(t, "a no by a stranger", s.ann.takeDecline(ctx, stranger, wire.Marshal(declineMsg{Group: s.group, Nonce: w.Nonce})))
		if now := must[api.Task](t)(s.ann.Task(ctx, task.ID)); now.Over() {
			t.Errorf("the offer was ended by others: %+v", now)
		}
		must[api.Task](t)(s.ann.CancelTask(ctx, task.ID))
		refused(t, "a yes to what was taken back", s.ann.takeHeirYes(ctx, bo, yes(s.bo, now)))
	})
	s.attack(t, "requests to join, passed on", 2, func(t *testing.T) {
		uses := 500
		inv := must[api.Invite](t)(s.bo.CreateInvite(ctx, s.group, api.InviteCreate{Uses: &uses, Approve: true}))
		within(t, s.ann, patience, "the invite", func() bool {
			_, known := s.ann.room(s.group).view.Load().state.Invite(inv.ID)
			return known
		})
		honest := ps[1].request(t, s.group, inv)
		body := wire.Marshal(honest)
		refused(t, "by a stranger", s.ann.takeAsk(ctx, stranger, body))
		refused(t, "without a certificate", s.ann.takeAsk(ctx, bo, wire.Marshal(passedMsg{Request: groups.JoinRequest{Group: s.group}})))
		forged := honest
		forged.Sig[0] ^= 1
		refused(t, "with a bad signature", s.ann.takeAsk(ctx, bo, wire.Marshal(forged)))
		elsewhere := honest
		elsewhere.Request.Group = wire.GroupID{1}
		refused(t, "for a group that is not here", s.ann.takeAsk(ctx, bo, wire.Marshal(elsewhere)))
		ok(t, s.ann.takeAsk(ctx, bo, body))
		ok(t, s.ann.takeAsk(ctx, bo, body)) // again, as after a lost acknowledgement
		no := wire.Marshal(declineMsg{Group: s.group, Nonce: honest.Request.Nonce})
		refused(t, "a no by a plain member", s.ann.takeDecline(ctx, bo, no))
		refused(t, "a withdrawal by a stranger", s.ann.takeWithdraw(ctx, stranger, no))
		if list := must[[]api.Request](t)(s.ann.Requests(ctx)); len(list) != 1 || list[0].Kind != api.RequestJoin {
			t.Fatalf("requests: %+v", list)
		}
		ok(t, s.ann.takeWithdraw(ctx, bo, no))
		if list := must[[]api.Request](t)(s.ann.Requests(ctx)); len(list) != 0 {
			t.Errorf("after it was taken back: %+v", list)
		}
		must[api.Person](t)(s.ann.Block(ctx, ps[2].account(), true))
		ok(t, s.ann.takeAsk(ctx, bo, wire.Marshal(ps[2].request(t, s.group, inv)))) // in silence
		if list := must[[]api.Request](t)(s.ann.Requests(ctx)); len(list) != 0 {
			t.Errorf("of somebody blocked: %+v", list)
		}
	})
}

// A follow edge withdrawn stays withdrawn, until its owner consents again: by
// asking for a seat, or by inviting (PROTOCOLS.md N1).
func TestWithdrawnEdges(t *testing.T) {
	t.Parallel()
	a, b := testNode(t, "Ann"), testNode(t, "Bo")
	ann, bo := a.dev.account(), b.dev.account()
	g := newGroup(t, a, api.GroupCreate{})
	older := invite(t, a, g, 5, "")
	join(t, b, older)
	mutual := func() bool { return a.people.mutual(bo) && b.people.mutual(ann) }
	within(t, a, patience, "mutuals", mutual)
	must[api.Person](t)(a.Unfollow(t.Context(), bo))
	must[api.Person](t)(b.Unfollow(t.Context(), ann))
	say(t, a, g, "one")
	hears(t, b, g, "one")

	must[api.Group](t)(b.LeaveGroup(t.Context(), g))
	within(t, a, patience, "the leave", func() bool { return must[api.Group](t)(a.Group(t.Context(), g)).Members == 1 })
	join(t, b, older) // Bo asks anew; Ann invited before she unfollowed
	within(t, a, patience, "Bo's edge", func() bool {
		p, err := a.Person(t.Context(), bo)
		return err == nil && p.FollowsYou
	})
	say(t, a, g, "two")
	hears(t, b, g, "two")
	if p := must[api.Person](t)(a.Person(t.Context(), bo)); p.Following {
		t.Error("an old passcode made an edge again that was withdrawn since")
	}

	must[api.Group](t)(b.LeaveGroup(t.Context(), g))
	within(t, a, patience, "the leave", func() bool { return must[api.Group](t)(a.Group(t.Context(), g)).Members == 1 })
	join(t, b, invite(t, a, g, 5, ""))
	within(t, a, patience, "mutuals again", mutual)
}
