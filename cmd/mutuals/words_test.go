package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"mutuals/node/api"
)

// testCLI returns a run that reads in and whose streams are no terminals.
func testCLI(in string, env map[string]string) (c *cli, out, errs *bytes.Buffer) {
	out, errs = &bytes.Buffer{}, &bytes.Buffer{}
	c = newCLI(strings.NewReader(in), out, errs, func(name string) string { return env[name] })
	return c, out, errs
}

func TestLanguage(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want api.Lang
	}{
		{nil, api.English},
		{map[string]string{"LANG": "zh_CN.UTF-8"}, api.Chinese},
		{map[string]string{"LANG": "ZH_tw"}, api.Chinese},
		{map[string]string{"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, api.English},
		{map[string]string{"LANG": "en_GB", "LC_MESSAGES": "zh_CN"}, api.Chinese},
	} {
		if got := language(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v: %s, want %s", c.env, got, c.want)
		}
	}
}

// What others wrote must not be able to steer the reader's terminal.
func TestClean(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"你好 👋\nok\t.", "你好 👋\nok\t."},
		{"\x1b[2Jgone", "<001B>[2Jgone"},
		{"a\rb", "a<000D>b"},
		{"\u009b31m", "<009B>31m"},
		{"evil\u202egpj.exe", "evil<202E>gpj.exe"},
		{"bell\a", "bell<0007>"},
	} {
		if got := clean(c.in); got != c.want {
			t.Errorf("clean(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestTable(t *testing.T) {
	c, out, _ := testCLI("", nil)
	c.table("none", []string{"NAME", "ID"}, [][]string{{"周末徒步", "1"}, {"Books", "2"}, {"a\nb", "3"}})
	want := "NAME      ID\n周末徒步  1\nBooks     2\na ⏎ b     3\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

func TestMatch(t *testing.T) {
	groups := []string{"Hiking", "hiking", "Hikikomori", "Books", "徒步"}
	for _, c := range []struct {
		typed string
		want  string
	}{
		{"Hiking", "[Hiking]"},        // exact
		{"HIKING", "[Hiking hiking]"}, // another case
		{"hik", "[Hiking hiking Hikikomori]"},
		{"b", "[Books]"},
		{"徒", "[徒步]"},
		{"x", "[]"},
		{"", "[]"},
	} {
		if got := fmt.Sprint(match(c.typed, groups, func(s string) []string { return []string{s} })); got != c.want {
			t.Errorf("match(%q) = %s, want %s", c.typed, got, c.want)
		}
	}
}

func TestFail(t *testing.T) {
	for _, c := range []struct {
		err  error
		exit api.Exit
		want string
	}{
		{api.NewProblem(api.NotMutual), api.ExitNotAllowed, "hint: "},
		{api.NewProblem(api.GroupFull), api.ExitConflict, "hint: "},
		{api.NewProblem(api.PasscodeMistyped), api.ExitUsage, "hint: "},
		{api.NewProblem(api.PeerUnreachable), api.ExitNetwork, "hint: "},
		{fmt.Errorf("reading: %w", api.NewProblem(api.NotFound)), api.ExitNotFound, "hint: "},
		{api.ErrNotRunning, api.ExitNotRunning, "hint: run mutuals up"},
		{usage("do that", "not so"), api.ExitUsage, "mutuals: error: not so\nhint: do that\n"},
		{errors.New("odd"), api.ExitFailure, "mutuals: error: odd\n"},
	} {
		cli, _, errs := testCLI("", nil)
		if got := cli.fail(c.err); got != c.exit || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%v: exit %d, want %d; said %q", c.err, got, c.exit, errs)
		}
	}
	zh, _, errs := testCLI("", map[string]string{"LANG": "zh_CN.UTF-8"})
	zh.fail(api.NewProblem(api.GroupFull))
	if !strings.Contains(errs.String(), "群已满") {
		t.Errorf("in Chinese: %q", errs)
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		in   string
		args []string
		want string
	}{
		{"from stdin\n", []string{"-"}, "from stdin\n"},
		{"from stdin", nil, "from stdin"},
		{"unread", []string{"two", "words"}, "two words"},
	} {
		cli, _, _ := testCLI(c.in, nil)
		if got, err := cli.text(c.args, "", nil); err != nil || got != c.want {
			t.Errorf("%v: %q, %v; want %q", c.args, got, err, c.want)
		}
	}
	cli, _, _ := testCLI(strings.Repeat("x", maxInput+1), nil)
	if _, err := cli.text([]string{"-"}, "", nil); err == nil {
		t.Error("more than the bound was read from standard input")
	}
}

// Nothing destructive happens where nobody can be asked.
func TestConfirm(t *testing.T) {
	c, _, _ := testCLI("y\n", nil)
	if err := c.confirm("Really?"); err == nil {
		t.Error("a yes on a pipe was taken for a person's")
	}
	c.yes = true
	if err := c.confirm("Really?"); err != nil {
		t.Errorf("with --yes: %v", err)
	}
}

// Each verb has one line of help, and none clashes with another's name.
func TestVerbs(t *testing.T) {
	c, _, _ := testCLI("", nil)
	root := newRoot(c)
	seen := map[string]bool{}
	for _, v := range root.Commands() {
		for _, name := range append([]string{v.Name()}, v.Aliases...) {
			if seen[name] {
				t.Errorf("two verbs are called %q", name)
			}
			seen[name] = true
		}
		for _, sub := range append(v.Commands(), v) {
			if sub.Short == "" || strings.HasSuffix(sub.Short, ".") {
				t.Errorf("%s: help line %q", sub.CommandPath(), sub.Short)
			}
			if !sub.Runnable() {
				t.Errorf("%s does nothing", sub.CommandPath())
			}
		}
	}
}
