package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// stream opens events over a pipe and returns its lines as they come.
func stream(t *testing.T, dial func() net.Conn, path string, headers ...string) (http.Header, func() string) {
	t.Helper()
	c := dial()
	req := "GET " + path + " HTTP/1.1\r\nHost: x\r\n" + strings.Join(headers, "\r\n")
	if len(headers) > 0 {
		req += "\r\n"
	}
	if _, err := io.WriteString(c, req+"\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() }) // closing the body would read it to an end it has not
	lines := bufio.NewReader(res.Body)
	return res.Header, func() string {
		s, err := lines.ReadString('\n')
		if err != nil {
			return "error: " + err.Error()
		}
		return strings.TrimSuffix(s, "\n")
	}
}

// frameOf reads one server-sent event.
func frameOf(next func() string) (lines []string) {
	for {
		l := next()
		if l == "" {
			return lines
		}
		lines = append(lines, l)
		if strings.HasPrefix(l, "error") {
			return lines
		}
	}
}

func TestEventsBeginAtOnceAndCarryTheirIds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{watch: make(chan api.Event)}
		f.tell(3)
		dial := pipeServer(t, newTestServer(t, f))
		began := time.Now()
		h, next := stream(t, dial, "/api/v1/events")
		if ct := h.Get("Content-Type"); ct != "text/event-stream" {
			t.Errorf("Content-Type %q", ct)
		}
		if got := frameOf(next); !slices.Equal(got, []string{"retry: 2000", "id: e1-3"}) || time.Since(began) != 0 {
			t.Errorf("first flush %q after %v", got, time.Since(began))
		}
		f.tell(1)
		got := frameOf(next)
		if len(got) != 3 || got[0] != "id: e1-4" || got[1] != "event: message.created" {
			t.Fatalf("%q", got)
		}
		var e api.Event
		if err := json.Unmarshal([]byte(strings.TrimPrefix(got[2], "data: ")), &e); err != nil || e.ID != "e1-4" || string(e.Object) != `{"text":"hi\n<b>"}` {
			t.Errorf("%v %+v %s", err, e, e.Object)
		}
		// What is not replayed has no id.
		f.watch <- api.Event{Type: api.EventTaskProgress, Object: json.RawMessage(`{}`)}
		if got := frameOf(next); len(got) != 2 || got[0] != "event: task.progress" {
			t.Errorf("%q", got)
		}
		if got := frameOf(next); !slices.Equal(got, []string{": beat"}) || time.Since(began) != heartbeat {
			t.Errorf("%q after %v", got, time.Since(began))
		}
	})
}

func TestEventsResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{floor: 2}
		f.tell(2 * eventBatch)
		dial := pipeServer(t, newTestServer(t, f))
		for _, how := range [][]string{{"/api/v1/events", "Last-Event-ID: e1-5"}, {"/api/v1/events?after=e1-5"}} {
			_, next := stream(t, dial, how[0], how[1:]...)
			if got := frameOf(next); got[1] != "id: e1-5" {
				t.Errorf("%q", got)
			}
			for i := 6; i <= 2*eventBatch; i++ {
				if got := frameOf(next); got[0] != "id: "+f.events[i-1].ID {
					t.Fatalf("%d: %q", i, got)
				}
			}
		}
		// Pruned, of another store, or no id at all: resync, then on from now.
		for _, id := range []string{"e1-1", "e0-400", "junk", "e1-x"} {
			_, next := stream(t, dial, "/api/v1/events", "Last-Event-ID: "+id)
			frameOf(next)
			last := f.LastEventID(t.Context())
			if got := frameOf(next); len(got) != 3 || got[0] != "id: "+last || got[1] != "event: resync" {
				t.Errorf("%s: %q", id, got)
			}
			f.tell(1)
			if got := frameOf(next); got[0] != "id: "+f.LastEventID(t.Context()) {
				t.Errorf("%s: after resync %q", id, got)
			}
		}
	})
}

func TestAReaderFarBehindGetsResync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.tell(maxLag + 2)
		dial := pipeServer(t, newTestServer(t, f))
		for after, want := range map[string]string{"e1-1": "event: resync", "e1-2": "event: message.created"} {
			_, next := stream(t, dial, "/api/v1/events?after="+after)
			frameOf(next)
			if got := frameOf(next); got[1] != want {
				t.Errorf("after %s: %q", after, got)
			}
		}
		// A reader that does not read is let go when a write does not get
		// through in time.
		c := dial()
		if _, err := io.WriteString(c, "GET /api/v1/events?after=e1-2 HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(eventWrite + time.Second) // virtual
		if b, err := io.ReadAll(c); err != nil || len(b) > 8<<10 {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	})
}

func TestEventsAsLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		dial := pipeServer(t, newTestServer(t, f))
		h, next := stream(t, dial, "/api/v1/events", "Accept: application/x-ndjson")
		if ct := h.Get("Content-Type"); ct != "application/x-ndjson" {
			t.Errorf("Content-Type %q", ct)
		}
		f.tell(2)
		for _, want := range []string{"e1-1", "e1-2"} {
			var e api.Event
			if err := json.Unmarshal([]byte(next()), &e); err != nil || e.ID != want {
				t.Errorf("%v %+v", err, e)
			}
		}
		if got := next(); got != "" {
			t.Errorf("heartbeat %q", got)
		}
	})
}

func TestWaitForEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{floor: 1}
		f.tell(2)
		s := newTestServer(t, f)
		poll := func(query string) (b api.EventBatch) {
			w := ask(t, s, "GET", "/api/v1/events?wait=30s"+query, "", nil)
			if err := json.Unmarshal(w.Body.Bytes(), &b); err != nil || w.Code != 200 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			return b
		}
		if b := poll("&after=e1-1"); len(b.Items) != 1 || b.EventID != "e1-2" {
			t.Errorf("%+v", b)
		}
		began := time.Now()
		if b := poll(""); len(b.Items) != 0 || b.EventID != "e1-2" || time.Since(began) != 30*time.Second {
			t.Errorf("%+v after %v", b, time.Since(began))
		}
		go func() {
			time.Sleep(time.Second)
			f.tell(1)
		}()
		began = time.Now()
		if b := poll(""); len(b.Items) != 1 || b.EventID != "e1-3" || time.Since(began) != time.Second {
			t.Errorf("%+v after %v", b, time.Since(began))
		}
		if b := poll("&after=e1-0"); len(b.Items) != 1 || b.Items[0].Type != api.EventResync || b.EventID != "e1-3" {
			t.Errorf("%+v", b)
		}
	})
}

// Against a real daemon: the client's reader over a server that is stopped and
// started again.
func TestTheClientFollowsAcrossRestarts(t *testing.T) {
	f := &fake{}
	home := testHome(t)
	run := func() (stop func()) {
		s, err := New(f, Config{Home: home, Addr: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		up := make(chan struct{})
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx, func(api.Endpoint) { close(up) }) }()
		select {
		case <-up:
		case err := <-done:
			t.Fatal(err)
		}
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("run: %v", err)
			}
		}
	}
	stop := run()
	c, err := api.Dial(t.Context(), home, api.English)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f.tell(1)
	var got []string
	for e, err := range c.Events(t.Context(), "e1-0") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.ID)
		switch len(got) {
		case 1:
			stop()
			f.tell(2) // while nobody listens
			stop = run()
		case 3:
			f.tell(1)
		}
		if len(got) == 4 {
			break
		}
	}
	stop()
	if want := []string{"e1-1", "e1-2", "e1-3", "e1-4"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := api.Dial(t.Context(), home, api.English); !errors.Is(err, api.ErrNotRunning) {
		t.Errorf("after stop: %v", err)
	}
	for _, err := range c.Events(t.Context(), "") { // its first try fails: no more
		if !errors.Is(err, api.ErrNotRunning) {
			t.Errorf("after stop: %v", err)
		}
	}
}

// An event is written as the encoder would write it.
func TestWriteEvent(t *testing.T) {
	for _, e := range []api.Event{
		{ID: "a-1", Type: api.EventMessageCreated, At: time.Unix(1, 5).UTC(), Group: wire.GroupID{1}, Object: json.RawMessage(`{"text":"<b> \u2028 \"q\"","n":[1,2]}`)},
		{Type: api.EventResync, At: time.Unix(1, 0).UTC(), Object: json.RawMessage("{}")},
		{Type: api.EventGroupLeft, At: time.Unix(2, 0).UTC()},
	} {
		var got, want bytes.Buffer
		if err := writeEvent(&got, e); err != nil {
			t.Fatal(err)
		}
		if err := writeJSON(&want, e); err != nil {
			t.Fatal(err)
		}
		if got.String() != want.String() {
			t.Errorf("wrote %s, want %s", &got, &want)
		}
	}
}
