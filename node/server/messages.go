package server

import (
	"context"
	"net/http"

	"mutuals/node/api"
)

func (s *Server) messageVerbs() {
	handle(s, verb{method: "GET", path: "/groups/{g}/messages", id: "messages", doc: "One window of the timeline, oldest first"},
		func(ctx context.Context, in *struct {
			Group  string `path:"g" doc:"group id"`
			Before string `query:"before" maxLength:"256" doc:"cursor: entries before it"`
			After  string `query:"after" maxLength:"256" doc:"cursor: entries after it"`
			Around string `query:"around" maxLength:"256" doc:"cursor, message id or moment (RFC 3339) in the middle"`
			Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
		}) (*body[api.MessagePage], error) {
			g, err := (ofGroup{in.Group}).id()
			if err != nil {
				return nil, err
			}
			page := api.Page{Before: in.Before, After: in.After, Around: in.Around, Limit: in.Limit}
			if page.Cursors() > 1 {
				return nil, api.NewProblem(api.BadRequest).Explain("before, after and around exclude each other")
			}
			return reply(s.node.Messages(ctx, g, page))
		})
	handle(s, verb{method: "POST", path: "/groups/{g}/messages", id: "send", doc: "Say something; answered once it is synced to disk", status: http.StatusCreated},
		func(ctx context.Context, in *struct {
			Group string `path:"g" doc:"group id"`
			Body  api.MessageCreate
		}) (*body[api.Message], error) {
			g, err := (ofGroup{in.Group}).id()
			if err != nil {
				return nil, err
			}
			if len(in.Body.Text) > api.MaxText {
				return nil, api.NewProblem(api.TooLarge, "max", "16 KiB")
			}
			return reply(s.node.Send(ctx, g, in.Body))
		})
	handle(s, verb{method: "GET", path: "/groups/{g}/messages/{m}", id: "message", doc: "One message"},
		func(ctx context.Context, in *struct {
			Group   string `path:"g" doc:"group id"`
			Message string `path:"m" doc:"message id"`
		}) (*body[api.Message], error) {
			g, err := (ofGroup{in.Group}).id()
			if err != nil {
				return nil, err
			}
			return reply(s.node.Message(ctx, g, in.Message))
		})
	handle(s, verb{method: "GET", path: "/groups/{g}/messages/{m}/receipts", id: "receipts", doc: "Who has read an own message, of those who take read receipts, if this person does"},
		func(ctx context.Context, in *struct {
			Group   string `path:"g" doc:"group id"`
			Message string `path:"m" doc:"message id"`
		}) (*body[api.Receipts], error) {
			g, err := (ofGroup{in.Group}).id()
			if err != nil {
				return nil, err
			}
			return reply(s.node.Receipts(ctx, g, in.Message))
		})
	handle(s, verb{method: "PUT", path: "/groups/{g}/read-marker", id: "markRead", doc: "Everything up to this message was read"},
		func(ctx context.Context, in *struct {
			Group string `path:"g" doc:"group id"`
			Body  api.ReadMarker
		}) (*body[api.Settled], error) {
			g, err := (ofGroup{in.Group}).id()
			if err != nil {
				return nil, err
			}
			return reply(api.Settled{OK: true}, s.node.MarkRead(ctx, g, in.Body.Message.String()))
		})
}
