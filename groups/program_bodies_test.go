package groups_test

import (
	"bytes"
	"crypto/ed25519"
	"slices"

	"mutuals/groups"
	"mutuals/identity"
	"mutuals/identity/wire"
)

// kinds are what a program writes, as often as they stand here.
var kinds = []groups.Kind{
	groups.KindAdmit, groups.KindAdmit, groups.KindAdmit, groups.KindAdmit, groups.KindAdmit, groups.KindLeave,
	groups.KindRemove, groups.KindRemove, groups.KindRemove, groups.KindRole, groups.KindRole, groups.KindRole,
	groups.KindTransfer, groups.KindTransfer, groups.KindSucceed, groups.KindSucceed, groups.KindPolicy, groups.KindPolicy,
	groups.KindInvite, groups.KindInvite, groups.KindInvite, groups.KindInviteRevoke, groups.KindDevAdd, groups.KindDevAdd,
	groups.KindDevRevoke, groups.KindDevRevoke, groups.KindFault, groups.KindRekey, groups.KindRekey, groups.KindHarbor,
	groups.KindHarbor, groups.KindAck,
}

// writer picks who writes it: mostly somebody who was let in and had the rank
// once, since of refusals alone no state is made.
func (p *program) writer(kind groups.Kind) wire.OpID {
	if p.odd(12) {
		return p.any(p.incs)
	}
	ranked := map[wire.AccountID]bool{}
	s := p.log.State()
	for _, o := range s.Ownership() {
		ranked[o.Owner] = true
	}
	if kind == groups.KindRemove || kind == groups.KindSucceed {
		for _, o := range p.log.Ops() {
			if b, ok := o.Body.(*groups.RoleBody); ok && b.Role == uint64(groups.RoleAdmin) {
				ranked[b.Account] = true
			}
		}
	}
	return p.any(slices.DeleteFunc(slices.Clone(p.incs), func(id wire.OpID) bool {
		if !p.log.Has(id) {
			return true
		}
		switch kind {
		case groups.KindRole, groups.KindPolicy, groups.KindTransfer, groups.KindHarbor, groups.KindRemove, groups.KindSucceed:
			return !ranked[p.owners[id].account]
		case groups.KindAdmit:
			return false
		}
		return len(p.owners[id].chain) == 0 // a harbor
	}))
}

// body reads what an operation says; nil when there is nothing to say it with.
func (p *program) body(kind groups.Kind, inc wire.OpID, heads []wire.OpID, hlc uint64) any {
	me := p.owners[inc]
	s, known := p.log.At(heads)
	if !known {
		s = p.log.State()
	}
	own := s.OwnOp()
	if p.odd(12) {
		own = p.made[p.next(len(p.made))].ID
	}
	ms := hlc
	if p.odd(8) {
		ms += []uint64{6 * 60_000, ^uint64(8*24*programHour) + 1, ^uint64(29*24*programHour) + 1}[p.next(3)]
	}
	switch kind {
	case groups.KindAdmit:
		return p.admit(s, me, ms)
	case groups.KindLeave:
		return groups.LeaveBody{Pins: p.pins()}
	case groups.KindRemove:
		return groups.RemoveBody{Account: p.target(s), Pins: p.pins()}
	case groups.KindRole:
		return groups.RoleBody{OwnOp: own, Account: p.target(s), Role: uint64(1 + p.next(2)), Pins: p.pins()}
	case groups.KindTransfer:
		return p.transfer(own, ms)
	case groups.KindSucceed:
		return p.succeed(s, own, ms)
	case groups.KindPolicy:
		return p.policy(own)
	case groups.KindInvite:
		return p.invite(hlc)
	case groups.KindInviteRevoke:
		return groups.InviteRevokeBody{Invite: p.passcode()}
	case groups.KindDevAdd:
		return p.devAdd(me, ms)
	case groups.KindDevRevoke:
		return p.devRevoke(me, ms)
	case groups.KindFault:
		return p.fault(heads, hlc)
	case groups.KindRekey:
		return p.rekey(s, heads, hlc)
	case groups.KindHarbor:
		return p.harbor(inc, own)
	}
	return groups.AckBody{}
}

// target is mostly somebody of the group who does not own it.
func (p *program) target(s *groups.State) wire.AccountID {
	a := p.account()
	if p.odd(6) {
		return a
	}
	for range 4 {
		if m, ok := s.Member(a); ok && m.Status <= groups.StatusWaitlisted && a != s.Owner() {
			break
		}
		a = p.account()
	}
	return a
}

// stranger is mostly somebody who is not.
func (p *program) stranger(s *groups.State) *castDevice {
	d := p.device()
	if p.odd(6) {
		return d
	}
	for range 4 {
		if m, ok := s.Member(d.account); !ok || m.Status > groups.StatusWaitlisted {
			break
		}
		d = p.device()
	}
	return d
}

func (p *program) admit(s *groups.State, me *castDevice, ms uint64) any {
	if len(p.asked) > 0 && p.odd(10) {
		return p.asked[p.next(len(p.asked))]
	}
	inviter, invite := me.account, wire.OpID{}
	if len(p.invites) > 0 && p.next(3) > 0 {
		invite = p.passcode()
		inviter = p.owners[p.op(invite).IncID()].account
	}
	if p.odd(16) {
		inviter = p.account()
	}
	b := p.request(inviter, p.stranger(s), invite, ms)
	p.asked = append(p.asked, b)
	return b
}

// passcode is mostly an invite that was taken.
func (p *program) passcode() wire.OpID {
	if p.odd(12) {
		return p.any(p.invites)
	}
	return p.any(slices.DeleteFunc(slices.Clone(p.invites), func(id wire.OpID) bool { return !p.log.Has(id) }))
}

func (p *program) transfer(own wire.OpID, ms uint64) any {
	heir := p.owners[p.any(p.incs)]
	if p.odd(6) || len(heir.chain) == 0 {
		heir = p.device()
	}
	b := groups.TransferBody{OwnOp: own, Heir: heir.account, HeirChain: heir.chain, Ms: ms}
	b.Accept = groups.SignOwnerAccept(heir.keys.Op, wire.GroupID(p.made[0].ID), b.OwnOp, b.Heir, b.Ms)
	return b
}

// succeed is signed by one device of each admin, but for some.
func (p *program) succeed(s *groups.State, own wire.OpID, ms uint64) any {
	b := groups.SucceedBody{OwnOp: own, Heir: p.owners[p.any(p.incs)].account, Ms: ms}
	signed := map[wire.AccountID]bool{}
	for _, id := range p.incs {
		d := p.owners[id]
		if s.Role(d.account) == groups.RoleMember || signed[d.account] && !p.odd(8) || p.odd(6) {
			continue
		}
		signed[d.account] = true
		b.Sigs = append(b.Sigs, groups.SucceedSig{Inc: id, Sig: groups.SignSucceed(d.keys.Op, wire.GroupID(p.made[0].ID), own, b.Heir, ms)})
	}
	slices.SortFunc(b.Sigs, func(x, y groups.SucceedSig) int { return bytes.Compare(x.Inc[:], y.Inc[:]) })
	return b
}

func (p *program) policy(own wire.OpID) any {
	b := groups.PolicyBody{OwnOp: own, Cap: uint64(2 + p.next(5)), Pins: p.pins()}
	b.Policy = groups.Policy{HistoryDays: []uint64{7, groups.HistoryNone, groups.HistoryAll}[p.next(3)], WhoInvites: uint64(2 - p.next(3)),
		Posting: uint64(p.next(3) / 2), SucceedDays: uint64(p.next(3)), Waitlist: uint64(p.next(3))}
	if p.odd(12) {
		a := p.account()
		b.Policy.Direct = a[:]
	}
	return b
}

func (p *program) invite(hlc uint64) any {
	key := p.codes[min(len(p.made)+p.next(2), maxProgram)]
	b := groups.InviteBody{InvitePk: [32]byte(key.Public().(ed25519.PublicKey)), MaxUses: uint64(1 + p.next(3)),
		NotAfterMs: hlc + uint64(p.next(4))*5*24*programHour, Role: uint64(groups.RoleMember)}
	switch p.next(8) {
	case 5:
		b.Redeem = groups.RedeemAdmins
	case 6:
		b.Redeem, b.Incs = groups.RedeemListed, []wire.OpID{p.any(p.incs)}
	case 7:
		b.Approval = 1
	case 3, 4:
		b.KemPk = p.device().kem
	}
	return b
}

func (p *program) devAdd(me *castDevice, ms uint64) any {
	d := p.devices[6+p.next(4)]
	if p.odd(6) {
		d = p.device()
	}
	b := groups.DevAddBody{Account: d.account, Chain: d.chain, Pop: d.keys.Prove(d.chain.Leaf()), KemPk: d.kem}
	if d.account != me.account || p.odd(8) {
		r := groups.JoinRequest{V: 1, Group: wire.GroupID(p.made[0].ID), Inviter: d.account, Newcomer: d.account, Chain: b.Chain, Pop: b.Pop,
			KemPk: b.KemPk, Follow: 1, Nonce: [16]byte{byte(len(p.made))}, Ms: ms}
		sig := r.Sign(d.keys.Op)
		b.Request, b.Sig = r.Encode(), sig[:]
	}
	return b
}

func (p *program) devRevoke(me *castDevice, ms uint64) any {
	target := p.device()
	if p.next(4) > 0 { // mostly a sibling
		for _, d := range p.devices {
			if d.account == me.account && (target.account != me.account || p.next(2) == 0) {
				target = d
			}
		}
	}
	var keep []wire.DeviceID
	if p.next(3) == 2 {
		if k := p.device(); k != target {
			keep = append(keep, k.keys.ID())
		}
	}
	var rev identity.SignedRevocation
	switch {
	case len(me.chain) == 0:
		return nil
	case p.next(2) == 0:
		rev = identity.SignRevocation(me.keys, me.chain, target.keys.ID(), identity.ReasonLost, ms, keep...)
	default:
		rev = me.root.Revoke(target.keys.ID(), identity.ReasonLost, ms, keep...)
	}
	return groups.DevRevokeBody{Revocation: rev.Revocation, Sig: rev.Sig, Chain: rev.Chain, Pins: p.pins()}
}

// fault proves a contradiction of control operations or of messages, or claims
// one that is none.
func (p *program) fault(heads []wire.OpID, hlc uint64) any {
	if p.next(3) == 2 {
		return p.contentFault(heads, hlc)
	}
	a, b := p.made[p.next(len(p.made))], p.made[p.next(len(p.made))]
	if !p.odd(4) {
		in := p.past(heads)
		for i, x := range p.made {
			for _, y := range p.made[:i] {
				if in[x.ID] && in[y.ID] && x.IncID() == y.IncID() && x.Seq == y.Seq {
					a, b = y, x
				}
			}
		}
	}
	f := groups.FaultBody{Inc: a.IncID(), Seq: a.Seq, A: groups.Evidence{Op: a.ID}, B: groups.Evidence{Op: b.ID}, Pins: p.pins()}
	if bytes.Compare(a.ID[:], b.ID[:]) > 0 {
		f.A, f.B = f.B, f.A
	}
	return f
}

func (p *program) contentFault(heads []wire.OpID, hlc uint64) any {
	inc := p.any(p.incs)
	f := groups.FaultBody{Inc: inc, Chain: uint64(groups.Content), Seq: uint64(1 + p.next(2)), Pins: p.pins()}
	side := func(salt byte) groups.Evidence {
		c := rawContent{V: 1, Chain: 1, Inc: wire.SomeID(inc), Seq: f.Seq, Heads: heads, HLC: hlc, Salt: [16]byte{salt}, CtLen: 320, CtHash: make([]byte, 32)}
		if f.Seq > 1 {
			c.Prev = wire.SomeID(p.made[0].ID)
		}
		if p.odd(8) {
			c.Heads = []wire.OpID{p.made[p.next(len(p.made))].ID}
		}
		core := wire.Marshal(c)
		sig := wire.Sign(wire.DomainOp, p.owners[inc].keys.Op, wire.Context(p.made[0].ID), core)
		return groups.Evidence{Op: wire.Hash(core), Cores: [][]byte{core}, Sig: sig[:]}
	}
	f.A, f.B = side(1), side(2)
	if bytes.Compare(f.A.Op[:], f.B.Op[:]) > 0 {
		f.A, f.B = f.B, f.A
	}
	return f
}

func (p *program) rekey(s *groups.State, heads []wire.OpID, hlc uint64) any {
	in := p.past(heads)
	b := groups.RekeyBody{Gen: 1, EID: [32]byte{byte(p.next(3))}, Count: uint64(len(s.Recipients(hlc)))}
	for _, o := range p.made {
		if k, ok := o.Body.(*groups.RekeyBody); ok && in[o.ID] {
			b.Gen = max(b.Gen, k.Gen+1)
		}
	}
	if p.odd(12) {
		b.Gen++
	}
	if p.odd(12) {
		b.Count++
	}
	return b
}

func (p *program) harbor(inc, own wire.OpID) any {
	rights := uint64(p.next(4))
	if p.next(2) == 0 {
		for _, id := range p.incs {
			if len(p.owners[id].chain) == 0 && (p.next(2) == 0 || p.odd(6)) {
				return groups.HarborBody{Change: true, OwnOp: own, Harbor: id, Rights: rights, Quota: uint64(p.next(3)) << 20}
			}
		}
	}
	h := p.harbors[p.next(2)]
	return groups.HarborBody{OwnOp: own, OpKey: h.keys.ID(), PeerKey: h.keys.PeerKey(), Rights: max(rights, 1), Quota: uint64(p.next(3)) << 20,
		Pop: groups.ProveHarbor(h.keys.Op, h.keys.Peer, wire.GroupID(p.made[0].ID), inc)}
}
