package node

import (
	"fmt"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

func sleepProof(t testing.TB, n *Node, g wire.GroupID, uses int) api.Invite {
	t.Helper()
	return must[api.Invite](t)(n.CreateInvite(t.Context(), g, api.InviteCreate{Uses: &uses, SleepProof: true}))
}

// Everybody sleeps. Who pastes a passcode is let in by the harbor, reads what
// was said since the code was made, and speaks; who wakes finds it all, with the
// newcomer's name, and goes on with them.
func TestJoinWhileAllSleep(t *testing.T) {
	t.Parallel()
	for _, history := range []string{"7d", "join"} {
		for _, uses := range []int{1, 3} {
			t.Run(fmt.Sprintf("history=%s,uses=%d", history, uses), func(t *testing.T) {
				homeA, homeB := t.TempDir(), t.TempDir()
				a, b, h := startNode(t, homeA, "Ann", nil), startNode(t, homeB, "Bo", nil), harborNode(t, t.TempDir())
				c := testNode(t, "Cy")
				g := newGroup(t, a, api.GroupCreate{Name: "Nightingale", Policy: &api.PolicyPatch{History: &history}})
				join(t, b, invite(t, a, g, 1, ""))
				appoint(t, a, h, g, api.RightStore, api.RightSponsor)
				say(t, a, g, "before the code")
				inv := sleepProof(t, a, g, uses)
				if !inv.SleepProof || inv.Harbors != 1 {
					t.Fatalf("invite: %+v", inv)
				}
				same(t, g, a, b) // what Bo says is under the code's epoch
				within(t, b, patience, "Bo to have its key", func() (held bool) {
					inRoom(t, b, g, func(r *room) { _, held = r.sendEpoch() })
					return held
				})
				say(t, b, g, "after it")
				hears(t, a, g, "after it")
				same(t, g, a, b, h)
				ok(t, b.Close())
				ok(t, a.Close())

				began := time.Now()
				join(t, c, inv)
				hears(t, c, g, "after it")
				t.Logf("in, and read, %v after pasting", time.Since(began).Round(time.Millisecond))
				if got := must[api.Group](t)(c.Group(t.Context(), g)); got.Name != "Nightingale" || got.Status != api.MemberSeated {
					t.Errorf("the newcomer sees %q as %s", got.Name, got.Status)
				}
				for _, text := range texts(t, c, g) {
					if text == "before the code" {
						t.Error("asleep, what was said before the code was made is read")
					}
				}
				say(t, c, g, "is anybody there?")
				inRoom(t, c, g, func(r *room) {
					e, held := r.sendEpoch()
					if own := uses == 1 || history == "join"; !held || own != (e.AuthorInc == r.me) {
						t.Errorf("held %v, written under an epoch of its own: %v", held, e.AuthorInc == r.me)
					}
				})
				holdsAll(t, g, c, h)
				c.mesh.ClosePeer(h.mesh.Self())

				b = startNode(t, homeB, "Bo", nil)
				hears(t, b, g, "is anybody there?")
				within(t, b, patience, "Bo to see Cy", func() bool {
					for _, m := range must[[]api.Member](t)(b.Members(t.Context(), g)) {
						if m.Account == c.dev.account() && m.Name == "Cy" && m.Status == api.MemberSeated {
							return true
						}
					}
					return false
				})
				say(t, b, g, "I am")
				a = startNode(t, homeA, "Ann", nil)
				hears(t, a, g, "I am")
				hears(t, c, g, "I am")
				if history != "join" {
					hears(t, c, g, "before the code") // granted, once somebody can give it
				}
				same(t, g, a, b, c)
			})
		}
	}
}

// What a sleep-proof code needs, and how many there may be.
func TestSleepProofRefused(t *testing.T) {
	a, h := testNode(t, "Ann"), harborNode(t, t.TempDir())
	g := newGroup(t, a, api.GroupCreate{})
	try := func(in api.InviteCreate, want api.Code) {
		t.Helper()
		in.SleepProof = true
		if _, err := a.CreateInvite(t.Context(), g, in); code(err) != want {
			t.Errorf("%+v: %v, want %q", in, err, want)
		}
	}
	try(api.InviteCreate{}, api.NoHarbor)
	made := appoint(t, a, h, g)
	try(api.InviteCreate{}, api.NoHarbor) // it stores only
	rights := []string{api.RightStore, api.RightSponsor}
	must[api.Harbor](t)(a.PatchHarbor(t.Context(), made.ID.String(), api.HarborPatch{Rights: &rights}))
	try(api.InviteCreate{Approve: true}, api.BadRequest)
	try(api.InviteCreate{Redeem: api.RedeemMe}, api.BadRequest)
	var last api.Invite
	for range groups.MaxSleepProofOf {
		last = sleepProof(t, a, g, 1)
	}
	try(api.InviteCreate{}, api.NotAllowed)
	must[api.Invite](t)(a.RevokeInvite(t.Context(), g, last.ID.String()))
	sleepProof(t, a, g, 1)
}

// A revoked code lets nobody in at a harbor either, nor a used one, and who is
// let in by another gets no leaf of it.
func TestHarborKeepsToTheRules(t *testing.T) {
	a, h := testNode(t, "Ann"), harborNode(t, t.TempDir())
	g := newGroup(t, a, api.GroupCreate{})
	appoint(t, a, h, g, api.RightStore, api.RightSponsor)
	one, gone := sleepProof(t, a, g, 1), sleepProof(t, a, g, 1)
	approve := must[api.Invite](t)(a.CreateInvite(t.Context(), g, api.InviteCreate{Approve: true}))
	must[api.Invite](t)(a.RevokeInvite(t.Context(), g, gone.ID.String()))
	holdsAll(t, g, a, h)
	ok(t, a.Close())
	ask := func(inv api.Invite) (p *applicant, v verdictMsg) {
		t.Helper()
		p = must[*applicant](t)(newApplicant(t.Context()))
		t.Cleanup(func() { p.mesh.Close() })
		v = must[verdictMsg](t)(p.ask(t.Context(), h, inv.Passcode))
		return p, v
	}
	_, v := ask(one)
	if v.Outcome != outcomeAdmitted {
		t.Fatalf("outcome %d, %v", v.Outcome, groups.Reason(v.Reason))
	}
	for name, c := range map[string]struct {
		inv  api.Invite
		want groups.Reason
	}{"used": {one, groups.ReasonInviteUsed}, "revoked": {gone, groups.ReasonInviteRevoked}, "with approval": {approve, groups.ReasonNotSponsor}} {
		if _, v := ask(c.inv); v.Outcome != outcomeRefused || groups.Reason(v.Reason) != c.want {
			t.Errorf("%s: outcome %d, %v", name, v.Outcome, groups.Reason(v.Reason))
		}
	}
	// A harbor whose right to sponsor is gone answers nobody, whatever it thinks
	// itself: its admit would be refused by all.
	inRoom(t, h, g, func(r *room) {
		inc, key := r.pen()
		for _, w := range []struct {
			kind groups.Kind
			body any
		}{
			{groups.KindAck, &groups.AckBody{}},
			{groups.KindInvite, &groups.InviteBody{InvitePk: [32]byte{1}, MaxUses: 1, NotAfterMs: h.nowMs() + 60_000, Role: uint64(groups.RoleMember)}},
			{groups.KindRemove, &groups.RemoveBody{Account: a.dev.account()}},
		} {
			op, err := r.g.ComposeControl(inc, key, h.nowMs(), w.kind, w.body)
			if err != nil {
				continue // not even written
			}
			if r.g.Check(op) == nil {
				if j := r.g.Judge(op, h.nowMs()); j.Verdict == groups.Accept {
					t.Errorf("a harbor's %v is accepted", w.kind)
				}
			}
		}
	})
}
