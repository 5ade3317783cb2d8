package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

var (
	someGroup   = wire.GroupID{1}.String()
	someAccount = wire.AccountID{2}.String()
)

func TestUnknownRoutesAndMethodsAreProblems(t *testing.T) {
	s := newTestServer(t, &fake{})
	for _, path := range []string{"/nope", "/api/v1/nope", "/api/v1/", "/api/v1/vouchers", "/api/v2/status", "/favicon.ico", "/api/v1/groups/" + someGroup + "/receipts"} {
		wantProblem(t, ask(t, s, "GET", path, "", nil), 404, api.NotFound)
	}
	w := ask(t, s, "DELETE", "/api/v1/status", "", nil)
	wantProblem(t, w, 405, api.BadRequest)
	if !strings.Contains(w.Header().Get("Allow"), "GET") {
		t.Errorf("Allow %q", w.Header().Get("Allow"))
	}
	// An id that is none names nothing that exists.
	for _, path := range []string{"/api/v1/groups/xyz", "/api/v1/groups/xyz/messages", "/api/v1/people/xyz", "/api/v1/people/" + someGroup} {
		wantProblem(t, ask(t, s, "GET", path, "", nil), 404, api.NotFound)
	}
}

func TestBadBodiesAreProblemsThatEchoNothing(t *testing.T) {
	s := newTestServer(t, &fake{})
	const secret = "SECRET-PASSCODE-abandon-ability"
	group := "/api/v1/groups/" + someGroup
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/api/v1/groups", `{"name":5,"description":"` + secret + `"}`},
		{"POST", "/api/v1/groups", `{"name":"x","cap":"` + secret + `"}`},
		{"POST", "/api/v1/groups", `{"name":"x","policy":{"history":"` + secret + `"}}`},
		{"POST", "/api/v1/groups", `{"name":"x","policy":{"who_invites":"` + secret + `"}}`},
		{"POST", "/api/v1/groups", `{"name":"x","` + secret + `":1}`},
		{"POST", "/api/v1/groups", `{"name":"x"` + secret},
		{"POST", "/api/v1/groups", secret},
		{"POST", "/api/v1/groups", `["` + secret + `"]`},
		{"POST", "/api/v1/groups", ``},
		{"POST", "/api/v1/identity", `{"name":"x","words":["` + secret + `"]}`},
		{"POST", "/api/v1/identity", `{"name":"` + strings.Repeat(secret, 9) + `"}`},
		{"POST", "/api/v1/invites/join", `{"text":{"` + secret + `":1}}`},
		{"POST", "/api/v1/invites/inspect", `{"text":"` + secret + `","preview":"` + secret + `"}`},
		{"POST", group + "/messages", `{"text":"` + secret + `","reply_to":"` + secret + `"}`},
		{"POST", group + "/messages", `{"text":"` + secret + `","mentions":["` + secret + `"]}`},
		{"POST", group + "/messages", `{"text":""}`},
		{"POST", group + "/messages", `{"text":"` + secret + `","files":["x"]}`},
		{"POST", group + "/members", `{"account":"` + secret + `"}`},
		{"POST", group + "/invites", `{"expires":"` + secret + `"}`},
		{"GET", group + "/messages?limit=" + secret, ""},
		{"GET", group + "/messages?limit=201", ""},
		{"GET", group + "/messages?limit=0", ""},
		{"GET", group + "/messages?before=a&after=b", ""},
		{"GET", "/api/v1/events?wait=" + secret[:10], ""},
		{"GET", "/api/v1/events?wait=10h", ""},
	} {
		w := ask(t, s, c.method, c.path, c.body, nil)
		p := wantProblem(t, w, 400, api.BadRequest)
		if strings.Contains(strings.ToLower(w.Body.String()), "secret") || strings.Contains(w.Body.String(), "abandon") {
			t.Errorf("%s %s %s echoes: %s", c.method, c.path, c.body, w.Body)
		}
		t.Logf("%s", p.Detail)
	}
}

func TestProblemsOfTheNodeArriveInTheReadersLanguage(t *testing.T) {
	s := newTestServer(t, &fake{sendErr: fmt.Errorf("sending: %w", api.NewProblem(api.GroupFull, "cap", "3"))})
	path := "/api/v1/groups/" + someGroup + "/messages"
	for lang, detail := range map[string]string{
		"": "All 3 seats are taken.", "en-GB,zh;q=0.5": "All 3 seats are taken.", "fr": "All 3 seats are taken.",
		"zh": "3 个名额都已占用。", "zh-Hans-CN,en": "3 个名额都已占用。", "fr,zh-TW": "3 个名额都已占用。",
	} {
		w := ask(t, s, "POST", path, `{"text":"x"}`, func(r *http.Request) { r.Header.Set("Accept-Language", lang) })
		if p := wantProblem(t, w, 409, api.GroupFull); p.Detail != detail || !p.Retryable {
			t.Errorf("%q: %+v", lang, p)
		}
		if !strings.Contains(w.Header().Get("Vary"), "Accept-Language") {
			t.Errorf("%q: no Vary", lang)
		}
	}
	zh := func(r *http.Request) { r.Header.Set("Accept-Language", "zh") }
	if p := wantProblem(t, ask(t, s, "GET", "/nope", "", zh), 404, api.NotFound); p.Title != "没有找到" {
		t.Errorf("%+v", p)
	}
	if p := wantProblem(t, ask(t, s, "POST", "/api/v1/groups", `{}`, zh), 400, api.BadRequest); p.Title != "无法理解这个请求" {
		t.Errorf("%+v", p)
	}
	// And inside a task.
	s = newTestServer(t, &fake{task: api.Task{ID: "1", Problem: api.NewProblem(api.PasscodeMistyped, "part", "3", "letters", "ABCDE")}})
	if w := ask(t, s, "GET", "/api/v1/tasks/1", "", zh); w.Code != 200 || !strings.Contains(w.Body.String(), "第 3 段（ABCDE）有误") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestOtherErrorsAreInternalAndNotTold(t *testing.T) {
	s := newTestServer(t, &fake{})
	w := ask(t, s, "GET", "/api/v1/groups/"+someGroup, "", nil)
	wantProblem(t, w, 500, api.Internal)
	if strings.Contains(w.Body.String(), "secret path") {
		t.Errorf("tells %s", w.Body)
	}
}

func TestBeforeAnIdentityFewVerbsAnswer(t *testing.T) {
	f := &fake{noIdentity: true}
	s := newTestServer(t, f)
	for _, path := range []string{"status", "health", "ready", "version", "metrics", "openapi.json"} {
		if w := ask(t, s, "GET", "/api/v1/"+path, "", nil); w.Code != 200 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	for _, path := range []string{"identity", "identity/card", "profile", "people", "follows", "requests", "groups", "groups/" + someGroup + "/messages", "tasks", "events", "events?wait=1s", "snapshot", "peers", "network", "doctor"} {
		wantProblem(t, ask(t, s, "GET", "/api/v1/"+path, "", nil), 409, api.NoIdentity)
	}
	f.noIdentity = false
	if w := ask(t, s, "GET", "/api/v1/groups", "", nil); w.Code != 200 {
		t.Errorf("after it: %d", w.Code)
	}
}
