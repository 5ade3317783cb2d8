package groups

import (
	"mutuals/identity/wire"
)

// Until is what the operations held here whose clock is not after ms resolve
// to among themselves (R67): who was in then, by what is known now of what was
// written by then. ok is false before the group began.
func (l *Log) Until(ms uint64) (s *State, ok bool) {
	var set indexes
	for i := range l.all.all() {
		if l.g.nodes[i].op.HLC <= ms {
			set = set.with(i)
		}
	}
	switch {
	case !set.has(0):
		return nil, false
	case l.all.within(set):
		return l.State(), true
	}
	return l.resolve(l.g.nodes, set), true
}

// Right is by what an account is, or was, in.
type Right struct {
	Way     ConsentWay
	Via     wire.OpID      // the admission, or the genesis
	Inviter wire.AccountID // zero for the founder
	Invite  wire.OpID      // zero unless invited
	Sponsor wire.AccountID // who wrote the admission; zero for a harbor
	// RoleBy is the act that gave its rank, zero for a plain member.
	RoleBy wire.OpID
}

// Right tells by what a member is in; ok is false as for [State.Member].
func (s *State) Right(m Member) Right {
	i, _ := s.find(m.Via)
	n := s.r.nodes[i]
	out := Right{Way: WayFounded, Via: m.Via, Inviter: m.Inviter, Sponsor: n.author}
	if b, ok := n.op.Body.(*AdmitBody); ok {
		out.Way = WayPulledIn
		if id, ok := b.Request.Invite.Get(); ok {
			out.Way, out.Invite = WayInvited, id
		}
	}
	switch m.Role {
	case RoleOwner:
		out.RoleBy = s.OwnOp()
	case RoleAdmin:
		last, p := -1, s.r.of(m.Account)
		for _, g := range p.grants {
			if s.r.holds(p, g, func(int) bool { return false }) && (last < 0 || s.r.nodes[last].key.Less(s.r.nodes[g].key)) {
				last = g
			}
		}
		if last >= 0 {
			out.RoleBy = s.r.nodes[last].op.ID
		}
	}
	return out
}

// Act is one operation that changed who is in, of what rank or under which
// rules, or that meant to.
type Act struct {
	ID     wire.OpID
	AtMs   uint64
	Kind   Kind
	Actor  wire.AccountID // zero for a harbor
	Device wire.DeviceID  // that wrote it
	// Target is whom it is about: who was let in, left, was removed or given a
	// rank, the heir, whose device, who made the invite; zero of none.
	Target       wire.AccountID
	TargetDevice wire.DeviceID // of dev-add, dev-revoke, fault, harbor
	Role         Role          // of a role
	Invite       wire.OpID     // of an invite, a revoke, an admit by invite
	Cap          int           // of genesis and policy
	Policy       Policy
	InForce      bool
	Why          Cause     // CauseNone while it is in force
	VoidBy       wire.OpID // what voids it; zero where no one operation does
	// Settled: the owner and all admins have written something after it, so
	// none of them may undo it without having to know of it.
	Settled bool
}

// Acts lists every act of membership by order key: all control operations but
// rekeys and acknowledgements (R67).
func (s *State) Acts() []Act {
	var list []int
	for i := range s.r.set.all() {
		if k := s.r.nodes[i].op.Kind; k != KindRekey && k != KindAck {
			list = append(list, i)
		}
	}
	s.r.sortByKey(list)
	ranks := s.settledSets()
	out := make([]Act, len(list))
	for at, i := range list {
		out[at] = s.act(i, ranks)
	}
	return out
}

// ActsOf gives the first of some acts by order key, at most as many as asked
// for; what is not one of the set is left out.
func (s *State) ActsOf(ids []wire.OpID, most int) []Act {
	var list []int
	for _, id := range ids {
		if i, ok := s.find(id); ok {
			list = append(list, i)
		}
	}
	if len(list) == 0 {
		return nil
	}
	s.r.sortByKey(list)
	ranks := s.settledSets()
	out := make([]Act, min(len(list), most))
	for at := range out {
		out[at] = s.act(list[at], ranks)
	}
	return out
}

func (s *State) act(i int, ranks map[wire.AccountID]indexes) Act {
	n := s.r.nodes[i]
	a := Act{ID: n.op.ID, AtMs: n.op.HLC, Kind: n.op.Kind, Actor: n.author, Device: wire.DeviceID(s.r.nodes[n.inc].leaf.OpKey),
		InForce: s.r.valid.has(i), Settled: true}
	for _, seen := range ranks {
		a.Settled = a.Settled && seen.has(i)
	}
	if !a.InForce {
		cause, by := s.r.why(i)
		if a.Why = cause; by >= 0 {
			a.VoidBy = s.r.nodes[by].op.ID
		}
	}
	if n.cites >= 0 {
		a.Invite = s.r.nodes[n.cites].op.ID
	}
	switch b := n.op.Body.(type) {
	case *GenesisBody:
		a.Target, a.Cap, a.Policy = n.account, int(b.Cap), b.Policy
	case *AdmitBody:
		a.Target = n.account
	case *LeaveBody:
		a.Target = n.author
	case *RemoveBody:
		a.Target = b.Account
	case *RoleBody:
		a.Target, a.Role = b.Account, Role(b.Role)
	case *TransferBody, *SucceedBody:
		a.Target = heirOf(n.op)
	case *PolicyBody:
		a.Cap, a.Policy = int(b.Cap), b.Policy
	case *InviteBody:
		a.Invite = n.op.ID
	case *InviteRevokeBody:
		a.Target = s.r.nodes[n.cites].author
	case *DevAddBody:
		a.Target, a.TargetDevice = n.account, wire.DeviceID(n.leaf.OpKey)
	case *DevRevokeBody:
		a.Target, a.TargetDevice = b.Revocation.Account, b.Revocation.OpKey
	case *FaultBody:
		of := s.r.nodes[n.target]
		a.Target, a.TargetDevice = of.account, wire.DeviceID(of.leaf.OpKey)
	case *HarborBody:
		a.TargetDevice = b.OpKey
		if n.target >= 0 {
			a.TargetDevice = wire.DeviceID(s.r.nodes[n.target].leaf.OpKey)
		}
	}
	return a
}

// Moderated tells whether an operation of the set is an act of rank by an
// account: what others may be owed a reason for. Anybody writes invites and
// leaves without end; of those no reasons are kept.
func (s *State) Moderated(a wire.AccountID, id wire.OpID) bool {
	i, ok := s.find(id)
	if !ok || s.r.nodes[i].author != a {
		return false
	}
	switch n := s.r.nodes[i]; n.op.Kind {
	case KindRemove, KindRole, KindPolicy, KindTransfer, KindSucceed, KindHarbor:
		return true
	case KindInviteRevoke:
		return s.r.nodes[n.cites].author != a
	}
	return false
}
