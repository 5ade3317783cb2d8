package node

import (
	"context"
	"encoding/hex"
	"errors"
	"strconv"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
)

// Proof gives what shows anybody that an account of a group and the one it came
// through both agreed.
func (n *Node) Proof(ctx context.Context, g wire.GroupID, a wire.AccountID) (api.Proof, error) {
	r, err := n.memberRoom(g)
	if err != nil {
		return api.Proof{}, err
	}
	var p groups.Proof
	err = r.step(ctx, func(*commit) (err error) {
		p, err = r.g.Proof(a)
		return err
	})
	switch {
	case errors.Is(err, groups.ErrNotAdmitted):
		return api.Proof{}, api.NewProblem(api.NotFound).Explain("no admission of that account is in force here")
	case errors.Is(err, groups.ErrProofSignature):
		return api.Proof{}, api.NewProblem(api.NotSynced).Explain("%v", err)
	case errors.Is(err, groups.ErrProofTooLarge):
		return api.Proof{}, api.NewProblem(api.TooLarge, "max", "4 MiB")
	case err != nil:
		return api.Proof{}, err
	}
	b := p.Encode()
	consent, err := n.VerifyProof(ctx, b)
	if err != nil {
		return api.Proof{}, err
	}
	return api.Proof{Consent: consent, Proof: b}.In(api.English), nil
}

// VerifyProof judges a proof with nothing but its bytes: it needs no identity,
// asks nobody, and reads the store for names only. Problem proof_invalid.
func (n *Node) VerifyProof(_ context.Context, b []byte) (api.Consent, error) {
	c, err := groups.VerifyProof(b)
	var bad *groups.ProofError
	switch {
	case errors.As(err, &bad) && bad.Refusal.Reason == groups.ReasonUpdateNeeded:
		return api.Consent{}, api.NewProblem(api.UpdateNeeded)
	case errors.As(err, &bad):
		return api.Consent{}, api.NewProblem(api.ProofInvalid, "where", strconv.Itoa(bad.Frame+1), "why", bad.Refusal.Reason.String())
	case err != nil:
		return api.Consent{}, err
	}
	out := api.Consent{
		Group: c.Group, Way: c.Way.String(), Account: c.Account, Device: c.Device, Inviter: c.Inviter, InviterDevice: c.InviterDevice,
		Sponsor: c.Sponsor, SponsorDevice: c.SponsorDevice, Admission: c.Admit, AdmittedAt: msTime(c.AtMs), Invite: c.Invite,
		Names: c.Names, Operations: c.Operations,
	}
	if c.Way == groups.WayInvited {
		out.InviteUses, out.InviteUntil = int(c.MaxUses), msTime(c.NotAfterMs)
	}
	for _, s := range c.Signatures {
		out.Signatures = append(out.Signatures, api.ConsentSignature{
			What: s.What, Account: s.Account, Key: hex.EncodeToString(s.Key[:]), At: msTime(s.AtMs), Signature: hex.EncodeToString(s.Sig[:]),
		})
	}
	if n.begun.Load() {
		out.Name = n.nameOf(c.Account)
		if !c.Inviter.IsZero() {
			out.InviterName = n.nameOf(c.Inviter)
		}
	}
	return out.In(api.English), nil
}
