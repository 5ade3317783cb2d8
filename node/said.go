package node

import (
	"context"
	"errors"
	"slices"

	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// maxSaid bounds whom a restored account is said to follow: as many as may
// follow it unasked.
const maxSaid = maxStrangers

// saidRow is an edge of this account that others show, after a restore without
// a backup. It may be old: whom one follows counts by own devices' word alone,
// so it is shown, and counts once it is confirmed, with an n above this one.
type saidRow struct {
	_       struct{} `cbor:",toarray"`
	Account wire.AccountID
	N       uint64
	State   uint64
}

// said tells whether others say that this account follows somebody, and it did
// not say itself.
func (p *person) said() bool { return p.out == nil && p.saidN > 0 && p.saidState == 1 }

// takeSaid notes what is said of an edge; of several copies the newest holds.
// The lock is held.
func (p *person) takeSaid(s saidRow) bool {
	if s.N < p.saidN || s.N == p.saidN && s.State >= p.saidState {
		return false
	}
	p.saidN, p.saidState = s.N, s.State
	return true
}

// loadSaid puts what was said before into the copy that lists read.
func (n *Node) loadSaid() {
	if n.restored == nil {
		return
	}
	n.people.mu.Lock()
	defer n.people.mu.Unlock()
	for _, s := range n.restored.row.Said {
		n.people.get(s.Account).takeSaid(s)
	}
}

// hearSaid takes in a copy of an own edge, of a device this account had.
func (n *Node) hearSaid(ctx context.Context, frame []byte) error {
	if len(frame) == 0 {
		return nil
	}
	e, err := identity.DecodeEdge(frame)
	if err != nil {
		return err
	}
	if err := e.Verify(); err != nil || e.Edge.From != n.dev.account() {
		return errors.Join(errForged, err)
	}
	if e.Edge.N > n.nowMs()+uint64(clockAhead.Milliseconds()) {
		return nil // of a clock that ran ahead: a newer one could never be made
	}
	return n.noteSaid(ctx, saidRow{Account: e.Edge.To, N: e.Edge.N, State: e.Edge.State})
}

func (n *Node) noteSaid(ctx context.Context, s saidRow) error {
	n.people.mu.Lock()
	p := n.people.get(s.Account)
	taken := p.out == nil && p.takeSaid(s)
	n.people.mu.Unlock()
	if !taken {
		return nil
	}
	rs := n.restored
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.row.Said = slices.DeleteFunc(rs.row.Said, func(o saidRow) bool { return o.Account == s.Account })
	if len(rs.row.Said) >= maxSaid {
		rs.row.Said = rs.row.Said[1:]
	}
	rs.row.Said = append(rs.row.Said, s)
	return n.putRestored(ctx)
}

// putRestored writes the row; its lock is held.
func (n *Node) putRestored(ctx context.Context) error {
	b := wire.Marshal(n.restored.row)
	return n.store.Update(ctx, func(tx *store.Tx) error { return tx.PutSetting(restoredKey, b) })
}

// before tells whether something was said by a device that this account had
// before it was restored here.
func (rs *restored) before(ms uint64) bool { return rs != nil && ms < rs.row.AtMs }

// unconfirmed tells whether what others say of this account's follows was not
// looked at yet: until then nothing is accepted unasked.
func (rs *restored) unconfirmed() bool {
	if rs == nil {
		return false
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return !rs.row.Confirmed
}

// ConfirmFollows makes the edges that others say this account has: to those
// named, or with none named to all, which ends the time of asking. It returns
// whom it follows by that.
func (n *Node) ConfirmFollows(ctx context.Context, accounts []wire.AccountID) ([]api.Person, error) {
	said := n.people.list((*person).said)
	if len(accounts) > 0 {
		said = slices.DeleteFunc(said, func(p api.Person) bool { return !slices.Contains(accounts, p.Account) })
		if len(said) < len(accounts) {
			return nil, api.NewProblem(api.NotFound).Explain("not all of these are said to be followed")
		}
	}
	out := make([]api.Person, 0, len(said))
	for _, p := range said {
		if err := n.setEdge(ctx, p.Account, 1); err != nil {
			return out, err
		}
		n.reach(p.Account)
		now, err := n.Person(ctx, p.Account)
		if err != nil {
			return out, err
		}
		out = append(out, now)
	}
	if n.restored == nil || len(accounts) > 0 {
		return out, nil
	}
	n.restored.mu.Lock()
	defer n.restored.mu.Unlock()
	n.restored.row.Confirmed = true
	return out, n.putRestored(ctx)
}
