package node

import (
	"context"
	"fmt"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh"
)

const protocolJoin = "/mutuals/join/1"

// Bounds of sponsoring (PROTOCOLS.md N1).
const (
	joinStep       = 30 * time.Second // a step of the dialogue
	maxJoinStreams = 2                // of one peer: a try, and one that is ending; an invite has 4 in all
	maxOpenHellos  = 4                // dialogues an invite at a time: each costs paths of up to 4 MiB
	// joinsPerMinute bounds hellos of one peer: one person looks at a card,
	// joins, and tries again; a look and each try is a hello.
	joinsPerMinute = 30
)

// serveJoin lets somebody in who holds a passcode, if the group's rules do.
// Until the holder has proved that it has a code that an invite here names,
// nothing is said.
func (n *Node) serveJoin(ctx context.Context, s *mesh.Stream) {
	defer s.Close()
	s.SetDeadline(time.Now().Add(joinStep))
	if !n.rates.hello(s.Peer()) {
		return
	}
	if err := n.sponsor(ctx, s); err != nil {
		n.blameStream(s.Peer(), err)
		n.log.Debug("a join ended", "peer", s.Peer().Short(), "err", err)
	}
}

func (n *Node) sponsor(ctx context.Context, s *mesh.Stream) error {
	b, err := s.ReadFrame(maxHelloFrame)
	if err != nil {
		return err
	}
	var hello helloMsg
	if err := wire.Unmarshal(b, &hello); err != nil {
		return err
	}
	if err := checkStep(hello.V, hello.Step, joinHello); err != nil {
		return err
	}
	core := wire.Marshal(helloCore{V: 1, N: s.Peer(), S: n.mesh.Self(), Nonce: hello.Nonce})
	if !wire.Verify(wire.DomainJoinHello, hello.InvitePk, wire.NoContext, core, hello.Signature) {
		return fmt.Errorf("%w: a hello that its invite key did not sign", errForged)
	}
	r, invite := n.roomOfInvite(hello.InvitePk)
	if r == nil {
		return fmt.Errorf("a hello for no invite here")
	}
	if !n.hellos.enter(invite) {
		return fmt.Errorf("too many open hellos for one invite")
	}
	defer n.hellos.leave(invite)

	if err := r.sendPath(ctx, s, invite); err != nil {
		return err
	}
	s.SetDeadline(time.Now().Add(joinStep))
	if b, err = s.ReadFrame(maxAskFrame); err != nil {
		return err
	}
	var ask askMsg
	if err := wire.Unmarshal(b, &ask); err != nil {
		return err
	}
	if err := checkStep(ask.V, ask.Step, joinAsk); err != nil {
		return err
	}
	if n.people.blocked(ask.Request.Newcomer) {
		return fmt.Errorf("a request of somebody blocked") // in silence: another member may let it in
	}
	verdict := r.decide(ctx, s.Peer(), invite, &ask)
	s.SetDeadline(time.Now().Add(joinStep))
	return s.WriteFrame(wire.Marshal(verdict))
}

// sendPath gives genesis alone, then what a newcomer needs to see for itself
// that the invite and this sponsor belong to the group.
func (r *room) sendPath(ctx context.Context, s *mesh.Stream, invite wire.OpID) error {
	var path []*groups.Op
	if err := r.step(ctx, func(*commit) error {
		inc, _ := r.pen()
		path = r.g.AdmissionPath(invite, inc)
		return nil
	}); err != nil {
		return err
	}
	if len(path) == 0 {
		return fmt.Errorf("no path to the invite")
	}
	s.SetDeadline(time.Now().Add(joinStep))
	if err := s.WriteFrame(path[0].Frame()); err != nil {
		return err
	}
	msg := pathMsg{V: 1, Step: joinPath, Preview: r.preview(invite)}
	for _, op := range path[1:] {
		msg.Frames = append(msg.Frames, op.Frame())
	}
	return s.WriteFrame(wire.Marshal(msg))
}

// decide answers a join request: by the rules, in the order they are written
// in, and the same request the same way again.
func (r *room) decide(ctx context.Context, peer wire.PeerKey, invite wire.OpID, ask *askMsg) verdictMsg {
	refused := func(reason groups.Reason) verdictMsg {
		return verdictMsg{V: 1, Step: joinVerdict, Outcome: outcomeRefused, Reason: uint64(reason)}
	}
	cited, _ := ask.Request.Invite.Get()
	if cited != invite || len(ask.Request.Chain) == 0 || ask.Request.Chain.Leaf().PeerKey != peer {
		return refused(groups.ReasonBadRequest)
	}
	verdict := verdictMsg{V: 1, Step: joinVerdict}
	err := r.step(ctx, func(c *commit) error {
		existing, waits, reason := r.mayAdmit(ask.Request, ask.Sig, ask.UseSig[:])
		by, _ := r.g.State().Invite(invite)
		switch {
		case !existing.IsZero():
			verdict.Admit = r.g.Op(existing).Frame()
		case r.office != nil && by.Approval:
			verdict = refused(groups.ReasonNotSponsor) // a member may ask an admin
			return nil
		case reason == groups.ReasonPending, reason == groups.ReasonNone && by.Approval:
			verdict.Outcome = outcomePending
			return r.queueAsk(c, passedMsg{Request: ask.Request, Sig: ask.Sig, UseSig: ask.UseSig}, true, wire.AccountID{}, r.n.nowMs())
		case reason != groups.ReasonNone:
			verdict = refused(reason)
			return nil
		default:
			op, err := r.own(c, groups.KindAdmit, &groups.AdmitBody{Request: ask.Request, Sig: ask.Sig, UseSig: ask.UseSig[:]})
			if err != nil {
				return err
			}
			verdict.Admit = op.Frame()
		}
		if waits {
			verdict.Outcome = outcomeWaitlisted
		}
		return nil
	})
	if err != nil {
		r.log.Warn("admitting failed", "err", err)
		return verdictMsg{V: 1, Step: joinVerdict, Outcome: outcomeRefused}
	}
	return verdict
}

// mayAdmit asks the group's rules, and before them what is known here of the
// device that asks: its revocation may not have reached the group.
func (r *room) mayAdmit(q groups.JoinRequest, sig wire.Sig, useSig []byte) (existing wire.OpID, waits bool, reason groups.Reason) {
	if r.n.people.revoked(q.Chain) {
		return existing, false, groups.ReasonRevoked
	}
	inc, _ := r.pen()
	return r.g.MayAdmit(inc, q, sig, useSig, r.n.nowMs())
}

// admitPulled writes the admit of a mutual who said yes to an offer.
func (r *room) admitPulled(ctx context.Context, answer *answerMsg) (waits bool, err error) {
	err = r.step(ctx, func(c *commit) error {
		existing, w, reason := r.mayAdmit(answer.Request, answer.Sig, nil)
		waits = w
		if !existing.IsZero() {
			return nil
		}
		if reason != groups.ReasonNone {
			return problemOf(reason)
		}
		_, err := r.own(c, groups.KindAdmit, &groups.AdmitBody{Request: answer.Request, Sig: answer.Sig})
		return err
	})
	return waits, err
}

// roomOfInvite finds the group an invite key belongs to, dead invites too:
// who holds one is told why it does not let anybody in any more.
func (n *Node) roomOfInvite(pk [32]byte) (*room, wire.OpID) {
	for _, r := range n.openRooms() {
		v := r.view.Load()
		if !v.seated() && !v.office.Sponsors() {
			continue
		}
		if invite, ok := v.state.InviteByKey(pk); ok {
			return r, invite.ID
		}
	}
	return nil, wire.OpID{}
}

// reasonCodes says refusals of the group's rules in the words of the API.
var reasonCodes = map[groups.Reason]api.Code{
	groups.ReasonGroupFull:     api.GroupFull,
	groups.ReasonInviteExpired: api.InviteExpired,
	groups.ReasonInviteUsed:    api.InviteUsed,
	groups.ReasonInviteRevoked: api.InviteRevoked,
	groups.ReasonRemoved:       api.Removed,
	groups.ReasonAlreadyMember: api.AlreadyMember,
	groups.ReasonPending:       api.Pending,
	groups.ReasonNotAMember:    api.NotMember,
	groups.ReasonNotSeated:     api.NotMember,
	groups.ReasonInviterGone:   api.InviteRevoked,
	groups.ReasonInviteVoid:    api.InviteRevoked,
	groups.ReasonInviteUnknown: api.InviteRevoked,
	groups.ReasonOutranked:     api.RoleNeeded,
	groups.ReasonNotSponsor:    api.RoleNeeded,
	groups.ReasonPosting:       api.RoleNeeded,
	groups.ReasonClockAhead:    api.ClockWrong,
	groups.ReasonRequestOld:    api.ClockWrong,
	groups.ReasonRoleNeeded:    api.RoleNeeded,
	groups.ReasonOwnerStays:    api.OwnerStays,
	groups.ReasonNoSuccession:  api.NoSuccession,
	groups.ReasonRevoked:       api.Revoked,
	groups.ReasonDirect:        api.DirectConversation,
}
