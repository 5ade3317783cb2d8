package groups

import (
	"bytes"

	"mutuals/identity/wire"
)

const (
	// MaxRunOps bounds the operations of a run: what one signature at its end
	// checks, and what is lost with one message of GossipSub.
	MaxRunOps = 64
	// MaxRunBytes bounds what they weigh, so that a run is never the largest
	// message on a topic: a lone control operation may be.
	MaxRunBytes = 64 << 10
	// runByte begins a run: an array of one. A core begins with an array of two
	// elements at least.
	runByte = 0x81
)

// runFrame is a run as it travels (SPEC.md R9): consecutive operations of one
// content chain, oldest first. The signature stands between core and
// ciphertext only where Op.signedInRun says so. Evolution: never.
type runFrame struct {
	_      struct{} `cbor:",toarray"`
	Frames [][]byte
}

// signedInRun tells whether an operation of a run carries its signature: the
// last does, which makes the others authentic, and those that evidence of a
// contradiction is made of (R45).
func signedInRun(seq uint64, last bool) bool { return last || seq%SignedEvery == 0 }

// EncodeGossip encodes operations as one message of gossip: one of any kind, or
// some that SplitRuns put together.
func EncodeGossip(ops []*Op) []byte {
	if len(ops) == 1 {
		return ops[0].Frame()
	}
	var run runFrame
	for i, o := range ops {
		f := append(make([]byte, 0, len(o.Core)+sigLen+len(o.Cipher)), o.Core...)
		if signedInRun(o.Seq, i == len(ops)-1) {
			f = append(f, o.Sig[:]...)
		}
		run.Frames = append(run.Frames, append(f, o.Cipher...))
	}
	return wire.Marshal(run)
}

// SplitRuns parts own operations into messages of gossip, in their order: what
// continues one content chain goes together, as far as the bounds of a run
// allow; every other operation goes alone.
func SplitRuns(ops []*Op) [][]*Op {
	var out [][]*Op
	weight := 0
	for _, o := range ops {
		size := len(o.Core) + sigLen + len(o.Cipher)
		if n := len(out); n > 0 {
			run := out[n-1]
			if last := run[len(run)-1]; runsOn(last, o) == nil && last.Chain == Content && last.Signed && o.Signed &&
				len(run) < MaxRunOps && weight+size <= MaxRunBytes {
				out[n-1] = append(run, o)
				weight += size
				continue
			}
		}
		out, weight = append(out, []*Op{o}), size
	}
	return out
}

// DecodeGossip reads a message of gossip: one operation, or a run. Each carries
// all that is detachable, and its signature where it has to (R9). Whether what
// it says is authentic AuthenticateRun tells.
func DecodeGossip(frame []byte) ([]*Op, *Refusal) {
	if len(frame) == 0 || frame[0] != runByte {
		o, r := Decode(frame)
		if r != nil {
			return nil, r
		}
		if !o.Update && !o.Whole() {
			return nil, refuse(ReasonMalformed, "nothing after the signature")
		}
		return []*Op{o}, nil
	}
	if len(frame) > MaxRunBytes+8*MaxRunOps {
		return nil, refuse(ReasonTooLarge, "run of %d bytes", len(frame))
	}
	var run runFrame
	if err := wire.Unmarshal(frame, &run); err != nil {
		return nil, refuse(ReasonMalformed, "%v", err)
	}
	if n := len(run.Frames); n < 2 || n > MaxRunOps {
		return nil, refuse(ReasonMalformed, "run of %d operations", n)
	}
	ops := make([]*Op, 0, len(run.Frames))
	for i, f := range run.Frames {
		o, r := decodeInRun(f, i == len(run.Frames)-1)
		if r != nil {
			return nil, r
		}
		if i > 0 {
			if r := runsOn(ops[i-1], o); r != nil {
				return nil, r
			}
		}
		ops = append(ops, o)
	}
	return ops, nil
}

func decodeInRun(frame []byte, last bool) (*Op, *Refusal) {
	o, rest, r := coreInRun(frame)
	switch {
	case r != nil:
		return nil, r
	case o.Version != Version:
		return nil, refuse(ReasonUpdateNeeded, "version")
	case o.Chain != Content:
		return nil, refuse(ReasonMalformed, "a run of what is no content")
	}
	if signedInRun(o.Seq, last) {
		if len(rest) < sigLen {
			return nil, refuse(ReasonMalformed, "signature of %d bytes", len(rest))
		}
		o.Sig, rest = wire.Sig(rest[:sigLen]), rest[sigLen:]
		if o.Signed = o.Sig != (wire.Sig{}); !o.Signed {
			return nil, refuse(ReasonMalformed, "no signature at seq %d in a run", o.Seq)
		}
	}
	if len(rest) == 0 {
		return nil, refuse(ReasonMalformed, "seq %d in a run without its ciphertext", o.Seq)
	}
	return o.withCipher(rest)
}

func coreInRun(frame []byte) (o *Op, rest []byte, _ *Refusal) {
	if len(frame) <= MaxFrame {
		own := bytes.Clone(frame)
		if o, ok := contentCoreOf(own); ok {
			o.ID = wire.Hash(o.Core)
			return o, own[len(o.Core):], nil
		}
	}
	core, rest, r := splitCore(frame)
	if r != nil {
		return nil, nil, r
	}
	o, r = decodeCore(core, wire.Unmarshal)
	return o, rest, r
}

// AuthenticateRun verifies what DecodeGossip read ahead of Check, which then
// does not do it again: gossip is judged before the log has its turn. key is
// the operating key of the operations' incarnation, which never changes. All
// the signatures of a run must hold: its author left out the others.
func AuthenticateRun(group wire.GroupID, key wire.DeviceID, ops []*Op) bool {
	for i := len(ops) - 1; i >= 0; i-- {
		if o := ops[i]; o.Signed && !o.Authenticate(group, key) {
			return false
		}
	}
	for _, o := range ops[:len(ops)-1] {
		o.authentic = true // the last one leads back to it
	}
	return ops[len(ops)-1].authentic
}
