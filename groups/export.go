package groups

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
)

// ExportVersion is of the lines of an export (EXPORT.md).
const ExportVersion = 1

// MaxExportLine bounds a line: the longest is an operation's frame in base64
// beside its text, each letter of it escaped.
const MaxExportLine = 1 << 20

// MaxExportControl bounds the control and KEM operations of one export, which
// are all held while it is verified: 25 times what a group of years was measured
// with.
const MaxExportControl = 100_000

// ExportHeader is the first line: whose view of which group, and of when.
type ExportHeader struct {
	Version int            `json:"mutuals_export"`
	Group   wire.GroupID   `json:"group"`
	At      time.Time      `json:"at"`
	Account wire.AccountID `json:"account"`
	Device  wire.DeviceID  `json:"device"`
	Chain   []byte         `json:"chain"`
}

// exportOp is the line of a control or KEM operation.
type exportOp struct {
	Operation exportAct `json:"operation"`
	Frame     []byte    `json:"frame"`
}

type exportAct struct {
	ID     wire.OpID      `json:"id"`
	Kind   string         `json:"kind"`
	Author wire.AccountID `json:"author,omitzero"`
	At     time.Time      `json:"at"`
}

// exportMember is the line of a member, as the operations resolve.
type exportMember struct {
	Member exportSeat `json:"member"`
}

type exportSeat struct {
	Account  wire.AccountID `json:"account"`
	Role     string         `json:"role"`
	Status   string         `json:"status"`
	Inviter  wire.AccountID `json:"inviter,omitzero"`
	JoinedAt time.Time      `json:"joined_at"`
}

// exportSaid is the line of a content operation; without a key it is shut.
type exportSaid struct {
	Message ExportMessage `json:"message"`
	Frame   []byte        `json:"frame"`
	Key     []byte        `json:"key,omitempty"`
}

// ExportMessage is what a content operation says.
type ExportMessage struct {
	ID          wire.OpID        `json:"id"`
	Author      wire.AccountID   `json:"author"`
	Device      wire.DeviceID    `json:"device"`
	Seq         uint64           `json:"seq"`
	SentAt      time.Time        `json:"sent_at"`
	Kind        string           `json:"kind"` // text, profile, group-info, moderation, newer, malformed, pruned or locked
	Text        string           `json:"text,omitempty"`
	ReplyTo     wire.OpID        `json:"reply_to,omitzero"`
	Mentions    []wire.AccountID `json:"mentions,omitempty"`
	Name        string           `json:"name,omitempty"`        // of a profile or a group-info
	Description string           `json:"description,omitempty"` // of a group-info
	// Folded: it was said past what a removal or a silence left its author.
	Folded bool `json:"folded,omitempty"`
}

// exportEnd is the last line.
type exportEnd struct {
	End exportSeal `json:"end"`
}

type exportSeal struct {
	Lines  int    `json:"lines"` // before it
	SHA256 string `json:"sha256"`
	Sig    []byte `json:"signature"`
}

// exportCore is what the exporting device signs, under the group.
type exportCore struct {
	_      struct{} `cbor:",toarray"`
	V      uint64
	Group  wire.GroupID
	By     wire.DeviceID
	Lines  uint64
	SHA256 [32]byte
}

// Export turns operations into lines, and lines back into what they must be:
// who writes an export and who verifies one go the same way.
type Export struct {
	head  ExportHeader
	log   *Log
	run   []*Op // of one content chain, up to a signed one
	keys  []*seal.MessageKey
	at    wire.OpID // whose chain it is
	last  *Op
	phase int
	found ExportSummary
}

// Phases of an export, in this order.
const (
	exportControl = iota
	exportMembers
	exportContent
)

// ExportSummary is what an export holds.
type ExportSummary struct {
	Header     ExportHeader
	Lines      int
	Operations int
	Members    int
	Messages   int
	Locked     int // messages without a key
	Pruned     int // messages without a body, which the exporter keeps no more
	Incomplete int // chains whose beginning is not in it
}

// NewExport begins an export.
func NewExport(h ExportHeader) (*Export, error) {
	if h.Version != ExportVersion {
		return nil, fmt.Errorf("%w: export of version %d", identity.ErrNewer, h.Version)
	}
	var chain identity.Chain
	if err := wire.Unmarshal(h.Chain, &chain); err != nil {
		return nil, fmt.Errorf("reading the certificate: %w", err)
	}
	leaf, err := chain.Verify()
	if err != nil {
		return nil, fmt.Errorf("reading the certificate: %w", err)
	}
	if leaf.Account != h.Account || leaf.OpKey != h.Device {
		return nil, errors.New("the certificate is of another device")
	}
	return &Export{head: h, found: ExportSummary{Header: h}}, nil
}

// Header gives the first line.
func (x *Export) Header() []byte { return exportLine(x.head) }

// Control takes a control or KEM operation, in an order in which each holds by
// those before it, genesis first, and gives its line.
func (x *Export) Control(frame []byte) ([]byte, error) {
	if x.phase != exportControl {
		return nil, errors.New("a control operation after the members")
	}
	if x.found.Operations == MaxExportControl {
		return nil, refuse(ReasonTooLarge, "more than %d control operations", MaxExportControl)
	}
	o, refusal := Decode(frame)
	if refusal != nil {
		return nil, refusal
	}
	if x.log == nil {
		if x.log, refusal = Found(o); refusal != nil {
			return nil, refusal
		}
		if x.log.group != x.head.Group {
			return nil, refuse(ReasonWrongGroup, "genesis of %s", x.log.group.Short())
		}
	} else {
		if o.Chain == Content {
			return nil, refuse(ReasonMalformed, "a message among the control operations")
		}
		switch j := x.log.JudgePast(o, wire.MaxMs-MaxAheadMs); j.Verdict {
		case Accept, Void:
			x.log.Apply(o)
		default:
			return nil, &Refusal{Reason: j.Reason, Detail: j.Detail}
		}
	}
	x.found.Operations++
	act := exportAct{ID: o.ID, Kind: "kem", At: exportTime(o.HLC)}
	if o.Chain == Control {
		act.Kind = o.Kind.String()
	}
	if inc, ok := x.log.State().Inc(o.IncID()); ok {
		act.Author = inc.Account
	}
	return exportLine(exportOp{Operation: act, Frame: o.Frame()}), nil
}

// Members gives the lines of the members; no control operation may follow.
func (x *Export) Members() ([][]byte, error) {
	if x.phase != exportControl || x.log == nil {
		return nil, errors.New("no group before the members")
	}
	x.phase = exportMembers
	var out [][]byte
	for _, m := range x.log.State().Members() {
		out = append(out, exportLine(exportMember{exportSeat{
			Account: m.Account, Role: m.Role.String(), Status: m.Status.String(), Inviter: m.Inviter, JoinedAt: exportTime(m.JoinedMs),
		}}))
	}
	x.found.Members = len(out)
	x.phase = exportContent
	return out, nil
}

// Content takes the next operation of a content chain, and the key that opens
// it if there is one; when a signed one ends a run it gives the lines of the
// whole run.
func (x *Export) Content(frame []byte, key *seal.MessageKey) ([][]byte, error) {
	if x.phase != exportContent {
		return nil, errors.New("a message before the members")
	}
	o, refusal := Decode(frame)
	if refusal != nil {
		return nil, refusal
	}
	if o.Chain != Content {
		return nil, refuse(ReasonMalformed, "%v among the messages", o)
	}
	switch {
	case x.last == nil || x.last.IncID() != o.IncID():
		if len(x.run) > 0 {
			return nil, refuse(ReasonMalformed, "a chain that ends without a signature")
		}
		if o.Seq > 1 {
			x.found.Incomplete++
		}
	default:
		if r := runsOn(x.last, o); r != nil {
			return nil, r
		}
	}
	if len(x.run) == MaxSegmentOps {
		return nil, refuse(ReasonMalformed, "%d operations without a signed one", MaxSegmentOps)
	}
	x.run, x.keys, x.last = append(x.run, o), append(x.keys, key), o
	if !o.Signed {
		return nil, nil
	}
	run, keys := x.run, x.keys
	x.run, x.keys = nil, nil
	frames := make([][]byte, len(run))
	for i, o := range run {
		frames[i] = o.Frame()
	}
	if r := x.log.CheckServed(run); r != nil {
		return nil, r
	}
	out := make([][]byte, len(run))
	for i, o := range run {
		m, err := x.said(o, keys[i])
		if err != nil {
			return nil, err
		}
		line := exportSaid{Message: m, Frame: frames[i]}
		if keys[i] != nil {
			line.Key = keys[i][:]
		}
		out[i] = exportLine(line)
	}
	return out, nil
}

// said judges an authentic operation by all that is known, and reads it.
func (x *Export) said(o *Op, key *seal.MessageKey) (ExportMessage, error) {
	inc, _ := x.log.State().Inc(o.IncID())
	m := ExportMessage{ID: o.ID, Author: inc.Account, Device: inc.Device, Seq: o.Seq, SentAt: exportTime(o.HLC), Kind: "locked"}
	switch j := x.log.JudgeHistory(o); {
	case j.Verdict == Accept:
	case j.Verdict == Void, j.Verdict == Ignore:
		m.Folded = true
	default:
		return m, &Refusal{Reason: j.Reason, Detail: j.Detail}
	}
	x.found.Messages++
	if !o.Whole() {
		if key != nil {
			return m, fmt.Errorf("a key of %v, whose body is not there", o)
		}
		m.Kind = "pruned"
		x.found.Pruned++
		return m, nil
	}
	if key == nil {
		x.found.Locked++
		return m, nil
	}
	plain, err := key.Open(ContentAAD(x.head.Group, o), o.Cipher)
	if err != nil {
		return m, fmt.Errorf("the key of %v does not open it", o)
	}
	m.read(plain)
	return m, nil
}

// read fills in what was said.
func (m *ExportMessage) read(b []byte) {
	m.Kind = "malformed"
	p, err := DecodePlain(b)
	if err != nil {
		return
	}
	switch p.Kind {
	case ContentText:
		if t, err := DecodeText(p.Payload); err == nil {
			m.Kind, m.Text, m.Mentions = "text", t.Text, t.Mentions
			m.ReplyTo, _ = t.ReplyTo.Get()
		}
	case ContentProfile:
		c, err := DecodeProfileContent(p.Payload)
		if err != nil {
			return
		}
		if s, err := identity.DecodeProfile(c.Signed); err == nil && s.Verify() == nil && s.Profile.Account == m.Author {
			m.Kind, m.Name = "profile", s.Profile.Name
		}
	case ContentGroupInfo:
		if g, err := DecodeGroupInfo(p.Payload); err == nil {
			m.Kind, m.Name, m.Description = "group-info", g.Name, g.Description
		}
	case ContentModeration:
		if w, err := DecodeModeration(p.Payload); err == nil {
			m.Kind, m.Text = "moderation", w.Reason
		}
	default:
		m.Kind = "newer"
	}
}

// Core is what the exporting device signs once that many lines with that hash
// were written (wire.DomainExport, the group as context).
func (x *Export) Core(lines int, sum [32]byte) []byte {
	return wire.Marshal(exportCore{V: ExportVersion, Group: x.head.Group, By: x.head.Device, Lines: uint64(lines), SHA256: sum})
}

// End gives the last line. It refuses an export whose last chain breaks off
// before a signature.
func (x *Export) End(lines int, sum [32]byte, sig wire.Sig) ([]byte, error) {
	if x.phase != exportContent || len(x.run) > 0 {
		return nil, errors.New("the export is not complete")
	}
	x.found.Lines = lines + 1
	return exportLine(exportEnd{exportSeal{Lines: lines, SHA256: hex.EncodeToString(sum[:]), Sig: sig[:]}}), nil
}

// Summary tells what was taken in.
func (x *Export) Summary() ExportSummary { return x.found }

func exportTime(ms uint64) time.Time { return time.UnixMilli(int64(ms)).UTC() }

// exportLine is one value as compact JSON and a line feed.
func exportLine(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("internal error: encoding a line of an export: " + err.Error())
	}
	return b.Bytes()
}
