package main

import (
	"strings"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newDirect(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "direct ID|NAME [TEXT|-]",
		Short: "Talk with one mutual alone; with TEXT, say it",
		Long: `Opens the conversation of two with somebody who follows you and whom you
follow, and says TEXT in it. It goes by their name from then on: mutuals send,
log, chat and group leave take it like a group's. It has no invites, ranks or
removals; either may leave.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			who, err := c.person(ctx, args[0])
			if err != nil {
				return err
			}
			var in api.MessageCreate
			if len(args) > 1 {
				text, err := c.text(args[1:], "Write the message", nil)
				if err != nil {
					return err
				}
				if in.Text = strings.TrimRight(text, "\r\n"); in.Text == "" {
					return usage("write it after the name, or - for standard input", "there is nothing to send")
				}
			}
			client, err := c.connect(ctx)
			if err != nil {
				return err
			}
			g, err := client.CreateGroup(ctx, api.GroupCreate{Direct: who.Account})
			if err != nil {
				return err
			}
			if in.Text == "" {
				return show(c, g, func(g api.Group) {
					c.tellGroup(g)
					c.note("Next: mutuals send %q, or mutuals chat %q", nameOfGroup(g), nameOfGroup(g))
				})
			}
			m, err := client.Send(ctx, g.ID, in)
			if err != nil {
				return err
			}
			return show(c, m, func(m api.Message) { c.say("%s: %s", oneLine(nameOfGroup(g)), heldWords(m, c.lang)) })
		},
	}
}

// nameOfGroup is what to call a group: one of two people whose other has told
// no name yet goes by its account.
func nameOfGroup(g api.Group) string {
	if g.Name == "" && g.Direct != nil {
		return short(g.Direct.Account)
	}
	return g.Name
}
