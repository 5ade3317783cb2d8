package server

import (
	"context"

	"mutuals/node/api"
)

func (s *Server) settingsVerbs() {
	handle(s, verb{method: "GET", path: "/settings", id: "settings", doc: "How this node behaves for its person"},
		func(ctx context.Context, _ *none) (*body[api.Settings], error) {
			return reply(s.node.Settings(ctx))
		})
	handle(s, verb{method: "PATCH", path: "/settings", id: "patchSettings", doc: "Change settings"},
		func(ctx context.Context, in *struct{ Body api.SettingsPatch }) (*body[api.Settings], error) {
			return reply(s.node.PatchSettings(ctx, in.Body))
		})
}
