package groups_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A program for each mutation would be built for longer than it runs. So there
// is one that carries all of them: each function that a mutation changes is
// there a second time as it is changed, and the first goes on in the second if
// the environment names that mutation.

// naming is the source that goes with the woven ones.
const naming = `package groups

import (
	"os"
	"strconv"
)

var mutation, _ = strconv.Atoi(os.Getenv("MUTATION"))
`

// edit replaces what is in a source from one byte to another.
type edit struct {
	from, to int
	text     string
}

// weave puts mutations of one file into its source.
func weave(src string, list []mutant) (string, error) {
	funcs, err := functions(src)
	if err != nil {
		return "", err
	}
	copies := ""
	edits := map[int][]edit{} // by where the function begins
	for _, m := range list {
		at := strings.Index(src, m.old)
		changed := strings.Replace(src, m.old, m.new, 1)
		others, err := functions(changed)
		if err != nil {
			return "", fmt.Errorf("%s: %w", m.line, err)
		}
		i := slices.IndexFunc(funcs, func(f *ast.FuncDecl) bool { return begin(f) <= at && at < end(f) })
		if i < 0 || i >= len(others) || begin(others[i]) != begin(funcs[i]) {
			return "", fmt.Errorf("%s: it is not within a function", m.line)
		}
		f, other := funcs[i], others[i]
		name := fmt.Sprintf("%s_%d", f.Name.Name, m.number)
		call, names := calling(f, name)
		if edits[i] == nil {
			edits[i] = names
		}
		inside := int(f.Body.Lbrace)
		edits[i] = append(edits[i], edit{inside, inside, fmt.Sprintf("\nif mutation == %d {\n%s\n}\n", m.number, call)})
		// What the compiler says of a copy it says of that mutation's lines.
		copies += fmt.Sprintf("\n//line mutation%d.go:1\n%s%s%s\n", m.number,
			changed[begin(other):int(other.Name.Pos())-1], name, changed[int(other.Name.End())-1:end(other)])
	}
	var all []edit
	for _, e := range edits {
		all = append(all, e...)
	}
	slices.SortStableFunc(all, func(a, b edit) int { return cmp.Compare(b.from, a.from) })
	for _, e := range all {
		src = src[:e.from] + e.text + src[e.to:]
	}
	return src + copies, nil
}

// weaveAll gives the sources that a program with all these mutations has in
// the place of ours.
func weaveAll(list []mutant) (map[string]string, error) {
	made := map[string]string{"mutation.go": naming}
	byFile := map[string][]mutant{}
	for _, m := range list {
		byFile[m.file] = append(byFile[m.file], m)
	}
	for file, those := range byFile {
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if made[file], err = weave(string(src), those); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// functions are those of a source that have a body, in order. Their positions
// are the bytes' plus one.
func functions(src string) (out []*ast.FuncDecl, err error) {
	f, err := parser.ParseFile(token.NewFileSet(), "", src, 0)
	if err != nil {
		return nil, err
	}
	for _, d := range f.Decls {
		if d, ok := d.(*ast.FuncDecl); ok && d.Body != nil {
			out = append(out, d)
		}
	}
	return out, nil
}

func begin(n ast.Node) int { return int(n.Pos()) - 1 }
func end(n ast.Node) int   { return int(n.End()) - 1 }

// calling is how a function calls another of the same parameters, and the
// names that its own need for that.
func calling(f *ast.FuncDecl, name string) (string, []edit) {
	var names []edit
	named := func(list *ast.FieldList) (out []string) {
		if list == nil {
			return nil
		}
		for _, p := range list.List {
			if len(p.Names) == 0 {
				own := fmt.Sprintf("p%d", begin(p))
				names = append(names, edit{begin(p.Type), begin(p.Type), own + " "})
				out = append(out, own)
			}
			for _, id := range p.Names {
				own := id.Name
				if own == "_" {
					own = fmt.Sprintf("p%d", begin(id))
					names = append(names, edit{begin(id), end(id), own})
				}
				if _, many := p.Type.(*ast.Ellipsis); many {
					own += "..."
				}
				out = append(out, own)
			}
		}
		return out
	}
	if recv := named(f.Recv); recv != nil {
		name = recv[0] + "." + name
	}
	if types := named(f.Type.TypeParams); types != nil {
		name += "[" + strings.Join(types, ", ") + "]"
	}
	call := name + "(" + strings.Join(named(f.Type.Params), ", ") + ")"
	if f.Type.Results != nil {
		return "return " + call, names
	}
	return call + "\nreturn", names
}

var misbuilt = regexp.MustCompile(`mutation(\d+)\.go:.*`)

// carry builds the program, and tells what the compiler says of mutations that
// it had to leave out.
func carry(t *testing.T, list []mutant) (program string, left map[int]string) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	left = map[int]string{}
	program = filepath.Join(t.TempDir(), "groups.test")
	for {
		made, err := weaveAll(slices.DeleteFunc(slices.Clone(list), func(m mutant) bool { return left[m.number] != "" }))
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("go", "test", "-c", "-gcflags=-e", "-overlay", overlay(t, dir, made), "-o", program, ".").CombinedOutput()
		if err == nil {
			return program, left
		}
		more := misbuilt.FindAllStringSubmatch(string(out), -1)
		if more == nil {
			t.Fatalf("does not build:\n%s", out)
		}
		for _, line := range more {
			n, _ := strconv.Atoi(line[1])
			left[n] += line[0] + "\n"
		}
	}
}

// overlay writes sources and the list of what they stand for.
func overlay(t *testing.T, dir string, made map[string]string) string {
	t.Helper()
	at := t.TempDir()
	replace := map[string]string{}
	for name, src := range made {
		replace[filepath.Join(dir, name)] = filepath.Join(at, name)
		if err := os.WriteFile(filepath.Join(at, name), []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(at, "overlay.json")
	if err := os.WriteFile(list, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return list
}
