package main

import (
	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newProfile(c *cli) *cobra.Command {
	return noun("profile", "What you show of yourself", newProfileShow(c), newProfileSet(c))
}

func newProfileShow(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Your profile",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			p, err := client.Profile(cmd.Context())
			if err != nil {
				return err
			}
			return show(c, p, c.tellProfile)
		},
	}
}

func newProfileSet(c *cli) *cobra.Command {
	var name, bio string
	cmd := &cobra.Command{
		Use:   "set [--name NAME] [--bio TEXT]",
		Short: "Change your profile",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var in api.ProfilePatch
			if cmd.Flags().Changed("name") {
				in.Name = &name
			}
			if cmd.Flags().Changed("bio") {
				in.Bio = &bio
			}
			if in == (api.ProfilePatch{}) {
				return usage("add --name or --bio", "nothing to change")
			}
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			p, err := client.SetProfile(cmd.Context(), in)
			if err != nil {
				return err
			}
			return show(c, p, c.tellProfile)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "at most 64 characters")
	cmd.Flags().StringVar(&bio, "bio", "", "a few words; empty takes them away")
	return cmd
}

func (c *cli) tellProfile(p api.Profile) {
	c.facts("name", p.Name, "bio", p.Bio, "account", p.Account.String())
}
