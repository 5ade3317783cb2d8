package node

import (
	"context"
	"fmt"
	"time"

	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/mesh"
)

const (
	maxDirectStreams = 4  // of one peer: an outbox is handed over on one
	maxDirectFrames  = 64 // of one stream: an outbox holds a few kinds
	// clockAhead is how far another's clock may run ahead of ours before what
	// it dates is held.
	clockAhead = 5 * time.Minute
)

// serveDirect takes what another account's outbox hands over. Each frame is
// acknowledged once it is on disk, or was refused for good.
func (n *Node) serveDirect(ctx context.Context, s *mesh.Stream) {
	defer s.Close()
	for range maxDirectFrames {
		s.SetDeadline(time.Now().Add(directStep))
		b, err := s.ReadFrame(maxDirectFrame)
		if err != nil {
			n.blameStream(s.Peer(), err)
			return
		}
		if _, own := n.devices.sibling(s.Peer()); !own && !n.rates.direct(s.Peer()) {
			s.Reset()
			return
		}
		ok, err := n.takeDirect(ctx, s.Peer(), b)
		if err != nil {
			n.log.Debug("a direct frame was not taken", "peer", s.Peer().Short(), "err", err)
			s.Reset() // not acknowledged: it comes again
			return
		}
		ack := ackMsg{V: 1}
		if ok {
			ack.OK = 1
		}
		s.SetDeadline(time.Now().Add(directStep))
		if err := s.WriteFrame(wire.Marshal(ack)); err != nil {
			return
		}
	}
}

// takeDirect stores one direct frame. ok false means: refused for good. An
// error means: not now.
func (n *Node) takeDirect(ctx context.Context, from wire.PeerKey, b []byte) (ok bool, err error) {
	var m directMsg
	if err := wire.Unmarshal(b, &m); err != nil {
		n.blameStream(from, err)
		return false, nil
	}
	if m.V != 1 {
		return false, nil // of a newer version
	}
	switch m.Kind {
	case directEdge:
		var e identity.SignedEdge
		if err := wire.Unmarshal(m.Body, &e); err != nil {
			n.blameStream(from, err)
			return false, nil
		}
		err = n.takeEdge(ctx, e)
	case directProfile:
		var p identity.SignedProfile
		if err := wire.Unmarshal(m.Body, &p); err != nil {
			n.blameStream(from, err)
			return false, nil
		}
		err = n.takeContactProfile(ctx, p)
	case directRevocation:
		err = n.takeRevocation(ctx, m.Body)
	case directOffer:
		err = n.takeOffer(ctx, from, m.Body)
	case directAnswer:
		err = n.takeAnswer(ctx, from, m.Body)
	case directRecord:
		err = n.takeOwnRecord(from, m.Body)
	case directDecline:
		err = n.takeDecline(ctx, from, m.Body)
	case directAsk:
		err = n.takeAsk(ctx, from, m.Body)
	case directWithdraw:
		err = n.takeWithdraw(ctx, from, m.Body)
	case directHeir:
		err = n.takeHeir(ctx, from, m.Body)
	case directHeirYes:
		err = n.takeHeirYes(ctx, from, m.Body)
	case directSuccession:
		err = n.takeSuccession(ctx, from, m.Body)
	case directVote:
		err = n.takeVote(ctx, from, m.Body)
	case directSibling:
		err = n.takeSibling(ctx, from, m.Body)
	case directOwn:
		err = n.takeOwnMsg(ctx, from, m.Body)
	case directAddMe:
		err = n.takeAddMe(ctx, from, m.Body)
	case directLobby:
		err = n.takeLobby(ctx, from, m.Body)
	default:
		return false, nil // of a newer version
	}
	if isRefusal(err) {
		n.log.Debug("a direct frame was refused", "peer", from.Short(), "kind", m.Kind, "err", err)
		return false, nil
	}
	return err == nil, err
}

// takeOwnRecord keeps where a contact says it can be dialled; an own device hands
// on what its contacts said.
func (n *Node) takeOwnRecord(from wire.PeerKey, body []byte) error {
	peer, _, _, err := mesh.ParseRecord(body)
	contact := err == nil && len(n.people.claimants(peer)) > 0
	if _, own := n.devices.sibling(from); err != nil || peer != from && !(own && contact) {
		return fmt.Errorf("%w: addresses of somebody else", errDirectRefused)
	}
	n.learnRecords([][]byte{body})
	if contact {
		n.ownChanged()
		n.tuneKeeps()
	}
	return nil
}

// takeContactProfile keeps the profile of somebody who follows or is followed.
func (n *Node) takeContactProfile(ctx context.Context, p identity.SignedProfile) error {
	if err := p.Verify(); err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	n.people.mu.Lock()
	known := n.people.byID[p.Profile.Account]
	keep, blocked := known != nil, known != nil && known.blocked
	n.people.mu.Unlock()
	switch {
	case blocked:
		return nil // in silence
	case !keep || n.people.voided(p.Chain, p.Profile.N):
		return errDirectRefused
	}
	if err := n.storeProfile(ctx, p); err != nil {
		return err
	}
	n.learnProfile(p)
	return nil
}
