package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newHarbor(c *cli) *cobra.Command {
	cmd := noun("harbor", "Nodes that keep a group while its members sleep, and cannot read it",
		newHarborAdd(c), newHarborList(c), newHarborSet(c), newHarborRemove(c), newHarborStatus(c))
	cmd.Long = `A harbor is a node, run as mutualsd --harbor, that a group's owner appoints. It
keeps what members say for those who are away, and with the right to sponsor it
lets people in by passcodes while everybody sleeps. It holds no key of the group:
it sees who is in by account, when, and how much is said, and no word of it.`
	return cmd
}

func newHarborAdd(c *cli) *cobra.Command {
	var rights []string
	var quota string
	cmd := &cobra.Command{
		Use:   "add GROUP NAME|ID|CARD|self [--rights store,sponsor]",
		Short: "Appoint a harbor; the owner's to do",
		Long: `Ask a node to keep the group, and appoint it. It must run with --harbor, and you
two must follow each other; self is another device of yours. A pasted contact
card (mutuals id card, there) says where it is; - reads it from stdin.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			bytes, err := parseSize(quota)
			if err != nil {
				return err
			}
			g, err := c.group(ctx, args[0])
			if err != nil {
				return err
			}
			who, err := c.harborNode(ctx, args[1])
			if err != nil {
				return err
			}
			h, err := c.client.AddHarbor(ctx, api.HarborCreate{Group: g.ID, Who: who, Rights: rights, Quota: bytes})
			if err != nil {
				return err
			}
			return show(c, h, func(h api.Harbor) {
				c.say("%s is a harbor of %s now: %s", c.bold(harborName(h)), oneLine(g.Name), strings.Join(h.Rights, ", "))
			})
		},
	}
	cmd.Flags().StringSliceVar(&rights, "rights", nil, "store, or store,sponsor: lets people in by passcodes too (store)")
	cmd.Flags().StringVar(&quota, "quota", "", "how much it may keep of the group, as 512MiB (as much as it gives)")
	return cmd
}

// harborNode is what the API is asked for: self, an account, or a card.
func (c *cli) harborNode(ctx context.Context, typed string) (string, error) {
	if typed == api.HarborSelf {
		return typed, nil
	}
	if typed == "-" {
		all, err := c.readAll()
		if err != nil {
			return "", err
		}
		typed = strings.TrimSpace(all)
	}
	if len(typed) > maxName {
		return typed, nil // a card is long
	}
	p, err := c.person(ctx, typed)
	return p.Account.String(), err
}

func harborName(h api.Harbor) string {
	return cmp.Or(oneLine(h.Name), short(h.ID))
}

func newHarborList(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "list [GROUP]",
		Short: "The harbors of a group, or of all",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			all, err := c.harbors(ctx, args)
			if err != nil {
				return err
			}
			return showList(c, all, func(all []api.Harbor) {
				rows := make([][]string, len(all))
				for i, h := range all {
					state, holds := "away", "not all"
					if h.Online {
						state = "online"
					}
					if h.Complete {
						holds = "all there is"
					}
					rows[i] = []string{short(h.ID), h.Name, strings.Join(h.Rights, ", "), sizeWords(h.Quota), state, holds, moment(h.Since)}
				}
				c.table("no harbor yet: mutuals harbor add GROUP", []string{"ID", "NAME", "MAY", "QUOTA", "", "HOLDS", "SINCE"}, rows)
			})
		},
	}
}

// harbors lists those of the group that args may name.
func (c *cli) harbors(ctx context.Context, args []string) ([]api.Harbor, error) {
	var g api.Group
	if len(args) > 0 {
		var err error
		if g, err = c.group(ctx, args[0]); err != nil {
			return nil, err
		}
	}
	client, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	return client.Harbors(ctx, g.ID)
}

// harbor finds the harbor a person means.
func (c *cli) harbor(ctx context.Context, group, typed string) (api.Harbor, error) {
	all, err := c.harbors(ctx, []string{group})
	if err != nil {
		return api.Harbor{}, err
	}
	found := match(typed, all, func(h api.Harbor) []string { return []string{h.ID.String(), h.Name, h.Account.String()} })
	return only(typed, "harbor", "mutuals harbor list GROUP", found, harborName)
}

func newHarborSet(c *cli) *cobra.Command {
	var rights []string
	var quota string
	cmd := &cobra.Command{
		Use:   "set GROUP HARBOR [--rights …] [--quota …]",
		Short: "Change what a harbor may",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var in api.HarborPatch
			if cmd.Flags().Changed("rights") {
				in.Rights = &rights
			}
			if cmd.Flags().Changed("quota") {
				bytes, err := parseSize(quota)
				if err != nil {
					return err
				}
				in.Quota = &bytes
			}
			if in == (api.HarborPatch{}) {
				return usage("mutuals harbor set --help", "nothing to change: give --rights or --quota")
			}
			h, err := c.harbor(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			if h, err = c.client.PatchHarbor(cmd.Context(), h.ID, in); err != nil {
				return err
			}
			return show(c, h, func(h api.Harbor) {
				c.say("%s: %s, quota %s", c.bold(harborName(h)), strings.Join(h.Rights, ", "), sizeWords(h.Quota))
			})
		},
	}
	cmd.Flags().StringSliceVar(&rights, "rights", nil, "store, sponsor, or both")
	cmd.Flags().StringVar(&quota, "quota", "", "how much it may keep of the group, as 512MiB; 0 for as much as it gives")
	return cmd
}

func newHarborRemove(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "remove GROUP HARBOR",
		Short: "Withdraw a harbor; the group gets a new key",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := c.harbor(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			if err := c.confirm(fmt.Sprintf("Withdraw the harbor %s? It is told nothing any more; what it has, it has.", harborName(h))); err != nil {
				return err
			}
			if h, err = c.client.RemoveHarbor(cmd.Context(), h.ID); err != nil {
				return err
			}
			return show(c, h, func(h api.Harbor) { c.say("%s is no harbor of the group any more", c.bold(harborName(h))) })
		},
	}
}

func newHarborStatus(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "What this node keeps for others, as their harbor",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			kept, err := client.Kept(cmd.Context())
			if err != nil {
				return err
			}
			return show(c, kept, func(k api.Kept) {
				if k.Offering {
					c.note("Keeps groups of %s when asked: %s of %s taken.", k.For, sizeWords(uint64(k.Bytes)), sizeWords(k.Quota))
				} else {
					c.note("Agrees to keep nothing more: run it as mutualsd --harbor.")
				}
				rows := make([][]string, len(k.Items))
				for i, g := range k.Items {
					state := "in office"
					if !g.InOffice {
						state = "not in office"
					}
					rows[i] = []string{short(g.Group), short(g.For), state, strings.Join(g.Rights, ", "), strconv.Itoa(g.Members), strconv.Itoa(g.Online), sizeWords(uint64(g.Bytes)), sizeWords(g.Quota)}
				}
				c.table("keeps no group", []string{"GROUP", "FOR", "", "MAY", "MEMBERS", "ONLINE", "KEPT", "QUOTA"}, rows)
			})
		},
	}
}

// sizes are the units people write sizes in, the largest first.
var sizes = []struct {
	name  string
	bytes uint64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// parseSize reads 512MiB; nothing and 0 are no limit.
func parseSize(s string) (uint64, error) {
	if s == "" || s == "0" {
		return 0, nil
	}
	for _, u := range sizes {
		if digits, ok := strings.CutSuffix(s, u.name); ok {
			if n, err := strconv.ParseUint(digits, 10, 20); err == nil && n > 0 {
				return n * u.bytes, nil
			}
		}
	}
	return 0, usage("write 512MiB or 1GiB", "%q is no size", s)
}

// sizeWords writes a number of bytes; 0 is no limit.
func sizeWords(n uint64) string {
	if n == 0 {
		return "-"
	}
	for _, u := range sizes {
		if n >= u.bytes {
			return fmt.Sprintf("%.3g %s", float64(n)/float64(u.bytes), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
