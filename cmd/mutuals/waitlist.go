package main

import (
	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newWaitlist(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "waitlist GROUP",
		Short: "Who waits for a seat, in order",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := c.group(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			waiting, err := c.client.Waitlist(cmd.Context(), g.ID)
			if err != nil {
				return err
			}
			return showList(c, waiting, func(waiting []api.Member) {
				if len(waiting) == 0 {
					c.note("nobody waits for a seat")
					return
				}
				c.tellMembers(waiting, true)
			})
		},
	}
}
