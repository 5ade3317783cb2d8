package groups_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"mutuals/groups"
	"mutuals/identity"
	"mutuals/identity/wire"
)

// An export as it was once written: it holds for ever.
const exported = "testdata/vectors/export-1.jsonl"

var everyByte = flag.Bool("every-byte", false, "change every byte of the export, not every 97th")

func readExported(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(exported)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestExportVector(t *testing.T) {
	got, err := groups.VerifyExport(bytes.NewReader(readExported(t)))
	if err != nil {
		t.Fatal(err)
	}
	if got.Lines != 21 || got.Operations != 7 || got.Members != 3 || got.Messages != 9 || got.Locked != 0 || got.Incomplete != 0 {
		t.Errorf("%+v", got)
	}
}

// No byte can be another, or missing, or too many; the error names a line at or
// behind it.
func TestExportBytes(t *testing.T) {
	whole := readExported(t)
	step := 97
	if *everyByte {
		step = 1
	}
	refused := func(what string, at int, b []byte) {
		t.Helper()
		_, err := groups.VerifyExport(bytes.NewReader(b))
		var bad *groups.ExportError
		if !errors.As(err, &bad) {
			t.Fatalf("%s %d: %v", what, at, err)
		}
		if line := 1 + bytes.Count(whole[:at], []byte("\n")); bad.Line < line {
			t.Errorf("%s %d, in line %d: said of line %d: %v", what, at, line, bad.Line, bad.Err)
		}
	}
	for at := 0; at < len(whole); at += step {
		b := bytes.Clone(whole)
		b[at] ^= 1
		refused("changed", at, b)
		refused("without", at, append(bytes.Clone(whole[:at]), whole[at+1:]...))
		refused("cut at", at, whole[:at])
	}
	refused("more than", len(whole)-1, append(bytes.Clone(whole), '\n'))
}

// resign makes an export of other lines that somebody else signs: what a member
// can do with one, or anybody who has it.
func resign(t *testing.T, lines [][]byte) []byte {
	t.Helper()
	e, err := identity.NewEntropy(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := identity.NewDeviceKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := e.Root()
	cert := identity.Certificate{V: 1, Account: root.Account(), OpKey: keys.ID(), PeerKey: keys.PeerKey(), DeviceNo: 1, IssuedMs: 1}
	var h groups.ExportHeader
	if err := json.Unmarshal(lines[0], &h); err != nil {
		t.Fatal(err)
	}
	h.Account, h.Device, h.Chain = root.Account(), keys.ID(), wire.Marshal(identity.Chain{root.Certify(cert)})
	x, err := groups.NewExport(h)
	if err != nil {
		t.Fatal(err)
	}
	lines = append([][]byte{x.Header()}, lines[1:len(lines)-1]...)
	body := bytes.Join(lines, nil)
	sum := sha256.Sum256(body)
	sig := wire.Sign(wire.DomainExport, keys.Op, wire.Context(h.Group), x.Core(len(lines), sum))
	end, err := json.Marshal(map[string]any{"end": struct {
		Lines  int    `json:"lines"`
		SHA256 string `json:"sha256"`
		Sig    []byte `json:"signature"`
	}{len(lines), hex.EncodeToString(sum[:]), sig[:]}})
	if err != nil {
		t.Fatal(err)
	}
	return append(append(body, end...), '\n')
}

// Whoever signs an export anew cannot put words into others' mouths, nor seats
// under them: what lines say is what operations say.
func TestExportForged(t *testing.T) {
	whole := bytes.SplitAfter(readExported(t), []byte("\n"))
	whole = whole[:len(whole)-1]
	at := func(part string) int {
		for i, l := range whole {
			if bytes.Contains(l, []byte(part)) {
				return i
			}
		}
		t.Fatalf("no line with %s", part)
		return 0
	}
	change := func(old, to string) func([][]byte) [][]byte {
		i := at(old)
		return func(l [][]byte) [][]byte {
			l[i] = bytes.Replace(l[i], []byte(old), []byte(to), 1)
			return l
		}
	}
	without := func(i int) func([][]byte) [][]byte {
		return func(l [][]byte) [][]byte { return append(l[:i], l[i+1:]...) }
	}
	two, removed, first := at(`"text":"two"`), at(`"status":"removed"`), at(`"message"`)
	for name, c := range map[string]struct {
		forge func([][]byte) [][]byte
		says  string // empty: it holds
	}{
		"signed anew":         {func(l [][]byte) [][]byte { return l }, ""},
		"last words left out": {func(l [][]byte) [][]byte { return append(l[:two-1], l[two+1:]...) }, ""}, // said in EXPORT.md
		"other words":         {change(`"text":"two"`, `"text":"ten"`), "not what its operation says"},
		"other author":        {change(`"author":"mu1wmk`, `"author":"mu1wmq`), ""},
		"other role":          {change(`"role":"owner"`, `"role":"admin"`), "not what its operation says"},
		"removal undone":      {change(`"status":"removed"`, `"status":"seated"`), "not what its operation says"},
		"member left out":     {without(removed), "a member is missing"},
		"a word left out":     {without(first + 1), "breaks off"},
		"genesis left out":    {without(1), ""},
		"said twice":          {func(l [][]byte) [][]byte { return append(l[:two+1], l[two:]...) }, ""},
		"order changed": {func(l [][]byte) [][]byte {
			l[first], l[first+1] = l[first+1], l[first]
			return l
		}, ""},
		"folded":           {change(`"text":"two"}`, `"text":"two","folded":true}`), "not what its operation says"},
		"another spelling": {change(`"text":"two"`, `"text": "two"`), "not what its operation says"},
		"a field more":     {change(`"text":"two"`, `"text":"two","x":1`), "not what its operation says"},
	} {
		lines := make([][]byte, len(whole))
		for i, l := range whole {
			lines[i] = bytes.Clone(l)
		}
		_, err := groups.VerifyExport(bytes.NewReader(resign(t, c.forge(lines))))
		holds := name == "signed anew" || name == "last words left out"
		switch {
		case holds != (err == nil):
			t.Errorf("%s: %v", name, err)
		case c.says != "" && !strings.Contains(err.Error(), c.says):
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// A message whose body was dropped stays in its chain, says so, and takes no key.
func TestExportPruned(t *testing.T) {
	var x *groups.Export
	for line := range bytes.Lines(readExported(t)) {
		var l struct {
			Operation, Message json.RawMessage
			Frame              []byte
		}
		err := json.Unmarshal(line, &l)
		switch {
		case err != nil:
		case x == nil:
			var h groups.ExportHeader
			if err = json.Unmarshal(line, &h); err == nil {
				x, err = groups.NewExport(h)
			}
		case l.Operation != nil:
			_, err = x.Control(l.Frame)
		case l.Message != nil:
			if x.Summary().Members == 0 {
				_, err = x.Members()
			}
			op, refusal := groups.Decode(l.Frame)
			if err != nil || refusal != nil {
				t.Fatal(err, refusal)
			}
			op.Cipher = nil
			var lines [][]byte
			lines, err = x.Content(op.Frame(), nil)
			for _, l := range lines {
				if !bytes.Contains(l, []byte(`"kind":"pruned"`)) || bytes.Contains(l, []byte(`"key"`)) {
					t.Errorf("%s", l)
				}
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := x.Summary(); got.Pruned != 9 || got.Messages != 9 {
		t.Errorf("%+v", got)
	}
}

func FuzzExport(f *testing.F) {
	whole := readExported(f)
	f.Add(whole)
	lines := bytes.SplitAfter(whole, []byte("\n"))
	f.Add(bytes.Join(lines[:3], nil))
	f.Add(lines[0])
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := groups.VerifyExport(bytes.NewReader(b))
		if err == nil && !bytes.Equal(b, whole) {
			t.Errorf("holds, and nobody signed it: %+v", got)
		}
	})
}
