package identity

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"

	"mutuals/identity/wire"
)

var update = flag.Bool("update", false, "write testdata/vectors; only for new formats, an old vector never changes")

// vector is one example: bytes or text that a reader gets, and either what it
// finds there (Facts) or why it refuses (Reason).
type vector struct {
	Name   string            `json:"name"`
	Frame  string            `json:"frame,omitempty"` // hex
	Text   string            `json:"text,omitempty"`
	With   map[string]string `json:"with,omitempty"` // what the reader has besides
	Facts  map[string]string `json:"facts,omitempty"`
	Reason string            `json:"reason,omitempty"`
}

// format is how one file of vectors is made and read.
type format struct {
	make func() []vector
	read func(v vector, frame []byte) (facts map[string]string, err error)
}

var formats = map[string]format{
	"certificate": {certVectors, readCert},
	"edge":        {edgeVectors, readEdge},
	"edge-order":  {orderVectors, readOrder},
	"follow-list": {listVectors, readList},
	"edge-root":   {rootVectors, readRoot},
	"profile":     {profileVectors, readProfile},
	"card":        {cardVectors, readCard},
	"revocation":  {revocationVectors, readRevocation},
	"reach":       {reachVectors, readReach},
	"keys-sealed": {keysVectors, readKeys},
	"root-sealed": {rootFileVectors, readRootFile},
	"words":       {wordsVectors, readWords},
	"safety":      {safetyVectors, readSafety},
	"link-code":   {linkCodeVectors, readLinkCode},
	"link-hello":  {linkHelloVectors, readLinkHello},
	"sas":         {sasVectors, readSAS},

	"restore-hello": {restoreHelloVectors, readRestoreHello}, // I25
}

func TestVectors(t *testing.T) {
	for name, f := range formats {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", "vectors", name+".json")
			made := f.make()
			if *update {
				for i := range made {
					v := &made[i]
					facts, err := f.read(*v, unhex(t, v.Frame))
					if got := reasonOf(t, err); got != v.Reason {
						t.Errorf("%s: reason %q (%v), want %q", v.Name, got, err, v.Reason)
					}
					if err == nil {
						v.Facts = facts
					}
				}
				writeVectors(t, path, made)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var stored []vector
			if err := json.Unmarshal(b, &stored); err != nil {
				t.Fatal(err)
			}
			if len(stored) != len(made) {
				t.Fatalf("%d vectors on disk, %d made", len(stored), len(made))
			}
			for i, v := range stored {
				if v.Name != made[i].Name || v.Frame != made[i].Frame || v.Text != made[i].Text || !reflect.DeepEqual(v.With, made[i].With) {
					t.Errorf("%s: what we write has changed", v.Name)
				}
				facts, err := f.read(v, unhex(t, v.Frame))
				if got := reasonOf(t, err); got != v.Reason {
					t.Errorf("%s: reason %q (%v), want %q", v.Name, got, err, v.Reason)
				}
				if err == nil && !reflect.DeepEqual(facts, v.Facts) {
					t.Errorf("%s: read %v, want %v", v.Name, facts, v.Facts)
				}
			}
		})
	}
}

func writeVectors(t *testing.T, path string, v []vector) {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func good(name string, v any) vector {
	return vector{Name: name, Frame: hex.EncodeToString(wire.Marshal(v))}
}

func bad(reason, name string, frame []byte) vector {
	return vector{Name: name, Frame: hex.EncodeToString(frame), Reason: reason}
}

// damaged are the ways any frame of three elements is spoilt.
func damaged(frame []byte) []vector {
	return []vector{
		bad("malformed", "nothing", nil),
		bad("malformed", "cut off", frame[:len(frame)-1]),
		bad("malformed", "a byte too many", append(bytes.Clone(frame), 0)),
		bad("malformed", "an empty map", []byte{0xa0}),
		bad("malformed", "an array of indefinite length", append(append([]byte{0x9f}, frame[1:]...), 0xff)),
		bad("not canonical", "the array's length in two bytes", append([]byte{0x98, 0x03}, frame[1:]...)),
		bad("newer", "a certificate of version 2 and another shape", wire.Marshal([]any{wire.Raw(core(frame)), make([]byte, 64), []any{[]any{[]any{uint64(2), "x"}, make([]byte, 64)}}})),
		bad("newer", "version 2 of another shape", wire.Marshal([]any{[]any{uint64(2), "anything"}, []byte{1}})),
	}
}

// core is the first element of a frame.
func core(frame []byte) []byte {
	var e []wire.Raw
	if err := wire.Unmarshal(frame, &e); err != nil {
		panic(err)
	}
	return e[0]
}

func u(n uint64) string { return strconv.FormatUint(n, 10) }

// smallOrder is a key under which one signature fits many messages.
var smallOrder = [32]byte{1}

type certFrame struct {
	_     struct{} `cbor:",toarray"`
	Chain Chain
	Pop   Pop
}

func certVectors() []vector {
	ada, eve := newPerson(1), newPerson(9)
	leaf := ada.chain.Leaf()
	two := ada.extend(newKeys(2), CapAddDevices)
	three := two.extend(newKeys(3), 0)
	four := three.extend(newKeys(4), 0)
	frame := func(p person) certFrame { return certFrame{Chain: p.chain, Pop: p.keys.Prove(p.chain.Leaf())} }
	with := func(edit func(*Certificate)) certFrame { // a chain of one, signed after the edit
		c := leaf
		edit(&c)
		return certFrame{Chain: Chain{signCert(ada.root.key, c)}, Pop: ada.keys.Prove(c)}
	}
	no := func(reason, name string, f certFrame) vector { return bad(reason, name, wire.Marshal(f)) }

	bot := ada.extend(newKeys(5), CapAddDevices|CapBot)
	weakAccount := leaf
	weakAccount.Account = smallOrder
	swapped := frame(ada)
	swapped.Pop.Op, swapped.Pop.Peer = swapped.Pop.Peer, swapped.Pop.Op
	noPeer := frame(ada)
	noPeer.Pop.Peer = noPeer.Pop.Op
	foreign := frame(ada)
	foreign.Chain = Chain{signCert(eve.root.key, leaf)}
	flipped := frame(ada)
	flipped.Chain = Chain{flipped.Chain[0]}
	flipped.Chain[0].Sig[0] ^= 1
	otherDomain := frame(ada)
	otherDomain.Chain = Chain{{Cert: leaf, Sig: wire.Sign(wire.DomainCard, ada.root.key, wire.NoContext, wire.Marshal(leaf))}}
	reversed := frame(two)
	reversed.Chain = Chain{two.chain[1], two.chain[0]}
	mixed := frame(two)
	ec := NewCertificate(eve.root.Account(), newKeys(2), 2, 0, testMs)
	mixed.Chain = Chain{ada.chain[0], signCert(ada.keys.Op, ec)}

	return []vector{
		good("a device certified by the root", frame(ada)),
		good("a device certified by a device", frame(two)),
		good("a chain of three", frame(three)),
		good("a bot", frame(ada.extend(newKeys(5), CapBot))),
		no("chain", "a chain of none", certFrame{Pop: ada.keys.Prove(leaf)}),
		no("chain", "a chain of four", frame(four)),
		no("chain", "certified by a device that may not add devices", frame(ada.extend(newKeys(6), 0).extend(newKeys(7), 0))),
		no("chain", "a bot certifies a device that is none", frame(bot.extend(newKeys(7), 0))),
		no("chain", "one device twice", frame(two.extend(two.keys, 0))),
		no("chain", "two devices with one peer key", frame(ada.extend(DeviceKeys{Op: newKeys(6).Op, Peer: ada.keys.Peer}, 0))),
		no("chain", "one device's op key is another's peer key", frame(ada.extend(DeviceKeys{Op: ada.keys.Peer, Peer: newKeys(6).Peer}, 0))),
		no("chain", "two accounts in one chain", mixed),
		no("chain", "op key and peer key are one", with(func(c *Certificate) { c.PeerKey = wire.PeerKey(c.OpKey) })),
		no("chain", "the op key is the account's", with(func(c *Certificate) { c.OpKey = wire.DeviceID(c.Account) })),
		no("chain", "the peer key is the account's", with(func(c *Certificate) { c.PeerKey = wire.PeerKey(c.Account) })),
		no("key", "an op key of small order", with(func(c *Certificate) { c.OpKey = smallOrder })),
		no("key", "a peer key of small order", with(func(c *Certificate) { c.PeerKey = smallOrder })),
		no("key", "an account of small order", certFrame{Chain: Chain{signCert(ada.root.key, weakAccount)}}),
		no("newer", "version 2", with(func(c *Certificate) { c.V = 2 })),
		no("bounds", "version 0", with(func(c *Certificate) { c.V = 0 })),
		no("newer", "an unknown capability", with(func(c *Certificate) { c.Caps = 4 })),
		no("bounds", "issued after the year 10889", with(func(c *Certificate) { c.IssuedMs = wire.MaxMs })),
		no("bounds", "a device number of 2^32", with(func(c *Certificate) { c.DeviceNo = 1 << 32 })),
		no("signature", "signed by another root", foreign),
		no("signature", "a bit of the signature flipped", flipped),
		no("signature", "signed in another domain", otherDomain),
		no("signature", "certificates in the wrong order", reversed),
		no("proof", "the two proofs exchanged", swapped),
		no("proof", "the op key's proof twice", noPeer),
	}
}

func readCert(_ vector, frame []byte) (map[string]string, error) {
	var f certFrame
	if err := wire.Unmarshal(frame, &f); err != nil {
		return nil, err
	}
	c, err := f.Chain.Verify()
	if err != nil {
		return nil, err
	}
	return map[string]string{"account": c.Account.String(), "device": c.OpKey.String(), "peer": c.PeerKey.String(),
		"number": u(c.DeviceNo), "caps": u(c.Caps), "issued_ms": u(c.IssuedMs)}, f.Pop.Verify(c)
}

// resigned signs e as p's device, whatever it says.
func resigned(p person, e Edge) SignedEdge {
	return SignedEdge{Edge: e, Sig: wire.Sign(wire.DomainFollow, p.keys.Op, wire.NoContext, wire.Marshal(e)), Chain: p.chain}
}

func edgeVectors() []vector {
	ada, ben, eve := newPerson(1), newPerson(8), newPerson(9)
	two := ada.extend(newKeys(2), 0)
	base := SignEdge(ada.keys, ada.chain, ben.root.Account(), testMs, EdgeFollow, testMs)
	edit := func(f func(*Edge)) []byte {
		e := base.Edge
		f(&e)
		return wire.Marshal(resigned(ada, e))
	}
	tampered := base
	tampered.Edge.State = EdgeUnfollow
	card := base
	card.Sig = wire.Sign(wire.DomainCard, ada.keys.Op, wire.NoContext, wire.Marshal(base.Edge))
	inGroup := base
	inGroup.Sig = wire.Sign(wire.DomainFollow, ada.keys.Op, wire.Context{1}, wire.Marshal(base.Edge))
	noChain := base
	noChain.Chain = nil
	sibling := base
	sibling.Chain = two.chain
	stranger := base
	stranger.Chain = eve.chain
	asEve := base.Edge
	asEve.From = eve.root.Account()
	return append([]vector{
		good("follow", base),
		good("unfollow", SignEdge(ada.keys, ada.chain, ben.root.Account(), testMs+1, EdgeUnfollow, testMs)),
		good("by a device that another one added", SignEdge(two.keys, two.chain, ben.root.Account(), testMs, EdgeFollow, testMs)),
		good("n and time 0", SignEdge(ada.keys, ada.chain, ben.root.Account(), 0, EdgeFollow, 0)),
		bad("self", "to oneself", edit(func(e *Edge) { e.To = e.From })),
		bad("bounds", "state 2", edit(func(e *Edge) { e.State = 2 })),
		bad("bounds", "n of 2^48", edit(func(e *Edge) { e.N = wire.MaxMs })),
		bad("bounds", "time of 2^48", edit(func(e *Edge) { e.Ms = wire.MaxMs })),
		bad("bounds", "version 0", edit(func(e *Edge) { e.V = 0 })),
		bad("newer", "version 2", edit(func(e *Edge) { e.V = 2 })),
		bad("key", "to a key of small order", edit(func(e *Edge) { e.To = smallOrder })),
		bad("bounds", "longer than 1 KiB", make([]byte, MaxEdgeFrame+1)),
		bad("signature", "the state changed after signing", wire.Marshal(tampered)),
		bad("signature", "signed in another domain", wire.Marshal(card)),
		bad("signature", "signed in a group's context", wire.Marshal(inGroup)),
		bad("chain", "without a chain", wire.Marshal(noChain)),
		bad("chain", "with a sibling's chain", wire.Marshal(sibling)),
		bad("chain", "with a stranger's chain", wire.Marshal(stranger)),
		bad("chain", "from an account that is not the chain's", wire.Marshal(resigned(ada, asEve))),
		bad("chain", "by a device that is not the chain's", edit(func(e *Edge) { e.By = two.keys.ID() })),
	}, damaged(wire.Marshal(base))...)
}

func readEdge(_ vector, frame []byte) (map[string]string, error) {
	s, err := DecodeEdge(frame)
	if err != nil {
		return nil, err
	}
	e, id := s.Edge, s.Edge.ID()
	return map[string]string{"from": e.From.String(), "by": e.By.String(), "to": e.To.String(), "n": u(e.N),
		"state": u(e.State), "ms": u(e.Ms), "id": hex.EncodeToString(id[:])}, s.Verify()
}

// orderVectors are edges of one pair in one array, to be sorted newest first.
func orderVectors() []vector {
	ada, ben := newPerson(1), newPerson(8)
	var edges []SignedEdge
	for _, x := range [][3]uint64{{5, 1, 100}, {7, 1, 1}, {7, 0, 2}, {7, 1, 3}, {6, 0, 200}, {7, 0, 4}} {
		edges = append(edges, SignEdge(ada.keys, ada.chain, ben.root.Account(), x[0], x[1], x[2]))
	}
	return []vector{good("n, then state 0, then the lower id", edges)}
}

func readOrder(_ vector, frame []byte) (map[string]string, error) {
	var edges []SignedEdge
	if err := wire.Unmarshal(frame, &edges); err != nil {
		return nil, err
	}
	facts := map[string]string{}
	for _, e := range edges {
		place := 1
		for _, other := range edges {
			if NewerEdge(other, e) {
				place++
			}
		}
		id := e.Edge.ID()
		facts[u(uint64(place))] = hex.EncodeToString(id[:])
	}
	return facts, nil
}

func listVectors() []vector {
	ada, eve := newPerson(1), newPerson(9)
	base := SignFollowList(ada.keys, ada.chain, testMs, [32]byte{7})
	n := base
	n.List.N = wire.MaxMs
	v2 := base
	v2.List.V = 2
	changed := base
	changed.List.Root[0]++
	stranger := base
	stranger.Chain = eve.chain
	return append([]vector{
		good("list", base),
		bad("bounds", "n of 2^48", wire.Marshal(n)),
		bad("newer", "version 2", wire.Marshal(v2)),
		bad("signature", "another root", wire.Marshal(changed)),
		bad("chain", "with a stranger's chain", wire.Marshal(stranger)),
	}, damaged(wire.Marshal(base))...)
}

func readList(_ vector, frame []byte) (map[string]string, error) {
	s, err := DecodeFollowList(frame)
	if err != nil {
		return nil, err
	}
	return map[string]string{"account": s.List.Account.String(), "by": s.List.By.String(), "n": u(s.List.N),
		"root": hex.EncodeToString(s.List.Root[:])}, s.Verify()
}

func rootVectors() []vector {
	var vs []vector
	for _, n := range []int{0, 1, 2, 3, 5, 8} {
		ids := make([][32]byte, n)
		for i := range ids {
			ids[i] = wire.Hash([]byte{byte(i)})
		}
		vs = append(vs, good(u(uint64(n))+" ids", ids))
	}
	a, b := wire.Hash([]byte{0}), wire.Hash([]byte{1})
	return append(vs, good("2 ids, unsorted and one twice", [][32]byte{b, a, b, a}))
}

func readRoot(_ vector, frame []byte) (map[string]string, error) {
	var ids [][32]byte
	if err := wire.Unmarshal(frame, &ids); err != nil {
		return nil, err
	}
	root := EdgeRoot(ids)
	return map[string]string{"root": hex.EncodeToString(root[:])}, nil
}

func profileVectors() []vector {
	ada, eve := newPerson(1), newPerson(9)
	sign := func(p Profile) SignedProfile { // whatever it says
		p.V, p.Account, p.By = max(p.V, 1), ada.root.Account(), ada.keys.ID()
		return SignedProfile{Profile: p, Sig: wire.Sign(wire.DomainProfile, ada.keys.Op, wire.NoContext, wire.Marshal(p)), Chain: ada.chain}
	}
	long := make([]byte, 65)
	for i := range long {
		long[i] = 'a'
	}
	base := sign(Profile{N: testMs, Name: "Ada 互关", Bio: "climbs\nand reads", Avatar: []byte{1, 2, 3}})
	renamed := base
	renamed.Profile.Name = "Eve"
	stranger := base
	stranger.Chain = eve.chain
	rlo := string(rune(0x202e))
	return append([]vector{
		good("profile", base),
		good("empty", sign(Profile{})),
		good("64 characters", sign(Profile{Name: string(long[:64])})),
		bad("bounds", "65 characters", wire.Marshal(sign(Profile{Name: string(long)}))),
		bad("bounds", "a name of two lines", wire.Marshal(sign(Profile{Name: "a\nb"}))),
		bad("bounds", "a name that turns its direction", wire.Marshal(sign(Profile{Name: "a" + rlo + "b"}))),
		bad("bounds", "a tab in the bio", wire.Marshal(sign(Profile{Bio: "a\tb"}))),
		bad("bounds", "a bio of 1025 bytes", wire.Marshal(sign(Profile{Bio: string(bytes.Repeat([]byte("b"), 1025))}))),
		bad("bounds", "an avatar of 1025 bytes", wire.Marshal(sign(Profile{Avatar: make([]byte, 1025)}))),
		bad("bounds", "n of 2^48", wire.Marshal(sign(Profile{N: wire.MaxMs}))),
		bad("newer", "version 2", wire.Marshal(sign(Profile{V: 2}))),
		bad("signature", "renamed after signing", wire.Marshal(renamed)),
		bad("chain", "with a stranger's chain", wire.Marshal(stranger)),
	}, damaged(wire.Marshal(base))...)
}

func readProfile(_ vector, frame []byte) (map[string]string, error) {
	s, err := DecodeProfile(frame)
	if err != nil {
		return nil, err
	}
	p := s.Profile
	return map[string]string{"account": p.Account.String(), "by": p.By.String(), "n": u(p.N), "name": p.Name, "bio": p.Bio,
		"avatar": hex.EncodeToString(p.Avatar)}, s.Verify()
}

func cardVectors() []vector {
	ada, eve := newPerson(1), newPerson(9)
	sign := func(c Card) SignedCard {
		c.V, c.Account, c.By, c.Ms = max(c.V, 1), ada.root.Account(), ada.keys.ID(), max(c.Ms, testMs)
		return SignedCard{Card: c, Sig: wire.Sign(wire.DomainCard, ada.keys.Op, wire.NoContext, wire.Marshal(c)), Chain: ada.chain}
	}
	base := sign(Card{Name: "Ada 互关", Hints: [][]byte{{1, 2, 3}, {4}}})
	moved := base
	moved.Card.Hints = [][]byte{{9}}
	stranger := base
	stranger.Chain = eve.chain
	text := func(name, s string) vector { return vector{Name: name, Text: s} }
	wrong := []byte(base.Text())
	if wrong[20] == '2' { // group 3
		wrong[20] = '3'
	} else {
		wrong[20] = '2'
	}
	return append([]vector{
		good("card", base),
		good("no name, no hints", sign(Card{})),
		text("as text", base.Text()),
		text("as a link", base.Link()),
		text("pasted in a sentence", "加我，这是我的名片：\n「"+base.Text()+"」😀 快点！"),
		{Name: "text with a letter mistyped", Text: string(wrong), Reason: "armour"},
		{Name: "text cut off", Text: base.Text()[:100], Reason: "armour"},
		{Name: "a passcode's mark", Text: wire.Armour(wire.MarkPasscode, wire.Marshal(base)), Reason: "armour"},
		{Name: "intact text of something else", Text: wire.Armour(wire.MarkCard, []byte{0x80}), Reason: "malformed"},
		{Name: "intact text of a stranger's chain", Text: stranger.Text(), Reason: "chain"},
		bad("bounds", "four hints", wire.Marshal(sign(Card{Hints: [][]byte{{1}, {2}, {3}, {4}}}))),
		bad("bounds", "an empty hint", wire.Marshal(sign(Card{Hints: [][]byte{{}}}))),
		bad("bounds", "a hint of 129 bytes", wire.Marshal(sign(Card{Hints: [][]byte{make([]byte, 129)}}))),
		bad("bounds", "a name of two lines", wire.Marshal(sign(Card{Name: "a\nb"}))),
		bad("bounds", "time of 2^48", wire.Marshal(sign(Card{Ms: wire.MaxMs}))),
		bad("newer", "version 2", wire.Marshal(sign(Card{V: 2}))),
		bad("signature", "other hints than signed", wire.Marshal(moved)),
		bad("chain", "with a stranger's chain", wire.Marshal(stranger)),
	}, damaged(wire.Marshal(base))...)
}

func readCard(v vector, frame []byte) (map[string]string, error) {
	read := func() (SignedCard, error) {
		if v.Text != "" {
			return ParseCard(v.Text)
		}
		s, err := DecodeCard(frame)
		if err == nil {
			err = s.Verify()
		}
		return s, err
	}
	s, err := read()
	if err != nil {
		return nil, err
	}
	facts := map[string]string{"account": s.Card.Account.String(), "by": s.Card.By.String(), "name": s.Card.Name, "ms": u(s.Card.Ms), "text": s.Text()}
	for i, h := range s.Card.Hints {
		facts["hint "+u(uint64(i+1))] = hex.EncodeToString(h)
	}
	return facts, nil
}

func revocationVectors() []vector {
	ada, eve := newPerson(1), newPerson(9)
	two := ada.extend(newKeys(2), 0)
	byDevice := SignRevocation(ada.keys, ada.chain, two.keys.ID(), ReasonStolen, testMs)
	byRoot := ada.root.Revoke(two.keys.ID(), ReasonLost, testMs)
	rootAndChain := byRoot
	rootAndChain.Chain = ada.chain
	deviceAlone := byDevice
	deviceAlone.Chain = nil
	byEve := byRoot
	byEve.Sig = eve.root.Revoke(two.keys.ID(), ReasonLost, testMs).Sig
	edit := func(f func(*Revocation)) []byte {
		s := byDevice
		f(&s.Revocation)
		s.Sig = wire.Sign(wire.DomainDeviceRevoke, ada.keys.Op, wire.NoContext, wire.Marshal(s.Revocation))
		return wire.Marshal(s)
	}
	later := byDevice
	later.Revocation.Ms++
	weak := byRoot
	weak.Revocation.Account, weak.Revocation.By = smallOrder, smallOrder
	return append([]vector{
		good("by a device", byDevice),
		good("by the root", byRoot),
		good("a device ends itself", SignRevocation(ada.keys, ada.chain, ada.keys.ID(), ReasonRetired, testMs)),
		good("an unknown reason", SignRevocation(ada.keys, ada.chain, two.keys.ID(), 999, testMs)),
		bad("chain", "by the root, with a chain", wire.Marshal(rootAndChain)),
		bad("chain", "by a device, without one", wire.Marshal(deviceAlone)),
		bad("chain", "of a device's account that is not the chain's", edit(func(r *Revocation) { r.Account = eve.root.Account() })),
		bad("signature", "by another root", wire.Marshal(byEve)),
		bad("signature", "dated later than signed", wire.Marshal(later)),
		bad("key", "an account of small order", wire.Marshal(weak)),
		bad("bounds", "reason 65536", edit(func(r *Revocation) { r.Reason = 65536 })),
		bad("bounds", "time of 2^48", edit(func(r *Revocation) { r.Ms = wire.MaxMs })),
		bad("newer", "version 2", edit(func(r *Revocation) { r.V = 2 })),
	}, append(damaged(wire.Marshal(byDevice)), keepVectors(edit)...)...)
}

// keepVectors are revocations that keep devices; edit signs anew what it
// changed.
func keepVectors(edit func(func(*Revocation)) []byte) []vector {
	ada := newPerson(1)
	two, three := newKeys(2).ID(), newKeys(3).ID()
	kept := ascending([]wire.DeviceID{two, three})
	var five []wire.DeviceID
	for seed := range byte(5) {
		five = append(five, newKeys(10+seed).ID())
	}
	return []vector{
		good("two devices stay", SignRevocation(ada.keys, ada.chain, newKeys(4).ID(), ReasonLost, testMs, two, three)),
		good("by the root, and one stays", ada.root.Revoke(newKeys(4).ID(), ReasonLost, testMs, two)),
		good("four devices stay", SignRevocation(ada.keys, ada.chain, newKeys(4).ID(), ReasonLost, testMs, five[:MaxKeep]...)),
		bad("bounds", "five devices stay", edit(func(r *Revocation) { r.Keep = ascending(five) })),
		bad("bounds", "kept devices out of order", edit(func(r *Revocation) { r.Keep = []wire.DeviceID{kept[1], kept[0]} })),
		bad("bounds", "a device kept twice", edit(func(r *Revocation) { r.Keep = []wire.DeviceID{two, two} })),
	}
}

// reachFrame asks whether a revocation ends the device at the end of a chain.
type reachFrame struct {
	_          struct{} `cbor:",toarray"`
	Revocation SignedRevocation
	Chain      Chain
}

func reachVectors() []vector {
	ada, eve := newPerson(1), newPerson(9)
	two := ada.extend(newKeys(2), CapAddDevices)
	three := two.extend(newKeys(3), 0)
	ends := func(name string, of person, device DeviceKeys, keep ...DeviceKeys) vector {
		var ids []wire.DeviceID
		for _, k := range keep {
			ids = append(ids, k.ID())
		}
		return good(name, reachFrame{Revocation: ada.root.Revoke(device.ID(), ReasonLost, testMs, ids...), Chain: of.chain})
	}
	return []vector{
		ends("the device itself", two, two.keys),
		ends("one it added", three, two.keys),
		ends("one that one of its devices added", three, ada.keys),
		ends("the one that added it", two, three.keys),
		ends("the first goes, the second stays", two, ada.keys, two.keys),
		ends("the first goes, the second stays, and the third by it", three, ada.keys, two.keys),
		ends("the first goes, only the third stays: the second", two, ada.keys, three.keys),
		ends("the first goes, only the third stays: the third", three, ada.keys, three.keys),
		ends("the second goes; that the first stays does not help the third", three, two.keys, ada.keys),
		ends("the device itself, named as kept too", two, two.keys, two.keys),
		ends("another account's device", eve, eve.keys),
	}
}

func readReach(_ vector, frame []byte) (map[string]string, error) {
	var f reachFrame
	if err := wire.Unmarshal(frame, &f); err != nil {
		return nil, err
	}
	if err := f.Revocation.Verify(); err != nil {
		return nil, err
	}
	_, err := f.Chain.Verify()
	return map[string]string{"ends": strconv.FormatBool(f.Revocation.Revocation.Reaches(f.Chain))}, err
}

func readRevocation(_ vector, frame []byte) (map[string]string, error) {
	s, err := DecodeRevocation(frame)
	if err != nil {
		return nil, err
	}
	r := s.Revocation
	facts := map[string]string{"account": r.Account.String(), "by": r.By.String(), "device": r.OpKey.String(),
		"reason": u(r.Reason), "ms": u(r.Ms)}
	for i, kept := range r.Keep {
		facts["keep_"+strconv.Itoa(i+1)] = kept.String()
	}
	return facts, s.Verify()
}

// quick is what most tests of passphrases pay.
var quick = argonCost{t: 1, mKiB: 64, p: 1}

func testSecrets() Secrets {
	s, err := NewSecrets(testRand(40), newKeys(2))
	if err != nil {
		panic(err)
	}
	return s
}

func keysVectors() []vector {
	seal := func(s Secrets, p Protection) []byte {
		b, err := SealKeys(testRand(41), s, p)
		if err != nil {
			panic(err)
		}
		return b
	}
	plain, rooted := testSecrets(), testSecrets()
	rooted.RootEraseKey = bytes.Repeat([]byte{6}, 32)
	chain := Keychain([32]byte{5})
	pass := Protection{Method: MethodPassphrase, Passphrase: []byte("caf\u00e9 au lait"), cost: &quick}
	file := func(name string, b []byte, with map[string]string) vector {
		return vector{Name: name, Frame: hex.EncodeToString(b), With: with}
	}
	no := func(reason string, v vector) vector { v.Reason = reason; return v }
	open := seal(plain, Unprotected())
	// edited has another header than it was sealed with.
	edited := func(f func(*keyfile)) []byte {
		var k keyfile
		if err := wire.Unmarshal(seal(plain, pass)[len(keyfileLine):], &k); err != nil {
			panic(err)
		}
		f(&k)
		return append([]byte(keyfileLine), wire.Marshal(k)...)
	}
	key := func(b byte) map[string]string {
		return map[string]string{"key": hex.EncodeToString(append([]byte{b}, make([]byte, 31)...))}
	}
	say := func(p string) map[string]string { return map[string]string{"passphrase": p} }
	return []vector{
		file("no protection", open, nil),
		file("no protection, root not yet erased", seal(rooted, Unprotected()), nil),
		file("keychain", seal(plain, chain), key(5)),
		file("passphrase at little cost", seal(plain, pass), say("caf\u00e9 au lait")),
		file("passphrase typed in another normal form", seal(plain, pass), say("cafe\u0301 au lait")),
		file("passphrase at the cost of small machines", seal(plain, Protection{Method: MethodPassphrase, Passphrase: []byte("correct horse"), LowMemory: true}), say("correct horse")),
		no("wrong passphrase", file("another passphrase", seal(plain, pass), say("tea"))),
		no("bad passphrase", file("an empty passphrase", seal(plain, pass), say(""))),
		no("wrong key", file("another keychain key", seal(plain, chain), key(6))),
		no("locked", file("protected, and nothing given", seal(plain, pass), nil)),
		no("not a key file", file("nothing", nil, nil)),
		no("not a key file", file("a root.sealed", []byte(rootfileLine), nil)),
		no("not a key file", file("a line that does not end", []byte("mutuals-keys/1"), nil)),
		no("newer", file("the next format", append([]byte("mutuals-keys/2\n"), open[len(keyfileLine):]...), nil)),
		no("malformed", file("cut off", open[:len(open)-1], nil)),
		no("malformed", file("a byte too many", append(bytes.Clone(open), 0), nil)),
		no("damaged", file("a bit of the box flipped", flip(open, len(open)-1), nil)),
		no("damaged", file("a bit of the salt flipped", flip(open, len(keyfileLine)+3), nil)),
		no("bounds", file("longer than 1 KiB", make([]byte, MaxKeyFile+1), nil)),
		no("newer", file("method 3", edited(func(k *keyfile) { k.Method = 3 }), nil)),
		no("bounds", file("work without a passphrase", edited(func(k *keyfile) { k.Method = 0 }), nil)),
		no("bounds", file("over 1 GiB", edited(func(k *keyfile) { k.MKiB = 1<<20 + 1 }), say("x"))),
		no("bounds", file("less than 8 KiB a lane", edited(func(k *keyfile) { k.MKiB, k.P = 31, 4 }), say("x"))),
		no("bounds", file("17 passes", edited(func(k *keyfile) { k.T = 17 }), say("x"))),
		no("bounds", file("no pass", edited(func(k *keyfile) { k.T = 0 }), say("x"))),
		no("bounds", file("17 lanes", edited(func(k *keyfile) { k.P = 17; k.MKiB = 1 << 20 }), say("x"))),
		no("bounds", file("no lane", edited(func(k *keyfile) { k.P = 0 }), say("x"))),
		no("wrong passphrase", file("the cost was changed", edited(func(k *keyfile) { k.T = 2 }), say("caf\u00e9 au lait"))),
	}
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

func readKeys(v vector, frame []byte) (map[string]string, error) {
	var unlock func(Method) (Protection, error)
	if v.With != nil {
		unlock = func(m Method) (Protection, error) {
			switch m {
			case MethodKeychain:
				b, err := hex.DecodeString(v.With["key"])
				return Keychain([32]byte(b)), err
			case MethodPassphrase:
				return Passphrase([]byte(v.With["passphrase"])), nil
			}
			return Protection{}, errors.New("asked to unlock what is open")
		}
	}
	s, err := OpenKeys(frame, unlock)
	if err != nil {
		return nil, err
	}
	m, err := KeysMethod(frame)
	store := s.StoreKey()
	return map[string]string{"method": m.String(), "master": hex.EncodeToString(s.Master[:]), "op_seed": hex.EncodeToString(s.OpSeed[:]),
		"peer_seed": hex.EncodeToString(s.PeerSeed[:]), "root_erase_key": hex.EncodeToString(s.RootEraseKey),
		"store_key": hex.EncodeToString(store[:]), "device": s.Device().ID().String()}, err
}

func rootFileVectors() []vector {
	file, key, err := SealRoot(testRand(42), newPerson(1).entropy)
	if err != nil {
		panic(err)
	}
	with := map[string]string{"key": hex.EncodeToString(key)}
	v := func(reason, name string, b []byte, with map[string]string) vector {
		return vector{Name: name, Frame: hex.EncodeToString(b), With: with, Reason: reason}
	}
	return []vector{
		v("", "root", file, with),
		v("wrong key", "another key", file, map[string]string{"key": hex.EncodeToString(make([]byte, 32))}),
		v("wrong key", "no key", file, nil),
		v("wrong key", "a bit of the box flipped", flip(file, len(file)-1), with),
		v("not a key file", "a keys.sealed", []byte(keyfileLine), with),
		v("malformed", "cut off", file[:len(file)-1], with),
		v("bounds", "longer than 1 KiB", make([]byte, MaxKeyFile+1), with),
	}
}

func readRootFile(v vector, frame []byte) (map[string]string, error) {
	key, err := hex.DecodeString(v.With["key"])
	if err != nil {
		return nil, err
	}
	e, err := OpenRoot(key, frame)
	if err != nil {
		return nil, err
	}
	return map[string]string{"entropy": hex.EncodeToString(e[:])}, nil
}

func wordsVectors() []vector {
	text := func(name string, e Entropy) vector { return vector{Name: name, Text: e.Words()} }
	fill := func(b byte) Entropy { return Entropy(bytes.Repeat([]byte{b}, 32)) }
	ada := newPerson(1).entropy
	words := bytes.Fields([]byte(ada.Words()))
	join := func(w [][]byte, sep string) string { return string(bytes.Join(w, []byte(sep))) }
	swapped := append([][]byte{words[1], words[0]}, words[2:]...)
	mistyped := append(append([][]byte{}, words[:6]...), append([][]byte{[]byte("aaple")}, words[7:]...)...)
	return []vector{
		text("all zero", fill(0)), text("all ones", fill(0xff)), text("all 0x7f", fill(0x7f)), text("all 0x80", fill(0x80)),
		text("random", ada),
		{Name: "upper case, on lines", Text: "\n  " + string(bytes.ToUpper([]byte(join(words, "\r\n\t")))) + "\n"},
		{Name: "ideographic and no-break spaces", Text: join(words[:12], "\u3000") + "\u00a0" + join(words[12:], "\u2003")},
		{Name: "23 words", Text: join(words[:23], " "), Reason: "words: count"},
		{Name: "25 words", Text: join(words, " ") + " zoo", Reason: "words: count"},
		{Name: "none", Text: " ", Reason: "words: count"},
		{Name: "word 7 unknown", Text: join(mistyped, " "), Reason: "words: unknown"},
		{Name: "a word shortened to four letters", Text: "aban " + join(words[1:], " "), Reason: "words: unknown"},
		{Name: "two words exchanged", Text: join(swapped, " "), Reason: "words: checksum"},
	}
}

func readWords(v vector, _ []byte) (map[string]string, error) {
	e, err := ParseWords(v.Text)
	if err != nil {
		return nil, err
	}
	seed := e.Root().Seed()
	return map[string]string{"entropy": hex.EncodeToString(e[:]), "root_seed": hex.EncodeToString(seed[:]), "account": e.Root().Account().String()}, nil
}

func safetyVectors() []vector {
	a, b := newPerson(1).root.Account(), newPerson(8).root.Account()
	return []vector{
		{Name: "a and b", With: map[string]string{"a": a.String(), "b": b.String()}},
		{Name: "b and a", With: map[string]string{"a": b.String(), "b": a.String()}},
		{Name: "zero and ones", With: map[string]string{"a": wire.AccountID{}.String(), "b": wire.AccountID(bytes.Repeat([]byte{0xff}, 32)).String()}},
	}
}

func readSafety(v vector, _ []byte) (map[string]string, error) {
	a, err := wire.ParseAccountID(v.With["a"])
	if err != nil {
		return nil, err
	}
	b, err := wire.ParseAccountID(v.With["b"])
	return map[string]string{"number": SafetyNumber(a, b)}, err
}
