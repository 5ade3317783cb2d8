package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Code names what went wrong, one word of the closed list in codes.go.
type Code string

// Lang is a language that problems are told in.
type Lang string

// The languages there are.
const (
	English Lang = "en"
	Chinese Lang = "zh"
)

// Language returns the best of our languages for an Accept-Language header:
// the first it names that we have, English if it names none.
func Language(accept string) Lang {
	for part := range strings.SplitSeq(accept, ",") {
		tag, _, _ := strings.Cut(part, ";")
		tag = strings.ToLower(strings.TrimSpace(tag))
		switch primary, _, _ := strings.Cut(tag, "-"); primary {
		case "zh":
			return Chinese
		case "en":
			return English
		}
	}
	return English
}

const problemType = "urn:mutuals:problem:"

// Problem is an RFC 9457 problem and an error. It never holds message text, a
// passcode or the words.
type Problem struct {
	Type      string            `json:"type" doc:"urn:mutuals:problem:CODE"`
	Title     string            `json:"title" doc:"what is wrong, in the reader's language"`
	Status    int               `json:"status" doc:"HTTP status"`
	Detail    string            `json:"detail" doc:"what is wrong here"`
	Code      Code              `json:"code"`
	Retryable bool              `json:"retryable" doc:"the same request may succeed later"`
	Hint      string            `json:"hint" doc:"the one next action"`
	Args      map[string]string `json:"args,omitempty" doc:"facts that Detail names, such as which part of a passcode was mistyped"`
}

// NewProblem returns the problem of a code in English. args are pairs of name
// and value; a detail whose names are all given tells them. An unknown code is
// our own mistake and panics.
func NewProblem(code Code, args ...string) *Problem {
	if len(args)%2 != 0 {
		panic("internal error: problem args are pairs")
	}
	e := entryOf(code)
	p := &Problem{Type: problemType + string(code), Status: e.status, Code: code, Retryable: e.retryable}
	for i := 0; i < len(args); i += 2 {
		if p.Args == nil {
			p.Args = map[string]string{}
		}
		p.Args[args[i]] = args[i+1]
	}
	w := e.words(English)
	p.Title, p.Hint, p.Detail = w.title, w.hint, w.tell(p.Args)
	return p
}

// Explain returns the problem with a detail of its own, which is told as it is
// in every language: for what only a developer will read.
func (p *Problem) Explain(format string, a ...any) *Problem {
	q := *p
	q.Detail = fmt.Sprintf(format, a...)
	return &q
}

// In returns the problem in another language. A detail given by Explain stays.
func (p *Problem) In(l Lang) *Problem {
	e, ok := codes[p.Code]
	if !ok {
		return p
	}
	q := *p
	standard := p.Detail == "" || p.Detail == e.words(English).tell(p.Args) || p.Detail == e.words(Chinese).tell(p.Args)
	w := e.words(l)
	q.Title, q.Hint = w.title, w.hint
	if standard {
		q.Detail = w.tell(p.Args)
	}
	return &q
}

// Error is the title and detail on one line.
func (p *Problem) Error() string {
	if p.Detail == "" || p.Detail == p.Title {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

// Is makes errors.Is(err, &Problem{Code: c}) ask for the code.
func (p *Problem) Is(target error) bool {
	t, ok := target.(*Problem)
	return ok && t.Code == p.Code
}

// GetStatus and ContentType are what the HTTP library of node/server asks of an
// error it writes.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType answers application/problem+json whatever was negotiated.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// Exit returns the exit code of a command that ends with this problem.
func (p *Problem) Exit() Exit {
	if e, ok := codes[p.Code]; ok {
		return e.exit
	}
	return ExitFailure
}

// CodeOf returns the code of the Problem in err's chain, "" if there is none.
func CodeOf(err error) Code {
	var p *Problem
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

// AsProblem returns the Problem in err's chain, or one of code internal whose
// detail does not repeat err, which may hold anything: the log gets that.
func AsProblem(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return NewProblem(Internal)
}

// parseProblem reads an answer that is no success; what is no problem document
// becomes one.
func parseProblem(status int, body []byte) *Problem {
	var p Problem
	if err := json.Unmarshal(body, &p); err == nil && p.Code != "" {
		return &p
	}
	q := NewProblem(Internal).Explain("the daemon answered %d with something that is no problem document", status)
	q.Status = status
	return q
}

// WithStatus returns the problem with another HTTP status, where HTTP has one
// that says more than the code's own (405, 415, 431).
func (p *Problem) WithStatus(status int) *Problem {
	q := *p
	q.Status = status
	return &q
}
