package node

import (
	"context"
	"fmt"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/mesh"
	"mutuals/store"
)

// bareCame notes a message that came without its body: who served it had
// dropped that. Somebody else may have it, unless it is too old here too.
func (r *room) bareCame(c *commit, op *groups.Op) {
	if op.HLC < r.retainedFrom() {
		r.bodies.upTo = max(r.bodies.upTo, op.HLC)
	} else {
		inc := op.IncID()
		owed, ok := r.bodies.owed[inc]
		if !ok {
			owed.from = op.Seq
		}
		r.bodies.owed[inc] = span{min(owed.from, op.Seq), max(owed.to, op.Seq)}
		r.bodies.bareTo = max(r.bodies.bareTo, op.HLC)
		clear(r.bodies.asked)
	}
	r.saveBodies(c)
}

// bodiesOwed is what to ask a peer for because its body is not here: each peer
// once, as long as nothing more came without.
func (r *room) bodiesOwed(ctx context.Context, peer wire.PeerKey) (wants []groups.Want, err error) {
	err = r.step(ctx, func(*commit) error {
		wants = nil
		if r.bodies.asked[peer] {
			return nil
		}
		for inc, owed := range r.bodies.owed {
			wants = append(wants, groups.Want{Inc: inc, Chain: uint64(groups.Content), From: owed.from, To: owed.to})
		}
		return nil
	})
	return wants, err
}

// fetchBodies asks a peer for bodies that are not here (PROTOCOLS.md N8).
func (r *room) fetchBodies(ctx context.Context, s *mesh.Stream, peer wire.PeerKey) error {
	wants, err := r.bodiesOwed(ctx, peer)
	if err != nil || len(wants) == 0 {
		return err
	}
	for window, rest := groups.Window(wants, false); window != nil; window, rest = groups.Window(rest, false) {
		if err := writeSync(s, window); err != nil {
			return err
		}
		for done := false; !done; {
			m, err := readSync(s)
			if err != nil {
				return err
			}
			switch m := m.(type) {
			case *groups.SyncDone:
				done = true
			case *groups.Segment:
				run, err := r.decodeRun(peer, m)
				if err != nil {
					return err
				}
				if err := r.step(ctx, func(c *commit) error { return r.fillBodies(c, run.ops) }); err != nil {
					return err
				}
			default:
				return fmt.Errorf("%w: neither segment nor done", errStep)
			}
		}
	}
	return r.step(ctx, func(c *commit) error {
		r.bodies.asked[peer] = true
		return r.countOwed(c, wants)
	})
}

// fillBodies puts bodies to the operations that lie here without. They need no
// verifying: each is the one that its core, which is here, names.
func (r *room) fillBodies(c *commit, ops []*groups.Op) error {
	for _, op := range ops {
		if !op.Whole() || op.Chain != groups.Content || op.HLC < r.retainedFrom() {
			continue
		}
		held := r.stored(op.IncID(), op.Chain, op.Seq, op.ID)
		if held == nil || held.Whole() {
			continue
		}
		if refusal := held.Fill(op.Cipher); refusal != nil {
			return refusal
		}
		c.dirty = true
		frame := held.Frame()
		c.row(func(tx *store.Tx) error {
			return tx.PutOp(r.group, held.IncID(), uint8(held.Chain), held.Seq, held.ID, frame)
		})
		if r.office != nil {
			r.weigh(len(held.Cipher))
			continue
		}
		r.open(c, held)
	}
	return nil
}

// countOwed looks how much of what a peer was asked for is still without a body.
func (r *room) countOwed(c *commit, asked []groups.Want) error {
	for _, w := range asked {
		left := span{}
		if err := r.n.store.View(func(tx *store.Tx) error {
			return tx.EachOp(r.group, w.Inc, uint8(w.Chain), w.From, w.To, func(o store.StoredOp) error {
				op, refusal := groups.Reread(o.Frame)
				if refusal != nil {
					return fmt.Errorf("%w: operation %s: %v", store.ErrDamaged, o.ID.Short(), refusal)
				}
				if op.Whole() || op.HLC < r.retainedFrom() {
					return nil
				}
				if left.to == 0 {
					left.from = o.Seq
				}
				left.to = o.Seq
				return nil
			})
		}); err != nil {
			return err
		}
		// What came without a body while these were asked for stays owed.
		now := r.bodies.owed[w.Inc]
		if now.to > w.To {
			if left.to == 0 {
				left.from = max(w.To+1, now.from)
			}
			left.to = now.to
		}
		if left.to == 0 {
			delete(r.bodies.owed, w.Inc)
		} else {
			r.bodies.owed[w.Inc] = left
		}
	}
	r.saveBodies(c)
	return nil
}
