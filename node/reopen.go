package node

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"mutuals/groups"
	"mutuals/groups/timeline"
	"mutuals/identity/wire"
	"mutuals/store"
)

// reopens is where a room looks next for content without an entry, after its store was
// mended: damage may have taken the entry and left the operation. How far it is, is not kept
// over a restart, which begins anew.
type reopens struct {
	due    bool        // and nobody who has the group was heard since
	chains []wire.OpID // still to be looked at
	from   uint64      // where, in the first
	heard  bool        // this look began after somebody was heard
}

func reopensKey(g wire.GroupID) string { return "reopens/" + g.String() }

// loadReopens finds whether MendStore said that entries may be missing.
func (r *room) loadReopens(tx *store.Tx) (err error) {
	r.reopens = reopens{}
	_, r.reopens.due, err = tx.Setting(reopensKey(r.group))
	return err
}

// reopenSome makes entries of content that has none and can be opened, as many as one
// transaction takes, and has itself called again until it has been through all chains; once
// more when somebody was heard who has the group, for what decides may have been missing.
// Of an epoch whose secret was erased nothing can be opened any more.
func (r *room) reopenSome(c *commit) error {
	if !r.reopens.due {
		c.asks = true
		return nil
	}
	if r.reopens.chains == nil {
		r.reopens.chains, r.reopens.from, r.reopens.heard = []wire.OpID{}, 0, !r.heardAt.IsZero()
		for at := range r.heads {
			if at.chain == groups.Content {
				r.reopens.chains = append(r.reopens.chains, at.inc)
			}
		}
	}
	c.dirty, r.recount = true, true
	opened, looked := 0, 0
	for len(r.reopens.chains) > 0 && opened < refoldStep && looked < refoldLook {
		inc, next := r.reopens.chains[0], uint64(0)
		err := r.n.store.View(func(tx *store.Tx) error {
			return tx.EachOp(r.group, inc, uint8(groups.Content), r.reopens.from, 1<<47, func(o store.StoredOp) error {
				if opened >= refoldStep || looked >= refoldLook {
					next = o.Seq
					return errEnough
				}
				looked++
				_, ok, err := tx.Entry(r.group, o.ID)
				if ok || err != nil {
					return err
				}
				if op, refusal := groups.Reread(o.Frame); refusal == nil && r.reopen(c, op) {
					opened++
				}
				return nil
			})
		})
		if err != nil && !errors.Is(err, errEnough) {
			r.log.Warn("looking for what has no entry failed", "inc", inc.Short(), "err", err)
		}
		if r.reopens.from = next; next == 0 {
			r.reopens.chains = r.reopens.chains[1:]
		}
	}
	if len(r.reopens.chains) > 0 {
		c.then(func() { r.tell(r.reopenSome) })
		return nil
	}
	r.reopens.chains = nil
	// Of a group of one device there is nobody to be heard; one of which only the first
	// operation is here is not known to be that.
	alone := len(r.g.Ops()) > 1 && len(r.view.Load().peers) <= 1
	if !r.reopens.heard && !alone {
		return nil
	}
	r.reopens = reopens{}
	c.row(func(tx *store.Tx) error { return tx.DeleteSetting(reopensKey(r.group)) })
	return nil
}

// askAnew asks a mutual for groups whose store was mended. Damage may have taken what says
// who is in a group, so that nobody would be asked; whoever has it knows who is.
func (n *Node) askAnew(peer wire.PeerKey) {
	if !slices.ContainsFunc(n.accountsOf(peer), n.people.mutual) {
		return
	}
	for _, r := range n.openRooms() {
		if v := r.view.Load(); v.mended && !v.knows(peer) {
			n.wg.Go(func() {
				ctx, cancel := context.WithTimeout(n.ctx, joinTime)
				defer cancel()
				if err := r.pull(ctx, peer); err != nil {
					r.log.Debug("asking for what is missing failed", "peer", peer.Short(), "err", err)
					return
				}
				r.pulled(peer)
			})
		}
	}
}

// reopen makes the entry of an operation that was taken in long ago.
func (r *room) reopen(c *commit, op *groups.Op) bool {
	key, ok := r.keys.message(op.ID, op.IncID(), op.EID, op.Seq, op.Salt)
	if _, judged := r.g.At(op.Heads); !ok || !judged || !op.Whole() {
		return false
	}
	place := r.place(op)
	place.ArrivedMs = op.HLC // when it came is not known any more; it was not late
	plain, ok := r.decrypt(key, op)
	if !ok {
		r.enter(c, timeline.Unread(place, timeline.Malformed))
		return true
	}
	r.fold(c, op, place, plain)
	return true
}

// byAge sorts operations so that, as a rule, each comes after what it builds on.
func byAge(ops []leftOp) {
	slices.SortStableFunc(ops, func(a, b leftOp) int { return cmp.Compare(a.op.HLC, b.op.HLC) })
}
