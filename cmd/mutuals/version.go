package main

import (
	"errors"
	"runtime"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newVersion(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Versions of this program and of the node, if it runs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer := struct {
				Version string       `json:"version"`
				Go      string       `json:"go"`
				Daemon  *api.Version `json:"daemon,omitempty"`
			}{Version: version, Go: runtime.Version()}
			c.noStart = true // asking for a version starts nothing
			client, err := c.connect(cmd.Context())
			if err == nil {
				v, err := client.Version(cmd.Context())
				if err != nil {
					return err
				}
				answer.Daemon = &v
			} else if !errors.Is(err, api.ErrNotRunning) {
				return err
			}
			if c.json {
				return c.line(answer)
			}
			c.say("mutuals %s (%s)", answer.Version, answer.Go)
			if d := answer.Daemon; d != nil {
				c.say("mutualsd %s (%s), API %s", d.Version, d.Go, d.API)
			}
			return nil
		},
	}
}
