package invites

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"mutuals/identity"
	W "mutuals/identity/wire"
)

// inviter is somebody who made a passcode, all from a seed.
type inviter struct {
	passcode Passcode
	group    W.GroupID
	device   identity.DeviceKeys
	chain    identity.Chain
}

func someInviter(t testing.TB, seed byte) inviter {
	t.Helper()
	rnd := chacha(seed)
	e, err := identity.NewEntropy(rnd)
	if err != nil {
		t.Fatal(err)
	}
	k, err := identity.NewDeviceKeys(rnd)
	if err != nil {
		t.Fatal(err)
	}
	root := e.Root()
	cert := identity.Certificate{V: 1, Account: root.Account(), OpKey: k.ID(), PeerKey: k.PeerKey(), DeviceNo: 1, Caps: 1, IssuedMs: 1_790_000_000_000}
	in := inviter{device: k, chain: identity.Chain{root.Certify(cert)}}
	rnd.Read(in.group[:])
	in.passcode, err = New(rnd, in.group, root.Account(), time.Unix(1_800_000_000, 0), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func (in inviter) preview() Preview {
	return Preview{
		Group: in.group, InvitePk: in.passcode.Keys().InvitePk(), Ms: 1_790_000_000_000, Name: "周末爬山",
		Picture: []byte("picture"), Members: 3, Cap: 100, HistoryDays: 7,
	}
}

func TestPreviewOpensForHoldersOfTheCode(t *testing.T) {
	in := someInviter(t, 30)
	s := SignPreview(in.device.Op, in.chain, in.preview())
	sealed := SealPreview(in.passcode.Keys(), 20000, [16]byte{1}, s)
	got, err := OpenPreview(in.passcode, sealed)
	if err != nil || !reflect.DeepEqual(got, s.Preview) {
		t.Fatalf("got %+v, %v", got, err)
	}
	other := in.passcode
	other.Secret[0] ^= 1
	if _, err := OpenPreview(other, sealed); !errors.Is(err, ErrBadBox) {
		t.Errorf("another code: %v", err)
	}
	for i := range sealed {
		b := append([]byte{}, sealed...)
		b[i] ^= 1
		if _, err := OpenPreview(in.passcode, b); err == nil {
			t.Fatalf("byte %d changed, and it opened", i)
		}
	}
}

// A holder of the code can seal what they like; it counts only as the
// inviter's word.
func TestPreviewOfSomebodyElseDoesNotCount(t *testing.T) {
	in, liar := someInviter(t, 31), someInviter(t, 32)
	good := SignPreview(in.device.Op, in.chain, in.preview())
	change := func(f func(s *SignedPreview)) SignedPreview {
		s := good
		f(&s)
		return s
	}
	for name, s := range map[string]SignedPreview{
		"by another account": SignPreview(liar.device.Op, liar.chain, in.preview()),
		"another's chain":    change(func(s *SignedPreview) { s.Chain = liar.chain }),
		"another's device":   SignPreview(liar.device.Op, in.chain, in.preview()),
		"no chain":           change(func(s *SignedPreview) { s.Chain = nil }),
		"name changed":       change(func(s *SignedPreview) { s.Preview.Name = "x" }),
		"date changed":       change(func(s *SignedPreview) { s.Preview.Ms++ }),
		"another group":      SignPreview(in.device.Op, in.chain, func() Preview { p := in.preview(); p.Group[0] ^= 1; return p }()),
		"another invite":     SignPreview(in.device.Op, in.chain, func() Preview { p := in.preview(); p.InvitePk[0] ^= 1; return p }()),
		"version 2":          change(func(s *SignedPreview) { s.Preview.V = 2 }),
		"cap 501":            change(func(s *SignedPreview) { s.Preview.Cap = 501 }),
		"a long name":        change(func(s *SignedPreview) { s.Preview.Name = strings.Repeat("x", MaxPreviewName+1) }),
		"a large picture":    change(func(s *SignedPreview) { s.Preview.Picture = make([]byte, MaxPreviewPicture+1) }),
	} {
		if err := s.Check(in.passcode); !errors.Is(err, ErrBadPreview) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type lobbyVector struct {
	Name     string `json:"name"`
	Passcode string `json:"passcode"`
	Sealed   string `json:"sealed"`
	Plain    string `json:"plain,omitempty"` // of the box
	Group    string `json:"group_name,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

func TestLobbyVectors(t *testing.T) {
	vs := vectors(t, "lobby.json", func() (vs []lobbyVector) {
		in, liar := someInviter(t, 33), someInviter(t, 34)
		k := in.passcode.Keys()
		code := hex.EncodeToString(in.passcode.Encode())
		salt := [16]byte(unhex(t, "000102030405060708090a0b0c0d0e0f"))
		good := SignPreview(in.device.Op, in.chain, in.preview())
		add := func(name string, plain, sealed []byte, err error) {
			v := lobbyVector{Name: name, Passcode: code, Sealed: hex.EncodeToString(sealed), Plain: hex.EncodeToString(plain)}
			if v.Group = good.Preview.Name; err != nil {
				v.Group, v.Reason = "", err.Error()
			}
			vs = append(vs, v)
		}
		plain := W.Marshal(good)
		add("preview", plain, SealPreview(k, 20000, salt, good), nil)
		flipped := SealPreview(k, 20000, salt, good)
		flipped[len(flipped)-1] ^= 1
		add("last bit of the tag", nil, flipped, ErrBadBox)
		add("sealed as an address", plain[:64], SealLobby(k.Lobby, BoxAddress, 20000, salt, plain[:64]), ErrBadBox)
		add("sealed for another code", plain, SealPreview(liar.passcode.Keys(), 20000, salt, good), ErrBadBox)
		forged := SignPreview(liar.device.Op, liar.chain, in.preview())
		add("signed by another account", W.Marshal(forged), SealPreview(k, 20000, salt, forged), ErrBadPreview)
		renamed := good
		renamed.Preview.Name = "别的群"
		add("name changed after signing", W.Marshal(renamed), SealPreview(k, 20000, salt, renamed), ErrBadPreview)
		add("not a preview", []byte{0x80}, SealLobby(k.Lobby, BoxPreview, 20000, salt, []byte{0x80}), ErrBadPreview)
		return vs
	})
	for _, v := range vs {
		p, err := Decode(unhex(t, v.Passcode))
		if err != nil {
			t.Fatal(err)
		}
		got, err := OpenPreview(p, unhex(t, v.Sealed))
		if v.Reason != "" {
			if err == nil || err.Error() != v.Reason {
				t.Errorf("%s: got %v, want %s", v.Name, err, v.Reason)
			}
			continue
		}
		plain, day, boxErr := OpenLobby(p.Keys().Lobby, BoxPreview, unhex(t, v.Sealed))
		if err != nil || boxErr != nil || got.Name != v.Group || day != 20000 || hex.EncodeToString(plain) != v.Plain {
			t.Errorf("%s: got %+v, %v", v.Name, got, err)
		}
	}
}

func FuzzPreview(f *testing.F) {
	in := someInviter(f, 35)
	k := in.passcode.Keys()
	f.Add(W.Marshal(SignPreview(in.device.Op, in.chain, in.preview())))
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, plain []byte) {
		_, _ = OpenPreview(in.passcode, plain)
		if len(plain) > MaxPreviewPicture {
			return
		}
		if p, err := OpenPreview(in.passcode, SealLobby(k.Lobby, BoxPreview, 1, [16]byte{}, plain)); err == nil && p.Group != in.group {
			t.Fatal("a preview of another group counted")
		}
	})
}

// An Ed25519 key is what the invite holds.
func TestInviteKeySigns(t *testing.T) {
	k := someInviter(t, 36).passcode.Keys()
	pk := k.InvitePk()
	if W.ValidKey(pk) != nil || !ed25519.Verify(pk[:], []byte("x"), ed25519.Sign(k.Sign, []byte("x"))) {
		t.Error("the invite key does not sign")
	}
}
