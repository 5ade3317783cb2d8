package groups

import (
	"bytes"
	"slices"
	"sync"

	"mutuals/identity"
	"mutuals/identity/wire"
)

// Status is where an account stands in a group.
type Status uint8

// The statuses.
const (
	StatusSeated Status = iota
	StatusWaitlisted
	StatusLeft
	StatusRemoved
)

func (s Status) String() string {
	switch s {
	case StatusSeated:
		return "seated"
	case StatusWaitlisted:
		return "waitlisted"
	case StatusLeft:
		return "left"
	}
	return "removed"
}

// Member is an account that is, or was, in the group.
type Member struct {
	Account  wire.AccountID
	Role     Role
	Status   Status
	WaitPos  int            // 1 for who is seated next; 0 unless waitlisted
	Inviter  wire.AccountID // zero for the founder
	Via      wire.OpID      // the admit, or the genesis
	JoinedMs uint64         // by the clock of Via
	Incs     []IncInfo      // live ones first, each part by order key
	// Provisional: the owner or an admin has not written anything since that
	// has the admission in its past, so a rank above may still undo it
	// without having to know of it.
	Provisional bool
}

// IncInfo is one incarnation of one device.
type IncInfo struct {
	ID      wire.OpID
	Account wire.AccountID
	Device  wire.DeviceID
	Peer    wire.PeerKey
	KemPk   []byte
	KemGen  uint32
	Chain   identity.Chain
	Live    bool      // valid, and its account neither removed nor gone since
	Valid   bool      // what it wrote counts; wider than Live
	Cut     bool      // stopped by a revocation or a proven fault
	Seated  bool      // live, uncut, its account seated
	BaseID  wire.OpID // the admission it rests on; its own ID but for an added device
	AddedBy wire.OpID // the inc that added it; zero for an admission
	AtMs    uint64
}

func (s *State) incInfo(i int) IncInfo {
	n := s.r.nodes[i]
	info := IncInfo{
		ID: n.op.ID, Account: n.account, Device: wire.DeviceID(n.leaf.OpKey), Peer: n.leaf.PeerKey,
		Live: s.r.live.has(i), Valid: s.r.incValid.has(i), Cut: s.r.stopped(i),
		BaseID: s.r.nodes[s.r.base(i)].op.ID, AtMs: n.op.HLC,
	}
	info.Seated = info.Live && !info.Cut && s.Seated(n.account)
	switch b := n.op.Body.(type) {
	case *GenesisBody:
		info.KemPk, info.Chain = b.KemPk, b.Chain
	case *AdmitBody:
		info.KemPk, info.Chain = b.Request.KemPk, b.Request.Chain
	case *DevAddBody:
		info.KemPk, info.Chain, info.AddedBy = b.KemPk, b.Chain, n.op.IncID()
	}
	if k, ok := s.kem[n.op.ID]; ok {
		info.KemPk, info.KemGen = k.pk, k.gen
	}
	return info
}

// Inc gives an incarnation of a device; ok is false for an operation that let
// none in, and for a harbor's.
func (s *State) Inc(id wire.OpID) (IncInfo, bool) {
	i, ok := s.find(id)
	if !ok || !s.r.nodes[i].isDevice() {
		return IncInfo{}, false
	}
	return s.incInfo(i), true
}

// IncOfDevice gives a device's newest live and uncut incarnation by order
// key.
func (s *State) IncOfDevice(d wire.DeviceID) (IncInfo, bool) {
	best := -1
	for i := range s.r.live.all() {
		n := s.r.nodes[i]
		if wire.DeviceID(n.leaf.OpKey) == d && !s.r.stopped(i) && (best < 0 || s.r.nodes[best].key.Less(n.key)) {
			best = i
		}
	}
	if best < 0 {
		return IncInfo{}, false
	}
	return s.incInfo(best), true
}

// ByPeer gives the live and uncut incarnations of a peer key, ascending by
// id. Whether they are seated each says.
func (s *State) ByPeer(p wire.PeerKey) []IncInfo {
	var out []IncInfo
	for i := range s.r.live.all() {
		if s.r.nodes[i].leaf.PeerKey == p && !s.r.stopped(i) {
			out = append(out, s.incInfo(i))
		}
	}
	slices.SortFunc(out, func(a, b IncInfo) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return out
}

// Peers lists the peer keys of an account's live and uncut incarnations, in no
// order: what Member tells, for who asks often.
func (s *State) Peers(a wire.AccountID) []wire.PeerKey {
	var out []wire.PeerKey
	for _, i := range s.r.of(a).incs {
		if s.r.live.has(i) && !s.r.stopped(i) {
			out = append(out, s.r.nodes[i].leaf.PeerKey)
		}
	}
	return out
}

// Members lists the seated in seat order, the waitlist in its order, then who
// left or was removed, by admission. Who was never let in validly is not
// listed.
func (s *State) Members() []Member {
	settled := s.settledSets()
	out := make([]Member, 0, len(s.r.seats))
	for at, a := range s.r.seats {
		out = append(out, s.candidate(a, at, settled))
	}
	present := len(out)
	for a, p := range s.r.people.all() {
		if p.here {
			continue
		}
		if m, ok := s.former(a); ok {
			out = append(out, m)
		}
	}
	slices.SortFunc(out[present:], func(a, b Member) int { return s.keyOf(a.Via).Compare(s.keyOf(b.Via)) })
	return out
}

// Member gives one account's standing; ok is false for one that was never
// let in validly.
func (s *State) Member(a wire.AccountID) (Member, bool) {
	if p := s.r.people.get(a); p != nil && p.here {
		return s.candidate(a, s.r.seat(p), s.settledSets()), true
	}
	return s.former(a)
}

func (s *State) keyOf(id wire.OpID) OrderKey {
	i, _ := s.find(id)
	return s.r.nodes[i].key
}

func (s *State) candidate(a wire.AccountID, at int, settled map[wire.AccountID]indexes) Member {
	m := s.member(a, s.r.of(a).first)
	if at >= s.r.cap {
		m.Status, m.WaitPos = StatusWaitlisted, at-s.r.cap+1
	}
	via, _ := s.find(m.Via)
	for rank, seen := range settled {
		if rank != a && !seen.has(via) {
			m.Provisional = true
		}
	}
	return m
}

// former describes who was in: the last of what took the account out says
// whether it left or was removed.
func (s *State) former(a wire.AccountID) (Member, bool) {
	last, status, p := -1, StatusLeft, s.r.of(a)
	for _, v := range p.leaves {
		if last < 0 || s.r.nodes[last].key.Less(s.r.nodes[v].key) {
			last = v
		}
	}
	for _, v := range p.removes {
		if last < 0 || s.r.nodes[last].key.Less(s.r.nodes[v].key) {
			last, status = v, StatusRemoved
		}
	}
	via := -1
	for _, i := range p.incs {
		if s.r.nodes[i].isAdmission() && s.r.valid.has(i) && (via < 0 || s.r.nodes[via].key.Less(s.r.nodes[i].key)) {
			via = i
		}
	}
	if last < 0 || via < 0 {
		return Member{}, false
	}
	m := s.member(a, via)
	m.Status = status
	return m, true
}

func (s *State) member(a wire.AccountID, via int) Member {
	n := s.r.nodes[via]
	m := Member{Account: a, Role: s.r.role(a), Via: n.op.ID, JoinedMs: n.op.HLC}
	if b, ok := n.op.Body.(*AdmitBody); ok {
		m.Inviter = b.Request.Inviter
	}
	incs := slices.Clone(s.r.of(a).incs)
	s.r.sortByKey(incs)
	for _, i := range incs {
		m.Incs = append(m.Incs, s.incInfo(i))
	}
	slices.SortStableFunc(m.Incs, func(x, y IncInfo) int {
		switch {
		case x.Live == y.Live:
			return 0
		case x.Live:
			return -1
		}
		return 1
	})
	return m
}

// settled is, for the owner and each admin, what their operations have seen,
// those themselves included; found when somebody first asks.
type settled struct {
	once sync.Once
	by   map[wire.AccountID]indexes
}

func (s *State) settledSets() map[wire.AccountID]indexes {
	s.settled.once.Do(func() { s.settled.by = s.findSettled() })
	return s.settled.by
}

func (s *State) findSettled() map[wire.AccountID]indexes {
	out := map[wire.AccountID]indexes{}
	for a, p := range s.r.people.all() {
		if p.here && p.rank != RoleMember {
			out[a] = nil
		}
	}
	// Backwards, the first of a chain has seen what the others had.
	for i := range s.r.set.down() {
		n := s.r.nodes[i]
		if seen, ok := out[n.author]; ok && !seen.has(i) && !s.r.cut(i) {
			out[n.author] = seen.union(n.past).with(i)
		}
	}
	return out
}

// RemovedBy lists the valid operations that took an account's seat and that
// no later admission had seen, ascending by order key: nothing for one that
// is in.
func (s *State) RemovedBy(a wire.AccountID) []wire.OpID {
	p := s.r.of(a)
	if p.here {
		return nil
	}
	list := slices.Concat(p.removes, p.leaves)
	s.r.sortByKey(list)
	out := make([]wire.OpID, len(list))
	for i, v := range list {
		out[i] = s.r.nodes[v].op.ID
	}
	return out
}
