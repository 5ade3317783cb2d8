package groups_test

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mutants names the mutations to run; without it only their list is checked.
// Each runs this package's tests over changed sources, so it is a target of
// its own: make mutants.
var mutants = flag.String("mutants", "", "run the mutations whose line matches this `pattern` ('.' for all)")

// mutant is one deliberate mistake, for one numbered rule.
type mutant struct {
	line     string // "R22 a revoke does not count"
	rule     string
	file     string
	old, new string
	argument string // why nothing can tell it from the original; then it is not run
}

const mutantsFile = "testdata/mutants.txt"

// readMutants reads the list: "== RULE what", then the file, then the text to
// replace and what replaces it between <<<, === and >>>; or, for a rule all of
// whose mutations mean the same as the original, "equivalent:" and why.
func readMutants(t *testing.T) []mutant {
	t.Helper()
	b, err := os.ReadFile(mutantsFile)
	if err != nil {
		t.Fatal(err)
	}
	var out []mutant
	for _, part := range strings.Split("\n"+string(b), "\n== ")[1:] {
		line, rest, _ := strings.Cut(part, "\n")
		m := mutant{line: line}
		m.rule, _, _ = strings.Cut(line, " ")
		if why, ok := strings.CutPrefix(rest, "equivalent: "); ok {
			m.argument = strings.TrimSpace(why)
		} else {
			var body string
			m.file, body, _ = strings.Cut(rest, "\n<<<\n")
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
}

// Each mutation is caught by some test of this package.
func TestMutants(t *testing.T) {
	if *mutants == "" {
		t.Skip("a run of its own: make mutants")
	}
	want := regexp.MustCompile(*mutants)
	slots := make(chan struct{}, 2)
	for _, m := range readMutants(t) {
		if m.argument != "" || !want.MatchString(m.line) {
			continue
		}
		t.Run(m.line, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			m.run(t)
		})
	}
}

var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

func (m mutant) run(t *testing.T) {
	src, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(t.TempDir(), filepath.Base(m.file))
	if err := os.WriteFile(changed, []byte(strings.Replace(string(src), m.old, m.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(t.TempDir(), "overlay.json")
	b, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(dir, m.file): changed}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, b, 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "groups.test")
	if out, err := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("does not build:\n%s", out)
	}
	// What is quick and says most comes first.
	for _, tests := range [][]string{{"-test.skip", slowTests + "|^TestGraphs$"}, {"-test.run", slowTests}} {
		out, err := exec.Command(program, append(tests, "-test.failfast", "-test.timeout=10m", "-rapid.nofailfile", "-histories=400")...).CombinedOutput()
		if err != nil {
			t.Logf("caught by %q", failedTest.FindAllStringSubmatch(string(out), 3))
			if strings.Contains(string(out), "panic: test timed out") {
				t.Log("by not coming to an end, or by a slow machine")
			}
			return
		}
	}
	t.Error("survived: nothing tells it from the original")
}

// slowTests play many histories or all orders. The graphs are left out
// altogether: they would catch nearly everything, being what the rules once
// said; a property or a scenario has to.
const slowTests = "^(TestModelOf.*|TestRandomHistories|TestEveryOrder|TestApplyIsResolve|TestEveryVoidActHasACause|TestEveryMemberHasAProof|TestEveryByteOfAProofCounts)$"
