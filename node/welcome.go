package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"mutuals/groups"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/mesh"
	"mutuals/store"
)

// Bounds of answering restored devices (PROTOCOLS.md N9).
const (
	maxRestoreStreams = 2 // of one peer: one, and one that is ending
	// restoresPerMinute bounds hellos of one peer: it asks at each link, and
	// every ten minutes.
	restoresPerMinute = 6
	// restoresOfAll bounds those of all peers together, since peer keys are
	// free: each is tried with every account known here.
	restoresOfAll = 60
)

// errNobody ends a hello of somebody who is nobody known here, in silence.
var errNobody = errors.New("a hello of no account known here")

// serveRestore lets a device back into the groups its account is in, if it
// proves that it is one. To anybody else nothing is said.
func (n *Node) serveRestore(ctx context.Context, s *mesh.Stream) {
	defer s.Close()
	if !n.rates.restore(s.Peer()) {
		s.Reset()
		return
	}
	if err := n.welcome(ctx, s); err != nil && !errors.Is(err, io.EOF) {
		n.blameStream(s.Peer(), err)
		n.log.Debug("a restored device was not answered", "peer", s.Peer().Short(), "err", err)
		s.Reset()
	}
}

func (n *Node) welcome(ctx context.Context, s *mesh.Stream) error {
	s.SetDeadline(time.Now().Add(joinStep))
	b, err := s.ReadFrame(identity.MaxRestoreHello)
	if err != nil {
		return err
	}
	hello, err := identity.DecodeRestoreHello(b)
	if err != nil {
		return err
	}
	chain, err := n.openHello(hello, s.Peer())
	if err != nil {
		return err
	}
	account := chain.Leaf().Account
	list, err := n.listFor(ctx, account, chain)
	if err != nil {
		return err
	}
	if err := writeRestore(s, list); err != nil {
		return err
	}
	for range maxRestoreGroups {
		var show showMsg
		if err := readRestore(s, maxShowFrame, &show); err != nil {
			return err
		}
		if err := checkStep(show.V, show.Step, restoreShow); err != nil {
			return err
		}
		if !slices.Contains(list.Groups, show.Group) {
			return fmt.Errorf("%w: a group it was not told", errStep)
		}
		if err := n.room(show.Group).letBack(ctx, s, chain); err != nil {
			return err
		}
	}
	return nil
}

// openHello finds whose device says hello: of the accounts this one shares a
// group with or has a tie to.
func (n *Node) openHello(hello identity.RestoreHello, peer wire.PeerKey) (identity.Chain, error) {
	for a := range n.acquaintances() {
		chain, _, ok, err := hello.Open(a, peer, n.mesh.Self())
		switch {
		case !ok:
			continue
		case err != nil:
			return nil, fmt.Errorf("%w: %v", errForged, err)
		case n.people.blocked(a):
			return nil, errNobody
		}
		return chain, nil
	}
	return nil, errNobody
}

// acquaintances are the accounts that a group or an edge made known here.
func (n *Node) acquaintances() map[wire.AccountID]bool {
	out := map[wire.AccountID]bool{n.dev.account(): true}
	n.people.mu.Lock()
	for a, p := range n.people.byID {
		if p.in != nil || p.out != nil {
			out[a] = true
		}
	}
	n.people.mu.Unlock()
	for _, r := range n.openRooms() {
		if v := r.view.Load(); v.seated() {
			for _, m := range v.state.Members() {
				out[m.Account] = true
			}
		}
	}
	return out
}

// listFor gathers what an account is told of itself, and has the own edge and
// profile handed over anew: they were delivered to a device that is gone.
func (n *Node) listFor(ctx context.Context, a wire.AccountID, chain identity.Chain) (listMsg, error) {
	list := listMsg{V: 1, Step: restoreList}
	for _, rev := range n.people.revocations(a) {
		if len(list.Revoked) < maxToldRevocations {
			list.Revoked = append(list.Revoked, wire.Marshal(rev))
		}
	}
	if n.people.revoked(chain) {
		return list, nil // it is told that it ended, and nothing else
	}
	n.people.meetPeer(a, chain.Leaf().PeerKey)
	n.people.mu.Lock()
	p := n.people.get(a)
	in, out := p.in, p.out
	n.people.mu.Unlock()
	if in != nil {
		list.Said = wire.Marshal(*in)
	}
	for _, r := range n.openRooms() {
		if v := r.view.Load(); len(list.Groups) < maxRestoreGroups && v.seated() && v.admitted(a) {
			list.Groups = append(list.Groups, r.group)
		}
	}
	if out == nil {
		return list, nil
	}
	err := n.store.Update(ctx, func(tx *store.Tx) error {
		if err := n.queue(tx, a, directEdge, "edge", wire.Marshal(*out)); err != nil {
			return err
		}
		return n.queueProfile(tx, a)
	})
	n.deliverTo(chain.Leaf().PeerKey, a)
	return list, err
}

// admitted tells whether an account has a seat or waits for one.
func (v *view) admitted(a wire.AccountID) bool {
	m, ok := v.state.Member(a)
	return ok && (m.Status == groups.StatusSeated || m.Status == groups.StatusWaitlisted)
}

// letBack shows a group and adds the device that asks.
func (r *room) letBack(ctx context.Context, s *mesh.Stream, chain identity.Chain) error {
	if r == nil {
		return errors.New("the group is closed")
	}
	var path []*groups.Op
	if err := r.step(ctx, func(*commit) error {
		path = r.g.ReturnPath(chain.Leaf().Account, r.me)
		return nil
	}); err != nil {
		return err
	}
	if path == nil {
		return errors.New("its account is not in any more")
	}
	s.SetDeadline(time.Now().Add(joinStep))
	if err := s.WriteFrame(path[0].Frame()); err != nil {
		return err
	}
	msg := pathMsg{V: 1, Step: restorePath}
	for _, op := range path[1:] {
		msg.Frames = append(msg.Frames, op.Frame())
	}
	if err := writeRestore(s, msg); err != nil {
		return err
	}
	var ask returnMsg
	if err := readRestore(s, maxAskFrame, &ask); err != nil {
		return err
	}
	if err := checkStep(ask.V, ask.Step, restoreAsk); err != nil {
		return err
	}
	return writeRestore(s, r.addDevice(ctx, chain, &ask))
}

// addDevice writes the dev-add of a device whose hello held, if the rules let
// it in; one that is in already is shown what let it in.
func (r *room) addDevice(ctx context.Context, chain identity.Chain, ask *returnMsg) verdictMsg {
	refused := func(reason groups.Reason) verdictMsg {
		return verdictMsg{V: 1, Step: restoreVerdict, Outcome: outcomeRefused, Reason: uint64(reason)}
	}
	if len(ask.Request.Chain) != 1 || ask.Request.Chain[0] != chain[0] {
		return refused(groups.ReasonBadRequest) // a request of another device, shown by this one
	}
	q := ask.Request
	body := &groups.DevAddBody{Account: q.Newcomer, Chain: q.Chain, Pop: q.Pop, KemPk: q.KemPk, Request: q.Encode(), Sig: ask.Sig[:]}
	verdict := verdictMsg{V: 1, Step: restoreVerdict}
	if r.n.people.revoked(q.Chain) {
		return refused(groups.ReasonRevoked)
	}
	err := r.step(ctx, func(c *commit) error {
		if inc, ok := r.g.State().IncOfDevice(q.Device()); ok {
			verdict.Admit = r.g.Op(inc.ID).Frame()
			return nil
		}
		if reason := r.g.MayAddDevice(r.me, *body, r.n.nowMs()); reason != groups.ReasonNone {
			verdict = refused(reason)
			return nil
		}
		op, err := r.own(c, groups.KindDevAdd, body)
		if err != nil {
			return err
		}
		verdict.Admit = op.Frame()
		return nil
	})
	if err != nil {
		r.log.Warn("adding a restored device failed", "err", err)
		return refused(groups.ReasonNone)
	}
	return verdict
}

func writeRestore(s *mesh.Stream, m any) error {
	s.SetDeadline(time.Now().Add(joinStep))
	return s.WriteFrame(wire.Marshal(m))
}

func readRestore(s *mesh.Stream, max int, m any) error {
	s.SetDeadline(time.Now().Add(joinStep))
	b, err := s.ReadFrame(max)
	if err != nil {
		return err
	}
	return wire.Unmarshal(b, m)
}
