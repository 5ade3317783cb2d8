package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newDevicesRevoke(c *cli) *cobra.Command {
	var in api.DeviceRevoke
	var keep []string
	words := false
	cmd := &cobra.Command{
		Use:   "revoke DEVICE|NO",
		Short: "End another device of yours for good: a lost or stolen one",
		Long: `End another device of yours for good: a lost or stolen one.

It is shut out of every group, with a new key that is not for it, and your
contacts speak to it no more. What it said until then stays, and what it has it
keeps. Devices that it linked stay too, unless --keep names those that do.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			client, err := c.connect(ctx)
			if err != nil {
				return err
			}
			all, err := client.Devices(ctx)
			if err != nil {
				return err
			}
			d, err := oneDevice(all, args[0])
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("keep") {
				kept, err := keptDevices(all, keep)
				if err != nil {
					return err
				}
				in.Only(kept)
			}
			if c.interactive() {
				if yes, err := c.agree(fmt.Sprintf("End device %d (%s) for good?", d.Number, d.Device)); err != nil || !yes {
					return err
				}
			}
			if words {
				text, err := c.readSecret("Your 24 words (not shown): ")
				if err != nil {
					return err
				}
				in.Words = strings.Join(strings.Fields(text), " ")
			}
			done, err := client.RevokeDevice(ctx, d, in)
			if err != nil {
				return err
			}
			return show(c, done, c.tellRevoked)
		},
	}
	cmd.Flags().StringVar(&in.Reason, "reason", api.RevokedLost, "lost, stolen, retired or other")
	cmd.Flags().StringSliceVar(&keep, "keep", nil, "devices it linked that stay, or none; without it all of them do")
	cmd.Flags().BoolVar(&words, "words", false, "by the 24 words, read from standard input, instead of by this device")
	return cmd
}

func (c *cli) tellRevoked(done api.DeviceRevoked) {
	c.say("revoked: device %d (%s)", done.Device.Number, done.Device.Device)
	for _, g := range done.Groups {
		if g.State == api.RevokedPending {
			c.note("%s: as soon as a member is reached, so that what it said until then stays.", oneLine(g.Name))
		}
	}
}

// oneDevice finds a device by its number or by the beginning of its id.
func oneDevice(all []api.Device, text string) (api.Device, error) {
	var found []api.Device
	for _, d := range all {
		if strconv.FormatUint(d.Number, 10) == text || len(text) > 3 && strings.HasPrefix(d.Device.String(), strings.ToLower(text)) {
			found = append(found, d)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return api.Device{}, api.NewProblem(api.NotFound, "what", "device").Explain("no device %q: see mutuals devices list", text)
	}
	return api.Device{}, usage("give the device's id: mutuals devices list", "%d devices are called %q", len(found), text)
}

// keptDevices reads the flag --keep.
func keptDevices(all []api.Device, names []string) (kept []api.Device, err error) {
	for _, name := range names {
		if name == "none" && len(names) == 1 {
			break
		}
		d, err := oneDevice(all, name)
		if err != nil {
			return nil, err
		}
		kept = append(kept, d)
	}
	return kept, nil
}
