package server

import (
	"context"
	"net/http"

	"mutuals/node/api"
)

// heirChoice is a request that names who is to own a group.
type heirChoice struct {
	Group string `path:"g" doc:"group id"`
	Body  api.HeirChoice
}

func (s *Server) transferVerbs() {
	handle(s, verb{method: "POST", path: "/groups/{g}/transfer", id: "transferGroup", doc: "Offer the group to its next owner; cancelling the task takes it back", status: http.StatusAccepted},
		func(ctx context.Context, in *heirChoice) (*body[api.Task], error) {
			g, err := (ofGroup{in.Group}).id()
			if err != nil {
				return nil, err
			}
			return reply(s.node.Transfer(ctx, g, in.Body.Account))
		})
	handle(s, verb{method: "POST", path: "/groups/{g}/succeed", id: "succeedOwner", doc: "Propose an owner to the other admins, in place of one who is silent", status: http.StatusAccepted},
		func(ctx context.Context, in *heirChoice) (*body[api.Task], error) {
			g, err := (ofGroup{in.Group}).id()
			if err != nil {
				return nil, err
			}
			return reply(s.node.Succeed(ctx, g, in.Body.Account))
		})
}
