package node

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"mutuals/groups"
	"mutuals/identity/wire"
)

var updateVectors = flag.Bool("update-harbor", false, "write testdata/vectors/harbor-1.json, once")

// harborVector is one frame of /mutuals/harbor/1, and what becomes of it.
type harborVector struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	Frame string `json:"frame"` // hex
	By    string `json:"by,omitempty"`
	Valid bool   `json:"valid"`
}

// harborFrames are made of keys that everybody can make.
func harborFrames() []harborVector {
	op := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	peer := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	device, harbor := wire.DeviceID(op.Public().(ed25519.PublicKey)), wire.PeerKey(peer.Public().(ed25519.PublicKey))
	group, inc := wire.GroupID{3}, wire.OpID{4}
	var out []harborVector
	sealed := func(name string, kind uint64, body any, change func(*harborMsg), valid bool) {
		req := harborReq{V: 1, Inc: inc, Harbor: harbor, Nonce: [16]byte{5}, Ms: 1_700_000_000_000, What: harborWhat{Kind: kind, Body: wire.Marshal(body)}}
		m := harborMsg{V: 1, Group: group, Request: wire.Marshal(req)}
		m.Sig = wire.Sign(wire.DomainHarborReq, op, wire.Context(group), m.Request)
		if change != nil {
			change(&m)
		}
		out = append(out, harborVector{name, "request", hex.EncodeToString(wire.Marshal(m)), hex.EncodeToString(device[:]), valid})
	}
	sealed("appoint", harborAppoint, appointBody{Rights: 3, Quota: 1 << 30}, nil, true)
	sealed("topic", harborTopic, topicBody{Rekey: wire.OpID{6}, Topic: [32]byte{7}}, nil, true)
	sealed("invite", harborInvite, inviteBody{Invite: wire.OpID{8}, Rekey: wire.OpID{6}, Preview: []byte("sealed")}, nil, true)
	sealed("of another group", harborTopic, topicBody{}, func(m *harborMsg) { m.Group[0] ^= 1 }, false)
	sealed("a byte changed", harborTopic, topicBody{}, func(m *harborMsg) { m.Request[len(m.Request)-1] ^= 1 }, false)
	sealed("a signature changed", harborTopic, topicBody{}, func(m *harborMsg) { m.Sig[9] ^= 1 }, false)
	answer := func(name string, a harborAnswer) {
		out = append(out, harborVector{Name: name, Kind: "answer", Frame: hex.EncodeToString(wire.Marshal(a)), Valid: true})
	}
	answer("yes, with consent", harborAnswer{V: 1, Body: wire.Marshal(consentBody{OpKey: device, PeerKey: harbor, Pop: groups.ProveHarbor(op, peer, group, inc)})})
	answer("full", harborAnswer{V: 1, Outcome: harborFull})
	b := wire.Marshal(harborAnswer{V: 1})
	out = append(out, harborVector{Name: "a byte too many", Kind: "answer", Frame: hex.EncodeToString(append(b, 0))})
	return out
}

// Frames of /mutuals/harbor/1 are for ever what they were.
func TestHarborVectors(t *testing.T) {
	const file = "testdata/vectors/harbor-1.json"
	if *updateVectors {
		b, err := json.MarshalIndent(harborFrames(), "", "  ")
		ok(t, err)
		ok(t, os.MkdirAll("testdata/vectors", 0o755))
		ok(t, os.WriteFile(file, append(b, '\n'), 0o644))
	}
	b, err := os.ReadFile(file)
	ok(t, err)
	var stored []harborVector
	ok(t, json.Unmarshal(b, &stored))
	made := harborFrames()
	if len(made) != len(stored) {
		t.Fatalf("%d vectors, %d made", len(stored), len(made))
	}
	for i, v := range stored {
		if v != made[i] {
			t.Errorf("%s: this program writes it otherwise", v.Name)
		}
		frame := must[[]byte](t)(hex.DecodeString(v.Frame))
		valid := false
		switch v.Kind {
		case "answer":
			var a harborAnswer
			valid = wire.Unmarshal(frame, &a) == nil
		case "request":
			var m harborMsg
			var req harborReq
			by := must[[]byte](t)(hex.DecodeString(v.By))
			valid = wire.Unmarshal(frame, &m) == nil && m.by(wire.DeviceID(by)) && wire.Unmarshal(m.Request, &req) == nil
		}
		if valid != v.Valid {
			t.Errorf("%s: valid %v", v.Name, valid)
		}
	}
}
