package main

import (
	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newBlock(c *cli) *cobra.Command {
	cmd := block(c, "block", "Take nothing from somebody any more", true)
	cmd.Long = `Unfollow somebody and take nothing from them any more: follows, offers of seats
or groups, and requests to join by a passcode are dropped without an answer, and
your node lets them into no group. They are not told.

In a group you are both in, nothing changes: you read each other, and count as
members. An admin may remove them (mutuals members remove), or you may leave.
Another member's node may let them into a group of yours.`
	return cmd
}

func newUnblock(c *cli) *cobra.Command {
	return block(c, "unblock", "Take back a block", false)
}

func block(c *cli, verb, short string, on bool) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " ID|NAME",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			who, err := c.person(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			p, err := client.Block(cmd.Context(), who.Account, on)
			if err != nil {
				return err
			}
			return show(c, p, func(p api.Person) { c.tellPerson(verb+"ed", p) })
		},
	}
}
