package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"mutuals/node"
	"mutuals/node/api"
)

// writeProblem answers a request that no operation took.
func writeProblem(w http.ResponseWriter, r *http.Request, p *api.Problem) {
	l := api.Language(r.Header.Get("Accept-Language"))
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(p.In(l)); err != nil {
		panic("internal error: encoding a problem: " + err.Error())
	}
	h := w.Header()
	h.Set("Content-Type", p.ContentType(""))
	h.Set("Content-Language", string(l))
	h.Add("Vary", "Accept-Language")
	w.WriteHeader(p.Status)
	_, _ = w.Write(b.Bytes()) // whoever hung up needs no answer
}

// speak puts the answer of an operation into the reader's language: a problem,
// or one inside a task or an inspected text. It is a huma transformer.
func speak(ctx huma.Context, _ string, v any) (any, error) {
	l := api.Language(ctx.Header("Accept-Language"))
	told := func(p *api.Problem) *api.Problem {
		if p == nil {
			return nil
		}
		ctx.SetHeader("Content-Language", string(l))
		ctx.AppendHeader("Vary", "Accept-Language")
		return p.In(l)
	}
	switch v := v.(type) {
	case *api.Problem:
		return told(v), nil
	case api.Task:
		v.Problem = told(v.Problem)
		return v, nil
	case api.Inspect:
		v.Problem = told(v.Problem)
		return v, nil
	case api.Group:
		return v.In(l), nil
	case api.List[api.Group]:
		items := make(api.Array[api.Group], len(v.Items))
		for i, g := range v.Items {
			items[i] = g.In(l)
		}
		return api.List[api.Group]{Items: items}, nil
	case api.Consent:
		return v.In(l), nil
	case api.Proof:
		return v.In(l), nil
	case api.Audit:
		return v.In(l), nil
	case api.Message:
		return inMessage(v, l), nil
	case api.MessagePage:
		items := make(api.Array[api.Message], len(v.Items))
		for i, m := range v.Items {
			items[i] = inMessage(m, l)
		}
		v.Items = items
		return v, nil
	case api.List[api.Task]:
		items := make(api.Array[api.Task], len(v.Items))
		for i, t := range v.Items {
			t.Problem = told(t.Problem)
			items[i] = t
		}
		v.Items = items
		return v, nil
	}
	return v, nil
}

// inMessage tells the acts a message is about in a language.
func inMessage(m api.Message, l api.Lang) api.Message {
	if len(m.Acts) > 0 {
		acts := make([]api.Act, len(m.Acts))
		for i, a := range m.Acts {
			acts[i] = a.In(l)
		}
		m.Acts = acts
	}
	return m
}

// refusal is huma's own refusal as a problem. huma reports the offending value
// beside each message and inside some; neither is repeated here.
func refusal(_ huma.Context, status int, msg string, errs ...error) huma.StatusError {
	switch status {
	case 0: // asked for the type only
		return &api.Problem{}
	case http.StatusRequestEntityTooLarge:
		return api.NewProblem(api.TooLarge, "max", "512 KiB")
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return api.NewProblem(api.Timeout)
	}
	var tooLarge *http.MaxBytesError
	var found []string
	for _, err := range errs {
		if errors.As(err, &tooLarge) {
			return api.NewProblem(api.TooLarge, "max", "512 KiB")
		}
		if d, ok := err.(*huma.ErrorDetail); ok {
			found = append(found, fault(d))
		}
	}
	if status >= 500 {
		return api.NewProblem(api.Internal)
	}
	p := api.NewProblem(api.BadRequest)
	switch {
	case len(found) > 0:
		p = p.Explain("%s", strings.Join(found, "; "))
	case msg == "request body is required":
		p = p.Explain("%s", msg)
	}
	return p
}

// plainName is what a field of ours looks like; a name that a caller made up
// may be anything, so it is told only if it looks like one. The path is at most
// three fields deep.
var plainName = regexp.MustCompile(`^(body|path|query|header)(\.[a-z_]{1,24}(\[[0-9]{1,4}\])?){0,4}$`)

// fault tells one finding of the validator without what was found.
func fault(d *huma.ErrorDetail) string {
	where, what := d.Location, "is not valid"
	if !plainName.MatchString(where) {
		where, _, _ = strings.Cut(where, ".")
		where += ": a field"
	}
	// The validator's sentences are made of the schema; all others are errors
	// of parsing, which quote their input.
	if strings.HasPrefix(d.Message, "expected ") || d.Message == "unexpected property" {
		what = d.Message
	}
	return where + ": " + what
}

// problemOf is the problem that an error of the node is told as. Errors that
// are none are logged by the caller.
func problemOf(err error) (p *api.Problem, known bool) {
	if p := node.Problem(err); p != nil {
		return p, true
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return api.NewProblem(api.Timeout), true
	case errors.Is(err, context.Canceled):
		return api.NewProblem(api.Timeout), true
	}
	return api.NewProblem(api.Internal), false
}
