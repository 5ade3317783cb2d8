package node

import (
	"context"

	"mutuals/groups"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// Members returns a group's members: seated in order of their seats, then the
// waitlist, then who left or was removed.
func (n *Node) Members(_ context.Context, g wire.GroupID) ([]api.Member, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return nil, err
	}
	s := r.roomsOf()[0].view.Load().state
	var out []api.Member
	for _, m := range s.Members() {
		out = append(out, n.memberOf(s, m))
	}
	return out, nil
}

// Waitlist returns who waits for a seat, next first.
func (n *Node) Waitlist(_ context.Context, g wire.GroupID) ([]api.Member, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return nil, err
	}
	s := r.view.Load().state
	var out []api.Member
	for _, m := range s.Members() {
		if m.Status == groups.StatusWaitlisted {
			out = append(out, n.memberOf(s, m))
		}
	}
	return out, nil
}

// PatchMember makes somebody an admin or a member; the owner's to do. Who waits
// for a seat may be given a rank too, and sits before those of lower rank.
func (n *Node) PatchMember(ctx context.Context, g wire.GroupID, a wire.AccountID, in api.MemberPatch) (api.Member, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return api.Member{}, err
	}
	if err := checkReason(in.Reason); err != nil {
		return api.Member{}, err
	}
	role := groups.RoleMember
	if in.Role == api.RoleAdmin {
		role = groups.RoleAdmin
	}
	err = r.step(ctx, func(c *commit) error {
		s := r.g.State()
		if err := notDirect(s); err != nil {
			return err
		}
		if s.Owner() != n.dev.account() {
			return api.NewProblem(api.RoleNeeded, "role", api.RoleOwner)
		}
		if m, ok := s.Member(a); !ok || m.Status != groups.StatusSeated && m.Status != groups.StatusWaitlisted {
			return api.NewProblem(api.NotMember)
		}
		if s.Role(a) == role {
			return nil
		}
		if a == s.Owner() {
			return api.NewProblem(api.OwnerStays)
		}
		body := &groups.RoleBody{OwnOp: s.OwnOp(), Account: a, Role: uint64(role)}
		if role == groups.RoleMember && s.Policy().Posting == groups.PostAdmins {
			body.Pins = r.g.PinsFor(a)
		}
		op, err := r.own(c, groups.KindRole, body)
		if err != nil {
			return err
		}
		return r.explain(c, in.Reason, op.ID)
	})
	if err != nil {
		return api.Member{}, err
	}
	return r.member(a)
}

// RemoveMember takes somebody's seat. The removal and the new epoch, which the
// removed cannot read, leave together; a reason is told to the members.
func (n *Node) RemoveMember(ctx context.Context, g wire.GroupID, a wire.AccountID, reason string) (api.Member, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return api.Member{}, err
	}
	if err := checkReason(reason); err != nil {
		return api.Member{}, err
	}
	err = r.step(ctx, func(c *commit) error {
		s := r.g.State()
		if err := notDirect(s); err != nil {
			return err
		}
		m, ok := s.Member(a)
		switch self := n.dev.account(); {
		case a == self:
			return api.NewProblem(api.NotAllowed).Explain("to give up your own seat, leave the group")
		case s.Role(self) == groups.RoleMember || a == s.Owner() || s.Role(self) >= s.Role(a) && s.Owner() != self:
			return api.NewProblem(api.RoleNeeded)
		case !ok || m.Status != groups.StatusSeated && m.Status != groups.StatusWaitlisted:
			return api.NewProblem(api.NotMember)
		}
		op, err := r.own(c, groups.KindRemove, &groups.RemoveBody{Account: a, Pins: r.g.PinsFor(a)})
		if err != nil {
			return err
		}
		return r.explain(c, reason, op.ID)
	})
	if err != nil {
		return api.Member{}, err
	}
	return r.member(a)
}

func (r *room) member(a wire.AccountID) (api.Member, error) {
	s := r.view.Load().state
	m, ok := s.Member(a)
	if !ok {
		return api.Member{}, api.NewProblem(api.NotMember)
	}
	return r.n.memberOf(s, m), nil
}

// provisional tells whether a seat may yet be undone by somebody who did not
// know of it: never the owner's, whom nobody outranks.
func provisional(m groups.Member) bool { return m.Provisional && m.Role != groups.RoleOwner }

func (n *Node) memberOf(s *groups.State, m groups.Member) api.Member {
	out := api.Member{
		Account: m.Account, Name: n.nameOf(m.Account), Role: m.Role.String(), Status: statusAPI(m.Status), Inviter: m.Inviter,
		JoinedAt: msTime(m.JoinedMs), Provisional: provisional(m), Place: m.WaitPos,
	}
	if isDirect(s) {
		out.Role, out.Provisional = api.RoleMember, false // no ranks, and nobody to undo it
	}
	for _, inc := range m.Incs {
		if !inc.Live || inc.Cut {
			continue
		}
		out.Devices = append(out.Devices, inc.Device)
		if inc.Peer == n.mesh.Self() || n.mesh.Connected(inc.Peer) {
			out.Online = true
		}
	}
	return out
}

// nameOf is what to call an account: the nickname is the reader's business,
// the profile's name everybody's.
func (n *Node) nameOf(a wire.AccountID) string {
	if a == n.dev.account() {
		return n.ownName()
	}
	return n.people.name(a)
}

// learnProfile takes a stored profile over into memory, and tells the readers
// of each group of the account by what name it goes now.
func (n *Node) learnProfile(p identity.SignedProfile) {
	if !n.people.learnProfile(p) {
		return
	}
	a := p.Profile.Account
	for _, r := range n.openRooms() {
		r.tell(func(c *commit) error {
			s := r.g.State()
			if m, ok := s.Member(a); ok && !r.me.IsZero() {
				c.changes = append(c.changes, n.change(store.Update, api.EventMemberRole, r.group, n.memberOf(s, m)))
				c.regroup = s.Owner() == a || isDirect(s) // it is called by its owner's name, or by the other's
			}
			return nil
		})
	}
}

// tellMembers tells readers who came, went or changed rank.
func (r *room) tellMembers(c *commit, before, after *groups.State) {
	if before == after {
		return
	}
	old := map[wire.AccountID]groups.Member{}
	if before != nil {
		for _, m := range r.everybody(before) {
			old[m.Account] = m
		}
	}
	self := r.n.dev.account()
	changed := before == nil || before.Cap() != after.Cap() || policyAPI(before.Policy()) != policyAPI(after.Policy()) ||
		r.n.ownershipOf(before) != r.n.ownershipOf(after)
	for _, m := range r.everybody(after) {
		was, known := old[m.Account]
		typ := ""
		switch {
		case !known || was.Status != m.Status:
			typ = map[groups.Status]string{
				groups.StatusSeated: api.EventMemberJoined, groups.StatusWaitlisted: api.EventMemberWaitlisted,
				groups.StatusLeft: api.EventMemberLeft, groups.StatusRemoved: api.EventMemberRemoved,
			}[m.Status]
		case was.Role != m.Role:
			typ = api.EventMemberRole
		case was.WaitPos != m.WaitPos:
			typ = api.EventMemberWaitlisted // another place in line
		case was.Provisional != m.Provisional:
			typ = api.EventMemberRole // the same role, confirmed
		}
		if typ == "" {
			continue
		}
		changed = true
		c.changes = append(c.changes, r.n.change(store.Update, typ, r.group, r.n.memberOf(after, m)))
		if m.Account == self && m.Status == groups.StatusSeated && (!known || was.Status != m.Status) && before != nil {
			v := *r.view.Load()
			v.state, v.me, v.meta = after, r.me, r.meta
			c.changes = append(c.changes, r.n.change(store.Add, api.EventGroupCreated, r.group, r.api(&v)))
		}
		if m.Account == self && known && was.Status == groups.StatusSeated && (m.Status == groups.StatusLeft || m.Status == groups.StatusRemoved) {
			v := *r.view.Load()
			v.state = after
			c.changes = append(c.changes, r.n.change(store.Update, api.EventGroupLeft, r.group, r.api(&v)))
		}
	}
	for a, was := range old {
		if _, here := after.Member(a); here {
			continue
		}
		// How it came in turned void: nobody's list has it any more.
		changed = true
		was.Status, was.WaitPos = groups.StatusRemoved, 0
		c.changes = append(c.changes, r.n.change(store.Retract, api.EventMemberRemoved, r.group, r.n.memberOf(after, was)))
		if a == self {
			v := *r.view.Load()
			v.state = after
			c.changes = append(c.changes, r.n.change(store.Update, api.EventGroupLeft, r.group, r.api(&v)))
		}
	}
	c.regroup = c.regroup || changed
	r.tellInvites(c, before, after)
}
