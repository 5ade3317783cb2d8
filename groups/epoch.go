package groups

import (
	"bytes"
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
	return Epoch{Rekey: n.op.ID, EID: b.EID, Ctx: n.op.Ctx(), Gen: b.Gen, WrapRoot: b.WrapRoot,
		Count: int(b.Count), AuthorInc: n.op.IncID(), CreatedMs: n.op.HLC}
}

func (s *State) rekeys() []int {
	var out []int
	for _, i := range s.r.in {
		if s.r.nodes[i].op.Kind == KindRekey {
			out = append(out, i)
		}
	}
	return out
}

func (s *State) highestGen() uint64 {
	var top uint64
	for _, i := range s.rekeys() {
		top = max(top, s.genOf(i))
	}
	return top
}

// recipients lists, as places, who a rekey written on this past at hlc wraps
// for: devices with a seat ascending by id, then sleep-proof invites
// ascending (R33).
func (s *State) recipients(hlc uint64) []int {
	var devices []int
	s.eachLive(func(i int) {
		if len(s.r.cuts[i]) == 0 && s.Seated(s.r.nodes[i].account) {
			devices = append(devices, i)
		}
	})
	s.sortByID(devices)
	invites := s.sleepProof(hlc)
	s.sortByID(invites)
	return append(devices, invites...)
}

func (s *State) sortByID(list []int) {
	slices.SortFunc(list, func(a, b int) int {
		return bytes.Compare(s.r.nodes[a].op.ID[:], s.r.nodes[b].op.ID[:])
	})
}

// sleepProof lists the invites a rekey wraps for, newest first and at most so
// many: nobody who was put out may know one, and nobody it cites is unseated
// (R33).
func (s *State) sleepProof(hlc uint64) []int {
	var list []int
	for _, i := range s.r.in {
		if b, ok := s.r.nodes[i].op.Body.(*InviteBody); ok && len(b.KemPk) > 0 && s.opensAsleep(i, hlc) {
			list = append(list, i)
		}
	}
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
	if !v.Live(hlc) || !s.Seated(v.Inviter) {
		return false
	}
	for _, x := range s.exits() {
		if !s.r.before(x, i) {
			return false
		}
	}
	for _, u := range s.r.uses[i] {
		if !s.Seated(s.r.nodes[u].account) {
			return false
		}
	}
	return true
}

// exits lists the valid operations that put somebody out: removes, leaves,
// and cuts.
func (s *State) exits() []int {
	var out []int
	for _, list := range s.r.removes {
		out = append(out, list...)
	}
	for _, list := range s.r.leaves {
		out = append(out, list...)
	}
	for _, list := range s.r.cuts {
		out = append(out, list...)
	}
	return out
}

// Recipients is who a rekey written on this state would wrap for, with the
// newest KEM keys known. nowMs is its clock.
func (s *State) Recipients(nowMs uint64) []Recipient {
	return s.describe(s.recipients(nowMs))
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
	return now.describe(l.rekeyPast(i).recipients)
}

// rekeyPast is what eligibility needs of Resolve(past(rekey)): places, which
// never change.
type rekeyPast struct {
	recipients []int
	seated     indexes // live incs of seated accounts, and harbors in office
}

func (s *State) rekeyPast(hlc uint64) rekeyPast {
	p := rekeyPast{recipients: s.recipients(hlc)}
	s.eachLive(func(i int) {
		if s.Seated(s.r.nodes[i].account) {
			p.seated = p.seated.with(i)
		}
	})
	for _, i := range s.r.in {
		if s.r.nodes[i].isHarbor() && s.harborInfo(i).Appointed {
			p.seated = p.seated.with(i)
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

// eligible tells whether a message may be sent under rekey k in this state,
// given what its past resolved to (R34).
func (s *State) eligible(k int, past rekeyPast) bool {
	r := s.r
	if !r.valid[k] {
		return false
	}
	has := map[wire.AccountID]bool{} // accounts with a recipient device
	var invites []int
	for _, i := range past.recipients {
		if !r.nodes[i].isDevice() {
			invites = append(invites, i)
			continue
		}
		a := r.nodes[i].account
		has[a] = true
		if !s.Seated(a) || !slices.Contains(r.live[a], i) || len(r.cuts[i]) > 0 {
			return false
		}
	}
	for _, x := range s.exits() {
		if !r.before(x, k) || slices.ContainsFunc(invites, func(i int) bool { return !r.before(x, i) }) {
			return false
		}
	}
	for _, i := range invites {
		for _, v := range slices.Concat(r.ends[i], r.recalls[i]) {
			if !r.before(v, k) {
				return false
			}
		}
	}
	return s.admitsSpare(k, past, invites) && s.seatsSpare(k, past, has)
}

// admitsSpare: whoever was let in without k knowing, by a recipient invite or
// on the word of somebody who holds the secret, has a seat.
func (s *State) admitsSpare(k int, past rekeyPast, invites []int) bool {
	r := s.r
	for _, i := range r.in {
		n := r.nodes[i]
		if n.op.Kind != KindAdmit || i == k || r.before(i, k) || s.Seated(n.account) {
			continue
		}
		if n.cites >= 0 && slices.Contains(invites, n.cites) {
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
// from joining everybody seated has a device in k.
func (s *State) seatsSpare(k int, past rekeyPast, has map[wire.AccountID]bool) bool {
	for _, a := range s.r.seats[:s.SeatCount()] {
		if s.r.policy.HistoryDays == HistoryNone && !has[a] && s.reachable(a) {
			return false
		}
		if slices.ContainsFunc(s.r.incs[a], past.seated.has) {
			continue
		}
		for _, i := range s.r.live[a] {
			if s.r.before(s.r.base(i), k) {
				return false
			}
		}
	}
	return true
}

// reachable tells whether an account has a device that is not cut.
func (s *State) reachable(a wire.AccountID) bool {
	return slices.ContainsFunc(s.r.live[a], func(i int) bool { return len(s.r.cuts[i]) == 0 })
}

// pastState is Resolve(past(operation i)), of a state's own nodes.
func (l *Log) pastState(i int) *State {
	s, _ := l.at(l.g.nodes[i].op.Heads)
	return s
}

// better orders epochs to send under: highest generation, then lowest order
// key.
func (s *State) better(a, b int) int {
	ga, gb := s.genOf(a), s.genOf(b)
	switch {
	case ga > gb:
		return -1
	case ga < gb:
		return 1
	}
	return s.r.nodes[a].key.Compare(s.r.nodes[b].key)
}

// eligibleNow lists the eligible rekeys, best first; it is remembered until
// the state changes.
func (l *Log) eligibleNow() []int {
	s := l.State()
	if l.best.r == s.r {
		return l.best.list
	}
	out := l.eligibleIn(s)
	l.best = eligibleList{s.r, out}
	return out
}

func (l *Log) eligibleIn(s *State) []int {
	var out []int
	for _, k := range s.rekeys() {
		if s.eligible(k, l.rekeyPast(k)) {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, s.better)
	return out
}

// eligibleList is what was eligible in one state.
type eligibleList struct {
	r    *resolution
	list []int
}

// Eligible lists the epochs a message may be sent under, best first: use the
// first whose secret is held, unless NeedRekey.
func (l *Log) Eligible() []Epoch {
	s := l.State()
	list := l.eligibleNow()
	out := make([]Epoch, len(list))
	for at, k := range list {
		out[at] = s.epoch(k)
	}
	return out
}

// NeedRekey tells whether nothing may be sent before a rekey: no epoch is
// eligible, or a valid one of a higher generation is not (R35).
func (l *Log) NeedRekey() bool {
	s := l.State()
	list := l.eligibleNow()
	if len(list) == 0 {
		return true
	}
	top := s.genOf(list[0])
	for _, k := range s.rekeys() {
		if s.r.valid[k] && s.genOf(k) > top {
			return true
		}
	}
	return false
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
	yes := ok && s.eligible(k, l.rekeyPast(k))
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
	for _, k := range s.rekeys() {
		if s.r.nodes[k].op.Body.(*RekeyBody).EID == eid && (best < 0 || s.r.nodes[k].key.Less(s.r.nodes[best].key)) {
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
	list := s.rekeys()
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
// from its account's admission. One case is the caller's to add: for days of
// history, epochs under which it holds content from HistoryFrom on.
func (l *Log) MayHaveKey(asker, by wire.OpID, eid [32]byte) bool {
	s := l.State()
	info, ok := s.Inc(asker)
	k, named := s.named(eid)
	if !ok || !info.Seated || !named {
		return false
	}
	if sibling, ok := s.Inc(by); ok && sibling.Account == info.Account {
		return true
	}
	for _, i := range l.rekeyPast(k).recipients {
		if s.r.nodes[i].isDevice() && s.r.nodes[i].account == info.Account {
			return true
		}
	}
	switch s.r.policy.HistoryDays {
	case HistoryAll:
		return true
	case HistoryNone:
		return false
	}
	base, _ := s.find(info.BaseID)
	return s.r.nodes[k].op.HLC >= l.historyFrom(s, base) || l.current(k, base)
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
	return l.inUse(l.State(), l.eligibleNow(), k) || l.inUse(l.pastState(base), nil, k)
}

// inUse tells whether k is eligible in s and of the highest generation that
// is; list is what is eligible, nil when that is to be found.
func (l *Log) inUse(s *State, list []int, k int) bool {
	if !s.r.set.has(k) {
		return false
	}
	if list == nil {
		list = l.eligibleIn(s)
	}
	return slices.Contains(list, k) && s.genOf(k) == s.genOf(list[0])
}

func (s *State) genOf(k int) uint64 { return s.r.nodes[k].op.Body.(*RekeyBody).Gen }
