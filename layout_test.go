package mutuals

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rooms says which of our own packages each package may import. A package
// that is not listed fails the test: a new room is a decision, made here.
var rooms = map[string][]string{
	"":                  {},
	"identity/wire":     {},
	"identity":          {"identity/wire"},
	"invites":           {"identity", "identity/wire"},
	"groups/seal":       {"identity/wire"},
	"groups":            {"identity", "identity/wire", "groups/seal"},
	"groups/timeline":   {"identity", "identity/wire", "groups"},
	"groups/media":      {"identity/wire", "groups/seal"},
	"groups/groupstest": {"identity", "identity/wire", "groups", "groups/seal", "groups/timeline"},
	// It must not depend on what it is compared with but for decoded operations.
	"groups/groupstest/model": {"identity", "identity/wire", "groups"},
	"store/mapped":            {},
	"store":                   {"identity", "identity/wire", "groups", "groups/seal", "groups/timeline", "groups/media", "store/mapped"},
	"node/mesh":               {"identity/wire"},
	"node/mesh/meshtest": {
		"identity/wire", "node/mesh",
	},
	"node/api": {"identity/wire"},
	"node/web": {},
	"node": {
		"identity", "identity/wire", "invites",
		"groups", "groups/seal", "groups/timeline", "groups/media",
		"store", "node/mesh", "node/api",
	},
	"node/server": {"identity", "identity/wire", "node", "node/api", "node/web"},
	"node/nodetest": {
		"identity", "identity/wire", "invites",
		"groups", "groups/seal", "groups/timeline", "groups/groupstest",
		"store", "node", "node/mesh", "node/mesh/meshtest", "node/api", "node/server",
	},
	"node/nodetest/netlab": {},
	// It measures daemons from outside, as their users would.
	"node/nodetest/bench": {"identity/wire", "node/mesh/meshtest", "node/api"},
	"cmd/mutualsd":        {"identity/wire", "node", "node/api", "node/server", "store/mapped"},
	"cmd/mutuals":         {"node/api", "cmd/mutuals/tui"},
	"cmd/mutuals/tui":     {"node/api"},
}

// testRooms are packages made for tests: any test may import them, no other
// code may.
var testRooms = []string{"groups/groupstest", "groups/groupstest/model", "node/nodetest", "node/nodetest/netlab", "node/mesh/meshtest"}

// thirdParty gives each module of others its rooms, by import path prefix.
// "test" admits it to the tests of every room and to the rooms of testRooms.
var thirdParty = map[string][]string{
	"github.com/fxamacker/cbor/v2":               {"identity/wire"},
	"github.com/ipfs/go-cid":                     {"identity/wire", "node/mesh"},
	"github.com/ipfs/go-datastore":               {"node/mesh"},
	"github.com/multiformats/go-multibase":       {"identity/wire"},
	"github.com/multiformats/go-multihash":       {"identity/wire", "node/mesh"},
	"github.com/btcsuite/btcd/btcutil/bech32":    {"identity/wire"},
	"github.com/tyler-smith/go-bip39":            {"identity"},
	"golang.org/x/crypto":                        {"identity", "identity/wire", "invites", "groups/seal", "store", "node"},
	"golang.org/x/text":                          {"identity", "identity/wire", "invites", "groups", "cmd"},
	"filippo.io/age":                             {"node"},
	"github.com/dgraph-io/badger/v4":             {"store"},
	"github.com/dgraph-io/ristretto/v2":          {"store"},
	"github.com/libp2p/":                         {"node/mesh", "node/mesh/meshtest"},
	"github.com/libp2p/go-libp2p-kad-dht":        {"node/mesh"},
	"github.com/multiformats/go-multiaddr":       {"node/mesh", "node/mesh/meshtest"},
	"github.com/multiformats/go-varint":          {"node/mesh"},
	"github.com/multiformats/go-multiaddr-dns":   {"node/mesh"},
	"github.com/ipfs/boxo":                       {"node/mesh"},
	"github.com/klauspost/compress":              {"store"},
	"google.golang.org/protobuf":                 {"node/mesh", "node/mesh/meshtest", "store"},
	"github.com/quic-go/quic-go":                 {"node/mesh", "node/mesh/meshtest"},
	"go.uber.org/fx":                             {"node/mesh/meshtest"},
	"github.com/marcopolo/simnet":                {"node/mesh/meshtest", "node/nodetest", "test"},
	"github.com/danielgtaylor/huma/v2":           {"node/server"},
	"golang.org/x/time":                          {"node", "node/mesh", "node/server"},
	"golang.org/x/sync":                          {"node", "node/mesh", "node/server", "store"},
	"golang.org/x/sys":                           {"node", "store", "cmd"},
	"github.com/zalando/go-keyring":              {"node"},
	"github.com/prometheus/client_golang":        {"node", "node/server", "node/mesh"},
	"github.com/prometheus/common":               {"node/server"},
	"rsc.io/qr":                                  {"node/server", "cmd"},
	"github.com/BurntSushi/toml":                 {"node", "cmd/mutualsd"},
	"github.com/spf13/":                          {"cmd"},
	"golang.org/x/term":                          {"cmd"},
	"charm.land/":                                {"cmd/mutuals/tui"},
	"github.com/rogpeppe/go-internal/testscript": {"test"},
	"pgregory.net/rapid":                         {"test"},
	"go.uber.org/goleak":                         {"test"},
	"github.com/cockroachdb/datadriven":          {"test"},
}

// pure rooms are functions of their arguments: no I/O, no clock, no
// randomness of their own, nothing running beside the caller.
var pure = []string{"identity/wire", "identity", "invites", "groups/seal", "groups", "groups/timeline", "groups/media"}

// impure are the standard packages a pure room must not import.
var impure = []string{"os", "io/fs", "net", "net/http", "log", "log/slog", "crypto/rand", "math/rand", "math/rand/v2", "context"}

// clocks are the functions of package time that read or wait for a clock.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// bannedNames say nothing about what is inside.
var bannedNames = []string{"util", "utils", "common", "types", "helpers", "models", "core", "manager", "shared", "misc", "base"}

// tooHeavy must not be linked into the command line: it talks to a daemon, it
// is not one.
var tooHeavy = []string{"github.com/libp2p/", "github.com/dgraph-io/", "github.com/danielgtaylor/huma", "github.com/ipfs/boxo", "github.com/multiformats/go-multiaddr"}

type listed struct {
	Dir, ImportPath, Name              string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports, TestImports, XTestImports []string
}

// room is the path of the package inside the module, "" for the root.
func (p listed) room() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, "mutuals"), "/")
}

func packages(t *testing.T) []listed {
	t.Helper()
	out := goList(t, "-e", "-json=Dir,ImportPath,Name,GoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports", "./...")
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("reading go list: %v", err)
		}
		all = append(all, p)
	}
}

func goList(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return out
}

// within reports whether room is one of the list or lies below one of it.
func within(room string, list []string) bool {
	return slices.ContainsFunc(list, func(r string) bool { return room == r || strings.HasPrefix(room, r+"/") })
}

// TestLayoutDirections holds every import between our own packages to the
// table of rooms.
func TestLayoutDirections(t *testing.T) {
	for _, p := range packages(t) {
		room := p.room()
		may, known := rooms[room]
		if !known {
			t.Errorf("%s: not in the table of rooms (layout_test.go, architecture in doc.go)", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			to, own := strings.CutPrefix(imp, "mutuals/")
			if own && !slices.Contains(may, to) {
				t.Errorf("%s imports %s; it may import only %v", room, to, may)
			}
		}
		for _, imp := range slices.Concat(p.TestImports, p.XTestImports) {
			to, own := strings.CutPrefix(imp, "mutuals/")
			if own && to != room && !slices.Contains(may, to) && !slices.Contains(testRooms, to) {
				t.Errorf("tests of %s import %s; they may import only %v and %v", room, to, may, testRooms)
			}
		}
	}
}

// TestLayoutThirdParty holds others' code to its rooms.
func TestLayoutThirdParty(t *testing.T) {
	for _, p := range packages(t) {
		room := p.room()
		check := func(imports []string, test bool) {
			for _, imp := range imports {
				first, _, _ := strings.Cut(imp, "/")
				if !strings.Contains(first, ".") {
					continue // the standard library and ourselves
				}
				allowed, known := roomsOf(imp)
				if !known {
					t.Errorf("%s imports %s, which has no room; give it one in layout_test.go", room, imp)
					continue
				}
				if within(room, allowed) || test && slices.Contains(allowed, "test") ||
					slices.Contains(testRooms, room) && slices.Contains(allowed, "test") {
					continue
				}
				t.Errorf("%s imports %s, which lives in %v", room, imp, allowed)
			}
		}
		check(p.Imports, false)
		check(p.TestImports, true)
		check(p.XTestImports, true)
	}
}

// roomsOf finds the longest entry of thirdParty that covers an import path.
func roomsOf(imp string) (allowed []string, known bool) {
	longest := -1
	for prefix, in := range thirdParty {
		covers := imp == prefix || strings.HasPrefix(imp, strings.TrimSuffix(prefix, "/")+"/")
		if covers && len(prefix) > longest {
			allowed, known, longest = in, true, len(prefix)
		}
	}
	return allowed, known
}

// TestLayoutDocs demands one package comment for each package, in doc.go.
func TestLayoutDocs(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		if slices.Contains(bannedNames, path.Base(p.ImportPath)) {
			t.Errorf("%s: a name that says nothing about what is inside", p.ImportPath)
		}
		var with []string
		for _, f := range parse(t, p, parser.ParseComments|parser.PackageClauseOnly) {
			if f.ast.Doc != nil {
				with = append(with, f.name)
			}
		}
		if !slices.Equal(with, []string{"doc.go"}) {
			t.Errorf("%s: package comments in %v, want one, in doc.go", p.ImportPath, with)
		}
	}
}

// TestLayoutPure finds clocks, goroutines, randomness and I/O in the rooms
// that must have none, and init functions anywhere.
func TestLayoutPure(t *testing.T) {
	for _, p := range packages(t) {
		isPure := slices.Contains(pure, p.room())
		if isPure {
			for _, imp := range p.Imports {
				if slices.Contains(impure, imp) {
					t.Errorf("%s imports %s, but is a pure room", p.room(), imp)
				}
			}
		}
		for _, f := range parse(t, p, parser.SkipObjectResolution) {
			ast.Inspect(f.ast, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					if n.Recv == nil && n.Name.Name == "init" {
						t.Errorf("%s/%s: has an init function; wire explicitly", p.room(), f.name)
					}
				case *ast.GoStmt:
					if isPure {
						t.Errorf("%s/%s: starts a goroutine, but is a pure room", p.room(), f.name)
					}
				case *ast.SelectorExpr:
					x, ok := n.X.(*ast.Ident)
					if isPure && ok && x.Name == "time" && slices.Contains(clocks, n.Sel.Name) {
						t.Errorf("%s/%s: uses time.%s; time comes in as an argument", p.room(), f.name, n.Sel.Name)
					}
				}
				return true
			})
		}
	}
}

type parsed struct {
	name string
	ast  *ast.File
}

func parse(t *testing.T, p listed, mode parser.Mode) []parsed {
	t.Helper()
	var files []parsed
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, mode)
		if err != nil {
			t.Fatalf("%s: %v", p.ImportPath, err)
		}
		files = append(files, parsed{name, f})
	}
	return files
}

// TestLayoutLink looks at everything that is linked into the command line,
// not only at what it imports itself.
func TestLayoutLink(t *testing.T) {
	if !slices.ContainsFunc(packages(t), func(p listed) bool { return p.room() == "cmd/mutuals" }) {
		return // nothing to link yet
	}
	for dep := range strings.Lines(string(goList(t, "-e", "-deps", "./cmd/mutuals"))) {
		dep = strings.TrimSpace(dep)
		for _, heavy := range tooHeavy {
			if strings.HasPrefix(dep, heavy) {
				t.Errorf("cmd/mutuals links %s; it is to know node/api only", dep)
			}
		}
		if own, ok := strings.CutPrefix(dep, "mutuals/"); ok && !within(own, []string{"cmd/mutuals", "node/api", "identity/wire"}) {
			t.Errorf("cmd/mutuals links mutuals/%s; it is to know node/api only", own)
		}
	}
}

// TestLayoutMap finds names of files in the map, doc.go, that are not there.
func TestLayoutMap(t *testing.T) {
	b, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`[a-z]+(?:/[a-z]+)*/[A-Za-z]+\.(?:go|md)\b`).FindAllString(string(b), -1)
	if len(names) < 10 {
		t.Errorf("found %d names of files in doc.go", len(names))
	}
	for _, name := range names {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("doc.go names %s: %v", name, err)
		}
	}
}

// rulebooks says which file numbers the rules of a letter. The letters of
// store/SPEC.md are its own and cited in that room only.
var rulebooks = map[string]string{
	"R": "groups/SPEC.md", "Y": "groups/SYNC.md", "S": "groups/seal/SPEC.md", "T": "groups/timeline/SPEC.md",
	"I": "identity/SPEC.md", "W": "identity/SPEC.md", "V": "invites/SPEC.md", "N": "node/PROTOCOLS.md",
}

// TestLayoutRules finds numbers of rules in comments and in the rulebooks
// that no rulebook has.
func TestLayoutRules(t *testing.T) {
	cite := regexp.MustCompile(`\b([A-Z])([0-9]{1,2})\b`)
	rule := regexp.MustCompile(`(?m)^(?:[-#]+ )?(?:\*\*)?([A-Z][0-9]+)\b`)
	known := map[string]bool{}
	texts := map[string]string{}
	for _, name := range rulebooks {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(b)
		for _, m := range rule.FindAllStringSubmatch(texts[name], -1) {
			known[m[1]] = true
		}
	}
	for _, p := range packages(t) {
		if within(p.room(), []string{"store", "node/nodetest/bench"}) {
			continue // the letters mean other things there
		}
		for _, f := range parse(t, p, parser.ParseComments|parser.SkipObjectResolution) {
			for _, c := range f.ast.Comments {
				texts[path.Join(p.room(), f.name)] += c.Text()
			}
		}
	}
	for name, text := range texts {
		for _, m := range cite.FindAllStringSubmatch(text, -1) {
			if rulebooks[m[1]] != "" && !known[m[0]] {
				t.Errorf("%s cites rule %s, which %s does not have", name, m[0], rulebooks[m[1]])
			}
		}
	}
}
