package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newMembersProof(c *cli) *cobra.Command {
	var out, verify string
	cmd := &cobra.Command{
		Use:   "proof {GROUP ID|NAME [--out FILE|-] | --verify FILE|-}",
		Short: "What shows anybody that a member and its inviter both agreed",
		Long: `What shows anybody that a member and its inviter both agreed: who, with which
keys, when. With --out the proof is written to a file, which --verify judges on
any machine: one that has never seen the group, has no account and no network.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if verify != "" {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if verify != "" {
				if out != "" {
					return usage("give one of them", "--verify judges a file, --out writes one")
				}
				b, err := c.readProof(verify)
				if err != nil {
					return err
				}
				client, err := c.connect(ctx)
				if err != nil {
					return err
				}
				consent, err := client.VerifyProof(ctx, b)
				if err != nil {
					return err
				}
				return show(c, consent, func(consent api.Consent) {
					c.say("%s", c.bold("The proof holds."))
					c.tellConsent(consent)
				})
			}
			g, err := c.group(ctx, args[0])
			if err != nil {
				return err
			}
			m, err := c.member(ctx, g, args[1])
			if err != nil {
				return err
			}
			p, err := c.client.Proof(ctx, g.ID, m.Account)
			if err != nil {
				return err
			}
			if out == "" {
				return show(c, p, func(p api.Proof) {
					c.tellConsent(p.Consent)
					c.note("%d bytes; --out FILE writes it. %s", len(p.Proof), p.Warning)
				})
			}
			c.note("%s", p.Warning)
			return c.writeProof(out, p)
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "write the proof to this file, which must not exist; - is standard output")
	cmd.Flags().StringVar(&verify, "verify", "", "judge the proof in this file; - is standard input")
	return cmd
}

// readProof reads a file of at most the bytes a proof may have.
func (c *cli) readProof(name string) ([]byte, error) {
	from := io.Reader(c.lines)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, notFound("give the file that --out wrote", "opening the proof: %w", err)
		}
		defer f.Close()
		from = f
	}
	b, err := io.ReadAll(io.LimitReader(from, api.MaxProof+1))
	if err != nil {
		return nil, fmt.Errorf("reading the proof: %w", err)
	}
	if len(b) > api.MaxProof {
		return nil, usage("give the file that --out wrote", "a proof has at most %d MiB", api.MaxProof>>20)
	}
	return b, nil
}

// writeProof writes the file; it does not overwrite one.
func (c *cli) writeProof(name string, p api.Proof) error {
	if name == "-" {
		_, err := c.out.Write(p.Proof)
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return usage("give another name, or remove it", "there is a file %q already", name)
	}
	if err == nil {
		_, err = f.Write(p.Proof)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("writing the proof: %w", err)
	}
	return show(c, p, func(p api.Proof) { c.say("wrote %s, %d bytes", name, len(p.Proof)) })
}

// tellConsent writes what a proof shows, and what it does not.
func (c *cli) tellConsent(p api.Consent) {
	named := func(name, id string) string {
		if name == "" {
			return id
		}
		return oneLine(name) + "  " + id
	}
	inviter, invite, sponsor := "", "", ""
	if !p.Inviter.IsZero() {
		inviter = named(p.InviterName, p.Inviter.String())
	}
	if !p.Invite.IsZero() {
		invite = fmt.Sprintf("%s, %d uses, until %s", short(p.Invite), p.InviteUses, moment(p.InviteUntil))
	}
	switch {
	case p.Way == api.WayInvited && p.Sponsor.IsZero():
		sponsor = "a harbor, " + p.SponsorDevice.String()
	case p.Way == api.WayInvited:
		sponsor = p.Sponsor.String()
	}
	c.facts("member", named(p.Name, p.Account.String()), "device", p.Device.String(), "came", p.Way, "through", inviter,
		"invite", invite, "let in by", sponsor, "at", moment(p.AdmittedAt), "group", p.Group.String())
	for _, s := range p.Signatures {
		by := "a harbor"
		if !s.Account.IsZero() {
			by = short(s.Account)
		}
		c.say("  %s  %-10s  by %s  key %s…  signature %s…", c.dim(moment(s.At)), s.What, by, s.Key[:16], s.Signature[:16])
	}
	names := make([]string, len(p.Names))
	for i, a := range p.Names {
		names[i] = short(a)
	}
	c.facts("names", strings.Join(names, ", "), "verified", fmt.Sprintf("%d signed operations", p.Operations))
	shows, not := "It shows:", "It does not show:"
	if c.lang == api.Chinese {
		shows, not = "它证明：", "它不证明："
	}
	c.say("%s", shows)
	for _, l := range p.Shows {
		c.say("  %s", l)
	}
	c.say("%s", not)
	for _, l := range p.ShowsNot {
		c.say("  %s", l)
	}
}
