package main

import (
	"github.com/spf13/cobra"
)

func newEvents(c *cli) *cobra.Command {
	var after string
	var follow bool
	cmd := &cobra.Command{
		Use:   "events [--follow] [--after ID]",
		Short: "What happens, one event a line",
		Long: `What happens, one event a line, as JSON with --json.

Without --follow: what happened after the event --after, up to now. With it,
from there or from now on, until Ctrl-C.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			client, err := c.connect(ctx)
			if err != nil {
				return err
			}
			var last string
			if !follow {
				if after == "" {
					return usage("add --follow, or --after ID", "no place to begin or to end at")
				}
				snap, err := client.Snapshot(ctx)
				if err != nil {
					return err
				}
				if last = snap.EventID; last == after {
					return nil
				}
			}
			for e, err := range client.Events(ctx, after) {
				if err != nil {
					return err
				}
				if c.json {
					if err := c.line(e); err != nil {
						return err
					}
				} else {
					group := ""
					if !e.Group.IsZero() {
						group = short(e.Group)
					}
					c.say("%s  %-18s %-14s  %s", e.At.Local().Format("15:04:05.000"), e.Type, group, oneLine(string(e.Object)))
				}
				if !follow && e.ID == last {
					return nil
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until Ctrl-C")
	cmd.Flags().StringVar(&after, "after", "", "begin after the event of this id")
	return cmd
}
