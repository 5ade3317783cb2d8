package server

import (
	"context"

	"mutuals/node/api"
)

// octets is an answer that is a file.
type octets struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

func (s *Server) proofVerbs() {
	handle(s, verb{method: "GET", path: "/groups/{g}/members/{a}/proof", id: "proof", doc: "What shows anybody that a member and its inviter both agreed"},
		func(ctx context.Context, in *ofMember) (*body[api.Proof], error) {
			g, a, err := in.ids()
			if err != nil {
				return nil, err
			}
			return reply(s.node.Proof(ctx, g, a))
		})
	handle(s, verb{method: "GET", path: "/groups/{g}/members/{a}/proof/file", id: "proofFile", doc: "The proof as a file"},
		func(ctx context.Context, in *ofMember) (*octets, error) {
			g, a, err := in.ids()
			if err != nil {
				return nil, err
			}
			p, err := s.node.Proof(ctx, g, a)
			if err != nil {
				return nil, err
			}
			return &octets{"application/octet-stream", `attachment; filename="consent.proof"`, p.Proof}, nil
		})
	handle(s, verb{method: "POST", path: "/proofs/verify", id: "verifyProof", need: needNothing, most: api.MaxProof,
		doc: "Judge a proof by its bytes alone; needs no identity and asks nobody"},
		func(ctx context.Context, in *struct {
			RawBody []byte `contentType:"application/octet-stream"`
		}) (*body[api.Consent], error) {
			return reply(s.node.VerifyProof(ctx, in.RawBody))
		})
}
