package server

import (
	"context"
	"net/http"
	"runtime"

	"mutuals/node/api"
)

func (s *Server) statusVerbs() {
	handle(s, verb{method: "GET", path: "/status", id: "status", doc: "The node at a glance", need: needNothing},
		func(ctx context.Context, _ *none) (*body[api.Status], error) {
			return reply(s.glance(ctx), nil)
		})
	handle(s, verb{method: "GET", path: "/health", id: "health", doc: "Whether the daemon answers", need: needNothing},
		func(context.Context, *none) (*body[api.Health], error) {
			return reply(api.Health{OK: true}, nil)
		})
	handle(s, verb{method: "GET", path: "/ready", id: "ready", doc: "Whether the daemon serves all that its identity allows", need: needNothing},
		func(ctx context.Context, _ *none) (*body[api.Ready], error) {
			return reply(api.Ready{Ready: s.node.Status(ctx).Ready}, nil)
		})
	handle(s, verb{method: "GET", path: "/version", id: "version", doc: "Versions of daemon and API", need: needNothing},
		func(context.Context, *none) (*body[api.Version], error) {
			return reply(api.Version{Version: s.cfg.Version, API: "v1", Go: runtime.Version()}, nil)
		})
	handle(s, verb{method: "GET", path: "/network", id: "network", doc: "How the node stands in the network"},
		func(ctx context.Context, _ *none) (*body[api.Network], error) {
			return reply(s.node.Network(ctx))
		})
	handle(s, verb{method: "POST", path: "/network/probe", id: "probe", doc: "Dial all of the groups that are not linked, now; answers how the node stands when each was tried, after 10 s at most"},
		func(ctx context.Context, _ *none) (*body[api.Network], error) {
			return reply(s.node.Probe(ctx))
		})
	handle(s, verb{method: "GET", path: "/peers", id: "peers", doc: "Connected peers"},
		func(ctx context.Context, _ *none) (*body[api.List[api.Peer]], error) {
			return replyList(s.node.Peers(ctx))
		})
	handle(s, verb{method: "GET", path: "/metrics", id: "metrics", doc: "What can be measured of the node, as text for Prometheus (version 0.0.4)", need: needNothing, text: true},
		func(context.Context, *none) (*measured, error) { return s.measure() })
	handle(s, verb{method: "GET", path: "/doctor", id: "doctor", doc: "What is well and what is not"},
		func(ctx context.Context, _ *none) (*body[api.List[api.Finding]], error) {
			return replyList(s.node.Doctor(ctx))
		})
	handle(s, verb{method: "POST", path: "/shutdown", id: "shutdown", doc: "Stop the daemon", status: http.StatusAccepted, need: needNothing},
		func(ctx context.Context, in *struct {
			Careful bool `query:"careful" doc:"refuse while something is on this disk alone, after a moment for others to report it"`
		}) (*body[api.Shutdown], error) {
			return reply(api.Shutdown{Stopping: true}, s.node.Shutdown(ctx, in.Careful))
		})
}

// glance is the node's, with what only the server knows.
func (s *Server) glance(ctx context.Context) api.Status {
	st := s.node.Status(ctx)
	st.Version = s.cfg.Version
	if url := s.url.Load(); url != nil {
		st.UI = *url + "/"
	}
	return st
}
