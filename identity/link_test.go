package identity

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mutuals/identity/wire"
)

func drawRandom(t *rapid.T, label string) [32]byte {
	return [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, label))
}

// Both ends of one connection come to one number; whoever stands between has
// another transcript on each side, and what it committed to on one side is
// refused on the other (I21).
func TestTheNumberIsOfOneConnectionOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := func(label string) wire.PeerKey { return newKeys(rapid.Byte().Draw(t, label)).PeerKey() }
		a, b, eve := keys("a"), keys("b"), newKeys(255).PeerKey()
		hello := rapid.SliceOf(rapid.Byte()).Draw(t, "hello")
		rA, rB := drawRandom(t, "rA"), drawRandom(t, "rB")
		atA, atB := NewSAS(SASLink, a, b, hello), NewSAS(SASLink, a, b, hello)
		shown, err := atB.Number(atB.Commit(rB), rA, rB)
		if err != nil {
			t.Fatal(err)
		}
		expected, err := atA.Number(atB.Commit(rB), rA, rB)
		if err != nil || expected != shown || len(shown) != NumberDigits {
			t.Fatalf("A comes to %q, B to %q: %v", expected, shown, err)
		}
		for name, other := range map[string]SAS{
			"towards a": NewSAS(SASLink, a, eve, hello), "towards b": NewSAS(SASLink, eve, b, hello),
			"for another purpose": NewSAS(SASInvite, a, b, hello), "with another hello": NewSAS(SASLink, a, b, append(hello, 0)),
		} {
			if a == eve || b == eve {
				continue
			}
			if _, err := other.Number(atB.Commit(rB), rA, rB); !errors.Is(err, ErrBadProof) {
				t.Fatalf("%s: a commitment was taken over: %v", name, err)
			}
		}
	})
}

// The numbers are spread over all of the million, zeros in front included.
func TestNumbersAreSpreadEvenly(t *testing.T) {
	s := NewSAS(SASLink, newKeys(1).PeerKey(), newKeys(2).PeerKey(), nil)
	const draws = 20_000
	var first [10]int
	for i := range draws {
		r := wire.Hash(fmt.Append(nil, i))
		n, err := s.Number(s.Commit(r), r, r)
		if err != nil {
			t.Fatal(err)
		}
		first[n[0]-'0']++
	}
	for d, n := range first {
		// 2 000 expected, standard deviation 42: eight of them.
		if n < 2000-340 || n > 2000+340 {
			t.Errorf("%d of %d numbers begin with %d", n, draws, d)
		}
	}
}

// Any tag is of one secret, one pair of ends and one set of keys (I23).
func TestAHelloHoldsForItsConnectionOnly(t *testing.T) {
	kem := bytes.Repeat([]byte{7}, KEMPublicLen)
	rapid.Check(t, func(t *rapid.T) {
		o, k := newPerson(1), newKeys(rapid.ByteRange(2, 255).Draw(t, "new device"))
		code := linkCode(o, func(c *LinkCode) { c.Secret = LinkSecret(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "secret")) })
		hello := NewLinkHello(k, kem, code)
		if err := hello.Verify(code.Secret, code.Peer, k.PeerKey()); err != nil {
			t.Fatal(err)
		}
		frame := wire.Marshal(hello)
		bit := rapid.IntRange(0, 8*len(frame)-1).Draw(t, "bit")
		frame[bit/8] ^= 1 << (bit % 8)
		if got, err := DecodeLinkHello(frame); err == nil && got.Verify(code.Secret, code.Peer, k.PeerKey()) == nil {
			t.Fatalf("accepted with bit %d flipped", bit)
		}
	})
}

// A code comes back from its text, and no code of which any part was changed
// by somebody who does not make the check anew is taken.
func TestALinkCodeComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, err := NewLinkCode(testRand(rapid.Byte().Draw(t, "random")), newKeys(rapid.Byte().Draw(t, "peer")).PeerKey(),
			rapid.Uint64Range(0, 1<<32-1).Draw(t, "expiry"), rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 60), 0, MaxHints).Draw(t, "hints"))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{c.Text(), c.Link(), strings.ToLower(c.Link()), c.QR()} {
			if got, err := ParseLinkCode(text); err != nil || !bytes.Equal(wire.Marshal(got), wire.Marshal(c)) {
				t.Fatalf("%q does not come back: %v", text, err)
			}
		}
	})
}

// A log or a JSON answer that holds a code by mistake holds no secret.
func TestALinkCodesSecretIsNotPrinted(t *testing.T) {
	c := linkCode(newPerson(1), nil)
	for _, s := range []string{fmt.Sprint(c.Secret), fmt.Sprintf("%x %v %+v %d", c.Secret, c.Secret, c, c.Secret)} {
		if strings.Contains(s, fmt.Sprintf("%x", c.Secret[:2])) || strings.Contains(s, fmt.Sprint(c.Secret[0], c.Secret[1])) {
			t.Errorf("it prints %q", s)
		}
	}
}

func TestTypedNumbersAreRead(t *testing.T) {
	for typed, want := range map[string]string{
		"042917": "042917", " 042 917\n": "042917", "042-917": "042917", "０４２　９１７": "042917",
	} {
		if got, ok := ReadNumber(typed); !ok || got != want {
			t.Errorf("%q: read %q, %v", typed, got, ok)
		}
	}
	for _, typed := range []string{"", "42917", "0429170", "042917x", "yes", "٠٤٢٩١٧", strings.Repeat(" ", 60) + "042917"} {
		if got, ok := ReadNumber(typed); ok {
			t.Errorf("%q: read %q", typed, got)
		}
	}
}
