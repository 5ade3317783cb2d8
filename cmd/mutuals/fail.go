package main

import (
	"context"
	"errors"
	"fmt"

	"mutuals/node/api"
)

// failure is an error of the command line itself: what is wrong, the one next
// step, and the exit code. What the node refuses is an *api.Problem, whose
// code, words and exit code stand in node/api/codes.go.
type failure struct {
	exit api.Exit
	hint string
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// usage returns a failure with exit code 2.
func usage(hint, format string, a ...any) error {
	return &failure{api.ExitUsage, hint, fmt.Errorf(format, a...)}
}

// notFound returns a failure with exit code 5.
func notFound(hint, format string, a ...any) error {
	return &failure{api.ExitNotFound, hint, fmt.Errorf(format, a...)}
}

// fail writes an error and its next step, and returns the exit code. With
// --json a problem is the answer, in the API's shape, if there was no other.
func (c *cli) fail(err error) api.Exit {
	exit, hint, said := api.ExitFailure, "", err.Error()
	var f *failure
	var p *api.Problem
	switch {
	case errors.As(err, &f):
		exit, hint = f.exit, f.hint
		if exit == api.ExitNotFound {
			p = api.NewProblem(api.NotFound).In(c.lang).Explain("%s", said)
		}
	case errors.As(err, &p):
		p = p.In(c.lang)
		exit, hint, said = p.Exit(), p.Hint, fmt.Sprintf("%s [%s]", p.Error(), p.Code)
	case errors.Is(err, api.ErrNotRunning):
		exit, said, hint = api.ExitNotRunning, "no node is running on this home", "run mutuals up"
		if c.lang == api.Chinese {
			said, hint = "这里没有正在运行的节点", "运行 mutuals up"
		}
	case errors.Is(err, context.DeadlineExceeded):
		exit, hint = api.ExitNetwork, "try again, or see mutuals doctor"
	case errors.Is(err, api.ErrResync):
		hint = "start again without --after"
	}
	if c.json && p != nil && !c.spoke {
		if err := c.line(p); err != nil {
			c.note("mutuals: error: %v", err)
		}
	}
	fmt.Fprintf(c.err, "mutuals: error: %s\n", clean(said))
	if hint != "" {
		fmt.Fprintf(c.err, "hint: %s\n", clean(hint))
	}
	return exit
}
