package server

import (
	"context"
	"net/http"

	"mutuals/node/api"
)

func (s *Server) inviteVerbs() {
	handle(s, verb{method: "POST", path: "/groups/{g}/invites", id: "createInvite", doc: "Make a passcode", status: http.StatusCreated},
		func(ctx context.Context, in *struct {
			Group    string `path:"g" doc:"group id"`
			Language string `header:"Accept-Language"`
			Body     *api.InviteCreate
		}) (*body[api.Invite], error) {
			g, err := (ofGroup{in.Group}).id()
			if err != nil {
				return nil, err
			}
			var create api.InviteCreate
			if in.Body != nil {
				create = *in.Body
			}
			if create.Lang == "" {
				create.Lang = string(api.Language(in.Language))
			}
			return reply(s.node.CreateInvite(ctx, g, create))
		})
	handle(s, verb{method: "GET", path: "/groups/{g}/invites", id: "invites", doc: "Invites of a group"},
		func(ctx context.Context, in *ofGroup) (*body[api.List[api.Invite]], error) {
			g, err := in.id()
			if err != nil {
				return nil, err
			}
			return replyList(s.node.Invites(ctx, g))
		})
	handle(s, verb{method: "DELETE", path: "/groups/{g}/invites/{i}", id: "revokeInvite", doc: "Revoke a passcode"},
		func(ctx context.Context, in *struct {
			Group  string `path:"g" doc:"group id"`
			Invite string `path:"i" doc:"invite id"`
		}) (*body[api.Invite], error) {
			g, err := (ofGroup{in.Group}).id()
			if err != nil {
				return nil, err
			}
			return reply(s.node.RevokeInvite(ctx, g, in.Invite))
		})
	handle(s, verb{method: "POST", path: "/invites/inspect", id: "inspect", doc: "What a pasted text holds; no network unless preview is set"},
		func(ctx context.Context, in *struct{ Body api.InspectRequest }) (*body[api.Inspect], error) {
			return reply(s.node.Inspect(ctx, in.Body))
		})
}
