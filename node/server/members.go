package server

import (
	"context"
	"net/http"

	"mutuals/node/api"
)

func (s *Server) memberVerbs() {
	handle(s, verb{method: "GET", path: "/groups/{g}/members", id: "members", doc: "Members, seated and not"},
		func(ctx context.Context, in *ofGroup) (*body[api.List[api.Member]], error) {
			g, err := in.id()
			if err != nil {
				return nil, err
			}
			return replyList(s.node.Members(ctx, g))
		})
	handle(s, verb{method: "GET", path: "/groups/{g}/waitlist", id: "waitlist", doc: "Who waits for a seat, first to last"},
		func(ctx context.Context, in *ofGroup) (*body[api.List[api.Member]], error) {
			g, err := in.id()
			if err != nil {
				return nil, err
			}
			return replyList(s.node.Waitlist(ctx, g))
		})
	handle(s, verb{method: "POST", path: "/groups/{g}/members", id: "addMember", doc: "Offer a seat to a mutual", status: http.StatusAccepted},
		func(ctx context.Context, in *struct {
			Group string `path:"g" doc:"group id"`
			Body  api.MemberAdd
		}) (*body[api.Task], error) {
			g, err := (ofGroup{in.Group}).id()
			if err != nil {
				return nil, err
			}
			return reply(s.node.AddMember(ctx, g, in.Body.Account))
		})
	handle(s, verb{method: "PATCH", path: "/groups/{g}/members/{a}", id: "patchMember", doc: "Set a member's role"},
		func(ctx context.Context, in *struct {
			Group   string `path:"g" doc:"group id"`
			Account string `path:"a" doc:"account, mu1…"`
			Body    api.MemberPatch
		}) (*body[api.Member], error) {
			g, a, err := (ofMember{in.Group, in.Account}).ids()
			if err != nil {
				return nil, err
			}
			return reply(s.node.PatchMember(ctx, g, a, in.Body))
		})
	handle(s, verb{method: "DELETE", path: "/groups/{g}/members/{a}", id: "removeMember", doc: "Remove a member"},
		func(ctx context.Context, in *struct {
			Group   string `path:"g" doc:"group id"`
			Account string `path:"a" doc:"account, mu1…"`
			Reason  string `query:"reason" maxLength:"1024" doc:"shown to the others"`
		}) (*body[api.Member], error) {
			g, a, err := (ofMember{in.Group, in.Account}).ids()
			if err != nil {
				return nil, err
			}
			return reply(s.node.RemoveMember(ctx, g, a, in.Reason))
		})
}
