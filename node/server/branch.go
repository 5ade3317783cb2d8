package server

import (
	"context"
	"net/http"

	"mutuals/node/api"
)

func (s *Server) branchVerbs() {
	handle(s, verb{method: "GET", path: "/groups/{g}/tree", id: "tree", doc: "Who came through whom, from the founder down"},
		func(ctx context.Context, in *ofGroup) (*body[api.List[api.TreeLine]], error) {
			g, err := in.id()
			if err != nil {
				return nil, err
			}
			return replyList(s.node.Tree(ctx, g))
		})
	handle(s, verb{method: "GET", path: "/groups/{g}/members/{a}/branch", id: "branch", doc: "Whom removing a member with its branch would remove"},
		func(ctx context.Context, in *ofMember) (*body[api.Branch], error) {
			g, a, err := in.ids()
			if err != nil {
				return nil, err
			}
			return reply(s.node.Branch(ctx, g, a))
		})
	handle(s, verb{method: "POST", path: "/groups/{g}/members/{a}/branch-remove", id: "removeBranch", status: http.StatusAccepted,
		doc: "Remove a member and everybody who came through it; cannot be undone"},
		func(ctx context.Context, in *struct {
			Group   string `path:"g" doc:"group id"`
			Account string `path:"a" doc:"account, mu1…"`
			Body    *api.BranchRemove
		}) (*body[api.Task], error) {
			g, a, err := (ofMember{in.Group, in.Account}).ids()
			if err != nil {
				return nil, err
			}
			var what api.BranchRemove
			if in.Body != nil {
				what = *in.Body
			}
			return reply(s.node.RemoveBranch(ctx, g, a, what))
		})
}
