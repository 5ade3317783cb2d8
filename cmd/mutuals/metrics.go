package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func newMetrics(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "metrics",
		Short: "What can be measured of this node, as Prometheus reads it",
		Long: "What can be measured of this node, as text in the form of Prometheus: counts and\n" +
			"sizes, nobody's name, id or address. Without a token at hand have node_exporter\n" +
			"read it: mutuals metrics > DIR/mutuals.prom, by a timer.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			text, err := client.Metrics(cmd.Context())
			if err != nil {
				return err
			}
			if c.json {
				return c.line(map[string]string{"text": string(text)})
			}
			c.say("%s", strings.TrimSuffix(string(text), "\n"))
			return nil
		},
	}
}
