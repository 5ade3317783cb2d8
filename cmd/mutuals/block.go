package main

import (
	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newBlock(c *cli) *cobra.Command {
	return block(c, "block", "Take nothing from somebody any more", true)
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
