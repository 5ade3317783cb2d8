package node

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/mesh"
)

const (
	// maxLinks is how many members of one group this node dials: a dozen links
	// keep any group of 500 connected, and more cost memory for nothing.
	maxLinks = 12
	// searchLinks is how many it dials at once when the first were not there, those not
	// counted that have no answer within hangsAfter.
	searchLinks = 32
	// farewellTime bounds telling a removed device what removed it.
	farewellTime = 5 * time.Second
)

// onPeer is told when a peer is linked or lost.
func (n *Node) onPeer(peer wire.PeerKey, connected bool) {
	n.log.Debug("peer", "peer", peer.Short(), "connected", connected)
	n.forgetGiven(peer)
	for _, r := range n.openRooms() {
		if r.view.Load().knows(peer) {
			r.tell(func(*commit) error {
				// What holds now, not when it was told: the peer may be back.
				if !connected {
					r.setLink(peer, false)
				}
				if r.n.mesh.Connected(peer) && r.view.Load().knows(peer) {
					r.setLink(peer, true)
				}
				return nil
			})
		}
	}
	n.linkSibling(peer)
	if connected {
		n.absent.met(peer)
		for _, a := range n.accountsOf(peer) {
			n.deliverTo(peer, a)
		}
		n.metRevoked(peer)
		n.seek(peer)
		n.askAnew(peer)
	} else {
		n.restored.gone(peer)
	}
	n.networkChanged()
}

// knows tells whether a peer is a device of somebody seated or waiting for a
// seat, or the one that was asked to let this device in: whom this node
// exchanges the group's operations with.
func (v *view) knows(p wire.PeerKey) bool {
	if v.gossips(p) || p == v.meta.Sponsor && v.seeks() {
		return true
	}
	_, waits := v.waiting[p]
	return waits
}

// seeks tells whether this node is not in the group yet: then it knows nobody
// there but whom it asked, or who asked it to be a harbor.
func (v *view) seeks() bool {
	if v.blind {
		return v.office.ID.IsZero()
	}
	return !v.seated()
}

// rewire draws the consequences of a new state for connections: gates, links,
// topics, and the edges that an admission promised.
func (r *room) rewire(old, now *view) {
	var gone, came []wire.PeerKey
	if old != nil {
		for p := range old.peers {
			if !now.knows(p) {
				gone = append(gone, p)
			}
		}
	}
	if old != nil {
		for p := range old.harbors {
			if !now.knows(p) {
				gone = append(gone, p)
			}
		}
	}
	for p := range now.peers {
		if old == nil || !old.gossips(p) {
			came = append(came, p)
		}
	}
	for p := range now.harbors {
		if old == nil || !old.gossips(p) {
			came = append(came, p)
		}
	}
	for p := range now.waiting {
		if old == nil || !old.knows(p) {
			came = append(came, p)
		}
	}
	r.n.giveAnew(came)
	self := r.n.mesh.Self()
	for _, p := range gone {
		r.setLink(p, false)
		r.n.mesh.Refresh(p)
		if (now.seated() || now.office.Appointed) && p != self {
			r.n.wg.Go(func() { r.farewell(p) })
		}
	}
	for _, p := range came {
		if p == self {
			continue
		}
		r.n.mesh.Refresh(p)
		if r.n.mesh.Connected(p) {
			r.setLink(p, true)
		}
	}
	if old == nil || old.stands() != now.stands() {
		r.n.ownChanged()
	}
	r.tuneTopics()
	r.n.tuneKeeps()
	r.n.rdv.ring()
	clear(r.refused)
	if old == nil || len(gone) > 0 || old.stands() != now.stands() || policyAPI(old.state.Policy()) != policyAPI(now.state.Policy()) || r.lacksKeys() {
		for _, l := range r.links {
			l.keysAt, l.keysWait = time.Time{}, 0
			l.pullSoon() // new epochs, new rights: look again what can be had
		}
	}
	if now.seated() {
		for _, p := range r.promised(now) {
			r.n.wg.Go(func() { r.n.followBack(p) })
		}
	}
}

// promise is a follow edge that an admission made this account owe.
type promise struct {
	to wire.AccountID
	ms uint64 // when this account consented: as it asked for its seat, or invited
}

// promised lists the edges that admissions made this account owe: to whoever
// invited it, and to whoever came in by its invite.
func (r *room) promised(v *view) []promise {
	var out []promise
	self := r.n.dev.account()
	for _, m := range r.everybody(v.state) {
		own := m.Account == self
		if m.Status != groups.StatusSeated || m.Inviter.IsZero() || !own && m.Inviter != self {
			continue
		}
		admit := r.g.Op(m.Via)
		if admit == nil {
			continue
		}
		body, ok := admit.Body.(*groups.AdmitBody)
		if !ok {
			continue
		}
		switch invite, cited := body.Request.Invite.Get(); {
		case own:
			out = append(out, promise{m.Inviter, body.Request.Ms})
		case cited:
			out = append(out, promise{m.Account, r.g.Op(invite).HLC})
		default:
			out = append(out, promise{m.Account, admit.HLC})
		}
	}
	return out
}

// farewell tells a device that lost its seat what took it, and lets go of the
// connection unless something else holds it.
func (r *room) farewell(peer wire.PeerKey) {
	if !r.n.mesh.Connected(peer) {
		return
	}
	ctx, cancel := context.WithTimeout(r.n.ctx, farewellTime)
	defer cancel()
	if err := r.sayFarewell(ctx, peer); err != nil {
		r.log.Debug("a farewell failed", "peer", peer.Short(), "err", err)
	}
	if !r.n.shares(peer) {
		r.n.mesh.ClosePeer(peer)
	}
}

// shares tells whether a peer is of a group this account is in: then the
// connection serves that, and gossip has its own gates.
func (n *Node) shares(peer wire.PeerKey) bool {
	return slices.ContainsFunc(n.openRooms(), func(r *room) bool {
		v := r.view.Load()
		return (v.seated() || v.waits() || v.office.Appointed) && v.knows(peer)
	})
}

func (r *room) sayFarewell(ctx context.Context, peer wire.PeerKey) error {
	s, err := r.n.mesh.Open(ctx, peer, protocolSync)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := writeSync(s, &groups.SyncHave{Group: r.group}); err != nil {
		return err
	}
	for _, seg := range segmentsOf(r.unseating(peer)) {
		if err := writeSync(s, seg); err != nil {
			return err
		}
	}
	if err := s.CloseWrite(); err != nil {
		return err
	}
	// The other side closes when it has read all: only then may the
	// connection go.
	s.SetDeadline(time.Now().Add(farewellTime))
	_, err = s.ReadFrame(1)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// unseating lists the operations that unseated a device's account, stopped the
// device, made void how it came in or dismissed the harbor, each kind oldest
// first.
func (r *room) unseating(peer wire.PeerKey) []*groups.Op {
	var out []*groups.Op
	r.step(r.n.ctx, func(*commit) error {
		told := map[wire.OpID]bool{}
		tell := func(ops []*groups.Op) {
			for _, op := range ops {
				if !told[op.ID] {
					told[op.ID] = true
					out = append(out, op)
				}
			}
		}
		for _, inc := range r.g.State().PeerIncs(peer) {
			tell(r.g.UnseatPath(inc.Account))
			tell(r.g.StopPath(inc.ID))
			tell(r.g.VoidPath(inc.ID))
		}
		for _, h := range r.g.State().Harbors() {
			if h.Peer == peer && !h.Appointed {
				tell(r.g.DismissPath(h.ID))
			}
		}
		return nil
	})
	return out
}

// tuneKeeps tells the mesh whom to keep dialling: contacts with something in
// the outbox, and of each group some members.
func (n *Node) tuneKeeps() {
	want := map[wire.PeerKey]bool{}
	self := n.mesh.Self()
	var look choice // of one group after the other: this runs each second while nobody is there
	for _, r := range n.openRooms() {
		v := r.view.Load()
		if !v.seated() && !v.me.IsZero() && !v.waits() {
			continue
		}
		for _, p := range n.somePeers(self, v, &look) {
			want[p] = true
		}
		for p := range v.harbors {
			want[p] = true
		}
		if v.me.IsZero() && v.seeks() && v.meta.Sponsor != (wire.PeerKey{}) {
			want[v.meta.Sponsor] = true
		}
	}
	// Nobody speaks to a device that was revoked, once it has heard so in its
	// groups: what it kept dialling would be held open by that.
	if !n.ended() {
		for _, d := range n.devices.siblings() {
			want[d.peer()] = true
		}
		for _, a := range n.outboxAccounts() {
			for _, p := range n.devicesOf(a) {
				want[p] = true
			}
		}
	}
	delete(want, self)
	n.keeping.Lock()
	defer n.keeping.Unlock()
	for p := range n.keeps {
		if !want[p] {
			n.absent.forgo(p)
			n.mesh.Forget(p)
			n.mesh.Protect(p, false)
			delete(n.keeps, p)
		}
	}
	for p := range want {
		if !n.keeps[p] {
			n.keeps[p] = true
			n.mesh.Protect(p, true)
			n.absent.await(p, n.now())
			if n.mesh.Connected(p) {
				n.absent.forgo(p)
			}
			n.mesh.Keep(p, func() []string { return n.addrsOf(p) })
		}
	}
}

// somePeers chooses whom of a group to dial: of those who may be there, and of whom an
// address is known, the ones next to this device on the ring of peer keys, at distances
// 1, 2, 4, …, so that the choices of all together connect everybody in few hops. When some
// are away, or dials hang, and none is linked it is simply the next ones, and more; those
// that are being dialled stay, and those whose dials hang do not count. Whoever else there
// is comes after these: who comes back, or is new, knows where a few are, and else would
// dial many in vain before them.
// What it returns is in c, for as long as nobody chooses again.
func (n *Node) somePeers(self wire.PeerKey, v *view, c *choice) []wire.PeerKey {
	all, there, tried, chosen := c.all[:0], c.there[:0], c.tried[:0], c.chosen[:0]
	defer func() { c.all, c.there, c.tried, c.chosen = all, there, tried, chosen }()
	now, linked, away, hanging := n.now(), false, false, 0
	for p := range v.peers {
		if p == self {
			continue
		}
		all = append(all, p)
		switch {
		case n.mesh.Connected(p):
			linked = true
		case n.absent.away(p, now):
			away = true
			continue
		case !n.hasAddr(p, c):
			continue
		}
		there = append(there, p)
		if since, ok := n.absent.awaitedSince(p); ok {
			tried = append(tried, p)
			if now.Sub(since) >= hangsAfter {
				hanging++
			}
		}
	}
	if len(all) <= maxLinks {
		return all
	}
	steps, most := powers, maxLinks
	if !linked && (away || hanging > 0) {
		steps, chosen = ones, append(chosen, tried...)
		more := min(searchLinks-(len(tried)-hanging), maxHanging-n.absent.waiting())
		most = len(tried) + max(more, 0)
	}
	choose := func(among []wire.PeerKey) {
		for p := range around(self, among, steps) {
			if len(chosen) >= most {
				return
			}
			if !slices.Contains(chosen, p) {
				chosen = append(chosen, p)
			}
		}
	}
	if len(there) > most {
		choose(there)
		return chosen
	}
	chosen, most = append(chosen[:0], there...), maxLinks
	choose(all) // too few are known to be there: others are tried at their own pace
	return chosen
}

// choice is what somePeers looks through, and chooses.
type choice struct {
	all, there, tried, chosen []wire.PeerKey
	told                      map[wire.PeerKey]bool // what n.told said, once it was asked
}

// hasAddr tells whether an address of a peer is known, as addrsOf would find it, but reads
// cards once for all that is chosen with c, and not for each of 500 members.
func (n *Node) hasAddr(p wire.PeerKey, c *choice) bool {
	n.recordsMu.Lock()
	signed := len(n.recordBy[p].addrs) > 0
	n.recordsMu.Unlock()
	if signed || len(n.mesh.KnownAddrs(p)) > 0 {
		return true
	}
	if c.told == nil {
		c.told = n.told()
	}
	return c.told[p]
}

// powers and ones are how the distance on the ring grows.
func powers(step int) int { return 2 * step }
func ones(step int) int   { return step + 1 }

// around gives peers on the ring to both sides of one, the nearest first.
func around(self wire.PeerKey, ring []wire.PeerKey, further func(int) int) iter.Seq[wire.PeerKey] {
	less := func(a, b wire.PeerKey) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(ring, less)
	at, _ := slices.BinarySearchFunc(ring, self, less)
	return func(yield func(wire.PeerKey) bool) {
		for step := 1; step <= len(ring); step = further(step) {
			if !yield(ring[(at+step-1)%len(ring)]) || !yield(ring[(at-step+2*len(ring))%len(ring)]) {
				return
			}
		}
	}
}

// learnRecords keeps signed addresses that a member handed on.
func (n *Node) learnRecords(records [][]byte) {
	var kept []wire.PeerKey
	for _, b := range records {
		if !n.newRecord(b) {
			continue
		}
		peer, addrs, seq, err := mesh.ParseRecord(b)
		if err != nil || peer == n.mesh.Self() {
			continue
		}
		if n.hasNewer(peer, seq) {
			continue
		}
		if !n.rates.record(peer) {
			n.forgetRead(b) // it comes again with the next hello
			continue
		}
		if n.keepRecord(peer, b, addrs, seq) {
			kept = append(kept, peer)
			n.mesh.LearnAddrs(peer, addrs)
		}
	}
	n.storeRecords(kept)
}
