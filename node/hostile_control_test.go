package node

import (
	"crypto/rand"
	"encoding/json"
	"testing"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// standing is what a node tells of a group's members and rules.
func standing(t *testing.T, n *Node, g wire.GroupID) string {
	t.Helper()
	group := must[api.Group](t)(n.Group(t.Context(), g))
	members := must[[]api.Member](t)(n.Members(t.Context(), g))
	for i := range members {
		members[i].Online = false
	}
	b, err := json.Marshal([]any{members, group.Cap, group.Policy, group.Ownership, group.Epoch, group.EpochID})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A member's device, with its real keys, writes what it has no right to, under
// good signatures: nobody's seat, rank, cap or key changes, on the node it tells
// and on the one behind that; and it is not passed on.
func TestRogueControl(t *testing.T) {
	t.Parallel()
	s := newSiege(t)
	r := s.newRogue(t)
	same(t, s.group, s.ann, s.bo)
	state := s.ann.room(s.group).view.Load().state
	ann, bo := s.ann.dev.account(), s.bo.dev.account()
	var bosAdmit *groups.AdmitBody
	var invite wire.OpID
	for _, op := range r.log.Ops() {
		switch b := op.Body.(type) {
		case *groups.AdmitBody:
			if b.Request.Newcomer == bo {
				bosAdmit = b
			}
		case *groups.InviteBody:
			invite = op.ID
		}
	}
	own, gen := state.OwnOp(), s.ann.room(s.group).view.Load().epoch.Gen
	friend := applicants(t, 1)[0]
	_, pk := must2(t)(seal.GenerateKEM(rand.Reader))
	pulled := func(group wire.GroupID, inviter wire.AccountID, ms uint64) *groups.AdmitBody {
		q := groups.JoinRequest{V: 1, Group: group, Inviter: inviter, Newcomer: friend.account(), Chain: friend.chain, Pop: friend.pop, KemPk: pk, Follow: 1, Ms: ms}
		return &groups.AdmitBody{Request: q, Sig: q.Sign(friend.keys.Op)}
	}
	now := s.ann.nowMs()
	unsigned := pulled(s.group, r.acc, now)
	unsigned.Sig[0] ^= 1
	for name, try := range map[string]struct {
		kind groups.Kind
		body any
	}{
		"makes itself an admin":                 {groups.KindRole, &groups.RoleBody{OwnOp: own, Account: r.acc, Role: uint64(groups.RoleAdmin)}},
		"raises the cap":                        {groups.KindPolicy, &groups.PolicyBody{OwnOp: own, Cap: 500, Policy: groups.DefaultPolicy()}},
		"removes the owner":                     {groups.KindRemove, &groups.RemoveBody{Account: ann}},
		"removes a member":                      {groups.KindRemove, &groups.RemoveBody{Account: bo}},
		"revokes the owner's code":              {groups.KindInviteRevoke, &groups.InviteRevokeBody{Invite: invite}},
		"admits a member again":                 {groups.KindAdmit, bosAdmit},
		"admits who asked for another group":    {groups.KindAdmit, pulled(wire.GroupID{1}, r.acc, now)},
		"admits who was asked by somebody else": {groups.KindAdmit, pulled(s.group, ann, now)},
		"admits who did not sign":               {groups.KindAdmit, unsigned},
		"admits by a request of last year":      {groups.KindAdmit, pulled(s.group, r.acc, now-365*24*3600*1000)},
		"leaves a member out of a key":          {groups.KindRekey, &groups.RekeyBody{Gen: gen + 1, Count: 1}},
		"takes the group": {groups.KindTransfer, &groups.TransferBody{OwnOp: own, Heir: r.acc, HeirChain: r.from.dev.chain, Ms: now,
			Accept: groups.SignOwnerAccept(r.keys.Op, s.group, own, r.acc, now)}},
	} {
		s.attack(t, name, 4, func(t *testing.T) {
			nodes := []*Node{s.ann, s.bo}
			before := []string{standing(t, s.ann, s.group), standing(t, s.bo, s.group)}
			op, err := r.log.ComposeControl(r.inc, r.keys.Op, s.ann.nowMs(), try.kind, try.body)
			if err != nil {
				t.Fatal(err)
			}
			r.tell(t, s.ann, s.group, &groups.Segment{Inc: r.inc, Chain: uint64(groups.Control), Frames: [][]byte{op.Frame()}})
			s.flows(t)
			for i, n := range nodes {
				if got := standing(t, n, s.group); got != before[i] {
					t.Errorf("the group is\n%s\nand was\n%s", got, before[i])
				}
				inRoom(t, n, s.group, func(room *room) {
					if room.g.Has(op.ID) {
						t.Error("it was taken in")
					}
				})
			}
		})
	}
}
