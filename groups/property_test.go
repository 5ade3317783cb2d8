package groups_test

import (
	"flag"
	"testing"

	"pgregory.net/rapid"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/identity/wire"
)

var histories = flag.Uint64("histories", 40, "how many random histories to play")

// TestRandomHistories plays random histories with liars in them and holds
// what the protocol guarantees of each.
func TestRandomHistories(t *testing.T) {
	refused := map[groups.Reason]int{}
	voided := 0
	for seed := range *histories {
		w := groupstest.Random(seed, 5+int(seed%3), 40)
		l := w.People[0].Log
		sameInAnyOrder(t, w, 3)
		guaranteed(t, l)
		ackChangesNothing(t, w)
		for r, n := range w.Refused {
			refused[r] += n
		}
		for _, o := range l.Ops() {
			if !l.State().Valid(o.ID) {
				voided++
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if *histories >= 40 && (voided == 0 || len(refused) < 8) {
		t.Errorf("the histories are tame: %d void, refusals %v", voided, refused)
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
// shortcut of Apply hides behind a later one.
func TestApplyIsResolve(t *testing.T) {
	for seed := range uint64(8) {
		w := groupstest.Random(1000+seed, 5, 30)
		ops := w.People[0].Log.Ops()
		l, r := groups.Found(ops[0])
		if r != nil {
			t.Fatal(r)
		}
		for i, o := range ops[1:] {
			if j := l.Judge(o, w.NowMs); j.Verdict != groups.Accept && j.Verdict != groups.Void {
				t.Fatalf("seed %d: %v: %v", seed, o, j)
			}
			l.Apply(o)
			if got, want := groupstest.Summary(l.State()), groupstest.Summary(groups.Resolve(ops[:i+2])); got != want {
				t.Fatalf("seed %d: after %v Apply gives\n%s\nResolve gives\n%s", seed, o, got, want)
			}
		}
	}
}

// guaranteed holds protocol section 4, "Guaranteed", of one log.
func guaranteed(t *testing.T, l *groups.Log) {
	t.Helper()
	s := l.State()
	if s.SeatCount() > s.Cap() {
		t.Errorf("%d seats, cap %d", s.SeatCount(), s.Cap())
	}
	if !s.Seated(s.Owner()) {
		t.Error("the owner has no seat")
	}
	byInvite := map[wire.OpID]int{}
	for _, m := range s.Members() {
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
		if b.Account == s.Owner() {
			t.Error("the owner was removed")
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

// ackChangesNothing: an operation written with full knowledge that is no
// membership act changes nobody's seat and no verdict; after one rekey by
// somebody who knows all there is an epoch every seated device can read.
func ackChangesNothing(t *testing.T, w *groupstest.World) {
	t.Helper()
	owner := w.People[0]
	before := verdicts(owner.Log)
	if _, r := w.Write(owner, groups.KindAck, groups.AckBody{}); r != nil {
		t.Fatalf("acknowledging: %v", r)
	}
	if after := verdicts(owner.Log); after != before {
		t.Errorf("an ack changed\n%s\nto\n%s", before, after)
	}
	if _, r := w.Write(owner, groups.KindRekey, nil); r != nil {
		t.Fatalf("rekeying: %v", r)
	}
	if owner.Log.NeedRekey() {
		t.Error("a rekey with full knowledge is not eligible")
	}
	s, best := owner.Log.State(), owner.Log.Eligible()
	if len(best) == 0 {
		return
	}
	readers := map[wire.OpID]bool{}
	for _, r := range owner.Log.Recipients(best[0].Rekey) {
		readers[r.Inc] = true
	}
	for _, m := range s.Members() {
		for _, i := range m.Incs {
			if i.Seated && !readers[i.ID] {
				t.Errorf("seated %s cannot read the best epoch", i.ID.Short())
			}
		}
	}
}

// verdicts lists seats and which operations are in force, without the ack
// that was added last.
func verdicts(l *groups.Log) string {
	s, out := l.State(), ""
	for _, m := range s.Members() {
		out += m.Account.Short() + m.Role.String() + m.Status.String() + m.Via.Short() + "\n"
	}
	for _, o := range l.Ops() {
		if !s.Valid(o.ID) {
			out += "void " + o.ID.Short() + "\n"
		}
	}
	return out
}
