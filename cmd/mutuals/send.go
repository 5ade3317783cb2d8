package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newSend(c *cli) *cobra.Command {
	var reply string
	var mention []string
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "send GROUP [TEXT|-]",
		Short: "Say something; returns when it is safe on this disk",
		Long: "Say something. It returns when the message is safe on this disk and says who else has it; with --wait,\n" +
			"when a member's device has reported it on its disk, or with exit code 6 when none did in that time.",
		Args: cobra.MinimumNArgs(1),
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
			for _, who := range mention {
				m, err := c.member(ctx, g, who)
				if err != nil {
					return err
				}
				in.Mentions = append(in.Mentions, m.Account)
			}
			var from string
			if wait > 0 {
				snap, err := c.client.Snapshot(ctx)
				if err != nil {
					return err
				}
				from = snap.EventID
			}
			m, err := c.client.Send(ctx, g.ID, in)
			if err != nil {
				return err
			}
			var late error
			if wait > 0 {
				m, late = c.delivered(ctx, m, from, wait)
			}
			if err := show(c, m, func(m api.Message) { c.say("%s: %s", oneLine(nameOfGroup(g)), heldWords(m, c.lang)) }); err != nil {
				return err
			}
			if errors.Is(late, context.DeadlineExceeded) && ctx.Err() == nil {
				return &failure{api.ExitNetwork, "it goes out by itself as soon as a member is reached; mutuals log GROUP tells",
					fmt.Errorf("no member's device has reported the message within %v", wait)}
			}
			return late
		},
	}
	cmd.Flags().StringVar(&reply, "reply", "", "id of the message this answers")
	cmd.Flags().StringArrayVar(&mention, "mention", nil, "a member it is for, who sees that they were mentioned; may be given again")
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait until a member's device has it, at most this long (a minute unless given)")
	cmd.Flags().Lookup("wait").NoOptDefVal = "1m"
	return cmd
}
