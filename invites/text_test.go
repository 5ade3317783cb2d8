package invites

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	W "mutuals/identity/wire"
)

// around draws text that people and chat apps put around a code, and that
// does not run into it as letters would.
func around() *rapid.Generator[[]string] {
	return rapid.SliceOfN(rapid.OneOf(
		rapid.SampledFrom([]string{
			"小明: 快来！", "😀👨‍👩‍👧", "「", "」", "“", "**", "`", "> ", "\n", "\r\n", "\t", "\u200b", "\ufeff", "\u202e",
			"https://example.org/join#", "mutuals://join/", "[link](", ")", "MUTP", "MUTC22", "mutp2345-", "复制整条消息",
			"２０２６年", "Copy this message", "…", "——", "\xff", "i'll see you at 10:30", "🅼🆄🆃🅿",
		}),
		rapid.String(),
	), 0, 12)
}

// gap is what comes between two letters of a code on its way.
func gap() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"", "-", " ", "\n", "\r\n> ", "\u200b", "\u2060", "\ufeff", " - ", "—", "－", "\u00a0", "\u3000", "*", "_", "\u00ad", "\u200d"})
}

func TestExtractFindsTheCodeInAnyText(t *testing.T) {
	rnd := chacha(8)
	codes := []Passcode{somePasscode(t, rnd, 0), somePasscode(t, rnd, 1), somePasscode(t, rnd, 3)}
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(codes).Draw(t, "passcode")
		before := strings.Join(around().Draw(t, "before"), "")
		after := strings.Join(around().Draw(t, "after"), "")
		style := rapid.IntRange(0, 3).Draw(t, "style")
		var code strings.Builder
		for _, r := range strings.ReplaceAll(p.Text(), "-", "") {
			switch {
			case style&1 != 0 && r >= 'A':
				r += 'a' - 'A'
			}
			if style&2 != 0 {
				r += '！' - '!'
			}
			code.WriteRune(r)
			code.WriteString(gap().Draw(t, "gap"))
		}
		f, err := Extract(before+code.String()+after, early)
		if err != nil || !reflect.DeepEqual(f.Passcode, p) {
			t.Fatalf("%q: %v", before+code.String()+after, err)
		}
	})
}

func TestExtractTellsWhatIsWrong(t *testing.T) {
	p := somePasscode(t, chacha(9), 1)
	s := p.Text()
	newer := p
	newer.V = 2
	flags := p
	flags.Flags = 4
	card := W.Armour(W.MarkCard, []byte("a card"))
	for name, c := range map[string]struct {
		text  string
		now   time.Time
		code  Code
		group int
	}{
		"nothing":                {"", early, NotAPasscode, 0},
		"chat":                   {"在吗？今晚一起吃饭 😀 see you", early, NotAPasscode, 0},
		"another app's code":     {"￥aB3dE5fG7￥ 打开抖音", early, NotAPasscode, 0},
		"expired":                {s, p.ExpiresAt().Add(time.Second), Expired, 0},
		"last second":            {s, p.ExpiresAt().Add(999 * time.Millisecond), 0, 0},
		"newer version":          {newer.Text(), early, Newer, 0},
		"unknown flag":           {flags.Text(), early, Newer, 0},
		"cut by an ellipsis":     {"口令：" + s[:60] + "…", early, CutOff, 7},
		"cut before words":       {"口令：" + s[:60] + " 复制整条消息打开 mutuals", early, CutOff, 7},
		"cut link":               {"点 mutuals://join/", early, CutOff, 1},
		"typed 0 for D":          {s[:20] + "0" + s[21:], early, Mistyped, 3},
		"typed lower l":          {strings.ToLower(s[:11]) + "l" + s[12:], early, Mistyped, 2},
		"mark mistyped":          {"MVTP" + s[4:], early, Mistyped, 1},
		"mark of a card":         {"MUTC" + s[4:], early, Mistyped, 1},
		"two errors, first told": {s[:11] + "0" + s[12:40] + "0" + s[41:], early, Mistyped, 2},
		"a damaged decoy":        {"MUTP2222 " + s[:40] + "0" + s[41:], early, Mistyped, 5},
		"beyond the bound":       {strings.Repeat("长", W.MaxFindText/3) + s, early, NotAPasscode, 0},
		"intact after damaged":   {s[:40] + "\n" + s, early, 0, 0},
		"card beside a passcode": {card + "\n" + s, early, 0, 0},
	} {
		f, err := Extract(c.text, c.now)
		var e *Error
		switch {
		case c.code == 0:
			if err != nil || !reflect.DeepEqual(f.Passcode, p) {
				t.Errorf("%s: %v", name, err)
			}
		case !errors.As(err, &e) || e.Code != c.code || e.Group != c.group:
			t.Errorf("%s: got %+v, want %v in group %d", name, err, c.code, c.group)
		}
		if err != nil && strings.Contains(s, "-") {
			for _, g := range strings.Split(s, "-")[1:] {
				if strings.Contains(err.Error(), g) {
					t.Errorf("%s: the error tells letters: %v", name, err)
				}
			}
		}
	}
	f, err := Extract("这是我的名片 "+strings.ToLower(card), early)
	if err != nil || f.Card != card {
		t.Errorf("card: got %+v, %v", f, err)
	}
}

func TestExtractTakesTheFirstThatHasNotExpired(t *testing.T) {
	rnd := chacha(10)
	old, live := somePasscode(t, rnd, 0), somePasscode(t, rnd, 1)
	old.Expiry, live.Expiry = 100, 300
	now := time.Unix(200, 0)
	f, err := Extract(old.Message(Zh, "旧群", "甲")+"\n> "+live.Message(En, "new", "B"), now)
	if err != nil || !reflect.DeepEqual(f.Passcode, live) {
		t.Errorf("got %v", err)
	}
	if f, err := Extract(old.Text(), now); err == nil || !reflect.DeepEqual(f.Passcode, old) {
		t.Errorf("an expired code is shown with its error: %v", err)
	}
}

func TestNamesCannotBreakAMessage(t *testing.T) {
	rnd := chacha(11)
	p, evil := somePasscode(t, rnd, 1), somePasscode(t, rnd, 0)
	for _, name := range []string{
		"", "家", "a\nb\u202ec", "MUTP", "mutp2345", "ＭＵＴＰ２３４５", evil.Text(), evil.Text()[:36], strings.Repeat("长", 500),
		"mutuals://join/", "\xff\xfe", "MUT", "👨‍👩‍👧 family", strings.Repeat("\u0301", 90), "22222222",
	} {
		for _, l := range []Lang{Zh, En, "fr"} {
			m := p.Message(l, name, name)
			f, err := Extract(m, early)
			if err != nil || !reflect.DeepEqual(f.Passcode, p) {
				t.Fatalf("name %q: %v", name, err)
			}
			if strings.Count(m, "\n") != 2 || len(m) > 1200 {
				t.Errorf("name %q changed the shape of %q", name, m)
			}
			// Cut inside the code, the message is cut off, whatever the names.
			at := strings.LastIndex(m, p.Text()[:20])
			var e *Error
			if _, err := Extract(m[:at+50], early); !errors.As(err, &e) || e.Code != CutOff {
				t.Errorf("name %q, cut: %v", name, err)
			}
			// So is a slip in it a slip.
			if _, err := Extract(m[:at+50]+"0"+m[at+51:], early); !errors.As(err, &e) || e.Code != Mistyped || e.Group != 6 {
				t.Errorf("name %q, slip: %+v", name, err)
			}
		}
	}
}

func TestQRFitsVersion6(t *testing.T) {
	rnd := chacha(12)
	b, err := PackHint(Hint{Addr: "/ip4/203.0.113.7/udp/4001/quic-v1", Peer: someKey(rnd)})
	if err != nil {
		t.Fatal(err)
	}
	p := somePasscode(t, rnd, 0)
	p.Hints = [][]byte{b}
	t.Logf("text %d letters, QR %d letters = %d bytes", len(p.Text()), len(p.QR()), (len(p.QR())*11+15)/16)
	const version6L = 195 // letters of the alphanumeric mode
	if n := len(p.QR()); n > version6L {
		t.Errorf("%d letters", n)
	}
	for _, r := range p.QR() {
		if !strings.ContainsRune("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:", r) {
			t.Errorf("%q is not alphanumeric", r)
		}
	}
}

func FuzzExtract(f *testing.F) {
	rnd := chacha(13)
	for i := range 4 {
		p := somePasscode(f, rnd, i)
		f.Add(p.Text())
		f.Add(p.Message(Zh, "家", "小明"))
		f.Add("> " + strings.ToLower(p.Link()[:70]) + "😀")
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Extract(s, early)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Code < NotAPasscode || e.Code > Newer {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		if got.Card != "" {
			return
		}
		again, err := Extract(got.Passcode.Text(), early)
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("what was found is not found again: %v", err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	rnd := chacha(14)
	for i := range 4 {
		f.Add(somePasscode(f, rnd, i).Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		// The check would stop nearly every try: mend it.
		if len(b) >= fixedLen {
			c := check(b)
			copy(b[offCheck:], c[:])
		}
		p, err := Decode(b)
		if err == nil && string(p.Encode()) != string(b) {
			t.Fatal("two encodings of one passcode")
		}
	})
}
