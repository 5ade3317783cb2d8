package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newDevices(c *cli) *cobra.Command {
	return noun("devices", "The devices of your account", newDevicesList(c))
}

func newDevicesList(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Which devices your account has",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			all, err := client.Devices(cmd.Context())
			if err != nil {
				return err
			}
			return showList(c, all, func(all []api.Device) {
				rows := make([][]string, len(all))
				for i, d := range all {
					rows[i] = []string{strconv.FormatUint(d.Number, 10), deviceWords(d), moment(d.LinkedAt), d.Device.String()}
				}
				c.table("", []string{"NO", "", "SINCE", "DEVICE"}, rows)
			})
		},
	}
}

// deviceWords says how a device stands.
func deviceWords(d api.Device) string {
	switch {
	case d.This:
		return "this device"
	case d.Online:
		return "linked now"
	}
	return ""
}
