package node

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// Succeed proposes to the other admins who is to own the group, once its owner
// has been silent for as long as the rules say. The task counts the yes; with
// more than half of the admins the group has a new owner. Problem no_succession
// says from when on it is possible.
func (n *Node) Succeed(ctx context.Context, g wire.GroupID, heir wire.AccountID) (api.Task, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return api.Task{}, err
	}
	v := r.view.Load()
	s, self := v.state, n.dev.account()
	admins := adminsOf(s)
	switch {
	case !v.seated():
		return api.Task{}, r.notSeated()
	case isDirect(s):
		return api.Task{}, api.NewProblem(api.DirectConversation)
	case s.Owner() == self:
		return api.Task{}, api.NewProblem(api.NotAllowed).Explain("you own the group: mutuals group transfer hands it over")
	case s.Role(self) != groups.RoleAdmin:
		return api.Task{}, api.NewProblem(api.RoleNeeded, "role", api.RoleAdmin)
	case s.Policy().SucceedDays == 0:
		return api.Task{}, api.NewProblem(api.NoSuccession)
	case len(admins) < groups.MinSuccessors:
		return api.Task{}, api.NewProblem(api.NoSuccession).Explain("it takes %d admins, and you are the only one", groups.MinSuccessors)
	case heir == s.Owner():
		return api.Task{}, api.NewProblem(api.BadRequest).Explain("they own the group already")
	case !s.Seated(heir):
		return api.Task{}, api.NewProblem(api.NotMember)
	}
	now := n.nowMs()
	if p := tooSoon(s, now); p != nil {
		return api.Task{}, p
	}
	for _, t := range n.tasks.open(g, api.TaskSucceed) {
		if w, _ := t.what(); w.Heir == heir && w.OwnOp == s.OwnOp() {
			return n.Task(ctx, t.t.ID)
		}
		return api.Task{}, api.NewProblem(api.Pending).Explain("you proposed somebody else: cancel task %s first", t.t.ID)
	}
	m := successionMsg{Group: g, OwnOp: s.OwnOp(), Heir: heir, Ms: now}
	if _, err := io.ReadFull(n.cfg.Rand, m.Nonce[:]); err != nil {
		return api.Task{}, fmt.Errorf("drawing a nonce: %w", err)
	}
	others := slices.DeleteFunc(admins, func(a wire.AccountID) bool { return a == self })
	t := n.tasks.begin(api.TaskSucceed, api.StageProposed, nil)
	err = n.wait(ctx, t, waiting{
		Group: g, Nonce: m.Nonce, Asked: others, OwnOp: m.OwnOp, Heir: heir, Ms: now,
		Votes: []groups.SucceedSig{{Inc: v.me, Sig: groups.SignSucceed(n.dev.keys.Op, g, m.OwnOp, heir, now)}},
	}, func(k *api.Task) {
		k.Result = &api.TaskResult{Group: g, Account: heir}
		k.Progress = api.Progress{Done: 1, Total: votesNeeded(len(others) + 1), Unit: "admins"}
	}, func(tx *store.Tx) error {
		for _, a := range others {
			if err := n.queue(tx, a, directSuccession, nonceKey(m.Nonce), wire.Marshal(m)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.fail(api.AsProblem(err))
		return api.Task{}, err
	}
	for _, a := range others {
		n.reach(a)
	}
	return n.Task(ctx, t.t.ID)
}

// adminsOf lists the seated admins, without the owner.
func adminsOf(s *groups.State) []wire.AccountID {
	var out []wire.AccountID
	for _, m := range s.Members() {
		if m.Status == groups.StatusSeated && m.Role == groups.RoleAdmin {
			out = append(out, m.Account)
		}
	}
	return out
}

// votesNeeded is more than half, and MinSuccessors at least.
func votesNeeded(admins int) int { return max(admins/2+1, groups.MinSuccessors) }

// openAt is from when on admins may elect an owner, by what is known here; ok
// is false where the rules do not allow it.
func openAt(s *groups.State, nowMs uint64) (ms uint64, ok bool) {
	days := s.Policy().SucceedDays
	if days == 0 {
		return 0, false
	}
	return nowMs - s.OwnerSilentMs(nowMs) + days*uint64(24*time.Hour/time.Millisecond), true
}

// tooSoon is the problem of electing an owner before its time; nil if it has
// come.
func tooSoon(s *groups.State, nowMs uint64) *api.Problem {
	at, ok := openAt(s, nowMs)
	switch {
	case !ok:
		return api.NewProblem(api.NoSuccession)
	case at > nowMs:
		return api.NewProblem(api.NoSuccession, "from", msTime(at).Format(time.RFC3339), "days", strconv.FormatUint(s.Policy().SucceedDays, 10))
	}
	return nil
}

func successionID(g wire.GroupID, by wire.AccountID) string {
	return "succession-" + g.Short() + "-" + by.String()
}

// takeSuccession keeps an admin's proposal until the person answers.
func (n *Node) takeSuccession(ctx context.Context, from wire.PeerKey, body []byte) error {
	var m successionMsg
	if err := wire.Unmarshal(body, &m); err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	r := n.room(m.Group)
	if r == nil || !r.view.Load().seated() {
		return fmt.Errorf("%w: a proposal for a group that is not here", errDirectRefused)
	}
	return r.step(ctx, func(c *commit) error {
		sender, _ := r.g.State().Inc(r.view.Load().peers[from])
		return r.keepSuccession(c, m, sender.Account, requestRow{Body: body, AtMs: n.nowMs()})
	})
}

// keepSuccession keeps a proposal for this group, if an admin may make it.
func (r *room) keepSuccession(c *commit, m successionMsg, by wire.AccountID, row requestRow) error {
	s := r.g.State()
	if m.Group == r.group && !s.Accepted(m.OwnOp) {
		return errNotHere
	}
	now := r.n.nowMs()
	switch {
	case m.Group != r.group || s.Role(by) != groups.RoleAdmin:
		return fmt.Errorf("%w: a proposal by no admin", errDirectRefused)
	case s.Role(r.n.dev.account()) != groups.RoleAdmin:
		return fmt.Errorf("%w: no admin here", errDirectRefused)
	case m.OwnOp != s.OwnOp() || !s.Seated(m.Heir) || m.Heir == s.Owner():
		return fmt.Errorf("%w: a proposal that is overtaken", errDirectRefused)
	case m.Ms > now+groups.MaxAheadMs || m.Ms+groups.VotesMs < now:
		return fmt.Errorf("%w: a proposal of another time", errDirectRefused)
	case tooSoon(s, m.Ms) != nil:
		return fmt.Errorf("%w: the owner is not silent long enough", errDirectRefused)
	}
	row.Kind, row.From = api.RequestSuccession, by
	r.putRequest(c, successionID(r.group, by), row)
	return nil
}

// answerSuccession votes for a proposed owner, or does not.
func (n *Node) answerSuccession(ctx context.Context, row requestRow, accept bool) error {
	var m successionMsg
	if err := wire.Unmarshal(row.Body, &m); err != nil {
		return fmt.Errorf("reading a proposal: %w", err)
	}
	r, err := n.memberRoom(m.Group)
	if err != nil {
		return err
	}
	err = r.step(ctx, func(c *commit) error {
		// The owner may have been heard of since it was asked.
		switch p := tooSoon(r.g.State(), m.Ms); {
		case accept && p != nil:
			return p
		case accept && m.Ms+groups.VotesMs < n.nowMs():
			return api.NewProblem(api.Timeout).Explain("the proposal is older than a week")
		}
		c.row(func(tx *store.Tx) error { return n.endRequest(tx, successionID(m.Group, row.From), howEnded(accept)) })
		if !accept {
			r.sayTo(c, directDecline, m.Nonce, row.From)
			return nil
		}
		vote := voteMsg{Group: m.Group, Nonce: m.Nonce, Inc: r.me, Sig: groups.SignSucceed(n.dev.keys.Op, m.Group, m.OwnOp, m.Heir, m.Ms)}
		c.row(func(tx *store.Tx) error {
			return n.queue(tx, row.From, directVote, nonceKey(m.Nonce), wire.Marshal(vote))
		})
		return nil
	})
	n.reach(row.From)
	return err
}

// takeVote counts an admin's yes, and with enough of them writes the
// succession.
func (n *Node) takeVote(ctx context.Context, from wire.PeerKey, body []byte) error {
	var vote voteMsg
	if err := wire.Unmarshal(body, &vote); err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	t, w := n.tasks.answered(vote.Group, vote.Nonce, api.TaskSucceed)
	if t == nil {
		return fmt.Errorf("%w: a vote on nothing", errDirectRefused)
	}
	r, err := n.memberRoom(vote.Group)
	if err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	err = r.step(ctx, func(c *commit) error {
		s := r.g.State()
		inc, ok := s.Inc(vote.Inc)
		switch {
		case !ok:
			return errNotHere
		case inc.Peer != from || !inc.Seated || s.Role(inc.Account) != groups.RoleAdmin:
			return fmt.Errorf("%w: a vote of no admin", errDirectRefused)
		case !groups.VerifySucceed(inc.Device, w.Group, w.OwnOp, w.Heir, w.Ms, vote.Sig):
			return fmt.Errorf("%w: not the admin's signature", errDirectRefused)
		}
		votes, needed := t.vote(s, groups.SucceedSig{Inc: vote.Inc, Sig: vote.Sig})
		if len(votes) < needed {
			return nil
		}
		_, err := r.own(c, groups.KindSucceed, &groups.SucceedBody{OwnOp: w.OwnOp, Heir: w.Heir, Ms: w.Ms, Sigs: votes})
		return err
	})
	if isRefusal(err) {
		return err
	}
	if _, ruled := asRuling(err); ruled {
		return t.endBy(err, api.StageElected)
	}
	if err == nil {
		t.set(func(*api.Task) {}) // the votes are on disk before they are acknowledged
	}
	return err
}

// vote adds an admin's yes; it returns those whose signers are admins still,
// one for each account, ascending, and how many it takes.
func (t *task) vote(s *groups.State, v groups.SucceedSig) (votes []groups.SucceedSig, needed int) {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	all := slices.DeleteFunc(slices.Clone(t.waits.Votes), func(o groups.SucceedSig) bool { return o.Inc == v.Inc })
	all = append(all, v)
	slices.SortFunc(all, func(a, b groups.SucceedSig) int { return slices.Compare(a.Inc[:], b.Inc[:]) })
	t.waits.Votes = all
	voted := map[wire.AccountID]bool{}
	for _, one := range all {
		inc, ok := s.Inc(one.Inc)
		if ok && inc.Seated && s.Role(inc.Account) == groups.RoleAdmin && !voted[inc.Account] {
			voted[inc.Account] = true
			votes = append(votes, one)
		}
	}
	needed = votesNeeded(len(adminsOf(s)))
	t.t.Progress.Done, t.t.Progress.Total = len(votes), needed
	return votes, needed
}

// lostVote counts an admin's no; when the rest are too few the proposal is
// declined.
func (n *Node) lostVote(t *task, by wire.AccountID) {
	hopeless := false
	t.set(func(k *api.Task) {
		t.waits.Asked = slices.DeleteFunc(slices.Clone(t.waits.Asked), func(a wire.AccountID) bool { return a == by })
		k.Tried = append(k.Tried, api.Attempt{Way: by.String(), Error: string(api.Declined)})
		hopeless = len(t.waits.Asked)+1 < k.Progress.Total
	})
	if hopeless {
		t.declined()
	}
}

// staleProposals ends a proposal whose votes are too old to count.
func (r *room) staleProposals() {
	for _, t := range r.n.tasks.open(r.group, api.TaskSucceed) {
		if w, _ := t.what(); w.Ms+groups.VotesMs < r.n.nowMs() {
			t.fail(api.NewProblem(api.Timeout))
		}
	}
}
