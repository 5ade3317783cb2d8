package main

import (
	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newRead(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "read GROUP [MSG]",
		Short: "Move the read marker to a message, or to the newest; all your devices hear of it",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			g, err := c.group(ctx, args[0])
			if err != nil {
				return err
			}
			var to api.ReadMarker
			switch {
			case len(args) == 2:
				if err := to.Message.UnmarshalText([]byte(args[1])); err != nil {
					return usage("take the id from mutuals log GROUP --json", "reading the message's id: %w", err)
				}
			case g.LastMessage != nil:
				to.Message = g.LastMessage.ID
			}
			if !to.Message.IsZero() {
				if err := c.client.MarkRead(ctx, g.ID, to.Message); err != nil {
					return err
				}
			}
			if g, err = c.client.Group(ctx, g.ID); err != nil {
				return err
			}
			return show(c, g, func(g api.Group) { c.say("%s: %d unread", oneLine(nameOfGroup(g)), g.Unread) })
		},
	}
}
