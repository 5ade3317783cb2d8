package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newGroupTransfer(c *cli) *cobra.Command {
	var wait, cancel bool
	cmd := &cobra.Command{
		Use:   "transfer GROUP ID|NAME",
		Short: "Hand a group over; its next owner accepts or declines",
		Long: `Offer a group to its next owner, who accepts or declines with mutuals requests.
Once they have accepted you are an admin, and may leave. Until then --cancel
takes the offer back.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if cancel != (len(args) == 1) {
				return usage("mutuals group transfer GROUP MEMBER, or mutuals group transfer GROUP --cancel", "name the next owner, or cancel")
			}
			g, err := c.group(ctx, args[0])
			if err != nil {
				return err
			}
			if cancel {
				return c.cancelTransfer(ctx, g)
			}
			m, err := c.member(ctx, g, args[1])
			if err != nil {
				return err
			}
			if err := c.confirm(fmt.Sprintf("Offer %s to %s? Once they accept, it is theirs and you are an admin.", oneLine(g.Name), whom(m))); err != nil {
				return err
			}
			task, err := c.client.Transfer(ctx, g.ID, m.Account)
			if err != nil {
				return err
			}
			if wait {
				return c.watch(ctx, task, func(t api.Task) { c.note("%s", stageWords(t)) })
			}
			return show(c, task, func(t api.Task) {
				c.say("%s", stageWords(t))
				c.note("They answer with mutuals requests accept; mutuals group show %q tells who owns it.", g.Name)
			})
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for their answer")
	cmd.Flags().BoolVar(&cancel, "cancel", false, "take the offer back")
	return cmd
}

// whom names a member.
func whom(m api.Member) string {
	if m.Name == "" {
		return short(m.Account)
	}
	return oneLine(m.Name)
}

func (c *cli) cancelTransfer(ctx context.Context, g api.Group) error {
	tasks, err := c.client.Tasks(ctx)
	if err != nil {
		return err
	}
	for _, t := range tasks {
		if t.Kind != api.TaskTransfer || t.Over() || t.Result == nil || t.Result.Group != g.ID {
			continue
		}
		if t, err = c.client.CancelTask(ctx, t.ID); err != nil {
			return err
		}
		return show(c, t, func(api.Task) { c.say("%s is yours as before", c.bold(oneLine(g.Name))) })
	}
	return notFound("mutuals group show GROUP", "%s is offered to nobody", g.Name)
}

func newGroupSucceed(c *cli) *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use:   "succeed GROUP ID|NAME",
		Short: "Propose an owner to the admins, in place of one who is silent",
		Long: `Propose an owner for a group whose owner has been silent for as long as its
rules say (mutuals group set GROUP --succeed-days N, the owner's to set). The
other admins accept or decline with mutuals requests; with more than half of the
admins, you counted, and two at least, the group has a new owner. Any sign of
life of the old one stops it.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			g, err := c.group(ctx, args[0])
			if err != nil {
				return err
			}
			m, err := c.member(ctx, g, args[1])
			if err != nil {
				return err
			}
			task, err := c.client.Succeed(ctx, g.ID, m.Account)
			if err != nil {
				return err
			}
			if wait {
				return c.watch(ctx, task, func(t api.Task) { c.note("%s", stageWords(t)) })
			}
			return show(c, task, func(t api.Task) {
				c.say("%s", stageWords(t))
				c.note("The other admins answer with mutuals requests accept.")
			})
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for the admins")
	return cmd
}
