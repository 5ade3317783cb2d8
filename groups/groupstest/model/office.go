package model

import (
	"bytes"
	"slices"

	"mutuals/groups"
	"mutuals/identity/wire"
)

// Ownership, devices, harbors and faults, by their past (R40 to R45).

// device finds the live, uncut inc of an account with a device's key.
func (v *View) device(a wire.AccountID, key wire.DeviceID) bool {
	return v.liveIncs(func(i *node) bool { return i.who == a && i.key == key && v.uncut(i) }) > 0
}

func (v *View) mayTransfer(o *node, b *groups.TransferBody) string {
	switch {
	case !v.device(b.Heir, b.HeirChain.Leaf().OpKey):
		return "R40: the heir's device"
	case !v.isSeated(b.Heir) || b.Heir == v.owner():
		return "R40: the heir"
	case !around(b.Ms, o.HLC, groups.AcceptMs):
		return "R40: an old consent"
	case !groups.VerifyOwnerAccept(b.HeirChain.Leaf().OpKey, wire.GroupID(v.ops[0].ID), b.OwnOp, b.Heir, b.Ms, b.Accept):
		return "R40: consent"
	}
	return ""
}

func (v *View) maySucceed(o *node, b *groups.SucceedBody) string {
	a, _ := o.author()
	days := v.Policy().SucceedDays
	if v.role(a) != groups.RoleAdmin || b.OwnOp != v.own().ID || days == 0 {
		return "R41: who, when"
	}
	admins, signed := 0, map[wire.AccountID]bool{}
	for _, s := range v.seated() {
		if v.role(s) == groups.RoleAdmin {
			admins++
		}
	}
	for _, s := range b.Sigs {
		i := v.g.byID[s.Inc]
		if i == nil || !v.in[i] || !i.isInc || i.isHarbor() || !v.live(i) || !v.uncut(i) || !v.isSeated(i.who) ||
			v.role(i.who) != groups.RoleAdmin || signed[i.who] ||
			!groups.VerifySucceed(i.key, wire.GroupID(v.ops[0].ID), b.OwnOp, b.Heir, b.Ms, s.Sig) {
			return "R41: a signer"
		}
		signed[i.who] = true
	}
	if len(signed) < 2 || 2*len(signed) <= admins {
		return "R41: too few"
	}
	life := v.own().HLC
	for _, p := range v.ops {
		if p.by(v.owner()) && !v.cut(p) {
			life = max(life, p.HLC)
		}
	}
	switch {
	case b.Ms < life+days*dayMs:
		return "R41: the owner is not silent"
	case !around(b.Ms, o.HLC, groups.VotesMs):
		return "R41: old words"
	case !v.isSeated(b.Heir) || b.Heir == v.owner():
		return "R41: the heir"
	}
	return ""
}

func (v *View) mayAddDevice(o *node, b *groups.DevAddBody) string {
	a, _ := o.author()
	if len(b.Request) > 0 {
		var q groups.JoinRequest
		if wire.Unmarshal(b.Request, &q) != nil || !around(q.Ms, o.HLC, groups.RequestMs) {
			return "R42: the request"
		}
	}
	bound := 5
	if len(b.Chain) == 1 {
		bound = 16
	}
	key := b.Chain.Leaf().OpKey
	switch {
	case !v.candidate(b.Account):
		return "R42: no candidate"
	case a != b.Account && (len(b.Request) == 0 || len(b.Chain) != 1):
		return "R42: another's device"
	case v.revokedChain(b.Account, b.Chain):
		return "R42: a revoked device"
	case v.device(b.Account, key):
		return "R42: a device that is in"
	case v.liveIncs(func(i *node) bool { return i.who == b.Account && v.uncut(i) }) >= bound:
		return "R42: too many of an account"
	case v.liveIncs(func(*node) bool { return true }) >= groups.MaxDevices:
		return "R42: too many"
	}
	return ""
}

func (v *View) mayAppoint(o *node, b *groups.HarborBody) string {
	if v.direct() && b.Rights&groups.RightSponsor != 0 {
		return "R19: direct"
	}
	if b.Change {
		h := v.g.byID[b.Harbor]
		if h == nil || !v.in[h] || !h.isHarbor() {
			return "R15: the harbor"
		}
		return ""
	}
	in := 0
	for _, h := range v.ops {
		if !h.isHarbor() || !v.inOffice(h) {
			continue
		}
		in++
		if h.key == b.OpKey {
			return "R44: a key twice"
		}
	}
	if in >= groups.MaxHarbors {
		return "R44: too many"
	}
	return ""
}

// mayAccuse is R45.
func (v *View) mayAccuse(o *node, b *groups.FaultBody) string {
	inc := v.g.byID[b.Inc]
	if inc == nil || !v.in[inc] || !inc.isInc {
		return "R15: the inc"
	}
	if !v.uncut(inc) {
		return "R45: cut already"
	}
	for _, side := range []groups.Evidence{b.A, b.B} {
		why := ""
		if groups.ChainKind(b.Chain) == groups.Control {
			p := v.g.byID[side.Op]
			if p == nil || !v.in[p] || p.inc != inc || p == inc || p.Seq != b.Seq || len(side.Cores) > 0 || len(side.Sig) > 0 {
				why = "R45: a side"
			}
		} else {
			why = v.evidence(inc, b, side)
		}
		if why != "" {
			return why
		}
	}
	if groups.ChainKind(b.Chain) == groups.Content {
		pinned := uint64(0)
		for _, p := range b.Pins {
			if p.Inc == b.Inc {
				pinned = p.Seq
			}
		}
		if pinned+1 < b.Seq {
			return "R45: pinned too low"
		}
	}
	if len(b.A.Cores)+len(b.B.Cores) > groups.MaxEvidence || bytes.Compare(b.A.Op[:], b.B.Op[:]) >= 0 {
		return "R45: sides"
	}
	return ""
}

// evidence is one side of a contradiction of content or KEM operations.
func (v *View) evidence(inc *node, b *groups.FaultBody, side groups.Evidence) string {
	var last *groups.Op
	for i, core := range side.Cores {
		var sig []byte
		if i == len(side.Cores)-1 {
			sig = side.Sig
		} else {
			sig = make([]byte, 64)
		}
		p, r := groups.Decode(slices.Concat(core, sig))
		if r != nil || uint64(p.Chain) != b.Chain || p.IncID() != inc.ID {
			return "R45: a core"
		}
		if i == 0 && (p.ID != side.Op || p.Seq != b.Seq) {
			return "R45: the first core"
		}
		if i > 0 {
			prev, ok := p.Prev.Get()
			if !ok || prev != last.ID {
				return "R45: a successor"
			}
		}
		for _, h := range p.Heads {
			if n := v.g.byID[h]; n == nil || !v.in[n] {
				return "R45: a head"
			}
		}
		last = p
	}
	if last == nil || !last.Signed || !wire.Verify(wire.DomainOp, inc.key, wire.Context(v.ops[0].ID), last.Core, last.Sig) {
		return "R45: nobody signed"
	}
	return ""
}
