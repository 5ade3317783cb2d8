package identity

import (
	"bytes"
	"encoding/hex"
	"maps"
	"strings"

	"mutuals/identity/wire"
)

// linkCode is a code of device p, with its check made again after the edit.
func linkCode(p person, edit func(*LinkCode)) LinkCode {
	c, err := NewLinkCode(testRand(50), p.keys.PeerKey(), testMs/1000, [][]byte{{0x11, 1, 2, 3, 4, 0x0f, 0xa1}})
	if err != nil {
		panic(err)
	}
	if edit != nil {
		edit(&c)
		c.Check = c.sum()
	}
	return c
}

func linkCodeVectors() []vector {
	ada := newPerson(1)
	base := linkCode(ada, nil)
	spoilt := base
	spoilt.Secret[3] ^= 1
	edit := func(f func(*LinkCode)) []byte { return wire.Marshal(linkCode(ada, f)) }
	text := func(reason, name, s string) vector { return vector{Name: name, Text: s, Reason: reason} }
	frame := wire.Marshal(base)
	qr := base.QR()
	return []vector{
		good("link code", base),
		good("without hints", linkCode(ada, func(c *LinkCode) { c.Hints = nil })),
		good("with three hints", linkCode(ada, func(c *LinkCode) { c.Hints = [][]byte{{1}, {2}, make([]byte, 128)} })),
		text("", "as text", base.Text()),
		text("", "as a link", base.Link()),
		text("", "as a QR code says it", qr),
		text("", "typed in lower case, in a sentence", "on the new computer: "+strings.ToLower(base.Text())+" please"),
		text("armour", "cut off", base.Text()[:60]),
		text("armour", "a passcode's mark", wire.Armour(wire.MarkPasscode, frame)),
		text("malformed", "intact text of something else", wire.Armour(wire.MarkLink, []byte{0x80})),
		bad("malformed", "nothing", nil),
		bad("malformed", "cut off", frame[:len(frame)-1]),
		bad("malformed", "a byte too many", append(bytes.Clone(frame), 0)),
		bad("not canonical", "the array's length in two bytes", append([]byte{0x98, 0x06}, frame[1:]...)),
		bad("newer", "version 2", edit(func(c *LinkCode) { c.V = 2 })),
		bad("newer", "version 2 of another shape", wire.Marshal([]any{uint64(2), "anything"})),
		bad("bounds", "version 0", edit(func(c *LinkCode) { c.V = 0 })),
		bad("bounds", "expiry of 2^32", edit(func(c *LinkCode) { c.Expiry = 1 << 32 })),
		bad("bounds", "four hints", edit(func(c *LinkCode) { c.Hints = [][]byte{{1}, {2}, {3}, {4}} })),
		bad("bounds", "an empty hint", edit(func(c *LinkCode) { c.Hints = [][]byte{{}} })),
		bad("bounds", "a hint of 129 bytes", edit(func(c *LinkCode) { c.Hints = [][]byte{make([]byte, 129)} })),
		bad("bounds", "longer than 512 bytes", make([]byte, MaxLinkCode+1)),
		bad("proof", "a bit of the secret flipped", wire.Marshal(spoilt)),
		bad("key", "a peer key of small order", edit(func(c *LinkCode) { c.Peer = smallOrder })),
	}
}

func readLinkCode(v vector, frame []byte) (map[string]string, error) {
	read := func() (LinkCode, error) {
		if v.Text != "" {
			return ParseLinkCode(v.Text)
		}
		return DecodeLinkCode(frame)
	}
	c, err := read()
	if err != nil {
		return nil, err
	}
	facts := map[string]string{"peer": c.Peer.String(), "secret": hex.EncodeToString(c.Secret[:]), "expiry": u(c.Expiry), "text": c.Text()}
	for i, h := range c.Hints {
		facts["hint "+u(uint64(i+1))] = hex.EncodeToString(h)
	}
	return facts, nil
}

// linkWith is what the device that showed the code has besides the hello.
func linkWith(secret LinkSecret, o, n wire.PeerKey) map[string]string {
	return map[string]string{"secret": hex.EncodeToString(secret[:]), "o": o.String(), "n": n.String()}
}

func linkHelloVectors() []vector {
	ada, k := newPerson(1), newKeys(2)
	code := linkCode(ada, nil)
	kem := bytes.Repeat([]byte{7}, KEMPublicLen)
	base := NewLinkHello(k, kem, code)
	with := linkWith(code.Secret, code.Peer, k.PeerKey())
	// edited is tagged anew, so that the tag is right.
	edited := func(f func(*LinkHello)) LinkHello {
		h := base
		f(&h)
		h.Tag = h.tag(code.Secret, code.Peer, k.PeerKey())
		return h
	}
	v := func(reason, name string, h LinkHello, with map[string]string) vector {
		return vector{Name: name, Frame: hex.EncodeToString(wire.Marshal(h)), With: with, Reason: reason}
	}
	swapped := base
	swapped.OpKey = newKeys(3).ID()
	kemSwapped := base
	kemSwapped.KemPk = bytes.Repeat([]byte{8}, KEMPublicLen)
	frame := wire.Marshal(base)
	otherKeys := edited(func(h *LinkHello) { h.PeerKey = newKeys(3).PeerKey() })
	return []vector{
		v("", "link hello", base, with),
		v("proof", "another code's secret", base, linkWith(LinkSecret{1}, code.Peer, k.PeerKey())),
		v("proof", "shown to another device", base, linkWith(code.Secret, newKeys(4).PeerKey(), k.PeerKey())),
		v("proof", "shown over another's connection", base, linkWith(code.Secret, code.Peer, newKeys(4).PeerKey())),
		v("proof", "another op key than tagged", swapped, with),
		v("proof", "another kem key than tagged", kemSwapped, with),
		v("proof", "a peer key that is not the connection's", otherKeys, with),
		v("chain", "op key and peer key are one", edited(func(h *LinkHello) { h.OpKey = wire.DeviceID(h.PeerKey) }), with),
		v("chain", "the op key is the other device's peer key", edited(func(h *LinkHello) { h.OpKey = wire.DeviceID(code.Peer) }), with),
		v("key", "an op key of small order", edited(func(h *LinkHello) { h.OpKey = smallOrder }), with),
		v("bounds", "a kem key of 1215 bytes", edited(func(h *LinkHello) { h.KemPk = kem[1:] }), with),
		v("bounds", "version 0", edited(func(h *LinkHello) { h.V = 0 }), with),
		v("newer", "version 2", edited(func(h *LinkHello) { h.V = 2 }), with),
		bad("newer", "version 2 of another shape", wire.Marshal([]any{uint64(2), "anything"})),
		bad("malformed", "nothing", nil),
		bad("malformed", "cut off", frame[:len(frame)-1]),
		bad("malformed", "a byte too many", append(bytes.Clone(frame), 0)),
		bad("not canonical", "the array's length in two bytes", append([]byte{0x98, 0x05}, frame[1:]...)),
		bad("bounds", "longer than 2 KiB", make([]byte, MaxLinkHello+1)),
	}
}

func readLinkHello(v vector, frame []byte) (map[string]string, error) {
	h, err := DecodeLinkHello(frame)
	if err != nil {
		return nil, err
	}
	secret, err := hex.DecodeString(v.With["secret"])
	if err != nil {
		return nil, err
	}
	o, err := wire.ParsePeerKey(v.With["o"])
	if err != nil {
		return nil, err
	}
	n, err := wire.ParsePeerKey(v.With["n"])
	if err != nil {
		return nil, err
	}
	return map[string]string{"device": h.OpKey.String(), "peer": h.PeerKey.String(), "tag": hex.EncodeToString(h.Tag[:])},
		h.Verify(LinkSecret(secret), o, n)
}

func sasVectors() []vector {
	a, b := newKeys(1).PeerKey(), newKeys(2).PeerKey()
	rA, rB := wire.Hash([]byte("rA")), wire.Hash([]byte("rB"))
	with := func(purpose string, a, b wire.PeerKey, hello []byte, rA, rB [32]byte) map[string]string {
		c := NewSAS(purpose, a, b, hello).Commit(rB)
		return map[string]string{"purpose": purpose, "a": a.String(), "b": b.String(), "hello": hex.EncodeToString(hello),
			"ra": hex.EncodeToString(rA[:]), "rb": hex.EncodeToString(rB[:]), "commit": hex.EncodeToString(c[:])}
	}
	base := with(SASLink, a, b, []byte("hello"), rA, rB)
	late := maps.Clone(base)
	late["rb"] = hex.EncodeToString(rA[:])
	other := maps.Clone(base)
	other["commit"] = with(SASLink, b, a, []byte("hello"), rA, rB)["commit"]
	var vs []vector
	for _, x := range []struct {
		name string
		with map[string]string
	}{
		{"link", base},
		{"invite, without a hello", with(SASInvite, a, b, nil, rA, rB)},
		{"verify", with(SASVerify, a, b, nil, rA, rB)},
		{"the two the other way round", with(SASLink, b, a, []byte("hello"), rA, rB)},
		{"another hello", with(SASLink, a, b, []byte("hallo"), rA, rB)},
		{"zeros", with(SASLink, a, b, nil, [32]byte{}, [32]byte{})},
	} {
		vs = append(vs, vector{Name: x.name, With: x.with})
	}
	return append(vs,
		vector{Name: "another rB than was committed to", With: late, Reason: "proof"},
		vector{Name: "committed to on another connection", With: other, Reason: "proof"})
}

func readSAS(v vector, _ []byte) (map[string]string, error) {
	a, err := wire.ParsePeerKey(v.With["a"])
	if err != nil {
		return nil, err
	}
	b, err := wire.ParsePeerKey(v.With["b"])
	if err != nil {
		return nil, err
	}
	var parts [4][]byte
	for i, name := range []string{"hello", "commit", "ra", "rb"} {
		if parts[i], err = hex.DecodeString(v.With[name]); err != nil {
			return nil, err
		}
	}
	s := NewSAS(v.With["purpose"], a, b, parts[0])
	number, err := s.Number([32]byte(parts[1]), [32]byte(parts[2]), [32]byte(parts[3]))
	return map[string]string{"transcript": hex.EncodeToString(s.transcript[:]), "number": number}, err
}
