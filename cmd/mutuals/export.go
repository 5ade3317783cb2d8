package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newGroupExport(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "export GROUP [FILE]",
		Short: "Write a group as lines of JSON that anybody can verify",
		Long: `Write a group as lines of JSON: who is in it and how they came, and every message
you can read, each beside its signed operation and the key that opens it alone.
Anybody can verify the file with mutuals group verify, with no account, and can
read it: it is not encrypted. FILE must not exist; without it the group's name
and the day make one.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			g, err := c.group(ctx, args[0])
			if err != nil {
				return err
			}
			name := exportName(nameOfGroup(g), time.Now())
			if len(args) == 2 {
				name = args[1]
			}
			path, err := filepath.Abs(name)
			if err != nil {
				return fmt.Errorf("finding %q: %w", name, err)
			}
			task, err := c.client.Export(ctx, api.ExportCreate{Group: g.ID, File: path})
			if err != nil {
				return err
			}
			return c.watchExport(cmd, task)
		},
	}
}

// exportName makes a file's name of a group's, without what a file system or a
// shell takes for something else.
func exportName(group string, at time.Time) string {
	safe := strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\:*?"<>|. `, r) {
			return '-'
		}
		return r
	}, oneLine(group))
	for len(safe) > 100 {
		r := []rune(safe)
		safe = string(r[:len(r)-1])
	}
	return "mutuals-" + safe + "-" + at.Format("2006-01-02") + ".jsonl"
}

func newGroupVerify(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE",
		Short: "Judge an exported group by the file alone",
		Long: `Judge an exported group by the file alone, on any machine: one that has never
seen the group, has no account and no network. Every operation is judged by the
rules of groups, every message opened with its key, and every line compared with
what these say; the first line that does not hold is named. It does not show
that nothing was left out: see groups/EXPORT.md.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			path, err := filepath.Abs(args[0])
			if err != nil {
				return fmt.Errorf("finding %q: %w", args[0], err)
			}
			client, err := c.connect(ctx)
			if err != nil {
				return err
			}
			task, err := client.VerifyExport(ctx, api.ExportOpen{File: path})
			if err != nil {
				return err
			}
			return c.watchExport(cmd, task)
		},
	}
}

// watchExport follows a task to its end and tells what the export holds.
func (c *cli) watchExport(cmd *cobra.Command, task api.Task) error {
	return c.watch(cmd.Context(), task, func(t api.Task) {
		if !t.Over() {
			c.note("%s", stageWords(t))
			return
		}
		if t.Result == nil || t.Result.Export == nil {
			return
		}
		e := t.Result.Export
		if t.Kind == api.TaskVerify {
			c.say("%s", c.bold(c.inWords("The export holds.", "导出文件成立。")))
		}
		count := func(n int, what string) string {
			if n == 0 {
				return ""
			}
			return fmt.Sprintf("%d %s", n, what)
		}
		c.facts("file", e.File, "group", e.Group.String(), "made", moment(e.At), "by", e.Account.String(), "device", e.Device.String(),
			"operations", fmt.Sprint(e.Operations), "members", fmt.Sprint(e.Members), "messages", fmt.Sprint(e.Messages),
			"locked", count(e.Locked, "messages, whose keys were not there"), "pruned", count(e.Pruned, "messages, of which only the chain is kept"), "incomplete", count(e.Incomplete, "devices' first messages are not in it"))
	})
}
