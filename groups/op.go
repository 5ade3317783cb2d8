package groups

import (
	"bytes"
	"crypto/sha256"

	"mutuals/groups/seal"
	"mutuals/identity/wire"
)

// ChainKind names one of the chains every incarnation writes.
type ChainKind uint8

// The chains.
const (
	Control ChainKind = 0
	Content ChainKind = 1
	KEM     ChainKind = 2
)

// Op is one signed operation, decoded. It is immutable once decoded, but for
// what Check notes in it and a Cipher that is filled in.
type Op struct {
	ID      wire.OpID
	Version uint64
	Chain   ChainKind
	Inc     wire.OptID // empty for genesis; see IncID
	Seq     uint64
	Prev    wire.OptID
	Heads   []wire.OpID // control: parents; content: control heads; KEM: none
	HLC     uint64      // ms

	// Control.
	Kind Kind
	Body any // *GenesisBody, *AdmitBody, …; nil when Update

	// Content.
	EID    [32]byte
	Salt   [16]byte
	CtLen  uint64
	CtHash [32]byte

	// KEM.
	Gen     uint64
	KemHash [32]byte

	Core   []byte
	Sig    wire.Sig
	Signed bool // false: authentic only by a signed successor

	// Cipher is what is detachable: a content operation's ciphertext, a KEM
	// operation's public key; empty when it was pruned or not fetched.
	Cipher []byte

	// Update tells that version, kind or ext are of a newer version of the
	// protocol. Such an operation is parked, never skipped.
	Update bool

	frame     []byte // as it was read, as long as the rest still is that
	checked   bool   // passed Check, embedded signatures and all
	authentic bool   // its own signature or a successor's was verified
}

// The cores as they travel (SPEC.md R5). Evolution: never; a change is a new
// version, which parks.
type (
	controlCore struct {
		_       struct{} `cbor:",toarray"`
		V       uint64
		Chain   uint64
		Inc     wire.OptID
		Seq     uint64
		Prev    wire.OptID
		Parents []wire.OpID
		HLC     uint64
		Kind    uint64
		Body    wire.Raw
		Ext     wire.Raw
	}
	contentCore struct {
		_      struct{} `cbor:",toarray"`
		V      uint64
		Chain  uint64
		Inc    wire.OptID
		Seq    uint64
		Prev   wire.OptID
		Heads  []wire.OpID
		HLC    uint64
		EID    [32]byte
		Salt   [16]byte
		CtLen  uint64
		CtHash []byte // 32 bytes; empty in the AAD
	}
	kemCore struct {
		_     struct{} `cbor:",toarray"`
		V     uint64
		Chain uint64
		Inc   wire.OptID
		Seq   uint64
		Prev  wire.OptID
		HLC   uint64
		Gen   uint64
		Hash  [32]byte
	}
	opPlace struct {
		_       struct{} `cbor:",toarray"`
		Inc     wire.OptID
		Seq     uint64
		Prev    wire.OptID
		Parents []wire.OpID
	}
)

// emptyExt is the only ext of version 1: an empty byte string.
var emptyExt = wire.Raw{0x40}

// IncID is the incarnation that wrote o; a genesis is its own.
func (o *Op) IncID() wire.OpID {
	if id, ok := o.Inc.Get(); ok {
		return id
	}
	return o.ID
}

// Frame encodes o as it travels and is stored: core, signature, and what is
// detachable. An unsigned operation has 64 zero bytes for a signature, which
// under no usable key is one. It is not to be changed.
func (o *Op) Frame() []byte {
	if n := len(o.Core); len(o.frame) == n+sigLen+len(o.Cipher) && wire.Sig(o.frame[n:n+sigLen]) == o.Sig {
		return o.frame
	}
	b := make([]byte, 0, len(o.Core)+sigLen+len(o.Cipher))
	b = append(b, o.Core...)
	b = append(b, o.Sig[:]...)
	return append(b, o.Cipher...)
}

// Ctx is SHA-256(CBOR [inc, seq, prev, parents]): the place of a rekey, which
// its secrets are bound to.
func (o *Op) Ctx() [32]byte { return placeHash(o.Inc, o.Seq, o.Prev, o.Heads) }

func placeHash(inc wire.OptID, seq uint64, prev wire.OptID, parents []wire.OpID) [32]byte {
	return sha256.Sum256(wire.Marshal(opPlace{Inc: inc, Seq: seq, Prev: prev, Parents: parents}))
}

// Whole tells whether nothing detachable is missing.
func (o *Op) Whole() bool { return o.Chain == Control || len(o.Cipher) > 0 }

// Fill puts a detached ciphertext or KEM key back into a stored operation;
// it is refused unless it is the one the core names.
func (o *Op) Fill(cipher []byte) *Refusal {
	if r := o.checkCipher(cipher); r != nil {
		return r
	}
	o.Cipher = cipher
	return nil
}

// Decode reads a frame: bytes to typed, canonical and within bounds (R1–R9).
// What is detachable may be missing, never partial. Of an unknown version
// only ID and Core are known; Update is set.
func Decode(frame []byte) (*Op, *Refusal) {
	if o, ok := readContent(frame); ok {
		return o, nil
	}
	return decode(frame, wire.Unmarshal)
}

// Reread is Decode of an operation from this device's own disk: that its
// encoding is the canonical one was found when it was stored (R2).
func Reread(frame []byte) (*Op, *Refusal) {
	if o, ok := readContent(frame); ok {
		return o, nil
	}
	return decode(frame, wire.Reread)
}

func decode(frame []byte, unmarshal func([]byte, any) error) (*Op, *Refusal) {
	core, rest, r := splitCore(frame)
	if r != nil {
		return nil, r
	}
	if len(rest) < sigLen {
		return nil, refuse(ReasonMalformed, "signature of %d bytes", len(rest))
	}
	o, r := decodeCore(core, unmarshal)
	if r != nil {
		return nil, r
	}
	o.Sig = wire.Sig(rest[:sigLen])
	o.Signed = o.Sig != wire.Sig{}
	return o.withCipher(rest[sigLen:])
}

// FrameSigned tells whether a stored frame carries a signature of its own,
// without decoding it.
func FrameSigned(frame []byte) bool {
	r := wire.Read(frame)
	if r.Raw(); r.OK() {
		rest := frame[r.At():]
		return len(rest) >= sigLen && wire.Sig(rest[:sigLen]) != wire.Sig{}
	}
	_, rest, err := wire.First(frame)
	return err == nil && len(rest) >= sigLen && wire.Sig(rest[:sigLen]) != wire.Sig{}
}

// DecodeUnsigned reads a frame of a segment that leaves inner signatures out:
// core, then what is detachable. CheckSegment makes it authentic.
func DecodeUnsigned(frame []byte) (*Op, *Refusal) {
	core, rest, r := splitCore(frame)
	if r != nil {
		return nil, r
	}
	o, r := decodeCore(core, wire.Unmarshal)
	if r != nil {
		return nil, r
	}
	return o.withCipher(rest)
}

func splitCore(frame []byte) (core, rest []byte, _ *Refusal) {
	if len(frame) > MaxFrame {
		return nil, nil, refuse(ReasonTooLarge, "frame of %d bytes, at most %d", len(frame), MaxFrame)
	}
	core, rest, err := wire.First(frame)
	if err != nil {
		return nil, nil, refuse(ReasonMalformed, "%v", err)
	}
	if len(core) > MaxControlCore {
		return nil, nil, refuse(ReasonTooLarge, "core of %d bytes, at most %d", len(core), MaxControlCore)
	}
	// An array of 2 to 23 elements, whose first two are version and chain.
	if core[0] < 0x82 || core[0] > 0x97 {
		return nil, nil, refuse(ReasonMalformed, "core begins with %#x", core[0])
	}
	return bytes.Clone(core), rest, nil
}

func decodeCore(core []byte, unmarshal func([]byte, any) error) (*Op, *Refusal) {
	o := &Op{ID: wire.Hash(core), Core: core}
	if core[1] != Version {
		if err := wire.Canonical(core); err != nil {
			return nil, refuse(ReasonMalformed, "%v", err)
		}
		o.Update = true
		return o, nil
	}
	o.Version = Version
	var r *Refusal
	switch core[2] {
	case byte(Control):
		r = o.decodeControl(unmarshal)
	case byte(Content):
		r = o.decodeContent()
	case byte(KEM):
		r = o.decodeKEM()
	default:
		return nil, refuse(ReasonMalformed, "chain %#x", core[2])
	}
	if r != nil {
		return nil, r
	}
	return o, nil
}

func (o *Op) decodeControl(unmarshal func([]byte, any) error) *Refusal {
	var c controlCore
	if err := unmarshal(o.Core, &c); err != nil {
		return refuse(ReasonMalformed, "%v", err)
	}
	o.Chain, o.Inc, o.Seq, o.Prev, o.Heads, o.HLC = Control, c.Inc, c.Seq, c.Prev, c.Parents, c.HLC
	o.Kind = Kind(c.Kind)
	if o.Kind == KindGenesis {
		if len(c.Inc) != 0 || c.Seq != 0 || len(c.Prev) != 0 || len(c.Parents) != 0 {
			return refuse(ReasonMalformed, "a genesis that follows something")
		}
		if c.HLC >= wire.MaxMs {
			return refuse(ReasonOutOfBounds, "clock %d", c.HLC)
		}
	} else if r := o.checkPlace(); r != nil {
		return r
	}
	if !bytes.Equal(c.Ext, emptyExt) {
		if err := wire.Canonical(c.Ext); err != nil {
			return refuse(ReasonMalformed, "ext: %v", err)
		}
		o.Update = true
	}
	body := newBody(o.Kind)
	if body == nil {
		o.Update = true
	}
	if o.Update {
		// The fields are what is judged: a body of this version with an ext we
		// do not understand may mean anything.
		if err := wire.Canonical(c.Body); err != nil {
			return refuse(ReasonBadBody, "%v", err)
		}
		return nil
	}
	if err := unmarshal(c.Body, body); err != nil {
		return refuse(ReasonBadBody, "%v: %v", o.Kind, err)
	}
	if r := body.bounds(); r != nil {
		return r
	}
	o.Body = body
	return nil
}

func (o *Op) decodeContent() *Refusal {
	if len(o.Core) > MaxContentCore {
		return refuse(ReasonTooLarge, "content core of %d bytes, at most %d", len(o.Core), MaxContentCore)
	}
	var c contentCore
	if err := wire.Unmarshal(o.Core, &c); err != nil {
		return refuse(ReasonMalformed, "%v", err)
	}
	if len(c.CtHash) != 32 {
		return refuse(ReasonMalformed, "ciphertext hash of %d bytes", len(c.CtHash))
	}
	if c.CtLen < minCipher || c.CtLen > maxCipher {
		return refuse(ReasonOutOfBounds, "ciphertext of %d bytes", c.CtLen)
	}
	o.Chain, o.Inc, o.Seq, o.Prev, o.Heads, o.HLC = Content, c.Inc, c.Seq, c.Prev, c.Heads, c.HLC
	o.EID, o.Salt, o.CtLen, o.CtHash = c.EID, c.Salt, c.CtLen, [32]byte(c.CtHash)
	return o.checkPlace()
}

func (o *Op) decodeKEM() *Refusal {
	if len(o.Core) > MaxKEMCore {
		return refuse(ReasonTooLarge, "kem core of %d bytes, at most %d", len(o.Core), MaxKEMCore)
	}
	var c kemCore
	if err := wire.Unmarshal(o.Core, &c); err != nil {
		return refuse(ReasonMalformed, "%v", err)
	}
	o.Chain, o.Inc, o.Seq, o.Prev, o.HLC = KEM, c.Inc, c.Seq, c.Prev, c.HLC
	o.Gen, o.KemHash = c.Gen, c.Hash
	if c.Gen != c.Seq || c.Gen > 1<<32-1 {
		return refuse(ReasonOutOfBounds, "kem generation %d at seq %d", c.Gen, c.Seq)
	}
	return o.checkPlace()
}

// checkPlace judges inc, seq, prev, heads and clock by themselves (R6, R7).
func (o *Op) checkPlace() *Refusal {
	switch {
	case len(o.Inc) != 32:
		return refuse(ReasonMalformed, "inc of %d bytes", len(o.Inc))
	case o.Seq == 0 || o.Seq >= maxSeq:
		return refuse(ReasonOutOfBounds, "seq %d", o.Seq)
	case o.Seq == 1 && len(o.Prev) != 0, o.Seq > 1 && len(o.Prev) != 32:
		return refuse(ReasonMalformed, "prev of %d bytes at seq %d", len(o.Prev), o.Seq)
	case o.HLC >= wire.MaxMs:
		return refuse(ReasonOutOfBounds, "clock %d", o.HLC)
	}
	if o.Chain == KEM {
		return nil
	}
	if len(o.Heads) == 0 || len(o.Heads) > MaxParents {
		return refuse(ReasonOutOfBounds, "%d heads", len(o.Heads))
	}
	for i := 1; i < len(o.Heads); i++ {
		if bytes.Compare(o.Heads[i-1][:], o.Heads[i][:]) >= 0 {
			return refuse(ReasonNotAntichain, "head %d out of order", i)
		}
	}
	return nil
}

func (o *Op) withCipher(rest []byte) (*Op, *Refusal) {
	if len(rest) == 0 || o.Version != Version {
		// What follows in a newer version is unknown; its id is not.
		return o, nil
	}
	if r := o.checkCipher(rest); r != nil {
		return nil, r
	}
	o.Cipher = bytes.Clone(rest)
	return o, nil
}

func (o *Op) checkCipher(c []byte) *Refusal {
	switch o.Chain {
	case Content:
		if uint64(len(c)) != o.CtLen || sha256.Sum256(c) != o.CtHash {
			return refuse(ReasonMalformed, "another ciphertext of %d bytes", len(c))
		}
	case KEM:
		if len(c) != seal.KEMPublicLen || sha256.Sum256(c) != o.KemHash {
			return refuse(ReasonMalformed, "another kem key of %d bytes", len(c))
		}
	default:
		return refuse(ReasonMalformed, "%d bytes after the signature", len(c))
	}
	return nil
}
