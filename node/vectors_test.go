package node

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
)

var update = flag.Bool("update", false, "write testdata/vectors; only for new formats, an old vector never changes")

// vector is one message as it travels, and either what a reader finds in it
// (Facts) or why it refuses it (Reason).
type vector struct {
	Name   string            `json:"name"`
	Frame  string            `json:"frame"` // hex
	Facts  map[string]string `json:"facts,omitempty"`
	Reason string            `json:"reason,omitempty"`
}

// facts are what a reader found.
type facts map[string]string

// format is how one file of vectors is made and read.
type format struct {
	make func(cast) []vector
	read func(cast, []byte) (facts, error)
}

var formats = map[string]format{
	"link-knock":  {knockVectors, readKnock},
	"link-answer": {answerVectors, readRand(linkAnswer)},
	"link-reveal": {revealVectors, readRand(linkReveal)},
	"link-cert":   {linkCertVectors, readLinkCert},
	"link-proof":  {linkProofVectors, readLinkProof},
	"link-reply":  {linkReplyVectors, readLinkReply},
	"link-done":   {linkDoneVectors, readLinkDone},
	"link-body":   {linkBodyVectors, readLinkBody},
	"own-sibling": {siblingVectors, readSibling},
	"own-items":   {ownVectors, readOwn},
	"own-add-me":  {addMeVectors, readAddMe},
	"own-digest":  {digestVectors, readDigest},
	"own-request": {requestVectors, readRequest},
	"lobby-2":     {lobbyVectors, readLobby},

	"receipt":      {receiptVectors, readReceiptVector},
	"receipts":     {receiptsVectors, readReceiptsVector},
	"own-receipts": {ownReceiptsVectors, readOwnReceipts},
}

// The messages of N10 and N14 are what they were when they were first written,
// and what is wrong with one is found.
func TestVectors(t *testing.T) {
	c := newCast()
	for name, f := range formats {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", "vectors", name+".json")
			made := f.make(c)
			if *update {
				for i := range made {
					v := &made[i]
					found, err := f.read(c, hexed(t, v.Frame))
					if got := whyNot(err); got != v.Reason {
						t.Errorf("%s: reason %q (%v), want %q", v.Name, got, err, v.Reason)
					}
					if err == nil {
						v.Facts = found
					}
				}
				writeVectors(t, path, made)
			}
			var stored []vector
			if err := json.Unmarshal(must[[]byte](t)(os.ReadFile(path)), &stored); err != nil {
				t.Fatal(err)
			}
			if len(stored) != len(made) {
				t.Fatalf("%d vectors on disk, %d made", len(stored), len(made))
			}
			for i, v := range stored {
				if v.Name != made[i].Name || v.Frame != made[i].Frame {
					t.Errorf("%s: what we write has changed", v.Name)
				}
				found, err := f.read(c, hexed(t, v.Frame))
				if got := whyNot(err); got != v.Reason {
					t.Errorf("%s: reason %q (%v), want %q", v.Name, got, err, v.Reason)
				}
				if err == nil && !maps.Equal(found, v.Facts) {
					t.Errorf("%s: read %v, want %v", v.Name, found, v.Facts)
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
	if err := errors.Join(enc.Encode(v), os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func hexed(t *testing.T, s string) []byte {
	t.Helper()
	return must[[]byte](t)(hex.DecodeString(s))
}

// whyNot is the short name of what a reader refused; "" for nothing.
func whyNot(err error) string {
	for _, r := range []struct {
		is   error
		name string
	}{
		{wire.ErrNotCanonical, "not canonical"}, {wire.ErrMalformed, "malformed"}, {errStep, "step"},
		{identity.ErrNewer, "newer"}, {identity.ErrBadChain, "chain"}, {identity.ErrBadProof, "proof"},
		{errDirectRefused, "refused"}, {errForged, "forged"},
	} {
		if errors.Is(err, r.is) {
			return r.name
		}
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// cast are the keys that the vectors are made with: an account of two devices.
type cast struct {
	root     identity.Root
	one, two identity.DeviceKeys
	first    identity.Chain
	second   identity.Chain
	pop      identity.Pop // of the second
	kemPk    []byte
	genesis  *groups.Op
	group    wire.GroupID
}

const castMs = 1_700_000_000_000

func castKeys(seed byte) identity.DeviceKeys {
	return identity.DeviceKeysFromSeeds([32]byte{seed, 1}, [32]byte{seed, 2})
}

func newCast() cast {
	c := cast{root: identity.RootFromSeed([32]byte{1}), one: castKeys(1), two: castKeys(2)}
	c.first = identity.NewChain(c.root, c.one, 1, identity.CapAddDevices, castMs)
	cert := identity.NewCertificate(c.root.Account(), c.two, 2, 0, castMs+1)
	var err error
	if c.second, err = c.first.Extend(c.one, cert); err != nil {
		panic(err)
	}
	c.pop = c.two.Prove(cert)
	if _, c.kemPk, err = seal.GenerateKEM(rand.NewChaCha8([32]byte{3})); err != nil {
		panic(err)
	}
	c.genesis = groups.ComposeGenesis(c.one, c.first, c.kemPk, [16]byte{4}, 20, groups.DefaultPolicy(), castMs)
	c.group = wire.GroupID(c.genesis.ID)
	return c
}

func (c cast) device() ownDevice { return ownDevice{Chain: c.second, Pop: c.pop} }

func good(name string, v any) vector {
	return vector{Name: name, Frame: hex.EncodeToString(wire.Marshal(v))}
}

func bad(reason, name string, v any) vector {
	w := good(name, v)
	w.Reason = reason
	return w
}

// damaged are the ways any message is spoilt.
func damaged(v any) []vector {
	frame := wire.Marshal(v)
	raw := func(reason, name string, b []byte) vector {
		return vector{Name: name, Frame: hex.EncodeToString(b), Reason: reason}
	}
	return []vector{
		raw("malformed", "nothing", nil),
		raw("malformed", "cut off", frame[:len(frame)-1]),
		raw("malformed", "a byte too many", append(bytes.Clone(frame), 0)),
		raw("malformed", "an empty map", []byte{0xa0}),
		raw("malformed", "an array of indefinite length", append(append([]byte{0x9f}, frame[1:]...), 0xff)),
		raw("not canonical", "the array's length in two bytes", append([]byte{0x98, frame[0] & 0x1f}, frame[1:]...)),
		raw("malformed", "an element too many", append(append([]byte{frame[0] + 1}, frame[1:]...), 0)),
	}
}

// outOfTurn are a step's message with another's number, and of version 2.
func outOfTurn(step uint64, of func(v, step uint64) any) []vector {
	return append([]vector{
		bad("step", "the step after", of(1, step+1)),
		bad("step", "the step before", of(1, step-1)),
		bad("step", "version 2", of(2, step)),
	}, damaged(of(1, step))...)
}

func readAs[T any](b []byte, step uint64, head func(T) (v, step uint64)) (T, error) {
	var m T
	if err := wire.Unmarshal(b, &m); err != nil {
		return m, err
	}
	v, s := head(m)
	return m, checkStep(v, s, step)
}

func knockVectors(c cast) []vector {
	code := identity.LinkCode{V: 1, Peer: c.one.PeerKey(), Secret: identity.LinkSecret{5}, Expiry: castMs/1000 + 600}
	of := func(v, step uint64) any {
		return knockMsg{V: v, Step: step, Hello: wire.Marshal(identity.NewLinkHello(c.two, c.kemPk, code)), Commit: [32]byte{6}}
	}
	return append([]vector{good("a knock", of(1, linkKnock))}, outOfTurn(linkKnock, of)...)
}

func readKnock(_ cast, b []byte) (facts, error) {
	m, err := readAs(b, linkKnock, func(m knockMsg) (uint64, uint64) { return m.V, m.Step })
	hello := wire.Hash(m.Hello)
	return facts{"hello": hex.EncodeToString(hello[:]), "commit": hex.EncodeToString(m.Commit[:])}, err
}

func answerVectors(cast) []vector { return randVectors(linkAnswer, "rA") }
func revealVectors(cast) []vector { return randVectors(linkReveal, "rB") }

func randVectors(want uint64, name string) []vector {
	of := func(v, step uint64) any { return randMsg{V: v, Step: step, R: [32]byte{7, byte(want)}} }
	return append([]vector{
		good(name, of(1, want)),
		bad("not canonical", "31 bytes", []any{uint64(1), want, make([]byte, 31)}),
	}, outOfTurn(want, of)...)
}

func readRand(step uint64) func(cast, []byte) (facts, error) {
	return func(_ cast, b []byte) (facts, error) {
		m, err := readAs(b, step, func(m randMsg) (uint64, uint64) { return m.V, m.Step })
		return facts{"r": hex.EncodeToString(m.R[:])}, err
	}
}

func linkCertVectors(c cast) []vector {
	of := func(v, step uint64) any { return certMsg{V: v, Step: step, Cert: c.second.Leaf()} }
	return append([]vector{good("a certificate to be", of(1, linkCert))}, outOfTurn(linkCert, of)...)
}

func readLinkCert(_ cast, b []byte) (facts, error) {
	m, err := readAs(b, linkCert, func(m certMsg) (uint64, uint64) { return m.V, m.Step })
	return facts{"device": m.Cert.OpKey.String(), "peer": m.Cert.PeerKey.String(), "number": fmt.Sprint(m.Cert.DeviceNo)}, err
}

func linkProofVectors(c cast) []vector {
	of := func(v, step uint64) any { return proofMsg{V: v, Step: step, Pop: c.pop} }
	swapped := proofMsg{V: 1, Step: linkProof, Pop: identity.Pop{Op: c.pop.Peer, Peer: c.pop.Op}}
	return append([]vector{
		good("both proofs", of(1, linkProof)),
		bad("proof", "the two proofs exchanged", swapped),
		bad("proof", "none", proofMsg{V: 1, Step: linkProof}),
	}, outOfTurn(linkProof, of)...)
}

func readLinkProof(c cast, b []byte) (facts, error) {
	m, err := readAs(b, linkProof, func(m proofMsg) (uint64, uint64) { return m.V, m.Step })
	if err != nil {
		return nil, err
	}
	return facts{"device": c.two.ID().String()}, m.Pop.Verify(c.second.Leaf())
}

func linkReplyVectors(c cast) []vector {
	of := func(v, step uint64) any {
		return replyMsg{V: v, Step: step, Chain: c.second, Box: []byte("a box of S10")}
	}
	reversed := identity.Chain{c.second[1], c.second[0]}
	return append([]vector{
		good("a chain and a box", of(1, linkReply)),
		bad("chain", "without a chain", replyMsg{V: 1, Step: linkReply}),
		bad("chain", "the chain of the door", replyMsg{V: 1, Step: linkReply, Chain: c.first}),
		bad("chain", "a chain in the wrong order", replyMsg{V: 1, Step: linkReply, Chain: reversed}),
	}, outOfTurn(linkReply, of)...)
}

func readLinkReply(c cast, b []byte) (facts, error) {
	m, err := readAs(b, linkReply, func(m replyMsg) (uint64, uint64) { return m.V, m.Step })
	if err != nil {
		return nil, err
	}
	if err := m.certifies(c.second.Leaf(), c.one.PeerKey()); err != nil {
		return nil, err
	}
	return facts{"device": m.Chain.Leaf().OpKey.String(), "box": hex.EncodeToString(m.Box)}, nil
}

func linkDoneVectors(cast) []vector {
	of := func(v, step uint64) any { return doneMsg{V: v, Step: step} }
	return append([]vector{good("done", of(1, linkDone))}, outOfTurn(linkDone, of)...)
}

func readLinkDone(_ cast, b []byte) (facts, error) {
	_, err := readAs(b, linkDone, func(m doneMsg) (uint64, uint64) { return m.V, m.Step })
	return facts{}, err
}

// someItems are one item of each kind.
func someItems(c cast) []ownItem {
	ben := identity.RootFromSeed([32]byte{8})
	edge := identity.SignEdge(c.one, c.first, ben.Account(), castMs, identity.EdgeFollow, castMs)
	profile, err := identity.SignProfile(c.one, c.first, castMs, "Ada", "walks", nil)
	if err != nil {
		panic(err)
	}
	chain := identity.NewChain(ben, castKeys(8), 1, identity.CapAddDevices, castMs)
	card, err := identity.SignCard(castKeys(8), chain, "Ben", [][]byte{{1, 2}}, castMs)
	if err != nil {
		panic(err)
	}
	return []ownItem{
		item(ownSibling, c.device()),
		item(ownEdge, edge), item(ownProfile, profile), item(ownCard, card),
		item(ownBlock, blockItem{Account: ben.Account(), Blocked: true, Ms: castMs}),
		item(ownSettings, settingsItem{Ms: castMs, AutoAccept: "direct"}),
		item(ownGroup, groupItem{Seated: true, Genesis: c.genesis.Frame()}),
		item(ownRead, readItem{Group: c.group, Ms: castMs, ID: wire.SomeID(wire.OpID{9})}),
		item(ownRevoked, c.root.Revoke(castKeys(3).ID(), 1, castMs)),
	}
}

func linkBodyVectors(c cast) []vector {
	return append([]vector{
		good("all kinds of items", linkBody{V: 1, Items: someItems(c), Record: []byte{1}}),
		good("no items", linkBody{V: 1}),
		bad("newer", "version 2", linkBody{V: 2}),
	}, damaged(linkBody{V: 1, Record: []byte{1}})...)
}

func readLinkBody(_ cast, b []byte) (facts, error) {
	m, err := readBody(b)
	if err != nil {
		return nil, err
	}
	return factsOf(m.Items, facts{"record": hex.EncodeToString(m.Record)})
}

// factsOf reads what items say, each by its kind.
func factsOf(items []ownItem, found facts) (facts, error) {
	for i, it := range items {
		said, err := itemSays(it)
		if err != nil {
			return nil, err
		}
		found[fmt.Sprintf("item %d", i)] = said
	}
	return found, nil
}

func itemSays(it ownItem) (string, error) {
	switch it.Kind {
	case ownEdge:
		v, err := as[identity.SignedEdge](it)
		return fmt.Sprint("edge ", v.Edge.From, " ", v.Edge.To, " ", v.Edge.State, " ", v.Edge.N), err
	case ownProfile:
		v, err := as[identity.SignedProfile](it)
		return fmt.Sprint("profile ", v.Profile.Account, " ", v.Profile.Name, " ", v.Profile.N), err
	case ownCard:
		v, err := as[identity.SignedCard](it)
		return fmt.Sprint("card ", v.Card.Account, " ", v.Card.Name, " ", v.Card.Ms), err
	case ownBlock:
		v, err := as[blockItem](it)
		return fmt.Sprint("block ", v.Account, " ", v.Blocked, " ", v.Ms), err
	case ownSettings:
		v, err := as[settingsItem](it)
		return fmt.Sprint("settings ", v.AutoAccept, " ", v.Ms), err
	case ownSibling:
		v, err := as[ownDevice](it)
		if err != nil {
			return "", err
		}
		return fmt.Sprint("device ", v.id(), " ", v.Chain.Leaf().DeviceNo), nil
	case ownGroup:
		v, err := as[groupItem](it)
		h := wire.Hash(v.Genesis)
		return fmt.Sprint("group ", v.Seated, " ", hex.EncodeToString(h[:])), err
	case ownRead:
		v, err := as[readItem](it)
		return fmt.Sprint("read ", v.Group, " ", v.Ms, " ", hex.EncodeToString(v.ID)), err
	case ownRevoked:
		v, err := as[identity.SignedRevocation](it)
		return fmt.Sprint("revocation ", v.Revocation.Account, " ", v.Revocation.OpKey, " ", v.Revocation.Reason), err
	}
	return "passed over", nil
}

func siblingVectors(c cast) []vector {
	m := siblingMsg{V: 1, Device: c.device(), Digest: ownDigest(someItems(c))}
	noProof := m
	noProof.Device.Pop = identity.Pop{}
	none := m
	none.Device.Chain = nil
	foreign := m
	foreign.Device.Chain = identity.NewChain(identity.RootFromSeed([32]byte{8}), c.two, 1, 0, castMs)
	return append([]vector{
		good("a second device", m),
		bad("proof", "without a proof", noProof),
		bad("chain", "without a chain", none),
		bad("chain", "of another account", foreign),
	}, damaged(m)...)
}

func readSibling(c cast, b []byte) (facts, error) {
	var m siblingMsg
	if err := wire.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	if err := m.Device.verify(c.root.Account()); err != nil {
		return nil, err
	}
	return facts{"device": m.Device.id().String(), "digest": hex.EncodeToString(m.Digest[:])}, nil
}

func ownVectors(c cast) []vector {
	of := ownMsg{V: 1, Items: someItems(c)}
	var out []vector
	for _, it := range of.Items {
		out = append(out, good(fmt.Sprintf("an item of kind %d", it.Kind), ownMsg{V: 1, Items: []ownItem{it}}))
	}
	out = append(out, good("all of them", of), good("none", ownMsg{V: 1}),
		good("an item of a newer kind", ownMsg{V: 1, Items: []ownItem{{Kind: 1 << 32, Body: []byte("anything")}}}),
		bad("refused", "version 2", ownMsg{V: 2}))
	for _, it := range of.Items {
		it.Body = slices.Concat(it.Body, []byte{0})
		out = append(out, bad("malformed", fmt.Sprintf("a byte too many in an item of kind %d", it.Kind), ownMsg{V: 1, Items: []ownItem{it}}))
	}
	return append(out, damaged(ownMsg{V: 1})...)
}

func readOwn(_ cast, b []byte) (facts, error) {
	var m ownMsg
	if err := wire.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	if m.V != 1 {
		return nil, errDirectRefused
	}
	return factsOf(m.Items, facts{})
}

func addMeVectors(c cast) []vector {
	m := addMeMsg{Group: c.group, KemPk: c.kemPk}
	return append([]vector{good("a group and a key", m)}, damaged(m)...)
}

func readAddMe(_ cast, b []byte) (facts, error) {
	var m addMeMsg
	err := wire.Unmarshal(b, &m)
	key := wire.Hash(m.KemPk)
	return facts{"group": m.Group.String(), "key": hex.EncodeToString(key[:])}, err
}

func lobbyVectors(c cast) []vector {
	m := lobbyMsg{Group: c.group, Codes: []lobbyRow{{Invite: wire.OpID{1}, Rdv: [32]byte{2}, Topic: [32]byte{5}}, {Invite: wire.OpID{3}, Rdv: [32]byte{4}, Topic: [32]byte{6}}}}
	return append([]vector{good("two codes", m), good("none", lobbyMsg{Group: c.group, Codes: []lobbyRow{}})}, damaged(m)...)
}

func readLobby(_ cast, b []byte) (facts, error) {
	var m lobbyMsg
	err := wire.Unmarshal(b, &m)
	out := facts{"group": m.Group.String()}
	for i, c := range m.Codes {
		out[fmt.Sprint("code", i)] = c.Invite.String() + " " + hex.EncodeToString(c.Rdv[:]) + " " + hex.EncodeToString(c.Topic[:])
	}
	return out, err
}

// digestVectors are items whose digest does not depend on their order.
func digestVectors(c cast) []vector {
	list := someItems(c)
	turned := slices.Clone(list)
	slices.Reverse(turned)
	return []vector{good("none", []ownItem{}), good("nine", list), good("nine, the other way round", turned), good("eight", list[1:])}
}

func readDigest(_ cast, b []byte) (facts, error) {
	var items []ownItem
	err := wire.Unmarshal(b, &items)
	d := ownDigest(items)
	return facts{"digest": hex.EncodeToString(d[:])}, err
}

// requestVectors are items of kind 10, which a reader knows by their name.
func requestVectors(c cast) []vector {
	ben := identity.RootFromSeed([32]byte{8}).Account()
	nonce := [16]byte{5}
	group := wire.SomeID(wire.OpID(c.group))
	ask := groups.JoinRequest{V: 1, Group: c.group, Inviter: c.root.Account(), Newcomer: ben, Chain: c.first, Pop: c.pop, KemPk: c.kemPk, Follow: 1, Nonce: nonce, Ms: castMs}
	of := func(kind uint64, body any) requestItem {
		return requestItem{Kind: kind, From: ben, Nonce: nonce, Group: group, Ms: castMs, Body: wire.Marshal(body)}
	}
	follow := requestItem{Kind: askedFollow, From: ben, Nonce: nonce, Ms: castMs, Body: append(nonce[:], make([]byte, 16)...)}
	seat := of(askedSeat, offerMsg{Inviter: ben, Genesis: c.genesis.Frame(), Preview: offerPreview{Name: "Tea", Members: 3, Cap: 20, HistoryDays: 7}, Nonce: nonce})
	late := seat
	late.Ms = wire.MaxMs
	return append([]vector{
		good("somebody follows", item(ownRequest, follow)),
		good("a seat is offered", item(ownRequest, seat)),
		good("somebody asks to be let in", item(ownRequest, of(askedJoin, passedMsg{Request: ask, Sig: ask.Sign(castKeys(8).Op)}))),
		good("a group is offered", item(ownRequest, of(askedOwnership, heirMsg{Group: c.group, OwnOp: wire.OpID(c.group), Nonce: nonce}))),
		good("an owner is proposed", item(ownRequest, of(askedSuccession, successionMsg{Group: c.group, OwnOp: wire.OpID(c.group), Heir: ben, Ms: castMs, Nonce: nonce}))),
		good("it ended", item(ownRequest, seat.ended(endedGone, castMs+1))),
		good("it ended with a no", item(ownRequest, seat.ended(endedNo, castMs+1))),
		bad("refused", "an end of another kind", item(ownRequest, seat.ended(3, castMs))),
		bad("refused", "past all clocks", item(ownRequest, late)),
		bad("malformed", "a body that is none", ownItem{Kind: ownRequest, Body: []byte{0x80}}),
	}, damaged(item(ownRequest, follow))...)
}

func readRequest(_ cast, b []byte) (facts, error) {
	var own ownItem
	if err := wire.Unmarshal(b, &own); err != nil {
		return nil, err
	}
	it, err := as[requestItem](own)
	if err != nil {
		return nil, err
	}
	body := wire.Hash(it.Body)
	return facts{
		"kind": fmt.Sprint(it.Kind), "from": it.From.String(), "nonce": hex.EncodeToString(it.Nonce[:]), "group": hex.EncodeToString(it.Group),
		"end": fmt.Sprint(it.End), "ms": fmt.Sprint(it.Ms), "body": hex.EncodeToString(body[:]),
	}, it.check(castMs)
}
