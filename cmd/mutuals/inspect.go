package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newInspect(c *cli) *cobra.Command {
	var preview bool
	cmd := &cobra.Command{
		Use:   "inspect [TEXT|-] [--preview]",
		Short: "What a pasted text holds; asks nobody unless told to",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			text, err := c.text(args, "Paste the whole message", c.holdsCode(cmd.Context()))
			if err != nil {
				return err
			}
			in, err := client.Inspect(cmd.Context(), api.InspectRequest{Text: text, Preview: preview})
			if err != nil {
				return err
			}
			if err := show(c, in, c.tellCard); err != nil {
				return err
			}
			// That one is in already is no fault of the code.
			if in.Problem == nil || in.Problem.Code == api.AlreadyMember {
				return nil
			}
			return in.Problem
		},
	}
	cmd.Flags().BoolVar(&preview, "preview", false, "ask the inviter's side what the group is")
	return cmd
}

// holdsCode returns a judge of a text that is being pasted line by line: it is
// enough when it holds a whole code, be it a bad one.
func (c *cli) holdsCode(ctx context.Context) func(string) bool {
	return func(text string) bool {
		in, err := c.client.Inspect(ctx, api.InspectRequest{Text: text})
		if err != nil || in.Problem == nil {
			return true // an error is told when the text is used
		}
		return in.Problem.Code != api.PasscodeMalformed && in.Problem.Code != api.PasscodeCutOff
	}
}

// tellCard tells what a code offers, before anything is shared with anybody.
func (c *cli) tellCard(in api.Inspect) {
	from, group, seats, history := "", "", "", ""
	if in.Inviter != nil {
		from = in.Inviter.Name
		if from == "" && !in.Inviter.Account.IsZero() {
			from = in.Inviter.Account.String()
		}
	}
	if p := in.Preview; p != nil {
		group, seats, history = p.Name, fmt.Sprintf("%d of %d taken", p.Members, p.Cap), historyWords(p.History)
	}
	account := ""
	if !in.Account.IsZero() {
		account = in.Account.String()
	}
	c.facts("what", in.Kind, "group", group, "from", from, "account", account, "seats", seats, "history", history, "good until", moment(in.ExpiresAt))
	for _, h := range in.Hints {
		c.facts("address", h)
	}
}
