package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/mesh"
	"mutuals/store"
)

// Asking to be let back in (PROTOCOLS.md N9).
const (
	// seekTries is how often a peer that was just linked is asked: it may be
	// starting, and not serve yet.
	seekTries = 3
	seekPause = 2 * time.Second
	// seekAgain is how long a linked peer is not asked again: it may join a
	// group of this account, or hear of its admission, later.
	seekAgain = 10 * time.Minute
	// seekTime bounds one dialogue, so that a peer that stalls holds up the
	// others no longer.
	seekTime = time.Minute
	// returnTime bounds syncing the control chain that shows the own device.
	returnTime = 2 * time.Minute
)

const restoredKey = "restored"

// restoredRow is there iff this device was made from the words.
// Evolution: fields are added at the end, with a new V.
type restoredRow struct {
	_         struct{} `cbor:",toarray"`
	V         uint64
	AtMs      uint64
	Confirmed bool // the person looked at what others said it follows
	Said      []saidRow
}

// restored is how a device finds back into the groups of an account that was
// taken up from its words: it knows nobody, and asks whoever it is linked to.
type restored struct {
	turn chan struct{} // capacity one: one dialogue at a time, so that one device is added once

	mu    sync.Mutex
	row   restoredRow
	asked map[wire.PeerKey]time.Time
}

// beginRestored notes that this device is made from words; loadRestored reads
// it again.
func (n *Node) beginRestored() {
	n.restored = newRestored(restoredRow{V: 1, AtMs: n.nowMs()})
}

func newRestored(row restoredRow) *restored {
	return &restored{turn: make(chan struct{}, 1), row: row, asked: map[wire.PeerKey]time.Time{}}
}

func (n *Node) loadRestored() error {
	if n.restored != nil {
		b := wire.Marshal(n.restored.row)
		return n.store.Update(n.ctx, func(tx *store.Tx) error { return tx.PutSetting(restoredKey, b) })
	}
	return n.store.View(func(tx *store.Tx) error {
		b, ok, err := tx.Setting(restoredKey)
		if err != nil || !ok {
			return err
		}
		var row restoredRow
		if err := wire.Unmarshal(b, &row); err != nil {
			return err
		}
		n.restored = newRestored(row)
		return nil
	})
}

// seek asks a peer that is linked, unless it was asked lately.
func (n *Node) seek(peer wire.PeerKey) {
	if n.restored == nil || n.ended() || !n.restored.due(peer, n.now()) {
		return
	}
	n.wg.Go(func() {
		for try := 1; ; try++ {
			err := n.seekFrom(n.ctx, peer)
			if err == nil || n.ctx.Err() != nil {
				return
			}
			n.log.Debug("asking to be let back in failed", "peer", peer.Short(), "err", err)
			if misbehaves(err) || try == seekTries || !n.mesh.Connected(peer) {
				return
			}
			select {
			case <-n.ctx.Done():
				return
			case <-time.After(seekPause):
			}
		}
	})
}

// seekAll asks everybody linked whom it is time to ask again.
func (n *Node) seekAll() {
	if n.restored == nil {
		return
	}
	for _, p := range n.mesh.Peers() {
		n.seek(p.Peer)
	}
}

// due tells whether to ask a peer now, and notes that it is asked.
func (rs *restored) due(peer wire.PeerKey, now time.Time) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if at, ok := rs.asked[peer]; ok && now.Sub(at) < seekAgain {
		return false
	}
	if len(rs.asked) >= maxLimiters {
		clear(rs.asked)
	}
	rs.asked[peer] = now
	return true
}

// gone lets a peer that was lost be asked as soon as it is back.
func (rs *restored) gone(peer wire.PeerKey) {
	if rs == nil {
		return
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(rs.asked, peer)
}

// seekFrom holds the dialogue of /mutuals/restore/1 with one peer and waits
// until the groups it let this device into show it.
func (n *Node) seekFrom(ctx context.Context, peer wire.PeerKey) error {
	select {
	case n.restored.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	rooms, err := n.askBackIn(ctx, peer)
	<-n.restored.turn
	for _, r := range rooms {
		if late := r.awaitReturn(ctx, peer); late != nil {
			err = errors.Join(err, fmt.Errorf("coming back into %s: %w", r.group.Short(), late))
			continue
		}
		n.log.Info("this device is back in a group", "group", r.group.Short())
		n.beginHistory(r, peer)
	}
	return err
}

func (n *Node) askBackIn(ctx context.Context, peer wire.PeerKey) (rooms []*room, err error) {
	ctx, cancel := context.WithTimeout(ctx, seekTime)
	defer cancel()
	s, err := n.mesh.Open(ctx, peer, protocolRestore)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	hello, err := identity.NewRestoreHello(n.cfg.Rand, n.dev.chain, n.dev.pop, peer)
	if err != nil {
		return nil, err
	}
	if err := writeRestore(s, hello); err != nil {
		return nil, err
	}
	var list listMsg
	err = readRestore(s, maxListFrame, &list)
	if errors.Is(err, io.EOF) {
		return nil, nil // it knows nobody of this account
	}
	if err == nil {
		err = checkStep(list.V, list.Step, restoreList)
	}
	if err != nil {
		return nil, err
	}
	if len(list.Groups) > maxRestoreGroups || len(list.Revoked) > maxToldRevocations {
		return nil, fmt.Errorf("%w: a list of %d groups, %d revocations", errStep, len(list.Groups), len(list.Revoked))
	}
	for _, b := range list.Revoked {
		rev, err := identity.DecodeRevocation(b)
		if err == nil && rev.Revocation.Account == n.dev.account() {
			err = n.learnRevocation(ctx, rev)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := n.mayWrite(); err != nil {
		return nil, err
	}
	if err := n.hearSaid(ctx, list.Said); err != nil {
		return nil, err
	}
	for _, g := range list.Groups {
		if r := n.room(g); r != nil && r.hasDevice() {
			continue
		}
		r, err := n.askGroup(ctx, s, g)
		if err != nil {
			return rooms, err
		}
		if r != nil {
			rooms = append(rooms, r)
		}
	}
	return rooms, nil
}

// hasDevice tells whether this device is in the group.
func (r *room) hasDevice() bool {
	return r.view.Load().stands().in
}

// askGroup asks for one group; no room and no error if it was refused.
func (n *Node) askGroup(ctx context.Context, s *mesh.Stream, g wire.GroupID) (*room, error) {
	genesis, err := n.readReturnPath(s, g)
	if err != nil {
		return nil, err
	}
	seed, pk, err := seal.GenerateKEM(n.cfg.Rand)
	if err != nil {
		return nil, err
	}
	self := n.dev.account()
	req := groups.JoinRequest{V: 1, Group: g, Inviter: self, Newcomer: self, Chain: n.dev.chain, Pop: n.dev.pop, KemPk: pk, Follow: 1, Ms: n.nowMs()}
	if _, err := io.ReadFull(n.cfg.Rand, req.Nonce[:]); err != nil {
		return nil, fmt.Errorf("drawing a nonce: %w", err)
	}
	// The key is on disk before the request leaves, as with a join.
	before := n.room(g)
	r, err := n.prepareRoom(ctx, genesis, pk, seed, s.Peer())
	if err != nil {
		return nil, err
	}
	if err := writeRestore(s, returnMsg{V: 1, Step: restoreAsk, Request: req, Sig: req.Sign(n.dev.keys.Op)}); err != nil {
		return nil, err
	}
	var verdict verdictMsg
	if err := readRestore(s, maxVerdictFrame, &verdict); err != nil {
		return nil, err
	}
	if err := checkStep(verdict.V, verdict.Step, restoreVerdict); err != nil {
		return nil, err
	}
	if verdict.Outcome == outcomeAdmitted {
		return r, nil
	}
	n.log.Info("a member did not let this device back in", "group", g.Short(), "peer", s.Peer().Short(), "reason", groups.Reason(verdict.Reason))
	if r != before {
		n.forgetRoom(r)
	}
	return nil, nil
}

// readReturnPath reads what a member shows of a group and tells whether this
// account once entered it, by its own signature, and the member is of it:
// nobody can put a restored device into a group its account never was in.
func (n *Node) readReturnPath(s *mesh.Stream, g wire.GroupID) (*groups.Op, error) {
	if err := writeRestore(s, showMsg{V: 1, Step: restoreShow, Group: g}); err != nil {
		return nil, err
	}
	s.SetDeadline(time.Now().Add(joinStep))
	frame, err := s.ReadFrame(maxGenesisFrame)
	if err != nil {
		return nil, err
	}
	genesis, refusal := groups.Decode(frame)
	if refusal != nil {
		return nil, refusal
	}
	if wire.GroupID(genesis.ID) != g {
		return nil, fmt.Errorf("%w: another group than was told", errStep)
	}
	var msg pathMsg
	if err := readRestore(s, maxPathFrame, &msg); err != nil {
		return nil, err
	}
	if err := checkStep(msg.V, msg.Step, restorePath); err != nil {
		return nil, err
	}
	ops := []*groups.Op{genesis}
	for _, frame := range msg.Frames {
		op, refusal := groups.Decode(frame)
		if refusal != nil {
			return nil, refusal
		}
		ops = append(ops, op)
	}
	path, refusal := groups.CheckPath(ops)
	if refusal != nil {
		return nil, refusal
	}
	if _, ok := path.Device(s.Peer()); !ok {
		return nil, fmt.Errorf("%w: it is no device of the group it shows", errForged)
	}
	if !path.Admits(n.dev.account()) {
		return nil, fmt.Errorf("%w: a group this account never entered", errForged)
	}
	return genesis, nil
}

// awaitReturn waits until the group's operations show this device.
func (r *room) awaitReturn(ctx context.Context, peer wire.PeerKey) error {
	ctx, cancel := context.WithTimeout(ctx, returnTime)
	defer cancel()
	r.tell(func(*commit) error {
		r.setLink(peer, r.n.mesh.Connected(peer))
		if l := r.links[peer]; l != nil {
			l.pullNow()
		}
		return nil
	})
	for {
		changed := r.changed.wait()
		if r.hasDevice() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// returnTo asks the holder of a passcode's other end to let this device back
// into the passcode's group; nil if it did not.
func (n *Node) returnTo(ctx context.Context, peer wire.PeerKey, code invites.Passcode) *room {
	if n.restored == nil || n.ended() {
		return nil
	}
	if err := n.seekFrom(ctx, peer); err != nil {
		n.log.Debug("asking to be let back in failed", "peer", peer.Short(), "err", err)
	}
	for _, r := range n.openRooms() {
		if code.OfGroup(r.group) && r.hasDevice() {
			return r
		}
	}
	return nil
}
