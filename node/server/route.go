package server

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"mutuals/identity/wire"
	"mutuals/node/api"
)

// body is an answer with a JSON body.
type body[T any] struct{ Body T }

func reply[T any](v T, err error) (*body[T], error) {
	if err != nil {
		return nil, err
	}
	return &body[T]{v}, nil
}

func replyList[T any](items []T, err error) (*body[api.List[T]], error) {
	return reply(api.List[T]{Items: items}, err)
}

// none is a request without parameters.
type none struct{}

// need is what a verb needs before it answers.
type need int

const (
	needIdentity need = iota
	needNothing       // answers before an identity exists
)

// verb describes one route. The id is a name for generated clients.
type verb struct {
	method, path, id, doc string
	status                int // of success; 0 is 200
	most                  int // bytes of its body; 0 is maxBody
	need                  need
	text                  bool // answers with plain text
}

// humaOnce guards huma's settings, which are variables of its package: arrays
// of ours are never null, and its own refusals are our problems. They are the
// same for every server of the process.
var humaOnce sync.Once

func newAPI(mux *http.ServeMux) huma.API {
	humaOnce.Do(func() {
		huma.DefaultArrayNullable = false
		huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
			return refusal(nil, status, msg, errs...)
		}
		huma.NewErrorWithContext = refusal
	})
	json := huma.DefaultJSONFormat
	return humago.NewWithPrefix(mux, api.Prefix, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "mutuals",
				Version:     "1",
				Description: "The local API of a mutuals node. Errors are RFC 9457 problems with a code of a closed list. Within v1 it only grows.",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token": {Type: "http", Scheme: "bearer", Description: "the token of api.json; not needed over the unix socket"},
				},
			},
			Security: []map[string][]string{{"token": {}}},
		},
		Formats:       map[string]huma.Format{"application/json": json, "json": json},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{speak},
	})
}

// handle registers a verb: it sees to the identity, the bounds and the errors,
// so that a handler is decode, one call, encode.
func handle[I, O any](s *Server, v verb, call func(context.Context, *I) (*O, error)) {
	var answers map[string]*huma.Response
	if v.text {
		answers = map[string]*huma.Response{"200": {Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}}}}
	}
	huma.Register(s.api, huma.Operation{
		Responses: answers,
		Method:    v.method, Path: v.path, OperationID: v.id, Summary: v.doc,
		DefaultStatus: v.status,
		// The guard bounds size and time; huma's own bounds are 1 MiB and 5 s.
		MaxBodyBytes: int64(cmp.Or(v.most, maxBody) + 1), BodyReadTimeout: -1,
	}, func(ctx context.Context, in *I) (*O, error) {
		if v.need == needIdentity {
			if p := s.identity(ctx); p != nil {
				return nil, p
			}
		}
		out, err := call(ctx, in)
		if err != nil {
			p, known := problemOf(err)
			if !known && !errors.Is(err, context.Canceled) {
				s.log.Error("a call failed", "verb", v.id, "err", err)
			}
			return nil, p
		}
		return out, nil
	})
}

// identity returns the problem of calling a node that has no open identity. An
// identity, once open, stays.
func (s *Server) identity(ctx context.Context) *api.Problem {
	if s.open.Load() {
		return nil
	}
	switch s.node.Status(ctx).Identity {
	case api.IdentityReady:
		s.open.Store(true)
		return nil
	case api.IdentityLocked:
		return api.NewProblem(api.Locked)
	}
	return api.NewProblem(api.NoIdentity)
}

// ofGroup is a request about one group. An id that is none names nothing that
// exists, so it is not found.
type ofGroup struct {
	Group string `path:"g" doc:"group id"`
}

func (r ofGroup) id() (wire.GroupID, error) {
	g, err := wire.ParseGroupID(r.Group)
	if err != nil {
		return g, api.NewProblem(api.NotFound, "what", "group")
	}
	return g, nil
}

func accountID(text string) (wire.AccountID, error) {
	a, err := wire.ParseAccountID(text)
	if err != nil {
		return a, api.NewProblem(api.NotFound, "what", "account")
	}
	return a, nil
}

// ofMember is a request about one account in one group.
type ofMember struct {
	Group   string `path:"g" doc:"group id"`
	Account string `path:"a" doc:"account, mu1…"`
}

func (r ofMember) ids() (g wire.GroupID, a wire.AccountID, err error) {
	if g, err = (ofGroup{r.Group}).id(); err != nil {
		return g, a, err
	}
	a, err = accountID(r.Account)
	return g, a, err
}

// ofAccount is a request about one account.
type ofAccount struct {
	Account string `path:"a" doc:"account, mu1…"`
}
