package server

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

func TestListsAreNeverNull(t *testing.T) {
	s := newTestServer(t, &fake{})
	for path, want := range map[string]string{
		"/groups":                            `{"items":[]}`,
		"/groups/" + someGroup + "/messages": `{"items":[]}`,
		"/doctor":                            `{"items":[]}`,
	} {
		w := ask(t, s, "GET", "/api/v1"+path, "", nil)
		if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != want {
			t.Errorf("%s: %d %s", path, w.Code, got)
		}
	}
	w := ask(t, s, "GET", "/api/v1/status", "", nil)
	if !strings.Contains(w.Body.String(), `"addrs":[]`) || strings.Contains(w.Body.String(), `"account":`) {
		t.Errorf("%s", w.Body)
	}
}

func TestParametersReachTheNode(t *testing.T) {
	var followed wire.AccountID
	var card string
	f := &fake{follow: func(a wire.AccountID, c string) (api.Person, error) {
		followed, card = a, c
		return api.Person{Account: a, Following: true}, nil
	}}
	s := newTestServer(t, f)
	w := ask(t, s, "PUT", "/api/v1/follows/"+someAccount, `{"card":"c"}`, nil)
	if w.Code != 200 || followed.String() != someAccount || card != "c" || !strings.Contains(w.Body.String(), `"account":"`+someAccount+`"`) {
		t.Errorf("%d %s: followed %v by %q", w.Code, w.Body, followed, card)
	}
	if w := ask(t, s, "PUT", "/api/v1/follows/"+someAccount, "", nil); w.Code != 200 || card != "" {
		t.Errorf("without a body: %d, card %q", w.Code, card)
	}
	group := "/api/v1/groups/" + someGroup
	ask(t, s, "GET", group+"/messages?before=abc&limit=200", "", nil)
	ask(t, s, "GET", group+"/messages", "", nil)
	if len(f.pages) != 2 || f.pages[0] != (api.Page{Before: "abc", Limit: 200}) || f.pages[1] != (api.Page{Limit: api.DefaultPage}) {
		t.Errorf("pages %+v", f.pages)
	}
	zh := func(r *http.Request) { r.Header.Set("Accept-Language", "zh-CN") }
	ask(t, s, "POST", group+"/invites", "", zh)
	ask(t, s, "POST", group+"/invites", `{"uses":5,"expires":"7d","lang":"en"}`, zh)
	if len(f.made) != 2 || f.made[0].Lang != "zh" || f.made[1].Lang != "en" || *f.made[1].Uses != 5 || f.made[1].Expires != "7d" {
		t.Errorf("invites %+v", f.made)
	}
}

func TestSendAnswers201(t *testing.T) {
	f := &fake{}
	s := newTestServer(t, f)
	text := `a "b" <c> & 你好 👋`
	in, _ := json.Marshal(api.MessageCreate{Text: text})
	w := ask(t, s, "POST", "/api/v1/groups/"+someGroup+"/messages", string(in), nil)
	var m api.Message
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code != 201 || m.Text != text || m.Group.String() != someGroup || m.State != "stored" {
		t.Errorf("%d %s %v", w.Code, w.Body, err)
	}
	if !strings.Contains(w.Body.String(), "<c> & ") {
		t.Errorf("escaped for HTML: %s", w.Body)
	}
	for _, field := range []string{`"reactions":[]`, `"edited":false`, `"deleted":false`, `"held_by":0`, `"clock":0`} {
		if !strings.Contains(w.Body.String(), field) {
			t.Errorf("no %s in %s", field, w.Body)
		}
	}
}

func TestMetricsArePlainText(t *testing.T) {
	w := ask(t, newTestServer(t, &fake{}), "GET", "/api/v1/metrics", "", nil)
	if kind := w.Header().Get("Content-Type"); w.Code != 200 || !strings.HasPrefix(kind, "text/plain; version=0.0.4") {
		t.Fatalf("%d %s", w.Code, kind)
	}
	want := "# HELP mutuals_ready 1 once it is.\n# TYPE mutuals_ready gauge\nmutuals_ready 1\n"
	if got := w.Body.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
