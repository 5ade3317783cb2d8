package groups

import (
	"bytes"
	"cmp"
	"slices"

	"mutuals/identity/wire"
)

// Epoch is an accepted rekey: the secret E it names is known only to its
// recipients.
type Epoch struct {
	Rekey     wire.OpID
	EID       [32]byte
	Ctx       [32]byte
	Gen       uint64
	WrapRoot  [32]byte
	Count     int
	AuthorInc wire.OpID
	CreatedMs uint64
}

// Recipient is what a rekey wraps for: a device's inc, or a sleep-proof
// invite, whose KemGen is 0.
type Recipient struct {
	Inc      wire.OpID // an invite's operation when IsInvite
	IsInvite bool
	KemPk    []byte
	KemGen   uint32
}

func (s *State) epoch(i int) Epoch {
	n := s.r.nodes[i]
	b := n.op.Body.(*RekeyBody)
	return Epoch{Rekey: n.op.ID, EID: b.EID, Ctx: n.ctx, Gen: b.Gen, WrapRoot: b.WrapRoot,
		Count: int(b.Count), AuthorInc: n.op.IncID(), CreatedMs: n.op.HLC}
}

func (s *State) highestGen() uint64 {
	if len(s.r.rekeys) == 0 {
		return 0
	}
	return s.genOf(s.r.rekeys[len(s.r.rekeys)-1])
}

// seatedDevices are the live devices of those seated.
func (s *State) seatedDevices() indexes {
	out := slices.Clone(s.r.live)
	for _, a := range s.r.seats[s.SeatCount():] {
		for _, i := range s.r.of(a).incs {
			out = out.without(i)
		}
	}
	return out
}

// readers are those of them that nothing cuts.
func (s *State) readers() indexes {
	out := s.seatedDevices()
	for i := range s.r.cuts {
		out = out.without(i)
	}
	return out
}

// recipients are who a rekey written on this past at hlc wraps for: devices
// with a seat, and sleep-proof invites (R33).
func (s *State) recipients(hlc uint64) indexes {
	out := s.readers()
	for _, i := range s.sleepProof(hlc) {
		out = out.with(i)
	}
	return out
}

// inLeafOrder lists recipients as a wrap set has them: devices ascending by
// id, then invites ascending.
func (s *State) inLeafOrder(recipients indexes) []int {
	list := slices.Collect(recipients.all())
	slices.SortFunc(list, func(a, b int) int {
		x, y := s.r.nodes[a], s.r.nodes[b]
		switch {
		case x.isDevice() == y.isDevice():
			return bytes.Compare(x.op.ID[:], y.op.ID[:])
		case x.isDevice():
			return -1
		}
		return 1
	})
	return list
}

// sleepProof lists the invites a rekey wraps for, newest first and at most so
// many: nobody who was put out may know one, and nobody it cites is unseated
// (R33).
func (s *State) sleepProof(hlc uint64) []int {
	list := slices.DeleteFunc(slices.Clone(s.r.sleepProof), func(i int) bool { return !s.opensAsleep(i, hlc) })
	s.r.sortByKey(list)
	slices.Reverse(list)
	of := map[wire.AccountID]int{}
	var out []int
	for _, i := range list {
		a := s.r.nodes[i].author
		if of[a] < MaxSleepProofOf && len(out) < MaxSleepProof {
			of[a]++
			out = append(out, i)
		}
	}
	return out
}

func (s *State) opensAsleep(i int, hlc uint64) bool {
	v := s.inviteInfo(i)
	if !v.Live(hlc) || !s.Seated(v.Inviter) || !s.r.exits.within(s.r.nodes[i].past) {
		return false
	}
	return s.r.all(s.r.issue(i).uses, func(u int) bool { return s.Seated(s.r.nodes[u].account) })
}

// Recipients is who a rekey written on this state would wrap for, with the
// newest KEM keys known. nowMs is its clock.
func (s *State) Recipients(nowMs uint64) []Recipient {
	return s.describe(s.inLeafOrder(s.recipients(nowMs)))
}

func (s *State) describe(list []int) []Recipient {
	out := make([]Recipient, len(list))
	for at, i := range list {
		n := s.r.nodes[i]
		if b, ok := n.op.Body.(*InviteBody); ok {
			out[at] = Recipient{Inc: n.op.ID, IsInvite: true, KemPk: b.KemPk}
			continue
		}
		info := s.incInfo(i)
		out[at] = Recipient{Inc: info.ID, KemPk: info.KemPk, KemGen: info.KemGen}
	}
	return out
}

// Recipients lists who an accepted rekey wrapped for, in leaf order; nil for
// anything else.
func (l *Log) Recipients(rekey wire.OpID) []Recipient {
	o := l.Op(rekey)
	if o == nil || o.Kind != KindRekey {
		return nil
	}
	i, _ := l.g.find(rekey)
	now := *l.State()
	now.kem = l.kem
	return now.describe(now.inLeafOrder(l.rekeyPast(i).recipients))
}

// Wraps tells whether an accepted rekey wrapped for an inc.
func (l *Log) Wraps(rekey, inc wire.OpID) bool {
	k, ok := l.g.find(rekey)
	i, ok2 := l.g.find(inc)
	return ok && ok2 && l.g.nodes[k].op.Kind == KindRekey && l.wraps(k, i)
}

func (l *Log) wraps(k, inc int) bool {
	return l.g.nodes[k].past.has(inc) && l.rekeyPast(k).recipients.has(inc)
}

// rekeyPast is what eligibility needs of Resolve(past(rekey)), which never
// changes.
type rekeyPast struct {
	recipients indexes
	seated     indexes // live incs of seated accounts, and harbors in office
	dismissed  indexes // harbors out of office
}

func (s *State) rekeyPast(hlc uint64) rekeyPast {
	p := rekeyPast{recipients: s.recipients(hlc), seated: s.seatedDevices()}
	for _, i := range s.harbors() {
		if s.harborInfo(i).Appointed {
			p.seated = p.seated.with(i)
		} else {
			p.dismissed = p.dismissed.with(i)
		}
	}
	return p
}

// rekeyPast remembers the past of a rekey by its place.
func (l *Log) rekeyPast(k int) rekeyPast {
	p, ok := l.rekeys[k]
	if !ok {
		p = l.pastState(k).rekeyPast(l.g.nodes[k].op.HLC)
		l.rekeys[k] = p
	}
	return p
}

// eligible tells whether a message may be sent under rekey k in a state (R34).
// What k wrapped for is found only if nothing else speaks against it.
func (l *Log) eligible(s *State, k int) bool {
	return s.r.valid.has(k) && s.r.exits.within(s.r.nodes[k].past) && s.eligible(k, l.rekeyPast(k))
}

// eligible is the part of it that depends on what the rekey's past resolved to.
func (s *State) eligible(k int, past rekeyPast) bool {
	return s.readersHold(k, past) && s.admitsSpare(k, past) && s.seatsSpare(k, past)
}

// readersHold: the devices k wrapped for may read now, and nobody who was put
// out, or ended a code, had it from one of the invites.
func (s *State) readersHold(k int, past rekeyPast) bool {
	r := s.r
	known := func(v int) bool { return r.before(v, k) }
	for i := range past.recipients.minus(s.readers()).all() {
		if r.nodes[i].isDevice() || !r.exits.within(r.nodes[i].past) {
			return false
		}
		if became := r.issue(i); !r.all(became.ends, known) || !r.all(became.recalls, known) {
			return false
		}
	}
	return true
}

// admitsSpare: whoever was let in without k knowing, by a recipient invite or
// on the word of somebody who holds the secret, has a seat.
func (s *State) admitsSpare(k int, past rekeyPast) bool {
	r := s.r
	for i := range r.set.minus(r.nodes[k].past).all() {
		n := r.nodes[i]
		if n.op.Kind != KindAdmit || s.Seated(n.account) {
			continue
		}
		if n.cites >= 0 && past.recipients.has(n.cites) {
			return false
		}
		// The sponsor line: up from inc to the inc that wrote it, to somebody
		// k knew.
		line := n.inc
		for !r.before(line, k) {
			line = r.nodes[line].inc
		}
		if past.seated.has(line) {
			return false
		}
	}
	return true
}

// seatsSpare: nobody seated now was waiting when k was made, and with history
// from joining everybody seated who has a device that is not cut has one in k.
func (s *State) seatsSpare(k int, past rekeyPast) bool {
	has := func(set indexes, i int) bool { return slices.ContainsFunc(s.r.of(s.r.nodes[i].account).incs, set.has) }
	for i := range s.seatedDevices().minus(past.seated).all() {
		if s.r.before(s.r.base(i), k) && !has(past.seated, i) {
			return false
		}
	}
	if s.r.policy.HistoryDays != HistoryNone {
		return true
	}
	for i := range s.readers().minus(past.recipients).all() {
		if !has(past.recipients, i) {
			return false
		}
	}
	return true
}

// pastState is Resolve(past(operation i)), of a state's own nodes.
func (l *Log) pastState(i int) *State {
	s, _ := l.at(l.g.nodes[i].op.Heads)
	return s
}

// better orders epochs to send under: highest generation, then lowest order
// key.
func (r *resolution) better(a, b int) int {
	if d := cmp.Compare(r.genOf(b), r.genOf(a)); d != 0 {
		return d
	}
	return r.nodes[a].key.Compare(r.nodes[b].key)
}

func (r *resolution) genOf(k int) uint64 { return r.nodes[k].op.Body.(*RekeyBody).Gen }

func (s *State) genOf(k int) uint64 { return s.r.genOf(k) }

// Eligible lists all epochs a message may be sent under, best first. Who sends
// asks SendEpoch.
func (l *Log) Eligible() []Epoch {
	s := l.State()
	var out []Epoch
	for _, k := range slices.Backward(s.r.rekeys) {
		if l.eligible(s, k) {
			out = append(out, s.epoch(k))
		}
	}
	return out
}

// Unbroken lists the valid epochs whose makers knew of everybody who has left,
// was put out or was stopped since, newest first: none of those knows their
// secrets by being wrapped for later.
func (l *Log) Unbroken() []Epoch {
	s := l.State()
	var out []Epoch
	for _, k := range slices.Backward(s.r.rekeys) {
		if s.r.valid.has(k) && s.r.exits.within(s.r.nodes[k].past) {
			out = append(out, s.epoch(k))
		}
	}
	return out
}

// SendEpoch is the epoch to send under: of the eligible ones whose secret is
// held the best; ok is false with none, or when a rekey comes first (R35).
func (l *Log) SendEpoch(held func(eid [32]byte) bool) (e Epoch, ok bool) {
	if l.NeedRekey() {
		return e, false
	}
	s := l.State()
	for _, k := range slices.Backward(s.r.rekeys) {
		if e := s.epoch(k); held(e.EID) && l.eligible(s, k) {
			return e, true
		}
	}
	return e, false
}

// NeedRekey tells whether nothing may be sent before a rekey: no epoch is
// eligible, or a valid one of a higher generation is not (R35).
func (l *Log) NeedRekey() bool {
	s, top := l.State(), uint64(0)
	for _, k := range slices.Backward(s.r.rekeys) {
		switch gen := s.genOf(k); {
		case gen < top:
			return true
		case l.eligible(s, k):
			return false
		case s.r.valid.has(k):
			top = gen
		}
	}
	return true
}

// EligibleAt tells whether a message with these control heads may be read
// under eid: the epoch it names is eligible in what the author had seen
// (R36).
func (l *Log) EligibleAt(heads []wire.OpID, eid [32]byte) bool {
	key := readKey{headsKey(heads), eid}
	if yes, known := l.reads[key]; known {
		return yes
	}
	s, missing := l.at(heads)
	if len(missing) > 0 {
		return false
	}
	k, ok := s.named(eid)
	yes := ok && l.eligible(s, k)
	if len(l.reads) >= maxReads {
		clear(l.reads)
	}
	l.reads[key] = yes
	return yes
}

// maxReads bounds the remembered answers of EligibleAt: a burst of messages
// names the same few heads and epochs.
const maxReads = 1024

// readKey is what a message's readability depends on; it never changes.
type readKey struct {
	heads string
	eid   [32]byte
}

// named finds the rekey an eid names: of several, the lowest by order key.
func (s *State) named(eid [32]byte) (int, bool) {
	best := -1
	for _, k := range s.g.rekeys(eid) {
		if s.r.set.has(k) && (best < 0 || s.r.nodes[k].key.Less(s.r.nodes[best].key)) {
			best = k
		}
	}
	return best, best >= 0
}

// EpochByEID gives the epoch an eid names.
func (l *Log) EpochByEID(eid [32]byte) (Epoch, bool) {
	s := l.State()
	k, ok := s.named(eid)
	if !ok {
		return Epoch{}, false
	}
	return s.epoch(k), true
}

// Epochs lists every accepted rekey by order key.
func (l *Log) Epochs() []Epoch {
	s := l.State()
	list := slices.Clone(s.r.rekeys)
	s.r.sortByKey(list)
	out := make([]Epoch, len(list))
	for at, k := range list {
		out[at] = s.epoch(k)
	}
	return out
}

// MayHaveKey tells whether the inc by may give the secret of an epoch to a
// device that asks (R37): the asker's inc is seated; and it or a sibling was a
// recipient, or asks a sibling, or the history policy grants the epoch, counted
// from its account's admission. saidMs is the hlc of the newest content under
// the epoch that the giver holds, 0 for none.
func (l *Log) MayHaveKey(asker, by wire.OpID, eid [32]byte, saidMs uint64) bool {
	s := l.State()
	info, ok := s.Inc(asker)
	k, named := s.named(eid)
	if !ok || !info.Seated || !named {
		return false
	}
	if sibling, ok := s.Inc(by); ok && sibling.Account == info.Account {
		return true
	}
	if slices.ContainsFunc(s.r.of(info.Account).incs, func(i int) bool { return l.wraps(k, i) }) {
		return true
	}
	switch s.r.policy.HistoryDays {
	case HistoryAll:
		return true
	case HistoryNone:
		return false
	}
	base, _ := s.find(info.BaseID)
	return max(s.r.nodes[k].op.HLC, saidMs) >= l.historyFrom(s, base) || l.current(k, base)
}

// HistoryFrom is the time from which the policy grants a device history, in
// ms: 0 for all, its admission's clock for none.
func (l *Log) HistoryFrom(inc wire.OpID) uint64 {
	s := l.State()
	info, ok := s.Inc(inc)
	if !ok {
		return wire.MaxMs
	}
	base, _ := s.find(info.BaseID)
	return l.historyFrom(s, base)
}

func (l *Log) historyFrom(s *State, base int) uint64 {
	at, days := s.r.nodes[base].op.HLC, s.r.policy.HistoryDays
	switch {
	case days == HistoryAll, days*dayMs > at:
		return 0
	}
	return at - days*dayMs
}

// current tells whether an epoch was in use when somebody was let in, or is.
// Older ones may be eligible still; nobody sends under them.
func (l *Log) current(k, base int) bool {
	return l.inUse(l.State(), k) || l.inUse(l.pastState(base), k)
}

// inUse tells whether k is eligible in s and of the highest generation that
// is.
func (l *Log) inUse(s *State, k int) bool {
	if !s.r.set.has(k) {
		return false
	}
	for _, j := range slices.Backward(s.r.rekeys) {
		if s.genOf(j) > s.genOf(k) && l.eligible(s, j) {
			return false
		}
	}
	return l.eligible(s, k)
}
