package identity

import (
	"errors"
	"strings"
	"testing"
)

// The characters no name holds, by their edges (I16).
func TestNamesHoldNothingThatDeceives(t *testing.T) {
	refused := "\x00\x09\x0a\x0d\x1f\x7f\u0080\u0085\u009f\u2028\u2029\u202a\u202c\u202e\u2066\u2067\u2069"
	for _, r := range refused {
		if err := CheckName("a" + string(r)); !errors.Is(err, ErrBounds) {
			t.Errorf("name with %U: %v", r, err)
		}
		if err := CheckBio("a" + string(r)); (err == nil) != (r == '\n') {
			t.Errorf("bio with %U: %v", r, err)
		}
	}
	for _, r := range " ~\u00a0\u00ad\u200d\u200e\u200f\u2027\u202f\u2065\u206a长é😀\U0010ffff" {
		if err := CheckName("a" + string(r)); err != nil {
			t.Errorf("name with %U: %v", r, err)
		}
	}
}

func TestNamesAndBiosHaveBounds(t *testing.T) {
	for _, c := range []struct {
		text      string
		name, bio bool // allowed
	}{
		{"", true, true},
		{strings.Repeat("a", 64), true, true},
		{strings.Repeat("a", 65), false, true},
		{strings.Repeat("😀", 64), true, true},
		{strings.Repeat("b", 1024), false, true},
		{strings.Repeat("b", 1025), false, false},
		{"\xff", false, false},
		{"\xed\xa0\x80", false, false}, // half a surrogate pair
	} {
		if err := CheckName(c.text); (err == nil) != c.name {
			t.Errorf("name of %d bytes: %v", len(c.text), err)
		}
		if err := CheckBio(c.text); (err == nil) != c.bio {
			t.Errorf("bio of %d bytes: %v", len(c.text), err)
		}
	}
}
