package invites

import (
	"errors"
	"flag"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	W "mutuals/identity/wire"
)

var slips = flag.Int("slips", 0, "passcodes of which every single slip is tried; 0: a sample of the slips of 10 000")

var early = time.Unix(1, 0)

// chacha gives each test its own reproducible randomness.
func chacha(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

// somePasscode draws a passcode with n hints.
func somePasscode(t testing.TB, rnd *rand.ChaCha8, n int) Passcode {
	t.Helper()
	var hints [][]byte
	for range n {
		hints = append(hints, someHint(t, rnd))
	}
	var g W.GroupID
	var a W.AccountID
	rnd.Read(g[:])
	rnd.Read(a[:])
	p, err := New(rnd, g, a, time.Unix(int64(uint32(rnd.Uint64()|1<<31)), 0), uint8(rnd.Uint64()&3), hints)
	if err != nil {
		t.Fatal(err)
	}
	if !p.OfGroup(g) || !p.ByInviter(a) {
		t.Fatal("prefixes do not fit")
	}
	return p
}

func TestPasscodeRoundTrips(t *testing.T) {
	rnd := chacha(1)
	for i := range 400 {
		p := somePasscode(t, rnd, i%4)
		got, err := Decode(p.Encode())
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Fatalf("got %+v, %v; want %+v", got, err, p)
		}
		for _, s := range []string{p.Text(), p.Link(), p.QR(), p.Message(Zh, "家", "小明"), p.Message(En, "home", "Ming")} {
			f, err := Extract(s, early)
			if err != nil || !reflect.DeepEqual(f.Passcode, p) {
				t.Fatalf("%q: %v", s, err)
			}
		}
	}
}

// In 10 000 random passcodes slips of every kind, at places that are drawn, are
// caught and their group named. With -slips=10000 every place and every other
// letter takes its turn, which needs the better part of an hour; that no slip
// within a group escapes its check is counted out in identity/wire.
func TestEverySlipIsNamed(t *testing.T) {
	t.Parallel()
	const letters = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
	n, all := 10_000, false
	if *slips > 0 {
		n, all = *slips, true
	}
	rnd := chacha(2)
	hints := make([][]byte, 64) // valid keys are slow to make
	for i := range hints {
		hints[i] = someHint(t, rnd)
	}
	tried := 0
	for i := range n {
		p := somePasscode(t, rnd, 0)
		for range i % 4 {
			p.Hints = append(p.Hints, hints[rnd.Uint64()%64])
		}
		b := []byte(p.Text())
		want := func(code Code, low, high int, s []byte) {
			tried++
			_, err := Extract(string(s), early)
			var e *Error
			if !errors.As(err, &e) || e.Code != code || e.Group < low || e.Group > high {
				t.Fatalf("%s instead of %s: got %+v, want %v in group %d…%d", s, p.Text(), err, code, low, high)
			}
			if shown := strings.ReplaceAll(string(s), "-", ""); code == Mistyped && e.Letters != shown[(e.Group-1)*8:e.Group*8] {
				t.Fatalf("%s: letters of group %d: %q", s, e.Group, e.Letters)
			}
		}
		step := 1
		if !all {
			step = 64
		}
		for at := int(rnd.Uint64() % uint64(step)); at < len(b); at += step {
			was := b[at]
			if was == '-' {
				continue
			}
			g := at/9 + 1
			for k := range len(letters) {
				if !all {
					k = int(rnd.Uint64() % uint64(len(letters)))
				}
				if b[at] = letters[k]; b[at] != was {
					want(Mistyped, g, g, b)
				}
				if !all {
					break
				}
			}
			b[at] = was
			next := at + 1
			if next < len(b) && b[next] == '-' {
				next++
			}
			if next < len(b) && b[next] != was {
				b[at], b[next] = b[next], was
				want(Mistyped, g, next/9+1, b)
				b[at], b[next] = was, b[at]
			}
			want(CutOff, 0, 99, b[:max(at, 1)])
		}
	}
	t.Logf("%d passcodes, %d slips", n, tried)
}

func TestEveryCutIsCalledCutOff(t *testing.T) {
	rnd := chacha(3)
	for i := range 40 {
		p := somePasscode(t, rnd, i%4)
		for _, whole := range []string{p.Text(), p.Link(), p.QR(), p.Message(Zh, "家", "小明"), p.Message(En, "home", "Ming")} {
			code := strings.LastIndex(whole, string(W.MarkPasscode))
			end := code + lastLetter(whole[code:]) - 1
			from := code + 4
			if whole == p.Text() {
				from = 1
			}
			if strings.HasPrefix(strings.ToLower(whole), LinkHead) {
				from = 4
			}
			for k := from; k <= end; k++ {
				_, err := Extract(whole[:k], early)
				var e *Error
				if !errors.As(err, &e) || e.Code != CutOff {
					t.Fatalf("%q: got %v", whole[:k], err)
				}
			}
		}
	}
}

// lastLetter is where the code that s begins with ends.
func lastLetter(s string) int {
	for i, r := range s {
		if r != '-' && (r < '2' || r > 'Z') {
			return i
		}
	}
	return len(s)
}
