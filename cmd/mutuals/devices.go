package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newDevices(c *cli) *cobra.Command {
	return noun("devices", "The devices of your account", newDevicesList(c), newDevicesLink(c), newDevicesRevoke(c))
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
					links := ""
					if d.MayLink && d.RevokedAt.IsZero() {
						links = "links others"
					}
					rows[i] = []string{strconv.FormatUint(d.Number, 10), deviceWords(d), links, moment(d.LinkedAt), d.Device.String()}
				}
				c.table("", []string{"NO", "", "", "SINCE", "DEVICE"}, rows)
			})
		},
	}
}

// deviceWords says how a device stands.
func deviceWords(d api.Device) string {
	switch {
	case !d.RevokedAt.IsZero():
		return "revoked, " + d.RevokedReason
	case d.This:
		return "this device"
	case d.Online:
		return "online"
	}
	return ""
}

func newDevicesLink(c *cli) *cobra.Command {
	var mayLink, noWait, cancel bool
	var number string
	cmd := &cobra.Command{
		Use:   "link [--may-link] [--no-wait] | link --number NUMBER | link --cancel",
		Short: "Link another device to your account",
		Long: `Link another device to your account. This shows a code, for ten minutes and
one device: on the new one run mutuals init --link CODE, or scan it. The new
device then shows a number of six digits, which you type here: so nobody who
saw the code gets in. Your groups, follows and settings arrive on it.

Without a terminal, answer with mutuals devices link --number NUMBER. Three
wrong numbers, or --cancel, end the code.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			client, err := c.connect(ctx)
			if err != nil {
				return err
			}
			switch {
			case number != "":
				t, err := client.LinkNumber(ctx, number)
				if err != nil {
					return err
				}
				return c.watchLink(ctx, t)
			case cancel:
				t, err := client.CloseLink(ctx)
				if err != nil {
					return err
				}
				return show(c, t, func(api.Task) { c.say("the code is dead; no device was linked") })
			}
			open, err := client.OpenLink(ctx, api.DeviceLinkCreate{MayLink: mayLink})
			if err != nil {
				return err
			}
			if err := c.tellLink(open); err != nil || noWait {
				return err
			}
			return c.watchLink(ctx, open.Task)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&mayLink, "may-link", false, "let the new device link further ones")
	f.BoolVar(&noWait, "no-wait", false, "only show the code")
	f.StringVar(&number, "number", "", "what the new device shows")
	f.BoolVar(&cancel, "cancel", false, "let no device in by the code any more")
	cmd.MarkFlagsMutuallyExclusive("number", "cancel", "no-wait")
	return cmd
}

// tellLink shows a code as text and as a picture.
func (c *cli) tellLink(open api.DeviceLink) error {
	if c.json {
		return c.line(open)
	}
	if err := c.qr(open.QR); err != nil {
		return err
	}
	c.say("%s", open.Text)
	c.note("\nOn the new device: mutuals init --link CODE\nGood until %s. It will show a number to type here.", moment(open.ExpiresAt))
	return nil
}

// watchLink follows a link to its end, and asks for the number where somebody
// can answer.
func (c *cli) watchLink(ctx context.Context, t api.Task) error {
	said := ""
	for {
		if t.Stage+t.State != said {
			said = t.Stage + t.State
			if err := c.tellStage(t); err != nil {
				return err
			}
			if t.Stage == api.StageNumber && c.interactive() {
				if err := c.typeNumber(ctx); err != nil {
					return err
				}
			}
		}
		switch {
		case t.State == api.TaskFailed && t.Problem != nil:
			return t.Problem
		case t.Over():
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(paceLast):
		}
		var err error
		if t, err = c.client.Task(ctx, t.ID); err != nil {
			return err
		}
	}
}

func (c *cli) tellStage(t api.Task) error {
	if c.json {
		return c.line(t)
	}
	if t.State != api.TaskFailed {
		c.note("%s", stageWords(t))
	}
	return nil
}

// typeNumber asks for the number; what is no number, or not the right one, is
// told and does not end the waiting: the new device begins again.
func (c *cli) typeNumber(ctx context.Context) error {
	typed, err := c.ask("Number on the new device: ")
	if err != nil {
		return err
	}
	_, err = c.client.LinkNumber(ctx, typed)
	var p *api.Problem
	if errors.As(err, &p) {
		c.note("%s %s", p.In(c.lang).Title, p.In(c.lang).Hint)
		return nil
	}
	return err
}

// beDevice makes this home a device of an account.
func (c *cli) beDevice(ctx context.Context, code string, noWait bool) error {
	text, err := c.text([]string{code}, "Paste the link code", nil)
	if err != nil {
		return err
	}
	t, err := c.client.JoinAccount(ctx, text)
	if err != nil {
		return err
	}
	if noWait {
		return show(c, t, func(t api.Task) { c.say("linking: mutuals api GET tasks/%s shows the number", t.ID) })
	}
	if err := c.watchLink(ctx, t); err != nil || c.json {
		return err
	}
	id, err := c.client.Identity(ctx)
	if err != nil {
		return err
	}
	c.facts("account", id.Account.String(), "name", id.Name, "device", id.Device.String())
	c.note("Next: mutuals group list; groups and what was said in them arrive while your other device is on.")
	return nil
}

// numberWords shows a number in two groups, as people read it aloud.
func numberWords(number string) string {
	if len(number) != 6 {
		return number
	}
	return number[:3] + " " + number[3:]
}
