package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// fake stands in for a node where a test is about HTTP. What is not overridden
// panics, and no test here calls it.
type fake struct {
	Node
	noIdentity bool
	sendErr    error
	slowSend   time.Duration
	follow     func(wire.AccountID, string) (api.Person, error)
	task       api.Task
	slow       chan struct{} // doctor waits for it

	mu     sync.Mutex
	sent   []api.MessageCreate
	pages  []api.Page
	made   []api.InviteCreate
	keys   map[string]fakeAnswer
	events []api.Event
	floor  int // events up to here are pruned
	more   chan struct{}
	watch  chan api.Event
}

type fakeAnswer struct {
	hash [32]byte
	api.StoredResponse
}

func (f *fake) Status(context.Context) api.Status {
	if f.noIdentity {
		return api.Status{Ready: true, Identity: api.IdentityNone}
	}
	return api.Status{Ready: true, Identity: api.IdentityReady}
}

func (f *fake) Groups(context.Context) ([]api.Group, error) { return nil, nil }

// entered waits until somebody waits in Doctor.
func (f *fake) entered() { f.slow <- struct{}{} }

func (f *fake) Doctor(ctx context.Context) ([]api.Finding, error) {
	if f.slow != nil {
		select {
		case <-f.slow: // entered
		case <-ctx.Done():
		}
	}
	if f.slow != nil {
		select {
		case <-f.slow:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, nil
}

func (f *fake) Shutdown(context.Context, bool) error { panic("boom") }

func (f *fake) Group(context.Context, wire.GroupID) (api.Group, error) {
	return api.Group{}, fmt.Errorf("reading group: secret path /x/y")
}

func (f *fake) Follow(_ context.Context, a wire.AccountID, card string) (api.Person, error) {
	return f.follow(a, card)
}

func (f *fake) Task(context.Context, string) (api.Task, error) { return f.task, nil }

func (f *fake) CreateInvite(_ context.Context, g wire.GroupID, in api.InviteCreate) (api.Invite, error) {
	f.made = append(f.made, in)
	return api.Invite{Group: g}, nil
}

func (f *fake) Messages(_ context.Context, _ wire.GroupID, p api.Page) (api.MessagePage, error) {
	f.pages = append(f.pages, p)
	return api.MessagePage{}, nil
}

func (f *fake) Send(ctx context.Context, g wire.GroupID, in api.MessageCreate) (api.Message, error) {
	select {
	case <-time.After(f.slowSend):
	case <-ctx.Done():
		return api.Message{}, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sendErr != nil {
		return api.Message{}, f.sendErr
	}
	f.sent = append(f.sent, in)
	return api.Message{Group: g, Seq: uint64(len(f.sent)), Text: in.Text, State: api.StateStored}, nil
}

func (f *fake) Idempotent(_ context.Context, key string, hash [32]byte) (*api.StoredResponse, func(int, []byte) error, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a, ok := f.keys[key]; ok {
		if a.hash != hash {
			return nil, nil, api.NewProblem(api.IdempotencyConflict)
		}
		return &a.StoredResponse, nil, nil
	}
	return nil, func(status int, body []byte) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.keys == nil {
			f.keys = map[string]fakeAnswer{}
		}
		f.keys[key] = fakeAnswer{hash, api.StoredResponse{Status: status, Body: append([]byte(nil), body...)}}
		return nil
	}, nil
}

// tell appends n events.
func (f *fake) tell(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		id := fmt.Sprintf("e1-%d", len(f.events)+1)
		f.events = append(f.events, api.Event{ID: id, Type: api.EventMessageCreated, At: time.Unix(0, 0).UTC(), Object: json.RawMessage(`{"text":"hi\n<b>"}`)})
	}
	if f.more != nil {
		close(f.more)
		f.more = nil
	}
}

func (f *fake) LastEventID(context.Context) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprintf("e1-%d", len(f.events))
}

func (f *fake) NextEvents(ctx context.Context, after string, max int) ([]api.Event, error) {
	epoch, n, ok := cutID(after)
	if !ok || epoch != "e1" || int(n) < f.floor {
		return nil, api.ErrResync
	}
	for {
		f.mu.Lock()
		if int(n) < len(f.events) {
			got := f.events[n:min(len(f.events), int(n)+max)]
			f.mu.Unlock()
			return got, nil
		}
		if f.more == nil {
			f.more = make(chan struct{})
		}
		more := f.more
		f.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (f *fake) Watch(context.Context) <-chan api.Event { return f.watch }

func testHome(t *testing.T) api.Home {
	t.Helper()
	h, err := api.FindHome(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func newTestServer(t *testing.T, n Node) *Server {
	t.Helper()
	s, err := New(n, Config{Home: testHome(t), Addr: "127.0.0.1:0", Version: "test", Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

// ask makes one call the way an honest TCP caller does; change may spoil it.
func ask(t *testing.T, s *Server, method, path, body string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	var b io.Reader
	if body != "" {
		b = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, path, b)
	r.Host = "127.0.0.1:7711"
	r.Header.Set("Authorization", "Bearer "+s.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	s.Handler(false).ServeHTTP(w, r)
	return w
}

// wantProblem checks that an answer is that problem, whole.
func wantProblem(t *testing.T, w *httptest.ResponseRecorder, status int, code api.Code) api.Problem {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("answer %d %q is no problem: %v", w.Code, w.Body, err)
	}
	if w.Code != status || p.Status != status || p.Code != code {
		t.Errorf("got %d, status %d, code %s; want %d %s: %s", w.Code, p.Status, p.Code, status, code, w.Body)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("Content-Type %q", ct)
	}
	if p.Type != "urn:mutuals:problem:"+string(code) || p.Title == "" || p.Hint == "" || p.Detail == "" {
		t.Errorf("problem is not whole: %s", w.Body)
	}
	return p
}

func (f *fake) Metrics() prometheus.Gatherer {
	r := prometheus.NewRegistry()
	ready := prometheus.NewGauge(prometheus.GaugeOpts{Name: "mutuals_ready", Help: "1 once it is."})
	ready.Set(1)
	r.MustRegister(ready)
	return r
}
