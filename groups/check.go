package groups

import (
	"fmt"

	"mutuals/groups/seal"
	"mutuals/identity/wire"
)

// Check judges an operation by itself: its signature under its inc's op key
// and everything signed inside it (R13–R17). It does not look at the state.
// A refusal of class park means that what is needed to check is not here
// yet: check again when it is.
func (l *Log) Check(o *Op) *Refusal {
	if o.checked {
		return nil
	}
	if o.Version != Version {
		return refuse(ReasonUpdateNeeded, "version")
	}
	if o.Chain == Control && o.Kind == KindGenesis {
		if o.ID == wire.OpID(l.group) {
			return nil
		}
		return refuse(ReasonWrongGroup, "genesis %s", o.ID.Short())
	}
	inc, ok := l.g.find(o.IncID())
	if !ok {
		return refuse(ReasonUnknownInc, "inc %s", o.IncID().Short())
	}
	author := l.g.nodes[inc]
	if !author.isInc() {
		return refuse(ReasonNotAnInc, "inc %s is a %v", o.IncID().Short(), author.op.Kind)
	}
	if author.isHarbor() && o.Chain != Control {
		return refuse(ReasonNotAnInc, "harbor %s writes no %v", o.IncID().Short(), o)
	}
	if r := l.checkAuthentic(o, author.leaf.OpKey); r != nil {
		return r
	}
	if o.Update {
		return refuse(ReasonUpdateNeeded, "%v", o.Kind)
	}
	complete, r := l.checkInside(o)
	if r != nil {
		return r
	}
	o.checked = complete
	return nil
}

// checkAuthentic verifies an operation's own signature, unless a signed
// successor vouched for it. A bad one is blamed; none at all is parked (R17).
func (l *Log) checkAuthentic(o *Op, key wire.DeviceID) *Refusal {
	switch {
	case o.authentic:
		return nil
	case !o.Signed:
		return refuse(ReasonUnsigned, "seq %d of inc %s", o.Seq, o.IncID().Short())
	case !wire.Verify(wire.DomainOp, key, wire.Context(l.group), o.Core, o.Sig):
		return refuse(ReasonBadSignature, "seq %d of inc %s", o.Seq, o.IncID().Short())
	}
	o.authentic = true
	return nil
}

// Authenticate verifies the operation's own signature ahead of Check, which
// then does not do it again: gossip is judged before the log has its turn. key
// is the operating key of the operation's incarnation, which never changes.
func (o *Op) Authenticate(group wire.GroupID, key wire.DeviceID) bool {
	if !o.authentic && o.Signed {
		o.authentic = wire.Verify(wire.DomainOp, key, wire.Context(group), o.Core, o.Sig)
	}
	return o.authentic
}

// checkInside verifies what a body or key carries. complete is false when an
// operation it names is not here yet.
func (l *Log) checkInside(o *Op) (complete bool, _ *Refusal) {
	if o.Chain == KEM {
		if len(o.Cipher) > 0 {
			if err := seal.CheckKEM(o.Cipher); err != nil {
				return false, refuse(ReasonBadKEM, "%v", err)
			}
		}
		return true, nil
	}
	switch b := o.Body.(type) {
	case *AdmitBody:
		return l.checkAdmit(b)
	case *TransferBody:
		return true, l.checkTransfer(b)
	case *SucceedBody:
		return l.checkSucceed(b)
	case *DevAddBody:
		return true, l.checkDevAdd(b)
	case *DevRevokeBody:
		return true, checkDevRevoke(b)
	case *FaultBody:
		return l.checkFault(b)
	case *HarborBody:
		return true, checkHarbor(l.group, b, o.IncID())
	case *InviteBody:
		if err := wire.ValidKey(b.InvitePk); err != nil {
			return false, refuse(ReasonBadKey, "invite key: %v", err)
		}
		if len(b.KemPk) > 0 {
			if err := seal.CheckKEM(b.KemPk); err != nil {
				return false, refuse(ReasonBadKEM, "%v", err)
			}
		}
	}
	return true, nil
}

func (l *Log) checkAdmit(b *AdmitBody) (complete bool, _ *Refusal) {
	if r := b.Request.Verify(l.group, b.Sig); r != nil {
		return false, r
	}
	id, ok := b.Request.Invite.Get()
	if !ok {
		return true, nil
	}
	i, ok := l.g.find(id)
	if !ok {
		return false, nil
	}
	return true, checkUse(l.g.nodes[i].op, &b.Request, b.UseSig)
}

// checkUse tells whether a request was signed by the key of the invite it
// cites.
func checkUse(invite *Op, q *JoinRequest, useSig []byte) *Refusal {
	b, ok := invite.Body.(*InviteBody)
	if !ok {
		return refuse(ReasonInviteUnknown, "%s is a %v", invite.ID.Short(), invite.Kind)
	}
	if !q.VerifyUse(b.InvitePk, useSig) {
		return refuse(ReasonBadUse, "invite %s", invite.ID.Short())
	}
	return nil
}

// checkGenesis judges a genesis, which needs no log (R16).
func checkGenesis(o *Op) *Refusal {
	if o.checked {
		return nil
	}
	if o.Version != Version || o.Update {
		return refuse(ReasonUpdateNeeded, "genesis")
	}
	b, ok := o.Body.(*GenesisBody)
	if !ok {
		return refuse(ReasonMalformed, "not a genesis")
	}
	if b.Suite != Suite {
		return refuse(ReasonUpdateNeeded, "suite %d", b.Suite)
	}
	leaf, r := checkDevice(b.Chain, b.Pop, b.KemPk, b.Owner)
	if r != nil {
		return r
	}
	if !o.Signed || !wire.Verify(wire.DomainOp, leaf.OpKey, wire.Context(o.ID), o.Core, o.Sig) {
		return refuse(ReasonBadSignature, "genesis")
	}
	o.checked, o.authentic = true, true
	return nil
}

// CheckSegment makes a run of operations of one chain authentic by the
// signature of the last: each is the prev of the next (R17). It refuses a run
// that does not hang together, whose last is unsigned, or whose last
// signature is bad; then nothing of it is authentic. What the operations
// carry inside is Check's as ever.
func (l *Log) CheckSegment(ops []*Op) *Refusal {
	if len(ops) == 0 {
		return refuse(ReasonMalformed, "empty segment")
	}
	last := ops[len(ops)-1]
	if last.Version != Version {
		return refuse(ReasonUpdateNeeded, "version")
	}
	for i := range ops[:len(ops)-1] {
		if r := runsOn(ops[i], ops[i+1]); r != nil {
			return r
		}
	}
	if last.Chain == Control && last.Kind == KindGenesis {
		return checkGenesis(last)
	}
	inc, ok := l.g.find(last.IncID())
	if !ok {
		return refuse(ReasonUnknownInc, "inc %s", last.IncID().Short())
	}
	if !l.g.nodes[inc].isInc() {
		return refuse(ReasonNotAnInc, "inc %s", last.IncID().Short())
	}
	if r := l.checkAuthentic(last, l.g.nodes[inc].leaf.OpKey); r != nil {
		return r
	}
	for _, o := range ops[:len(ops)-1] {
		l.keepInner(o, l.g.nodes[inc].leaf.OpKey)
		o.authentic = true
	}
	return nil
}

// runsOn refuses two operations of which the second is not the next of the
// first one's chain.
func runsOn(o, next *Op) *Refusal {
	prev, ok := next.Prev.Get()
	if o.Version != Version || !ok || prev != o.ID || o.Chain != next.Chain || o.IncID() != next.IncID() || o.Seq+1 != next.Seq {
		return refuse(ReasonMalformed, "a segment that breaks off at seq %d", o.Seq)
	}
	return nil
}

// CheckServed is CheckSegment for a run of content that a member serves: it
// refuses one in which an operation whose seq is a multiple of SignedEvery has
// no valid signature of its own. So a contradiction in what is held, or served,
// can always be proved in a few operations (R45), however it came here.
func (l *Log) CheckServed(ops []*Op) *Refusal {
	if r := l.CheckSegment(ops); r != nil {
		return r
	}
	for _, o := range ops {
		if o.Chain == Content && o.Seq%SignedEvery == 0 && !o.Signed {
			return refuse(ReasonBadSignature, "seq %d of inc %s in a segment", o.Seq, o.IncID().Short())
		}
	}
	return nil
}

// keepInner decides what becomes of an inner signature, which a segment does
// not need. Verified and kept are those of control operations, since an
// admission path is served without successors, and of every SignedEvery-th
// other one; the rest are dropped unchecked, so that nobody is ever handed a
// signature we did not check.
func (l *Log) keepInner(o *Op, key wire.DeviceID) {
	wanted := o.Chain == Control || o.Seq%SignedEvery == 0
	if o.authentic || o.Signed && wanted && wire.Verify(wire.DomainOp, key, wire.Context(l.group), o.Core, o.Sig) {
		return
	}
	o.Signed, o.Sig = false, wire.Sig{}
}

// String describes an operation in a few letters, for logs.
func (o *Op) String() string {
	switch o.Chain {
	case Content:
		return fmt.Sprintf("content %s seq %d", o.ID.Short(), o.Seq)
	case KEM:
		return fmt.Sprintf("kem %s seq %d", o.ID.Short(), o.Seq)
	}
	return fmt.Sprintf("%v %s seq %d", o.Kind, o.ID.Short(), o.Seq)
}
