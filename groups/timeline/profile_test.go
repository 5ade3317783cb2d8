package timeline

import (
	"errors"
	"testing"

	"mutuals/groups"
	"mutuals/identity"
	"mutuals/identity/wire"
)

// TestProfileOfAnotherAccountIsFolded: a profile nobody signed, or somebody
// else's, is no name for the one who posted it (T2).
func TestProfileOfAnotherAccountIsFolded(t *testing.T) {
	var forged identity.SignedProfile
	forged.Profile.V, forged.Profile.Account, forged.Profile.Name = 1, wire.AccountID{1}, "somebody"
	payload := groups.ProfileContent{Signed: wire.Marshal(forged)}.Encode()
	if _, err := Profile(wire.AccountID{2}, payload); !errors.Is(err, ErrProfile) {
		t.Errorf("another's profile: %v", err)
	}
	for name, p := range map[string]wire.Raw{"unsigned": payload, "no profile": {0x81, 0x80}, "no payload": {0x80}} {
		e := Fold(Place{Author: wire.AccountID{1}}, groups.Plain{Kind: groups.ContentProfile, Payload: p}, none)
		if e.Folded != Malformed || e.Text != "" {
			t.Errorf("%s: folded %q, name %q", name, e.Folded, e.Text)
		}
	}
}
