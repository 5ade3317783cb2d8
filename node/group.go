package node

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// Groups returns the groups this account is or was a member of, newest message
// first.
func (n *Node) Groups(context.Context) ([]api.Group, error) {
	var out []api.Group
	for _, r := range n.openRooms() {
		v := r.view.Load()
		if !v.ours() || r.conversation(v)[0].r != r {
			continue // not let in, or shown with the one that is written in
		}
		out = append(out, r.api(v))
	}
	out = append(out, n.unreadableGroups()...)
	slices.SortFunc(out, func(a, b api.Group) int { return lastTime(b).Compare(lastTime(a)) })
	return out, nil
}

func lastTime(g api.Group) time.Time {
	if g.LastMessage != nil {
		return g.LastMessage.SentAt
	}
	return g.CreatedAt
}

// Group returns one group; problem not_found if this account never was in it.
func (n *Node) Group(_ context.Context, g wire.GroupID) (api.Group, error) {
	for _, u := range n.unreadableGroups() {
		if u.ID == g {
			return u, nil
		}
	}
	r, err := n.memberRoom(g)
	if err != nil {
		return api.Group{}, err
	}
	return r.api(r.view.Load()), nil
}

// CreateGroup makes a group and its first epoch, and says what it is called.
func (n *Node) CreateGroup(ctx context.Context, in api.GroupCreate) (api.Group, error) {
	if !n.begun.Load() {
		return api.Group{}, api.NewProblem(api.NoIdentity)
	}
	if err := n.mayWrite(); err != nil {
		return api.Group{}, err
	}
	if !in.Direct.IsZero() {
		return n.direct(ctx, in)
	}
	limit := uint64(groups.DefaultCap)
	if in.Cap != nil {
		limit = uint64(*in.Cap)
	}
	policy, err := patchPolicy(groups.DefaultPolicy(), in.Policy)
	if err != nil {
		return api.Group{}, err
	}
	info := groups.GroupInfo{Name: in.Name, Description: in.Description, IceBreakers: in.IceBreakers}
	if err := info.Check(); err != nil {
		return api.Group{}, api.NewProblem(api.BadRequest).Explain("%v", err)
	}
	r, err := n.found(ctx, limit, policy, &info)
	if err != nil {
		return api.Group{}, err
	}
	return r.api(r.view.Load()), nil
}

// found makes a group and its first epoch; without an info it has no name of
// its own.
func (n *Node) found(ctx context.Context, limit uint64, policy groups.Policy, info *groups.GroupInfo) (*room, error) {
	seed, pk, err := seal.GenerateKEM(n.cfg.Rand)
	if err != nil {
		return nil, err
	}
	var nonce [16]byte
	if _, err := io.ReadFull(n.cfg.Rand, nonce[:]); err != nil {
		return nil, fmt.Errorf("drawing a nonce: %w", err)
	}
	genesis := groups.ComposeGenesis(n.dev.keys, n.dev.chain, pk, nonce, limit, policy, n.nowMs())
	r, err := n.prepareRoom(ctx, genesis, pk, seed, wire.PeerKey{})
	if err != nil {
		return nil, err
	}
	err = r.step(ctx, func(c *commit) error {
		if err := r.rekey(c); err != nil {
			return err
		}
		if info != nil {
			if _, err := r.say(c, groups.ContentGroupInfo, info.Encode()); err != nil {
				return err
			}
		}
		return r.sayProfile(c)
	})
	if err != nil {
		n.dropRoom(r)
		return nil, err
	}
	r.tell(func(c *commit) error {
		c.changes = append(c.changes, r.n.change(store.Add, api.EventGroupCreated, r.group, r.api(r.view.Load())))
		return nil
	})
	return r, nil
}

// PatchGroup changes a group's name, description, rules or cap.
func (n *Node) PatchGroup(ctx context.Context, g wire.GroupID, in api.GroupPatch) (api.Group, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return api.Group{}, err
	}
	if err := checkReason(in.Reason); err != nil {
		return api.Group{}, err
	}
	if in.Reason != "" && in.Cap == nil && in.Policy == nil {
		return api.Group{}, api.NewProblem(api.BadRequest).Explain("a reason is for a change of cap or policy")
	}
	err = r.step(ctx, func(c *commit) error {
		s := r.g.State()
		if err := notDirect(s); err != nil {
			return err
		}
		switch rules := in.Cap != nil || in.Policy != nil; {
		case !s.Seated(n.dev.account()):
			return r.notSeated()
		case s.Role(n.dev.account()) == groups.RoleMember, rules && s.Owner() != n.dev.account():
			return api.NewProblem(api.RoleNeeded, "role", roleFor(rules))
		case in.Cap != nil && *in.Cap < s.SeatCount():
			return api.NewProblem(api.CapTooLow, "cap", strconv.Itoa(*in.Cap), "taken", strconv.Itoa(s.SeatCount()))
		}
		if in.Cap != nil || in.Policy != nil {
			policy, err := patchPolicy(s.Policy(), in.Policy)
			if err != nil {
				return err
			}
			limit := uint64(s.Cap())
			if in.Cap != nil {
				limit = uint64(*in.Cap)
			}
			body := &groups.PolicyBody{OwnOp: s.OwnOp(), Cap: limit, Policy: policy, Pins: r.postingPins(policy)}
			op, err := r.own(c, groups.KindPolicy, body)
			if err != nil {
				return err
			}
			if err := r.explain(c, in.Reason, op.ID); err != nil {
				return err
			}
		}
		if in.Name == nil && in.Description == nil && in.IceBreakers == nil {
			return nil
		}
		info := groups.GroupInfo{Name: r.meta.Name, Description: r.meta.Description, IceBreakers: r.meta.IceBreakers}
		if in.Name != nil {
			info.Name = *in.Name
		}
		if in.Description != nil {
			info.Description = *in.Description
		}
		if in.IceBreakers != nil {
			info.IceBreakers = *in.IceBreakers
		}
		if err := info.Check(); err != nil {
			return api.NewProblem(api.BadRequest).Explain("%v", err)
		}
		_, err := r.say(c, groups.ContentGroupInfo, info.Encode())
		return err
	})
	if err != nil {
		return api.Group{}, err
	}
	return r.api(r.view.Load()), nil
}

// roleFor is the role that changes rules, or only what a group says of itself.
func roleFor(rules bool) string {
	if rules {
		return api.RoleOwner
	}
	return api.RoleAdmin
}

// postingPins pins, where a policy lets admins only post, what plain members
// have said until now: what they said before they knew stays.
func (r *room) postingPins(p groups.Policy) []groups.Pin {
	s := r.g.State()
	if p.Posting != groups.PostAdmins || s.Policy().Posting == groups.PostAdmins {
		return nil
	}
	var pins []groups.Pin
	for _, m := range s.Members() {
		if m.Role == groups.RoleMember {
			pins = append(pins, r.g.PinsFor(m.Account)...)
		}
	}
	slices.SortFunc(pins, func(a, b groups.Pin) int { return slices.Compare(a.Inc[:], b.Inc[:]) })
	return pins
}

// LeaveGroup gives the own seat up, in a conversation of two all there are. The
// history stays on this disk; seats that were offered are not any more.
func (n *Node) LeaveGroup(ctx context.Context, g wire.GroupID) (api.Group, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return api.Group{}, err
	}
	parts := slices.DeleteFunc(r.roomsOf(), func(part *room) bool { return !part.view.Load().inIt() })
	if len(parts) == 0 {
		parts = []*room{r} // refused, and told why
	}
	for _, part := range parts {
		if err := part.leave(ctx); err != nil {
			return api.Group{}, err
		}
		for _, t := range n.tasks.open(part.group, api.TaskOffer) {
			if _, err := n.CancelTask(ctx, t.t.ID); err != nil {
				return api.Group{}, err
			}
		}
	}
	return r.api(r.view.Load()), nil
}

func (r *room) leave(ctx context.Context) error {
	return r.step(ctx, func(c *commit) error {
		s := r.g.State()
		if s.Owner() == r.n.dev.account() && !isDirect(s) {
			return api.NewProblem(api.OwnerStays)
		}
		if me, ok := s.Inc(r.me); !ok || !me.Live {
			return r.notSeated()
		}
		_, err := r.own(c, groups.KindLeave, &groups.LeaveBody{Pins: r.g.PinsFor(r.n.dev.account())})
		return err
	})
}

// tellGroup tells readers that a group's name, rules, epoch or own standing
// changed.
func (r *room) tellGroup(c *commit) {
	old := r.view.Load()
	if old == nil || r.me.IsZero() {
		return
	}
	v := *old
	v.state, v.me, v.meta, v.written = r.g.State(), r.me, r.meta, r.written()
	if c.keyed || len(c.control) > 0 {
		v.epoch, _ = r.sendEpoch()
	}
	if !c.regroup && v.epoch.Rekey == old.epoch.Rekey {
		return
	}
	c.changes = append(c.changes, r.n.change(store.Update, api.EventGroupUpdated, r.group, r.api(&v)))
}

// api is the group as its readers see it: of a conversation, the one that is
// written in.
func (r *room) api(v *view) api.Group {
	parts := r.conversation(v)
	out := parts[0].r.plain(parts[0].v)
	if isDirect(v.state) {
		r.asDirect(&out, parts)
	}
	return out
}

// plain is the group without regard to others.
func (r *room) plain(v *view) api.Group {
	s := v.state
	out := api.Group{
		ID: r.group, Name: v.meta.Name, Description: v.meta.Description, Cap: s.Cap(), Members: s.SeatCount(), Waitlist: s.WaitCount(),
		Role: s.Role(r.n.dev.account()).String(), Policy: policyAPI(s.Policy()), Epoch: v.epoch.Gen, EpochID: v.epoch.Rekey,
		CreatedAt: msTime(v.meta.CreatedMs), IceBreakers: v.meta.IceBreakers, Unread: v.unread, UnreadMentions: v.mentions, Status: api.MemberSeated,
	}
	if m, ok := s.Member(r.n.dev.account()); ok {
		out.Status, out.Place = statusAPI(m.Status), m.WaitPos
	}
	if out.Void = v.void(); out.Void != nil {
		out.Status = api.MemberRemoved
	}
	out.Returning = v.returning() && out.Status == api.MemberSeated
	out.ReadTo, _ = v.meta.ReadID.Get()
	out.Ownership = r.n.ownershipOf(s)
	out.Synced, out.Gaps, out.CompleteTo, out.CompleteFrom = len(v.gaps.list) == 0, v.gaps.list, v.gaps.completeTo, v.gaps.completeFrom
	out.RetainDays, out.PrunedTo = int(v.days), prunedTo(v.bareTo)
	out.OnlyHere = r.onlyHere(v)
	out.SafeToClose = out.OnlyHere == 0
	if v.latest != nil {
		m := r.n.messageOf(r, *v.latest)
		out.LastMessage = &m
	}
	return out
}

func (n *Node) ownershipOf(s *groups.State) api.Ownership {
	own := s.Ownership()
	now := own[len(own)-1]
	out := api.Ownership{Owner: now.Owner, Name: n.nameOf(now.Owner), By: now.Kind.String(), Since: msTime(now.AtMs), Settled: now.Settled}
	if ms, ok := openAt(s, n.nowMs()); ok {
		out.OpenAt = msTime(ms)
	}
	return out
}

func statusAPI(s groups.Status) string {
	switch s {
	case groups.StatusSeated:
		return api.MemberSeated
	case groups.StatusWaitlisted:
		return api.MemberWaitlisted
	case groups.StatusLeft:
		return api.MemberLeft
	}
	return api.MemberRemoved
}

var whoInvites = []string{"owner", "admins", "members"}
var posting = []string{"all", "admins"}

func policyAPI(p groups.Policy) api.Policy {
	out := api.Policy{History: historyText(p.HistoryDays), Waitlist: int(p.Waitlist), SucceedDays: int(p.SucceedDays)}
	if p.WhoInvites < uint64(len(whoInvites)) {
		out.WhoInvites = whoInvites[p.WhoInvites]
	}
	if p.Posting < uint64(len(posting)) {
		out.Posting = posting[p.Posting]
	}
	return out
}

func historyText(days uint64) string {
	switch days {
	case 0:
		return "join"
	case groups.HistoryAll:
		return "all"
	}
	return strconv.FormatUint(days, 10) + "d"
}

func patchPolicy(p groups.Policy, in *api.PolicyPatch) (groups.Policy, error) {
	if in == nil {
		return p, nil
	}
	bad := func(what, got string) (groups.Policy, error) {
		return p, api.NewProblem(api.BadRequest).Explain("%s cannot be %q", what, got)
	}
	if in.WhoInvites != nil {
		i := slices.Index(whoInvites, *in.WhoInvites)
		if i < 0 {
			return bad("who invites", *in.WhoInvites)
		}
		p.WhoInvites = uint64(i)
	}
	if in.Posting != nil {
		i := slices.Index(posting, *in.Posting)
		if i < 0 {
			return bad("posting", *in.Posting)
		}
		p.Posting = uint64(i)
	}
	if in.History != nil {
		switch h := *in.History; h {
		case "join":
			p.HistoryDays = 0
		case "all":
			p.HistoryDays = groups.HistoryAll
		default:
			days, err := strconv.ParseUint(strings.TrimSuffix(h, "d"), 10, 16)
			if err != nil || days == 0 || days >= groups.HistoryAll || !strings.HasSuffix(h, "d") {
				return bad("history", h)
			}
			p.HistoryDays = days
		}
	}
	if in.Waitlist != nil {
		p.Waitlist = uint64(*in.Waitlist)
	}
	if in.SucceedDays != nil {
		p.SucceedDays = uint64(*in.SucceedDays)
	}
	return p, nil
}

func msTime(ms uint64) time.Time { return time.UnixMilli(int64(ms)).UTC() }
