package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newMembersTree(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "tree GROUP",
		Short: "Who came through whom",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := c.group(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			tree, err := c.client.Tree(cmd.Context(), g.ID)
			if err != nil {
				return err
			}
			return showList(c, tree, func(tree []api.TreeLine) {
				for _, l := range tree {
					name := oneLine(l.Name)
					if name == "" {
						name = short(l.Account)
					}
					switch {
					case !l.Present:
						name = c.dim("(" + name + ", gone)")
					case l.Role != api.RoleMember:
						name += c.dim(" " + l.Role)
					}
					c.say("%s%s", strings.Repeat("   ", l.Depth), name)
				}
			})
		},
	}
}

func newMembersBranchRemove(c *cli) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "branch-remove GROUP ID|NAME",
		Short: "Remove somebody and everybody who came through them",
		Long: `Remove somebody and everybody who came through them, at once.

Those you may not remove stay, and who came through those stays too. Invites of
the removed end. It cannot be undone: each of them would have to be let in anew.`,
		Args: cobra.ExactArgs(2),
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
			b, err := c.client.Branch(ctx, g.ID, m.Account)
			if err != nil {
				return err
			}
			if len(b.Removes) == 0 {
				return notFound("mutuals members tree "+args[0], "nobody of that branch is here")
			}
			c.note("Would be removed: %s", memberNames(b.Removes))
			if len(b.Stays) > 0 {
				c.note("Stay, with those who came through them: %s", memberNames(b.Stays))
			}
			if err := c.confirm(fmt.Sprintf("Remove these %d from %s? It cannot be undone.", len(b.Removes), oneLine(g.Name))); err != nil {
				return err
			}
			// Only who was shown: somebody may come through them meanwhile.
			in := api.BranchRemove{Reason: reason}
			for _, x := range b.Removes {
				in.Accounts = append(in.Accounts, x.Account)
			}
			task, err := c.client.RemoveBranch(ctx, g.ID, m.Account, in)
			if err != nil {
				return err
			}
			return c.watch(ctx, task, func(t api.Task) {
				if t.State == api.TaskDone {
					c.say("removed %d from %s", t.Progress.Done, oneLine(g.Name))
				} else if t.Problem == nil {
					c.note("%s", stageWords(t))
				}
			})
		},
	}
	reasonFlag(cmd, &reason)
	return cmd
}

// memberNames lists people on one line.
func memberNames(members []api.Member) string {
	names := make([]string, len(members))
	for i, m := range members {
		if names[i] = oneLine(m.Name); names[i] == "" {
			names[i] = short(m.Account)
		}
	}
	return strings.Join(names, ", ")
}
