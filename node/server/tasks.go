package server

import (
	"context"

	"mutuals/node/api"
)

type ofTask struct {
	Task string `path:"t" doc:"task id"`
}

func (s *Server) taskVerbs() {
	handle(s, verb{method: "GET", path: "/tasks", id: "tasks", doc: "Work that outlives a request"},
		func(ctx context.Context, _ *none) (*body[api.List[api.Task]], error) {
			return replyList(s.node.Tasks(ctx))
		})
	handle(s, verb{method: "GET", path: "/tasks/{t}", id: "task", doc: "One task", need: needNothing},
		func(ctx context.Context, in *ofTask) (*body[api.Task], error) {
			return reply(s.node.Task(ctx, in.Task))
		})
	handle(s, verb{method: "DELETE", path: "/tasks/{t}", id: "cancelTask", doc: "Give a task up", need: needNothing},
		func(ctx context.Context, in *ofTask) (*body[api.Task], error) {
			return reply(s.node.CancelTask(ctx, in.Task))
		})
}
