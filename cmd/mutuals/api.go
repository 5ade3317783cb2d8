package main

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newAPI(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "api METHOD PATH [JSON|-]",
		Short: "Make one call of the HTTP API, for scripts: mutuals api GET status",
		Args:  cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := strings.TrimPrefix(strings.TrimPrefix(args[1], api.Prefix), "/")
			var answer json.RawMessage
			call := api.Call{Method: strings.ToUpper(args[0]), Path: "/" + path, Out: &answer}
			if len(args) == 3 {
				body, err := c.text(args[2:], "", nil)
				if err != nil {
					return err
				}
				if !json.Valid([]byte(body)) {
					return usage("quote it for the shell", "the body is no JSON")
				}
				call.In = json.RawMessage(body)
			}
			if call.Method == http.MethodPost {
				call.Key = rand.Text()
			}
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			if err := client.Do(cmd.Context(), call); err != nil {
				return err
			}
			if len(answer) > 0 {
				c.say("%s", strings.TrimSuffix(string(answer), "\n"))
			}
			return nil
		},
	}
}
