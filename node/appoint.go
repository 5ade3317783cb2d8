package node

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"mutuals/groups"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
)

// topicPause is how long after telling a harbor an epoch's topic it is told
// again if it does not listen there, or has not got the wraps; topicTurn how
// long the device that made the epoch has to tell it first.
const (
	topicPause = 15 * time.Second
	topicTurn  = 3 * time.Second
)

var rights = []string{api.RightStore, api.RightSponsor} // by bit

func rightsAPI(bits uint64) (out api.Array[string]) {
	for i, name := range rights {
		if bits&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}

func rightsOf(names []string) (bits uint64, err error) {
	for _, name := range names {
		i := slices.Index(rights, name)
		if i < 0 {
			return 0, api.NewProblem(api.BadRequest).Explain("a harbor has the rights store and sponsor, not %q", name)
		}
		bits |= 1 << i
	}
	return bits, nil
}

// Harbors returns the harbors in office, of one group or, with the zero id, of
// all.
func (n *Node) Harbors(ctx context.Context, g wire.GroupID) (out []api.Harbor, err error) {
	if !g.IsZero() {
		r, err := n.memberRoom(g)
		if err != nil {
			return nil, err
		}
		return r.harborsAPI(ctx)
	}
	for _, r := range n.openRooms() {
		if !r.view.Load().me.IsZero() {
			some, err := r.harborsAPI(ctx)
			if err != nil {
				return nil, err
			}
			out = append(out, some...)
		}
	}
	return out, nil
}

func (r *room) harborsAPI(ctx context.Context) (out []api.Harbor, err error) {
	err = r.step(ctx, func(*commit) error {
		for _, h := range r.g.State().Harbors() {
			if h.Appointed {
				one := r.harborAPI(h)
				one.Complete = r.harborHasAll(h.Peer)
				out = append(out, one)
			}
		}
		return nil
	})
	return out, err
}

// noteHarbor notes what a harbor says is on its disk.
func (r *room) noteHarbor(peer wire.PeerKey, entries groups.Vector) {
	if r.harbored == nil {
		r.harbored = map[wire.PeerKey]map[chainOf]uint64{}
	}
	if r.harbored[peer] == nil {
		r.harbored[peer] = map[chainOf]uint64{}
	}
	for _, e := range entries {
		r.harbored[peer][chainOf{e.Inc, groups.ChainKind(e.Chain)}] = e.Seq
	}
}

// harborHasAll tells whether a harbor has said that it has everything there is
// here, and the wraps of what is written under; on the room's goroutine.
func (r *room) harborHasAll(peer wire.PeerKey) bool {
	has, said := r.harbored[peer]
	if e, ok := r.sendEpoch(); ok && r.wrapsAt[peer] != e.EID {
		return false
	}
	for at, e := range r.heads {
		if has[at] < e.Seq {
			return false
		}
	}
	return said
}

func (r *room) harborAPI(h groups.HarborInfo) api.Harbor {
	out := api.Harbor{
		ID: h.ID, Group: r.group, Device: h.Device, Peer: h.Peer.String(), Rights: rightsAPI(h.Rights), Quota: h.Quota,
		Online: r.n.mesh.Connected(h.Peer), Since: msTime(h.AtMs),
	}
	if claim := r.n.people.claimants(h.Peer); len(claim) == 1 {
		out.Account, out.Name = claim[0], r.n.nameOf(claim[0])
	}
	return out
}

// AddHarbor asks a node to keep a group, and appoints it: the owner's to do.
// Problems: role_needed, peer_unreachable, declined with what it said.
func (n *Node) AddHarbor(ctx context.Context, in api.HarborCreate) (api.Harbor, error) {
	r, err := n.memberRoom(in.Group)
	if err != nil {
		return api.Harbor{}, err
	}
	v := r.view.Load()
	switch {
	case !v.seated():
		return api.Harbor{}, r.notSeated()
	case v.state.Owner() != n.dev.account():
		return api.Harbor{}, api.NewProblem(api.RoleNeeded, "role", api.RoleOwner)
	case in.Quota > groups.MaxQuota:
		return api.Harbor{}, api.NewProblem(api.BadRequest).Explain("a quota of %d bytes is more than any disk has", in.Quota)
	}
	bits, err := rightsOf(in.Rights)
	if err != nil {
		return api.Harbor{}, err
	}
	if len(in.Rights) == 0 {
		bits = groups.RightStore
	}
	peers, err := n.harborPeers(ctx, in.Who)
	if err != nil {
		return api.Harbor{}, err
	}
	consent, err := r.askConsent(ctx, peers, appointBody{Rights: bits, Quota: in.Quota})
	if err != nil {
		return api.Harbor{}, err
	}
	var id wire.OpID
	err = r.step(ctx, func(c *commit) error {
		op, err := r.own(c, groups.KindHarbor, &groups.HarborBody{
			OwnOp: r.g.State().OwnOp(), OpKey: consent.OpKey, PeerKey: consent.PeerKey, Pop: consent.Pop, Rights: bits, Quota: in.Quota,
		})
		if err == nil {
			id = op.ID
		}
		return err
	})
	if err != nil {
		return api.Harbor{}, err
	}
	h, _ := r.view.Load().state.Harbor(id)
	return r.harborAPI(h), nil
}

// harborPeers lists the devices that may be meant: of an account, of a card, or
// the other ones of this account.
func (n *Node) harborPeers(ctx context.Context, who string) ([]wire.PeerKey, error) {
	a := n.dev.account()
	if who != api.HarborSelf {
		var err error
		if a, err = wire.ParseAccountID(strings.TrimSpace(who)); err != nil {
			if a, err = n.accountOfCard(who); err != nil {
				return nil, err
			}
			if err := n.takeCard(ctx, a, who); err != nil {
				return nil, err
			}
		}
	}
	peers := slices.DeleteFunc(n.devicesOf(a), func(p wire.PeerKey) bool { return p == n.mesh.Self() })
	if len(peers) == 0 {
		return nil, api.NewProblem(api.PeerUnreachable).Explain("nothing is known of where that node is: give its contact card (mutuals id card, there)")
	}
	return peers, nil
}

func (n *Node) accountOfCard(text string) (wire.AccountID, error) {
	found, err := invites.Extract(text, n.now())
	if err != nil || found.Card == "" {
		return wire.AccountID{}, api.NewProblem(api.BadRequest).Explain("that is no account, no contact card and not self")
	}
	card, err := identity.ParseCard(found.Card)
	if err != nil {
		return wire.AccountID{}, api.NewProblem(api.BadRequest).Explain("the contact card cannot be read: %v", err)
	}
	return card.Card.Account, nil
}

// askConsent asks some devices to keep the group, and returns the first yes.
func (r *room) askConsent(ctx context.Context, peers []wire.PeerKey, want appointBody) (consentBody, error) {
	var path harborPath
	if err := r.step(ctx, func(*commit) error {
		for _, op := range r.g.AdmissionPath(r.me, r.me) {
			path.Frames = append(path.Frames, op.Frame())
		}
		return nil
	}); err != nil {
		return consentBody{}, err
	}
	last := api.NewProblem(api.PeerUnreachable).Explain("that node was not reached")
	for _, peer := range peers {
		if err := r.n.dialHarbor(ctx, peer); err != nil {
			r.log.Debug("dialling a harbor failed", "peer", peer.Short(), "err", err)
			continue
		}
		answer, err := r.askHarbor(ctx, peer, harborAppoint, want, &path)
		if err != nil {
			r.log.Debug("asking a harbor failed", "peer", peer.Short(), "err", err)
			continue
		}
		if answer.Outcome != harborYes {
			last = harborProblem(answer.Outcome)
			continue
		}
		var c consentBody
		if err := wire.Unmarshal(answer.Body, &c); err != nil || c.PeerKey != peer {
			return consentBody{}, fmt.Errorf("reading a harbor's consent: %w", errForged)
		}
		return c, nil
	}
	return consentBody{}, last
}

// harborProblem tells an owner why a node does not keep the group.
func harborProblem(outcome uint64) *api.Problem {
	why := map[uint64]string{
		harborOffers:   "that node keeps nothing for others: start it with mutualsd --harbor",
		harborStranger: "that node keeps groups of its mutuals only: follow each other first",
		harborFull:     "that node has no more room for others",
		harborMember:   "that node is a member of the group itself, and so can read it: a harbor must not",
		harborInOffice: "that node is a harbor of this group already",
	}[outcome]
	if why == "" {
		return api.NewProblem(api.UpdateNeeded)
	}
	return api.NewProblem(api.Declined).Explain("%s", why)
}

// dialHarbor links a peer, at the addresses that are known.
func (n *Node) dialHarbor(ctx context.Context, peer wire.PeerKey) error {
	if n.mesh.Connected(peer) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	return n.mesh.Connect(ctx, peer, n.addrsOf(peer))
}

// askHarbor sends a peer one request as a harbor and reads the answer.
func (r *room) askHarbor(ctx context.Context, peer wire.PeerKey, kind uint64, body any, path *harborPath) (answer harborAnswer, err error) {
	req := harborReq{V: 1, Inc: r.view.Load().me, Harbor: peer, Ms: r.n.nowMs(), What: harborWhat{Kind: kind, Body: wire.Marshal(body)}}
	if _, err := io.ReadFull(r.n.cfg.Rand, req.Nonce[:]); err != nil {
		return answer, fmt.Errorf("drawing a nonce: %w", err)
	}
	m := harborMsg{V: 1, Group: r.group, Request: wire.Marshal(req)}
	m.Sig = wire.Sign(wire.DomainHarborReq, r.n.dev.keys.Op, wire.Context(r.group), m.Request)
	s, err := r.n.mesh.Open(ctx, peer, protocolHarbor)
	if err != nil {
		return answer, fmt.Errorf("opening a harbor stream: %w", err)
	}
	defer s.Close()
	s.SetDeadline(time.Now().Add(harborStep))
	if err := s.WriteFrame(wire.Marshal(m)); err != nil {
		return answer, err
	}
	if path != nil {
		if err := s.WriteFrame(wire.Marshal(path)); err != nil {
			return answer, err
		}
	}
	b, err := s.ReadFrame(maxHarborAnswer)
	if err != nil {
		return answer, err
	}
	if err := wire.Unmarshal(b, &answer); err != nil {
		return answer, err
	}
	if answer.V != 1 {
		return answer, fmt.Errorf("%w: a harbor's answer of version %d", errStep, answer.V)
	}
	return answer, nil
}

// roomOfHarbor finds the group that an appointment is of.
func (n *Node) roomOfHarbor(id string) (*room, groups.HarborInfo, error) {
	if op, err := wire.ParseOpID(id); err == nil {
		for _, r := range n.openRooms() {
			v := r.view.Load()
			if h, ok := v.state.Harbor(op); ok && !v.me.IsZero() {
				return r, h, nil
			}
		}
	}
	return nil, groups.HarborInfo{}, api.NewProblem(api.NotFound).Explain("%q names no harbor of a group here", id)
}

// PatchHarbor changes what a harbor may; the owner's to do.
func (n *Node) PatchHarbor(ctx context.Context, id string, in api.HarborPatch) (api.Harbor, error) {
	return n.changeHarbor(ctx, id, func(h *groups.HarborInfo) error {
		if in.Quota != nil {
			if h.Quota = *in.Quota; h.Quota > groups.MaxQuota {
				return api.NewProblem(api.BadRequest).Explain("a quota of %d bytes is more than any disk has", h.Quota)
			}
		}
		if in.Rights == nil {
			return nil
		}
		bits, err := rightsOf(*in.Rights)
		if err == nil && bits == 0 {
			err = api.NewProblem(api.BadRequest).Explain("a harbor without any right is none: remove it")
		}
		h.Rights = bits
		return err
	})
}

// RemoveHarbor withdraws a harbor. The group gets a new key, and with it a
// topic that the harbor is not told.
func (n *Node) RemoveHarbor(ctx context.Context, id string) (api.Harbor, error) {
	return n.changeHarbor(ctx, id, func(h *groups.HarborInfo) error {
		h.Rights, h.Quota = 0, 0
		return nil
	})
}

func (n *Node) changeHarbor(ctx context.Context, id string, change func(*groups.HarborInfo) error) (api.Harbor, error) {
	r, h, err := n.roomOfHarbor(id)
	if err != nil {
		return api.Harbor{}, err
	}
	err = r.step(ctx, func(c *commit) error {
		s := r.g.State()
		if !s.Seated(n.dev.account()) {
			return r.notSeated()
		}
		if s.Owner() != n.dev.account() {
			return api.NewProblem(api.RoleNeeded, "role", api.RoleOwner)
		}
		now, _ := s.Harbor(h.ID)
		if h = now; !now.Appointed {
			return api.NewProblem(api.NotFound).Explain("that harbor was withdrawn")
		}
		if err := change(&h); err != nil {
			return err
		}
		if h == now {
			return nil
		}
		_, err := r.own(c, groups.KindHarbor, &groups.HarborBody{Change: true, OwnOp: s.OwnOp(), Harbor: h.ID, Rights: h.Rights, Quota: h.Quota})
		return err
	})
	if err != nil {
		return api.Harbor{}, err
	}
	now, _ := r.view.Load().state.Harbor(h.ID)
	return r.harborAPI(now), nil
}

// KeptGroups tells what this node keeps for others.
func (n *Node) KeptGroups(ctx context.Context) (api.Kept, error) {
	whose, err := n.harborFor()
	if err != nil {
		return api.Kept{}, err
	}
	out := api.Kept{Offering: n.cfg.Harbor, For: whose, Bytes: n.harbored.Load(), Quota: n.cfg.HarborQuota}
	for _, r := range n.openRooms() {
		if row := r.officeFor(ctx); row != nil {
			out.Items = append(out.Items, r.keptAPI(ctx, row))
		}
	}
	return out, nil
}

func (r *room) keptAPI(ctx context.Context, row *officeRow) api.KeptGroup {
	v := r.view.Load()
	out := api.KeptGroup{
		Group: r.group, Harbor: v.office.ID, For: row.For, InOffice: v.office.Appointed, Rights: rightsAPI(v.office.Rights),
		Members: v.state.SeatCount(), Quota: v.office.Quota, Since: msTime(row.AskedMs),
	}
	r.step(ctx, func(*commit) error {
		out.Bytes = r.office.used
		for p := range r.links {
			if v.member(p) {
				out.Online++
			}
		}
		return nil
	})
	return out
}

// tellTopics tells linked harbors the topic of the epoch that is written under,
// until they listen there and have its wraps: the name of the topic, which says
// nothing of the secret. Who made the epoch goes first.
func (r *room) tellTopics() {
	v := r.view.Load()
	if len(v.harbors) == 0 { // the rest is for each tick too much to do for nothing
		return
	}
	e, ok := r.sendEpoch()
	if !ok || r.topics[e.EID] == nil {
		return
	}
	t, now := r.topics[e.EID], r.n.now()
	if e.AuthorInc != r.me && now.Sub(t.joined) < topicTurn {
		return
	}
	on := t.t.Peers()
	body := topicBody{Rekey: e.Rekey, Topic: r.keys.epochs[e.EID].keys.Topic}
	for peer, l := range r.links {
		if !v.harbor(peer) || slices.Contains(on, peer) && r.wrapsAt[peer] == e.EID || l.topicOf == e.EID && now.Before(l.topicAt) {
			continue
		}
		l.topicAt, l.topicOf = now.Add(topicPause), e.EID
		r.n.wg.Go(func() {
			answer, err := r.askHarbor(r.n.ctx, peer, harborTopic, body, nil)
			if err != nil {
				r.log.Debug("telling a harbor the topic failed", "peer", peer.Short(), "err", err)
			}
			if err != nil || answer.Outcome != harborYes {
				return
			}
			r.tell(func(*commit) error {
				if r.wrapsAt == nil {
					r.wrapsAt = map[wire.PeerKey][32]byte{}
				}
				r.wrapsAt[peer] = e.EID
				return nil
			})
		})
	}
}
