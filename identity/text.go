package identity

import (
	"fmt"
	"unicode/utf8"
)

// FieldError says which text a person gave cannot be signed, and why. It
// wraps ErrBounds.
type FieldError struct {
	Field  string // "name" or "bio"
	Reason string // "too long", "not UTF-8" or "control character"
}

func (e *FieldError) Error() string { return fmt.Sprintf("%s: %s", e.Field, e.Reason) }

// Unwrap makes errors.Is(err, ErrBounds) true.
func (e *FieldError) Unwrap() error { return ErrBounds }

// CheckName tells whether s can be a display name, of a person or a group
// (I16): nil or a *[FieldError]. Empty is allowed.
func CheckName(s string) error {
	if len(s) > MaxNameBytes || utf8.RuneCountInString(s) > MaxNameRunes {
		return &FieldError{"name", "too long"}
	}
	return checkText("name", s, false)
}

// CheckBio tells whether s can be the text under a name: nil or a
// *[FieldError].
func CheckBio(s string) error {
	if len(s) > MaxBioBytes {
		return &FieldError{"bio", "too long"}
	}
	return checkText("bio", s, true)
}

func checkText(field, s string, lines bool) error {
	if !utf8.ValidString(s) {
		return &FieldError{field, "not UTF-8"}
	}
	for _, r := range s {
		if deceptive(r) && !(lines && r == '\n') {
			return &FieldError{field, "control character"}
		}
	}
	return nil
}

// deceptive runes break a line or turn its direction, so that a name could
// pass for something else. The set is spelled out, and not taken from a
// Unicode table, so that every version of every program agrees on it.
func deceptive(r rune) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || // C0, DEL, C1
		r == 0x2028 || r == 0x2029 || // line and paragraph separator
		r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 // bidi embedding, override, isolate
}
