package main

import (
	"path/filepath"

	"github.com/spf13/cobra"
)

func newConfig(c *cli) *cobra.Command {
	return noun("config", "Where this node keeps its things", newConfigPath(c))
}

func newConfigPath(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "path",
		Short: "The folders and the configuration file of this node",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			h, err := c.home()
			if err != nil {
				return err
			}
			file := filepath.Join(h.Config, "config.toml")
			if c.json {
				return c.line(map[string]string{"config": file, "data": h.Data, "state": h.State, "runtime": h.Runtime})
			}
			c.facts("config", file, "data", h.Data, "state", h.State, "runtime", h.Runtime)
			return nil
		},
	}
}
