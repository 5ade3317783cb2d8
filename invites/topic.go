package invites

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"

	W "mutuals/identity/wire"
)

// The lobby's topic (SPEC.md V16, V17). A code's topic secret gives a key for each
// day; its public half is the day's name. Whoever passes frames on so sees that
// their writer has the secret, and learns neither the secret nor, from two names,
// that they are of one code.

// ErrForgedFrame means that a frame was not written by who has the topic's secret,
// or is of another form: no honest peer passes it on. ErrStaleFrame means that it
// is of another day, as a clock that is wrong or a repetition makes it.
var (
	ErrForgedFrame = errors.New("not a frame of this lobby topic")
	ErrStaleFrame  = errors.New("a frame of another day")
)

// LobbyTopic names a code's topic on a day. secret is Keys().Topic.
func LobbyTopic(secret [32]byte, day uint32) [32]byte {
	return [32]byte(dayKey(secret, day).Public().(ed25519.PublicKey))
}

func dayKey(secret [32]byte, day uint32) ed25519.PrivateKey {
	seed := W.Expand(secret, W.LabelInviteTop, binary.BigEndian.AppendUint32(nil, day))
	return ed25519.NewKeyFromSeed(seed[:])
}

// SignFrame makes a frame of a sealed record, to be said on the topic of its day.
// It panics on what no reader would take.
func SignFrame(secret [32]byte, day uint32, sealed []byte) []byte {
	if b, ok := readBox(sealed); !ok || b.Day != uint64(day) {
		panic("internal error: signing a lobby frame of another day or form")
	}
	sig := W.Sign(W.DomainLobbyFrame, dayKey(secret, day), W.NoContext, sealed)
	return append(append(make([]byte, 0, len(sealed)+len(sig)), sealed...), sig[:]...)
}

// Frame is one as anybody may see it who passes it on.
type Frame struct {
	Kind   BoxKind
	Day    uint32
	Sealed []byte // the box (V13)
}

// ReadFrame reads a frame that came on a topic, with nothing but the topic's name;
// today is the reader's day. The error is ErrForgedFrame or ErrStaleFrame.
func ReadFrame(topic [32]byte, frame []byte, today uint32) (Frame, error) {
	if len(frame) > MaxLobbyFrame || len(frame) < len(W.Sig{}) {
		return Frame{}, ErrForgedFrame
	}
	at := len(frame) - len(W.Sig{})
	sealed := frame[:at]
	b, ok := readBox(sealed)
	if !ok {
		return Frame{}, ErrForgedFrame
	}
	if b.Day+1 < uint64(today) || b.Day > uint64(today)+1 {
		return Frame{}, ErrStaleFrame
	}
	if !W.Verify(W.DomainLobbyFrame, topic, W.NoContext, sealed, W.Sig(frame[at:])) {
		return Frame{}, ErrForgedFrame
	}
	return Frame{Kind: BoxKind(b.Kind), Day: uint32(b.Day), Sealed: sealed}, nil
}

// readBox reads the outside of a sealed record that may travel on a topic.
func readBox(sealed []byte) (b box, ok bool) {
	if len(sealed) > MaxLobbyFrame-len(W.Sig{}) || W.Unmarshal(sealed, &b) != nil {
		return b, false
	}
	return b, b.V == 1 && b.Kind <= uint64(BoxSeek) && len(sealed) <= maxBox(BoxKind(b.Kind)) && b.Day <= 1<<32-1
}
