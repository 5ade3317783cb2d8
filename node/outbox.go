package node

import (
	"context"
	"fmt"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/mesh"
	"mutuals/store"
)

const (
	protocolDirect = "/mutuals/direct/1"
	// directStep is how long one direct frame and its ack may take.
	directStep = 20 * time.Second
	// outboxPause is when what could not be handed over is tried again while
	// the other side stays linked.
	outboxPause = 5 * time.Second
)

// queue puts something into the outbox of an account, in the transaction of
// what it tells about. A newer one of the same kind and key replaces an older.
func (n *Node) queue(tx *store.Tx, to wire.AccountID, kind uint8, key string, body []byte) error {
	return tx.PutOut(store.Out{To: to, Kind: kind, Key: key, Frame: body})
}

// flush hands an account's outbox over now if a device of it is linked.
func (n *Node) flush(a wire.AccountID) {
	for _, peer := range n.devicesOf(a) {
		if n.mesh.Connected(peer) {
			n.deliverTo(peer, a)
			return
		}
	}
}

// deliverTo hands an account's outbox to one of its devices, one delivery at a
// time for each account.
func (n *Node) deliverTo(peer wire.PeerKey, a wire.AccountID) {
	n.delivering.Lock()
	defer n.delivering.Unlock()
	if d := n.deliveries[a]; d != nil {
		d.again = true
		return
	}
	d := &delivery{}
	n.deliveries[a] = d
	n.wg.Go(func() {
		for {
			err := n.deliverAll(peer, a)
			n.delivering.Lock()
			again := d.again
			d.again = false
			if !again && err == nil || n.ctx.Err() != nil || !n.mesh.Connected(peer) {
				delete(n.deliveries, a)
				n.delivering.Unlock()
				return
			}
			n.delivering.Unlock()
			if err != nil {
				n.log.Debug("handing over failed", "peer", peer.Short(), "err", err)
				select {
				case <-n.ctx.Done():
				case <-time.After(outboxPause):
				}
			}
		}
	})
}

// delivery marks an account whose outbox is being handed over.
type delivery struct{ again bool }

// deliverAll hands an account's outbox to one of its devices, and what is left
// then to its others that are linked.
func (n *Node) deliverAll(first wire.PeerKey, a wire.AccountID) error {
	if err := n.deliver(n.ctx, first, a); err != nil {
		return err
	}
	for _, p := range n.devicesOf(a) {
		if p != first && n.mesh.Connected(p) {
			if err := n.deliver(n.ctx, p, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// forOneDevice tells the kinds that answer one device of an account: the one
// that asked knows what they are about, its siblings do not.
func forOneDevice(kind uint8) bool {
	switch kind {
	case directAnswer, directDecline, directWithdraw, directHeirYes, directVote:
		return true
	}
	return false
}

// refusedBy remembers which devices of its account refused something that is
// for one of them.
type refusedBy map[store.OutName]map[wire.PeerKey]bool

// declined notes that a device refused something; more tells whether a device
// of its account is left that may be the one it is for.
func (n *Node) declined(o store.Out, by wire.PeerKey) (more bool) {
	if !forOneDevice(o.Kind) {
		return false
	}
	devices := n.devicesOf(o.To)
	n.delivering.Lock()
	defer n.delivering.Unlock()
	if n.refusals[o.Name()] == nil {
		n.refusals[o.Name()] = map[wire.PeerKey]bool{}
	}
	n.refusals[o.Name()][by] = true
	for _, p := range devices {
		if !n.refusals[o.Name()][p] {
			return true
		}
	}
	delete(n.refusals, o.Name())
	return false
}

// refusedIt tells whether a device refused something already.
func (n *Node) refusedIt(o store.Out, p wire.PeerKey) bool {
	n.delivering.Lock()
	defer n.delivering.Unlock()
	return n.refusals[o.Name()][p]
}

// deliver sends what waits for an account over one stream and takes each out
// of the outbox once it was acknowledged.
func (n *Node) deliver(ctx context.Context, peer wire.PeerKey, a wire.AccountID) error {
	var outs []store.Out
	if err := n.store.View(func(tx *store.Tx) error {
		return tx.EachOut(a, func(o store.Out) error {
			if !n.refusedIt(o, peer) {
				outs = append(outs, o)
			}
			return nil
		})
	}); err != nil || len(outs) == 0 {
		return err
	}
	s, err := n.mesh.Open(ctx, peer, protocolDirect)
	if err != nil {
		return fmt.Errorf("opening a direct stream: %w", err)
	}
	defer s.Close()
	if len(n.devices.all()) > 1 {
		// The other side may have met another device of this account only.
		if _, err := handOver(s, directSibling, wire.Marshal(siblingMsg{V: 1, Device: n.devices.own()})); err != nil {
			return err
		}
	}
	for _, o := range outs {
		ok, err := handOver(s, uint64(o.Kind), o.Frame)
		if err != nil {
			return err
		}
		if !ok && n.declined(o, peer) {
			continue // it may be for another device of the account
		}
		if err := n.delivered(ctx, o, ok); err != nil {
			return err
		}
	}
	// Last, when an edge has made this account known: where to answer, which a
	// contact in no common group hears from nobody else.
	_, err = handOver(s, directRecord, n.mesh.Record())
	return err
}

// handOver sends one direct frame and waits for its ack.
func handOver(s *mesh.Stream, kind uint64, body []byte) (ok bool, err error) {
	s.SetDeadline(time.Now().Add(directStep))
	if err := s.WriteFrame(wire.Marshal(directMsg{V: 1, Kind: kind, Body: body})); err != nil {
		return false, err
	}
	b, err := s.ReadFrame(maxHelloFrame)
	if err != nil {
		return false, err
	}
	var ack ackMsg
	err = wire.Unmarshal(b, &ack)
	return ack.OK == 1, err
}

// delivered takes something out of the outbox, unless a newer one took its
// place meanwhile. What was refused for good goes too, and is not shown as
// delivered.
func (n *Node) delivered(ctx context.Context, o store.Out, stored bool) error {
	var note *personNote
	switch {
	case stored && o.Kind == directEdge:
		note = n.noteDelivered(o.To, o.Frame)
	case o.Kind == directDecline:
		n.declineDelivered(o)
	case !stored:
		n.refusedFor(o)
	}
	return n.store.Update(ctx, func(tx *store.Tx) error {
		same := false
		if err := tx.EachOut(o.To, func(now store.Out) error {
			if now.Kind == o.Kind && now.Key == o.Key && string(now.Frame) == string(o.Frame) {
				same = true
			}
			return nil
		}); err != nil {
			return err
		}
		if note != nil {
			if err := tx.PutPerson(store.Note, o.To, wire.Marshal(*note)); err != nil {
				return err
			}
		}
		if !same {
			return nil
		}
		return tx.DeleteOut(o)
	})
}
