package main

import (
	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newID(c *cli) *cobra.Command {
	return noun("id", "Who you are here: account, contact card, words", newIDShow(c), newIDCard(c), newIDWords(c))
}

func newIDShow(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Account, device, name and contact card",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			id, err := client.Identity(cmd.Context())
			if err != nil {
				return err
			}
			return show(c, id, func(id api.Identity) {
				c.facts("name", id.Name, "account", id.Account.String(), "device", id.Device.String(), "card", id.Card)
			})
		},
	}
}

func newIDCard(c *cli) *cobra.Command {
	var link, qr bool
	cmd := &cobra.Command{
		Use:   "card [--link] [--qr]",
		Short: "Your contact card: send it to people who are to follow you",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			card, err := client.Card(cmd.Context())
			if err != nil {
				return err
			}
			if qr && !c.json {
				return c.qr(card.Text)
			}
			return show(c, card, func(card api.Card) {
				if link {
					c.say("%s", card.Link)
				} else {
					c.say("%s", card.Text)
				}
			})
		},
	}
	cmd.Flags().BoolVar(&link, "link", false, "as a mutuals:// link")
	cmd.Flags().BoolVar(&qr, "qr", false, "as a picture to scan")
	return cmd
}

func newIDWords(c *cli) *cobra.Command {
	var confirm bool
	cmd := &cobra.Command{
		Use:   "words [--confirm]",
		Short: "The 24 words of the account, until you confirm that they are on paper",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if confirm {
				if err := c.confirm("The words will be erased from this machine. Are they on paper?"); err != nil {
					return err
				}
			}
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			w, err := client.Words(cmd.Context(), confirm)
			if err != nil {
				return err
			}
			return show(c, w, func(w api.Words) {
				if w.Words != "" {
					c.tellWords(w.Words)
				} else {
					c.note("the words are not on this machine: they were confirmed, or the account was made on another one")
				}
			})
		},
	}
	cmd.Flags().BoolVar(&confirm, "confirm", false, "they are written down: erase them here")
	return cmd
}
