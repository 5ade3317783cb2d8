package groups_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/identity/wire"
)

// Who was let in by an admission that is void learns so from its VoidPath,
// though it knows nothing but what its admission builds on: in random histories
// with liars in them, and in every scenario.
func TestVoidPathShowsIt(t *testing.T) {
	causes := map[groups.Cause]int{}
	for seed := range *histories / 40 {
		convinced(t, groupstest.Random(7200+seed, 5+int(seed%3), 50).People[0].Log, causes)
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
		if w, err := sc.Play(); err == nil {
			convinced(t, w.People[0].Log, causes)
		}
	}
	t.Logf("void admissions by cause: %v", causes)
	if causes[groups.CauseInviteUsed] == 0 || causes[groups.CauseAuthorGone] == 0 || len(causes) < 5 {
		t.Errorf("the stories are tame: %v", causes)
	}
}

func convinced(t *testing.T, l *groups.Log, causes map[groups.Cause]int) {
	t.Helper()
	s := l.State()
	for _, admit := range l.Ops() {
		if admit.Kind != groups.KindAdmit {
			continue
		}
		b := admit.Body.(*groups.AdmitBody)
		cause, _, void := s.VoidAdmission(admit.ID)
		path := l.VoidPath(admit.ID)
		if void == s.Valid(admit.ID) || void != (cause != groups.CauseNone) || !void && path != nil {
			t.Fatalf("an admission in force: %v, void: %v by %q, %d operations", s.Valid(admit.ID), void, cause, len(path))
		}
		if !void {
			continue
		}
		causes[cause]++
		if again, _, ok := s.VoidRequest(b.Request.Nonce); ok && again == groups.CauseNone {
			t.Fatalf("the request of a void admission: %q", again)
		}
		known := map[wire.OpID]bool{}
		for todo := append(path, admit); len(todo) > 0; todo = todo[1:] {
			if known[todo[0].ID] {
				continue
			}
			known[todo[0].ID] = true
			for _, p := range todo[0].Heads {
				todo = append(todo, l.Op(p))
			}
		}
		ops := slices.DeleteFunc(l.Ops(), func(o *groups.Op) bool { return !known[o.ID] })
		if groups.Resolve(ops).Valid(admit.ID) {
			t.Errorf("an admission void by %q counts for who knows %d of %d operations", cause, len(ops), len(l.Ops()))
		}
	}
}
