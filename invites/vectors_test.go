package invites

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	W "mutuals/identity/wire"
)

// update writes vectors that do not exist yet; an old vector never changes.
var update = flag.Bool("update", false, "write missing vector files")

// vectors reads testdata/vectors/name, or makes it.
func vectors[T any](t *testing.T, name string, make func() T) T {
	t.Helper()
	path := filepath.Join("testdata", "vectors", name)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && *update {
		b, err = json.MarshalIndent(make(), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type hintVector struct {
	Packed string `json:"packed"`
	Addr   string `json:"addr,omitempty"`
	Peer   string `json:"peer,omitempty"`
	Relay  string `json:"relay,omitempty"`
	Reason string `json:"reason,omitempty"` // why it is refused
}

type passcodeVector struct {
	Name     string   `json:"name"`
	Flags    uint8    `json:"flags"`
	Secret   string   `json:"secret"`
	Group    string   `json:"group_prefix"`
	Inviter  string   `json:"inviter_prefix"`
	Expiry   uint32   `json:"expiry"`
	Hints    []string `json:"hints"`
	Bytes    string   `json:"bytes"`
	Text     string   `json:"text"`
	InvitePk string   `json:"invite_pk"`
	KEMSeed  string   `json:"kem_seed"`
	Rdv      string   `json:"rdv"`
	Rdv20000 string   `json:"rendezvous_key_day_20000"`
	Lobby    string   `json:"lobby"`
	Topic    string   `json:"topic"`
}

type badBytes struct {
	Name   string `json:"name"`
	Bytes  string `json:"bytes"`
	Reason string `json:"reason"`
}

type pasted struct {
	Name     string `json:"name"`
	Text     string `json:"text"`
	NowUnix  int64  `json:"now"`
	Is       string `json:"is"`                  // the passcode's bytes, or empty
	Card     string `json:"card,omitempty"`      // a card's armour
	LinkCode string `json:"link_code,omitempty"` // a link code's armour
	Reason   string `json:"reason,omitempty"`
	Group    int    `json:"group,omitempty"`
	Letters  string `json:"letters,omitempty"`
}

func exampleHints(t *testing.T) [][]byte {
	rnd := chacha(20)
	a, b, relay := someKey(rnd), someKey(rnd), someKey(rnd)
	var out [][]byte
	for _, h := range []Hint{
		{Addr: "/ip4/203.0.113.7/udp/4001/quic-v1", Peer: a},
		{Addr: "/ip6/2001:db8::7/tcp/4001", Peer: a},
		{Addr: "/ip4/198.51.100.1/tcp/443/ws", Peer: b, Relay: relay},
	} {
		p, err := PackHint(h)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func examples(t *testing.T) []Passcode {
	hints := exampleHints(t)
	var out []Passcode
	for n := range 4 {
		p := Passcode{V: 1, Flags: uint8(n), Expiry: 1_800_000_000 + uint32(n), Hints: hints[:n:n]}
		for i := range p.Secret {
			p.Secret[i] = byte(16*n + i)
		}
		for i := range p.GroupPrefix {
			p.GroupPrefix[i] = byte(0xa0 + i + n)
		}
		for i := range p.InviterPrefix {
			p.InviterPrefix[i] = byte(0xff - i - n)
		}
		out = append(out, p)
	}
	return out
}

func TestHintVectors(t *testing.T) {
	vs := vectors(t, "hints.json", func() (vs []hintVector) {
		for _, b := range exampleHints(t) {
			h, err := UnpackHint(b)
			if err != nil {
				t.Fatal(err)
			}
			v := hintVector{Packed: hex.EncodeToString(b), Addr: h.Addr, Peer: hex.EncodeToString(h.Peer[:])}
			if h.Circuit() {
				v.Relay = hex.EncodeToString(h.Relay[:])
			}
			vs = append(vs, v)
		}
		good := vs[0].Packed
		key := good[len(good)-64:]
		for _, bad := range [][2]string{
			{"", "empty"},
			{good[:len(good)-2], "cut"},
			{good + "00", "bytes left over"},
			{"03" + good[2:], "transport 3"},
			{"11" + good[2:], "same peer outside a passcode"},
			{"21" + good[2:], "unknown tag bit"},
			{"01" + "00000000" + "0fa1" + key, "unspecified"},
			{"01" + "e0000001" + "0fa1" + key, "multicast"},
			{"01" + "ffffffff" + "0fa1" + key, "broadcast"},
			{"01" + "cb007107" + "0000" + key, "port 0"},
			{"05" + "00000000000000000000ffffcb007107" + "0fa1" + key, "ip4 mapped into ip6"},
			{"05" + "ff020000000000000000000000000001" + "0fa1" + key, "multicast"},
			{"01" + "cb007107" + "0fa1" + strings.Repeat("00", 32), "small-order peer key"},
			{"09" + "cb007107" + "0fa1" + key + key, "relay is the peer"},
		} {
			vs = append(vs, hintVector{Packed: bad[0], Reason: bad[1]})
		}
		return vs
	})
	for _, v := range vs {
		b := unhex(t, v.Packed)
		h, err := UnpackHint(b)
		if v.Reason != "" {
			if !errors.Is(err, ErrBadHint) {
				t.Errorf("%s: got %v", v.Reason, err)
			}
			continue
		}
		want := Hint{Addr: v.Addr, Peer: W.PeerKey(unhex(t, v.Peer))}
		if v.Relay != "" {
			want.Relay = W.PeerKey(unhex(t, v.Relay))
		}
		if err != nil || h != want {
			t.Errorf("%s: got %+v, %v", v.Addr, h, err)
		}
		if again, err := PackHint(want); err != nil || hex.EncodeToString(again) != v.Packed {
			t.Errorf("%s: packs as %x, %v", v.Addr, again, err)
		}
	}
}

func TestPasscodeVectors(t *testing.T) {
	x := func(b []byte) string { return hex.EncodeToString(b) }
	vs := vectors(t, "passcodes.json", func() (vs []passcodeVector) {
		for i, p := range examples(t) {
			k := p.Keys()
			pk, rdv := k.InvitePk(), RendezvousKey(k.Rdv, 20000)
			v := passcodeVector{
				Name: []string{"no hint", "one hint, sleep-proof", "two hints of one peer, approval", "three hints, one through a relay"}[i], Flags: p.Flags, Secret: x(p.Secret[:]), Group: x(p.GroupPrefix[:]), Inviter: x(p.InviterPrefix[:]),
				Expiry: p.Expiry, Hints: []string{}, Bytes: x(p.Encode()), Text: p.Text(), InvitePk: x(pk[:]), KEMSeed: x(k.KEMSeed[:]),
				Rdv: x(k.Rdv[:]), Rdv20000: x(rdv[:]), Lobby: x(k.Lobby[:]), Topic: x(k.Topic[:]),
			}
			for _, h := range p.Hints {
				v.Hints = append(v.Hints, x(h))
			}
			vs = append(vs, v)
		}
		return vs
	})
	for _, v := range vs {
		want := Passcode{
			V: 1, Flags: v.Flags, Secret: Secret(unhex(t, v.Secret)), GroupPrefix: [16]byte(unhex(t, v.Group)),
			InviterPrefix: [12]byte(unhex(t, v.Inviter)), Expiry: v.Expiry,
		}
		for _, h := range v.Hints {
			want.Hints = append(want.Hints, unhex(t, h))
		}
		got, err := Decode(unhex(t, v.Bytes))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v", v.Name, got, err)
		}
		k := want.Keys()
		pk, rdv := k.InvitePk(), RendezvousKey(k.Rdv, 20000)
		for _, c := range [][2]string{
			{x(want.Encode()), v.Bytes},
			{want.Text(), v.Text},
			{x(pk[:]), v.InvitePk},
			{x(k.KEMSeed[:]), v.KEMSeed},
			{x(k.Rdv[:]), v.Rdv},
			{x(rdv[:]), v.Rdv20000},
			{x(k.Lobby[:]), v.Lobby},
			{x(k.Topic[:]), v.Topic},
		} {
			if c[0] != c[1] {
				t.Errorf("%s: got %s, want %s", v.Name, c[0], c[1])
			}
		}
	}
}

func TestBadPasscodeVectors(t *testing.T) {
	vs := vectors(t, "passcodes_bad.json", func() (vs []badBytes) {
		p := examples(t)[1]
		good := p.Encode()
		add := func(name string, code Code, change func(b []byte) []byte, mend bool) {
			b := change(append([]byte{}, good...))
			if mend {
				c := check(b)
				copy(b[offCheck:], c[:])
			}
			vs = append(vs, badBytes{name, hex.EncodeToString(b), code.String()})
		}
		add("empty", NotAPasscode, func([]byte) []byte { return nil }, false)
		add("51 bytes", NotAPasscode, func(b []byte) []byte { return b[:51] }, false)
		add("version 0", NotAPasscode, func(b []byte) []byte { b[0] = 0; return b }, true)
		add("version 2", Newer, func(b []byte) []byte { b[0] = 2; return b }, true)
		add("version 2, short, other check", Newer, func(b []byte) []byte { return []byte{2, 1, 2} }, false)
		add("flag 4", Newer, func(b []byte) []byte { b[1] |= 4; return b }, true)
		add("flag 4, wrong check", Mistyped, func(b []byte) []byte { b[1] |= 4; return b }, false)
		add("a bit of the secret", Mistyped, func(b []byte) []byte { b[5] ^= 1; return b }, false)
		add("a bit of the hint", Mistyped, func(b []byte) []byte { b[60] ^= 1; return b }, false)
		add("cut hint", NotAPasscode, func(b []byte) []byte { return b[:len(b)-1] }, true)
		add("a fourth hint", NotAPasscode, func(b []byte) []byte {
			for range 3 {
				b = append(b, append([]byte{b[52] | hintSamePeer}, b[53:59]...)...)
			}
			return b
		}, true)
		add("a key said twice", NotAPasscode, func(b []byte) []byte { return append(b, b[52:91]...) }, true)
		add("first hint says same peer", NotAPasscode, func(b []byte) []byte { b[52] |= hintSamePeer; return b[:59] }, true)
		return vs
	})
	for _, v := range vs {
		_, err := Decode(unhex(t, v.Bytes))
		var e *Error
		if !errors.As(err, &e) || e.Code.String() != v.Reason {
			t.Errorf("%s: got %v, want %s", v.Name, err, v.Reason)
		}
	}
}

func TestPastedVectors(t *testing.T) {
	const now = 1_790_000_000
	vs := vectors(t, "pasted.json", func() (vs []pasted) {
		p := examples(t)[1]
		s, is := p.Text(), hex.EncodeToString(p.Encode())
		good := func(name, text string) { vs = append(vs, pasted{Name: name, Text: text, NowUnix: now, Is: is}) }
		bad := func(name, text string, code Code, group int, letters string) {
			vs = append(vs, pasted{Name: name, Text: text, NowUnix: now, Reason: code.String(), Group: group, Letters: letters})
		}
		good("bare", s)
		good("lower case without dashes", strings.ToLower(strings.ReplaceAll(s, "-", "")))
		good("message in Chinese", p.Message(Zh, "周末爬山", "小明"))
		good("message in English", p.Message(En, "Hikers", "Ming"))
		good("link", "点开 "+p.Link()+" 就行")
		good("web page around the link", "https://example.org/#/open?u="+strings.ToLower(p.Link())+"&x=1")
		good("qr", p.QR())
		good("quoted and broken over lines", "> "+strings.ReplaceAll(s, "-", "-\n> ")+"\n\n好的👌")
		good("full width", strings.Map(func(r rune) rune { return r + '！' - '!' }, s))
		good("zero width after each letter", strings.Join(strings.Split(s, ""), "\u200b"))
		good("markdown", "**`"+s+"`**")
		good("behind a damaged one", s[:30]+"0"+s[31:]+"\n"+s)
		card := W.Armour(W.MarkCard, []byte("not a real card"))
		vs = append(vs, pasted{Name: "card", Text: "我的名片：" + strings.ToLower(card), NowUnix: now, Card: card})
		vs = append(vs, pasted{Name: "expired", Text: s, NowUnix: 1_800_000_002, Is: is, Reason: Expired.String()})
		bad("chat", "今晚一起吃饭吗？see you at 10", NotAPasscode, 0, "")
		bad("empty", "", NotAPasscode, 0, "")
		bad("cut in a group", s[:50], CutOff, 6, s[45:50])
		bad("cut at a border", s[:53]+"…", CutOff, 7, "")
		bad("cut before other words", "口令 "+s[:50]+" 收到请回复 ok", CutOff, 6, s[45:50])
		bad("one letter wrong", s[:30]+"O"+s[31:], Mistyped, 4, s[27:30]+"O"+s[31:35])
		bad("neighbours changed places", s[:19]+s[20:21]+s[19:20]+s[21:], Mistyped, 3, s[18:19]+s[20:21]+s[19:20]+s[21:26])
		bad("wrong mark", "MUTQ"+s[4:], Mistyped, 1, "MUTQ"+s[4:8])
		newer := p
		newer.V = 2
		bad("version 2", newer.Text(), Newer, 0, "")
		return vs
	})
	vs = append(vs, vectors(t, "pasted_link_code.json", func() []pasted {
		p := examples(t)[1]
		newer := p
		newer.V = 2
		link := W.Armour(W.MarkLink, []byte("not a real link code"))
		return []pasted{
			{Name: "link code", Text: "on the new computer: " + link, NowUnix: now, LinkCode: link},
			{Name: "link code before a passcode", Text: link + "\n" + p.Text(), NowUnix: now, Is: hex.EncodeToString(p.Encode())},
			{Name: "link code before a newer passcode", Text: link + "\n" + newer.Text(), NowUnix: now, Reason: Newer.String()},
			{Name: "link code cut off", Text: link[:20], NowUnix: now, Reason: CutOff.String(), Group: 3, Letters: link[18:20]},
		}
	})...)
	for _, v := range vs {
		f, err := Extract(v.Text, time.Unix(v.NowUnix, 0))
		var e Error
		if p := (*Error)(nil); errors.As(err, &p) {
			e = *p
		}
		is := ""
		if f.Passcode.V != 0 {
			is = hex.EncodeToString(f.Passcode.Encode())
		}
		reason := ""
		if err != nil {
			reason = e.Code.String()
		}
		if is != v.Is || f.Card != v.Card || f.LinkCode != v.LinkCode || reason != v.Reason || e.Group != v.Group || e.Letters != v.Letters {
			t.Errorf("%s: got %q, card %q, %q in group %d %q", v.Name, is, f.Card, reason, e.Group, e.Letters)
		}
	}
}
