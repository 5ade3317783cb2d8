package groups_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// mutants names the mutations to run; without it only their list is checked.
// Each runs this package's tests once more, so it is a target of its own:
// make mutants.
var mutants = flag.String("mutants", "", "run the mutations whose line matches this `pattern` ('.' for all)")

// mutant is one deliberate mistake, for one numbered rule.
type mutant struct {
	number   int    // from one, in the order of the list
	line     string // "R22 a revoke does not count"
	rule     string
	file     string
	caughtBy string // the test that did when it was written, tried first
	old, new string
	argument string // why nothing can tell it from the original; then it is not run
}

const mutantsFile = "testdata/mutants.txt"

// readMutants reads the list: "== RULE what", then the file, then, if known,
// "caught by" and a test, then the text to replace and what replaces it between
// <<<, === and >>>; or, for a rule all of whose mutations mean the same as the
// original, "equivalent:" and why.
func readMutants(t *testing.T) []mutant {
	t.Helper()
	b, err := os.ReadFile(mutantsFile)
	if err != nil {
		t.Fatal(err)
	}
	var out []mutant
	for _, part := range strings.Split("\n"+string(b), "\n== ")[1:] {
		line, rest, _ := strings.Cut(part, "\n")
		m := mutant{number: len(out) + 1, line: line}
		m.rule, _, _ = strings.Cut(line, " ")
		if why, ok := strings.CutPrefix(rest, "equivalent: "); ok {
			m.argument = strings.TrimSpace(why)
		} else {
			var body string
			m.file, body, _ = strings.Cut(rest, "\n<<<\n")
			m.file, m.caughtBy, _ = strings.Cut(m.file, "\ncaught by ")
			m.old, body, _ = strings.Cut(body, "\n===\n")
			m.new, _, _ = strings.Cut(body, "\n>>>")
		}
		out = append(out, m)
	}
	return out
}

var numberedRule = regexp.MustCompile(`(?m)^- \*\*(R\d+)\*\*`)

// Every rule of SPEC.md has a mutation, and every mutation fits the sources.
func TestEveryRuleHasAMutant(t *testing.T) {
	spec, err := os.ReadFile("SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, m := range numberedRule.FindAllStringSubmatch(string(spec), -1) {
		rules = append(rules, m[1])
	}
	list := readMutants(t)
	for _, rule := range rules {
		if !slices.ContainsFunc(list, func(m mutant) bool { return m.rule == rule }) {
			t.Errorf("%s has no mutation in %s", rule, mutantsFile)
		}
	}
	for _, m := range list {
		if !slices.Contains(rules, m.rule) {
			t.Errorf("%s: no such rule", m.line)
		}
		if m.argument != "" {
			continue
		}
		src, err := os.ReadFile(m.file)
		if err != nil {
			t.Errorf("%s: %v", m.line, err)
			continue
		}
		if n := strings.Count(string(src), m.old); n != 1 || m.old == "" || m.old == m.new {
			t.Errorf("%s: %s has it %d times, want once:\n%s", m.line, m.file, n, m.old)
		}
	}
	if t.Failed() {
		return
	}
	if _, err := weaveAll(slices.DeleteFunc(list, func(m mutant) bool { return m.argument != "" })); err != nil {
		t.Error(err)
	}
}

// Each mutation is caught by some test of this package.
func TestMutants(t *testing.T) {
	if *mutants == "" {
		t.Skip("a run of its own: make mutants")
	}
	want := regexp.MustCompile(*mutants)
	list := slices.DeleteFunc(readMutants(t), func(m mutant) bool { return m.argument != "" || !want.MatchString(m.line) })
	program, left := carry(t, list)
	if out, err := play(program, 0, "^TestScenarios$", ""); err != nil {
		t.Fatalf("the program fails without any mutation:\n%s", out)
	}
	var mu sync.Mutex
	seen := tally{}
	t.Cleanup(func() {
		t.Logf("%d mutations of %d rules:", len(list), len(slices.Compact(rulesOf(list))))
		for _, kind := range slices.Sorted(maps.Keys(seen)) {
			t.Logf("%4d %s", seen[kind], kind)
		}
	})
	slots := make(chan struct{}, 2)
	for _, m := range list {
		t.Run(m.line, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			end := "not built"
			if left[m.number] != "" {
				t.Errorf("does not build:\n%s", left[m.number])
			} else {
				end = m.run(t, program)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[end]++
		})
	}
}

func rulesOf(list []mutant) (out []string) {
	for _, m := range list {
		out = append(out, m.rule)
	}
	slices.Sort(out)
	return out
}

// play runs tests of the program with one mutation in force.
func play(program string, mutation int, run, skip string) (string, error) {
	c := exec.Command(program, "-test.run", run, "-test.skip", skip, "-test.failfast", "-test.timeout=10m", "-rapid.nofailfile", "-histories=400")
	c.Env = append(os.Environ(), fmt.Sprintf("MUTATION=%d", mutation))
	out, err := c.CombinedOutput()
	return string(out), err
}

var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// run plays the tests with the mutation in force, and tells what caught it.
func (m mutant) run(t *testing.T, program string) string {
	t.Helper()
	// What is quick and says most comes first.
	for _, tests := range [][2]string{
		{m.hint(), ""},
		{"^TestScenarios$", ""},
		{quickProperties, ""},
		{".", quickProperties + "|" + slowTests + "|^TestGraphs$|^TestScenarios$"},
		{slowTests, ""},
	} {
		out, err := play(program, m.number, tests[0], tests[1])
		if err == nil {
			continue
		}
		var failed []string
		for _, f := range failedTest.FindAllStringSubmatch(out, -1) {
			failed = append(failed, f[1])
		}
		kind := kindOf(failed, out)
		t.Logf("caught by %s: %s", kind, strings.Join(failed[:min(3, len(failed))], " "))
		return "caught by " + kind
	}
	t.Error("survived: nothing tells it from the original")
	return "survived"
}

// hint is the pattern of the test that caught the mutation before, and of
// nothing if there is none.
func (m mutant) hint() string {
	if m.caughtBy == "" {
		return "^$"
	}
	return "^" + strings.ReplaceAll(regexp.QuoteMeta(m.caughtBy), "/", "$/^") + "$"
}

// kindOf says what sort of test it is that failed.
func kindOf(failed []string, out string) string {
	switch {
	case strings.Contains(out, "panic: test timed out"):
		return "not coming to an end, or by a slow machine"
	case len(failed) == 0:
		return "ending otherwise"
	case strings.HasPrefix(failed[0], "TestScenarios"), strings.HasPrefix(failed[0], "TestModelOfScenarios"):
		return "a scenario"
	case properties.MatchString(failed[0]):
		return "a property"
	}
	return "an example"
}

// properties are the tests that hold of whatever is written, not of one case.
var properties = regexp.MustCompile("^(Fuzz|TestModelOf|TestPrograms|TestRandomHistories|TestEvery|TestResolveIs|TestApplyIs|TestUntilIs|TestAny|TestForkedChains|TestVoidPath)")

const quickProperties = "^(Fuzz.*|TestPrograms|TestResolveIsAFunctionOfTheSet)$"

// slowTests play many histories or all orders. The graphs are left out
// altogether: they would catch nearly everything, being what the rules once
// said; a property or a scenario has to.
const slowTests = "^(TestModelOf.*|TestRandomHistories|TestEveryOrder|TestApplyIsResolve|TestEveryVoidActHasACause|TestEveryMemberHasAProof|TestEveryByteOfAProofCounts|TestCrowdIsHonest|TestVoidPathShowsIt)$"
