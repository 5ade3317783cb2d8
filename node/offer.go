package node

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// AddMember offers a seat to a mutual. The task tells what became of it:
// offered, accepted, joined or declined. Problem not_mutual if the two do not
// follow each other: a passcode is for everybody else.
func (n *Node) AddMember(ctx context.Context, g wire.GroupID, a wire.AccountID) (api.Task, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return api.Task{}, err
	}
	v := r.view.Load()
	switch {
	case !v.seated():
		return api.Task{}, r.notSeated()
	case isDirect(v.state):
		return api.Task{}, api.NewProblem(api.DirectConversation)
	case !n.people.mutual(a):
		return api.Task{}, api.NewProblem(api.NotMutual)
	case !v.state.MayInvite(n.dev.account()):
		return api.Task{}, api.NewProblem(api.RoleNeeded)
	}
	return n.offerSeat(ctx, r, a)
}

// offerSeat offers a seat to a mutual whom the rules would let in, once.
func (n *Node) offerSeat(ctx context.Context, r *room, a wire.AccountID) (api.Task, error) {
	v := r.view.Load()
	s := v.state
	if m, ok := s.Member(a); ok && (m.Status == groups.StatusSeated || m.Status == groups.StatusWaitlisted) {
		return api.Task{}, api.NewProblem(api.AlreadyMember)
	}
	if s.SeatCount()+s.WaitCount() >= s.Cap()+int(s.Policy().Waitlist) {
		return api.Task{}, api.NewProblem(api.GroupFull)
	}
	for _, t := range n.tasks.open(r.group, api.TaskOffer) {
		if w, _ := t.what(); slices.Contains(w.Asked, a) {
			return n.Task(ctx, t.t.ID)
		}
	}
	offer := offerMsg{
		Inviter: n.dev.account(),
		Preview: offerPreview{Name: v.meta.Name, Members: uint64(s.SeatCount()), Cap: uint64(s.Cap()), HistoryDays: s.Policy().HistoryDays},
	}
	if _, err := io.ReadFull(n.cfg.Rand, offer.Nonce[:]); err != nil {
		return api.Task{}, fmt.Errorf("drawing a nonce: %w", err)
	}
	if err := r.step(ctx, func(*commit) error {
		offer.Genesis = r.g.Op(wire.OpID(r.group)).Frame()
		return nil
	}); err != nil {
		return api.Task{}, err
	}
	t := n.tasks.begin(api.TaskOffer, api.StageOffered, nil)
	err := n.wait(ctx, t, waiting{Group: r.group, Nonce: offer.Nonce, Asked: []wire.AccountID{a}},
		func(k *api.Task) { k.Result = &api.TaskResult{Group: r.group, Account: a} },
		func(tx *store.Tx) error {
			return n.queue(tx, a, directOffer, nonceKey(offer.Nonce), wire.Marshal(offer))
		})
	if err != nil {
		t.fail(api.AsProblem(err))
		return api.Task{}, err
	}
	n.reach(a)
	return n.Task(ctx, t.t.ID)
}

func offerID(g wire.GroupID) string { return "group-" + wire.OpID(g).String() }

// takeOffer keeps an offer of a seat until the person answers. Only a mutual
// may offer.
func (n *Node) takeOffer(ctx context.Context, from wire.PeerKey, frame []byte) error {
	var o offerMsg
	if err := wire.Unmarshal(frame, &o); err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	if !n.people.mutual(o.Inviter) || !slices.Contains(n.people.devices(o.Inviter), from) {
		if n.people.blocked(o.Inviter) {
			return nil // in silence
		}
		return fmt.Errorf("%w: an offer by nobody mutual", errDirectRefused)
	}
	op, err := n.readOffer(o)
	if err != nil {
		return err
	}
	r := n.room(wire.GroupID(op.ID))
	if r != nil && r.view.Load().seated() {
		return nil
	}
	direct := isOfTwo(op.Body.(*groups.GenesisBody))
	// A group this account knows is one it left or was put out of: it is asked.
	if known := r != nil && !r.view.Load().me.IsZero(); !known && n.acceptsOffers(direct) && (!direct || n.takesDirect(o.Inviter)) && n.rates.autoAccept(o.Inviter) {
		return n.answerOffer(ctx, requestRow{From: o.Inviter, GroupName: clipName(o.Preview.Name), Body: frame}, true)
	}
	err = n.keepOffer(ctx, o, op, frame, n.nowMs())
	n.ownChanged()
	return err
}

// maxOffers bounds the offers of one person that wait for an answer: each may
// weigh 128 KiB.
const maxOffers = 32

// offersFrom counts the offers of an account that wait, but for the one of id.
func (n *Node) offersFrom(a wire.AccountID, id string) (count int, err error) {
	err = n.store.View(func(tx *store.Tx) error {
		return tx.EachRequest(func(other string, b []byte) error {
			var row requestRow
			if err := wire.Unmarshal(b, &row); err != nil {
				return err
			}
			if row.Kind == api.RequestGroup && row.From == a && other != id {
				count++
			}
			return nil
		})
	})
	return count, err
}

// answerOffer says yes or no to an offered seat.
func (n *Node) answerOffer(ctx context.Context, row requestRow, accept bool) error {
	var o offerMsg
	if err := wire.Unmarshal(row.Body, &o); err != nil {
		return fmt.Errorf("reading an offer: %w", err)
	}
	op, refusal := groups.Decode(o.Genesis)
	if refusal != nil {
		return refusal
	}
	group := wire.GroupID(op.ID)
	if !accept {
		d := declineMsg{Group: group, Nonce: o.Nonce}
		err := n.store.Update(ctx, func(tx *store.Tx) error {
			return n.queue(tx, o.Inviter, directDecline, nonceKey(o.Nonce), wire.Marshal(d))
		})
		n.reach(o.Inviter)
		return err
	}
	seed, pk, err := seal.GenerateKEM(n.cfg.Rand)
	if err != nil {
		return err
	}
	req := groups.JoinRequest{
		V: 1, Group: group, Inviter: o.Inviter, Newcomer: n.dev.account(),
		Chain: n.dev.chain, Pop: n.dev.pop, KemPk: pk, Follow: 1, Nonce: o.Nonce, Ms: n.nowMs(),
	}
	sponsor := wire.PeerKey{}
	if devices := n.people.devices(o.Inviter); len(devices) > 0 {
		sponsor = devices[0]
	}
	r, err := n.prepareRoom(ctx, op, pk, seed, sponsor)
	if err != nil {
		return err
	}
	if err := r.callIt(ctx, row.GroupName); err != nil {
		return err
	}
	// Nobody else may be there to tell of the admit: the one who writes it does.
	r.tell(func(*commit) error {
		r.setLink(sponsor, n.mesh.Connected(sponsor))
		return nil
	})
	answer := answerMsg{Request: req, Sig: req.Sign(n.dev.keys.Op)}
	err = n.store.Update(ctx, func(tx *store.Tx) error {
		return n.queue(tx, o.Inviter, directAnswer, nonceKey(o.Nonce), wire.Marshal(answer))
	})
	n.reach(o.Inviter)
	n.tuneKeeps()
	return err
}

// takeAnswer admits a mutual who said yes to an offer of this device.
func (n *Node) takeAnswer(ctx context.Context, from wire.PeerKey, body []byte) error {
	var a answerMsg
	if err := wire.Unmarshal(body, &a); err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	r := n.room(a.Request.Group)
	if r == nil || !r.view.Load().seated() {
		return fmt.Errorf("%w: an answer for a group that is not here", errDirectRefused)
	}
	t, w := n.tasks.answered(r.group, a.Request.Nonce, api.TaskOffer)
	if t == nil || !slices.Contains(w.Asked, a.Request.Newcomer) || len(a.Request.Chain) == 0 || a.Request.Chain.Leaf().PeerKey != from {
		return fmt.Errorf("%w: an answer to no offer", errDirectRefused)
	}
	if !n.people.mutual(a.Request.Newcomer) {
		return t.endBy(api.NewProblem(api.NotMutual), api.StageRefused)
	}
	t.set(func(k *api.Task) { k.State, k.Stage = api.TaskRunning, api.StageAccepted })
	waits, err := r.admitPulled(ctx, &a)
	stage := api.StageJoined
	if waits {
		stage = api.StageWaitlisted
	}
	return t.endBy(err, stage)
}

// clipName bounds a name that somebody else chose.
func clipName(s string) string {
	if len(s) > groups.MaxGroupName {
		s = strings.ToValidUTF8(s[:groups.MaxGroupName], "") // cut between letters
	}
	return s
}
