package server

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"mutuals/node/api"
)

func TestGuardHost(t *testing.T) {
	s := newTestServer(t, &fake{})
	for host, ok := range map[string]bool{
		"127.0.0.1:7711": true, "127.0.0.1": true, "127.1.2.3:80": true, "[::1]:7711": true, "localhost:7711": true,
		"localhost": true, "mutuals.localhost:7711": true,
		"evil.example": false, "evil.example:7711": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false,
		"192.168.1.5:7711": false, "0.0.0.0:7711": false, "": false, "2130706433": false, "[::1%25eth0]:1": false,
	} {
		for _, path := range []string{"/", "/api/v1/status"} {
			w := ask(t, s, "GET", path, "", func(r *http.Request) { r.Host = host })
			if ok && w.Code != 200 {
				t.Errorf("Host %q at %s: %d", host, path, w.Code)
			}
			if !ok {
				wantProblem(t, w, 403, api.NotAllowed)
			}
		}
	}
}

func TestGuardCrossOrigin(t *testing.T) {
	s := newTestServer(t, &fake{})
	post := func(change func(http.Header)) *httptest.ResponseRecorder {
		return ask(t, s, "POST", "/api/v1/identity/words", "", func(r *http.Request) { change(r.Header) })
	}
	wantProblem(t, post(func(h http.Header) { h.Set("Sec-Fetch-Site", "cross-site") }), 403, api.NotAllowed)
	wantProblem(t, post(func(h http.Header) { h.Set("Sec-Fetch-Site", "same-site") }), 403, api.NotAllowed)
	wantProblem(t, post(func(h http.Header) { h.Set("Origin", "http://127.0.0.1:9999") }), 403, api.NotAllowed)
	wantProblem(t, post(func(h http.Header) { h.Set("Origin", "null") }), 403, api.NotAllowed)
	// Over the socket too: a local proxy may sit before it.
	r := httptest.NewRequest("POST", "/api/v1/identity/words", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	s.Handler(true).ServeHTTP(w, r)
	wantProblem(t, w, 403, api.NotAllowed)
}

func TestGuardToken(t *testing.T) {
	s := newTestServer(t, &fake{})
	for _, auth := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "Basic " + s.token, s.token, "Bearer " + s.token[1:], "Bearer " + s.token + "x"} {
		for _, path := range []string{"/api/v1/status", "/api/v1/health", "/api/v1/metrics", "/api/v1/openapi.json", "/api/v1/none", "/other"} {
			w := ask(t, s, "GET", path, "", func(r *http.Request) {
				r.Header.Del("Authorization")
				if auth != "" {
					r.Header.Set("Authorization", auth)
				}
			})
			wantProblem(t, w, 401, api.Unauthorized)
			if w.Header().Get("WWW-Authenticate") == "" {
				t.Error("no WWW-Authenticate")
			}
		}
	}
	if w := ask(t, s, "GET", "/api/v1/status", "", nil); w.Code != 200 {
		t.Errorf("with the token: %d", w.Code)
	}
	// The page tells nothing, so it needs none; the socket is its own credential.
	if w := ask(t, s, "GET", "/", "", func(r *http.Request) { r.Header.Del("Authorization") }); w.Code != 200 {
		t.Errorf("page without token: %d", w.Code)
	}
	w := httptest.NewRecorder()
	s.Handler(true).ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/status", nil))
	if w.Code != 200 {
		t.Errorf("socket: %d", w.Code)
	}
	// A token in the address would end in logs and histories.
	wantProblem(t, ask(t, s, "GET", "/api/v1/status?token="+s.token, "", func(r *http.Request) { r.Header.Del("Authorization") }), 401, api.Unauthorized)
}

func TestGuardJSONOnly(t *testing.T) {
	s := newTestServer(t, &fake{})
	path := "/api/v1/groups/" + someGroup + "/messages"
	for _, ct := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx"} {
		wantProblem(t, ask(t, s, "POST", path, `{"text":"x"}`, func(r *http.Request) { r.Header.Set("Content-Type", ct) }), 415, api.BadRequest)
	}
	if w := ask(t, s, "POST", path, `{"text":"x"}`, func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=utf-8") }); w.Code != 201 {
		t.Errorf("json with charset: %d %s", w.Code, w.Body)
	}
}

func TestGuardCaps(t *testing.T) {
	s := newTestServer(t, &fake{})
	path := "/api/v1/groups/" + someGroup + "/messages"
	wantProblem(t, ask(t, s, "GET", "/api/v1/status", "", func(r *http.Request) { r.Header.Set("X", strings.Repeat("x", maxHeader)) }), 431, api.TooLarge)
	wantProblem(t, ask(t, s, "GET", "/api/v1/status?"+strings.Repeat("x", maxHeader), "", nil), 431, api.TooLarge)
	big := `{"text":"` + strings.Repeat("x", maxBody) + `"}`
	wantProblem(t, ask(t, s, "POST", path, big, nil), 413, api.TooLarge)
	// Without a length it is cut while it is read, with a key and without.
	for _, key := range []string{"", "k"} {
		wantProblem(t, ask(t, s, "POST", path, big, func(r *http.Request) {
			r.ContentLength = -1
			r.Header.Set("Idempotency-Key", key)
		}), 413, api.TooLarge)
	}
	wantProblem(t, ask(t, s, "POST", path, `{"text":"`+strings.Repeat("好", api.MaxText/3+1)+`"}`, nil), 413, api.TooLarge)
}

func TestGuardRate(t *testing.T) {
	s := newTestServer(t, &fake{})
	s.calls = rate.NewLimiter(0, 3)
	for range 3 {
		if w := ask(t, s, "GET", "/api/v1/health", "", nil); w.Code != 200 {
			t.Fatalf("%d", w.Code)
		}
	}
	w := ask(t, s, "GET", "/api/v1/health", "", nil)
	wantProblem(t, w, 429, api.RateLimited)
	if w.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	// Who has no token takes nothing from who has.
	wantProblem(t, ask(t, s, "GET", "/api/v1/health", "", func(r *http.Request) { r.Header.Del("Authorization") }), 401, api.Unauthorized)
}

func TestGuardTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, &fake{slow: make(chan struct{})})
		w := ask(t, s, "GET", "/api/v1/doctor", "", nil) // virtual time passes
		wantProblem(t, w, 504, api.Timeout)
	})
}

// pipeServer serves s over in-memory connections, in virtual time.
func pipeServer(t *testing.T, s *Server) (dial func() net.Conn) {
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	srv := s.http(true)
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return func() net.Conn {
		a, b := net.Pipe()
		t.Cleanup(func() { a.Close() })
		l.conns <- b
		return a
	}
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func TestASlowBodyIsCutAndASlowAnswerIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{slowSend: readTimeout + 5*time.Second}
		dial := pipeServer(t, newTestServer(t, f))
		head := "POST /api/v1/groups/" + someGroup + "/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 12\r\nConnection: close\r\n"
		send := func(c net.Conn, s string) {
			go io.WriteString(c, s)
		}
		for name, key := range map[string]string{"plain": "", "with key": "Idempotency-Key: k\r\n"} {
			// The node takes longer than a body may: that must not count.
			c := dial()
			send(c, head+key+"\r\n"+`{"text":"x"}`)
			b, _ := io.ReadAll(c)
			if !bytes.HasPrefix(b, []byte("HTTP/1.1 201")) {
				t.Errorf("%s: slow node: %q", name, b)
			}
			c = dial()
			began := time.Now()
			send(c, head+strings.Replace(key, "k\r", "k2\r", 1)+"\r\n"+`{"text":`)
			b, _ = io.ReadAll(c)
			if took := time.Since(began); took > readTimeout+time.Second {
				t.Errorf("%s: slow body was waited for %v", name, took)
			}
			if !bytes.Contains(b, []byte(`"code":"timeout"`)) {
				t.Errorf("%s: slow body: %q", name, b)
			}
		}
	})
}

func TestAPanicIsAProblem(t *testing.T) {
	s := newTestServer(t, &fake{})
	p := wantProblem(t, ask(t, s, "POST", "/api/v1/shutdown", "", nil), 500, api.Internal)
	if strings.Contains(p.Detail, "boom") {
		t.Error("the panic is told")
	}
}

func TestSecurityHeadersAreOnEveryAnswer(t *testing.T) {
	s := newTestServer(t, &fake{})
	for _, path := range []string{"/", "/api/v1/status", "/nope"} {
		h := ask(t, s, "GET", path, "", nil).Header()
		if !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, h)
		}
	}
	page := ask(t, s, "GET", "/", "", nil).Body.String()
	for _, never := range []string{"<script", "<style", "style=", "http://", "https://", "onclick"} {
		if strings.Contains(page, never) {
			t.Errorf("the page holds %q", never)
		}
	}
	if !strings.Contains(page, "mutuals init") || !strings.Contains(page, "守护进程") {
		t.Error("the page says nothing")
	}
}
