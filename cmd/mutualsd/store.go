package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"mutuals/node"
	"mutuals/node/api"
)

// newStore returns the verbs that look at the store of a stopped home.
func newStore(s *settings, serving *bool) *cobra.Command {
	store := &cobra.Command{Use: "store", Short: "Look at the store of a home on which nothing runs"}
	verb := func(use, short, long string, look func(ctx context.Context, dir string) ([]api.Finding, error)) *cobra.Command {
		return &cobra.Command{
			Use:   use,
			Short: short,
			Long:  long,
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				*serving = true
				h, err := api.FindHome(s.home)
				if err != nil {
					return err
				}
				findings, err := look(cmd.Context(), h.Data)
				bad, hints, hinted := 0, []string(nil), map[string]bool{}
				for _, f := range findings {
					fmt.Fprintf(cmd.OutOrStdout(), "%-8s%s\n", f.Level, f.Title)
					if f.Detail != "" {
						fmt.Fprintf(cmd.OutOrStdout(), "        %s\n", f.Detail)
					}
					if f.Hint != "" && !hinted[f.Hint] {
						hinted[f.Hint] = true
						hints = append(hints, f.Hint)
					}
					if f.Level == "error" {
						bad++
					}
				}
				for _, hint := range hints {
					fmt.Fprintf(cmd.OutOrStdout(), "hint: %s\n", hint)
				}
				if err == nil && bad > 0 {
					return errors.New("the store is not whole")
				}
				return err
			},
		}
	}
	restore := &cobra.Command{
		Use:   "restore",
		Short: "Put back the lists of its files, from the copies of its last close",
		Long: `Put back the two files that say what the store is made of (MANIFEST and KEYREGISTRY),
if they are damaged or gone, from the copies that were made when the store was closed.
It does so only if nothing was written since; what was there is kept as NAME.damaged.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			*serving = true
			h, err := api.FindHome(s.home)
			if err != nil {
				return err
			}
			mended, err := node.RestoreStore(cmd.Context(), h.Data)
			for _, name := range mended {
				fmt.Fprintf(cmd.OutOrStdout(), "put back %s\n", name)
			}
			if err == nil && len(mended) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "both are as they were at the last close: nothing to put back")
			}
			return err
		},
	}
	store.AddCommand(
		restore,
		verb("check", "Open it and tell whether that works", "", func(ctx context.Context, dir string) ([]api.Finding, error) {
			return node.CheckStore(ctx, dir, false)
		}),
		verb("verify", "Read all of it and compare what must agree", "", func(ctx context.Context, dir string) ([]api.Finding, error) {
			return node.CheckStore(ctx, dir, true)
		}),
		verb("repair", "Cut out what cannot be read, and make the rest one again", `Cut what cannot be read out of the store's tables, and bring each group back to what
hangs together. What is missing then, members send again once the node runs; what is only
here and cannot be read is lost. The damaged files are kept, in store/damaged. To be on
the safe side copy the home before.`, node.MendStore),
	)
	return store
}
