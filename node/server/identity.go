package server

import (
	"context"
	"net/http"

	"mutuals/node/api"
)

func (s *Server) identityVerbs() {
	handle(s, verb{method: "POST", path: "/identity", id: "createIdentity", doc: "Make an account, or take one up from its words", status: http.StatusCreated, need: needNothing},
		func(ctx context.Context, in *struct{ Body api.IdentityCreate }) (*body[api.Identity], error) {
			return reply(s.node.CreateIdentity(ctx, in.Body))
		})
	handle(s, verb{method: "GET", path: "/identity", id: "identity", doc: "Account and device of this node"},
		func(ctx context.Context, _ *none) (*body[api.Identity], error) {
			return reply(s.node.Identity(ctx))
		})
	handle(s, verb{method: "POST", path: "/identity/words", id: "words", doc: "The 24 words, or: they are written down"},
		func(ctx context.Context, in *struct{ Body *api.WordsRequest }) (*body[api.Words], error) {
			return reply(s.node.ConfirmWords(ctx, in.Body != nil && in.Body.Confirmed))
		})
	handle(s, verb{method: "GET", path: "/identity/card", id: "card", doc: "Own contact card"},
		func(ctx context.Context, _ *none) (*body[api.Card], error) {
			return reply(s.node.Card(ctx))
		})
}
