package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"mutuals/node"
	"mutuals/node/api"
)

// newStore returns the verbs that look at the store of a stopped home.
func newStore(s *settings, serving *bool) *cobra.Command {
	store := &cobra.Command{Use: "store", Short: "Look at the store of a home on which nothing runs"}
	verb := func(use, short string, verify bool) *cobra.Command {
		return &cobra.Command{
			Use:   use,
			Short: short,
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				*serving = true
				h, err := api.FindHome(s.home)
				if err != nil {
					return err
				}
				findings, err := node.CheckStore(cmd.Context(), h.Data, verify)
				if err != nil {
					return err
				}
				bad := 0
				for _, f := range findings {
					fmt.Fprintf(cmd.OutOrStdout(), "%-8s%s\n", f.Level, f.Title)
					if f.Detail != "" {
						fmt.Fprintf(cmd.OutOrStdout(), "        %s\n", f.Detail)
					}
					if f.Level == "error" {
						bad++
					}
				}
				if bad > 0 {
					return errors.New("the store is not whole")
				}
				return nil
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
		verb("check", "Open it and tell what it holds", false),
		verb("verify", "Read all of it and compare what must agree", true),
	)
	return store
}
