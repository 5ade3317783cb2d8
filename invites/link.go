package invites

import (
	"strings"

	W "mutuals/identity/wire"
)

// LinkHead is what a passcode's link begins with; a web page may wrap it.
const LinkHead = "mutuals://join/"

// Link returns the passcode as a link.
func (p Passcode) Link() string { return LinkHead + p.Text() }

// QR returns what a QR code of the passcode says: the link in upper case and
// without dashes, so that every letter is of the alphanumeric mode, 5.5 bits
// each. With one direct hint it is 191 letters, which version 6-L (41×41)
// holds.
func (p Passcode) QR() string {
	return strings.ToUpper(LinkHead) + strings.ReplaceAll(p.Text(), "-", "")
}

// halfLink tells whether text ends within a link, before the mark of its code
// is whole.
func halfLink(text string) bool {
	text = strings.ToLower(strings.TrimSpace(text))
	start := LinkHead + strings.ToLower(string(W.MarkPasscode))
	if i := strings.LastIndex(text, LinkHead[:len("mutuals:")]); i >= 0 {
		return strings.HasPrefix(start, text[i:])
	}
	return len(text) > len("mut") && strings.HasPrefix(start, text)
}
