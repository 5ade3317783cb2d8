package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newMembers(c *cli) *cobra.Command {
	return noun("members", "Who is in a group", newMembersList(c), newMembersAdd(c), newMembersRemove(c), newMembersRole(c),
		newMembersTree(c), newMembersBranchRemove(c), newMembersProof(c))
}

func newMembersList(c *cli) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "list GROUP",
		Short: "The members of a group",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := c.group(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			members, err := c.client.Members(cmd.Context(), g.ID)
			if err != nil {
				return err
			}
			return showList(c, members, func(members []api.Member) { c.tellMembers(members, all) })
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those who left or were removed")
	return cmd
}

func (c *cli) tellMembers(members []api.Member, all bool) {
	var rows [][]string
	for _, m := range members {
		gone := m.Status == api.MemberLeft || m.Status == api.MemberRemoved
		if gone && !all {
			continue
		}
		what := m.Role
		switch {
		case gone:
			what = m.Status
		case m.Status == api.MemberWaitlisted:
			what = fmt.Sprintf("number %d in line", m.Place)
		case m.Provisional:
			what += ", not confirmed yet"
		}
		online := ""
		if m.Online {
			online = "online"
		}
		name := m.Name
		if name == "" {
			name = short(m.Account) // who waits has told no name yet: this much names them
		}
		rows = append(rows, []string{name, what, online, moment(m.JoinedAt), m.Account.String()})
	}
	c.table("nobody", []string{"NAME", "ROLE", "", "SINCE", "ACCOUNT"}, rows)
}

func newMembersAdd(c *cli) *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use:   "add GROUP ID|NAME",
		Short: "Offer a seat to a mutual; they accept or decline",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			g, err := c.group(ctx, args[0])
			if err != nil {
				return err
			}
			who, err := c.person(ctx, args[1])
			if err != nil {
				return err
			}
			task, err := c.client.AddMember(ctx, g.ID, who.Account)
			if err != nil {
				return err
			}
			if wait {
				return c.watch(ctx, task, func(t api.Task) { c.note("%s", stageWords(t)) })
			}
			if task.Problem != nil {
				return task.Problem
			}
			return show(c, task, func(t api.Task) {
				c.say("%s", stageWords(t))
				c.note("They answer with mutuals requests accept; mutuals members list %q shows when.", g.Name)
			})
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for their answer")
	return cmd
}

func newMembersRemove(c *cli) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "remove GROUP ID|NAME",
		Short: "Take somebody's seat",
		Args:  cobra.ExactArgs(2),
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
			name := m.Name
			if name == "" {
				name = m.Account.String()
			}
			if err := c.confirm(fmt.Sprintf("Remove %s from %s?", oneLine(name), oneLine(g.Name))); err != nil {
				return err
			}
			m, err = c.client.RemoveMember(ctx, g.ID, m.Account, reason)
			if err != nil {
				return err
			}
			return show(c, m, func(api.Member) { c.say("removed %s from %s", c.bold(oneLine(name)), oneLine(g.Name)) })
		},
	}
	reasonFlag(cmd, &reason)
	return cmd
}

// reasonFlag is the flag of every act that a person may give a reason for.
func reasonFlag(cmd *cobra.Command, reason *string) {
	cmd.Flags().StringVar(reason, "reason", "", "why, told to the group; who is removed does not read it")
}

func newMembersRole(c *cli) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "role GROUP ID|NAME admin|member",
		Short: "Give a member another role",
		Args:  cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if role := args[2]; role != api.RoleAdmin && role != api.RoleMember {
				return usage("write admin or member", "there is no role %q to give", role)
			}
			g, err := c.group(ctx, args[0])
			if err != nil {
				return err
			}
			m, err := c.member(ctx, g, args[1])
			if err != nil {
				return err
			}
			m, err = c.client.SetRole(ctx, g.ID, m.Account, api.MemberPatch{Role: args[2], Reason: reason})
			if err != nil {
				return err
			}
			return show(c, m, func(m api.Member) { c.say("%s is now %s", c.bold(oneLine(m.Name)), m.Role) })
		},
	}
	reasonFlag(cmd, &reason)
	return cmd
}
