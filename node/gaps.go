package node

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

const (
	// maxClaims bounds what is remembered of who has what is not here, half a
	// megabyte: a group of a thousand chains, as four members tell of it.
	maxClaims = 4096
	// claimShare is the part of it that one holder may take: who lies about
	// every chain keeps nobody else's words out.
	claimShare = 4
	// maxGaps is how many gaps are told: each reader is told all of them anew,
	// every second while a new member fetches a group of a thousand.
	maxGaps = 64
	// maxGapHolders is how many are named that have what is missing: some to
	// ask for.
	maxGapHolders = 8
	// maxMissing is where counting stops: "a million" says enough, and no lie
	// says more.
	maxMissing = 1_000_000
	// lockedLooks bounds the messages that are read to learn when they are
	// from.
	lockedLooks = 16
)

// claim is a holder's word that it has more of a chain than is here.
type claim struct {
	at chainOf
	by wire.OpID
}

// gapsRow is what is known to be missing, over a restart.
type gapsRow struct {
	_      struct{} `cbor:",toarray"`
	Inc    wire.OpID
	Chain  uint64
	Holder wire.OpID
	Seq    uint64
}

// gaps is what readers are told of what is missing: replaced whole.
type gaps struct {
	list       []api.Gap
	completeTo time.Time
	// completeFrom is since when all is here, while what is older comes.
	completeFrom time.Time
}

// noteClaim notes how far a holder says it has a chain; on the room's
// goroutine.
func (r *room) noteClaim(id wire.OpID, e groups.VectorEntry) {
	at := chainOf{e.Inc, groups.ChainKind(e.Chain)}
	if at.chain == groups.KEM {
		return
	}
	said := r.claims[id]
	if e.Seq <= r.heads[at].Seq {
		delete(said, at)
		return
	}
	if _, known := said[at]; !known && (len(said) >= maxClaims/claimShare || r.claimed() >= maxClaims) {
		return
	}
	if said == nil {
		said = map[chainOf]uint64{}
		r.claims[id] = said
	}
	said[at] = e.Seq
}

// claimed counts what is remembered of all holders.
func (r *room) claimed() (n int) {
	for _, said := range r.claims {
		n += len(said)
	}
	return n
}

// unclaim drops a holder's words about what it was asked for and did not have.
func (r *room) unclaim(peer wire.PeerKey, wants []groups.Want) {
	id, ok := r.view.Load().speaksFor(peer)
	if !ok {
		return
	}
	for _, w := range wants {
		delete(r.claims[id], chainOf{w.Inc, groups.ChainKind(w.Chain)})
	}
}

// tickGaps finds out what is missing and tells readers if that is another than
// they were told. What is missing for less than a second is on its way, and not
// told.
func (r *room) tickGaps() {
	v := r.view.Load()
	for id, said := range r.claims {
		maps.DeleteFunc(said, func(at chainOf, seq uint64) bool { return seq <= r.heads[at].Seq })
		if _, counts := v.holders[id]; !counts || len(said) == 0 {
			delete(r.claims, id)
		}
	}
	for _, w := range r.parked.all() {
		if id, ok := v.speaksFor(w.from); ok && w.op.Chain != groups.KEM {
			r.noteClaim(id, groups.VectorEntry{Inc: w.op.IncID(), Chain: uint64(w.op.Chain), Seq: w.op.Seq})
		}
	}
	basis := r.gapBasis()
	if basis.same(r.gapsOf) {
		return
	}
	now := r.findGaps()
	if reflect.DeepEqual(now, r.gaps) {
		r.gapsOf = basis
		return
	}
	before := r.gaps
	err := r.commit(func(c *commit) error {
		r.gaps = now
		b := wire.Marshal(r.gapRows())
		c.row(func(tx *store.Tx) error { return tx.PutSetting(r.gapsKey(), b) })
		if !r.me.IsZero() {
			told := *v
			told.gaps = now
			c.changes = append(c.changes, r.n.change(store.Update, api.EventGroupUpdated, r.group, r.api(&told)))
		}
		return nil
	})
	if err != nil {
		r.gaps = before
		r.log.Warn("telling what is missing failed", "err", err)
		return
	}
	r.gapsOf = basis
}

// gapBasis is what gaps are found from, as far as it tells whether they may
// have changed.
type gapBasis struct {
	claims map[claim]uint64
	have   uint64 // of the chains in claims
	older  uint64 // what is missing in holes
	locked int
	state  *groups.State // if any are locked: whose keys are owed may change
}

func (r *room) gapBasis() gapBasis {
	b := gapBasis{claims: map[claim]uint64{}}
	for id, said := range r.claims {
		for at, seq := range said {
			b.claims[claim{at, id}] = seq
			b.have += r.heads[at].Seq
		}
	}
	b.older, _ = r.olderMissing()
	for _, ops := range r.locked {
		b.locked += len(ops)
	}
	if b.locked > 0 {
		b.state = r.g.State()
	}
	return b
}

func (b gapBasis) same(o gapBasis) bool {
	return maps.Equal(b.claims, o.claims) && b.have == o.have && b.older == o.older && b.locked == o.locked && b.state == o.state
}

// findGaps sums up what is missing, by author and kind.
func (r *room) findGaps() gaps {
	type key struct {
		kind   string
		author wire.AccountID
	}
	found := map[key]*api.Gap{}
	gap := func(kind string, author wire.AccountID) *api.Gap {
		k := key{kind, author}
		if found[k] == nil {
			found[k] = &api.Gap{Kind: kind, Author: author}
		}
		return found[k]
	}
	var out gaps
	until := func(t time.Time) {
		if !t.IsZero() && (out.completeTo.IsZero() || t.Before(out.completeTo)) {
			out.completeTo = t
		}
	}
	furthest, holders := map[chainOf]uint64{}, map[chainOf][]wire.AccountID{}
	v, s := r.view.Load(), r.g.State()
	for id, said := range r.claims {
		for at, seq := range said {
			furthest[at] = max(furthest[at], seq)
			if h := v.holders[id]; !h.account.IsZero() {
				holders[at] = append(holders[at], h.account)
			}
		}
	}
	for at, seq := range furthest {
		if seq <= r.heads[at].Seq {
			continue // it came since it was claimed
		}
		kind := api.GapMessages
		if at.chain == groups.Control {
			kind = api.GapChanges
		}
		inc, _ := s.Inc(at.inc)
		g := gap(kind, inc.Account)
		g.Missing = min(g.Missing+int(min(seq-r.heads[at].Seq, maxMissing)), maxMissing)
		g.HeldBy = append(g.HeldBy, holders[at]...)
		until(r.lastOf(at, inc))
	}
	for at, hole := range r.olders {
		inc, _ := s.Inc(at.inc)
		g := gap(api.GapMessages, inc.Account)
		g.Missing = min(g.Missing+int(min(hole.missing(), maxMissing)), maxMissing)
		until(r.belowHole(at, inc))
	}
	if _, ms := r.olderMissing(); ms > 0 {
		out.completeFrom = msTime(ms)
	}
	for eid, ops := range r.locked {
		newest, oldest := r.lockedSpan(ops)
		if !r.keyOwed(eid, newest) {
			continue
		}
		for _, op := range ops {
			inc, _ := s.Inc(op.inc)
			g := gap(api.GapKeys, inc.Account)
			g.Missing = min(g.Missing+1, maxMissing)
		}
		if oldest > 0 {
			until(msTime(oldest - 1))
		}
	}
	for _, g := range found {
		g.Name = r.n.nameOf(g.Author)
		slices.SortFunc(g.HeldBy, func(a, b wire.AccountID) int { return bytes.Compare(a[:], b[:]) })
		g.HeldBy = slices.Compact(g.HeldBy)
		g.HeldBy = g.HeldBy[:min(len(g.HeldBy), maxGapHolders)]
		out.list = append(out.list, *g)
	}
	slices.SortFunc(out.list, func(a, b api.Gap) int {
		return cmp.Or(cmp.Compare(b.Missing, a.Missing), bytes.Compare(a.Author[:], b.Author[:]), cmp.Compare(a.Kind, b.Kind))
	})
	out.list = out.list[:min(len(out.list), maxGaps)]
	return out
}

// lastOf is when the newest of a chain was written that is here, or its author
// let in; zero if nothing is known of it.
func (r *room) lastOf(at chainOf, inc groups.IncInfo) time.Time {
	if at.chain == groups.Control {
		if _, id, ok := r.g.ChainHead(at.inc, groups.Control); ok {
			return msTime(r.g.Op(id).HLC)
		}
	}
	if head, ok := r.heads[at]; ok && at.chain == groups.Content {
		if ms := r.writtenAt(at.inc, head.Seq); ms > 0 {
			return msTime(ms)
		}
	}
	if inc.AtMs == 0 {
		return time.Time{}
	}
	return msTime(inc.AtMs)
}

// belowHole is when the newest was written that is held below a hole, or its
// author let in.
func (r *room) belowHole(at chainOf, inc groups.IncInfo) time.Time {
	if base := r.baseOf(at); base > 0 {
		if ms := r.writtenAt(at.inc, base); ms > 0 {
			return msTime(ms)
		}
	}
	if inc.AtMs == 0 {
		return time.Time{}
	}
	return msTime(inc.AtMs)
}

// writtenAt reads when content was written from disk, 0 if it is not there.
func (r *room) writtenAt(inc wire.OpID, seq uint64) (ms uint64) {
	err := r.n.store.View(func(tx *store.Tx) error {
		ops, err := tx.Op(r.group, inc, uint8(groups.Content), seq)
		for _, o := range ops {
			if op, refusal := groups.Decode(o.Frame); refusal == nil {
				ms = op.HLC
			}
		}
		return err
	})
	if err != nil {
		r.log.Warn("reading when a message was written failed", "err", err)
	}
	return ms
}

// lockedSpan is when the newest and the oldest of some messages were written,
// as far as a few looks tell.
func (r *room) lockedSpan(ops map[wire.OpID]lockedOp) (newest, oldest uint64) {
	looks := 0
	for _, op := range ops {
		if looks++; looks > lockedLooks {
			break
		}
		if ms := r.writtenAt(op.inc, op.seq); ms > 0 {
			newest = max(newest, ms)
			if oldest == 0 || ms < oldest {
				oldest = ms
			}
		}
	}
	return newest, oldest
}

// keyOwed tells whether any member may give this device an epoch's key: what
// was said before it joined, and the policy does not grant, is not missing.
func (r *room) keyOwed(eid [32]byte, saidMs uint64) bool {
	v := r.view.Load()
	for _, by := range v.peers {
		if by != v.me {
			return r.g.MayHaveKey(v.me, by, eid, saidMs)
		}
	}
	return false
}

func (r *room) gapsKey() string { return "gaps/" + r.group.String() }

// gapRows is what is remembered of gaps: as much as a row holds.
func (r *room) gapRows() []gapsRow {
	const most = 1024
	rows := []gapsRow{}
	for id, said := range r.claims {
		for at, seq := range said {
			if len(rows) == most {
				return rows
			}
			rows = append(rows, gapsRow{Inc: at.inc, Chain: uint64(at.chain), Holder: id, Seq: seq})
		}
	}
	return rows
}

// loadGaps reads what was missing before a restart, and tells it at once.
func (r *room) loadGaps(tx *store.Tx) error {
	r.claims = map[wire.OpID]map[chainOf]uint64{}
	b, ok, err := tx.Setting(r.gapsKey())
	if err != nil || !ok {
		return err
	}
	var rows []gapsRow
	if err := wire.Unmarshal(b, &rows); err != nil {
		return fmt.Errorf("reading what is missing: %w", err)
	}
	for _, row := range rows {
		if r.claims[row.Holder] == nil {
			r.claims[row.Holder] = map[chainOf]uint64{}
		}
		r.claims[row.Holder][chainOf{row.Inc, groups.ChainKind(row.Chain)}] = row.Seq
	}
	return nil
}
