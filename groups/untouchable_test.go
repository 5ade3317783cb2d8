package groups_test

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/identity/wire"
)

// The owner is untouchable from below. After a history, everybody but the owner
// does what liars can; then the owner is who it was, seated, with its devices,
// ranks, policy and cap, and all it did as the owner stands. Excepted is what the
// rules name: who owns the group passes on by a succession that the owner
// allowed and did not speak against, and goes to another heir of a former owner's
// as long as nobody settled the handover.
func TestOwnerIsUntouchableFromBelow(t *testing.T) {
	seen := tally{}
	for seed := *firstSeed; seed < *firstSeed+*histories/5 && !t.Failed(); seed++ {
		w := groupstest.Random(2_000_000+seed, 5+int(seed%3), 30)
		l := groupstest.Deliver(w.Ops, w.NowMs)
		was := l.State()
		for _, o := range w.Besiege(l, seed, 60) {
			seen["took "+o.Kind.String()]++
		}
		untouched(t, l, was, seen)
		if t.Failed() {
			t.Errorf("again: go test ./groups -run Untouchable -histories 5 -seed %d", seed)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		t.Logf("%8d %s", seen[name], name)
	}
	if *histories < 2000 {
		return
	}
	for _, name := range []string{"took remove", "took role", "took invite-revoke", "took succeed", "took transfer", "acts of the owner", "handed on", "another heir"} {
		if seen[name] == 0 {
			t.Errorf("the sieges are tame: never %s", name)
		}
	}
}

// untouched compares the group with what it was before the siege.
func untouched(t *testing.T, l *groups.Log, was *groups.State, seen tally) {
	t.Helper()
	is := l.State()
	if !is.Seated(is.Owner()) || is.Role(is.Owner()) != groups.RoleOwner {
		t.Error("the owner has no seat, or not its rank")
	}
	if is.OwnOp() != was.OwnOp() {
		handedOn(t, l, was, seen)
		return
	}
	owner := was.Owner()
	if is.Cap() != was.Cap() || !reflect.DeepEqual(is.Policy(), was.Policy()) {
		t.Errorf("cap %d and policy %v, they were %d and %v", is.Cap(), is.Policy(), was.Cap(), was.Policy())
	}
	for _, m := range was.Members() {
		if now, ok := is.Member(m.Account); ok && max(m.Status, now.Status) <= groups.StatusWaitlisted && now.Role != m.Role {
			t.Errorf("%s is %v, it was %v", m.Account.Short(), now.Role, m.Role)
		}
	}
	for _, o := range l.Ops() {
		i, ok := was.Inc(o.IncID())
		if !ok || i.Account != owner || !was.Valid(o.ID) {
			continue
		}
		seen["acts of the owner"]++
		if !is.Valid(o.ID) && ownersAct(l, was, o, i) {
			t.Errorf("%v of the owner is void: %v", o, is.ActsOf([]wire.OpID{o.ID}, 1))
		}
	}
	for _, v := range was.Invites() {
		if now, _ := is.Invite(v.ID); v.Inviter == owner && now.Revoked != v.Revoked {
			t.Errorf("the owner's invite %s was revoked", v.ID.Short())
		}
	}
	me, _ := was.Member(owner)
	for _, i := range me.Incs {
		if now, _ := is.Inc(i.ID); i.Seated && !now.Seated && ownDevice(was, i) {
			t.Errorf("the owner's device %s writes no more", i.ID.Short())
		}
	}
}

// ownersAct tells whether an operation was the owner's alone: written as the
// owner, and no admission by a code, which is its inviter's act too and one of
// N, nor by a device that somebody else let in.
func ownersAct(l *groups.Log, was *groups.State, o *groups.Op, by groups.IncInfo) bool {
	if b, ok := o.Body.(*groups.AdmitBody); ok && len(b.Request.Invite) > 0 {
		return false
	}
	if !ownDevice(was, by) {
		return false
	}
	past, _ := l.At(o.Heads)
	return o.ID == was.OwnOp() || past.Accepted(was.OwnOp())
}

// ownDevice tells whether nobody but its account let a device in, after the
// admission it rests on.
func ownDevice(was *groups.State, i groups.IncInfo) bool {
	for !i.AddedBy.IsZero() {
		by, _ := was.Inc(i.AddedBy)
		if by.Account != i.Account {
			return false
		}
		i = by
	}
	return true
}

// handedOn: the first owner who is another is one by a rule.
func handedOn(t *testing.T, l *groups.Log, was *groups.State, seen tally) {
	t.Helper()
	before, now := was.Ownership(), l.State().Ownership()
	at := 0
	for at < len(before) && at < len(now) && before[at].Op == now[at].Op {
		at++
	}
	if at < len(before) { // another heir of the owner before, or none
		seen["another heir"]++
		if before[at].Settled {
			t.Errorf("%v was settled, and is undone", l.Op(before[at].Op))
		}
		return
	}
	seen["handed on"]++
	o := l.Op(now[at].Op)
	past, _ := l.At(o.Heads)
	b, ok := o.Body.(*groups.SucceedBody)
	if !ok || past.Policy().SucceedDays == 0 || len(b.Sigs) < groups.MinSuccessors {
		t.Errorf("%v made another the owner", o)
	}
	if now[at].Settled {
		return
	}
	for _, sign := range l.Ops() {
		i, _ := was.Inc(sign.IncID())
		later, _ := l.At([]wire.OpID{sign.ID})
		if i.Account == was.Owner() && !past.Accepted(sign.ID) && !later.Accepted(o.ID) && !i.Cut {
			t.Errorf("%v made another the owner, who had written %v meanwhile", o, sign)
		}
	}
}
