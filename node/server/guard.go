package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"mutuals/node/api"
)

// guard lets a request through or answers it with a problem. Its checks are
// made in the order of the package comment, first to last.
type guard struct {
	next   http.Handler
	origin *http.CrossOriginProtection
	token  [32]byte // SHA-256, so that comparing tells no length
	trust  bool     // came by the unix socket: its permission is the credential
	calls  *rate.Limiter
	arrive time.Duration // how long a body may take
	log    *slog.Logger
}

func newGuard(next http.Handler, token string, trust bool, calls *rate.Limiter, log *slog.Logger) *guard {
	return &guard{
		next: next, origin: http.NewCrossOriginProtection(), token: sha256.Sum256([]byte(token)),
		trust: trust, calls: calls, arrive: readTimeout, log: log,
	}
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer g.survive(w, r)
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	if p := g.check(w, r); p != nil {
		writeProblem(w, r, p)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	defer cancel()
	if isStream(r) {
		ctx = r.Context()
	}
	g.next.ServeHTTP(w, r.WithContext(ctx))
}

// check returns the first thing wrong with a request, nil if nothing is.
func (g *guard) check(w http.ResponseWriter, r *http.Request) *api.Problem {
	// A page whose name an attacker points at 127.0.0.1 still sends its own
	// Host. No browser can reach the socket.
	if !g.trust && !localHost(r.Host) {
		return api.NewProblem(api.NotAllowed).Explain("the Host header names another machine")
	}
	if err := g.origin.Check(r); err != nil {
		return api.NewProblem(api.NotAllowed).Explain("a page of another site may not do this")
	}
	if !g.trust && !open(r) && !g.knows(r.Header.Get("Authorization")) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="mutuals"`)
		return api.NewProblem(api.Unauthorized)
	}
	if r.ContentLength != 0 {
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if want, _ := bodyOf(r); err != nil || kind != want {
			return api.NewProblem(api.BadRequest).Explain("send the body as Content-Type: %s", want).
				WithStatus(http.StatusUnsupportedMediaType)
		}
	}
	if headerSize(r) > maxHeader {
		return api.NewProblem(api.TooLarge, "max", "16 KiB").WithStatus(http.StatusRequestHeaderFieldsTooLarge)
	}
	_, most := bodyOf(r)
	if r.ContentLength > most {
		return api.NewProblem(api.TooLarge, "max", kib(most))
	}
	r.Body = &timedBody{ReadCloser: http.MaxBytesReader(w, r.Body, most), w: w, limit: g.arrive}
	if !g.calls.Allow() {
		w.Header().Set("Retry-After", "1")
		return api.NewProblem(api.RateLimited)
	}
	return nil
}

// bodyOf tells what kind of body a request has, and how large it may be: JSON,
// but for the octet streams of files.
func bodyOf(r *http.Request) (kind string, most int64) {
	if r.URL.Path == api.Prefix+"/proofs/verify" {
		return "application/octet-stream", api.MaxProof
	}
	return "application/json", maxBody
}

// kib writes a bound as people read it.
func kib(n int64) string {
	if n >= 1<<20 {
		return strconv.FormatInt(n>>20, 10) + " MiB"
	}
	return strconv.FormatInt(n>>10, 10) + " KiB"
}

// localHost tells whether a Host header names this machine in one of the ways
// that no name server decides. The port is whatever leads here.
func localHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if name == "localhost" || name == "mutuals.localhost" {
		return true
	}
	ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"))
	return err == nil && ip.Zone() == "" && ip.IsLoopback()
}

// open tells whether a request needs no credential: the static page alone.
func open(r *http.Request) bool {
	return r.URL.Path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// knows tells whether an Authorization header carries the token.
func (g *guard) knows(authorization string) bool {
	scheme, token, ok := strings.Cut(authorization, " ")
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return ok && strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
}

func headerSize(r *http.Request) int {
	n := len(r.RequestURI)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v)
		}
	}
	return n
}

// survive answers for a handler that panicked: the bug is logged with its
// stack, the caller gets a problem, the node lives.
func (g *guard) survive(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	g.log.Error("a handler panicked", "method", r.Method, "route", r.Pattern, "panic", v, "stack", string(debug.Stack()))
	writeProblem(w, r, api.NewProblem(api.Internal))
}

// timedBody gives a body limit to arrive. The deadline is lifted once the body
// was read: net/http keeps reading ahead to notice a caller who goes, and would
// take a deadline that passes there for one.
type timedBody struct {
	io.ReadCloser
	w     http.ResponseWriter
	limit time.Duration
	begun bool
}

func (b *timedBody) Read(p []byte) (int, error) {
	if !b.begun {
		b.begun = true
		b.set(time.Now().Add(b.limit))
	}
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.set(time.Time{})
	}
	return n, err
}

func (b *timedBody) Close() error {
	if b.begun {
		b.set(time.Time{})
	}
	return b.ReadCloser.Close()
}

func (b *timedBody) set(t time.Time) {
	_ = http.NewResponseController(b.w).SetReadDeadline(t) // a recorder has none
}

// isStream tells requests that may last: they bound themselves.
func isStream(r *http.Request) bool { return r.URL.Path == api.Prefix+"/events" }

// deadline moves the moment at which writing to w fails; a writer without one
// (a test's recorder) has none.
func deadline(w http.ResponseWriter, d time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d))
}
