package groups

import (
	"errors"
	"fmt"
	"strings"

	"mutuals/identity"
	"mutuals/identity/wire"
)

// Content kinds: what a decrypted message is. Numbers are never reused; a
// kind this version does not know is kept and shown as "needs a newer
// version".
const (
	ContentText       uint64 = 1
	ContentProfile    uint64 = 2
	ContentGroupInfo  uint64 = 3
	ContentModeration uint64 = 4
)

// Bounds of content.
const (
	// MaxPlain is the longest encoded Plain: seal.MaxPlain, what one padded box
	// holds.
	MaxPlain = 60<<10 - 1
	// MaxAfter bounds what a message says it was written after: eight are the
	// last messages of everybody who spoke in the same minute.
	MaxAfter = 8
	// MaxText is the longest text in bytes: four screens of a book. Longer ones
	// are files.
	MaxText = 16 << 10
	// MaxMentions bounds the accounts one text calls: beyond 50 nobody is
	// meant.
	MaxMentions = 50
	// MaxFiles bounds the files of one text: an album's page.
	MaxFiles = 16
	// MaxFileRef bounds one encoded file reference: a key, facts, a tiny
	// preview.
	MaxFileRef = 8 << 10
	// MaxGroupName is the bound of a group's name in bytes, as of a person's.
	MaxGroupName = 256
	// MaxDescription is the bound of a group's description in bytes: one screen.
	MaxDescription = 4 << 10
	// MaxIceBreakers bounds the questions a newcomer is offered.
	MaxIceBreakers = 8
	// MaxIceBreaker bounds one of them in bytes: one sentence.
	MaxIceBreaker = 256
	// MaxPicture bounds an encoded picture reference.
	MaxPicture = 8 << 10
)

// ErrContent means that a decrypted message is not what its kind must be. The
// operation stays accepted and is shown folded: what was encrypted is no
// input to any verdict.
var ErrContent = errors.New("malformed content")

// Plain is the plaintext of a content operation (groups/seal/SPEC.md S4).
// Evolution: never; new things are new kinds.
type Plain struct {
	_    struct{} `cbor:",toarray"`
	Kind uint64
	// After names messages its author had seen, each by the first 16 bytes of
	// its id: they are shown above it.
	After [][16]byte
	// Payload is one canonical value, decoded by kind.
	Payload wire.Raw
}

// EncodePlain encodes a plaintext for sealing; the error wraps ErrContent.
func EncodePlain(p Plain) ([]byte, error) {
	if len(p.After) > MaxAfter {
		return nil, fmt.Errorf("%w: after %d messages, at most %d", ErrContent, len(p.After), MaxAfter)
	}
	if err := wire.Canonical(p.Payload); err != nil {
		return nil, fmt.Errorf("%w: payload: %v", ErrContent, err)
	}
	b := wire.Marshal(p)
	if len(b) > MaxPlain {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrContent, len(b), MaxPlain)
	}
	return b, nil
}

// DecodePlain decodes what a box held; the payload is canonical but not yet
// judged. The error wraps ErrContent.
func DecodePlain(b []byte) (Plain, error) {
	var p Plain
	if len(b) > MaxPlain {
		return p, fmt.Errorf("%w: %d bytes, at most %d", ErrContent, len(b), MaxPlain)
	}
	if p, ok := readPlain(b); ok {
		return p, nil
	}
	if err := wire.Unmarshal(b, &p); err != nil {
		return Plain{}, fmt.Errorf("%w: %v", ErrContent, err)
	}
	if len(p.After) > MaxAfter {
		return Plain{}, fmt.Errorf("%w: after %d messages, at most %d", ErrContent, len(p.After), MaxAfter)
	}
	if err := wire.Canonical(p.Payload); err != nil {
		return Plain{}, fmt.Errorf("%w: payload: %v", ErrContent, err)
	}
	return p, nil
}

// readPlain reads a plaintext by hand; what it does not take DecodePlain judges.
func readPlain(b []byte) (p Plain, ok bool) {
	r := wire.Read(b)
	r.Tuple(3)
	p.Kind, p.After = r.Uint(), make([][16]byte, r.Array(MaxAfter))
	for i := range p.After {
		p.After[i] = [16]byte(r.Fixed(16))
	}
	p.Payload = r.Raw()
	return p, r.End()
}

// Text is a message people read. Evolution: never; another shape is another
// kind.
type Text struct {
	_        struct{} `cbor:",toarray"`
	Text     string
	ReplyTo  wire.OptID
	Mentions []wire.AccountID
	Files    []wire.Raw
}

// Check tells whether t may be sent or shown; the error wraps ErrContent.
func (t Text) Check() error {
	switch {
	case len(t.Text) > MaxText:
		return fmt.Errorf("%w: a text of %d bytes, at most %d", ErrContent, len(t.Text), MaxText)
	case strings.TrimSpace(t.Text) == "" && len(t.Files) == 0:
		return fmt.Errorf("%w: an empty text", ErrContent)
	case !t.ReplyTo.Valid():
		return fmt.Errorf("%w: a reply to %d bytes", ErrContent, len(t.ReplyTo))
	case len(t.Mentions) > MaxMentions:
		return fmt.Errorf("%w: %d mentions, at most %d", ErrContent, len(t.Mentions), MaxMentions)
	case len(t.Files) > MaxFiles:
		return fmt.Errorf("%w: %d files, at most %d", ErrContent, len(t.Files), MaxFiles)
	}
	for _, f := range t.Files {
		if err := checkRef(f, MaxFileRef); err != nil {
			return fmt.Errorf("%w: file: %v", ErrContent, err)
		}
	}
	return nil
}

// Encode gives the payload of kind ContentText.
func (t Text) Encode() wire.Raw { return wire.Marshal(t) }

// DecodeText reads a payload of kind ContentText; the error wraps ErrContent.
func DecodeText(payload wire.Raw) (Text, error) {
	if t, ok := readText(payload); ok {
		return t, t.Check()
	}
	var t Text
	if err := wire.Unmarshal(payload, &t); err != nil {
		return Text{}, fmt.Errorf("%w: %v", ErrContent, err)
	}
	return t, t.Check()
}

// readText reads a text without files by hand; what it does not take DecodeText
// judges.
func readText(payload wire.Raw) (t Text, ok bool) {
	r := wire.Read(payload)
	r.Tuple(4)
	t.Text, t.ReplyTo, t.Mentions = r.Text(), wire.OptID(r.Bytes()), make([]wire.AccountID, r.Array(MaxMentions))
	for i := range t.Mentions {
		t.Mentions[i] = wire.AccountID(r.Fixed(32))
	}
	t.Files = make([]wire.Raw, r.Array(0))
	return t, r.End()
}

// ProfileContent is a member's profile, given to the group at entry and at
// each change: the encoding of an identity.SignedProfile, which carries its
// own certificate chain. It counts only for the account that wrote it.
// Evolution: never.
type ProfileContent struct {
	_      struct{} `cbor:",toarray"`
	Signed wire.Raw
}

// Encode gives the payload of kind ContentProfile.
func (p ProfileContent) Encode() wire.Raw { return wire.Marshal(p) }

// DecodeProfileContent reads a payload of kind ContentProfile; whether the
// profile is signed, identity tells. The error wraps ErrContent.
func DecodeProfileContent(payload wire.Raw) (ProfileContent, error) {
	var p ProfileContent
	if err := wire.Unmarshal(payload, &p); err != nil {
		return ProfileContent{}, fmt.Errorf("%w: %v", ErrContent, err)
	}
	if err := wire.Canonical(p.Signed); err != nil {
		return ProfileContent{}, fmt.Errorf("%w: profile: %v", ErrContent, err)
	}
	return p, nil
}

// GroupInfo is what the group is called and looks like; it counts when an
// owner or admin wrote it, the newest one in timeline order. Evolution: never.
type GroupInfo struct {
	_           struct{} `cbor:",toarray"`
	Name        string
	Description string
	Picture     []byte // an encoded file reference, or empty
	IceBreakers []string
}

// Check tells whether g may be sent or shown; the error wraps ErrContent.
func (g GroupInfo) Check() error {
	switch {
	case strings.TrimSpace(g.Name) == "":
		return fmt.Errorf("%w: a group without a name", ErrContent)
	case len(g.Name) > MaxGroupName:
		return fmt.Errorf("%w: a group name of %d bytes, at most %d", ErrContent, len(g.Name), MaxGroupName)
	case identity.CheckName(g.Name) != nil:
		return fmt.Errorf("%w: a group name with letters nobody can see, or too many of them", ErrContent)
	case len(g.Description) > MaxDescription:
		return fmt.Errorf("%w: a description of %d bytes, at most %d", ErrContent, len(g.Description), MaxDescription)
	case len(g.IceBreakers) > MaxIceBreakers:
		return fmt.Errorf("%w: %d ice-breakers, at most %d", ErrContent, len(g.IceBreakers), MaxIceBreakers)
	}
	for _, q := range g.IceBreakers {
		if len(q) > MaxIceBreaker {
			return fmt.Errorf("%w: an ice-breaker of %d bytes, at most %d", ErrContent, len(q), MaxIceBreaker)
		}
	}
	if len(g.Picture) != 0 {
		if err := checkRef(g.Picture, MaxPicture); err != nil {
			return fmt.Errorf("%w: picture: %v", ErrContent, err)
		}
	}
	return nil
}

// Encode gives the payload of kind ContentGroupInfo.
func (g GroupInfo) Encode() wire.Raw { return wire.Marshal(g) }

// DecodeGroupInfo reads a payload of kind ContentGroupInfo; the error wraps
// ErrContent.
func DecodeGroupInfo(payload wire.Raw) (GroupInfo, error) {
	var g GroupInfo
	if err := wire.Unmarshal(payload, &g); err != nil {
		return GroupInfo{}, fmt.Errorf("%w: %v", ErrContent, err)
	}
	return g, g.Check()
}

// checkRef judges the form of a file reference; media judges what it says.
func checkRef(b []byte, most int) error {
	if len(b) > most {
		return fmt.Errorf("a reference of %d bytes, at most %d", len(b), most)
	}
	return wire.Canonical(b)
}
