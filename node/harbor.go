package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
	"mutuals/node/mesh"
	"mutuals/store"
)

// Bounds of serving as a harbor (PROTOCOLS.md N12).
const (
	maxHarborStreams = 2                // of one peer: one that asks, one that is ending
	harborsPerMinute = 30               // requests of one peer: each epoch and each invite is one
	harborStep       = 20 * time.Second // a step of the dialogue
	// harborWait is how long what is asked about may take to arrive by sync.
	harborWait = 10 * time.Second
	// maxOffices bounds the groups a node keeps for others, maxOfficesOf those
	// of one account: each costs a room in memory.
	maxOffices   = 256
	maxOfficesOf = 16
	// maxAskerPath bounds the admission path of who asks: a genesis of 128 KiB
	// and a hundred admissions, from somebody who may be anybody.
	maxAskerPath = 512 << 10
)

// errLacks means that something named is not here, or not yet.
var errLacks = errors.New("what is named is not here")

// harborRefusal is an answer that is no.
type harborRefusal uint64

func (h harborRefusal) Error() string { return fmt.Sprintf("refused as a harbor: %d", uint64(h)) }

// serveHarbor answers one request to a harbor.
func (n *Node) serveHarbor(ctx context.Context, s *mesh.Stream) {
	defer s.Close()
	if !n.rates.harbor(s.Peer()) {
		s.Reset()
		return
	}
	answer := harborAnswer{V: 1}
	body, err := n.answerHarbor(ctx, s)
	var no harborRefusal
	switch {
	case err == nil:
		answer.Body = body
	case errors.As(err, &no):
		answer.Outcome = uint64(no)
	case errors.Is(err, errLacks):
		answer.Outcome = harborLacks
	default:
		n.blameStream(s.Peer(), err)
		n.log.Debug("a request to this harbor was not answered", "peer", s.Peer().Short(), "err", err)
		s.Reset()
		return
	}
	s.SetDeadline(time.Now().Add(harborStep))
	if err := s.WriteFrame(wire.Marshal(answer)); err != nil {
		n.log.Debug("answering as a harbor failed", "peer", s.Peer().Short(), "err", err)
	}
}

func (n *Node) answerHarbor(ctx context.Context, s *mesh.Stream) ([]byte, error) {
	s.SetDeadline(time.Now().Add(harborStep))
	b, err := s.ReadFrame(maxHarborFrame)
	if err != nil {
		return nil, err
	}
	var m harborMsg
	if err := wire.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	var req harborReq
	if err := wire.Unmarshal(m.Request, &req); err != nil {
		return nil, err
	}
	now := n.nowMs()
	switch {
	case m.V != 1 || req.V != 1:
		return nil, fmt.Errorf("%w: a harbor request of version %d, %d", errStep, m.V, req.V)
	case req.Harbor != n.mesh.Self():
		return nil, fmt.Errorf("a request to another harbor")
	case req.Ms > now+requestSkew || req.Ms+requestSkew < now:
		return nil, fmt.Errorf("a harbor request of another time")
	}
	if req.What.Kind == harborAppoint {
		return n.consent(ctx, s, m, req)
	}
	r := n.room(m.Group)
	if r == nil || !r.view.Load().office.Appointed {
		return nil, fmt.Errorf("a request to no harbor of that group")
	}
	v := r.view.Load()
	inc, ok := v.state.Inc(req.Inc)
	if !ok || !inc.Seated || v.peers[s.Peer()] != req.Inc {
		return nil, errUnseated
	}
	if !m.by(inc.Device) {
		return nil, fmt.Errorf("%w: a harbor request", errForged)
	}
	switch req.What.Kind {
	case harborTopic:
		var t topicBody
		if err := wire.Unmarshal(req.What.Body, &t); err != nil {
			return nil, err
		}
		if err := r.await1(ctx, func(c *commit) error { return r.takeTopic(c, req.Inc, t) }); err != nil {
			return nil, err
		}
		return nil, r.await1(ctx, func(*commit) error { return r.servesEpoch(t.Rekey) })
	case harborInvite:
		var i inviteBody
		if err := wire.Unmarshal(req.What.Body, &i); err != nil {
			return nil, err
		}
		if len(i.Preview) > invites.MaxLobbyPreview {
			return nil, fmt.Errorf("%w: a preview of %d bytes", wire.ErrMalformed, len(i.Preview))
		}
		return nil, r.await1(ctx, func(c *commit) error { return r.takeLeft(c, inc, i) })
	}
	return nil, harborRefusal(harborLacks) // of a newer version
}

func (m *harborMsg) by(device wire.DeviceID) bool {
	return wire.Verify(wire.DomainHarborReq, device, wire.Context(m.Group), m.Request, m.Sig)
}

// await1 does a step, again whenever the room changed as long as what it needs
// is not here; errLacks if that takes too long.
func (r *room) await1(ctx context.Context, fn func(*commit) error) error {
	ctx, cancel := context.WithTimeout(ctx, harborWait)
	defer cancel()
	for {
		changed := r.changed.wait()
		err := r.step(ctx, fn)
		if !errors.Is(err, errLacks) {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return err
		}
	}
}

// takeLeft keeps what a code's maker leaves for those who come with it, once
// all they will need is here.
func (r *room) takeLeft(c *commit, by groups.IncInfo, m inviteBody) error {
	invite, ok := r.g.State().Invite(m.Invite)
	if !ok {
		return errLacks
	}
	if invite.Inviter != by.Account {
		return fmt.Errorf("%w: an invite of somebody else", errForged)
	}
	if !r.office.sets[m.Rekey].leaves[m.Invite] {
		return errLacks
	}
	if len(m.Preview) > 0 {
		c.row(func(tx *store.Tx) error {
			return tx.PutInvite(r.group, store.InviteRow{ID: m.Invite, Data: m.Preview})
		})
	}
	return nil
}

// leftPreview is what the maker of a code left for those who come with it.
func (r *room) leftPreview(invite wire.OpID) (sealed []byte) {
	err := r.n.store.View(func(tx *store.Tx) error {
		rows, err := tx.Invites(r.group)
		for _, row := range rows {
			if row.ID == invite {
				sealed = row.Data
			}
		}
		return err
	})
	if err != nil {
		r.log.Warn("reading what was left for newcomers failed", "err", err)
	}
	return sealed
}

// consent answers who asks this node to keep a group. It reads the admission
// path of the device that asks only if its account is one it keeps groups for.
func (n *Node) consent(ctx context.Context, s *mesh.Stream, m harborMsg, req harborReq) ([]byte, error) {
	var want appointBody
	if err := wire.Unmarshal(req.What.Body, &want); err != nil {
		return nil, err
	}
	if !n.cfg.Harbor {
		return nil, harborRefusal(harborOffers)
	}
	whose, err := n.harborFor()
	if err != nil {
		return nil, err
	}
	s.SetDeadline(time.Now().Add(harborStep))
	b, err := s.ReadFrame(maxAskerPath)
	if err != nil {
		return nil, err
	}
	genesis, asker, err := readAsker(b, m, s.Peer(), func(a wire.AccountID) bool {
		return a == n.dev.account() || n.serves(a) || whose == api.HarborForMutuals && n.people.mutual(a) && !n.people.blocked(a)
	})
	if err != nil {
		return nil, err
	}
	switch {
	case asker.ID != req.Inc || !m.by(asker.Device):
		return nil, fmt.Errorf("%w: a request to keep a group", errForged)
	case n.harbored.Load() >= int64(n.cfg.HarborQuota):
		return nil, harborRefusal(harborFull)
	}
	key, err := n.prepareOffice(ctx, genesis, asker)
	if err != nil {
		return nil, err
	}
	return wire.Marshal(consentBody{
		OpKey: wire.DeviceID(key.Public().(ed25519.PublicKey)), PeerKey: n.mesh.Self(),
		Pop: groups.ProveHarbor(key, n.dev.keys.Peer, m.Group, req.Inc),
	}), nil
}

// readAsker checks an admission path and gives its genesis and the device at
// the other end of the stream, which it leads to. A path to an account that is
// not served is not verified: that is the cheap part of a stranger's request.
func readAsker(b []byte, m harborMsg, peer wire.PeerKey, serves func(wire.AccountID) bool) (genesis *groups.Op, asker groups.IncInfo, err error) {
	var shown harborPath
	if err := wire.Unmarshal(b, &shown); err != nil {
		return nil, asker, err
	}
	var ops []*groups.Op
	for _, frame := range shown.Frames {
		op, refusal := groups.Decode(frame)
		if refusal != nil {
			return nil, asker, refusal
		}
		ops = append(ops, op)
	}
	if len(ops) == 0 || !serves(enters(ops[len(ops)-1])) {
		return nil, asker, harborRefusal(harborStranger)
	}
	path, refusal := groups.CheckPath(ops)
	if refusal != nil {
		return nil, asker, refusal
	}
	asker, ok := path.Device(peer)
	if path.Group != m.Group || !ok || !serves(asker.Account) {
		return nil, asker, fmt.Errorf("%w: a path that leads to somebody else", errForged)
	}
	return ops[0], asker, nil
}

// enters is the account that an operation lets in; zero if none.
func enters(op *groups.Op) wire.AccountID {
	switch b := op.Body.(type) {
	case *groups.GenesisBody:
		return b.Owner
	case *groups.AdmitBody:
		return b.Request.Newcomer
	case *groups.DevAddBody:
		return b.Account
	}
	return wire.AccountID{}
}

// prepareOffice opens the room of a group that this node agrees to keep, with a
// key for this appointment alone, which is on disk before the consent leaves.
func (n *Node) prepareOffice(ctx context.Context, genesis *groups.Op, asker groups.IncInfo) (ed25519.PrivateKey, error) {
	row := officeRow{V: 1, For: asker.Account, Owner: asker.Peer, AskedMs: n.nowMs()}
	if _, err := io.ReadFull(n.cfg.Rand, row.OpSeed[:]); err != nil {
		return nil, fmt.Errorf("drawing a key: %w", err)
	}
	group := wire.GroupID(genesis.ID)
	n.opening.Lock()
	defer n.opening.Unlock()
	if err := n.mayOpen(group); err != nil {
		return nil, err
	}
	old := n.room(group)
	if old != nil {
		v := old.view.Load()
		switch {
		case !v.blind:
			return nil, harborRefusal(harborMember)
		case v.office.Appointed:
			return nil, harborRefusal(harborInOffice)
		}
		// One that was dismissed, or never appointed: this is another appointment.
		n.dropRoom(old)
	}
	all, of := 0, 0
	for _, r := range n.openRooms() {
		if o := r.officeFor(ctx); o != nil {
			all++
			if o.For == asker.Account {
				of++
			}
		}
	}
	if all >= maxOffices || of >= maxOfficesOf {
		return nil, harborRefusal(harborFull)
	}
	err := n.store.Update(ctx, func(tx *store.Tx) error {
		if err := putGenesis(tx, genesis, asker.Peer); err != nil {
			return err
		}
		return tx.PutSetting(officeKey(group), wire.Marshal(row))
	})
	if err != nil {
		return nil, fmt.Errorf("storing a group to keep: %w", err)
	}
	r, err := n.openRoom(group)
	if err != nil {
		return nil, err
	}
	r.tell(func(*commit) error {
		r.setLink(asker.Peer, n.mesh.Connected(asker.Peer))
		return nil
	})
	n.tuneKeeps()
	return ed25519.NewKeyFromSeed(row.OpSeed[:]), nil
}

// officeFor is what is on disk of a room's office; nil of a member's room.
func (r *room) officeFor(ctx context.Context) (row *officeRow) {
	if !r.view.Load().blind {
		return nil
	}
	r.step(ctx, func(*commit) error {
		copied := r.office.row
		row = &copied
		return nil
	})
	return row
}
