package node

import (
	"bytes"
	"encoding/base64"
	"testing"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/mesh"
	"mutuals/store"
)

// decodes fuzzes one message of foreign bytes: nothing panics, and what is
// taken is what would have been written (one text a value).
func decodes[T any](f *testing.F, seeds ...T) {
	for _, s := range seeds {
		b := wire.Marshal(s)
		f.Add(b)
		f.Add(b[:len(b)/2])
		f.Add(append(bytes.Clone(b), 0))
	}
	f.Add([]byte{})
	f.Add([]byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add(bytes.Repeat([]byte{0x81}, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v T
		if err := wire.Unmarshal(b, &v); err != nil {
			if !misbehaves(err) {
				t.Fatalf("nobody is blamed for %x: %v", b, err)
			}
			return
		}
		if again := wire.Marshal(v); !bytes.Equal(again, b) {
			t.Fatalf("%x was read, and is written %x", b, again)
		}
	})
}

func FuzzHello(f *testing.F)   { decodes(f, helloMsg{V: 1, Step: joinHello}) }
func FuzzPath(f *testing.F)    { decodes(f, pathMsg{V: 1, Step: joinPath, Frames: [][]byte{{1}, {}}}) }
func FuzzVerdict(f *testing.F) { decodes(f, verdictMsg{V: 1, Step: joinVerdict, Admit: []byte{1}}) }
func FuzzDirect(f *testing.F)  { decodes(f, directMsg{V: 1, Kind: directOffer, Body: []byte{1}}) }
func FuzzAck(f *testing.F)     { decodes(f, ackMsg{V: 1, OK: 1}) }
func FuzzDecline(f *testing.F) { decodes(f, declineMsg{}) }
func FuzzEdge(f *testing.F)    { decodes(f, identity.SignedEdge{}) }
func FuzzProfile(f *testing.F) { decodes(f, identity.SignedProfile{}) }
func FuzzAsk(f *testing.F) {
	decodes(f, askMsg{V: 1, Step: joinAsk, Request: groups.JoinRequest{V: 1, Follow: 1}})
}
func FuzzOffer(f *testing.F) {
	decodes(f, offerMsg{Genesis: []byte{1}, Preview: offerPreview{Name: "Hiking", Members: 3}})
}
func FuzzAnswer(f *testing.F) { decodes(f, answerMsg{Request: groups.JoinRequest{V: 1}}) }

func FuzzList(f *testing.F) {
	decodes(f, listMsg{V: 1, Step: restoreList, Groups: []wire.GroupID{{1}}, Said: []byte{1}, Revoked: [][]byte{{1}, {}}})
}
func FuzzRevocation(f *testing.F) { decodes(f, identity.SignedRevocation{}) }
func FuzzShow(f *testing.F)       { decodes(f, showMsg{V: 1, Step: restoreShow}) }
func FuzzReturn(f *testing.F) {
	decodes(f, returnMsg{V: 1, Step: restoreAsk, Request: groups.JoinRequest{V: 1, Follow: 1}})
}

func FuzzKnock(f *testing.F)     { decodes(f, knockMsg{V: 1, Step: linkKnock, Hello: []byte{1}}) }
func FuzzRand(f *testing.F)      { decodes(f, randMsg{V: 1, Step: linkAnswer}) }
func FuzzLinkCert(f *testing.F)  { decodes(f, certMsg{V: 1, Step: linkCert}) }
func FuzzLinkProof(f *testing.F) { decodes(f, proofMsg{V: 1, Step: linkProof}) }
func FuzzLinkDone(f *testing.F)  { decodes(f, doneMsg{V: 1, Step: linkDone}) }
func FuzzSibling(f *testing.F) {
	decodes(f, siblingMsg{V: 1, Device: ownDevice{Chain: identity.Chain{{}}}})
}
func FuzzLobby(f *testing.F) { decodes(f, lobbyMsg{Codes: []lobbyRow{{Rdv: [32]byte{1}}}}) }
func FuzzAddMe(f *testing.F) { decodes(f, addMeMsg{KemPk: []byte{1}}) }
func FuzzLinkReply(f *testing.F) {
	decodes(f, replyMsg{V: 1, Step: linkReply, Chain: identity.Chain{{}}, Box: []byte{1}})
}
func FuzzLinkBody(f *testing.F) {
	decodes(f, linkBody{V: 1, Items: []ownItem{item(ownBlock, blockItem{Ms: 1})}, Record: []byte{1}})
}
func FuzzOwn(f *testing.F) {
	decodes(f, ownMsg{V: 1, Items: []ownItem{item(ownSettings, settingsItem{Ms: 1, AutoAccept: "off"})}})
}

// An item of any kind is taken or refused, and nothing of it panics.
func FuzzOwnItem(f *testing.F) {
	n := startNode(f, f.TempDir(), "Ann", nil)
	for _, it := range []ownItem{
		item(ownEdge, identity.SignedEdge{}), item(ownProfile, identity.SignedProfile{}), item(ownCard, identity.SignedCard{}),
		item(ownBlock, blockItem{Ms: 1}), item(ownSettings, settingsItem{Ms: 1}), item(ownSibling, n.devices.own()),
		item(ownRequest, requestItem{Kind: askedSeat, Nonce: [16]byte{1}, Body: wire.Marshal(offerMsg{})}), item(ownRequest, requestItem{Kind: askedJoin, End: endedNo}),
		item(ownGroup, groupItem{Seated: true, Genesis: []byte{1}}), item(ownRead, readItem{ID: wire.SomeID(wire.OpID{1})}),
	} {
		f.Add(it.Kind, it.Body)
		f.Add(it.Kind, it.Body[:len(it.Body)/2])
	}
	f.Fuzz(func(t *testing.T, kind uint64, body []byte) {
		if err := n.takeOwn(t.Context(), wire.PeerKey{}, []ownItem{{Kind: kind, Body: body}}); err != nil && !isRefusal(err) {
			t.Fatal(err)
		}
	})
}

// A key message and the request inside it.
func FuzzKey(f *testing.F) {
	signed := wire.Marshal(seal.SignedRequest{Request: seal.Request{V: 1, EIDs: [][32]byte{{1}}}})
	f.Add(wire.Marshal(keyMsg{V: 1, Request: signed}))
	f.Add(wire.Marshal(keyMsg{V: 1, Request: signed[:9]}))
	f.Add([]byte{0x83})
	f.Fuzz(func(t *testing.T, b []byte) {
		var m keyMsg
		if wire.Unmarshal(b, &m) != nil {
			return
		}
		if q, err := seal.DecodeRequest(m.Request); err == nil && len(q.Request.EIDs) > maxRequestedEIDs {
			t.Fatalf("%d epochs are asked for", len(q.Request.EIDs))
		}
	})
}

// A cursor is a reader's, and what it names is within the timeline.
func FuzzCursor(f *testing.F) {
	f.Add(base64.RawURLEncoding.EncodeToString(wire.Marshal(cursorMsg{OrderMs: 5})))
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := wire.ParseOpID(s); err == nil {
			return // looked up, not decoded
		}
		at, err := spoken{}.cursor(nil, s)
		if err != nil && at != (store.Cursor{}) {
			t.Fatal("an error and a place")
		}
		if at.OrderMs > wire.MaxMs {
			t.Fatalf("beyond the end of time: %d", at.OrderMs)
		}
		justBefore(at)
	})
}

// A signed record of addresses, as members hand them on.
func FuzzRecord(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x0a, 0x24, 0x08, 0x01, 0x12, 0x20})
	f.Fuzz(func(t *testing.T, b []byte) {
		if peer, _, _, err := mesh.ParseRecord(b); err != nil && peer != (wire.PeerKey{}) {
			t.Fatal("an error and a peer")
		}
	})
}

// A name that another chose stays text however it is cut.
func FuzzClipName(f *testing.F) {
	f.Add("Hiking")
	f.Add(string(bytes.Repeat([]byte("山"), groups.MaxGroupName)))
	f.Fuzz(func(t *testing.T, s string) {
		var back offerPreview
		if wire.Unmarshal(wire.Marshal(offerPreview{Name: s}), &back) != nil {
			return // no text to begin with
		}
		if wire.Unmarshal(wire.Marshal(offerPreview{Name: clipName(s)}), &back) != nil || len(back.Name) > groups.MaxGroupName {
			t.Fatalf("%q was cut to %q", s, clipName(s))
		}
	})
}

func FuzzHarbor(f *testing.F) {
	decodes(f, harborMsg{V: 1, Request: wire.Marshal(harborReq{V: 1, What: harborWhat{Kind: harborTopic, Body: []byte{1}}})})
}
func FuzzHarborReq(f *testing.F) {
	decodes(f, harborReq{V: 1, What: harborWhat{Kind: harborAppoint, Body: wire.Marshal(appointBody{Rights: 3})}})
}
func FuzzHarborPath(f *testing.F) { decodes(f, harborPath{Frames: [][]byte{{1}, {}}}) }
func FuzzHarborAnswer(f *testing.F) {
	decodes(f, harborAnswer{V: 1, Body: wire.Marshal(consentBody{})})
}
func FuzzTopic(f *testing.F)      { decodes(f, topicBody{}) }
func FuzzLeftInvite(f *testing.F) { decodes(f, inviteBody{Preview: []byte{1}}) }
