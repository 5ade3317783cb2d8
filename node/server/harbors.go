package server

import (
	"context"
	"net/http"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// ofHarbor is a request about one harbor.
type ofHarbor struct {
	Harbor string `path:"h" doc:"harbor id: its appointment"`
}

func (s *Server) harborVerbs() {
	handle(s, verb{method: "GET", path: "/harbors", id: "harbors", doc: "Harbors of a group, or of all"},
		func(ctx context.Context, in *struct {
			Group string `query:"group" doc:"group id"`
		}) (*body[api.List[api.Harbor]], error) {
			var g wire.GroupID
			if in.Group != "" {
				var err error
				if g, err = (ofGroup{in.Group}).id(); err != nil {
					return nil, err
				}
			}
			return replyList(s.node.Harbors(ctx, g))
		})
	handle(s, verb{method: "GET", path: "/harbors/kept", id: "keptGroups", doc: "What this node keeps for others, as their harbor"},
		func(ctx context.Context, _ *none) (*body[api.Kept], error) {
			return reply(s.node.KeptGroups(ctx))
		})
	handle(s, verb{method: "POST", path: "/harbors", id: "addHarbor", doc: "Ask a node to be a group's harbor, and appoint it", status: http.StatusCreated},
		func(ctx context.Context, in *struct{ Body api.HarborCreate }) (*body[api.Harbor], error) {
			return reply(s.node.AddHarbor(ctx, in.Body))
		})
	handle(s, verb{method: "PATCH", path: "/harbors/{h}", id: "patchHarbor", doc: "Change a harbor's rights or quota"},
		func(ctx context.Context, in *struct {
			Harbor string `path:"h" doc:"harbor id: its appointment"`
			Body   api.HarborPatch
		}) (*body[api.Harbor], error) {
			return reply(s.node.PatchHarbor(ctx, in.Harbor, in.Body))
		})
	handle(s, verb{method: "DELETE", path: "/harbors/{h}", id: "removeHarbor", doc: "Withdraw a harbor; the group gets a new key"},
		func(ctx context.Context, in *ofHarbor) (*body[api.Harbor], error) {
			return reply(s.node.RemoveHarbor(ctx, in.Harbor))
		})
}
