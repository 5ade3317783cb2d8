package main

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newConfig(c *cli) *cobra.Command {
	return noun("config", "How this node behaves, and where it keeps its things", newConfigGet(c), newConfigSet(c), newConfigPath(c))
}

// setting is one that config get and set know; without values it takes any.
type setting struct {
	name, about string
	values      []string
	get         func(api.Settings) string
	set         func(*api.SettingsPatch, string)
}

var settings = []setting{{
	name: "auto_accept", about: "seats that mutuals offer: off asks you, direct takes conversations of two at once, mutuals all",
	values: []string{api.AutoAcceptOff, api.AutoAcceptDirect, api.AutoAcceptMutuals},
	get:    func(s api.Settings) string { return s.AutoAccept },
	set:    func(p *api.SettingsPatch, v string) { p.AutoAccept = &v },
}, {
	name: "receipts", about: "read receipts: on shows others who take them how far you read, and you how far they did; off neither",
	values: []string{api.On, api.Off},
	get:    func(s api.Settings) string { return s.Receipts },
	set:    func(p *api.SettingsPatch, v string) { p.Receipts = &v },
}, {
	name: "harbor_for", about: "whose groups this node keeps, run as mutualsd --harbor: mutuals' and your own, or self only",
	values: []string{api.HarborForMutuals, api.HarborForSelf},
	get:    func(s api.Settings) string { return s.HarborFor },
	set:    func(p *api.SettingsPatch, v string) { p.HarborFor = &v },
}, {
	name: "relay", about: "auto: relays carry what finds no direct way; only: none learns this machine's address but relays named; off",
	values: []string{api.RelayAuto, api.RelayOnly, api.RelayOff},
	get:    func(s api.Settings) string { return s.Relay },
	set:    func(p *api.SettingsPatch, v string) { p.Relay = &v },
}, {
	name: "relays", about: "addresses (with /p2p) of relays to use, with commas between; none for none",
	get: func(s api.Settings) string { return cmp.Or(strings.Join(s.Relays, ","), noRelays) },
	set: func(p *api.SettingsPatch, v string) {
		all := []string{}
		if v != noRelays && v != "" {
			all = strings.Split(v, ",")
		}
		p.Relays = &all
	},
}, {
	name: "relay_service", about: "whether this node passes on, unread, what two others say that cannot reach each other",
	values: []string{api.On, api.Off},
	get:    func(s api.Settings) string { return s.RelayService },
	set:    func(p *api.SettingsPatch, v string) { p.RelayService = &v },
}, {
	name: "relay_for", about: "for whom: known (people you follow, members of your groups, your devices) or anyone, each link limited",
	values: []string{api.RelayForKnown, api.RelayForAnyone},
	get:    func(s api.Settings) string { return s.RelayFor },
	set:    func(p *api.SettingsPatch, v string) { p.RelayFor = &v },
}, {
	name: "port_mapping", about: "whether the router is asked to let others in",
	values: []string{api.On, api.Off},
	get:    func(s api.Settings) string { return s.PortMapping },
	set:    func(p *api.SettingsPatch, v string) { p.PortMapping = &v },
}, {
	name: "announce", about: "for which passcodes this device can be found in the directory (DHT): off none, own those made here, all those of other members too",
	values: []string{api.AnnounceOff, api.AnnounceOwn, api.AnnounceAll},
	get:    func(s api.Settings) string { return s.Announce },
	set:    func(p *api.SettingsPatch, v string) { p.Announce = &v },
}}

// noRelays stands for an empty list.
const noRelays = "none"

func settingNamed(name string) (setting, error) {
	i := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
	if i < 0 {
		return setting{}, usage("see mutuals config get", "there is no setting %q", name)
	}
	return settings[i], nil
}

func newConfigGet(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "get [NAME]",
		Short: "The settings of this node",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			which := settings
			if len(args) == 1 {
				one, err := settingNamed(args[0])
				if err != nil {
					return err
				}
				which = []setting{one}
			}
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			now, err := client.Settings(cmd.Context())
			if err != nil {
				return err
			}
			return show(c, now, func(now api.Settings) { c.tellSettings(now, which) })
		},
	}
}

func newConfigSet(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "set NAME VALUE",
		Short: "Change a setting of this node",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			one, err := settingNamed(args[0])
			if err != nil {
				return err
			}
			if len(one.values) > 0 && !slices.Contains(one.values, args[1]) {
				return usage(one.about, "%s cannot be %q", one.name, args[1])
			}
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			var in api.SettingsPatch
			one.set(&in, args[1])
			now, err := client.SetSettings(cmd.Context(), in)
			if err != nil {
				return err
			}
			return show(c, now, func(now api.Settings) {
				c.tellSettings(now, []setting{one})
				switch {
				case now.Restart && c.lang == api.Chinese:
					c.note("节点下次启动时生效：运行 mutuals down，然后 mutuals up。")
				case now.Restart:
					c.note("It takes effect when the node starts next: run mutuals down, then mutuals up.")
				}
			})
		},
	}
}

func (c *cli) tellSettings(now api.Settings, which []setting) {
	rows := make([][]string, len(which))
	for i, s := range which {
		rows[i] = []string{s.name, s.get(now), s.about}
	}
	c.table("no settings", []string{"NAME", "VALUE", "WHAT IT DOES"}, rows)
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
