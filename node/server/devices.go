package server

import (
	"context"

	"mutuals/node/api"
)

func (s *Server) deviceVerbs() {
	handle(s, verb{method: "GET", path: "/devices", id: "devices", doc: "The devices of this account"},
		func(ctx context.Context, _ *none) (*body[api.List[api.Device]], error) {
			return replyList(s.node.Devices(ctx))
		})
}
