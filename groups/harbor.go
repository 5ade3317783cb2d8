package groups

import (
	"crypto/ed25519"
	"fmt"
	"slices"

	"mutuals/identity/wire"
)

// Rights of a harbor, as bits.
const (
	RightStore   uint64 = 1 // keeps and serves what it cannot read
	RightSponsor uint64 = 2 // admits by invites without approval
)

// HarborBody appoints a harbor, or changes one's rights (R44). It travels as
// `[0, ownOp, opKey, peerKey, rights, quota, pop]`, then its operation is the
// harbor's inc, or as `[1, ownOp, harborInc, rights, quota]`; rights 0
// withdraws. Evolution: never.
type HarborBody struct {
	Change  bool
	OwnOp   wire.OpID
	OpKey   wire.DeviceID // of an appointment
	PeerKey wire.PeerKey
	Pop     HarborPop
	Harbor  wire.OpID // of a change: the harbor's inc
	Rights  uint64
	Quota   uint64 // bytes it may keep of the group; 0: its own limit
}

// HarborPop proves that a harbor holds both its keys and agreed to serve this
// group's owner: signatures over [1, group, owner's inc, opKey, peerKey].
type HarborPop struct {
	_    struct{} `cbor:",toarray"`
	Op   wire.Sig // harbor-pop
	Peer wire.Sig // peer-pop
}

type (
	harborAppoint struct {
		_       struct{} `cbor:",toarray"`
		Tag     uint64
		OwnOp   wire.OpID
		OpKey   wire.DeviceID
		PeerKey wire.PeerKey
		Rights  uint64
		Quota   uint64
		Pop     HarborPop
	}
	harborChange struct {
		_      struct{} `cbor:",toarray"`
		Tag    uint64
		OwnOp  wire.OpID
		Harbor wire.OpID
		Rights uint64
		Quota  uint64
	}
	harborProof struct {
		_        struct{} `cbor:",toarray"`
		V        uint64
		Group    wire.GroupID
		OwnerInc wire.OpID
		OpKey    wire.DeviceID
		PeerKey  wire.PeerKey
	}
)

// MarshalCBOR writes one of the two shapes.
func (b HarborBody) MarshalCBOR() ([]byte, error) {
	if b.Change {
		return wire.Marshal(harborChange{Tag: 1, OwnOp: b.OwnOp, Harbor: b.Harbor, Rights: b.Rights, Quota: b.Quota}), nil
	}
	return wire.Marshal(harborAppoint{OwnOp: b.OwnOp, OpKey: b.OpKey, PeerKey: b.PeerKey, Rights: b.Rights, Quota: b.Quota, Pop: b.Pop}), nil
}

// UnmarshalCBOR reads either shape.
func (b *HarborBody) UnmarshalCBOR(raw []byte) error {
	if len(raw) < 2 || raw[1] > 1 {
		return fmt.Errorf("a harbor operation that neither appoints nor changes")
	}
	if raw[1] == 1 {
		var c harborChange
		if err := wire.Unmarshal(raw, &c); err != nil {
			return err
		}
		*b = HarborBody{Change: true, OwnOp: c.OwnOp, Harbor: c.Harbor, Rights: c.Rights, Quota: c.Quota}
		return nil
	}
	var a harborAppoint
	if err := wire.Unmarshal(raw, &a); err != nil {
		return err
	}
	*b = HarborBody{OwnOp: a.OwnOp, OpKey: a.OpKey, PeerKey: a.PeerKey, Rights: a.Rights, Quota: a.Quota, Pop: a.Pop}
	return nil
}

func (b *HarborBody) bounds() *Refusal {
	switch {
	case b.Rights > RightStore|RightSponsor:
		return refuse(ReasonOutOfBounds, "rights %d", b.Rights)
	case b.Quota > MaxQuota:
		return refuse(ReasonOutOfBounds, "quota of %d bytes", b.Quota)
	case !b.Change && b.Rights == 0:
		return refuse(ReasonOutOfBounds, "appointed to nothing")
	case !b.Change && b.OpKey == wire.DeviceID(b.PeerKey):
		return refuse(ReasonBadPop, "one key for two")
	}
	return nil
}

// ProveHarbor is the consent of a harbor to be appointed by the device with
// that inc.
func ProveHarbor(op, peer ed25519.PrivateKey, group wire.GroupID, ownerInc wire.OpID) HarborPop {
	p := harborProof{V: 1, Group: group, OwnerInc: ownerInc,
		OpKey: wire.DeviceID(op.Public().(ed25519.PublicKey)), PeerKey: wire.PeerKey(peer.Public().(ed25519.PublicKey))}
	core := wire.Marshal(p)
	return HarborPop{
		Op:   wire.Sign(wire.DomainHarborPop, op, wire.Context(group), core),
		Peer: wire.Sign(wire.DomainPeerPop, peer, wire.Context(group), core),
	}
}

// checkHarbor verifies the keys and proofs of an appointment by ownerInc.
func checkHarbor(group wire.GroupID, b *HarborBody, ownerInc wire.OpID) *Refusal {
	if b.Change {
		return nil
	}
	for _, k := range [][32]byte{b.OpKey, b.PeerKey} {
		if err := wire.ValidKey(k); err != nil {
			return refuse(ReasonBadKey, "harbor: %v", err)
		}
	}
	core := wire.Marshal(harborProof{V: 1, Group: group, OwnerInc: ownerInc, OpKey: b.OpKey, PeerKey: b.PeerKey})
	if !wire.Verify(wire.DomainHarborPop, b.OpKey, wire.Context(group), core, b.Pop.Op) ||
		!wire.Verify(wire.DomainPeerPop, b.PeerKey, wire.Context(group), core, b.Pop.Peer) {
		return refuse(ReasonBadPop, "harbor")
	}
	return nil
}

// mayHarbor (R44).
func mayHarbor(s *State, n *node, b *HarborBody) *Refusal {
	switch {
	case n.author != s.Owner():
		return refuse(ReasonRoleNeeded, "not the owner")
	case b.OwnOp != s.OwnOp():
		return refuse(ReasonOwnership, "names %s", b.OwnOp.Short())
	case s.direct() && b.Rights&RightSponsor != 0:
		return refuse(ReasonDirect, "nobody is admitted")
	case b.Change:
		return nil
	}
	appointed := 0
	for _, h := range s.Harbors() {
		if !h.Appointed {
			continue
		}
		appointed++
		if h.Device == b.OpKey {
			return refuse(ReasonDeviceKnown, "harbor %s", b.OpKey.Short())
		}
	}
	if appointed >= MaxHarbors {
		return refuse(ReasonTooMany, "%d harbors", appointed)
	}
	return nil
}

// mayAsHarbor: a harbor writes one kind, an admit by an invite, while it has
// the right to sponsor and nobody proved a fault of it.
func mayAsHarbor(s *State, n *node) *Refusal {
	b, ok := n.op.Body.(*AdmitBody)
	switch {
	case !ok || n.cites < 0:
		return refuse(ReasonRoleNeeded, "a harbor writes admits by invites only")
	case s.r.stopped(n.inc) || !s.r.ownerValid(n.inc):
		return refuse(ReasonIncNotLive, "harbor %s", n.op.IncID().Short())
	case !s.r.sponsors(n.inc, s.r.set.has, func(int) bool { return false }):
		return refuse(ReasonNotSponsor, "harbor %s", n.op.IncID().Short())
	}
	return mayAdmit(s, n, &b.Request)
}

// HarborInfo is a harbor as the state has it.
type HarborInfo struct {
	ID        wire.OpID // its inc: the appointment
	Device    wire.DeviceID
	Peer      wire.PeerKey
	Rights    uint64
	Quota     uint64
	Appointed bool // by an owner, in force, and neither withdrawn nor cut
	AtMs      uint64
}

// Harbors lists every harbor that was appointed, by order key.
func (s *State) Harbors() []HarborInfo {
	list := s.harbors()
	s.r.sortByKey(list)
	out := make([]HarborInfo, len(list))
	for at, i := range list {
		out[at] = s.harborInfo(i)
	}
	return out
}

// harbors are the places of all appointments.
func (s *State) harbors() (list []int) {
	for i := range s.r.set.all() {
		if s.r.nodes[i].isHarbor() {
			list = append(list, i)
		}
	}
	return list
}

// HarborByPeer gives the harbor in office with that peer key.
func (s *State) HarborByPeer(p wire.PeerKey) (HarborInfo, bool) {
	for _, h := range s.Harbors() {
		if h.Appointed && h.Peer == p {
			return h, true
		}
	}
	return HarborInfo{}, false
}

// Harbor gives the harbor that an operation appointed; ok is false for any
// other operation.
func (s *State) Harbor(id wire.OpID) (HarborInfo, bool) {
	i, ok := s.find(id)
	if !ok || !s.r.nodes[i].isHarbor() {
		return HarborInfo{}, false
	}
	return s.harborInfo(i), true
}

// Sponsors tells whether a harbor in office may admit by invites.
func (h HarborInfo) Sponsors() bool { return h.Appointed && h.Rights&RightSponsor != 0 }

// DismissPath is what a harbor out of office is given: the acts of an owner on
// it that are in force, the faults that cut it, and everything they build on,
// by order key. Nil for an operation that appointed no harbor.
func (l *Log) DismissPath(id wire.OpID) []*Op {
	s := l.State()
	i, ok := s.find(id)
	if !ok || !s.r.nodes[i].isHarbor() {
		return nil
	}
	return l.withPasts(append(s.ids(s.r.acts[i]), s.CutBy(id)...))
}

func (s *State) harborInfo(i int) HarborInfo {
	n := s.r.nodes[i]
	b := n.op.Body.(*HarborBody)
	h := HarborInfo{ID: n.op.ID, Device: b.OpKey, Peer: b.PeerKey, Rights: b.Rights, Quota: b.Quota, AtMs: n.op.HLC}
	acts := s.r.acts[i]
	first := true
	for _, c := range acts {
		if slices.ContainsFunc(acts, func(later int) bool { return s.r.before(c, later) }) {
			continue
		}
		v := s.r.nodes[c].op.Body.(*HarborBody)
		if first {
			h.Rights, h.Quota, first = v.Rights, v.Quota, false
			continue
		}
		h.Rights, h.Quota = h.Rights&v.Rights, narrowerQuota(h.Quota, v.Quota)
	}
	h.Appointed = s.r.ownerValid(i) && !s.r.stopped(i) && h.Rights != 0
	return h
}

// narrowerQuota: 0 is no limit of ours.
func narrowerQuota(a, b uint64) uint64 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// sponsors tells whether a harbor has the right to sponsor in the place of an
// operation (R44): an owner gave it before that, and each taking of it was
// before the giving, or comes after the place.
func (r *resolution) sponsors(inc int, before, after func(i int) bool) bool {
	acts := r.acts[inc]
	gives := func(i int) bool { return r.nodes[i].op.Body.(*HarborBody).Rights&RightSponsor != 0 }
	return slices.ContainsFunc(acts, func(g int) bool {
		return before(g) && gives(g) && !slices.ContainsFunc(acts, func(t int) bool {
			return !gives(t) && !after(t) && !r.before(t, g)
		})
	})
}
