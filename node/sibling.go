package node

import (
	"context"
	"fmt"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
)

const (
	// siblingPace is the least time between two messages to another own device:
	// reading through a group moves its marker with every look.
	siblingPace = time.Second
	// siblingLook is how often is looked whether something is to be told though
	// nothing said so, and groups are asked for again.
	siblingLook = time.Minute
)

// siblingLink tells one linked device of this account what changes.
type siblingLink struct {
	cancel context.CancelFunc
	bell   chan struct{} // capacity one: something changed
}

// ownChanged has the other devices of this account told what changed.
func (n *Node) ownChanged() {
	if n.devices == nil {
		return
	}
	n.devices.mu.Lock()
	defer n.devices.mu.Unlock()
	for _, l := range n.devices.links {
		select {
		case l.bell <- struct{}{}:
		default:
		}
	}
}

// linkSibling begins or ends telling an own device, as it is linked or lost.
func (n *Node) linkSibling(peer wire.PeerKey) {
	_, own := n.devices.sibling(peer)
	up := own && n.mesh.Connected(peer) && !n.ended()
	n.devices.mu.Lock()
	defer n.devices.mu.Unlock()
	old := n.devices.links[peer]
	switch {
	case up && old == nil:
		ctx, cancel := context.WithCancel(n.ctx)
		l := &siblingLink{cancel: cancel, bell: make(chan struct{}, 1)}
		n.devices.links[peer] = l
		n.wg.Go(func() { n.keepSibling(ctx, peer, l) })
	case !up && old != nil:
		old.cancel()
		delete(n.devices.links, peer)
	}
}

// keepSibling tells an own device what it does not know, until the link ends.
func (n *Node) keepSibling(ctx context.Context, peer wire.PeerKey, l *siblingLink) {
	t := &heard{told: map[[32]byte]bool{}}
	for {
		more, err := n.tellSibling(ctx, peer, t)
		pause := siblingPace
		switch {
		case err != nil:
			n.log.Debug("telling an own device failed", "peer", peer.Short(), "err", err)
			pause = outboxPause
		case more:
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if err != nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-l.bell:
		case <-time.After(siblingLook):
		}
	}
}

// heard is what one link has told an own device.
type heard struct {
	greeted bool
	told    map[[32]byte]bool
}

// tellSibling hands over what was not told on this link, and asks to be added
// to the groups this device is not in; more tells whether a stream's bound cut
// it short.
func (n *Node) tellSibling(ctx context.Context, peer wire.PeerKey, t *heard) (more bool, err error) {
	items, err := n.ownItems()
	if err != nil {
		return false, err
	}
	var fresh []ownItem
	for _, it := range items {
		if !t.told[it.hash()] {
			fresh = append(fresh, it)
		}
	}
	var places [][]byte
	for _, b := range n.contactRecords() {
		if !t.told[wire.Hash(b)] {
			places = append(places, b)
		}
	}
	wishes := n.wishesFor(peer)
	if t.greeted && len(fresh) == 0 && len(wishes) == 0 && len(places) == 0 {
		return false, nil
	}
	s, err := n.mesh.Open(ctx, peer, protocolDirect)
	if err != nil {
		return false, fmt.Errorf("opening a direct stream: %w", err)
	}
	defer s.Close()
	frames := 1 // the record at the end
	hand := func(kind uint64, body []byte) (bool, error) {
		frames++
		return handOver(s, kind, body)
	}
	if !t.greeted {
		hello := siblingMsg{V: 1, Device: n.devices.own(), Digest: ownDigest(items)}
		same, err := hand(directSibling, wire.Marshal(hello))
		if err != nil {
			return false, err
		}
		t.greeted = true
		if same {
			t.tell(fresh, true)
			fresh = nil
		}
	}
	for len(fresh) > 0 && frames < maxDirectFrames {
		batch := fresh[:batchOf(fresh)]
		// Not taken: it is of an older version, or this device is revoked, or a
		// request is about a group that is on its way: that is told again.
		ok, err := hand(directOwn, wire.Marshal(ownMsg{V: 1, Items: batch}))
		if err != nil {
			return false, err
		}
		t.tell(batch, ok)
		fresh = fresh[len(batch):]
	}
	for len(wishes) > 0 && frames < maxDirectFrames {
		ok, err := hand(directAddMe, wire.Marshal(wishes[0]))
		if err != nil {
			return false, err
		}
		n.wishAnswered(wishes[0].Group, peer, ok)
		wishes = wishes[1:]
	}
	// An edge may be all that the other device knows of a contact, and the person
	// may answer there: where the contact is comes after who it is.
	for len(places) > 0 && frames < maxDirectFrames {
		if _, err := hand(directRecord, places[0]); err != nil {
			return false, err
		}
		t.told[wire.Hash(places[0])] = true
		places = places[1:]
	}
	_, err = handOver(s, directRecord, n.mesh.Record())
	return len(fresh) > 0 || len(places) > 0, err
}

func (t *heard) tell(items []ownItem, taken bool) {
	for _, it := range items {
		if taken || it.Kind != ownRequest {
			t.told[it.hash()] = true
		}
	}
}

// batchOf is how many of these items go into one frame.
func batchOf(items []ownItem) int {
	size := 0
	for i, it := range items {
		size += len(it.Body) + 16
		if i > 0 && size > maxOwnFrame || i == maxOwnItems {
			return i
		}
	}
	return len(items)
}

// own is this device, as it shows itself.
func (ds *devices) own() ownDevice {
	for _, d := range ds.all() {
		if d.id() == ds.self {
			return d
		}
	}
	panic("internal error: this device is not among its account's")
}

// deviceIn is the own device that an accepted operation let into a group: its
// chain and its proof were judged with the operation.
func (n *Node) deviceIn(op *groups.Op) (d ownDevice, ok bool) {
	account := wire.AccountID{}
	switch b := op.Body.(type) {
	case *groups.GenesisBody:
		account, d = b.Owner, ownDevice{Chain: b.Chain, Pop: b.Pop}
	case *groups.AdmitBody:
		account, d = b.Request.Newcomer, ownDevice{Chain: b.Request.Chain, Pop: b.Request.Pop}
	case *groups.DevAddBody:
		account, d = b.Account, ownDevice{Chain: b.Chain, Pop: b.Pop}
	}
	return d, account == n.dev.account()
}

// meetOwn learns own devices from what let them into a group: one that was made
// from the words, or linked by a sibling that this one has not met since.
func (r *room) meetOwn(c *commit) {
	for _, op := range c.control {
		if d, ok := r.n.deviceIn(op); ok {
			c.then(func() {
				r.n.wg.Go(func() {
					if _, err := r.n.learnDevice(r.n.ctx, d); err != nil && r.n.ctx.Err() == nil {
						r.log.Warn("an own device cannot be kept", "err", err)
					}
				})
			})
		}
	}
}

// takeSibling learns an own device from itself: the connection proves the key
// that its certificate and proof name. The answer tells whether both know the
// same already.
func (n *Node) takeSibling(ctx context.Context, from wire.PeerKey, body []byte) error {
	var m siblingMsg
	if err := wire.Unmarshal(body, &m); err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	if len(m.Device.Chain) == 0 || m.Device.peer() != from {
		return fmt.Errorf("%w: not the device it shows", errDirectRefused)
	}
	if a := m.Device.Chain.Leaf().Account; a != n.dev.account() {
		return n.takeContactDevice(a, m.Device)
	}
	if _, err := n.learnDevice(ctx, m.Device); err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	if n.people.revoked(m.Device.Chain) || n.ended() {
		return fmt.Errorf("%w: a device that was revoked", errDirectRefused)
	}
	n.linkSibling(from)
	items, err := n.ownItems()
	if err != nil {
		return err
	}
	if ownDigest(items) != m.Digest {
		return fmt.Errorf("%w: it knows something else", errDirectRefused)
	}
	return nil
}

// takeContactDevice learns a further device of a contact from itself: what it
// hands over next is the contact's, though no edge or profile names it yet.
func (n *Node) takeContactDevice(a wire.AccountID, d ownDevice) error {
	n.people.mu.Lock()
	p := n.people.byID[a]
	known := p != nil && !p.blocked && (p.out != nil || p.in != nil)
	n.people.mu.Unlock()
	if !known || n.people.revoked(d.Chain) {
		return fmt.Errorf("%w: a device of nobody known here", errDirectRefused)
	}
	if err := d.verify(a); err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	n.people.meetPeer(a, d.peer())
	return nil
}

// takeOwnMsg takes in what another own device knows.
func (n *Node) takeOwnMsg(ctx context.Context, from wire.PeerKey, body []byte) error {
	var m ownMsg
	if err := wire.Unmarshal(body, &m); err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	if _, own := n.devices.sibling(from); !own || m.V != 1 {
		return fmt.Errorf("%w: not a device of this account", errDirectRefused)
	}
	return n.takeOwn(ctx, from, m.Items)
}
