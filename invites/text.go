package invites

import (
	"errors"
	"strings"
	"time"
	"unicode"

	W "mutuals/identity/wire"
)

// Lang is the language of the words around a passcode.
type Lang string

// The languages there are; another one is written in English.
const (
	Zh Lang = "zh"
	En Lang = "en"
)

// Text returns the bare passcode: one line of groups of eight letters.
func (p Passcode) Text() string { return W.Armour(W.MarkPasscode, p.Encode()) }

// Message returns a passcode with the words a person sends it with. The names
// are cleaned ([shownName]): none can hide the passcode or be one.
func (p Passcode) Message(lang Lang, group, inviter string) string {
	until := p.ExpiresAt().Format("2006-01-02 15:04")
	if lang == Zh {
		return "【mutuals】" + shownName(inviter, "朋友") + " 邀请你加入群「" + shownName(group, "未命名") + "」，口令：\n" +
			p.Text() + "\n复制整条消息，打开 mutuals 粘贴即可入群。有效期至 " + until + "（UTC）。"
	}
	return "[mutuals] " + shownName(inviter, "A friend") + " invites you to the group “" + shownName(group, "unnamed") + "”. Passcode:\n" +
		p.Text() + "\nCopy this whole message and paste it into mutuals to join. Valid until " + until + " UTC."
}

// shownName makes a name safe to stand beside a passcode: one line, no
// invisible or direction-turning characters, at most maxShownName characters.
// A name that holds something like a passcode is replaced by other.
func shownName(name, other string) string {
	var b strings.Builder
	n, space := 0, false
	for _, r := range strings.ToValidUTF8(name, "") {
		if unicode.IsSpace(r) {
			space = n > 0
			continue
		}
		if !unicode.IsPrint(r) && r != zwj {
			continue
		}
		if n == maxShownName {
			b.WriteRune('…')
			break
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
		n++
	}
	clean := b.String()
	var fault *W.ArmourError
	if _, err := W.FindArmour(clean); n == 0 || !errors.As(err, &fault) || fault.Fault != W.Malformed || halfLink(clean) {
		return other
	}
	return clean
}

// zwj joins the parts of one emoji.
const zwj = '\u200d'

// Found is what a pasted text holds: a passcode, or a contact card.
type Found struct {
	// Passcode is zero if there is none; it stands here also when the error
	// is Expired.
	Passcode Passcode
	// Card is a contact card's armour, for identity.ParseCard; "" if none.
	Card string
	// LinkCode is the armour of a code that links a device to its account, for
	// identity.ParseLinkCode; "" if none. It is given only where nothing else is.
	LinkCode string
}

// Extract finds a passcode, else a contact card, in any pasted text: bare, in
// a sentence, a link, quoted, broken over lines, in full-width letters. It
// looks at the first W.MaxFindText bytes. Of several passcodes the first that
// has not expired by now counts. The error is an *[Error].
func Extract(text string, now time.Time) (Found, error) {
	all, err := W.FindArmour(text)
	if err != nil {
		return Found{}, explain(err, text)
	}
	var card, link string
	var old *Passcode
	var first error
	for _, a := range all {
		if a.Mark == W.MarkCard {
			if card == "" {
				card = W.Armour(a.Mark, a.Payload)
			}
			continue
		}
		if a.Mark == W.MarkLink {
			if link == "" {
				link = W.Armour(a.Mark, a.Payload)
			}
			continue
		}
		p, err := Decode(a.Payload)
		switch {
		case err == nil && !p.Expired(now):
			return Found{Passcode: p}, nil
		case err == nil && old == nil:
			old = &p
		case err != nil && first == nil:
			first = err
		}
	}
	switch {
	case card != "":
		return Found{Card: card}, nil
	case old != nil:
		return Found{Passcode: *old}, &Error{Code: Expired}
	case link != "" && first == nil:
		return Found{LinkCode: link}, nil
	}
	return Found{}, first
}

// explain turns a fault of the armour into the person's words.
func explain(err error, text string) error {
	var a *W.ArmourError
	switch {
	case errors.As(err, &a) && a.Fault == W.CutOff:
		return &Error{Code: CutOff, Group: a.Group, Letters: a.Letters}
	case errors.As(err, &a) && a.Fault == W.Mistyped:
		return &Error{Code: Mistyped, Group: a.Group, Letters: a.Letters}
	case len(text) <= W.MaxFindText && halfLink(text):
		return &Error{Code: CutOff, Group: 1}
	}
	return &Error{Code: NotAPasscode}
}
