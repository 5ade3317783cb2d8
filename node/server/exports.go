package server

import (
	"context"
	"net/http"

	"mutuals/node/api"
)

func (s *Server) exportVerbs() {
	handle(s, verb{method: "POST", path: "/exports", id: "createExport", doc: "Write a group as lines of JSON that anybody can verify", status: http.StatusAccepted},
		func(ctx context.Context, in *struct{ Body api.ExportCreate }) (*body[api.Task], error) {
			return reply(s.node.Export(ctx, in.Body))
		})
	handle(s, verb{method: "POST", path: "/exports/verify", id: "verifyExport", doc: "Judge an export by its bytes alone; needs no identity and asks nobody", status: http.StatusAccepted, need: needNothing},
		func(ctx context.Context, in *struct{ Body api.ExportOpen }) (*body[api.Task], error) {
			return reply(s.node.VerifyExport(ctx, in.Body))
		})
}
