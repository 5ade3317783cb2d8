package groups

import "mutuals/identity/wire"

// VoidAdmission tells why the admission an incarnation rests on is void, and by
// which operation, where one alone makes it so; void is false for one that
// counts.
func (s *State) VoidAdmission(inc wire.OpID) (c Cause, by wire.OpID, void bool) {
	i, ok := s.find(inc)
	if !ok || !s.r.nodes[i].isDevice() {
		return CauseNone, by, false
	}
	return s.voidCause(s.r.base(i))
}

// VoidRequest is VoidAdmission of whoever asked with the join request of a
// nonce.
func (s *State) VoidRequest(nonce [16]byte) (c Cause, by wire.OpID, void bool) {
	for i := range s.r.set.all() {
		if b, ok := s.r.nodes[i].op.Body.(*AdmitBody); ok && b.Request.Nonce == nonce {
			if c, by, void = s.voidCause(i); !void {
				return c, by, false
			}
		}
	}
	return c, by, void
}

func (s *State) voidCause(i int) (c Cause, by wire.OpID, void bool) {
	if s.r.valid.has(i) {
		return CauseNone, by, false
	}
	c, at := s.r.why(i)
	if at >= 0 {
		by = s.r.nodes[at].op.ID
	}
	return c, by, true
}

// PeerIncs lists what a peer writes or wrote under, whatever became of it, in
// no order: who was never let in validly too.
func (s *State) PeerIncs(p wire.PeerKey) []IncInfo {
	var out []IncInfo
	for i := range s.r.set.all() {
		if n := s.r.nodes[i]; n.isDevice() && n.leaf.PeerKey == p {
			out = append(out, s.incInfo(i))
		}
	}
	return out
}

// VoidPath is what a device is given whose admission is void: what makes it so,
// and everything that builds on, by order key. Together with what an admission
// builds on it shows that it is void. Nil for one that counts.
func (l *Log) VoidPath(inc wire.OpID) []*Op {
	s := l.State()
	if _, _, void := s.VoidAdmission(inc); !void {
		return nil
	}
	i, _ := s.find(inc)
	var told, set indexes
	give := func(o int) { set = set.union(s.r.nodes[o].past).with(o) }
	for todo := []int{s.r.base(i)}; len(todo) > 0; todo = todo[1:] {
		o := todo[0]
		if told.has(o) {
			continue
		}
		told = told.with(o)
		if s.r.valid.has(o) {
			give(o)
			continue
		}
		cause, by := s.r.why(o)
		if by >= 0 {
			todo = append(todo, by)
		}
		if cause != CauseInviteUsed {
			continue
		}
		// Those that came first, and who of rank had seen them first.
		uses := s.r.issue(s.r.nodes[o].cites).uses
		for _, u := range uses[:s.r.nodes[s.r.nodes[o].cites].op.Body.(*InviteBody).MaxUses] {
			give(u)
			if !s.r.unseen.has(u) {
				give(int(s.r.seen[u]))
			}
		}
	}
	// What voids it may itself rest on what came elsewhere: then everything.
	base := s.r.base(i)
	if known := set.union(s.r.nodes[base].past).with(base); l.resolve(l.g.nodes, known).r.valid.has(base) {
		return l.Ops()
	}
	return opsOf(l.g.nodes, set)
}
