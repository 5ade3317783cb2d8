package main

import (
	"strings"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newRequests(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "requests [accept|decline ID]",
		Short: "What waits for your yes: followers, offered seats, requests to join",
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
			return showList(c, all, func(all []api.Request) {
				rows := make([][]string, len(all))
				for i, r := range all {
					rows[i] = []string{r.ID, asks(r), moment(r.At)}
				}
				c.table("nothing waits", []string{"ID", "", "SINCE"}, rows)
			})
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
			found := match(args[0], all, func(r api.Request) []string { return []string{r.ID} })
			id := args[0]
			if len(found) > 0 {
				r, err := only(id, "request", "mutuals requests", found, func(r api.Request) string { return r.ID })
				if err != nil {
					return err
				}
				id = r.ID
			}
			r, err := client.AnswerRequest(ctx, id, accept)
			if err != nil {
				return err
			}
			return show(c, r, func(r api.Request) { c.say("%sed: %s", strings.TrimSuffix(verb, "e"), asks(r)) })
		},
	}
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
		return oneLine(who + " offers you a seat in " + r.GroupName)
	case api.RequestJoin:
		return oneLine(who + " asks to join " + r.GroupName)
	}
	return oneLine(r.Kind + " from " + who)
}
