package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// endedKey names the row of requests that need no answer any more.
const endedKey = "ended-requests"

// maxEnded bounds them, the newest are kept: a request that is older than 256
// answers has reached every device of the account that is used at all.
const maxEnded = 256

// requestKinds are the kinds of requests in a requestItem.
var requestKinds = map[string]uint64{
	api.RequestFollow: askedFollow, api.RequestGroup: askedSeat, api.RequestJoin: askedJoin,
	api.RequestOwnership: askedOwnership, api.RequestSuccession: askedSuccession,
}

// item is a stored request as own devices tell it; ok is false for what has no
// name that another device would know it by.
func (row requestRow) item() (it requestItem, ok bool) {
	it = requestItem{Kind: requestKinds[row.Kind], From: row.From, Group: row.Group, Ms: row.AtMs, Body: row.Body}
	switch row.Kind {
	case api.RequestFollow:
		if len(row.Body) < len(it.Nonce) {
			return it, false // of an older version
		}
		it.Nonce = [16]byte(row.Body)
	case api.RequestJoin:
		var a askRow
		if wire.Unmarshal(row.Body, &a) != nil {
			return it, false
		}
		it.Nonce, it.Body = a.Said.Request.Nonce, wire.Marshal(a.Said)
	default:
		it.Nonce = row.nonce()
	}
	return it, it.Kind != 0 && it.Nonce != [16]byte{}
}

// same tells whether two items speak of one request.
func (it requestItem) same(o requestItem) bool {
	return it.Kind == o.Kind && it.From == o.From && it.Nonce == o.Nonce
}

// check tells whether an item says anything that this version knows, of a time
// that has come: of those that ended the newest are kept.
func (it requestItem) check(nowMs uint64) error {
	if it.End > endedNo || it.Ms > nowMs+uint64(clockAhead.Milliseconds()) || !it.Group.Valid() {
		return fmt.Errorf("%w: a request that cannot be", errDirectRefused)
	}
	return nil
}

// ended is what is told of a request that needs no answer any more.
func (it requestItem) ended(how, ms uint64) requestItem {
	it.End, it.Ms, it.Body = how, ms, nil
	return it
}

// requestItems are the requests that wait for the person, and those that ended.
func (n *Node) requestItems() (out []ownItem, err error) {
	err = n.store.View(func(tx *store.Tx) error {
		if err := tx.EachRequest(func(_ string, b []byte) error {
			var row requestRow
			if err := wire.Unmarshal(b, &row); err != nil {
				return err
			}
			if it, ok := row.item(); ok && row.State == "" {
				out = append(out, item(ownRequest, it))
			}
			return nil
		}); err != nil {
			return err
		}
		ended, err := readEnded(tx)
		for _, it := range ended {
			out = append(out, item(ownRequest, it))
		}
		return err
	})
	return out, err
}

func readEnded(tx *store.Tx) (list []requestItem, err error) {
	b, ok, err := tx.Setting(endedKey)
	if err != nil || !ok {
		return nil, err
	}
	return list, wire.Unmarshal(b, &list)
}

// putEnded keeps that a request ended: of two that say so of the same the no
// holds, then the earlier.
func putEnded(tx *store.Tx, it requestItem) error {
	list, err := readEnded(tx)
	if err != nil {
		return err
	}
	switch i := slices.IndexFunc(list, it.same); {
	case i < 0:
		list = append(list, it)
	case it.End > list[i].End || it.End == list[i].End && it.Ms < list[i].Ms:
		list[i] = it
	default:
		return nil
	}
	slices.SortStableFunc(list, func(a, b requestItem) int { return cmp.Compare(b.Ms, a.Ms) })
	return tx.PutSetting(endedKey, wire.Marshal(list[:min(len(list), maxEnded)]))
}

// hasEnded tells whether a request needs no answer any more, as this device or
// another one of the account knows.
func hasEnded(tx *store.Tx, row requestRow) (bool, error) {
	it, ok := row.item()
	if !ok {
		return false, nil
	}
	list, err := readEnded(tx)
	return slices.ContainsFunc(list, it.same), err
}

// endRequest forgets a request, and has the other devices of this account
// forget it.
func (n *Node) endRequest(tx *store.Tx, id string, how uint64) error {
	b, ok, err := tx.Request(id)
	if err != nil || !ok {
		return err
	}
	var row requestRow
	if err := wire.Unmarshal(b, &row); err != nil {
		return err
	}
	if it, ok := row.item(); ok && how != 0 {
		if err := putEnded(tx, it.ended(how, n.nowMs())); err != nil {
			return err
		}
	}
	return tx.DeleteRequest(id)
}

// howEnded is how the person's answer ends a request.
func howEnded(accept bool) uint64 {
	if accept {
		return endedGone
	}
	return endedNo
}

// keepRequest stores a request unless it waits or was answered already, and
// shows it.
func (n *Node) keepRequest(tx *store.Tx, id string, row requestRow) error {
	over, err := hasEnded(tx, row)
	if err != nil || over {
		return err
	}
	if b, ok, err := tx.Request(id); err != nil {
		return err
	} else if ok {
		var known requestRow
		if err := wire.Unmarshal(b, &known); err != nil {
			return err
		}
		was, named := known.item()
		if it, ok := row.item(); named && ok && it.same(was) {
			if row.AtMs >= known.AtMs {
				return nil
			}
			known.AtMs = row.AtMs // all devices say when it came first
			return tx.PutRequest(id, wire.Marshal(known))
		}
	}
	if err := tx.PutRequest(id, wire.Marshal(row)); err != nil {
		return err
	}
	g, _ := row.Group.Get()
	return tx.Change(n.change(store.Add, api.EventInviteRequested, wire.GroupID(g), row.api(n, id)))
}

// takeRequest keeps what another own device was asked, as if it had been asked
// here, or lets go of what was answered there. What does not hold any more is
// passed over; an error that is no refusal says that it cannot be told yet.
func (n *Node) takeRequest(ctx context.Context, it requestItem) error {
	switch err := it.check(n.nowMs()); {
	case err != nil:
		return err
	case n.mesh == nil:
		return nil // while it is being linked: it is told again once the groups are open
	case it.End != 0:
		return n.takeEnd(ctx, it)
	}
	over := false
	err := n.store.View(func(tx *store.Tx) error {
		list, err := readEnded(tx)
		over = slices.ContainsFunc(list, it.same)
		return err
	})
	if err != nil || over || n.people.blocked(it.From) {
		return err
	}
	switch it.Kind {
	case askedFollow:
		return n.shareFollow(ctx, it)
	case askedSeat:
		return n.shareOffer(ctx, it)
	case askedOwnership:
		return shareIn(n, ctx, it, func(r *room, c *commit, o heirMsg) error {
			return r.keepHeir(c, o, it.From, requestRow{Body: it.Body, AtMs: it.Ms})
		})
	case askedSuccession:
		return shareIn(n, ctx, it, func(r *room, c *commit, m successionMsg) error {
			return r.keepSuccession(c, m, it.From, requestRow{Body: it.Body, AtMs: it.Ms})
		})
	case askedJoin:
		return shareIn(n, ctx, it, func(r *room, c *commit, said passedMsg) error {
			if len(said.Request.Chain) == 0 || said.Request.Newcomer != it.From {
				return errDirectRefused
			}
			return r.keepAsk(c, said, wire.AccountID{}, it.Ms)
		})
	}
	return nil // of a newer version
}

// shareIn takes a request that is about a group this device is in.
func shareIn[T any](n *Node, ctx context.Context, it requestItem, keep func(*room, *commit, T) error) error {
	var m T
	if err := wire.Unmarshal(it.Body, &m); err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	g, _ := it.Group.Get()
	r := n.room(wire.GroupID(g))
	if r == nil || !r.view.Load().seated() {
		return errNotHere // this device is being added
	}
	err := r.step(ctx, func(c *commit) error { return keep(r, c, m) })
	if errors.Is(err, errDirectRefused) {
		n.log.Debug("what another device was asked does not hold here", "kind", it.Kind, "err", err)
		return nil
	}
	return err
}

// shareFollow keeps a new follower's request, while the edge it came with holds.
func (n *Node) shareFollow(ctx context.Context, it requestItem) error {
	n.people.mu.Lock()
	p := n.people.byID[it.From]
	holds := p != nil && p.in != nil && p.followsUs() && !p.following()
	var id [32]byte
	if holds {
		id = p.in.Edge.ID()
	}
	n.people.mu.Unlock()
	if !holds || [16]byte(id[:]) != it.Nonce {
		return nil
	}
	return n.store.Update(ctx, func(tx *store.Tx) error {
		return n.keepRequest(tx, followRequestID(it.From), requestRow{V: 1, Kind: api.RequestFollow, From: it.From, AtMs: it.Ms, Body: id[:]})
	})
}

// shareOffer keeps an offer of a seat; whether it is accepted by itself was for
// the device that got it.
func (n *Node) shareOffer(ctx context.Context, it requestItem) error {
	var o offerMsg
	if err := wire.Unmarshal(it.Body, &o); err != nil {
		return fmt.Errorf("%w: %v", errDirectRefused, err)
	}
	if o.Inviter != it.From || !n.people.mutual(o.Inviter) {
		return nil
	}
	op, err := n.readOffer(o)
	if err != nil {
		return err
	}
	return n.keepOffer(ctx, o, op, it.Body, it.Ms)
}

// takeEnd lets go of a request that another own device has answered, or that
// was taken back there.
func (n *Node) takeEnd(ctx context.Context, it requestItem) error {
	it.Body = nil
	if err := n.store.Update(ctx, func(tx *store.Tx) error {
		if err := putEnded(tx, it); err != nil || it.Kind == askedJoin {
			return err
		}
		return n.dropRequests(tx, func(row requestRow) bool {
			o, ok := row.item()
			return ok && it.same(o)
		})
	}); err != nil || it.Kind != askedJoin {
		return err
	}
	g, _ := it.Group.Get()
	r := n.room(wire.GroupID(g))
	if r == nil {
		return nil
	}
	return r.step(ctx, func(c *commit) error {
		a := r.asks[it.From]
		switch {
		case a == nil || a.body.Said.Request.Nonce != it.Nonce || a.row.State == askDeclined:
		case it.End == endedNo:
			r.turnBack(c, a)
		case !a.body.Near: // else the newcomer is ours to answer, by what the group says
			r.dropAsk(c, it.From, endedGone)
		}
		return nil
	})
}

// readOffer reads the group that is offered, if it may be offered to this
// account by that inviter.
func (n *Node) readOffer(o offerMsg) (*groups.Op, error) {
	op, refusal := groups.Decode(o.Genesis)
	if refusal == nil {
		_, refusal = groups.Found(op)
	}
	if refusal != nil {
		return nil, fmt.Errorf("%w: an offer without a genesis", errDirectRefused)
	}
	body := op.Body.(*groups.GenesisBody)
	if self := n.dev.account(); isOfTwo(body) && (wire.AccountID(body.Policy.Direct) != self || body.Owner != o.Inviter) {
		return nil, fmt.Errorf("%w: a conversation of two others", errDirectRefused)
	}
	return op, nil
}

// isOfTwo tells whether a genesis begins a conversation of two.
func isOfTwo(b *groups.GenesisBody) bool { return len(b.Policy.Direct) > 0 }

// keepOffer keeps an offer of a seat for the person to answer.
func (n *Node) keepOffer(ctx context.Context, o offerMsg, op *groups.Op, frame []byte, at uint64) error {
	group := wire.GroupID(op.ID)
	if r := n.room(group); r != nil && r.view.Load().seated() {
		return nil
	}
	id := offerID(group)
	if waiting, err := n.offersFrom(o.Inviter, id); err != nil || waiting >= maxOffers {
		return errors.Join(err, fmt.Errorf("%w: too many offers wait", errDirectRefused))
	}
	row := requestRow{V: 1, Kind: api.RequestGroup, From: o.Inviter, AtMs: at, Group: wire.SomeID(op.ID), GroupName: clipName(o.Preview.Name), Body: frame}
	return n.store.Update(ctx, func(tx *store.Tx) error { return n.keepRequest(tx, id, row) })
}
