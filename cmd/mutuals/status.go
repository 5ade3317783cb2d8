package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newStatus(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "How this node stands",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			st, err := client.Status(cmd.Context())
			if err != nil {
				return err
			}
			return show(c, st, func(st api.Status) {
				device := ""
				if st.Identity == api.IdentityReady {
					device = st.Device.String()
				}
				safe := ""
				if st.Identity == api.IdentityReady {
					safe = safeWords(st.SafeToClose, st.OnlyHere, c.lang)
				}
				c.facts("ready", yesNo(st.Ready), "version", st.Version, "account", told(st), "device", device,
					"peers", strconv.Itoa(st.Peers), "safe to close", safe, "page", st.UI)
				for _, a := range st.Addrs {
					c.facts("address", a)
				}
				if st.Identity == api.IdentityNone {
					c.note("Next: mutuals init --name YOU")
				}
			})
		},
	}
}
