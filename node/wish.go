package node

import (
	"context"
	"fmt"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/store"
)

// wishWait is how long one own device is given to add this one to a group
// before another is asked: two at once would let it in twice.
const wishWait = 10 * time.Second

// wish is a group this account is in and this device is not: a sibling is
// asked to add it, under a key made for that group.
type wish struct {
	kemPk []byte
	asked wire.PeerKey // whom, zero for nobody
	until time.Time    // when another may be asked
}

// wish has this device added to a group that a sibling is in. The room is on
// disk before anybody is asked: a dev-add must not find its device without the
// key it was made for.
func (n *Node) wish(ctx context.Context, from wire.PeerKey, genesis *groups.Op, seated bool) error {
	group := wire.GroupID(genesis.ID)
	n.devices.mu.Lock()
	waits := n.devices.wishes[group] != nil
	n.devices.mu.Unlock()
	if r := n.room(group); waits || r != nil && (r.hasDevice() || r.view.Load().blind) || !seated {
		return nil
	}
	seed, pk, err := seal.GenerateKEM(n.cfg.Rand)
	if err != nil {
		return err
	}
	if n.mesh == nil {
		// While it is being linked: the rooms are opened with everything else.
		err = n.storeRoom(ctx, genesis, pk, seed, from)
	} else {
		err = n.openWished(ctx, genesis, pk, seed, from)
	}
	if err != nil {
		return err
	}
	n.devices.mu.Lock()
	n.devices.wishes[group] = &wish{kemPk: pk}
	n.devices.mu.Unlock()
	return nil
}

func (n *Node) openWished(ctx context.Context, genesis *groups.Op, pk []byte, seed [32]byte, from wire.PeerKey) error {
	r, err := n.prepareRoom(ctx, genesis, pk, seed, from)
	if err != nil {
		return err
	}
	// Nobody else may be there to tell of the dev-add: the one who writes it does.
	r.tell(func(*commit) error {
		r.setLink(from, n.mesh.Connected(from))
		return nil
	})
	return nil
}

// stand is how this device stands in a group.
type stand struct{ in, seated bool }

// stands tells whether this device is in the group, and has a seat there.
func (v *view) stands() stand {
	inc, ok := v.state.Inc(v.me)
	in := ok && inc.Live && !inc.Cut
	return stand{in, in && inc.Seated}
}

// wishesFor lists what to ask of one sibling now, and marks it as asked.
func (n *Node) wishesFor(peer wire.PeerKey) []addMeMsg {
	n.devices.mu.Lock()
	defer n.devices.mu.Unlock()
	now := n.now()
	var out []addMeMsg
	for g, w := range n.devices.wishes {
		if r := n.room(g); r != nil && r.hasDevice() {
			delete(n.devices.wishes, g)
			continue
		}
		if w.asked != peer && now.Before(w.until) {
			continue
		}
		w.asked, w.until = peer, now.Add(wishWait)
		out = append(out, addMeMsg{Group: g, KemPk: w.kemPk})
	}
	return out
}

// wishAnswered notes what a sibling said: after a no another one is asked.
func (n *Node) wishAnswered(g wire.GroupID, peer wire.PeerKey, ok bool) {
	n.devices.mu.Lock()
	if w := n.devices.wishes[g]; w != nil && w.asked == peer && !ok {
		w.asked, w.until = wire.PeerKey{}, time.Time{}
	}
	n.devices.mu.Unlock()
	if !ok {
		return
	}
	if r := n.room(g); r != nil {
		r.askBack(peer)
	}
}

// takeAddMe adds a sibling to a group (groups/SPEC.md R42), by a key it made
// for that group.
func (n *Node) takeAddMe(ctx context.Context, from wire.PeerKey, body []byte) error {
	var m addMeMsg
	if err := wire.Unmarshal(body, &m); err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	d, own := n.devices.sibling(from)
	r := n.room(m.Group)
	if !own || r == nil {
		return fmt.Errorf("%w: not a device of this account, or no group here", errDirectRefused)
	}
	add := &groups.DevAddBody{Account: n.dev.account(), Chain: d.Chain, Pop: d.Pop, KemPk: m.KemPk}
	return r.step(ctx, func(c *commit) error {
		switch reason := r.g.MayAddDevice(r.me, *add, r.n.nowMs()); reason {
		case groups.ReasonNone:
		case groups.ReasonDeviceKnown:
			return nil
		default:
			return fmt.Errorf("%w: %v", errDirectRefused, reason)
		}
		_, err := r.own(c, groups.KindDevAdd, add)
		return err
	})
}

// readStored notes in a group's row how far the person has read, before its
// room is open.
func (n *Node) readStored(ctx context.Context, mark readItem) error {
	return n.store.Update(ctx, func(tx *store.Tx) error {
		row, ok, err := tx.Group(mark.Group)
		if err != nil || !ok {
			return err
		}
		var meta groupMeta
		if err := wire.Unmarshal(row.Meta, &meta); err != nil {
			return err
		}
		meta.ReadMs, meta.ReadID = mark.Ms, mark.ID
		row.Meta = wire.Marshal(meta)
		return tx.PutGroup(row)
	})
}
