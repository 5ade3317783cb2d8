package server

import (
	"context"

	"mutuals/node/api"
)

func (s *Server) profileVerbs() {
	handle(s, verb{method: "GET", path: "/profile", id: "profile", doc: "Own profile"},
		func(ctx context.Context, _ *none) (*body[api.Profile], error) {
			return reply(s.node.Profile(ctx))
		})
	handle(s, verb{method: "PATCH", path: "/profile", id: "setProfile", doc: "Change the own profile"},
		func(ctx context.Context, in *struct{ Body api.ProfilePatch }) (*body[api.Profile], error) {
			return reply(s.node.SetProfile(ctx, in.Body))
		})
}
