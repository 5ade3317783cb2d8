package node

import (
	"context"
	"slices"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
	"mutuals/store"
)

// maySleepProof tells why an account may not make a code that works while all
// members sleep: it needs a harbor that lets people in, which can ask no admin,
// and each such code is a key outside the group.
func maySleepProof(v *view, self wire.AccountID, nowMs uint64, in api.InviteCreate, redeem uint64) error {
	bad := func(why string) error { return api.NewProblem(api.BadRequest).Explain("%s", why) }
	switch {
	case in.Approve:
		return bad("a sleep-proof code waits for nobody's yes: make it without approval, or not sleep-proof")
	case redeem != groups.RedeemAny:
		return bad("by a sleep-proof code a harbor lets people in: redeem must be any")
	case len(v.sponsors()) == 0:
		return api.NewProblem(api.NoHarbor)
	}
	own, all := 0, 0
	for _, i := range v.state.Invites() {
		if len(i.KemPk) > 0 && i.Live(nowMs) {
			all++
			if i.Inviter == self {
				own++
			}
		}
	}
	if own >= groups.MaxSleepProofOf || all >= groups.MaxSleepProof {
		return api.NewProblem(api.NotAllowed).Explain(
			"%d sleep-proof codes of yours are live, %d of the group: at most %d and %d; revoke one first", own, all, groups.MaxSleepProofOf, groups.MaxSleepProof)
	}
	return nil
}

// sponsors lists the harbors that may let people in.
func (v *view) sponsors() (out []wire.PeerKey) {
	for p, h := range v.harbors {
		if h.Sponsors() {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b wire.PeerKey) int { return slices.Compare(a[:], b[:]) })
	return out
}

// openAsleep makes, right after a sleep-proof invite and in its transaction, the
// epoch that its holders can open, and says again under it what names the
// inviter and, where its rank allows, the group: the epochs of before are closed
// to who comes while everybody sleeps.
func (r *room) openAsleep(c *commit) (rekey wire.OpID, err error) {
	if err := r.rekey(c); err != nil {
		return rekey, err
	}
	e, ok := r.sendEpoch()
	if !ok {
		return rekey, api.NewProblem(api.KeyMissing)
	}
	self := r.n.dev.account()
	s := r.g.State()
	if s.MayPost(self) {
		r.meta.ProfileN = 0 // told again
		if err := r.sayProfile(c); err != nil {
			return rekey, err
		}
		if s.Role(self) != groups.RoleMember && r.meta.Name != "" {
			info := groups.GroupInfo{Name: r.meta.Name, Description: r.meta.Description, IceBreakers: r.meta.IceBreakers}
			if _, err := r.say(c, groups.ContentGroupInfo, info.Encode()); err != nil {
				return rekey, err
			}
		}
	}
	return e.Rekey, nil
}

// leaveInvite leaves a sleep-proof invite with the harbors that let people in,
// and tells how many say that all a newcomer needs is on their disk.
func (r *room) leaveInvite(ctx context.Context, invite, rekey wire.OpID) int {
	body := inviteBody{Invite: invite, Rekey: rekey, Preview: r.preview(invite)}
	peers := r.view.Load().sponsors()
	said := make(chan bool, len(peers))
	for _, peer := range peers {
		r.n.wg.Go(func() {
			if err := r.n.dialHarbor(ctx, peer); err != nil {
				said <- false
				return
			}
			answer, err := r.askHarbor(ctx, peer, harborInvite, body, nil)
			said <- err == nil && answer.Outcome == harborYes
		})
	}
	yes := 0
	for range peers {
		if <-said {
			yes++
		}
	}
	return yes
}

// keepInviteKey keeps, before a request leaves, the key of a sleep-proof code:
// it opens what was said since the code was made.
func (r *room) keepInviteKey(ctx context.Context, keys invites.Keys) error {
	slot, now := kemSlot(seal.KEMPublic(keys.KEMSeed)), r.n.nowMs()
	return r.step(ctx, func(c *commit) error {
		r.keys.kem[slot] = kemSeed{seed: keys.KEMSeed, ms: now}
		c.dirty = true
		c.row(func(tx *store.Tx) error { return tx.PutKEM(r.group, slot, keys.KEMSeed, now) })
		return nil
	})
}
