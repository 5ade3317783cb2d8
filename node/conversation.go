package node

import (
	"cmp"
	"context"
	"slices"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// A conversation is what two mutuals say to each other alone: a group whose
// genesis names the other account (groups/SPEC.md R19). Each of the two may have
// made one before it knew of the other's, or a new one after somebody left; all
// of them are shown as one, and written in the one of lowest id that both sit
// in.

// part is one group of a conversation, as it is or is about to be shown.
type part struct {
	r *room
	v *view
}

// between tells whom this account talks with in a direct conversation; ok is
// false for any other group.
func between(self wire.AccountID, s *groups.State) (other wire.AccountID, ok bool) {
	named := s.Policy().Direct
	switch {
	case len(named) == 0:
		return other, false
	case s.Owner() == self:
		return wire.AccountID(named), true
	}
	return s.Owner(), true
}

// isDirect tells whether a group is a conversation of two.
func isDirect(s *groups.State) bool { return len(s.Policy().Direct) > 0 }

// rank orders the groups of a conversation by how well something said there is
// heard: both sit in it; the other was offered the seat; the other has left;
// this account has.
func (p part) rank(other wire.AccountID) int {
	m, ok := p.v.state.Member(other)
	switch {
	case !p.v.seated():
		return heardBefore
	case !ok:
		return heardLater
	case m.Status == groups.StatusSeated:
		return heardNow
	}
	return heardNever
}

const (
	heardNow = iota
	heardLater
	heardNever
	heardBefore
)

// conversation lists the groups that are shown as one with r, the one that is
// written in first; v is what r is about to show. For a group of any other
// kind that is r alone.
func (r *room) conversation(v *view) []part {
	other, direct := between(r.n.dev.account(), v.state)
	if !direct || !v.ours() {
		return []part{{r, v}}
	}
	return r.n.conversationWith(other, part{r, v})
}

// conversationWith lists the groups of the conversation with an account that
// this one is or was in, first the one that is written in. A part that is given
// stands for its room.
func (n *Node) conversationWith(other wire.AccountID, given ...part) []part {
	self := n.dev.account()
	parts := slices.Clone(given)
	for _, r := range n.openRooms() {
		v := r.view.Load()
		if a, direct := between(self, v.state); !direct || a != other || !v.ours() {
			continue
		}
		if !slices.ContainsFunc(parts, func(p part) bool { return p.r == r }) {
			parts = append(parts, part{r, v})
		}
	}
	slices.SortFunc(parts, func(a, b part) int {
		return cmp.Or(a.rank(other)-b.rank(other), slices.Compare(a.r.group[:], b.r.group[:]))
	})
	return parts
}

// roomsOf lists the rooms that are shown as one with r, the one that is written
// in first.
func (r *room) roomsOf() []*room {
	var out []*room
	for _, p := range r.conversation(r.view.Load()) {
		out = append(out, p.r)
	}
	return out
}

// speaker is the room that what is said in r is written in. Problem other_left
// if nobody would hear it.
func (r *room) speaker() (*room, error) {
	v := r.view.Load()
	first := r.conversation(v)[0]
	if other, direct := between(r.n.dev.account(), v.state); direct && first.rank(other) == heardNever {
		return nil, api.NewProblem(api.OtherLeft)
	}
	return first.r, nil
}

// notDirect refuses what a conversation of two does not have.
func notDirect(s *groups.State) error {
	if isDirect(s) {
		return api.NewProblem(api.DirectConversation)
	}
	return nil
}

// direct opens the conversation with a mutual: the one there is, or a new one,
// in which the other is offered the seat. Problem not_mutual.
func (n *Node) direct(ctx context.Context, in api.GroupCreate) (api.Group, error) {
	other := in.Direct
	switch {
	case in.Name != "" || in.Description != "" || in.Cap != nil || in.Policy != nil || len(in.IceBreakers) > 0:
		return api.Group{}, api.NewProblem(api.BadRequest).Explain("a direct conversation has no name, cap or rules of its own")
	case other == n.dev.account():
		return api.Group{}, api.NewProblem(api.BadRequest).Explain("a direct conversation is with somebody else")
	}
	n.pairing.Lock()
	defer n.pairing.Unlock()
	parts := n.conversationWith(other)
	if len(parts) > 0 && parts[0].rank(other) == heardNow {
		return parts[0].r.api(parts[0].v), nil
	}
	if !n.people.mutual(other) {
		return api.Group{}, api.NewProblem(api.NotMutual)
	}
	r := (*room)(nil)
	if len(parts) > 0 && parts[0].rank(other) == heardLater {
		r = parts[0].r
	} else {
		policy := groups.DefaultPolicy()
		policy.HistoryDays, policy.Waitlist, policy.Direct = groups.HistoryAll, 0, other[:]
		var err error
		if r, err = n.found(ctx, 2, policy, nil); err != nil {
			return api.Group{}, err
		}
	}
	if _, err := n.offerSeat(ctx, r, other); err != nil {
		return api.Group{}, err
	}
	return r.api(r.view.Load()), nil
}

// maxParts is how many conversations that one mutual made are taken unasked:
// each of its devices may have made one while it was alone, and one more after
// somebody left. A group that is opened costs memory for as long as it is here.
const maxParts = 4

// takesDirect tells whether an offered conversation is taken unasked.
func (n *Node) takesDirect(maker wire.AccountID) bool {
	made := 0
	for _, r := range n.openRooms() {
		if s := r.view.Load().state; isDirect(s) && s.Owner() == maker {
			made++
		}
	}
	return made < maxParts
}

// asDirect makes of the group of a conversation what its reader sees: it goes
// by the other's name, and is one with the others of the pair.
func (r *room) asDirect(out *api.Group, parts []part) {
	other, _ := between(r.n.dev.account(), parts[0].v.state)
	out.Name, out.Role = r.n.nameOf(other), api.RoleMember
	out.Direct = &api.Direct{Account: other, Name: out.Name}
	m, ok := parts[0].v.state.Member(other)
	switch {
	case !ok:
		out.Direct.Status = api.DirectOffered
	case m.Status == groups.StatusSeated:
		out.Direct.Status = api.DirectJoined
	default:
		out.Direct.Status = api.DirectLeft
	}
	for _, p := range parts[1:] {
		out.Direct.Also = append(out.Direct.Also, p.r.group)
		out.Unread += p.v.unread
		out.UnreadMentions += p.v.mentions
		out.Gaps = slices.Concat(out.Gaps, p.v.gaps.list)
		out.Synced = len(out.Gaps) == 0
		if to := p.v.gaps.completeTo; !to.IsZero() && (out.CompleteTo.IsZero() || to.Before(out.CompleteTo)) {
			out.CompleteTo = to
		}
		if from := p.v.gaps.completeFrom; from.After(out.CompleteFrom) {
			out.CompleteFrom = from
		}
		out.OnlyHere += p.r.onlyHere(p.v)
		if l := p.v.latest; l != nil && (out.LastMessage == nil || out.LastMessage.Clock < l.OrderMs) {
			m := r.n.messageOf(p.r, *l)
			out.LastMessage = &m
		}
	}
	out.Unread, out.SafeToClose = min(out.Unread, maxUnread), out.OnlyHere == 0
}
