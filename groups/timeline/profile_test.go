package timeline

import (
	"crypto/rand"
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

// TestOwnProfileGivesTheName: a real profile with its chain survives sealing's
// plaintext form, at the depth the encoding just allows.
func TestOwnProfileGivesTheName(t *testing.T) {
	words, err := identity.NewEntropy(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := words.Root()
	keys, err := identity.NewDeviceKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	chain := identity.Chain{root.Certify(identity.Certificate{V: 1, Account: root.Account(), OpKey: keys.ID(), PeerKey: keys.PeerKey(), DeviceNo: 1, IssuedMs: 1})}
	signed, err := identity.SignProfile(keys, chain, 1, "Lin", "climbs", nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := groups.EncodePlain(groups.Plain{Kind: groups.ContentProfile, Payload: groups.ProfileContent{Signed: wire.Marshal(signed)}.Encode()})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := groups.DecodePlain(b)
	if err != nil {
		t.Fatal(err)
	}
	if e := Fold(Place{Author: root.Account()}, plain, none); e.Text != "Lin" || e.Folded != Shown {
		t.Errorf("folded %q, name %q", e.Folded, e.Text)
	}
	if e := Fold(Place{Author: wire.AccountID{9}}, plain, none); e.Text != "" || e.Folded != Malformed {
		t.Errorf("posted by another: folded %q, name %q", e.Folded, e.Text)
	}
	signed.Profile.Name = "Bo"
	if _, err := Profile(root.Account(), groups.ProfileContent{Signed: wire.Marshal(signed)}.Encode()); err == nil {
		t.Error("a changed name passes")
	}
}
