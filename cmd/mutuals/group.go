package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mutuals/node/api"
)

func newGroup(c *cli) *cobra.Command {
	return noun("group", "Make and run groups",
		newGroupCreate(c), newGroupList(c), newGroupShow(c), newGroupRename(c), newGroupSet(c), newGroupRetain(c), newGroupAudit(c),
		newGroupTransfer(c), newGroupSucceed(c), newGroupExport(c), newGroupVerify(c), newGroupLeave(c))
}

// groupFlags are a group's settings as flags; only those given count.
type groupFlags struct {
	name, description, history, whoInvites, posting string
	cap, waitlist, succeedDays                      int
	iceBreakers                                     []string
	set                                             *pflag.FlagSet
}

func (f *groupFlags) add(fs *pflag.FlagSet) {
	f.set = fs
	fs.StringVar(&f.description, "description", "", "what the group is for")
	fs.IntVar(&f.cap, "cap", 0, "seats, 2 to 500 (100 when a group is made)")
	fs.StringVar(&f.history, "history", "", "what newcomers read: join, Nd (days) or all (7d)")
	fs.StringVar(&f.whoInvites, "who-invites", "", "owner, admins or members")
	fs.StringVar(&f.posting, "posting", "", "all or admins")
	fs.IntVar(&f.waitlist, "waitlist", 0, "places in line past the cap")
	fs.IntVar(&f.succeedDays, "succeed-days", 0, "days of the owner's silence after which admins may elect another; 0 never")
	fs.StringArrayVar(&f.iceBreakers, "ice-breaker", nil, "a line newcomers may say with one tap; repeat for more")
}

// given returns v if its flag was on the command line, else nil.
func given[T any](f *groupFlags, flag string, v *T) *T {
	if f.set.Changed(flag) {
		return v
	}
	return nil
}

func (f *groupFlags) policy() *api.PolicyPatch {
	p := api.PolicyPatch{
		WhoInvites: given(f, "who-invites", &f.whoInvites), History: given(f, "history", &f.history),
		Posting: given(f, "posting", &f.posting), Waitlist: given(f, "waitlist", &f.waitlist),
		SucceedDays: given(f, "succeed-days", &f.succeedDays),
	}
	if p == (api.PolicyPatch{}) {
		return nil
	}
	return &p
}

func newGroupCreate(c *cli) *cobra.Command {
	var f groupFlags
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a group; you are its owner",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			g, err := client.CreateGroup(cmd.Context(), api.GroupCreate{
				Name: args[0], Description: f.description, Cap: given(&f, "cap", &f.cap), Policy: f.policy(), IceBreakers: f.iceBreakers,
			})
			if err != nil {
				return err
			}
			return show(c, g, func(g api.Group) {
				c.tellGroup(g)
				c.note("Next: mutuals invite %q", g.Name)
			})
		},
	}
	f.add(cmd.Flags())
	return cmd
}

func newGroupList(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Your groups",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			groups, err := client.Groups(cmd.Context())
			if err != nil {
				return err
			}
			return showList(c, groups, func(groups []api.Group) {
				rows := make([][]string, len(groups))
				for i, g := range groups {
					role := g.Role
					if g.Status != api.MemberSeated {
						role = g.Status
					}
					if g.Void != nil {
						role = "void"
					}
					unread, last := "", ""
					if g.Unread > 0 {
						unread = strconv.Itoa(g.Unread)
						if g.UnreadMentions > 0 {
							unread += fmt.Sprintf(" (@%d)", g.UnreadMentions)
						}
					}
					if g.LastMessage != nil {
						last = moment(g.LastMessage.SentAt)
					}
					seats := fmt.Sprintf("%d/%d", g.Members, g.Cap)
					if g.Direct != nil {
						seats, role = "", directWords(g)
					}
					if g.Status == api.GroupIsUnreadable {
						seats, role = "", c.inWords("cannot be read", "无法读出")
					}
					here := ""
					if g.OnlyHere > 0 {
						here = strconv.Itoa(g.OnlyHere)
					}
					rows[i] = []string{nameOfGroup(g), seats, role, unread, here, last, short(g.ID)}
				}
				c.table("no groups yet: mutuals group create NAME, or mutuals join", []string{"NAME", "SEATS", "YOU", "NEW", "ONLY HERE", "LAST", "ID"}, rows)
			})
		},
	}
}

func newGroupShow(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "show GROUP",
		Short: "A group and its rules",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := c.group(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return show(c, g, c.tellGroup)
		},
	}
}

func newGroupRename(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "rename GROUP NAME",
		Short: "Give a group another name",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.patchGroup(cmd, args[0], api.GroupPatch{Name: &args[1]})
		},
	}
}

func newGroupSet(c *cli) *cobra.Command {
	var f groupFlags
	var reason string
	cmd := &cobra.Command{
		Use:   "set GROUP",
		Short: "Change a group's rules",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := api.GroupPatch{
				Name: given(&f, "name", &f.name), Description: given(&f, "description", &f.description),
				Cap: given(&f, "cap", &f.cap), Policy: f.policy(), IceBreakers: given(&f, "ice-breaker", &f.iceBreakers),
			}
			if in == (api.GroupPatch{}) {
				return usage("see "+cmd.CommandPath()+" --help", "nothing to change")
			}
			in.Reason = reason
			return c.patchGroup(cmd, args[0], in)
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().StringVar(&f.name, "name", "", "at most 64 characters")
	cmd.Flags().StringVar(&reason, "reason", "", "why seats or rules change, told to the group")
	return cmd
}

func (c *cli) patchGroup(cmd *cobra.Command, typed string, in api.GroupPatch) error {
	g, err := c.group(cmd.Context(), typed)
	if err != nil {
		return err
	}
	g, err = c.client.PatchGroup(cmd.Context(), g.ID, in)
	if err != nil {
		return err
	}
	return show(c, g, c.tellGroup)
}

func newGroupLeave(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "leave GROUP",
		Short: "Leave a group",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := c.group(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			what := "Leave %s? You come back only by a new invitation."
			if g.Direct != nil {
				what = "Leave the conversation with %s? What was said stays on this disk."
			}
			if err := c.confirm(fmt.Sprintf(what, oneLine(nameOfGroup(g)))); err != nil {
				return err
			}
			g, err = c.client.LeaveGroup(cmd.Context(), g.ID)
			if err != nil {
				return err
			}
			return show(c, g, func(g api.Group) { c.say("left %s", c.bold(oneLine(nameOfGroup(g)))) })
		},
	}
}

// tellGroup writes one group.
func (c *cli) tellGroup(g api.Group) {
	if g.Direct != nil {
		c.facts("with", nameOfGroup(g), "account", g.Direct.Account.String(), "state", directWords(g),
			"complete", completeWords(g, c.lang), "made", moment(g.CreatedAt), "id", g.ID.String())
		return
	}
	if g.Problem != nil {
		p := g.Problem.In(c.lang)
		c.facts("name", g.Name, "you", c.inWords("cannot be read", "无法读出"), "why", p.Detail, "hint", p.Hint, "id", g.ID.String())
		return
	}
	waiting, succeed, own := "", "", ""
	if g.Policy.Waitlist > 0 {
		waiting = fmt.Sprintf("%d of %d", g.Waitlist, g.Policy.Waitlist)
	}
	if g.Policy.SucceedDays > 0 {
		succeed = fmt.Sprintf("admins may elect an owner after %d silent days: from %s on, if the owner is not heard of before", g.Policy.SucceedDays, moment(g.Ownership.OpenAt))
	}
	you := g.Role
	switch {
	case g.Void != nil:
		you = "not in: how you came in does not count: " + api.VoidText(g.Void.Cause, c.lang)
	case g.Status == api.MemberWaitlisted && g.Place > 0:
		you = fmt.Sprintf("number %d in line", g.Place)
	case g.Status != api.MemberSeated:
		you = g.Status
	}
	if o := g.Ownership; !o.Owner.IsZero() {
		own = o.Name
		if own == "" {
			own = short(o.Owner)
		}
		if o.By != api.OwnedByGenesis {
			own += fmt.Sprintf(", %s %s", map[string]string{api.OwnedByTransfer: "who was handed it", api.OwnedBySucceed: "elected"}[o.By], moment(o.Since))
			if !o.Settled {
				own += ", provisional until most members have written three days later"
			}
		}
	}
	c.facts("name", g.Name, "about", g.Description, "seats", fmt.Sprintf("%d of %d taken", g.Members, g.Cap), "waitlist", waiting,
		"owner", own, "you", you, "invites by", g.Policy.WhoInvites, "history", historyWords(g.Policy.History), "posting", g.Policy.Posting,
		"succession", succeed, "complete", completeWords(g, c.lang), "safe to close", safeWords(g.SafeToClose, g.OnlyHere, c.lang), "made", moment(g.CreatedAt), "id", g.ID.String())
}

// directWords tells how a conversation of two stands.
func directWords(g api.Group) string {
	switch {
	case g.Status != api.MemberSeated:
		return "you left"
	case g.Direct.Status == api.DirectOffered:
		return "not answered yet"
	case g.Direct.Status == api.DirectLeft:
		return "they left"
	}
	return "you two"
}

// historyWords tells what newcomers read.
func historyWords(h string) string {
	switch h {
	case "join":
		return "from the moment of joining"
	case "all", "":
		return h
	}
	return "the last " + h[:len(h)-1] + " days"
}
