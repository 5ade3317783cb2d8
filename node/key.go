package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/node/mesh"
	"mutuals/store"
)

const (
	protocolKey      = "/mutuals/key/1"
	keyStep          = 20 * time.Second
	maxKeyStreams    = 4
	keysPerMinute    = 10                 // requests of one peer
	requestSkew      = uint64(5 * 60_000) // ms a request's clock may be off
	maxRequestedEIDs = 64
	// maxSingles bounds keys of single messages: one profile for each seat of
	// the largest group and the group-info, from two who answer differently.
	maxSingles = 1024
	// keysAgainFirst and keysAgainMost bound the wait before a member is asked
	// again for what it did not give: it may have had it a moment later, or
	// been asked too often; or it never had it, and then nobody should be asked
	// for ever.
	keysAgainFirst, keysAgainMost = 2 * time.Second, 10 * time.Minute
)

// opRef names a content operation so that its message key can be derived
// again: the newest group-info and profiles are given to newcomers who may not
// have their epochs.
type opRef struct {
	_    struct{}       `cbor:",toarray"`
	Of   wire.AccountID // zero: the group-info
	Op   wire.OpID
	Inc  wire.OpID
	Seq  uint64
	EID  [32]byte
	Salt [16]byte
	HLC  uint64
}

// nameOp remembers the newest profile of an account, or the group-info.
func (r *room) nameOp(c *commit, of wire.AccountID, op *groups.Op) {
	old, ok := r.names[of]
	if ok && old.HLC > op.HLC {
		return
	}
	if ok && old.Op != op.ID {
		r.eraseSingle(c, old.Op)
	}
	r.names[of] = opRef{Of: of, Op: op.ID, Inc: op.IncID(), Seq: op.Seq, EID: op.EID, Salt: op.Salt, HLC: op.HLC}
	c.dirty = true
	refs := make([]opRef, 0, len(r.names))
	for _, ref := range r.names {
		refs = append(refs, ref)
	}
	c.row(func(tx *store.Tx) error { return tx.PutSetting(r.namesKey(), wire.Marshal(refs)) })
}

func (r *room) namesKey() string { return "names/" + r.group.String() }

// lacksNames tells whether the group's name is not known here yet; a
// conversation of two goes by the other's.
func (r *room) lacksNames() bool {
	v := r.view.Load()
	return len(v.meta.InfoOp) == 0 && !isDirect(v.state)
}

// requestKeys asks one member for epochs and for the words that name the
// group (groups/seal/SPEC.md S8).
func (r *room) requestKeys(ctx context.Context, peer wire.PeerKey) error {
	req := seal.Request{V: 1, Responder: peer, Ms: r.n.nowMs()}
	err := r.step(ctx, func(*commit) error {
		req.Inc = r.me
		if inc, ok := r.g.State().Inc(r.me); ok {
			req.KemGen = uint64(inc.KemGen)
		}
		for _, e := range r.wanted() {
			if len(req.EIDs) < maxRequestedEIDs && !r.refused[refusal{peer, e.EID}] {
				req.EIDs = append(req.EIDs, e.EID)
			}
		}
		return nil
	})
	if err != nil || req.Inc.IsZero() || len(req.EIDs) == 0 && !r.lacksNames() {
		return err
	}
	if _, err := io.ReadFull(r.n.cfg.Rand, req.Nonce[:]); err != nil {
		return fmt.Errorf("drawing a nonce: %w", err)
	}
	s, err := r.n.mesh.Open(ctx, peer, protocolKey)
	if err != nil {
		return fmt.Errorf("opening a key stream: %w", err)
	}
	defer s.Close()
	s.SetDeadline(time.Now().Add(keyStep))
	signed := seal.SignRequest(r.n.dev.keys.Op, r.group, req)
	if err := s.WriteFrame(wire.Marshal(keyMsg{V: 1, Group: r.group, Request: wire.Marshal(signed)})); err != nil {
		return err
	}
	box, err := s.ReadFrame(seal.MaxReply)
	if err != nil {
		return fmt.Errorf("reading a key reply: %w", err)
	}
	return r.step(ctx, func(c *commit) error {
		body, err := r.openReply(req, box)
		if err != nil {
			return err
		}
		bundle, err := seal.DecodeBundle(body)
		if err != nil {
			return err
		}
		r.takeBundle(c, peer, req.EIDs, bundle)
		return nil
	})
}

// openReply opens an answer, sealed to the newest KEM key of this device that
// the answerer held: the one the request names or the one before it.
func (r *room) openReply(req seal.Request, box []byte) ([]byte, error) {
	for _, k := range r.keys.seeds() {
		for _, gen := range []uint64{req.KemGen, max(req.KemGen, 1) - 1} {
			if body, err := seal.OpenReply(k.seed, r.group, req.Inc, uint32(gen), req.Nonce, box); err == nil {
				return body, nil
			}
		}
	}
	return nil, seal.ErrOpen
}

// keyMsg is what travels first on a key stream.
type keyMsg struct {
	_       struct{} `cbor:",toarray"`
	V       uint64
	Group   wire.GroupID
	Request []byte // an encoded seal.SignedRequest
}

// refusal remembers that a peer did not give an epoch, so that it is not asked
// for it again until the group's state has changed, or askKeysAgain says so.
type refusal struct {
	peer wire.PeerKey
	eid  [32]byte
}

// askKeysAgain has a linked member asked again in a while, longer each time
// until the group's state changes: that it has got what it lacked shows in
// nothing else.
func (r *room) askKeysAgain(peer wire.PeerKey) {
	if l := r.links[peer]; l != nil {
		l.keysWait = min(max(2*l.keysWait, keysAgainFirst), keysAgainMost)
		l.keysAt = r.n.now().Add(l.keysWait)
	}
}

// tickKeys asks those again whose time has come.
func (r *room) tickKeys() {
	for peer, l := range r.links {
		if l.keysAt.IsZero() || r.n.now().Before(l.keysAt) {
			continue
		}
		l.keysAt = time.Time{}
		maps.DeleteFunc(r.refused, func(f refusal, _ bool) bool { return f.peer == peer })
		l.pullSoon()
	}
}

// takeBundle takes in what a member handed over.
func (r *room) takeBundle(c *commit, peer wire.PeerKey, asked [][32]byte, b seal.Bundle) {
	for _, e := range b.Epochs {
		if epoch, ok := r.g.EpochByEID(e.EID); ok {
			r.keepSecret(c, epoch.Ctx, e.EID, e.Secret)
		}
	}
	for _, m := range b.Messages {
		// Whoever answered may have made it up: it is kept until a message
		// shows that it does not fit, and is never put over another's.
		if _, have := r.keys.single[m.Op]; !have && len(r.keys.single) < maxSingles {
			r.keys.single[m.Op] = m.Key
		}
	}
	lacks := false
	for _, eid := range asked {
		if !r.keys.has(eid) {
			r.refused[refusal{peer, eid}] = true
			lacks = lacks || len(r.locked[eid]) > 0 || r.g.MayHaveKey(r.me, r.view.Load().peers[peer], eid, 0)
		}
	}
	if lacks {
		r.askKeysAgain(peer)
	}
	r.openLocked(c)
}

// serveKey answers one key request, or closes without a word.
func (n *Node) serveKey(ctx context.Context, s *mesh.Stream) {
	defer s.Close()
	if !n.rates.key(s.Peer()) {
		s.Reset()
		return
	}
	if err := n.answerKey(ctx, s); err != nil {
		n.blameStream(s.Peer(), err)
		n.log.Debug("a key request was not answered", "peer", s.Peer().Short(), "err", err)
		s.Reset()
	}
}

func (n *Node) answerKey(ctx context.Context, s *mesh.Stream) error {
	s.SetDeadline(time.Now().Add(keyStep))
	b, err := s.ReadFrame(seal.MaxRequest + 256)
	if err != nil {
		return err
	}
	var m keyMsg
	if err := wire.Unmarshal(b, &m); err != nil {
		return err
	}
	signed, err := seal.DecodeRequest(m.Request)
	if err != nil {
		return err
	}
	r := n.room(m.Group)
	if r == nil {
		return fmt.Errorf("a key request for a group that is not here")
	}
	v := r.view.Load()
	req := signed.Request
	inc, ok := v.state.Inc(req.Inc)
	now := n.nowMs()
	switch {
	case !ok || !inc.Seated || v.peers[s.Peer()] != req.Inc:
		return errUnseated
	case req.Responder != n.mesh.Self():
		return fmt.Errorf("a key request for another responder")
	case req.Ms > now+requestSkew || req.Ms+requestSkew < now:
		return fmt.Errorf("a key request of another time")
	}
	if err := signed.Verify(r.group, inc.Device); err != nil {
		return fmt.Errorf("%w: %v", errForged, err)
	}
	bundle, err := r.bundle(ctx, req)
	if err != nil {
		return err
	}
	body, err := seal.EncodeBundle(bundle)
	if err != nil {
		return err
	}
	box, err := seal.SealReply(inc.KemPk, r.group, req.Inc, inc.KemGen, req.Nonce, body)
	if err != nil {
		return err
	}
	s.SetDeadline(time.Now().Add(keyStep))
	return s.WriteFrame(box)
}

// errUnseated ends a key request of a device that has no seat, or another's.
var errUnseated = errors.New("a key request by nobody seated")

// bundle gathers what a member may have, once there is an epoch here that
// everybody seated can read: what a newcomer writes next is under it.
func (r *room) bundle(ctx context.Context, req seal.Request) (b seal.Bundle, err error) {
	until := r.n.now().Add(admitShare)
	for {
		var wait time.Duration
		var changed <-chan struct{}
		err := r.step(ctx, func(c *commit) (err error) {
			c.then(func() { changed = r.changed.wait() }) // by another step than this
			if inc, ok := r.g.State().Inc(req.Inc); !ok || !inc.Seated {
				return errUnseated // while it waited
			}
			if wait, err = r.answerableEpoch(c, until); err == nil && wait == 0 {
				b = r.bundleFor(req)
			}
			c.asks = wait > 0 // or two that wait wake each other without end
			return err
		})
		if err != nil || wait == 0 {
			return b, err
		}
		due := time.NewTimer(wait)
		select {
		case <-changed:
		case <-due.C:
		case <-ctx.Done():
		}
		due.Stop()
	}
}

// bundleFor gathers what a member may have: epochs by the rules, and the
// message keys of what names the group and its people.
func (r *room) bundleFor(req seal.Request) seal.Bundle {
	var b seal.Bundle
	given := map[[32]byte]bool{}
	for _, eid := range req.EIDs {
		if e := r.keys.epochs[eid]; e != nil && r.g.MayHaveKey(req.Inc, r.me, eid, r.used[eid]) {
			b.Epochs = append(b.Epochs, seal.EpochSecret{EID: eid, Secret: e.secret})
			given[eid] = true
		}
	}
	s := r.g.State()
	for of, ref := range r.names {
		if given[ref.EID] || (!of.IsZero() && !s.Seated(of)) {
			continue
		}
		if key, ok := r.keys.message(ref.Op, ref.Inc, ref.EID, ref.Seq, ref.Salt); ok {
			b.Messages = append(b.Messages, seal.MessageSecret{Op: ref.Op, Key: key})
		}
	}
	return b
}
