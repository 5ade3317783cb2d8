package node

import (
	"context"
	"sync"

	"mutuals/groups"
	"mutuals/groups/timeline"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// held is what others say is on their disks: of each content chain how far
// each account has it, and how far the own chain was handed out. Readers of
// messages look at it while the room goes on.
type held struct {
	mu   sync.Mutex
	by   map[wire.OpID]map[wire.AccountID]uint64
	sent map[wire.OpID]uint64
}

func newHeld() *held {
	return &held{by: map[wire.OpID]map[wire.AccountID]uint64{}, sent: map[wire.OpID]uint64{}}
}

// holders counts the accounts other than the author whose device reports a
// message on its disk.
func (r *room) holders(inc wire.OpID, seq uint64, author wire.AccountID) int {
	r.held.mu.Lock()
	defer r.held.mu.Unlock()
	n := 0
	for a, upTo := range r.held.by[inc] {
		if a != author && upTo >= seq {
			n++
		}
	}
	return n
}

func (r *room) wasSent(inc wire.OpID, seq uint64) bool {
	r.held.mu.Lock()
	defer r.held.mu.Unlock()
	return r.held.sent[inc] >= seq
}

// noteSent notes that own operations were written to some member.
func (r *room) noteSent(ops []*groups.Op) {
	r.held.mu.Lock()
	defer r.held.mu.Unlock()
	for _, op := range ops {
		if op.Chain == groups.Content {
			r.held.sent[op.IncID()] = max(r.held.sent[op.IncID()], op.Seq)
		}
	}
}

// note takes in what a peer says is on its disk: only as much of a chain as
// its head proves, which is one we hold too.
func (r *room) note(c *commit, peer wire.PeerKey, entries groups.Vector) {
	inc, ok := r.g.State().Inc(r.view.Load().peers[peer])
	if !ok {
		return
	}
	account := inc.Account
	type span struct{ from, to uint64 }
	var own span
	r.held.mu.Lock()
	for _, e := range entries {
		if groups.ChainKind(e.Chain) != groups.Content {
			continue
		}
		seq := e.Seq
		head, ok := r.heads[chainOf{e.Inc, groups.Content}]
		if !ok || head.Seq == seq && head.Head != e.Head {
			continue
		}
		seq = min(seq, head.Seq) // what lies beyond is not known here
		if r.held.by[e.Inc] == nil {
			r.held.by[e.Inc] = map[wire.AccountID]uint64{}
		}
		was := r.held.by[e.Inc][account]
		if seq > was {
			r.held.by[e.Inc][account] = seq
			if e.Inc == r.me {
				own = span{was + 1, seq}
			}
		}
	}
	r.held.mu.Unlock()
	if own.to > 0 && account != r.n.dev.account() {
		r.tellDelivered(c, max(own.from, own.to-min(own.to, maxTold)+1), own.to)
	}
}

// maxTold is how many own messages are told anew when a member says that it
// has them: what a window shows. The rest is right when it is read.
const maxTold = 200

// tellDelivered tells readers that own messages are held by one more.
func (r *room) tellDelivered(c *commit, from, to uint64) {
	err := r.n.store.View(func(tx *store.Tx) error {
		return tx.EachOp(r.group, r.me, uint8(groups.Content), from, to, func(o store.StoredOp) error {
			row, ok, err := tx.Entry(r.group, o.ID)
			if err != nil || !ok {
				return err
			}
			e, err := timeline.Decode(row.Data)
			if err != nil {
				return err
			}
			c.changes = append(c.changes, r.n.change(store.Update, api.EventMessageUpdated, r.group, r.n.messageOf(r, e)))
			return nil
		})
	})
	if err != nil {
		r.log.Warn("reading own messages failed", "err", err)
	}
}

// chainOf names one chain of one incarnation.
type chainOf struct {
	inc   wire.OpID
	chain groups.ChainKind
}

// vectorNow is what this device holds; on the room's goroutine.
func (r *room) vectorNow() groups.Vector {
	v := make(groups.Vector, 0, len(r.heads))
	for _, e := range r.heads {
		v = append(v, e)
	}
	for _, others := range r.branches {
		v = append(v, others...)
	}
	return v.Sort()
}

// pulled is told after everything a peer had was fetched.
func (r *room) pulled(peer wire.PeerKey) {
	defer r.historyHere()
	if err := r.fetchKeys(r.n.ctx, peer); err != nil && r.n.ctx.Err() == nil {
		r.log.Debug("fetching keys failed", "peer", peer.Short(), "err", err)
		r.tell(func(*commit) error { r.askKeysAgain(peer); return nil })
	}
}

// await waits until this account stands as wanted in the group, syncing with
// the peer that let it in.
func (r *room) await(ctx context.Context, peer wire.PeerKey, want groups.Status) error {
	r.tell(func(*commit) error {
		r.setLink(peer, r.n.mesh.Connected(peer))
		if l := r.links[peer]; l != nil {
			l.pullNow()
		}
		return nil
	})
	for {
		changed := r.changed.wait()
		if m, ok := r.view.Load().state.Member(r.n.dev.account()); ok && (m.Status == want || m.Status == groups.StatusSeated) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// signal is something many can wait for, again and again.
type signal struct {
	mu sync.Mutex
	c  chan struct{}
}

// wait returns a channel that is closed at the next tell.
func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c == nil {
		s.c = make(chan struct{})
	}
	return s.c
}

func (s *signal) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c != nil {
		close(s.c)
		s.c = nil
	}
}
