package server

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"mutuals/node/api"
)

// remember gives a POST with an Idempotency-Key the answer that the first one
// with that key got. Only successes are kept: a refusal may be lifted.
type remember struct {
	next http.Handler
	node Node
	log  *slog.Logger

	mu   sync.Mutex
	busy map[string]chan struct{} // keys whose first request is under way
}

// forgets tells the POSTs that make nothing, and those whose answers hold the
// words or a link code, which are stored nowhere else either, or for which
// there is no store yet.
func forgets(path string) bool {
	switch strings.TrimPrefix(path, api.Prefix) {
	case "/identity", "/identity/words", "/identity/link", "/backups", "/backups/verify", "/backups/restore", "/exports", "/exports/verify", "/devices/link", "/devices/link/number", "/invites/inspect", "/proofs/verify", "/shutdown":
		return true
	}
	return false
}

func (m *remember) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Idempotency-Key")
	if r.Method != http.MethodPost || key == "" || forgets(r.URL.Path) {
		m.next.ServeHTTP(w, r)
		return
	}
	if len(key) > maxKey || oneLine(key) != key {
		writeProblem(w, r, api.NewProblem(api.BadRequest).Explain("an Idempotency-Key has 1 to %d printable ASCII letters", maxKey))
		return
	}
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			writeProblem(w, r, api.NewProblem(api.TooLarge, "max", "512 KiB"))
			return
		}
		writeProblem(w, r, api.NewProblem(api.Timeout))
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(sent))

	leave, err := m.enter(r, key)
	if err != nil {
		writeProblem(w, r, api.NewProblem(api.Timeout))
		return
	}
	defer leave()

	stored, save, err := m.node.Idempotent(r.Context(), key, requestHash(r, sent))
	if err != nil {
		p, known := problemOf(err)
		if !known {
			m.log.Error("looking up an Idempotency-Key", "err", err)
		}
		writeProblem(w, r, p)
		return
	}
	if stored != nil {
		w.Header().Set("Idempotency-Replayed", "true")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(stored.Status)
		_, _ = w.Write(stored.Body)
		return
	}
	rec := &recorder{ResponseWriter: w, status: http.StatusOK}
	m.next.ServeHTTP(rec, r)
	if rec.status < 300 {
		// The thing is made: an answer that cannot be kept is still true.
		if err := save(rec.status, rec.body.Bytes()); err != nil {
			m.log.Warn("keeping the answer to an Idempotency-Key", "err", err)
		}
	}
	w.WriteHeader(rec.status)
	_, _ = rec.body.WriteTo(w)
}

// enter waits until no other request with the key is under way.
func (m *remember) enter(r *http.Request, key string) (leave func(), err error) {
	for {
		m.mu.Lock()
		other, taken := m.busy[key]
		if !taken {
			done := make(chan struct{})
			m.busy[key] = done
			m.mu.Unlock()
			return func() {
				m.mu.Lock()
				delete(m.busy, key)
				m.mu.Unlock()
				close(done)
			}, nil
		}
		m.mu.Unlock()
		select {
		case <-other:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

// requestHash tells two requests apart: route and body, each with its length.
func requestHash(r *http.Request, body []byte) [32]byte {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(r.Method), []byte(r.URL.RequestURI()), body} {
		fmt.Fprintf(h, "%d:", len(part))
		h.Write(part)
	}
	return [32]byte(h.Sum(nil))
}

// recorder holds an answer back until it is kept.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
