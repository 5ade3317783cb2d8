package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"mutuals/groups"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// reasonsOfRevocation are the words of the API for identity's numbers.
var reasonsOfRevocation = map[string]uint64{
	api.RevokedLost: identity.ReasonLost, api.RevokedStolen: identity.ReasonStolen,
	api.RevokedRetired: identity.ReasonRetired, api.RevokedOther: identity.ReasonOther, "": identity.ReasonOther,
}

func reasonOfRevocation(n uint64) string {
	for word, k := range reasonsOfRevocation {
		if k == n && word != "" {
			return word
		}
	}
	return api.RevokedOther
}

// RevokeDevice ends another device of this account for good, by this device's
// word or, with the words, by the root's. Devices that it linked stay unless
// the caller says which do.
func (n *Node) RevokeDevice(ctx context.Context, d wire.DeviceID, in api.DeviceRevoke) (api.DeviceRevoked, error) {
	var none api.DeviceRevoked
	if !n.begun.Load() {
		return none, api.NewProblem(api.NoIdentity)
	}
	if err := n.mayWrite(); err != nil {
		return none, err
	}
	reason, ok := reasonsOfRevocation[in.Reason]
	switch {
	case !ok:
		return none, api.NewProblem(api.BadRequest).Explain("the reason is lost, stolen, retired or other, not %q", in.Reason)
	case d == n.dev.id():
		return none, api.NewProblem(api.NotAllowed).Explain("a device does not revoke itself: do it on another one of yours")
	}
	all := n.devices.all()
	if !slices.ContainsFunc(all, func(o ownDevice) bool { return o.id() == d }) {
		return none, api.NewProblem(api.NotFound).Explain("this account has no device %v that is known here", d)
	}
	keep, err := n.kept(all, d, in.Keep)
	if err != nil {
		return none, err
	}
	now := n.nowMs()
	var signed identity.SignedRevocation
	if in.Words != "" {
		e, err := n.entropy(in.Words)
		if err != nil {
			return none, err
		}
		root := e.Root()
		if root.Account() != n.dev.account() {
			return none, api.NewProblem(api.BadRequest).Explain("these are the words of another account")
		}
		signed = root.Revoke(d, reason, now, keep...)
	} else {
		signed = identity.SignRevocation(n.dev.keys, n.dev.chain, d, reason, now, keep...)
	}
	if err := n.learnRevocation(ctx, signed); err != nil {
		return none, err
	}
	return n.revokedWhere(ctx, d)
}

// kept are the devices that stay though the one that ends linked them: all, or
// those named.
func (n *Node) kept(all []ownDevice, d wire.DeviceID, named *api.Array[wire.DeviceID]) ([]wire.DeviceID, error) {
	ends := identity.Revocation{Account: n.dev.account(), OpKey: d}
	var keep []wire.DeviceID
	for _, o := range all {
		if o.id() != d && ends.Reaches(o.Chain) && !n.people.revoked(o.Chain) {
			keep = append(keep, o.id())
		}
	}
	if named != nil {
		for _, o := range *named {
			if o == d {
				return nil, api.NewProblem(api.BadRequest).Explain("the device that ends cannot stay")
			}
		}
		keep = slices.DeleteFunc(keep, func(o wire.DeviceID) bool { return !slices.Contains(*named, o) })
	}
	if !slices.Contains(keep, n.dev.id()) && ends.Reaches(n.dev.chain) {
		return nil, api.NewProblem(api.NotAllowed).Explain("this device was linked by that one and would end with it: keep it")
	}
	if len(keep) > identity.MaxKeep {
		return nil, api.NewProblem(api.BadRequest).Explain("it linked %d devices, and %d at most stay: name them", len(keep), identity.MaxKeep)
	}
	return keep, nil
}

// revokedWhere tells in which groups a device is shut out, and in which that
// waits until a member was heard.
func (n *Node) revokedWhere(ctx context.Context, d wire.DeviceID) (api.DeviceRevoked, error) {
	out := api.DeviceRevoked{Groups: api.Array[api.GroupRevoked]{}}
	all, err := n.Devices(ctx)
	if err != nil {
		return out, err
	}
	for _, o := range all {
		if o.Device == d {
			out.Device = o
		}
	}
	for _, r := range n.openRooms() {
		one := api.GroupRevoked{Group: r.group, Name: r.api(r.view.Load()).Name, State: api.RevokedPending}
		seated := false
		err := r.step(ctx, func(*commit) error {
			me, ok := r.g.State().Inc(r.me)
			seated = ok && me.Seated
			if slices.ContainsFunc(r.g.State().Revocations(n.dev.account()), func(k identity.Revocation) bool { return k.OpKey == d }) {
				one.State = api.RevokedDone
			}
			return nil
		})
		if err != nil {
			return out, err
		}
		if seated {
			out.Groups = append(out.Groups, one)
		}
	}
	return out, nil
}

// owedRevocation is a revocation of the own account that a group does not know
// of yet, as far as this device knows.
type owedRevocation struct {
	signed identity.SignedRevocation
	at     time.Time // when this device writes it, if no sibling did
	since  time.Time // after a sync later than this
}

// revokeStep is how long a device waits for the sibling that made a revocation
// to write it: a sync, and an epoch with it.
const revokeStep = 10 * time.Second

// owesRevocation has the room write a revocation once it is its turn.
func (r *room) owesRevocation(s identity.SignedRevocation) {
	r.tell(func(*commit) error {
		now := r.n.now()
		owed := owedRevocation{signed: s, at: now, since: now}
		if by := s.Revocation.By; by != r.n.dev.id() && by != wire.DeviceID(r.n.dev.account()) {
			owed.at = now.Add(revokeStep)
		}
		r.owed = append(r.owed, owed)
		for _, l := range r.links {
			l.pullNow() // its pins name what is there: sync first
		}
		return nil
	})
	r.tell(r.payRevocations)
}

// loadOwed finds what a group was not told before the node stopped.
func (r *room) loadOwed() {
	for _, s := range r.n.people.revocations(r.n.dev.account()) {
		r.owed = append(r.owed, owedRevocation{signed: s, at: r.n.now(), since: r.n.now()})
	}
}

// payRevocations writes the revocations that are due, each with the rekey that
// shuts the device out, after a sync: what the device said until then stays.
func (r *room) payRevocations(c *commit) error {
	s := r.g.State()
	me, ok := s.Inc(r.me)
	if !ok || !me.Seated || r.mayWrite() != nil {
		return nil
	}
	known := s.Revocations(me.Account)
	r.owed = slices.DeleteFunc(r.owed, func(o owedRevocation) bool {
		return slices.ContainsFunc(known, func(k identity.Revocation) bool {
			return k.OpKey == o.signed.Revocation.OpKey && keepsMore(o.signed, identity.SignedRevocation{Revocation: k})
		})
	})
	for _, o := range r.owed {
		if r.n.now().Before(o.at) || !r.syncedSince(s, o) {
			continue
		}
		rev := o.signed
		body := &groups.DevRevokeBody{Revocation: rev.Revocation, Sig: rev.Sig, Chain: rev.Chain, Pins: r.g.PinsForDevices(rev.Revocation)}
		if _, err := r.own(c, groups.KindDevRevoke, body); err != nil {
			return fmt.Errorf("revoking device %s: %w", rev.Revocation.OpKey.Short(), err)
		}
	}
	return nil
}

// tickRevocations writes what is due; what fails is tried again in a while.
func (r *room) tickRevocations() {
	if len(r.owed) == 0 {
		return
	}
	if err := r.commit(r.payRevocations); err != nil && r.n.ctx.Err() == nil {
		r.log.Warn("a revocation was not written", "err", err)
		for i := range r.owed {
			r.owed[i].at = r.n.now().Add(revokeStep)
		}
	}
}

// syncedSince tells whether a member was heard since a revocation was made, or
// nobody else is there to be heard.
func (r *room) syncedSince(s *groups.State, o owedRevocation) bool {
	if !r.heardAt.Before(o.since) {
		return true
	}
	for _, m := range s.Members() {
		if m.Status != groups.StatusSeated {
			continue
		}
		for _, inc := range m.Incs {
			if inc.Seated && inc.ID != r.me && !o.signed.Revocation.Reaches(inc.Chain) {
				return false
			}
		}
	}
	return true
}

// meetDevices learns from operations which devices the own account has, and
// which of anybody's ended. It does not wait: a room writes nothing of that.
func (r *room) meetDevices(ops []*groups.Op) {
	self := r.n.dev.account()
	learn := func(what string, do func() error) {
		r.n.wg.Go(func() {
			if err := do(); err != nil && r.n.ctx.Err() == nil {
				r.log.Warn("keeping "+what+" failed", "err", err)
			}
		})
	}
	for _, op := range ops {
		if b, ok := op.Body.(*groups.DevRevokeBody); ok {
			learn("a revocation", func() error { return r.n.learnRevocation(r.n.ctx, b.Signed()) })
			continue
		}
		if d, ok := deviceIn(op); ok && d.Chain.Leaf().Account == self && !r.n.devices.knows(d.id()) {
			learn("an own device", func() error {
				_, err := r.n.learnDevice(r.n.ctx, d)
				return err
			})
		}
	}
}

// deviceIn is the device that an operation let in.
func deviceIn(op *groups.Op) (ownDevice, bool) {
	switch b := op.Body.(type) {
	case *groups.GenesisBody:
		return ownDevice{Chain: b.Chain, Pop: b.Pop}, true
	case *groups.AdmitBody:
		return ownDevice{Chain: b.Request.Chain, Pop: b.Request.Pop}, true
	case *groups.DevAddBody:
		return ownDevice{Chain: b.Chain, Pop: b.Pop}, true
	}
	return ownDevice{}, false
}
