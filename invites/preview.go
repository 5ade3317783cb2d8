package invites

import (
	"crypto/ed25519"
	"errors"
	"unicode/utf8"

	"mutuals/identity"
	W "mutuals/identity/wire"
)

// Preview is what a newcomer sees of a group before asking to enter; the
// inviter's device signs it. A change of its fields needs a new version.
type Preview struct {
	_           struct{} `cbor:",toarray"`
	V           uint64
	Group       W.GroupID
	InvitePk    [32]byte
	By          W.DeviceID
	Ms          uint64 // when it was signed; shown with it
	Name        string // empty: the group has none
	Picture     []byte // a thumbnail, or empty
	Members     uint64
	Cap         uint64
	HistoryDays uint64 // 0 from joining, 65535 all
}

// SignedPreview is a preview as it travels, sealed in the lobby's box.
type SignedPreview struct {
	_       struct{} `cbor:",toarray"`
	Preview Preview
	Sig     W.Sig
	Chain   identity.Chain
}

// ErrBadPreview means that a preview is malformed, or is none of this
// passcode's.
var ErrBadPreview = errors.New("not a preview of this passcode's group")

// SignPreview signs p with the op key of the device that chain certifies; V
// and By are set here. It panics on a preview no reader would accept.
func SignPreview(op ed25519.PrivateKey, chain identity.Chain, p Preview) SignedPreview {
	p.V = 1
	p.By = W.DeviceID(op.Public().(ed25519.PublicKey))
	if !p.valid() {
		panic("internal error: signing a preview out of bounds")
	}
	return SignedPreview{Preview: p, Sig: W.Sign(W.DomainLobby, op, W.Context(p.Group), W.Marshal(p)), Chain: chain}
}

// valid judges the form (SPEC.md V14).
func (p Preview) valid() bool {
	return p.V == 1 && p.Ms < W.MaxMs &&
		len(p.Name) <= MaxPreviewName && utf8.ValidString(p.Name) &&
		len(p.Picture) <= MaxPreviewPicture &&
		p.Cap >= minCap && p.Cap <= maxCap && p.HistoryDays <= allHistory
}

// Check tells whether the preview counts for the passcode: same group and
// invite key, signed by a device of the inviter. nil or ErrBadPreview. It does
// not tell whether the invite still stands.
func (s SignedPreview) Check(p Passcode) error {
	if !s.Preview.valid() || !p.OfGroup(s.Preview.Group) || s.Preview.InvitePk != p.Keys().InvitePk() {
		return ErrBadPreview
	}
	leaf, err := s.Chain.Verify()
	if err != nil || !p.ByInviter(leaf.Account) || leaf.OpKey != s.Preview.By {
		return ErrBadPreview
	}
	if !W.Verify(W.DomainLobby, s.Preview.By, W.Context(s.Preview.Group), W.Marshal(s.Preview), s.Sig) {
		return ErrBadPreview
	}
	return nil
}

// SealPreview puts s into the lobby's box of a passcode's keys.
func SealPreview(k Keys, day uint32, salt [16]byte, s SignedPreview) []byte {
	return SealLobby(k.Lobby, BoxPreview, day, salt, W.Marshal(s))
}

// OpenPreview opens, decodes and checks a sealed preview. The error is
// ErrBadBox or ErrBadPreview.
func OpenPreview(p Passcode, sealed []byte) (Preview, error) {
	plain, _, err := OpenLobby(p.Keys().Lobby, BoxPreview, sealed)
	if err != nil {
		return Preview{}, err
	}
	var s SignedPreview
	if W.Unmarshal(plain, &s) != nil {
		return Preview{}, ErrBadPreview
	}
	if err := s.Check(p); err != nil {
		return Preview{}, err
	}
	return s.Preview, nil
}
