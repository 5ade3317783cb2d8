package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mutuals/node/api"
)

func (s *Server) groupVerbs() {
	handle(s, verb{method: "GET", path: "/groups", id: "groups", doc: "Groups of this account"},
		func(ctx context.Context, _ *none) (*body[api.List[api.Group]], error) {
			return replyList(s.node.Groups(ctx))
		})
	handle(s, verb{method: "POST", path: "/groups", id: "createGroup", doc: "Make a group, or open the conversation with a mutual", status: http.StatusCreated},
		func(ctx context.Context, in *struct{ Body api.GroupCreate }) (*body[api.Group], error) {
			if in.Body.Name == "" && in.Body.Direct.IsZero() {
				return nil, api.NewProblem(api.BadRequest).Explain("a group needs a name, or direct, the one to talk with alone")
			}
			return reply(s.node.CreateGroup(ctx, in.Body))
		})
	handle(s, verb{method: "GET", path: "/groups/{g}", id: "group", doc: "One group"},
		func(ctx context.Context, in *ofGroup) (*body[api.Group], error) {
			g, err := in.id()
			if err != nil {
				return nil, err
			}
			return reply(s.node.Group(ctx, g))
		})
	handle(s, verb{method: "PATCH", path: "/groups/{g}", id: "patchGroup", doc: "Change a group"},
		func(ctx context.Context, in *struct {
			Group string `path:"g" doc:"group id"`
			Body  api.GroupPatch
		}) (*body[api.Group], error) {
			g, err := (ofGroup{in.Group}).id()
			if err != nil {
				return nil, err
			}
			return reply(s.node.PatchGroup(ctx, g, in.Body))
		})
	handle(s, verb{method: "PUT", path: "/groups/{g}/retention", id: "retain", doc: "For how long this device keeps a group's messages; what is older is dropped, here alone"},
		func(ctx context.Context, in *struct {
			Group string `path:"g" doc:"group id"`
			Body  api.Retention
		}) (*body[api.Group], error) {
			g, err := (ofGroup{in.Group}).id()
			if err != nil {
				return nil, err
			}
			return reply(s.node.Retain(ctx, g, in.Body.Days))
		})
	handle(s, verb{method: "DELETE", path: "/groups/{g}", id: "leaveGroup", doc: "Leave a group"},
		func(ctx context.Context, in *ofGroup) (*body[api.Group], error) {
			g, err := in.id()
			if err != nil {
				return nil, err
			}
			return reply(s.node.LeaveGroup(ctx, g))
		})

	// huma cannot say "a message or null" of a struct: said by hand.
	group := s.api.OpenAPI().Components.Schemas.Map()["Group"].Properties
	group["last_message"] = &huma.Schema{
		Description: group["last_message"].Description,
		AnyOf:       []*huma.Schema{{Ref: "#/components/schemas/Message"}, {Type: "null"}},
	}
}
