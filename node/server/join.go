package server

import (
	"context"
	"net/http"

	"mutuals/node/api"
)

func (s *Server) joinVerbs() {
	handle(s, verb{method: "POST", path: "/invites/join", id: "join", doc: "Enter a group by a pasted text", status: http.StatusAccepted},
		func(ctx context.Context, in *struct{ Body api.JoinRequest }) (*body[api.Task], error) {
			return reply(s.node.JoinByPasscode(ctx, in.Body.Text))
		})
}
