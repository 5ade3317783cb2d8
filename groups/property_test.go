package groups_test

import (
	"flag"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/identity/wire"
)

// The lines of protocol section 4, "Guaranteed", and what holds them:
//
//	knowing all and no membership act: no seat, no verdict   knowingAll
//	one round of rekeys, and every seated device can read    oneRound
//	nothing after a known removal is readable by the removed unreadable, node/secrecy_test.go
//	same set, same state: order, duplicates, restart, at once sameInAnyOrder, restarts in groupstest.Random
//	seats never exceed the cap                               guaranteed, of every past
//	no live member without both halves of the follow         consented
//	nothing of a removed inc past its pins                   guaranteed
//	a passcode never seats more than N                       guaranteed
//	the owner untouchable from below                         TestOwnerIsUntouchableFromBelow, guaranteed
//	a removed member returns only by a later act             guaranteed
//	accepted by one is accepted by all                       sameInAnyOrder (World.Rejected)
//	no byte string panics or splits verdicts                 FuzzDecode, FuzzJudge, FuzzPrograms
var (
	histories = flag.Uint64("histories", 500, "how many random histories to play")
	firstSeed = flag.Uint64("seed", 0, "the first of them")
)

// TestRandomHistories plays random histories with liars in them and holds
// what the protocol guarantees of each.
func TestRandomHistories(t *testing.T) {
	var mu sync.Mutex
	seen := tally{}
	var next atomic.Uint64
	t.Run("play", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for {
					seed := *firstSeed + next.Add(1) - 1
					if seed >= *firstSeed+*histories {
						return
					}
					mine := playHistory(t, seed)
					mu.Lock()
					seen.add(mine)
					mu.Unlock()
					if t.Failed() {
						t.Fatalf("again: go test ./groups -run RandomHistories -histories 1 -seed %d", seed)
					}
				}
			})
		}
	})
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		t.Logf("%8d %s", seen[name], name)
	}
	if *histories < 2000 {
		return
	}
	for _, name := range []string{"transfer in force", "transfer void", "succeed in force", "succeed void", "dev-add in force", "dev-add void",
		"dev-revoke in force", "fault in force", "harbor in force", "harbor void", "admit by a harbor", "owner changed twice", "settled", "waiting"} {
		if seen[name] == 0 {
			t.Errorf("the histories are tame: never a %s", name)
		}
	}
}

// tally counts what histories reach.
type tally map[string]int

func (c tally) add(o tally) {
	for k, n := range o {
		c[k] += n
	}
}

func playHistory(t *testing.T, seed uint64) tally {
	t.Helper()
	w := groupstest.Random(seed, 5+int(seed%3), 40)
	l := w.People[0].Log
	sameInAnyOrder(t, w, 3)
	guaranteed(t, w, l)
	if seed%8 == 0 { // a third of the whole time otherwise
		consented(t, l)
	}
	unreadable(t, l)
	seen := reached(w, l)
	knowingAll(t, w)
	oneRound(t, w)
	return seen
}

func reached(w *groupstest.World, l *groups.Log) tally {
	seen := tally{"histories": 1, "operations": len(w.Ops), "messages": len(w.Said)}
	s := l.State()
	for r, n := range w.Refused {
		seen["refused: "+r.String()] += n
	}
	for _, o := range l.Ops() {
		how := " in force"
		if !s.Valid(o.ID) {
			how = " void"
		}
		seen[o.Kind.String()+how]++
		if inc := l.Op(o.IncID()); o.Kind == groups.KindAdmit && inc.Kind == groups.KindHarbor {
			seen["admit by a harbor"]++
		}
	}
	for _, o := range w.Said {
		seen["message "+l.Standing(o).String()]++
	}
	if own := s.Ownership(); len(own) > 2 {
		seen["owner changed twice"]++
	}
	for _, o := range s.Ownership()[1:] {
		if o.Settled {
			seen["settled"]++
		}
	}
	seen["waiting"] += s.WaitCount()
	seen["forks unproved"] += len(s.Forks())
	if contested(l) {
		seen["ownership contested"]++
	}
	return seen
}

// consented: every live inc rests on requests and consent that verify.
func consented(t *testing.T, l *groups.Log) {
	t.Helper()
	s := l.State()
	for _, m := range s.Members() {
		if m.Status > groups.StatusWaitlisted {
			continue
		}
		p, err := l.Proof(m.Account)
		if err != nil {
			t.Errorf("no proof of %s: %v", m.Account.Short(), err)
			continue
		}
		c, err := groups.VerifyProof(p.Encode())
		if err != nil || c.Account != m.Account {
			t.Errorf("the proof of %s: %v", m.Account.Short(), err)
		}
	}
}

func TestResolveIsAFunctionOfTheSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := groupstest.Random(rapid.Uint64().Draw(t, "seed"), 4, rapid.IntRange(1, 20).Draw(t, "steps"))
		ops := w.People[0].Log.Ops()
		want := groupstest.Summary(groups.Resolve(ops))
		perm := rapid.Permutation(ops).Draw(t, "order")
		if got := groupstest.Summary(groups.Resolve(perm)); got != want {
			t.Fatalf("another order gives\n%s\nwant\n%s", got, want)
		}
	})
}

// TestApplyIsResolve compares after every single operation, so that no
// shortcut of Apply hides behind a later one: as it was written, where most
// goes on from the state before, and as it comes to somebody who was away.
func TestApplyIsResolve(t *testing.T) {
	extended, resolved := 0, 0
	for seed := range *histories / 10 {
		w := groupstest.Random(*firstSeed+1_000_000+seed, 5, 30)
		for _, ops := range [][]*groups.Op{w.Ops, w.People[0].Log.Ops()} {
			l, r := groups.Found(ops[0])
			if r != nil {
				t.Fatal(r)
			}
			for _, o := range ops[1:] {
				if j := l.Judge(o, w.NowMs); j.Verdict != groups.Accept && j.Verdict != groups.Void {
					continue // written on what is not here yet
				}
				l.Apply(o)
				if got, want := groups.Within(l.State()), groups.Within(groups.ResolveAgain(l)); got != want {
					t.Fatalf("seed %d: after %v Apply gives\n%s\nResolve gives\n%s", seed, o, got, want)
				}
				for _, h := range o.Heads {
					past, _ := l.At([]wire.OpID{h})
					if got, want := groups.Within(past), groups.Within(groups.PastAgain(l, h)); got != want {
						t.Fatalf("seed %d: at a parent of %v\n%s\nResolve gives\n%s", seed, o, got, want)
					}
				}
				if groups.Extended(l) {
					extended++
				} else {
					resolved++
				}
			}
			if got, want := takenAtOnce(t, ops, w.NowMs), groups.Within(l.State()); got != want {
				t.Fatalf("seed %d: taken at once gives\n%s\none by one\n%s", seed, got, want)
			}
			if !groups.OwnersAgain(l) {
				t.Fatalf("seed %d: an operation is taken to have seen other owners than it had", seed)
			}
		}
	}
	t.Logf("%d extended, %d resolved anew", extended, resolved)
	if extended < resolved/4 {
		t.Error("the shortcut is hardly taken")
	}
}

// takenAtOnce is what operations resolve to that are taken in without a look at
// the state between.
func takenAtOnce(t *testing.T, ops []*groups.Op, nowMs uint64) string {
	l, r := groups.Found(ops[0])
	if r != nil {
		t.Fatal(r)
	}
	for _, o := range ops[1:] {
		switch j := l.JudgePast(o, nowMs); j.Verdict {
		case groups.Accept:
			l.Apply(o)
		case groups.Void:
			t.Fatalf("%v: what is void only all that is known tells", o)
		}
	}
	return groups.Within(l.State())
}

// guaranteed holds protocol section 4, "Guaranteed", of one log.
func guaranteed(t *testing.T, w *groupstest.World, l *groups.Log) {
	t.Helper()
	s := l.State()
	for _, o := range l.Ops() {
		past, _ := l.At([]wire.OpID{o.ID})
		withinCap(t, past)
	}
	withinCap(t, s)
	byInvite := map[wire.OpID]int{}
	for _, m := range s.Members() {
		peers := map[wire.PeerKey]int{}
		for _, i := range m.Incs {
			if i.Live && !i.Cut {
				peers[i.Peer]++
			}
		}
		for _, p := range s.Peers(m.Account) {
			peers[p]--
		}
		for p, n := range peers {
			if n != 0 {
				t.Errorf("%s has %d more devices of %s than are told", m.Account.Short(), n, p.Short())
			}
		}
		if m.Status > groups.StatusWaitlisted {
			continue
		}
		for _, i := range m.Incs {
			if !i.Live {
				continue
			}
			if b, ok := l.Op(i.ID).Body.(*groups.AdmitBody); ok {
				if id, ok := b.Request.Invite.Get(); ok {
					byInvite[id]++
				}
			}
		}
	}
	for id, n := range byInvite {
		if v, _ := s.Invite(id); n > v.Max {
			t.Errorf("invite %s seats %d, at most %d", id.Short(), n, v.Max)
		}
	}
	for _, o := range l.Ops() {
		b, ok := o.Body.(*groups.RemoveBody)
		if !ok || !s.Valid(o.ID) {
			continue
		}
		m, here := s.Member(b.Account)
		if here && m.Status <= groups.StatusWaitlisted {
			past, _ := l.At(l.Op(m.Via).Heads)
			if !past.Accepted(o.ID) {
				t.Errorf("%s is in by %s, which had not seen the removal %s", m.Account.Short(), m.Via.Short(), o.ID.Short())
			}
		}
		if past, _ := l.At(l.Op(s.OwnOp()).Heads); b.Account == s.Owner() && (past == nil || !past.Accepted(o.ID)) {
			t.Error("the owner was removed")
		}
	}
	for _, o := range w.Said {
		for _, m := range l.Ops() {
			b, ok := m.Body.(*groups.RemoveBody)
			info, known := s.Inc(o.IncID())
			if !ok || !known || b.Account != info.Account || !s.Valid(m.ID) || l.Standing(o) != groups.Counts {
				continue
			}
			base, _ := l.At(l.Op(info.BaseID).Heads)
			if base != nil && base.Accepted(m.ID) {
				continue // it came back by a later act
			}
			pinned := uint64(0)
			for _, p := range b.Pins {
				if p.Inc == o.IncID() {
					pinned = p.Seq
				}
			}
			if o.Seq > pinned {
				t.Errorf("message %d of %s counts past the removal %s, pinned at %d", o.Seq, o.IncID().Short(), m.ID.Short(), pinned)
			}
		}
	}
	for _, e := range l.Eligible() {
		for _, r := range l.Recipients(e.Rekey) {
			if i, ok := s.Inc(r.Inc); !r.IsInvite && (!ok || !i.Seated) {
				t.Errorf("epoch %s is read by %s, which has no seat", e.Rekey.Short(), r.Inc.Short())
			}
		}
	}
}

// withinCap counts who is seated: never more than the cap, the owner one of
// them.
func withinCap(t *testing.T, s *groups.State) {
	t.Helper()
	seated := 0
	for _, m := range s.Members() {
		if s.Seated(m.Account) != (m.Status == groups.StatusSeated) {
			t.Errorf("%s: seated %v, but %v", m.Account.Short(), s.Seated(m.Account), m.Status)
		}
		if s.Seated(m.Account) {
			seated++
		}
	}
	if seated > s.Cap() || seated != s.SeatCount() {
		t.Errorf("%d seats, said to be %d, cap %d", seated, s.SeatCount(), s.Cap())
	}
	if !s.Seated(s.Owner()) {
		t.Error("the owner has no seat")
	}
}

// unreadable: what is said by somebody who knows of a removal, whatever else it
// knows, is under no epoch that the removed was given, nor anybody it may have
// told a code.
func unreadable(t *testing.T, l *groups.Log) {
	t.Helper()
	ops, epochs := l.Ops(), l.Epochs()
	for at, v := range ops {
		b, ok := v.Body.(*groups.RemoveBody)
		if !ok {
			continue
		}
		for _, o := range ops[at:] {
			heads := []wire.OpID{o.ID}
			s, _ := l.At(heads)
			m, _ := s.Member(b.Account)
			if !s.Accepted(v.ID) || !s.Valid(v.ID) || m.Status <= groups.StatusWaitlisted {
				continue
			}
			for _, e := range epochs {
				if l.EligibleAt(heads, e.EID) {
					closedTo(t, l, e, v, b.Account)
				}
			}
		}
	}
}

// closedTo: no device of an account was given an epoch, and no code that it
// could have known before v.
func closedTo(t *testing.T, l *groups.Log, e groups.Epoch, v *groups.Op, a wire.AccountID) {
	t.Helper()
	for _, r := range l.Recipients(e.Rekey) {
		if r.IsInvite {
			if past, _ := l.At(l.Op(r.Inc).Heads); !past.Accepted(v.ID) {
				t.Errorf("epoch %s is open to the code %s, older than the removal %s", e.Rekey.Short(), r.Inc.Short(), v.ID.Short())
			}
			continue
		}
		if i, _ := l.State().Inc(r.Inc); i.Account == a {
			t.Errorf("epoch %s is read by %s after the removal %s", e.Rekey.Short(), r.Inc.Short(), v.ID.Short())
		}
	}
}

// knowingAll: an operation written with full knowledge that is no membership
// act changes nobody's seat and no verdict, whoever writes it.
func knowingAll(t *testing.T, w *groupstest.World) {
	t.Helper()
	for _, p := range writers(w) {
		s := p.Log.State()
		acts := map[groups.Kind]any{groups.KindAck: groups.AckBody{}, groups.KindRekey: nil}
		if s.MayInvite(p.Account) {
			acts[groups.KindInvite] = groups.InviteBody{InvitePk: [32]byte(p.Keys.ID()), MaxUses: 3, NotAfterMs: w.NowMs + 86_400_000, Role: uint64(groups.RoleMember)}
		}
		for _, v := range s.Invites() {
			if v.Inviter == p.Account {
				acts[groups.KindInviteRevoke] = groups.InviteRevokeBody{Invite: v.ID}
			}
		}
		for _, kind := range slices.Sorted(maps.Keys(acts)) {
			before := verdicts(p.Log, w.Said)
			o, r := w.Write(p, kind, acts[kind])
			if r != nil {
				t.Fatalf("%v by %s: %v", kind, p.Name, r)
			}
			if after := verdicts(p.Log, w.Said); after != before {
				t.Errorf("%v changed\n%s\nto\n%s", o, before, after)
			}
		}
	}
}

// oneRound: everybody makes an epoch of its own, none knowing of another's;
// when all have met, there is one every seated device can read, and none
// wants another.
func oneRound(t *testing.T, w *groupstest.World) {
	t.Helper()
	all := writers(w)
	for _, p := range all {
		p.Offline = true
		if _, r := w.Write(p, groups.KindRekey, nil); r != nil {
			t.Fatalf("rekeying: %v", r)
		}
	}
	for _, p := range all {
		w.Online(p)
	}
	for _, p := range all {
		best := p.Log.Eligible()
		if len(best) == 0 || p.Log.NeedRekey() {
			t.Errorf("%d epochs are eligible after a round of rekeys, and another is wanted: %v", len(best), p.Log.NeedRekey())
			return
		}
		readers := map[wire.OpID]bool{}
		for _, r := range p.Log.Recipients(best[0].Rekey) {
			readers[r.Inc] = true
		}
		for _, m := range p.Log.State().Members() {
			for _, i := range m.Incs {
				if i.Seated && !readers[i.ID] {
					t.Errorf("seated %s cannot read the best epoch", i.ID.Short())
				}
			}
		}
	}
}

// writers are some who may write, of the owner's account first.
func writers(w *groupstest.World) (out []*groupstest.Person) {
	for _, p := range w.People {
		if p.Log == nil {
			continue
		}
		if info, ok := p.Log.State().Inc(p.Inc); ok && info.Seated {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b *groupstest.Person) int {
		rank := func(p *groupstest.Person) int { return int(p.Log.State().Role(p.Account)) }
		return rank(a) - rank(b)
	})
	return out[:min(len(out), 3)]
}

// contested tells whether some transfer or succession is not in force: then
// whatever is written on it may settle or follow it.
func contested(l *groups.Log) bool {
	n := 0
	for _, o := range l.Ops() {
		if o.Kind == groups.KindTransfer || o.Kind == groups.KindSucceed {
			n++
		}
	}
	return n != len(l.State().Ownership())-1
}

// verdicts lists seats, which operations are in force, and which messages count.
func verdicts(l *groups.Log, said []*groups.Op) string {
	s, out := l.State(), ""
	for _, m := range s.Members() {
		out += m.Account.Short() + m.Role.String() + m.Status.String() + m.Via.Short() + "\n"
	}
	for _, o := range l.Ops() {
		if !s.Valid(o.ID) {
			out += "void " + o.ID.Short() + "\n"
		}
	}
	for _, o := range said {
		if s.Accepted(o.IncID()) && l.Standing(o) != groups.Counts {
			out += "does not count " + o.ID.Short() + "\n"
		}
	}
	return out
}
