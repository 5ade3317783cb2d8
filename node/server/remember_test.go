package server

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"mutuals/node/api"
)

func TestIdempotencyKey(t *testing.T) {
	f := &fake{}
	s := newTestServer(t, f)
	path := "/api/v1/groups/" + someGroup + "/messages"
	post := func(key, text string) (int, string, bool) {
		w := ask(t, s, "POST", path, `{"text":"`+text+`"}`, func(r *http.Request) { r.Header.Set("Idempotency-Key", key) })
		return w.Code, w.Body.String(), w.Header().Get("Idempotency-Replayed") == "true"
	}
	code, first, replayed := post("k1", "hello")
	if code != 201 || replayed {
		t.Fatalf("%d %s", code, first)
	}
	if code, again, replayed := post("k1", "hello"); code != 201 || again != first || !replayed || len(f.sent) != 1 {
		t.Errorf("again: %d %s, replayed %v, sent %d", code, again, replayed, len(f.sent))
	}
	w := ask(t, s, "POST", path, `{"text":"other"}`, func(r *http.Request) { r.Header.Set("Idempotency-Key", "k1") })
	wantProblem(t, w, 409, api.IdempotencyConflict)
	if code, _, _ := post("k2", "hello"); code != 201 || len(f.sent) != 2 {
		t.Errorf("another key: %d, sent %d", code, len(f.sent))
	}
	// A refusal is not kept: it may be lifted.
	f.sendErr = api.NewProblem(api.NotSynced)
	if code, _, _ := post("k3", "hello"); code != 409 {
		t.Errorf("refused: %d", code)
	}
	f.sendErr = nil
	if code, _, _ := post("k3", "hello"); code != 201 {
		t.Errorf("lifted: %d", code)
	}
	for _, bad := range []string{strings.Repeat("x", 256), "schlüssel"} {
		w := ask(t, s, "POST", path, `{"text":"x"}`, func(r *http.Request) { r.Header.Set("Idempotency-Key", bad) })
		wantProblem(t, w, 400, api.BadRequest)
	}
}

func TestOneKeyAtOnceMakesOneThing(t *testing.T) {
	f := &fake{}
	s := newTestServer(t, f)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			w := ask(t, s, "POST", "/api/v1/groups/"+someGroup+"/messages", `{"text":"hello"}`, func(r *http.Request) { r.Header.Set("Idempotency-Key", "k") })
			if w.Code != 201 {
				t.Errorf("%d", w.Code)
			}
		})
	}
	all.Wait()
	if len(f.sent) != 1 {
		t.Errorf("sent %d", len(f.sent))
	}
}

func TestWordsAreKeptUnderNoKey(t *testing.T) {
	for _, path := range []string{"/identity", "/identity/words"} {
		if !forgets(api.Prefix + path) {
			t.Errorf("%s is kept", path)
		}
	}
}
