package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newInvite(c *cli) *cobra.Command {
	var uses int
	var in api.InviteCreate
	var link, qr bool
	cmd := &cobra.Command{
		Use:   "invite GROUP [--uses N] [--expires 7d]",
		Short: "Make a passcode: whoever pastes it may join",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			g, err := c.group(ctx, args[0])
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("uses") {
				in.Uses = &uses
			}
			if in.Lang == "" {
				in.Lang = string(c.lang)
			}
			inv, err := c.client.CreateInvite(ctx, g.ID, in)
			if err != nil {
				return err
			}
			if c.json {
				return c.line(inv)
			}
			if far := reachWords(inv.Reach, c.lang); far != "" {
				c.note("%s", far)
			}
			if inv.SleepProof {
				c.note("Whoever holds this code can read what is written while it lives.")
				if inv.Harbors == 0 {
					c.note("No harbor was reached: stay online until mutuals harbor list says that it holds all there is.")
				}
			}
			c.note("Send this to whom you invite: %d may join %s with it until %s.\n", inv.Uses, oneLine(g.Name), moment(inv.ExpiresAt))
			switch {
			case qr:
				return c.qr(inv.Passcode)
			case link:
				c.say("%s", inv.Link)
			default:
				c.say("%s", clean(inv.Text))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVar(&uses, "uses", 0, "how many may join with it (10)")
	f.StringVar(&in.Expires, "expires", "", "how long it holds: 30m, 12h, 7d (7d)")
	f.BoolVar(&in.Approve, "approve", false, "each request waits for an admin's yes")
	f.BoolVar(&in.SleepProof, "sleep-proof", false, "a harbor lets people in while all members sleep; whoever holds the code can read what is written while it lives")
	f.StringVar(&in.Redeem, "redeem", "", "whose node may let people in by it: any, admins or me (any)")
	f.StringVar(&in.Label, "label", "", "a note for yourself")
	f.StringVar(&in.Lang, "lang", "", "language of the words around it: en or zh (your locale's)")
	f.BoolVar(&link, "link", false, "print it as a mutuals:// link")
	f.BoolVar(&qr, "qr", false, "print it as a picture to scan")
	return cmd
}

// reachWords warns of a code that somebody elsewhere could not use, and says
// what would help; it is empty if there is nothing to warn of.
func reachWords(reach string, l api.Lang) string {
	zh := l == api.Chinese
	switch {
	case reach == api.ReachNone && zh:
		return "现在谁也无法凭此口令找到这个群：这台机器没有别人能连的地址，也没有连上能连的成员或港湾。请运行 mutuals doctor。"
	case reach == api.ReachNone:
		return "Nobody can find this group by the code now: this machine has no address that others can dial, and no member or harbor that has one is linked. Run mutuals doctor."
	case reach == api.ReachMachine && zh:
		return "现在只有这台机器上的人能凭此口令入群。请用别人能连的 --listen 启动，或指定一个港湾（mutuals harbor add），再生成新口令。"
	case reach == api.ReachMachine:
		return "Only somebody on this machine can join by it now. Start with a --listen that others can dial, or appoint a harbor (mutuals harbor add), and make a new code."
	case reach == api.ReachNetwork && zh:
		return "现在只有同一局域网内的人能凭此口令入群。要邀请别处的人，请指定一个能从外面连到的港湾（mutuals harbor add），再用 --sleep-proof 生成口令。"
	case reach == api.ReachNetwork:
		return "Only somebody on your local network can join by it now. For people elsewhere, appoint a harbor that can be dialled from outside (mutuals harbor add), and invite with --sleep-proof."
	}
	return ""
}

func newInvites(c *cli) *cobra.Command {
	return noun("invites", "The passcodes of a group", newInvitesList(c), newInvitesRevoke(c),
		newInvitesRequests(c), newInvitesAnswer(c, "accept", "Let somebody in who asked", true), newInvitesAnswer(c, "decline", "Do not", false))
}

func newInvitesList(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "list GROUP",
		Short: "The passcodes of a group",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := c.group(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			all, err := c.client.Invites(cmd.Context(), g.ID)
			if err != nil {
				return err
			}
			return showList(c, all, func(all []api.Invite) {
				rows := make([][]string, len(all))
				for i, inv := range all {
					state := "until " + moment(inv.ExpiresAt)
					if inv.Revoked {
						state = "revoked"
					}
					rows[i] = []string{short(inv.ID), inv.Label, fmt.Sprintf("%d of %d", inv.Used, inv.Uses), state, admitsBy(inv), short(inv.Inviter)}
				}
				c.table("no passcodes yet: mutuals invite GROUP", []string{"ID", "LABEL", "USED", "HOLDS", "LETS IN", "BY"}, rows)
			})
		},
	}
}

// admitsBy tells what lets people in by a passcode.
func admitsBy(inv api.Invite) string {
	by := map[string]string{api.RedeemAny: "any member", api.RedeemAdmins: "admins", api.RedeemMe: "its maker", api.RedeemListed: "some devices"}[inv.Redeem]
	if inv.SleepProof {
		return by + ", or a harbor"
	}
	if inv.Approve {
		return by + ", with an admin's yes"
	}
	return by
}

func newInvitesRevoke(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke GROUP ID",
		Short: "Make a passcode worthless",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			g, err := c.group(ctx, args[0])
			if err != nil {
				return err
			}
			all, err := c.client.Invites(ctx, g.ID)
			if err != nil {
				return err
			}
			found := match(args[1], all, func(i api.Invite) []string { return []string{i.ID.String(), i.Label, i.Passcode} })
			inv, err := only(args[1], "passcode", "mutuals invites list GROUP", found, func(i api.Invite) string { return short(i.ID) })
			if err != nil {
				return err
			}
			if err := c.confirm("Revoke this passcode? Nobody can join with it any more."); err != nil {
				return err
			}
			inv, err = c.client.RevokeInvite(ctx, g.ID, inv.ID.String())
			if err != nil {
				return err
			}
			return show(c, inv, func(i api.Invite) { c.say("revoked %s", short(i.ID)) })
		},
	}
}

func newInvitesRequests(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "requests GROUP",
		Short: "Who asks to join by a passcode that needs an admin's yes",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := c.joinRequests(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.showRequests(all)
		},
	}
}

func newInvitesAnswer(c *cli, verb, short string, accept bool) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " GROUP ID|NAME",
		Short: short,
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := c.joinRequests(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.answer(cmd.Context(), args[1], all, verb, accept)
		},
	}
}
