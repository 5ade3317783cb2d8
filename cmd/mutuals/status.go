package main

import (
	"fmt"
	"strconv"
	"time"

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
					if st.Revoked {
						device += ", revoked: see mutuals doctor"
					}
				}
				safe := ""
				if st.Identity == api.IdentityReady {
					safe = safeWords(st.SafeToClose, st.OnlyHere, c.lang)
				}
				c.facts("ready", yesNo(st.Ready), "version", st.Version, "account", told(st), "device", device,
					"peers", strconv.Itoa(st.Peers), "safe to close", safe, "clock", clockWords(st.Clock, c.lang), "page", st.UI)
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

// clockWords tells of a clock that is not right; of one that is, nothing.
func clockWords(k api.Clock, l api.Lang) string {
	d := (time.Duration(k.AheadMs) * time.Millisecond).Round(time.Second)
	side := [2]string{"ahead of", "快"}
	if d < 0 {
		side = [2]string{"behind", "慢"}
	}
	zh := l == api.Chinese
	switch {
	case k.State == api.ClockIsWrong && zh:
		return fmt.Sprintf("不准：比其他人%s %v，校准之前不会写入任何内容", side[1], d.Abs())
	case k.State == api.ClockIsWrong:
		return fmt.Sprintf("wrong: %v %s others', nothing is written until it is set", d.Abs(), side[0])
	case k.State == api.ClockDoubtful && zh:
		return "可能不准：见 mutuals doctor"
	case k.State == api.ClockDoubtful:
		return "perhaps wrong: see mutuals doctor"
	}
	return ""
}
