package server

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"sync/atomic"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/time/rate"

	"mutuals/node/api"
)

// Config says where a server listens. The zero value with a Home is sane.
type Config struct {
	// Home is where the socket and api.json go. Required.
	Home api.Home
	// Addr is the TCP address, loopback only; "" means 127.0.0.1:7711, port 0
	// picks one.
	Addr string
	// Version is the daemon's, shown in status.
	Version string
	// Log receives routes, codes and errors; never bodies.
	Log *slog.Logger
}

// DefaultAddr is where the API is found by whoever cannot read api.json.
const DefaultAddr = "127.0.0.1:7711"

// Validate fills defaults in and refuses what cannot run.
func (c *Config) Validate() error {
	if len(c.Home.EndpointFiles()) == 0 {
		return errors.New("no home folder given")
	}
	if c.Addr == "" {
		c.Addr = DefaultAddr
	}
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return fmt.Errorf("address %q of the API is not HOST:PORT", c.Addr)
	}
	if !localHost(host) {
		return fmt.Errorf("address %q of the API is not loopback: it would serve the network in clear", c.Addr)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Server serves one node's API.
type Server struct {
	node  Node
	cfg   Config
	log   *slog.Logger
	api   huma.API
	mux   http.Handler
	token string
	calls *rate.Limiter
	open  atomic.Bool            // an open identity was seen
	url   atomic.Pointer[string] // set while listening

	// stop ends the streams; requests end by themselves.
	stopping context.Context
	stop     context.CancelFunc
}

var (
	eventType = reflect.TypeFor[api.Event]()
	batchType = reflect.TypeFor[api.EventBatch]()
)

// New returns a server of that node, which does not listen yet.
func New(node Node, cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("the API: %w", err)
	}
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return nil, fmt.Errorf("the API: making a token: %w", err)
	}
	s := &Server{
		node: node, cfg: cfg, log: cfg.Log,
		token: base64.RawURLEncoding.EncodeToString(secret[:]),
		calls: rate.NewLimiter(callRate, callBurst),
	}
	s.stopping, s.stop = context.WithCancel(context.Background())

	mux := http.NewServeMux()
	s.api = newAPI(mux)
	s.statusVerbs()
	s.identityVerbs()
	s.deviceVerbs()
	s.backupVerbs()
	s.exportVerbs()
	s.profileVerbs()
	s.peopleVerbs()
	s.requestVerbs()
	s.groupVerbs()
	s.transferVerbs()
	s.memberVerbs()
	s.branchVerbs()
	s.auditVerbs()
	s.proofVerbs()
	s.inviteVerbs()
	s.joinVerbs()
	s.harborVerbs()
	s.messageVerbs()
	s.eventVerbs()
	s.taskVerbs()
	s.settingsVerbs()
	spec, err := s.spec()
	if err != nil {
		return nil, fmt.Errorf("the API: %w", err)
	}
	mux.HandleFunc("GET "+api.Prefix+"/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(spec)
	})
	mux.HandleFunc("GET /{$}", page)
	s.mux = &remember{next: routes{mux}, node: node, log: cfg.Log, busy: map[string]chan struct{}{}}
	return s, nil
}

// spec returns the OpenAPI document, indented, as the repository keeps it.
func (s *Server) spec() ([]byte, error) {
	b, err := json.MarshalIndent(s.api.OpenAPI(), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the OpenAPI document: %w", err)
	}
	return append(b, '\n'), nil
}

// Handler returns what a listener serves; trust is for the unix socket, whose
// file permission is the credential.
func (s *Server) Handler(trust bool) http.Handler {
	return newGuard(s.mux, s.token, trust, s.calls, s.log)
}

// streaming returns a context that ends with ctx, by cancel, or when the server
// stops.
func (s *Server) streaming(ctx context.Context) (_ context.Context, cancel func()) {
	ctx, end := context.WithCancel(ctx)
	forget := context.AfterFunc(s.stopping, end)
	return ctx, func() { forget(); end() }
}

// routes is the mux with problems for what it does not know.
type routes struct{ mux *http.ServeMux }

func (m routes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, pattern := m.mux.Handler(r)
	if pattern != "" {
		m.mux.ServeHTTP(w, r)
		return
	}
	// The mux answers 404 or, with Allow, 405: the status is its, the words
	// are ours.
	ask := &verdict{header: http.Header{}}
	h.ServeHTTP(ask, r)
	if ask.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", ask.header.Get("Allow"))
		writeProblem(w, r, api.NewProblem(api.BadRequest).
			Explain("this route takes %s", ask.header.Get("Allow")).
			WithStatus(http.StatusMethodNotAllowed))
		return
	}
	writeProblem(w, r, api.NewProblem(api.NotFound).Explain("there is no such route in this version"))
}

// verdict catches what the mux would answer.
type verdict struct {
	header http.Header
	status int
}

func (v *verdict) Header() http.Header         { return v.header }
func (v *verdict) Write(b []byte) (int, error) { return len(b), nil }
func (v *verdict) WriteHeader(status int)      { v.status = status }
