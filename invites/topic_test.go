package invites

import (
	"bytes"
	"encoding/hex"
	"testing"

	W "mutuals/identity/wire"
)

type frameVector struct {
	Name   string  `json:"name"`
	Secret string  `json:"secret"` // of the topic
	Day    uint32  `json:"day"`    // the topic's
	Topic  string  `json:"topic"`
	Today  uint32  `json:"today"` // the reader's
	Frame  string  `json:"frame"`
	Kind   BoxKind `json:"kind,omitempty"`
	Plain  string  `json:"plain,omitempty"`
	Reason string  `json:"reason,omitempty"`
}

// What is said on a topic, good and bad (V16, V17).
func TestFrameVectors(t *testing.T) {
	const day = 20000
	vs := vectors(t, "lobby-frames.json", func() (vs []frameVector) {
		k := someInviter(t, 37).passcode.Keys()
		topic := LobbyTopic(k.Topic, day)
		salt := [16]byte(unhex(t, "000102030405060708090a0b0c0d0e0f"))
		seek := SignFrame(k.Topic, day, SealLobby(k.Topic, BoxSeek, day, salt, nil))
		add := func(name string, frame []byte, today uint32, err error) *frameVector {
			v := frameVector{Name: name, Secret: hex.EncodeToString(k.Topic[:]), Day: day, Topic: hex.EncodeToString(topic[:]), Today: today, Frame: hex.EncodeToString(frame)}
			if err != nil {
				v.Reason = err.Error()
			}
			vs = append(vs, v)
			return &vs[len(vs)-1]
		}
		good := func(name string, kind BoxKind, plain, frame []byte, today uint32) {
			v := add(name, frame, today, nil)
			v.Kind, v.Plain = kind, hex.EncodeToString(plain)
		}
		edited := func(edit func(b []byte) []byte) []byte { return edit(bytes.Clone(seek)) }
		// sealed is signed as it is, whatever it is.
		sealed := func(b []byte) []byte {
			sig := W.Sign(W.DomainLobbyFrame, dayKey(k.Topic, day), W.NoContext, b)
			return append(b, sig[:]...)
		}
		good("somebody looks", BoxSeek, nil, seek, day)
		good("by a clock a day ahead", BoxSeek, nil, seek, day-1)
		good("by a clock a day behind", BoxSeek, nil, seek, day+1)
		place := []byte("where I am")
		good("an address", BoxAddress, place, SignFrame(k.Topic, day, SealLobby(k.Topic, BoxAddress, day, salt, place)), day)
		add("two days old", seek, day+2, ErrStaleFrame)
		add("two days ahead", seek, day-2, ErrStaleFrame)
		add("signed by another day's key", edited(func(b []byte) []byte {
			return append(b[:len(b)-64], SignFrame(k.Topic, day+1, SealLobby(k.Topic, BoxSeek, day+1, salt, nil))[len(b)-64:]...)
		}), day, ErrForgedFrame)
		add("the last bit of the signature", edited(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), day, ErrForgedFrame)
		add("a bit of the box", edited(func(b []byte) []byte { b[len(b)-70] ^= 1; return b }), day, ErrForgedFrame)
		add("a byte too many", edited(func(b []byte) []byte { return append(b, 0) }), day, ErrForgedFrame)
		add("a signature alone", edited(func(b []byte) []byte { return b[len(b)-64:] }), day, ErrForgedFrame)
		add("cut", edited(func(b []byte) []byte { return b[:len(b)/2] }), day, ErrForgedFrame)
		add("of no kind", sealed(W.Marshal(box{V: 1, Kind: 4, Day: day})), day, ErrForgedFrame)
		add("of a newer version", sealed(W.Marshal(box{V: 2, Kind: 3, Day: day})), day, ErrForgedFrame)
		add("a seek that is too long", sealed(W.Marshal(box{V: 1, Kind: 3, Day: day, Box: make([]byte, 60)})), day, ErrForgedFrame)
		add("an address that is too long", sealed(W.Marshal(box{V: 1, Kind: 2, Day: day, Box: make([]byte, MaxLobbyAddress)})), day, ErrForgedFrame)
		add("a preview that is too long for the topic", sealed(W.Marshal(box{V: 1, Kind: 1, Day: day, Box: make([]byte, MaxLobbyFrame)})), day, ErrForgedFrame)
		return vs
	})
	for _, v := range vs {
		secret, topic := [32]byte(unhex(t, v.Secret)), [32]byte(unhex(t, v.Topic))
		if LobbyTopic(secret, v.Day) != topic || W.ValidKey(topic) != nil {
			t.Errorf("%s: another topic", v.Name)
		}
		f, err := ReadFrame(topic, unhex(t, v.Frame), v.Today)
		if v.Reason != "" {
			if err == nil || err.Error() != v.Reason {
				t.Errorf("%s: got %v, want %s", v.Name, err, v.Reason)
			}
			continue
		}
		plain, day, boxErr := OpenLobby(secret, v.Kind, f.Sealed)
		if err != nil || boxErr != nil || f.Kind != v.Kind || f.Day != v.Day || day != v.Day || hex.EncodeToString(plain) != v.Plain {
			t.Errorf("%s: %+v, %v, %v", v.Name, f, err, boxErr)
		}
	}
	// Two days of one code, and one day of two, have nothing in common.
	a, b := someInviter(t, 38).passcode.Keys().Topic, someInviter(t, 39).passcode.Keys().Topic
	if LobbyTopic(a, 1) == LobbyTopic(a, 2) || LobbyTopic(a, 1) == LobbyTopic(b, 1) {
		t.Error("two topics have one name")
	}
	for name, of := range map[string]func(){
		"of another day": func() { SignFrame(a, 2, SealLobby(a, BoxSeek, 1, [16]byte{}, nil)) },
		"with a picture": func() { SignFrame(a, 1, SealLobby(a, BoxPreview, 1, [16]byte{}, make([]byte, MaxLobbyFrame))) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a frame %s was made", name)
				}
			}()
			of()
		}()
	}
}

// What a stranger says on a topic is refused unless the topic's own key signed it,
// and nothing of it panics.
func FuzzReadFrame(f *testing.F) {
	k := someInviter(f, 40).passcode.Keys()
	topic := LobbyTopic(k.Topic, 7)
	seek := SignFrame(k.Topic, 7, SealLobby(k.Topic, BoxSeek, 7, [16]byte{1}, nil))
	f.Add(seek)
	f.Add(seek[:len(seek)-64])
	f.Add(append(W.Marshal(box{V: 1, Kind: 2, Day: 7, Box: make([]byte, 900)}), make([]byte, 64)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ReadFrame(topic, b, 7)
		if err == nil && !bytes.Equal(b, seek) {
			t.Fatalf("somebody else's frame was taken: %+v", got)
		}
		if err != nil && got.Sealed != nil {
			t.Fatal("an error and a frame")
		}
		if len(b) < MaxLobbyFrame {
			_, _, _ = OpenLobby(k.Topic, BoxAddress, b)
		}
	})
}
