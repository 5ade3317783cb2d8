package server

import (
	"context"

	"mutuals/node/api"
)

func (s *Server) requestVerbs() {
	handle(s, verb{method: "GET", path: "/requests", id: "requests", doc: "What waits for a yes or no"},
		func(ctx context.Context, _ *none) (*body[api.List[api.Request]], error) {
			return replyList(s.node.Requests(ctx))
		})
	handle(s, verb{method: "POST", path: "/requests/{id}", id: "answerRequest", doc: "Accept or decline"},
		func(ctx context.Context, in *struct {
			ID   string `path:"id"`
			Body api.RequestAnswer
		}) (*body[api.Request], error) {
			return reply(s.node.AnswerRequest(ctx, in.ID, in.Body.Accept))
		})
}
