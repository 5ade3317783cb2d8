package groups

import (
	"bytes"

	"mutuals/identity"
	"mutuals/identity/wire"
)

func compareIDs(a, b wire.OpID) int { return bytes.Compare(a[:], b[:]) }

// MayAdmit answers a join request before a sponsor writes the admit, with the
// first of the ordered checks of protocol section 4 that fails: bounds, the
// sponsor's own seat, signatures, the same request before, already a member,
// removed since, revoked, expired, used up, approval, cap.
//
// With ReasonNone and a zero existing the sponsor writes the admit, which
// then waits if waitlisted. With an existing admit the same request was
// answered before and stands: give the same answer again.
func (l *Log) MayAdmit(sponsorInc wire.OpID, q JoinRequest, sig wire.Sig, useSig []byte, nowMs uint64) (existing wire.OpID, waitlisted bool, reason Reason) {
	s := l.State()
	body := AdmitBody{Request: q, Sig: sig, UseSig: useSig}
	if r := body.bounds(); r != nil {
		return existing, false, r.Reason
	}
	sponsor, r := s.sponsor(sponsorInc)
	if r != ReasonNone {
		return existing, false, r
	}
	if r := l.checkRequest(s, &body, nowMs); r != nil {
		return existing, false, r.Reason
	}
	if at, ok := s.standing(q.Hash()); ok {
		return s.r.nodes[at].op.ID, !s.Seated(q.Newcomer), ReasonNone
	}
	if s.requestUsed(q.Hash()) {
		return existing, false, ReasonRequestReused
	}
	if r := admissible(s, sponsor, sponsorInc, &q, nowMs); r != ReasonNone {
		return existing, false, r
	}
	return existing, len(s.r.seats) >= s.r.cap, ReasonNone
}

// sponsor is the account of an inc that may admit anybody at all; zero of a
// harbor with the right.
func (s *State) sponsor(inc wire.OpID) (wire.AccountID, Reason) {
	info, ok := s.Inc(inc)
	if ok && info.Seated {
		return info.Account, ReasonNone
	}
	if i, ok := s.find(inc); ok && s.r.nodes[i].isHarbor() {
		if h := s.harborInfo(i); h.Appointed && h.Rights&RightSponsor != 0 {
			return wire.AccountID{}, ReasonNone
		}
		return wire.AccountID{}, ReasonNotSponsor
	}
	return wire.AccountID{}, ReasonNotSeated
}

func (l *Log) checkRequest(s *State, b *AdmitBody, nowMs uint64) *Refusal {
	if id, ok := b.Request.Invite.Get(); ok {
		if _, ok := s.Invite(id); !ok {
			return refuse(ReasonInviteUnknown, "invite %s", id.Short())
		}
	}
	if _, r := l.checkAdmit(b); r != nil {
		return r
	}
	if ms := b.Request.Ms; ms+RequestMs < nowMs || ms > nowMs+MaxAheadMs {
		return refuse(ReasonRequestOld, "request of %d", ms)
	}
	return nil
}

// standing finds the live admit of a request.
func (s *State) standing(hash [32]byte) (int, bool) {
	for _, i := range s.g.admits(hash) {
		if s.r.live.has(i) {
			return i, true
		}
	}
	return 0, false
}

// AdmissionPath is what a newcomer is shown before it asks: genesis, then by
// order key the admission paths of an invite and of the sponsor's inc (an inc,
// the inc that wrote it, the invite it cites and that one's inc, up to
// genesis). Nil when one of the two is unknown.
func (l *Log) AdmissionPath(invite, sponsorInc wire.OpID) []*Op {
	i, ok := l.g.find(invite)
	j, ok2 := l.g.find(sponsorInc)
	if !ok || !ok2 {
		return nil
	}
	return opsOf(l.g.nodes, l.g.way(i, j))
}

// ReturnPath is what a device of a candidate is shown before it asks to be
// added by another's device (R42): genesis, then the admission paths of its
// account and of the inc that would add it. Nil for one that is not in.
func (l *Log) ReturnPath(a wire.AccountID, inc wire.OpID) []*Op {
	m, ok := l.State().Member(a)
	i, known := l.g.find(m.Via)
	j, ok2 := l.g.find(inc)
	if !ok || !known || !ok2 || m.Status != StatusSeated && m.Status != StatusWaitlisted {
		return nil
	}
	return opsOf(l.g.nodes, l.g.way(i, j))
}

// way is what some operations rest on, themselves and the genesis included:
// the inc that wrote each, the invite it cites, the admission of an added
// device's account, and what those rest on.
func (g *graph) way(of ...int) indexes {
	var set indexes
	for todo := append([]int{0}, of...); len(todo) > 0; todo = todo[1:] {
		at := todo[0]
		if set.has(at) {
			continue
		}
		set = set.with(at)
		n := g.nodes[at]
		todo = append(todo, n.inc)
		if n.cites >= 0 {
			todo = append(todo, n.cites)
		}
		if n.base >= 0 {
			todo = append(todo, n.base)
		}
	}
	return set
}

// UnseatPath is what somebody who was put out is given: the operations that
// did it and everything they build on, by order key. Nil for one who is in.
func (l *Log) UnseatPath(a wire.AccountID) []*Op {
	return l.withPasts(l.State().RemovedBy(a))
}

// StopPath is what a device that was cut is given: the faults and revocations
// that did it and everything they build on, by order key. Nil for one that
// nothing cuts.
func (l *Log) StopPath(inc wire.OpID) []*Op { return l.withPasts(l.State().CutBy(inc)) }

func (l *Log) withPasts(ids []wire.OpID) []*Op {
	var set indexes
	for _, id := range ids {
		i, _ := l.g.find(id)
		set = set.union(l.g.nodes[i].past).with(i)
	}
	return opsOf(l.g.nodes, set)
}

// Path is an admission path somebody else showed us, verified as far as it
// goes: every operation on it is authentic and rests on the ones before; that
// nobody on it was removed since, it cannot tell.
type Path struct {
	Group  wire.GroupID
	byID   map[wire.OpID]*node
	invite map[wire.OpID]*InviteBody
}

// CheckPath verifies an admission path, genesis first (R38). The newcomer
// compares the group, the invite's key and inviter, and the sponsor's peer
// key with what it knows.
func CheckPath(ops []*Op) (*Path, *Refusal) {
	if len(ops) == 0 {
		return nil, refuse(ReasonMalformed, "empty path")
	}
	l, r := Found(ops[0])
	if r != nil {
		return nil, r
	}
	p := &Path{Group: l.group, byID: map[wire.OpID]*node{ops[0].ID: l.g.nodes[0]}, invite: map[wire.OpID]*InviteBody{}}
	for _, o := range ops[1:] {
		if r := l.checkOnPath(p, o); r != nil {
			return nil, r
		}
	}
	return p, nil
}

func (l *Log) checkOnPath(p *Path, o *Op) *Refusal {
	if o.Version != Version || o.Update || o.Chain != Control {
		return refuse(ReasonUpdateNeeded, "%v", o)
	}
	author := p.byID[o.IncID()]
	if author == nil || !author.isInc() {
		return refuse(ReasonUnknownInc, "inc %s", o.IncID().Short())
	}
	if !o.Signed || !wire.Verify(wire.DomainOp, author.leaf.OpKey, wire.Context(p.Group), o.Core, o.Sig) {
		return refuse(ReasonBadSignature, "%v", o)
	}
	n := newNode(o)
	n.author = author.account
	switch b := o.Body.(type) {
	case *InviteBody:
		if _, r := l.checkInside(o); r != nil {
			return r
		}
		p.invite[o.ID] = b
	case *AdmitBody:
		if r := b.Request.Verify(p.Group, b.Sig); r != nil {
			return r
		}
		if r := p.checkConsent(b, author); r != nil {
			return r
		}
		n.enters(b.Request.Newcomer, b.Request.Chain)
	case *DevAddBody:
		if r := l.checkDevAdd(b); r != nil {
			return r
		}
		if b.Account != author.account && (len(b.Chain) != 1 || len(b.Request) == 0) {
			return refuse(ReasonBadRequest, "another's device without the root's word and its own request")
		}
		n.enters(b.Account, b.Chain)
	case *HarborBody:
		if r := checkHarbor(p.Group, b, o.IncID()); r != nil {
			return r
		}
		if b.Change {
			return refuse(ReasonMalformed, "a change of a harbor on an admission path")
		}
		n.leaf = identity.Certificate{OpKey: b.OpKey, PeerKey: b.PeerKey}
	default:
		return refuse(ReasonMalformed, "a %v on an admission path", o.Kind)
	}
	p.byID[o.ID] = n
	return nil
}

// checkConsent: the inviter's half of an admit, by invite or by hand.
func (p *Path) checkConsent(b *AdmitBody, author *node) *Refusal {
	id, ok := b.Request.Invite.Get()
	if !ok {
		if author.account != b.Request.Inviter {
			return refuse(ReasonBadRequest, "pulled in by another than its inviter")
		}
		return nil
	}
	invite := p.byID[id]
	if invite == nil {
		return refuse(ReasonInviteUnknown, "invite %s", id.Short())
	}
	if invite.author != b.Request.Inviter {
		return refuse(ReasonBadRequest, "invite of another than its inviter")
	}
	return checkUse(invite.op, &b.Request, b.UseSig)
}

// Invite gives the invite of a passcode's key on the path: its operation,
// body and inviter.
func (p *Path) Invite(pk [32]byte) (id wire.OpID, b *InviteBody, inviter wire.AccountID, ok bool) {
	for id, b := range p.invite {
		if b.InvitePk == pk {
			return id, b, p.byID[id].author, true
		}
	}
	return id, nil, inviter, false
}

// Admits tells whether the path shows that an account was let in, which it
// signed itself: as founder, or by its request.
func (p *Path) Admits(a wire.AccountID) bool {
	for _, n := range p.byID {
		if n.isAdmission() && n.account == a {
			return true
		}
	}
	return false
}

// Device gives the inc on the path that certifies a peer key: the newest by
// clock.
func (p *Path) Device(peer wire.PeerKey) (IncInfo, bool) {
	var found *node
	for _, n := range p.byID {
		if n.isInc() && n.leaf.PeerKey == peer && (found == nil || found.op.HLC < n.op.HLC) {
			found = n
		}
	}
	if found == nil {
		return IncInfo{}, false
	}
	return IncInfo{ID: found.op.ID, Account: found.account, Device: wire.DeviceID(found.leaf.OpKey), Peer: found.leaf.PeerKey}, true
}
