package node

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"

	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh"
)

func setReceipts(t *testing.T, on string, nodes ...*Node) {
	t.Helper()
	for _, n := range nodes {
		must[api.Settings](t)(n.PatchSettings(t.Context(), api.SettingsPatch{Receipts: &on}))
	}
}

// Forged, old, foreign and early receipts change nothing; what no honest member
// sends is blamed, and a device that says too much is not passed on.
func TestReceiptsAreJudged(t *testing.T) {
	t.Parallel()
	g, _, nodes := three(t)
	ann, bo, cy := nodes[0], nodes[1], nodes[2]
	r := ann.room(g)
	v := r.view.Load()
	from := bo.dev.peer()
	inc := v.peers[from]
	var keys seal.Keys
	inRoom(t, bo, g, func(r *room) {
		e, _ := r.sendEpoch()
		keys = r.keys.epochs[e.EID].keys
	})
	made := func(of receipt, key ed25519.PrivateKey) []byte {
		return receiptBody{Takes: true}.seal(key, g, of, keys)
	}
	now := ann.nowMs()
	good := made(receipt{Inc: inc, N: now}, bo.dev.keys.Op)
	for _, c := range []struct {
		name  string
		frame []byte
		want  mesh.Verdict
	}{
		{"an honest one", good, mesh.Accept},
		{"signed by somebody else", made(receipt{Inc: inc, N: now}, cy.dev.keys.Op), mesh.Reject},
		{"of another group", receiptBody{}.seal(bo.dev.keys.Op, wire.GroupID{1}, receipt{Inc: inc, N: now}, keys), mesh.Reject},
		{"of a device nobody knows", made(receipt{Inc: wire.OpID{7}, N: now}, bo.dev.keys.Op), mesh.Ignore},
		{"of this device", made(receipt{Inc: v.me, N: now}, ann.dev.keys.Op), mesh.Ignore},
		{"of tomorrow", made(receipt{Inc: inc, N: now + 24*3600_000}, bo.dev.keys.Op), mesh.Ignore},
		{"cut off", good[:len(good)-1], mesh.Reject},
		{"a signature changed", append(slices.Clone(good[:len(good)-1]), good[len(good)-1]^1), mesh.Reject},
	} {
		if got, _ := r.judgeGossip(from, onTopic(c.frame), false); got != c.want {
			t.Errorf("%s: verdict %d, want %d", c.name, got, c.want)
		}
	}
	if got, _ := r.judgeGossip(from, []byte{0x40}, false); got != mesh.Reject {
		t.Errorf("an empty one: verdict %d", got)
	}
	passed := 0
	for i := range uint64(100) {
		if got, _ := r.judgeGossip(from, onTopic(made(receipt{Inc: inc, N: now + i}, bo.dev.keys.Op)), false); got == mesh.Accept {
			passed++
		}
	}
	if passed == 0 || passed > 20 {
		t.Errorf("%d of a hundred receipts of one device at once are passed on", passed)
	}
	// What is kept is the newest, whatever comes later.
	old := made(receipt{Inc: inc, N: now - 5}, bo.dev.keys.Op)
	for _, b := range [][]byte{good, old} {
		if err := r.hearReceipts(t.Context(), [][]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	inRoom(t, ann, g, func(r *room) {
		if rd := r.reading.by[inc]; rd == nil || rd.N != now || rd.opened {
			t.Errorf("kept is %+v; it is not to be opened by who takes none", rd)
		}
	})
}

// A receipt is sealed for the group: one place looks like another, and nobody
// else reads it.
func TestReceiptsAreSealed(t *testing.T) {
	_, key, _ := ed25519.GenerateKey(nil)
	keys, other := seal.Derive(wire.GroupID{1}, [32]byte{2}, seal.Secret{3}), seal.Derive(wire.GroupID{1}, [32]byte{2}, seal.Secret{4})
	empty := receiptBody{Takes: true}
	full := receiptBody{Takes: true, Ms: wire.MaxMs - 1, ID: wire.SomeID(wire.OpID{9})}
	of := receipt{Inc: wire.OpID{5}, N: 6}
	a, b := empty.seal(key, wire.GroupID{1}, of, keys), full.seal(key, wire.GroupID{1}, of, keys)
	if len(a) != len(b) {
		t.Errorf("receipts of %d and %d bytes tell apart what they say", len(a), len(b))
	}
	rec, _, err := readReceipt(b)
	ok(t, err)
	if got, err := rec.open(keys); err != nil || got.Ms != full.Ms || !bytes.Equal(got.ID, full.ID) {
		t.Errorf("opened: %+v, %v", got, err)
	}
	if _, err := rec.open(other); err != seal.ErrOpen {
		t.Errorf("opened with another epoch's keys: %v", err)
	}
	rec.N++
	if _, err := rec.open(keys); err != seal.ErrOpen {
		t.Errorf("opened under another number: %v", err)
	}
}

// The devices of an account want the same, and one of them says what was read
// on any.
func TestReceiptsOfTwoDevices(t *testing.T) {
	t.Parallel()
	ann, bo := testNode(t, "Ann"), testNode(t, "Bo")
	g := newGroup(t, ann, api.GroupCreate{})
	join(t, bo, invite(t, ann, g, 1, ""))
	second := linkTo(t, bo, t.TempDir(), api.DeviceLinkCreate{})
	within(t, second, patience, "the group on the second device", func() bool {
		r := second.room(g)
		return r != nil && r.view.Load().seated()
	})
	setReceipts(t, api.On, ann, second)
	within(t, bo, patience, "the setting", func() bool { return bo.receipts.Load() })
	m := must[api.Message](t)(ann.Send(t.Context(), g, api.MessageCreate{Text: "read me"}))
	hears(t, second, g, "read me")
	ok(t, second.MarkRead(t.Context(), g, m.ID.String()))
	within(t, ann, patience, "the receipt", func() bool {
		all := must[api.Receipts](t)(ann.Receipts(t.Context(), g, m.ID.String()))
		return all.Of == 1 && len(all.Items) == 1 && all.Items[0].Account == bo.dev.account() && all.Items[0].Name == "Bo"
	})
	setReceipts(t, api.Off, bo)
	within(t, ann, patience, "it to be taken back", func() bool {
		all := must[api.Receipts](t)(ann.Receipts(t.Context(), g, m.ID.String()))
		return all.Of == 0 && len(all.Items) == 0
	})
}

func receiptVectors(c cast) []vector {
	keys := seal.Derive(c.group, [32]byte{2}, seal.Secret{3})
	of := receipt{Inc: wire.OpID{5}, N: castMs, Salt: [16]byte{6}}
	made := func(b receiptBody) []byte { return b.seal(c.one.Op, c.group, of, keys) }
	vec := func(name, why string, b []byte) vector {
		return vector{Name: name, Frame: hex.EncodeToString(b), Reason: why}
	}
	good := made(receiptBody{Takes: true, Ms: castMs, ID: wire.SomeID(wire.OpID{9})})
	resigned := func(change func(*receipt)) []byte {
		rec, _, err := readReceipt(good)
		if err != nil {
			panic(err)
		}
		change(&rec)
		core := wire.Marshal(rec)
		return wire.Marshal(signedReceipt{Core: core, Sig: wire.Sign(wire.DomainReceipt, c.one.Op, wire.Context(c.group), core)})
	}
	foreign := receiptBody{Takes: true}.seal(c.two.Op, c.group, of, keys)
	return []vector{
		vec("read up to a message", "", good),
		vec("takes receipts, read nothing of whom it concerns", "", made(receiptBody{Takes: true})),
		vec("takes none any more", "", made(receiptBody{})),
		vec("a place, but takes none", "malformed", made(receiptBody{Ms: castMs, ID: wire.SomeID(wire.OpID{9})})),
		vec("a place without a message", "malformed", made(receiptBody{Takes: true, Ms: castMs})),
		vec("by another device", "forged", foreign),
		vec("version 2", "malformed", resigned(func(r *receipt) { r.V = 2 })),
		vec("number 0", "malformed", resigned(func(r *receipt) { r.N = 0 })),
		vec("a longer box", "malformed", resigned(func(r *receipt) { r.Box = append(r.Box, 0) })),
		vec("a box changed", seal.ErrOpen.Error(), resigned(func(r *receipt) { r.Box[40] ^= 1 })),
		vec("cut off", "malformed", good[:len(good)-1]),
		vec("a byte too many", "malformed", append(slices.Clone(good), 0)),
	}
}

func readReceiptVector(c cast, b []byte) (facts, error) {
	rec, signed, err := readReceipt(b)
	if err != nil {
		return nil, err
	}
	if !signed.by(c.one.ID(), c.group) {
		return nil, errForged
	}
	body, err := rec.open(seal.Derive(c.group, [32]byte{2}, seal.Secret{3}))
	if err != nil {
		return nil, err
	}
	return facts{"takes": fmt.Sprint(body.Takes), "place": fmt.Sprint(body.Ms), "message": hex.EncodeToString(body.ID), "number": fmt.Sprint(rec.N)}, nil
}

func receiptsVectors(c cast) []vector {
	of := func(v, ask uint64) receiptsMsg {
		return receiptsMsg{V: v, Group: c.group, Ask: ask, Have: []receiptHave{{Inc: wire.OpID{5}, N: castMs}}, Receipts: [][]byte{{1}}}
	}
	return append([]vector{
		good("asks, and gives one", of(1, 1)),
		good("gives nothing", receiptsMsg{V: 1, Group: c.group}),
	}, damaged(of(1, 0))...)
}

func readReceiptsVector(_ cast, b []byte) (facts, error) {
	var m receiptsMsg
	if err := wire.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	return facts{"group": m.Group.String(), "ask": fmt.Sprint(m.Ask), "have": fmt.Sprint(len(m.Have)), "receipts": fmt.Sprint(len(m.Receipts))}, nil
}

func ownReceiptsVectors(cast) []vector {
	return append([]vector{
		good("takes them", item(ownReceipts, receiptsItem{Ms: castMs, Takes: true})),
		good("takes none", item(ownReceipts, receiptsItem{Ms: castMs})),
	}, damaged(item(ownReceipts, receiptsItem{Ms: castMs}))...)
}

func readOwnReceipts(_ cast, b []byte) (facts, error) {
	var it ownItem
	if err := wire.Unmarshal(b, &it); err != nil {
		return nil, err
	}
	v, err := as[receiptsItem](it)
	return facts{"kind": fmt.Sprint(it.Kind), "takes": fmt.Sprint(v.Takes), "ms": fmt.Sprint(v.Ms)}, err
}

func FuzzReceipt(f *testing.F) {
	keys := seal.Derive(wire.GroupID{1}, [32]byte{2}, seal.Secret{3})
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	f.Add(receiptBody{Takes: true}.seal(key, wire.GroupID{1}, receipt{Inc: wire.OpID{4}, N: 5}, keys))
	f.Add([]byte{0x82, 0x40, 0x40})
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, signed, err := readReceipt(b)
		if err != nil {
			if !misbehaves(err) {
				t.Fatalf("nobody is blamed for %x: %v", b, err)
			}
			return
		}
		if again := wire.Marshal(signed); !bytes.Equal(again, b) {
			t.Fatalf("%x was read, and is written %x", b, again)
		}
		_, _ = rec.open(keys)
	})
}

func FuzzReceipts(f *testing.F) {
	decodes(f, receiptsMsg{V: 1, Ask: 1, Have: []receiptHave{{N: 1}}, Receipts: [][]byte{{1}}})
}

func FuzzReceiptBody(f *testing.F) {
	decodes(f, receiptBody{Takes: true, Ms: 1, ID: wire.SomeID(wire.OpID{1})})
}

// Of what others said who take no receipts nothing is told, not even to those
// who do.
func TestReceiptsAreOfTakersOnly(t *testing.T) {
	t.Parallel()
	g, _, nodes := three(t)
	ann, bo, cy := nodes[0], nodes[1], nodes[2]
	setReceipts(t, api.On, ann, cy)
	within(t, ann, patience, "Cy to take receipts", func() bool { return ann.room(g).view.Load().reads[cy.dev.account()].takes })
	taken := must[api.Message](t)(cy.Send(t.Context(), g, api.MessageCreate{Text: "of Cy"}))
	hears(t, bo, g, "of Cy")
	silent := must[api.Message](t)(bo.Send(t.Context(), g, api.MessageCreate{Text: "of Bo"}))
	hears(t, ann, g, "of Bo")
	hears(t, ann, g, "of Cy")
	ok(t, ann.MarkRead(t.Context(), g, silent.ID.String()))
	place := func() (id wire.OpID) {
		inRoom(t, ann, g, func(r *room) {
			at, err := r.readPlace(r.view.Load())
			ok(t, err)
			id = at.ID
		})
		return id
	}
	if id := place(); id != taken.ID {
		t.Errorf("read up to %v is told, want the last word of who takes receipts, %v", id, taken.ID)
	}
	setReceipts(t, api.On, bo)
	within(t, ann, patience, "the place to move on", func() bool { return place() == silent.ID })
}
