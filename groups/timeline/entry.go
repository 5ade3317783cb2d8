package timeline

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"

	"mutuals/groups"
	"mutuals/identity/wire"
)

// Folded says why an entry is not simply shown; empty: it is shown.
type Folded string

// The reasons to fold, words of the API; never renamed.
const (
	Shown        Folded = ""
	PastPin      Folded = "sent-before-removal-was-known" // T4
	IncInvalid   Folded = "author-not-a-member"           // T4
	Silenced     Folded = "sent-before-silence-was-known" // T4
	KeyMissing   Folded = "key-missing"
	BeforeJoined Folded = "before-you-joined"
	Malformed    Folded = "malformed"
	NotAllowed   Folded = "not-allowed" // group-info by a member without rank, a reason for another's act
)

// Place is what Fold must know of an operation besides its text.
type Place struct {
	ID        wire.OpID
	Group     wire.GroupID
	Inc       wire.OpID
	Author    wire.AccountID
	Device    wire.DeviceID
	Seq       uint64
	HLC       uint64 // ms
	ArrivedMs uint64 // own clock when it was first stored; of own operations the HLC
	// Ranked tells whether the author was owner or admin in the past of the
	// operation's control heads.
	Ranked bool
	// Acted tells whether an operation is in the past of the operation's control
	// heads and an act of rank by the same account; nil: none is.
	Acted func(wire.OpID) bool
	// Folded is the operation's standing: Shown, PastPin, IncInvalid or Silenced.
	Folded Folded
}

// Entry is one line of a conversation. It lies in the store as what stands in its key
// (ID, OrderMs), what all entries of its incarnation share (Byline) and the rest (Encode).
type Entry struct {
	ID      wire.OpID
	Group   wire.GroupID
	Inc     wire.OpID
	Author  wire.AccountID
	Device  wire.DeviceID
	Seq     uint64
	HLC     uint64 // what the author's clock said, ms
	OrderMs uint64 // where it stands (T1)
	Kind    uint64 // groups.ContentText …; 0 when it could not be decrypted
	Late    bool   // arrived more than LateMs behind its hlc (T3)
	Newer   bool   // of a kind only a newer version knows (T2)
	Folded  Folded
	After   [][16]byte // as the author wrote it
	Awaits  [][16]byte // those of After that were not known when it was folded

	Text     string // of a text; of a group-info its name; of a profile the person's name; of a moderation the reason
	ReplyTo  wire.OptID
	Mentions []wire.AccountID
	Files    []wire.Raw
	Payload  wire.Raw // profile, group-info, moderation and newer kinds, as written; else an empty byte string
}

// The forms of an entry in the store. Evolution: a new shape gets a new version, and the
// old ones are read.
type (
	byline struct {
		_      struct{} `cbor:",toarray"`
		Group  wire.GroupID
		Inc    wire.OpID
		Author wire.AccountID
		Device wire.DeviceID
	}
	entry2 struct {
		_        struct{} `cbor:",toarray"`
		V        uint64   // 2
		Seq      uint64
		Moved    uint64 // OrderMs less the hlc: mostly 0, and OrderMs stands in the key
		Kind     uint64
		Late     bool
		Newer    bool
		Folded   Folded
		After    [][16]byte
		Awaits   [][16]byte
		Text     string
		ReplyTo  wire.OptID
		Mentions []wire.AccountID
		Files    []wire.Raw
		Payload  wire.Raw
	}
	// entry1 is of format 1 of the store: it repeats what the key and the byline say.
	entry1 struct {
		_        struct{} `cbor:",toarray"`
		V        uint64   // 1
		ID       wire.OpID
		Group    wire.GroupID
		Inc      wire.OpID
		Author   wire.AccountID
		Device   wire.DeviceID
		Seq      uint64
		HLC      uint64
		OrderMs  uint64
		Kind     uint64
		Late     bool
		Newer    bool
		Folded   Folded
		After    [][16]byte
		Awaits   [][16]byte
		Text     string
		ReplyTo  wire.OptID
		Mentions []wire.AccountID
		Files    []wire.Raw
		Payload  wire.Raw
	}
)

// entryStart and entry1Start are what the versions begin with: the head of an array of 14
// or 20, and the number of the version.
var (
	entryStart  = [2]byte{0x8e, 2}
	entry1Start = [2]byte{0x94, 1}
)

// emptyPayload stands where there is none: an empty byte string.
func emptyPayload() wire.Raw { return wire.Raw{0x40} }

// ErrEntry means that stored bytes are no entry that this program knows.
var ErrEntry = errors.New("not a timeline entry of this version")

// Byline encodes who wrote the entry: the same in all of its incarnation.
func (e Entry) Byline() []byte {
	return wire.Marshal(byline{Group: e.Group, Inc: e.Inc, Author: e.Author, Device: e.Device})
}

// Encode gives what the store keeps of the entry alone.
func (e Entry) Encode() []byte {
	payload := e.Payload
	if len(payload) == 0 {
		payload = emptyPayload()
	}
	// By hand: there is one for each message.
	b := make([]byte, 0, 48+len(e.Folded)+len(e.Text)+len(payload)+17*(len(e.After)+len(e.Awaits))+34*len(e.Mentions))
	b = append(b, entryStart[:]...)
	for _, n := range [...]uint64{e.Seq, e.OrderMs - e.HLC, e.Kind} {
		b = wire.AppendUint(b, n)
	}
	b = wire.AppendBool(b, e.Late)
	b = wire.AppendBool(b, e.Newer)
	b = wire.AppendText(b, string(e.Folded))
	for _, list := range [...][][16]byte{e.After, e.Awaits} {
		b = wire.AppendArray(b, len(list))
		for _, id := range list {
			b = wire.AppendBytes(b, id[:])
		}
	}
	b = wire.AppendText(b, e.Text)
	b = wire.AppendBytes(b, e.ReplyTo)
	b = wire.AppendArray(b, len(e.Mentions))
	for _, a := range e.Mentions {
		b = wire.AppendBytes(b, a[:])
	}
	b = wire.AppendArray(b, len(e.Files))
	for _, f := range e.Files {
		b = append(b, f...)
	}
	return append(b, payload...)
}

// Decode reads an entry from this device's own disk: where it stands, what Byline and what
// Encode gave. Of version 1 only the last is looked at. The error wraps ErrEntry.
func Decode(at Key, by, b []byte) (Entry, error) {
	switch {
	case bytes.HasPrefix(b, entryStart[:]):
		return decode2(at, by, b)
	case bytes.HasPrefix(b, entry1Start[:]):
		return decode1(b)
	}
	return Entry{}, fmt.Errorf("%w: it begins with %x", ErrEntry, b[:min(len(b), 2)])
}

func decode2(at Key, by, b []byte) (Entry, error) {
	var who byline
	var e entry2
	if err := wire.Reread(by, &who); err != nil {
		return Entry{}, fmt.Errorf("%w: who wrote it: %v", ErrEntry, err)
	}
	if err := wire.Reread(b, &e); err != nil {
		return Entry{}, fmt.Errorf("%w: %v", ErrEntry, err)
	}
	return Entry{
		ID: at.ID, Group: who.Group, Inc: who.Inc, Author: who.Author, Device: who.Device,
		Seq: e.Seq, HLC: at.OrderMs - e.Moved, OrderMs: at.OrderMs, Kind: e.Kind, Late: e.Late, Newer: e.Newer, Folded: e.Folded,
		After: e.After, Awaits: e.Awaits, Text: e.Text, ReplyTo: e.ReplyTo, Mentions: e.Mentions, Files: e.Files, Payload: e.Payload,
	}, nil
}

func decode1(b []byte) (Entry, error) {
	var e entry1
	if err := wire.Reread(b, &e); err != nil {
		return Entry{}, fmt.Errorf("%w: %v", ErrEntry, err)
	}
	return Entry{
		ID: e.ID, Group: e.Group, Inc: e.Inc, Author: e.Author, Device: e.Device,
		Seq: e.Seq, HLC: e.HLC, OrderMs: e.OrderMs, Kind: e.Kind, Late: e.Late, Newer: e.Newer, Folded: e.Folded,
		After: e.After, Awaits: e.Awaits, Text: e.Text, ReplyTo: e.ReplyTo, Mentions: e.Mentions, Files: e.Files, Payload: e.Payload,
	}, nil
}

// Key is where an entry stands: ascending by ms, then id (T1).
type Key struct {
	OrderMs uint64
	ID      wire.OpID
}

// Key returns the entry's place.
func (e Entry) Key() Key { return Key{e.OrderMs, e.ID} }

// Compare is negative when k stands above o.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(k.OrderMs, o.OrderMs), bytes.Compare(k.ID[:], o.ID[:]))
}

// Info returns the group-info an entry holds; ok is false for any other
// entry and for a folded one. The last by Key counts.
func (e Entry) Info() (groups.GroupInfo, bool) {
	if e.Kind != groups.ContentGroupInfo || e.Folded != Shown {
		return groups.GroupInfo{}, false
	}
	g, err := groups.DecodeGroupInfo(e.Payload)
	return g, err == nil
}

// Moderation returns the reason an entry gives, and for which acts; ok is
// false for any other entry and for a folded one.
func (e Entry) Moderation() (groups.Moderation, bool) {
	if e.Kind != groups.ContentModeration || e.Folded != Shown {
		return groups.Moderation{}, false
	}
	m, err := groups.DecodeModeration(e.Payload)
	return m, err == nil
}
