package groups_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/identity/wire"
)

// TestEveryVoidActHasACause: in random histories with liars in them, and in
// every scenario, an act is in force or it is told why not, and by which
// operation, which is one that was known by then.
func TestEveryVoidActHasACause(t *testing.T) {
	causes := map[groups.Cause]int{}
	for seed := range *histories / 40 {
		w := groupstest.Random(7000+seed, 5+int(seed%3), 50)
		told(t, fmt.Sprint("seed ", seed), w.People[0].Log, causes)
	}
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sc, err := groupstest.Parse(filepath.Base(file), string(text))
		if err != nil {
			t.Fatal(err)
		}
		if w, err := sc.Play(); err == nil { // else TestScenarios says so
			told(t, sc.Name, w.People[0].Log, causes)
		}
	}
	t.Logf("causes: %v", causes)
	if len(causes) < 5 {
		t.Errorf("the stories are tame: %v", causes)
	}
}

// told holds what a log says of its acts, at three moments.
func told(t *testing.T, name string, l *groups.Log, causes map[groups.Cause]int) {
	t.Helper()
	ops := l.Ops()
	for _, ms := range []uint64{ops[len(ops)-1].HLC, ops[len(ops)/2].HLC, ops[len(ops)/4].HLC} {
		s, ok := l.Until(ms)
		if !ok {
			t.Fatalf("%s: nothing until %d", name, ms)
		}
		for _, a := range s.Acts() {
			causes[a.Why]++
			switch {
			case a.InForce != (a.Why == groups.CauseNone):
				t.Fatalf("%s: %v %s is in force: %v, why %q", name, a.Kind, a.ID.Short(), a.InForce, a.Why)
			case a.InForce && !a.VoidBy.IsZero():
				t.Fatalf("%s: %v %s is in force, void by %s", name, a.Kind, a.ID.Short(), a.VoidBy.Short())
			case !a.InForce && (!s.Accepted(a.VoidBy) || a.VoidBy == a.ID):
				t.Fatalf("%s: %v %s is void, %s, by %s", name, a.Kind, a.ID.Short(), a.Why, a.VoidBy.Short())
			}
		}
	}
}

// TestUntilIsResolveOfWhatWasWritten (R67).
func TestUntilIsResolveOfWhatWasWritten(t *testing.T) {
	for seed := range uint64(6) {
		w := groupstest.Random(7100+seed, 6, 40)
		l := w.People[0].Log
		for _, at := range l.Ops() {
			var ops []*groups.Op
			for _, o := range l.Ops() {
				if o.HLC <= at.HLC {
					ops = append(ops, o)
				}
			}
			s, ok := l.Until(at.HLC)
			if !ok || groupstest.Summary(s) != groupstest.Summary(groups.Resolve(ops)) {
				t.Fatalf("seed %d: until %d is not what %d operations resolve to", seed, at.HLC, len(ops))
			}
		}
		if _, ok := l.Until(l.Ops()[0].HLC - 1); ok {
			t.Fatal("a group before it began")
		}
	}
}

func TestRightsOfMembers(t *testing.T) {
	w, l := family(t, "ann", "ann>bob bob*cid ann^bob cid>dan dan-")
	want := map[string]string{
		"ann": "founded by  owner by genesis", "bob": "pulled-in by ann admin by role",
		"cid": "invited by bob member by ", "dan": "pulled-in by cid member by ",
	}
	s := l.State()
	for _, m := range s.Members() {
		r := s.Right(m)
		words := []string{r.Way.String(), "by"}
		if inviter := r.Inviter; !inviter.IsZero() {
			words = append(words, nameIn(w, inviter))
		} else {
			words = append(words, "")
		}
		kind := ""
		if !r.RoleBy.IsZero() {
			kind = l.Op(r.RoleBy).Kind.String()
		}
		words = append(words, m.Role.String(), "by", kind)
		name := nameIn(w, m.Account)
		if got := strings.Join(words, " "); got != want[name] {
			t.Errorf("%s: %q, want %q", name, got, want[name])
		}
		if (r.Invite != wire.OpID{}) != (name == "cid") || r.Sponsor.IsZero() {
			t.Errorf("%s: invite %v sponsor %v", name, r.Invite.Short(), r.Sponsor.Short())
		}
	}
}

// TestOnlyActsOfRankHaveReasons: anybody may write invites and leaves without
// end, and no reasons are kept of those.
func TestOnlyActsOfRankHaveReasons(t *testing.T) {
	w, l := family(t, "ann", "ann>bob ann^bob bob>cid bob*dan bob/cid dan-")
	s := l.State()
	bob, _ := w.Person("bob")
	for _, a := range s.Acts() {
		want := a.Actor == bob.Account && a.Kind == groups.KindRemove
		if s.Moderated(bob.Account, a.ID) != want {
			t.Errorf("%v by %s: %v", a.Kind, nameIn(w, a.Actor), !want)
		}
	}
	if s.Moderated(bob.Account, wire.OpID{1}) {
		t.Error("an operation nobody wrote")
	}
}

// TestActsTellWhoAndWhom, and that an act is settled once all of rank have
// written after it.
func TestActsTellWhoAndWhom(t *testing.T) {
	w, l := family(t, "ann", "ann>bob ann^bob bob>cid bob/cid")
	var got []string
	for _, a := range l.State().Acts() {
		line := a.Kind.String() + " " + nameIn(w, a.Actor) + " " + nameIn(w, a.Target)
		if !a.Settled {
			line += " provisional"
		}
		got = append(got, line)
	}
	want := "genesis ann ann|admit ann bob|role ann bob|admit bob cid provisional|remove bob cid provisional"
	if strings.Join(got, "|") != want {
		t.Errorf("%s\nwant %s", strings.Join(got, "|"), want)
	}
	ann, _ := w.Person("ann")
	write(t, w, ann, groups.KindAck, groups.AckBody{})
	for _, a := range l.State().Acts() {
		if !a.Settled {
			t.Errorf("%v is not settled after the owner's acknowledgement", a.Kind)
		}
	}
}
