package main

import (
	"strings"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newSend(c *cli) *cobra.Command {
	var reply string
	cmd := &cobra.Command{
		Use:   "send GROUP [TEXT|-]",
		Short: "Say something; returns when it is safe on this disk",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			text, err := c.text(args[1:], "Write the message", nil)
			if err != nil {
				return err
			}
			in := api.MessageCreate{Text: strings.TrimRight(text, "\r\n")}
			if in.Text == "" {
				return usage("write it after the group's name, or - for standard input", "there is nothing to send")
			}
			if reply != "" {
				if err := in.ReplyTo.UnmarshalText([]byte(reply)); err != nil {
					return usage("take the id from mutuals log GROUP --json", "reading the message to reply to: %w", err)
				}
			}
			g, err := c.group(ctx, args[0])
			if err != nil {
				return err
			}
			m, err := c.client.Send(ctx, g.ID, in)
			if err != nil {
				return err
			}
			return show(c, m, func(m api.Message) { c.say("%s in %s", held(m), oneLine(nameOfGroup(g))) })
		},
	}
	cmd.Flags().StringVar(&reply, "reply", "", "id of the message this answers")
	return cmd
}

// held tells where an own message is; nothing here claims more than is known.
func held(m api.Message) string {
	switch m.State {
	case api.StateDelivered:
		if m.HeldBy == 1 {
			return "held by one other member"
		}
		return "held by others"
	case api.StateSent:
		return "sent"
	}
	return "stored on this disk"
}
