package server

import (
	"context"
	"net/http"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

func (s *Server) deviceVerbs() {
	handle(s, verb{method: "GET", path: "/devices", id: "devices", doc: "The devices of this account"},
		func(ctx context.Context, _ *none) (*body[api.List[api.Device]], error) {
			return replyList(s.node.Devices(ctx))
		})
	handle(s, verb{method: "POST", path: "/devices/link", id: "openLink", doc: "Show a link code: one new device may come in by it, for ten minutes", status: http.StatusCreated},
		func(ctx context.Context, in *struct{ Body *api.DeviceLinkCreate }) (*body[api.DeviceLink], error) {
			var make api.DeviceLinkCreate
			if in.Body != nil {
				make = *in.Body
			}
			return reply(s.node.OpenLink(ctx, make))
		})
	handle(s, verb{method: "GET", path: "/devices/link", id: "link", doc: "The link code that is good now"},
		func(ctx context.Context, _ *none) (*body[api.DeviceLink], error) {
			return reply(s.node.Link(ctx))
		})
	handle(s, verb{method: "DELETE", path: "/devices/link", id: "closeLink", doc: "Let no device in by the code any more"},
		func(ctx context.Context, _ *none) (*body[api.Task], error) {
			return reply(s.node.CloseLink(ctx))
		})
	handle(s, verb{method: "POST", path: "/devices/link/number", id: "linkNumber", doc: "The number that the new device shows, as the person read it there"},
		func(ctx context.Context, in *struct{ Body api.LinkNumber }) (*body[api.Task], error) {
			return reply(s.node.LinkNumber(ctx, in.Body.Number))
		})
	handle(s, verb{method: "POST", path: "/identity/link", id: "linkIdentity", doc: "Become a device of an account, by the link code that another of its devices shows", status: http.StatusAccepted, need: needNothing},
		func(ctx context.Context, in *struct{ Body api.LinkRequest }) (*body[api.Task], error) {
			return reply(s.node.JoinAccount(ctx, in.Body.Text))
		})
	handle(s, verb{method: "POST", path: "/devices/{d}/revoke", id: "revokeDevice", doc: "End another device of this account, for good"},
		func(ctx context.Context, in *struct {
			Device string `path:"d" doc:"device, md1…"`
			Body   *api.DeviceRevoke
		}) (*body[api.DeviceRevoked], error) {
			d, err := wire.ParseDeviceID(in.Device)
			if err != nil {
				return nil, api.NewProblem(api.NotFound, "what", "device")
			}
			var how api.DeviceRevoke
			if in.Body != nil {
				how = *in.Body
			}
			return reply(s.node.RevokeDevice(ctx, d, how))
		})
}
