package main

import (
	"errors"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newDoctor(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong with this node; fails if something is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			findings, err := client.Doctor(cmd.Context())
			if err != nil {
				return err
			}
			err = showList(c, findings, func(all []api.Finding) {
				next := "next: "
				if c.lang == api.Chinese {
					next = "下一步："
				}
				for _, f := range all {
					f = f.In(c.lang)
					c.say("%-8s%s", f.Level, oneLine(f.Title))
					if f.Detail != "" {
						c.say("        %s", oneLine(f.Detail))
					}
					if f.Hint != "" && f.Level != "ok" {
						c.say("        %s%s", next, oneLine(f.Hint))
					}
				}
			})
			if err != nil {
				return err
			}
			for _, f := range findings {
				if f.Level == "error" {
					f, found := f.In(c.lang), "the doctor found something wrong: "
					if c.lang == api.Chinese {
						found = "检查发现问题："
					}
					return &failure{api.ExitFailure, f.Hint, errors.New(found + f.Title)}
				}
			}
			return nil
		},
	}
}
