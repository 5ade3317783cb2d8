package node

import (
	"fmt"
	"math"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/store"
)

// unheardKept is how long after an epoch was left its secret waits for members
// who were not seen to hold what was said under it: a term abroad. Own words
// that nobody else holds wait for ever, since nobody else can give them.
const unheardKept = 180 * 24 * time.Hour

// unheard is the newest word under an epoch that is to wait for somebody.
type unheard struct {
	at    chainOf
	seq   uint64
	allMs uint64 // when everybody was found to hold it; zero: somebody was not
}

// marks say how far a chain is held by others: by all who wait for it, and by
// at least one of another account.
type marks struct{ all, any uint64 }

// marksOf finds the marks of a content chain. Of each other account one device
// is enough; of the own account each waits, since its siblings are who it turns
// to first.
func (r *room) marksOf(v *view, at chainOf) marks {
	self := r.n.dev.account()
	inc, _ := v.state.Inc(at.inc)
	accounts, m := map[wire.AccountID]uint64{}, marks{all: math.MaxUint64}
	r.held.mu.Lock()
	defer r.held.mu.Unlock()
	by := r.held.by[at]
	for id, h := range v.holders {
		switch {
		case h.harbor || id == at.inc || id == v.me:
		case h.account == self:
			m.all = min(m.all, by[id])
		case h.account != inc.Account:
			accounts[h.account] = max(accounts[h.account], by[id])
		}
	}
	for _, upTo := range accounts {
		m.all, m.any = min(m.all, upTo), max(m.any, upTo)
	}
	if inc.Account != self || len(accounts) == 0 {
		m.any = math.MaxUint64 // its author can give it, or nobody waits for it
	}
	return m
}

// waits tells whether a word under an epoch is one that keeps its secret.
func (m marks) waits(e agedEpoch, seq, nowMs uint64) bool {
	if nowMs > e.leftMs && nowMs-e.leftMs > uint64(unheardKept.Milliseconds()) {
		return seq > m.any
	}
	return seq > m.all
}

// heard takes out of epochs whose secrets may go those that wait for somebody
// to hear what was said under them. Once all have it, it is a day until the
// last of them surely has the secret too.
func (r *room) heard(epochs []agedEpoch) (done []agedEpoch, err error) {
	v, now := r.view.Load(), r.n.nowMs()
	var look []agedEpoch
	for _, e := range epochs {
		u := r.unheard[e.EID]
		switch {
		case u == nil || u.allMs == 0 && !r.marksOf(v, u.at).waits(e, u.seq, now):
			look = append(look, e) // not known, or there may be another
		case u.allMs > 0 && now-min(now, u.allMs) > uint64(settleIn.Milliseconds()):
			done = append(done, e)
		}
	}
	if len(look) == 0 {
		return done, nil
	}
	found, err := r.findUnheard(v, look)
	if err != nil {
		return nil, err
	}
	for _, e := range look {
		switch was := r.unheard[e.EID]; {
		case found[e.EID] != nil:
			r.unheard[e.EID] = found[e.EID]
		case was != nil:
			was.allMs = now
		default:
			done = append(done, e)
		}
	}
	return done, nil
}

// unheardLooks is how many words one look for the unheard reads: the room does
// nothing else meanwhile, and a million that nobody reports took longer than a
// daemon has for its end.
const unheardLooks = 4096

// findUnheard reads what is not held by all, newest first, back to the oldest
// of some epochs. Where that is too much, the word at which it stops stands for
// all it did not come to: their secrets wait at least until that is heard.
func (r *room) findUnheard(v *view, epochs []agedEpoch) (map[[32]byte]*unheard, error) {
	now, oldest, of := r.n.nowMs(), uint64(math.MaxUint64), map[[32]byte]agedEpoch{}
	for _, e := range epochs {
		of[e.EID], oldest = e, min(oldest, e.CreatedMs)
	}
	found, looks := map[[32]byte]*unheard{}, 0
	err := r.n.store.View(func(tx *store.Tx) error {
		for at, head := range r.heads {
			if at.chain != groups.Content {
				continue
			}
			m := r.marksOf(v, at)
			for seq := head.Seq; seq > m.all && len(found) < len(of); seq-- {
				if looks++; looks > unheardLooks {
					for eid := range of {
						if found[eid] == nil {
							found[eid] = &unheard{at: at, seq: seq}
						}
					}
					return nil
				}
				op, err := r.wordAt(tx, at, seq)
				if err != nil {
					return err
				}
				if op == nil || op.HLC < oldest {
					break // what is older is under older epochs
				}
				e, ok := of[op.EID]
				if ok && found[op.EID] == nil && m.waits(e, seq, now) {
					found[op.EID] = &unheard{at: at, seq: seq}
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for what was not heard: %w", err)
	}
	return found, nil
}

// wordAt reads one operation of the branch that counts; nil if there is none.
func (r *room) wordAt(tx *store.Tx, at chainOf, seq uint64) (*groups.Op, error) {
	stored, err := tx.Op(r.group, at.inc, uint8(at.chain), seq)
	if err != nil || len(stored) == 0 {
		return nil, err
	}
	op, refusal := groups.Reread(stored[0].Frame)
	if refusal != nil {
		return nil, fmt.Errorf("%w: operation %s: %v", store.ErrDamaged, stored[0].ID.Short(), refusal)
	}
	return op, nil
}
