package groups

import (
	"fmt"

	"mutuals/groups/seal"
	"mutuals/identity/wire"
)

// The messages of /mutuals/sync/1 (SYNC.md). A stream pulls one way: who opened it is
// the asker, the other the server; each device opens its own. Frames are
// [kind, body]; a length prefix goes around them outside this room.
//
//	asker   hello(digest)                    server  hello(digest) [vector… if the digests differ]
//	asker   want(control), want(…), …        server  segment… done   after each want
//	asker   want(content, newest first?)     server  segment… done
//	asker   wrap-want                        server  wrap | done(not held)
//	either, unasked, on a stream of its own: have (changed entries), wraps (a set to hold)
//
// The asker reads the vector, asks for control chains until nothing is
// missing, and only then for content: whether content counts is decided by
// the control operations its author knew.

// SyncVersion is the version of the messages below. 2: a hello tells the time.
const SyncVersion = 2

const (
	// MaxSyncFrame bounds any sync message: a wrap set of 1 016 leaves is the
	// largest; a segment and its heads are half of it.
	MaxSyncFrame = seal.MaxWrapSet + 1024
	// MaxHelloRecords bounds the signed peer records in a hello: enough to
	// spread the links of a group of 500, at most 64 KiB.
	MaxHelloRecords = 32
	// MaxRecord bounds one signed peer record: addresses of one device.
	MaxRecord = 2 << 10
	// MaxOpening bounds the first message of a stream, which anybody may send: a
	// hello with all its records; a have is shorter.
	MaxOpening = MaxHelloRecords*(MaxRecord+8) + 1024
	// MaxWants bounds the ranges asked for at once.
	MaxWants = 256
	// MaxWantOps bounds the operations asked for at once: the window. The
	// asker asks for the next when it has stored these.
	MaxWantOps = 16384
	// MaxHave bounds the entries announced at once: what changes in a second.
	MaxHave = 256
	// MaxRefusedFrames and MaxRefusedBytes bound one page of what a removed
	// device is given: the operations that unseated it and their ancestors; the
	// bytes are what one segment may weigh.
	MaxRefusedFrames = 256
	MaxRefusedBytes  = MaxSegmentBytes
)

// SyncMessage is one of *SyncHello, *SyncVector, *SyncWant, *Segment,
// *SyncDone, *SyncWrapWant, *SyncWrap, *SyncHave, *SyncWraps, *SyncRefused.
type SyncMessage interface {
	// Check tells whether the message is within bounds; the error wraps
	// wire.ErrMalformed.
	Check() error
	syncKind() uint64
}

// The kinds of sync messages, never reused.
const (
	syncHello    uint64 = 1
	syncVector   uint64 = 2
	syncWant     uint64 = 3
	syncSegment  uint64 = 4
	syncDone     uint64 = 5
	syncWrapWant uint64 = 6
	syncWrap     uint64 = 7
	syncHave     uint64 = 8
	syncWraps    uint64 = 9
	syncRefused  uint64 = 10
)

// SyncHello begins a stream, from either side. Equal digests mean: nothing to
// fetch. Evolution: V counts; who does not know it closes.
type SyncHello struct {
	_       struct{} `cbor:",toarray"`
	V       uint64
	Group   wire.GroupID
	Digest  [32]byte
	Records [][]byte // signed peer records of members, the sender's own first
	// Ms is the sender's clock, no input to anything that all must agree on
	// (node/PROTOCOLS.md N13); 0 tells nothing.
	Ms uint64
}

// SyncVector is a page of the server's vector. The entries of all pages
// together ascend.
type SyncVector struct {
	_       struct{} `cbor:",toarray"`
	Entries Vector
	More    bool // another page follows
}

// SyncWant asks for ranges, in the order they are wanted.
type SyncWant struct {
	_     struct{} `cbor:",toarray"`
	Wants []Want
	// NewestFirst asks for the segments of each range from its end; within a
	// segment the order stays oldest first.
	NewestFirst bool
}

// SyncStatus says how an answer ended.
type SyncStatus uint64

// The ways an answer ends, never reused.
const (
	SyncComplete SyncStatus = 0 // all that is held of what was asked was sent
	SyncPartial  SyncStatus = 1 // a limit was reached: ask again for the rest
	SyncNotHeld  SyncStatus = 2 // nothing of it is held
	SyncBusy     SyncStatus = 3 // ask somebody else, or later
)

// SyncDone ends the answer to one want or wrap-want.
type SyncDone struct {
	_      struct{} `cbor:",toarray"`
	Status SyncStatus
}

// SyncWrapWant asks for one leaf of a rekey's wrap set: that of the asker's
// own inc, or of the invite that admitted it.
type SyncWrapWant struct {
	_         struct{} `cbor:",toarray"`
	Rekey     wire.OpID
	Recipient wire.OpID
}

// SyncWrap answers it. Index and count are for the proof; the asker compares
// them with the rekey it accepted (Count) and its own place among the
// recipients (Index).
type SyncWrap struct {
	_     struct{} `cbor:",toarray"`
	Rekey wire.OpID
	Index uint64
	Count uint64
	Leaf  seal.Leaf
	Proof [][32]byte
}

// Verify tells whether the leaf stands at its index under root.
func (m *SyncWrap) Verify(root [32]byte) bool {
	return m.Check() == nil && seal.VerifyProof(root, m.Leaf.Hash(), int(m.Index), int(m.Count), m.Proof)
}

// SyncHave announces entries that changed since the last one on this link; by
// it the sender says these operations are on its disk.
type SyncHave struct {
	_       struct{} `cbor:",toarray"`
	Group   wire.GroupID
	Entries Vector
}

// SyncWraps hands a rekey's whole wrap set to a holder.
type SyncWraps struct {
	_      struct{} `cbor:",toarray"`
	Group  wire.GroupID
	Rekey  wire.OpID
	Leaves []seal.Leaf
}

// SyncRefused is a page of the answer to somebody who may not sync: the
// operations that unseated it, oldest first, so that it can see for itself;
// empty for whoever never was a member. The stream ends after the last.
type SyncRefused struct {
	_      struct{} `cbor:",toarray"`
	Group  wire.GroupID
	Frames [][]byte
}

func (*SyncHello) syncKind() uint64    { return syncHello }
func (*SyncVector) syncKind() uint64   { return syncVector }
func (*SyncWant) syncKind() uint64     { return syncWant }
func (*Segment) syncKind() uint64      { return syncSegment }
func (*SyncDone) syncKind() uint64     { return syncDone }
func (*SyncWrapWant) syncKind() uint64 { return syncWrapWant }
func (*SyncWrap) syncKind() uint64     { return syncWrap }
func (*SyncHave) syncKind() uint64     { return syncHave }
func (*SyncWraps) syncKind() uint64    { return syncWraps }
func (*SyncRefused) syncKind() uint64  { return syncRefused }

// envelope is a message on the wire.
type envelope struct {
	_    struct{} `cbor:",toarray"`
	Kind uint64
	Body wire.Raw
}

// EncodeSync encodes a message. It panics when the message breaks its own
// bounds, which is a mistake of the caller.
func EncodeSync(m SyncMessage) []byte {
	if err := m.Check(); err != nil {
		panic("internal error: encoding a sync message: " + err.Error())
	}
	if s, ok := m.(*Segment); ok {
		return s.encode()
	}
	return wire.Marshal(envelope{Kind: m.syncKind(), Body: wire.Marshal(m)})
}

// DecodeSync decodes a message and checks its bounds. A segment's frames point
// into b. The error wraps
// wire.ErrMalformed or wire.ErrNotCanonical.
func DecodeSync(b []byte) (SyncMessage, error) {
	if len(b) > MaxSyncFrame {
		return nil, fmt.Errorf("reading a sync message: %w: %d bytes, at most %d", wire.ErrMalformed, len(b), MaxSyncFrame)
	}
	if s, ok := readSegment(b); ok {
		return s, nil
	}
	var e envelope
	if err := wire.Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("reading a sync message: %w", err)
	}
	m := newSync(e.Kind)
	if m == nil {
		return nil, fmt.Errorf("reading a sync message: %w: kind %d", wire.ErrMalformed, e.Kind)
	}
	if err := wire.Unmarshal(e.Body, m); err != nil {
		return nil, fmt.Errorf("reading a sync message of kind %d: %w", e.Kind, err)
	}
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("reading a sync message of kind %d: %w", e.Kind, err)
	}
	return m, nil
}

func newSync(kind uint64) SyncMessage {
	switch kind {
	case syncHello:
		return new(SyncHello)
	case syncVector:
		return new(SyncVector)
	case syncWant:
		return new(SyncWant)
	case syncSegment:
		return new(Segment)
	case syncDone:
		return new(SyncDone)
	case syncWrapWant:
		return new(SyncWrapWant)
	case syncWrap:
		return new(SyncWrap)
	case syncHave:
		return new(SyncHave)
	case syncWraps:
		return new(SyncWraps)
	case syncRefused:
		return new(SyncRefused)
	}
	return nil
}

// Check implements SyncMessage.
func (m *SyncHello) Check() error {
	if m.V != SyncVersion {
		return fmt.Errorf("%w: sync version %d", wire.ErrMalformed, m.V)
	}
	if m.Ms > wire.MaxMs {
		return fmt.Errorf("%w: a clock at %d ms", wire.ErrMalformed, m.Ms)
	}
	if len(m.Records) > MaxHelloRecords {
		return fmt.Errorf("%w: %d peer records, at most %d", wire.ErrMalformed, len(m.Records), MaxHelloRecords)
	}
	for _, r := range m.Records {
		if len(r) == 0 || len(r) > MaxRecord {
			return fmt.Errorf("%w: a peer record of %d bytes, at most %d", wire.ErrMalformed, len(r), MaxRecord)
		}
	}
	return nil
}

// Check implements SyncMessage.
func (m *SyncVector) Check() error {
	if len(m.Entries) > MaxVectorPage {
		return fmt.Errorf("%w: a vector page of %d entries, at most %d", wire.ErrMalformed, len(m.Entries), MaxVectorPage)
	}
	return m.Entries.Check()
}

// Check implements SyncMessage.
func (m *SyncWant) Check() error {
	if len(m.Wants) == 0 || len(m.Wants) > MaxWants {
		return fmt.Errorf("%w: %d ranges wanted, at most %d", wire.ErrMalformed, len(m.Wants), MaxWants)
	}
	sum := uint64(0)
	for _, w := range m.Wants {
		if w.Chain > 2 || w.From > w.To || w.To >= maxSeq {
			return fmt.Errorf("%w: range %d to %d of chain %d wanted", wire.ErrMalformed, w.From, w.To, w.Chain)
		}
		sum += w.To - w.From + 1
	}
	if sum > MaxWantOps {
		return fmt.Errorf("%w: %d operations wanted, at most %d", wire.ErrMalformed, sum, MaxWantOps)
	}
	return nil
}

// Check implements SyncMessage. Unknown statuses are read as SyncBusy would
// be: nothing more comes.
func (m *SyncDone) Check() error { return nil }

// Check implements SyncMessage.
func (m *SyncWrapWant) Check() error { return nil }

// Check implements SyncMessage.
func (m *SyncWrap) Check() error {
	if m.Count > seal.MaxLeaves || m.Index >= m.Count || len(m.Proof) > seal.MaxProof {
		return fmt.Errorf("%w: leaf %d of %d with a proof of %d", wire.ErrMalformed, m.Index, m.Count, len(m.Proof))
	}
	return m.Leaf.Check()
}

// Check implements SyncMessage.
func (m *SyncHave) Check() error {
	if len(m.Entries) > MaxHave {
		return fmt.Errorf("%w: %d entries announced, at most %d", wire.ErrMalformed, len(m.Entries), MaxHave)
	}
	return m.Entries.Check()
}

// Check implements SyncMessage.
func (m *SyncWraps) Check() error {
	if len(m.Leaves) == 0 || len(m.Leaves) > seal.MaxLeaves {
		return fmt.Errorf("%w: a wrap set of %d leaves, at most %d", wire.ErrMalformed, len(m.Leaves), seal.MaxLeaves)
	}
	for i := range m.Leaves {
		if err := m.Leaves[i].Check(); err != nil {
			return err
		}
	}
	return nil
}

// Check implements SyncMessage.
func (m *SyncRefused) Check() error {
	if len(m.Frames) > MaxRefusedFrames {
		return fmt.Errorf("%w: %d operations in a refusal, at most %d", wire.ErrMalformed, len(m.Frames), MaxRefusedFrames)
	}
	sum := 0
	for _, f := range m.Frames {
		if len(f) == 0 || len(f) > MaxFrame {
			return fmt.Errorf("%w: a frame of %d bytes, at most %d", wire.ErrMalformed, len(f), MaxFrame)
		}
		sum += len(f)
	}
	if sum > MaxRefusedBytes {
		return fmt.Errorf("%w: a refusal of %d bytes, at most %d", wire.ErrMalformed, sum, MaxRefusedBytes)
	}
	return nil
}

// Pages cuts a vector into the messages that carry it, at least one.
func Pages(v Vector) []*SyncVector {
	var out []*SyncVector
	for len(v) > MaxVectorPage {
		out = append(out, &SyncVector{Entries: v[:MaxVectorPage], More: true})
		v = v[MaxVectorPage:]
	}
	return append(out, &SyncVector{Entries: v})
}

// Window takes from wants what one message may ask for, cutting the last
// range where the window ends: from its start, or from its end when newest
// come first. Send m, store what comes, and call again with rest; nothing is
// as long as a lying vector says. m is nil when wants is empty.
func Window(wants []Want, newestFirst bool) (m *SyncWant, rest []Want) {
	if len(wants) == 0 {
		return nil, nil
	}
	m = &SyncWant{NewestFirst: newestFirst}
	room := uint64(MaxWantOps)
	for i, w := range wants {
		if room == 0 || len(m.Wants) == MaxWants {
			return m, wants[i:]
		}
		if n := w.To - w.From + 1; n > room {
			part, left := w, w
			if newestFirst {
				part.From, left.To = w.To-room+1, w.To-room
			} else {
				part.To, left.From = w.From+room-1, w.From+room
			}
			m.Wants = append(m.Wants, part)
			return m, append([]Want{left}, wants[i+1:]...)
		}
		m.Wants = append(m.Wants, w)
		room -= w.To - w.From + 1
	}
	return m, nil
}
