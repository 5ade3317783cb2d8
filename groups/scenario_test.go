package groups_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mutuals/groups"
	"mutuals/groups/groupstest"
)

func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			sc, err := groupstest.Parse(filepath.Base(f), string(text))
			if err != nil {
				t.Fatal(err)
			}
			w, err := sc.Play()
			if err != nil {
				t.Fatal(err)
			}
			sameInAnyOrder(t, w, 8)
		})
	}
}

// Every row of the table of concurrent acts has a scenario that quotes it, and
// every line of bad input one; every scenario begins with what it is about.
func TestScenarioRows(t *testing.T) {
	index, err := os.ReadFile("testdata/scenarios/README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, bad, _ := strings.Cut(string(index), "## Bad input")
	bad, _, _ = strings.Cut(bad, "## The rest")
	begins := func(file string) string {
		text, err := os.ReadFile(filepath.Join("testdata/scenarios", file))
		if err != nil {
			t.Error(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		return first
	}
	quoted := regexp.MustCompile(`(?m)^\| (.+ \| .+) \| ([a-z_]+\.txt)`).FindAllStringSubmatch(rows, -1)
	for _, row := range quoted {
		if got, want := begins(row[2]), "# Row: "+row[1]; got != want {
			t.Errorf("%s begins with\n%s, want\n%s", row[2], got, want)
		}
	}
	lines := regexp.MustCompile(`(?m)^\| .+ \| [a-z_]+\.txt`).FindAllString(bad, -1)
	if len(quoted) != 12 || len(lines) != 11 {
		t.Errorf("%d rows and %d lines have scenarios, want 12 and 11", len(quoted), len(lines))
	}
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasPrefix(begins(filepath.Base(f)), "# ") {
			t.Errorf("%s does not begin with what it is about", f)
		}
	}
}

// The index names every scenario, and no other.
func TestScenarioIndex(t *testing.T) {
	index, err := os.ReadFile("testdata/scenarios/README.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, name := range regexp.MustCompile(`\b[a-z_]+\.txt\b`).FindAllString(string(index), -1) {
		named[name] = true
		if _, err := os.Stat(filepath.Join("testdata/scenarios", name)); err != nil {
			t.Errorf("the index names %s: %v", name, err)
		}
	}
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !named[filepath.Base(f)] {
			t.Errorf("%s is not in the index", f)
		}
	}
}

// sameInAnyOrder delivers everything that was written in several orders, some
// of it twice: accepted set, state, verdicts and epochs must be those of
// whoever heard everything, and those of the definition.
func sameInAnyOrder(t *testing.T, w *groupstest.World, orders uint64) {
	t.Helper()
	first := w.People[0].Log
	want := groupstest.SummaryOf(first)
	if s := groupstest.Summary(groups.Resolve(first.Ops())); s != groupstest.Summary(first.State()) {
		t.Fatalf("Apply gives\n%s\nResolve gives\n%s", groupstest.Summary(first.State()), s)
	}
	for _, o := range w.Rejected {
		t.Errorf("%v was accepted by one log and rejected by another", o)
	}
	for _, q := range w.People {
		if q.Log == nil {
			continue
		}
		if got := groupstest.SummaryOf(q.Log); got != want {
			t.Fatalf("%s has\n%s\nwant\n%s", q.Name, got, want)
		}
		for _, o := range w.Said {
			if got, want := q.Log.Standing(o), first.Standing(o); got != want {
				t.Errorf("to %s a message %v, to %s it %v", q.Name, got, w.People[0].Name, want)
			}
		}
	}
	if len(w.Ops) > 80 {
		orders = 2
	}
	for seed := range orders {
		l := groupstest.Deliver(groupstest.Shuffled(w.Ops, seed), w.NowMs)
		if got := groupstest.SummaryOf(l); got != want {
			t.Fatalf("order %d gives\n%s\nwant\n%s", seed, got, want)
		}
	}
}
