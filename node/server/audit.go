package server

import (
	"context"
	"time"

	"mutuals/node/api"
)

func (s *Server) auditVerbs() {
	handle(s, verb{method: "GET", path: "/groups/{g}/audit", id: "audit", doc: "Who was in at a time, by what right, and what was done until then"},
		func(ctx context.Context, in *struct {
			Group string    `path:"g" doc:"group id"`
			At    time.Time `query:"at" doc:"RFC 3339; now if absent"`
		}) (*body[api.Audit], error) {
			g, err := (ofGroup{in.Group}).id()
			if err != nil {
				return nil, err
			}
			return reply(s.node.Audit(ctx, g, in.At))
		})
}
