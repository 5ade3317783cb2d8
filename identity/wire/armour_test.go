package wire

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestArmourOfAKnownPayload(t *testing.T) {
	for _, c := range []struct {
		mark    Mark
		payload string
		want    string
	}{
		{MarkPasscode, "\x00", "MUTP223M-2222222H"},
		{MarkCard, "hello, mutuals", "MUTC22G2-EBPW9WAB-T64DHNQW-6FT54V68-222225R7"},
		{MarkCard, strings.Repeat("\xff", 13), "MUTC22FX-Z7Y52BH3-6EJDPJ36-XCRKECHF"},
	} {
		got := Armour(c.mark, []byte(c.payload))
		if got != c.want {
			t.Errorf("armour of %q: got %s, want %s", c.payload, got, c.want)
		}
	}
}

func TestArmourRoundTripsInAnyDress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "payload")
		s := Armour(MarkCard, payload)
		for name, dressed := range map[string]string{
			"bare":          s,
			"lower case":    strings.ToLower(s),
			"no dashes":     strings.ReplaceAll(s, "-", ""),
			"lines":         strings.ReplaceAll(s, "-", "\r\n> "),
			"zero width":    strings.Join(strings.Split(s, ""), "\u200b"),
			"full width":    wide(s),
			"em dashes":     strings.ReplaceAll(s, "-", " — "),
			"in a sentence": "快看😀「" + s + "」！MUTP",
			"after a word":  "https://example.org/join#x" + s + "99",
		} {
			got, err := Dearmour(MarkCard, dressed)
			if err != nil || !bytes.Equal(got, payload) {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if _, err := Dearmour(MarkPasscode, s); err == nil {
			t.Fatal("a card was taken for a passcode")
		}
	})
}

func wide(s string) string {
	return strings.Map(func(r rune) rune { return r + '！' - '!' }, s)
}

// Every slip of one letter, and every cut, is told for what it is. The longer
// test over passcodes is in invites.
func TestArmourNamesEverySlip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 4, 5, 8, 9, 13, 14, 52, 91} {
		payload := make([]byte, n)
		for i := range payload {
			payload[i] = byte(rnd.Uint32())
		}
		s := Armour(MarkPasscode, payload)
		group := func(i int) int { return i/(groupLen+1) + 1 }
		// Without other groups to go by, a slip in the mark itself hides it.
		alone := n < 50
		for i := range s {
			if s[i] == '-' {
				continue
			}
			for _, r := range alphabet + "01ILO" {
				if byte(r) == s[i] || alone && i < markLen {
					continue
				}
				wantFault(t, s[:i]+string(r)+s[i+1:], Mistyped, group(i), group(i))
			}
			j := i + 1
			if j < len(s) && s[j] == '-' {
				j++
			}
			if j < len(s) && s[i] != s[j] && !(alone && i < markLen) {
				b := []byte(s)
				b[i], b[j] = b[j], b[i]
				wantFault(t, string(b), Mistyped, group(i), group(j))
			}
		}
		for i := 1; i < len(s); i++ {
			wantFault(t, s[:i], CutOff, 0, 1000)
			if i >= markLen {
				wantFault(t, "口令 "+s[:i]+" 快来", CutOff, 0, 1000)
				if !alone && i < len(s)-25 { // fewer words than letters that are missing
					wantFault(t, "code: "+s[:i]+" please join us soon", CutOff, 0, 1000)
				}
			}
		}
	}
}

func wantFault(t *testing.T, s string, fault ArmourFault, low, high int) {
	t.Helper()
	_, err := Dearmour(MarkPasscode, s)
	var a *ArmourError
	if !errors.As(err, &a) || a.Fault != fault || a.Group < low || a.Group > high {
		t.Fatalf("%q: got %+v, want fault %d in group %d…%d", s, err, fault, low, high)
	}
}

func TestFindArmourInNothing(t *testing.T) {
	for _, s := range []string{"", "你好", "hello world, commutclass", "\xff\xfe", strings.Repeat("MUT 2", 100), "0", "mutuals"} {
		all, err := FindArmour(s)
		var a *ArmourError
		if len(all) > 0 || !errors.As(err, &a) || a.Fault != Malformed {
			t.Errorf("%q: %v, %+v", s, all, a)
		}
	}
}

func TestFindArmourIsBounded(t *testing.T) {
	head := Armour(MarkCard, make([]byte, MaxArmoured))[:9]
	for _, s := range []string{
		strings.Repeat("MUTP", 1<<20), strings.Repeat(head, 1<<18), strings.Repeat("M", 1<<22),
		strings.Repeat(Armour(MarkPasscode, []byte("x")), 1<<16),
	} {
		all, _ := FindArmour(s)
		if len(all) > MaxFound {
			t.Fatal("found too many")
		}
	}
}

func FuzzDearmour(f *testing.F) {
	f.Add(Armour(MarkPasscode, []byte("payload of some length")))
	f.Add("快看「ｍｕｔｐ２２２２」")
	f.Fuzz(func(t *testing.T, s string) {
		all, err := FindArmour(s)
		if (err == nil) != (len(all) > 0) {
			t.Fatal("neither found nor told why")
		}
		for _, a := range all {
			if again, err := Dearmour(a.Mark, Armour(a.Mark, a.Payload)); err != nil || !bytes.Equal(again, a.Payload) {
				t.Fatal("what was found does not armour again")
			}
		}
	})
}

func TestValueAgreesWithTheAlphabet(t *testing.T) {
	for r := rune(0); r < 0x200; r++ {
		if got, want := value(r), strings.IndexRune(alphabet, r); got != want {
			t.Errorf("value of %q: %d, want %d", r, got, want)
		}
	}
}

// All wrong letters and all exchanges of two letters in a group, by counting:
// the sum differs by weight·Δ, or by (weight - weight)·Δ, neither ever 0.
func TestNoSlipWithinAGroupIsMissed(t *testing.T) {
	for i := 1; i <= groupLen; i++ {
		for delta := 1; delta < radix; delta++ {
			if i*delta%radix == 0 {
				t.Errorf("letter %d may change by %d", i, delta)
			}
			for j := 1; j < i; j++ {
				if (i-j)*delta%radix == 0 {
					t.Errorf("letters %d and %d may change places", j, i)
				}
			}
		}
	}
}

func BenchmarkFindArmour(b *testing.B) {
	s := "快看「" + Armour(MarkPasscode, make([]byte, 91)) + "」复制整条消息"
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		_, _ = FindArmour(s)
	}
}

func BenchmarkFindArmourHostile(b *testing.B) {
	head := Armour(MarkCard, make([]byte, MaxArmoured))[:9]
	s := strings.Repeat(head, MaxFindText/9+1)
	b.SetBytes(MaxFindText)
	for b.Loop() {
		_, _ = FindArmour(s)
	}
}
