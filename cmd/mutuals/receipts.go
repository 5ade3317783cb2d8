package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newReceipts(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "receipts GROUP [MSG]",
		Short: "Who has read a message of yours, or your newest",
		Long: "Who has read a message of yours, or your newest. Only of members who take read\n" +
			"receipts, and only if you do: mutuals config set receipts on. Each tells how far\n" +
			"was read, once in a while.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			g, err := c.group(ctx, args[0])
			if err != nil {
				return err
			}
			id := ""
			if len(args) == 2 {
				var m api.ReadMarker
				if err := m.Message.UnmarshalText([]byte(args[1])); err != nil {
					return usage("take the id from mutuals log GROUP --json", "reading the message's id: %w", err)
				}
				id = args[1]
			} else if id, err = c.ownNewest(ctx, g); err != nil {
				return err
			}
			all, err := c.client.Receipts(ctx, g.ID, id)
			if err != nil {
				return err
			}
			return show(c, all, func(all api.Receipts) {
				rows := make([][]string, len(all.Items))
				for i, r := range all.Items {
					rows[i] = []string{oneLine(r.Name), moment(r.At), r.Account.String()}
				}
				c.table(c.inWords("nobody says so", "还没有人表示读过"), []string{"READ BY", "SAID AT", "ACCOUNT"}, rows)
				c.note(c.inWords("%s of %s who take read receipts", "在 %[2]s 位启用已读回执的成员中，%[1]s 位已读"), strconv.Itoa(len(all.Items)), strconv.Itoa(all.Of))
			})
		},
	}
}

// ownNewest finds the newest message of this account on the newest page.
func (c *cli) ownNewest(ctx context.Context, g api.Group) (string, error) {
	st, err := c.client.Status(ctx)
	if err != nil {
		return "", err
	}
	page, err := c.client.Messages(ctx, g.ID, api.Page{Limit: api.MaxPage})
	if err != nil {
		return "", err
	}
	for i := len(page.Items) - 1; i >= 0; i-- {
		if m := page.Items[i]; m.Author == st.Account && m.Kind == api.MessageText {
			return m.ID.String(), nil
		}
	}
	return "", usage("name one: mutuals receipts GROUP MSG", "you said nothing lately in %s", oneLine(nameOfGroup(g)))
}
