package timeline

import (
	"errors"
	"fmt"

	"mutuals/groups"
	"mutuals/identity"
	"mutuals/identity/wire"
)

// ErrProfile means that a profile does not belong to the account that wrote
// the message.
var ErrProfile = errors.New("another account's profile")

// Profile returns the profile in a payload of kind ContentProfile written by
// author: signed, with its chain, for that account (T2). The error wraps
// groups.ErrContent, ErrProfile or identity's.
func Profile(author wire.AccountID, payload wire.Raw) (identity.SignedProfile, error) {
	c, err := groups.DecodeProfileContent(payload)
	if err != nil {
		return identity.SignedProfile{}, err
	}
	var p identity.SignedProfile
	if err := wire.Unmarshal(c.Signed, &p); err != nil {
		return identity.SignedProfile{}, fmt.Errorf("reading a profile: %w", err)
	}
	if p.Profile.Account != author {
		return identity.SignedProfile{}, ErrProfile
	}
	if err := p.Verify(); err != nil {
		return identity.SignedProfile{}, fmt.Errorf("reading a profile: %w", err)
	}
	return p, nil
}
