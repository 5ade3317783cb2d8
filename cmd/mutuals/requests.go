package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newRequests(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "requests [accept|decline ID]",
		Short: "What waits for your yes: followers, offered seats and groups, requests to join, elections",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			all, err := client.Requests(cmd.Context())
			if err != nil {
				return err
			}
			return c.showRequests(all)
		},
	}
	cmd.AddCommand(answer(c, "accept", "Say yes", true), answer(c, "decline", "Say no", false))
	return cmd
}

func answer(c *cli, verb, short string, accept bool) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " ID",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			client, err := c.connect(ctx)
			if err != nil {
				return err
			}
			all, err := client.Requests(ctx)
			if err != nil {
				return err
			}
			return c.answer(ctx, args[0], all, verb, accept)
		},
	}
}

// answer says yes or no to the request that a person means of all that wait.
func (c *cli) answer(ctx context.Context, typed string, all []api.Request, verb string, accept bool) error {
	found := match(typed, all, func(r api.Request) []string { return []string{r.ID, r.From.String(), r.FromName} })
	r, err := only(typed, "request", "mutuals requests", found, func(r api.Request) string { return r.ID })
	if err != nil {
		return err
	}
	if r, err = c.client.AnswerRequest(ctx, r.ID, accept); err != nil {
		return err
	}
	return show(c, r, func(r api.Request) { c.say("%sed: %s", strings.TrimSuffix(verb, "e"), asks(r)) })
}

func (c *cli) showRequests(all []api.Request) error {
	return showList(c, all, func(all []api.Request) {
		rows := make([][]string, len(all))
		for i, r := range all {
			rows[i] = []string{r.ID, asks(r), moment(r.At)}
		}
		c.table("nothing waits", []string{"ID", "", "SINCE"}, rows)
	})
}

// joinRequests returns those who ask to join a group and wait for a yes.
func (c *cli) joinRequests(ctx context.Context, group string) ([]api.Request, error) {
	g, err := c.group(ctx, group)
	if err != nil {
		return nil, err
	}
	all, err := c.client.Requests(ctx)
	return slices.DeleteFunc(all, func(r api.Request) bool { return r.Kind != api.RequestJoin || r.Group != g.ID }), err
}

// asks says in words what a request is for.
func asks(r api.Request) string {
	who := r.FromName
	if who == "" {
		who = short(r.From)
	}
	switch r.Kind {
	case api.RequestFollow:
		return oneLine(who + " follows you")
	case api.RequestGroup:
		if r.Direct {
			return oneLine(who + " wants to talk with you")
		}
		return oneLine(who + " offers you a seat in " + r.GroupName)
	case api.RequestJoin:
		return oneLine(who + " asks to join " + r.GroupName)
	case api.RequestOwnership:
		return oneLine(who + " hands you " + r.GroupName + ": you would own it")
	case api.RequestSuccession:
		heir := r.HeirName
		if heir == "" {
			heir = short(r.Heir)
		}
		return oneLine(who + " proposes " + heir + " as owner of " + r.GroupName)
	}
	return oneLine(r.Kind + " from " + who)
}
