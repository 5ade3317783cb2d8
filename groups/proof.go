package groups

import (
	"errors"
	"fmt"
	"slices"

	"mutuals/identity/wire"
)

const (
	proofVersion = 1
	// proofName stands in every proof, so that no other list is taken for one.
	proofName = "mutuals-proof"
)

// Proof is what shows, to somebody with nothing else, that an account and the
// one it came through both agreed (R60). It names every account on the way.
// Evolution: never; another shape has another version.
type Proof struct {
	_     struct{} `cbor:",toarray"`
	V     uint64
	Name  string
	Group wire.GroupID
	// Admit let the account in; the founder's is the genesis.
	Admit wire.OpID
	// Frames are the operations it rests on, oldest first, itself last.
	Frames [][]byte
}

// Why a proof cannot be made.
var (
	// ErrNotAdmitted: the account was never let in validly, as far as this log
	// knows.
	ErrNotAdmitted = errors.New("never let in")
	// ErrProofSignature: an operation came here inside a signed segment, without
	// a signature of its own, and a proof needs one.
	ErrProofSignature = errors.New("a signature is not held here")
	// ErrProofTooLarge: the way from the founder is longer than a proof may be.
	ErrProofTooLarge = errors.New("proof too large")
)

// Proof collects what shows how an account came in: its newest admission that
// counts, also of somebody who has left. The error is ErrNotAdmitted,
// ErrProofSignature or ErrProofTooLarge.
func (l *Log) Proof(a wire.AccountID) (Proof, error) {
	m, ok := l.State().Member(a)
	if !ok {
		return Proof{}, ErrNotAdmitted
	}
	via, _ := l.g.find(m.Via)
	p := Proof{V: proofVersion, Name: proofName, Group: l.group, Admit: m.Via}
	for _, o := range opsOf(l.g.nodes, l.g.way(via)) {
		if !o.Signed {
			return Proof{}, fmt.Errorf("%w: of %v", ErrProofSignature, o)
		}
		p.Frames = append(p.Frames, o.Frame())
	}
	if len(p.Frames) > MaxProofFrames || len(p.Encode()) > MaxProof {
		return Proof{}, fmt.Errorf("%w: %d operations", ErrProofTooLarge, len(p.Frames))
	}
	return p, nil
}

// Encode gives the bytes of the proof: the exported file.
func (p Proof) Encode() []byte { return wire.Marshal(p) }

// DecodeProof reads a proof's form and bounds; [VerifyProof] tells whether it
// holds. The error is a *ProofError.
func DecodeProof(b []byte) (Proof, error) {
	var p Proof
	if len(b) > MaxProof {
		return p, proofFails(-1, refuse(ReasonTooLarge, "proof of %d bytes, at most %d", len(b), MaxProof))
	}
	if err := wire.Unmarshal(b, &p); err != nil {
		return Proof{}, proofFails(-1, refuse(ReasonMalformed, "%v", err))
	}
	switch {
	case p.Name != proofName:
		return Proof{}, proofFails(-1, refuse(ReasonMalformed, "not a proof"))
	case p.V != proofVersion:
		return Proof{}, proofFails(-1, refuse(ReasonUpdateNeeded, "proof of version %d", p.V))
	case len(p.Frames) == 0:
		return Proof{}, proofFails(-1, refuse(ReasonMalformed, "a proof without operations"))
	}
	return p, nil
}

// ProofError says where a proof fails, and why.
type ProofError struct {
	// Frame counts from 0; -1 when it is the proof as a whole.
	Frame   int
	Refusal *Refusal
}

func (e *ProofError) Error() string {
	if e.Frame < 0 {
		return "the proof does not hold: " + e.Refusal.Error()
	}
	return fmt.Sprintf("the proof does not hold: operation %d: %v", e.Frame+1, e.Refusal)
}

// Unwrap gives the *Refusal.
func (e *ProofError) Unwrap() error { return e.Refusal }

func proofFails(frame int, r *Refusal) error { return &ProofError{Frame: frame, Refusal: r} }

// VerifyProof judges a proof with nothing but its bytes (R61–R64): every id,
// signature, certificate chain and proof of possession, and that request,
// invite and admission fit each other. What it does not show stands at
// [Consent]. The error is a *ProofError.
func VerifyProof(b []byte) (Consent, error) {
	p, err := DecodeProof(b)
	if err != nil {
		return Consent{}, err
	}
	ops := make([]*Op, len(p.Frames))
	for i, f := range p.Frames {
		o, r := Decode(f)
		if r != nil {
			return Consent{}, proofFails(i, r)
		}
		ops[i] = o
	}
	l, r := Found(ops[0])
	if r != nil {
		return Consent{}, proofFails(0, r)
	}
	if l.group != p.Group {
		return Consent{}, proofFails(0, refuse(ReasonWrongGroup, "genesis of %s", l.group.Short()))
	}
	path := &Path{Group: l.group, byID: map[wire.OpID]*node{ops[0].ID: l.g.nodes[0]}, invite: map[wire.OpID]*InviteBody{}}
	for i, o := range ops[1:] {
		if path.byID[o.ID] != nil {
			return Consent{}, proofFails(i+1, refuse(ReasonDuplicate, "%v", o))
		}
		if r := l.checkOnPath(path, o); r != nil {
			return Consent{}, proofFails(i+1, r)
		}
		if r := path.checkTimes(o); r != nil {
			return Consent{}, proofFails(i+1, r)
		}
		if r := path.checkRooted(o); r != nil {
			return Consent{}, proofFails(i+1, r)
		}
	}
	if r := path.restsOnAll(p.Admit, ops); r != nil {
		return Consent{}, proofFails(-1, r)
	}
	return path.consent(p.Admit, ops), nil
}

// checkTimes: nothing is older than what it rests on, an admission is within
// its invite's time, and a request within seven days (R63).
func (p *Path) checkTimes(o *Op) *Refusal {
	if at := p.byID[o.IncID()].op.HLC; at > o.HLC {
		return refuse(ReasonClockBehind, "%d ms behind its inc", at-o.HLC)
	}
	var q JoinRequest
	switch b := o.Body.(type) {
	case *AdmitBody:
		q = b.Request
	case *DevAddBody:
		if len(b.Request) == 0 {
			return nil
		}
		q, _ = b.request()
	default:
		return nil
	}
	if q.Ms+RequestMs < o.HLC || q.Ms > o.HLC+MaxAheadMs {
		return refuse(ReasonRequestOld, "request of %d, %v of %d", q.Ms, o.Kind, o.HLC)
	}
	if id, ok := q.Invite.Get(); ok {
		switch invite := p.byID[id]; {
		case invite.op.HLC > o.HLC:
			return refuse(ReasonClockBehind, "%d ms behind its invite", invite.op.HLC-o.HLC)
		case p.invite[id].NotAfterMs < o.HLC:
			return refuse(ReasonInviteExpired, "%d ms before", o.HLC-p.invite[id].NotAfterMs)
		}
	}
	return nil
}

// checkRooted: the account of an added device came in before (R61).
func (p *Path) checkRooted(o *Op) *Refusal {
	n := p.byID[o.ID]
	if n.op.Kind == KindDevAdd && len(p.admissionsOf(n.account)) == 0 {
		return refuse(ReasonNotAMember, "account %s", n.account.Short())
	}
	return nil
}

// admissionsOf lists what on the path let an account in.
func (p *Path) admissionsOf(a wire.AccountID) []wire.OpID {
	var out []wire.OpID
	for id, n := range p.byID {
		if n.isAdmission() && n.account == a {
			out = append(out, id)
		}
	}
	return out
}

// restsOnAll: the operation named let an account in, and everything in the
// proof is something it rests on (R64).
func (p *Path) restsOnAll(admit wire.OpID, ops []*Op) *Refusal {
	last := ops[len(ops)-1]
	if last.ID != admit || last.Kind != KindAdmit && last.Kind != KindGenesis {
		return refuse(ReasonMalformed, "the last operation is %v, not the admission", last)
	}
	need := map[wire.OpID]bool{ops[0].ID: true, admit: true}
	for _, o := range slices.Backward(ops) {
		if !need[o.ID] {
			return refuse(ReasonMalformed, "%v has nothing to do with it", o)
		}
		need[o.IncID()] = true
		switch b := o.Body.(type) {
		case *AdmitBody:
			if id, ok := b.Request.Invite.Get(); ok {
				need[id] = true
			}
		case *DevAddBody:
			for _, id := range p.admissionsOf(b.Account) {
				need[id] = true
			}
		}
	}
	return nil
}
