package server

import (
	"context"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

func (s *Server) peopleVerbs() {
	lists := []struct {
		path, doc string
		call      func(context.Context) ([]api.Person, error)
	}{
		{"people", "Everybody known here", s.node.People},
		{"follows", "Whom this account follows", s.node.Follows},
		{"followers", "Who follows this account", s.node.Followers},
		{"mutuals", "Who follows and is followed", s.node.Mutuals},
	}
	for _, l := range lists {
		handle(s, verb{method: "GET", path: "/" + l.path, id: l.path, doc: l.doc},
			func(ctx context.Context, _ *none) (*body[api.List[api.Person]], error) {
				return replyList(l.call(ctx))
			})
	}
	handle(s, verb{method: "GET", path: "/people/{a}", id: "person", doc: "One person"},
		func(ctx context.Context, in *ofAccount) (*body[api.Person], error) {
			a, err := accountID(in.Account)
			if err != nil {
				return nil, err
			}
			return reply(s.node.Person(ctx, a))
		})
	handle(s, verb{method: "PUT", path: "/follows/{a}", id: "follow", doc: "Follow somebody known here, or by card"},
		func(ctx context.Context, in *struct {
			Account string `path:"a" doc:"account, mu1…"`
			Body    *api.FollowRequest
		}) (*body[api.Person], error) {
			a, err := accountID(in.Account)
			if err != nil {
				return nil, err
			}
			var card string
			if in.Body != nil {
				card = in.Body.Card
			}
			return reply(s.node.Follow(ctx, a, card))
		})
	handle(s, verb{method: "DELETE", path: "/follows/{a}", id: "unfollow", doc: "Stop following"},
		func(ctx context.Context, in *ofAccount) (*body[api.Person], error) {
			a, err := accountID(in.Account)
			if err != nil {
				return nil, err
			}
			return reply(s.node.Unfollow(ctx, a))
		})
	handle(s, verb{method: "POST", path: "/follows/confirm", id: "confirmFollows", doc: "After a restore: follow whom others say this account follows"},
		func(ctx context.Context, in *struct{ Body *api.FollowsConfirm }) (*body[api.List[api.Person]], error) {
			var accounts []wire.AccountID
			if in.Body != nil {
				accounts = in.Body.Accounts
			}
			return replyList(s.node.ConfirmFollows(ctx, accounts))
		})
	for method, on := range map[string]bool{"PUT": true, "DELETE": false} {
		id, doc := "unblock", "Stop blocking"
		if on {
			id, doc = "block", "Block: nothing of theirs arrives"
		}
		handle(s, verb{method: method, path: "/blocks/{a}", id: id, doc: doc},
			func(ctx context.Context, in *ofAccount) (*body[api.Person], error) {
				a, err := accountID(in.Account)
				if err != nil {
					return nil, err
				}
				return reply(s.node.Block(ctx, a, on))
			})
	}
}
