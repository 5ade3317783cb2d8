package node

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

func exportOf(t testing.TB, n *Node, g wire.GroupID) (string, api.Export) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "choir.jsonl")
	task := waitTask(t, n, must[api.Task](t)(n.Export(t.Context(), api.ExportCreate{Group: g, File: file})).ID)
	if task.Stage != api.StageWritten {
		t.Fatalf("export: %+v %+v", task, task.Problem)
	}
	return file, *task.Result.Export
}

// A group is exported with who came how and what they said, also by somebody
// who was removed, and a node that is nobody verifies all of it by the file.
func TestExportAndVerify(t *testing.T) {
	ann, bo, cy := testNode(t, "Ann"), testNode(t, "Bo"), testNode(t, "Cy")
	g := newGroup(t, ann, api.GroupCreate{Name: "Choir"})
	code := invite(t, ann, g, 2, "")
	join(t, bo, code)
	join(t, cy, code)
	say(t, ann, g, "one <&> 一")
	hears(t, bo, g, "one <&> 一")
	say(t, bo, g, "two")
	say(t, cy, g, "three")
	hears(t, ann, g, "two")
	hears(t, ann, g, "three")
	must[api.Member](t)(ann.RemoveMember(t.Context(), g, cy.dev.account(), "off key"))
	say(t, ann, g, "four")
	file, made := exportOf(t, ann, g)
	if _, err := ann.Export(t.Context(), api.ExportCreate{Group: g, File: file}); !isCode(err, api.FileExists) {
		t.Errorf("over a file: %v", err)
	}

	stranger := openNode(t, t.TempDir())
	verify := func(file string) api.Task {
		task := must[api.Task](t)(stranger.VerifyExport(t.Context(), api.ExportOpen{File: file}))
		return awaitTask(t, stranger, task.ID, api.Task.Over)
	}
	task := verify(file)
	if task.Stage != api.StageVerified {
		t.Fatalf("verify: %+v", task.Problem)
	}
	if got := *task.Result.Export; got != made || got.Members != 3 || got.Locked != 0 || got.Incomplete != 0 || got.Account != ann.dev.account() {
		t.Errorf("verified %+v\nmade %+v", got, made)
	}
	whole := must[[]byte](t)(os.ReadFile(file))
	var texts, roles []string
	for line := range bytes.Lines(whole) {
		var l struct {
			Message *groups.ExportMessage
			Member  *struct {
				Account      wire.AccountID
				Role, Status string
			}
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		if l.Message != nil && l.Message.Kind == "text" {
			texts = append(texts, l.Message.Text)
		}
		if l.Member != nil {
			roles = append(roles, l.Member.Role+" "+l.Member.Status)
		}
	}
	if got := strings.Join(texts, ","); !strings.Contains(got, "one <&> 一,four") || !strings.Contains(got, "two") || !strings.Contains(got, "three") {
		t.Errorf("texts: %s", got)
	}
	if got := strings.Join(roles, ","); !strings.Contains(got, "owner seated") || !strings.Contains(got, "member removed") {
		t.Errorf("members: %s", got)
	}

	// A line that says something else is named.
	forged := bytes.Replace(whole, []byte(`"text":"two"`), []byte(`"text":"ten"`), 1)
	path := filepath.Join(t.TempDir(), "forged")
	if err := os.WriteFile(path, forged, 0o600); err != nil {
		t.Fatal(err)
	}
	line := 1 + bytes.Count(forged[:bytes.Index(forged, []byte(`"text":"ten"`))], []byte("\n"))
	if task = verify(path); !isCode(task.Problem, api.ExportInvalid) || !strings.Contains(task.Problem.Detail, "Line "+strconv.Itoa(line)+":") {
		t.Errorf("forged line %d: %+v", line, task.Problem)
	}
	if out := os.Getenv("KEEP_GOLDEN"); out != "" {
		if err := os.WriteFile(out, whole, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
