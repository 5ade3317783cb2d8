package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newFollow(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "follow CARD|ID|NAME|-",
		Short: "Follow somebody: by contact card, or by id or name if you know them",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			text, err := c.text(args, "", nil)
			if err != nil {
				return err
			}
			client, err := c.connect(ctx)
			if err != nil {
				return err
			}
			text = strings.TrimSpace(text)
			var who api.Person
			card := ""
			// A card is long and an account id is one word; the rest is a name.
			if who.Account.UnmarshalText([]byte(text)) != nil {
				if len(text) > maxName {
					card = text
				} else if who, err = c.person(ctx, text); err != nil {
					return err
				}
			}
			p, err := client.Follow(ctx, who.Account, card)
			if err != nil {
				return err
			}
			return show(c, p, func(p api.Person) {
				c.tellPerson("following", p)
				if !p.Mutual {
					c.note("You are mutuals once they follow you too: send them your card (mutuals id card).")
				}
			})
		},
	}
}

// maxName is what a name may have in bytes: 64 characters of four.
const maxName = 256

func newUnfollow(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "unfollow ID|NAME",
		Short: "Follow somebody no longer",
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
			p, err := client.Unfollow(cmd.Context(), who.Account)
			if err != nil {
				return err
			}
			return show(c, p, func(p api.Person) { c.tellPerson("no longer following", p) })
		},
	}
}

func newFollows(c *cli) *cobra.Command {
	cmd := people(c, "follows", "Whom you follow", "you follow nobody yet", (*api.Client).Follows)
	confirm := false
	cmd.Flags().BoolVar(&confirm, "confirm", false, "after a restore from words: follow those named whom others say you follow, or all of them")
	cmd.Use = "follows [--confirm [ID|NAME…]]"
	cmd.Args = cobra.ArbitraryArgs
	list := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case confirm:
			return c.confirmFollows(cmd.Context(), args)
		case len(args) > 0:
			return usage("mutuals follows, or mutuals follow "+args[0], "follows takes a name with --confirm only")
		}
		return list(cmd, args)
	}
	return cmd
}

// confirmFollows follows whom others say this account follows.
func (c *cli) confirmFollows(ctx context.Context, names []string) error {
	client, err := c.connect(ctx)
	if err != nil {
		return err
	}
	var said []api.Person
	for _, name := range names {
		who, err := c.person(ctx, name)
		if err != nil {
			return err
		}
		said = append(said, who)
	}
	done, err := client.ConfirmFollows(ctx, said)
	if err != nil {
		return err
	}
	return showList(c, done, func(done []api.Person) {
		for _, p := range done {
			c.tellPerson("following", p)
		}
		if len(done) == 0 {
			c.say("nobody is said to be followed")
		}
	})
}

func newFollowers(c *cli) *cobra.Command {
	return people(c, "followers", "Who follows you", "nobody follows you yet", (*api.Client).Followers)
}

func newFriends(c *cli) *cobra.Command {
	cmd := people(c, "friends", "Your mutuals: you follow each other", "no mutuals yet", (*api.Client).Mutuals)
	cmd.Aliases = []string{"mutuals"}
	return cmd
}

// people returns a command that lists people.
func people(c *cli, use, short, empty string, list func(*api.Client, context.Context) ([]api.Person, error)) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			all, err := list(client, cmd.Context())
			if err != nil {
				return err
			}
			return showList(c, all, func(all []api.Person) {
				rows := make([][]string, len(all))
				for i, p := range all {
					rows[i] = []string{p.Name, standing(p), p.Account.String()}
				}
				c.table(empty, []string{"NAME", "", "ACCOUNT"}, rows)
			})
		},
	}
}

// standing says how a person and you stand.
func standing(p api.Person) string {
	switch {
	case p.Blocked:
		return "blocked"
	case p.Mutual:
		return "mutual"
	case p.Following && !p.Delivered:
		return "followed, not told yet"
	case p.Following:
		return "followed"
	case p.Said && p.FollowsYou:
		return "follows you; you are said to follow them, not confirmed"
	case p.Said:
		return "said to be followed, not confirmed"
	case p.FollowsYou:
		return "follows you"
	}
	return ""
}

func (c *cli) tellPerson(act string, p api.Person) {
	name := p.Name
	if name == "" {
		name = p.Account.String()
	}
	c.say("%s %s (%s)", act, c.bold(oneLine(name)), standing(p))
}
