package groups_test

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"testing"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
)

var update = flag.Bool("update", false, "write vectors that are missing from testdata/vectors; old ones never change")

const opVectors = "testdata/vectors/ops.json"

// opVector is one frame of a story, in order: what Decode and then Judge say
// of it, given the frames before that were accepted.
type opVector struct {
	Name    string `json:"name"`
	NowMs   uint64 `json:"now_ms"`
	Frame   string `json:"frame"`
	ID      string `json:"id,omitempty"` // when it decodes
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
}

func TestOpVectors(t *testing.T) { climbVectors(t, opVectors, tell) }

// climbVectors takes a file of frames up the ladder, one after the other.
func climbVectors(t *testing.T, file string, tell func(*testing.T) *story) {
	if *update {
		writeVectors(t, file, tell)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []opVector
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	var l *groups.Log
	for _, v := range list {
		frame, err := hex.DecodeString(v.Frame)
		if err != nil {
			t.Fatal(err)
		}
		var got opVector
		l, got = climb(l, frame, v.NowMs)
		if got.ID != v.ID || got.Verdict != v.Verdict || got.Reason != v.Reason {
			t.Errorf("%s: %s %s %s, want %s %s %s", v.Name, got.ID, got.Verdict, got.Reason, v.ID, v.Verdict, v.Reason)
		}
	}
}

// climb takes a frame up the ladder; a genesis founds the log.
func climb(l *groups.Log, frame []byte, nowMs uint64) (*groups.Log, opVector) {
	v := opVector{Verdict: groups.Reject.String()}
	o, r := groups.Decode(frame)
	if r != nil {
		v.Reason = r.Reason.String()
		return l, v
	}
	v.ID = o.ID.String()
	if string(o.Frame()) != string(frame) && !o.Update {
		v.Reason = "does not encode to itself"
		return l, v
	}
	if l == nil {
		found, r := groups.Found(o)
		if r != nil {
			v.Reason = r.Reason.String()
			return nil, v
		}
		v.Verdict, v.Reason = groups.Accept.String(), groups.ReasonNone.String()
		return found, v
	}
	j := l.Judge(o, nowMs)
	v.Verdict, v.Reason = j.Verdict.String(), j.Reason.String()
	if j.Verdict == groups.Accept || j.Verdict == groups.Void {
		l.Apply(o)
	}
	return l, v
}

// rawControl and rawContent are the cores as the protocol lists them, free to
// be wrong.
type rawControl struct {
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

type story struct {
	t    *testing.T
	w    *groupstest.World
	l    *groups.Log
	list []opVector
}

func (s *story) add(name string, frame []byte, nowMs uint64) {
	s.t.Helper()
	l, v := climb(s.l, frame, nowMs)
	s.l = l
	v.Name, v.NowMs, v.Frame = name, nowMs, hex.EncodeToString(frame)
	s.list = append(s.list, v)
}

// ack is an ack by p on the current heads, to be changed before it is signed.
func (s *story) ack(p *groupstest.Person) rawControl {
	seq, prev, ok := s.l.ChainHead(p.Inc, groups.Control)
	c := rawControl{V: 1, Inc: wire.SomeID(p.Inc), Seq: seq + 1, Parents: s.l.Heads(), HLC: s.w.NowMs,
		Kind: uint64(groups.KindAck), Body: wire.Raw{0x80}, Ext: wire.Raw{0x40}}
	if ok {
		c.Prev = wire.SomeID(prev)
	}
	return c
}

// write adds p's operation on the current heads.
func (s *story) write(name string, p *groupstest.Person, kind groups.Kind, body any) *groups.Op {
	s.t.Helper()
	o, err := s.l.ComposeControl(p.Inc, p.Keys.Op, s.w.NowMs, kind, body)
	if err != nil {
		s.t.Fatal(err)
	}
	s.add(name, o.Frame(), s.w.NowMs)
	return o
}

func (s *story) sign(p *groupstest.Person, core []byte) []byte {
	sig := wire.Sign(wire.DomainOp, p.Keys.Op, wire.Context(s.l.Group()), core)
	return slices.Concat(core, sig[:])
}

// wrong adds an ack by p that change makes wrong.
func (s *story) wrong(name string, p *groupstest.Person, change func(c *rawControl)) {
	s.t.Helper()
	c := s.ack(p)
	change(&c)
	s.add(name, s.sign(p, wire.Marshal(c)), s.w.NowMs)
}

// writeVectors makes a file that is not there; one that is never changes.
func writeVectors(t *testing.T, file string, tell func(*testing.T) *story) {
	if _, err := os.Stat(file); err == nil {
		return
	}
	s := tell(t)
	b, err := json.MarshalIndent(s.list, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("testdata/vectors", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tell writes the story the vectors were made from.
func tell(t *testing.T) *story {
	w := groupstest.NewWorld(2026)
	ann, bob, cid := w.Add("ann"), w.Add("bob"), w.Add("cid")
	s := &story{t: t, w: w}
	genesis := w.Found(ann, 3, groups.DefaultPolicy())
	frame := genesis.Frame()
	forged := slices.Clone(frame)
	forged[len(forged)-1] ^= 1
	s.add("genesis, forged", forged, w.NowMs)
	s.add("genesis, cut off", frame[:len(frame)-65], w.NowMs)
	s.add("genesis", frame, w.NowMs)
	s.add("genesis, again", frame, w.NowMs)

	write := s.write
	rekey := func(p *groupstest.Person) {
		o, err := s.l.ComposeRekey(p.Inc, p.Keys.Op, w.NowMs, func(ctx [32]byte, _ uint64, _ []groups.Recipient) (eid, root [32]byte, err error) {
			return ctx, ctx, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		s.add("rekey", o.Frame(), w.NowMs)
	}
	rekey(ann)
	write("rekey, wrong generation", ann, groups.KindRekey, groups.RekeyBody{Gen: 7, Count: 1})
	write("rekey, wrong count", ann, groups.KindRekey, groups.RekeyBody{Gen: 2, Count: 2})
	admit := w.Request(bob, ann, nil)
	other := admit
	other.Request.Group[0] ^= 1
	other.Sig = other.Request.Sign(bob.Keys.Op)
	write("admit, another group", ann, groups.KindAdmit, other)
	unsigned := admit
	unsigned.Sig[0] ^= 1
	write("admit, newcomer did not sign", ann, groups.KindAdmit, unsigned)
	noPop := admit
	noPop.Request.Pop = cid.Keys.Prove(cid.Chain.Leaf())
	noPop.Sig = noPop.Request.Sign(bob.Keys.Op)
	write("admit, pop of another device", ann, groups.KindAdmit, noPop)
	lowKEM := admit
	lowKEM.Request.KemPk = slices.Clone(admit.Request.KemPk)
	clear(lowKEM.Request.KemPk[seal.KEMPublicLen-32:])
	lowKEM.Sig = lowKEM.Request.Sign(bob.Keys.Op)
	write("admit, low-order kem key", ann, groups.KindAdmit, lowKEM)
	stale := w.Request(bob, ann, nil)
	stale.Request.Ms -= groups.RequestMs + 1
	stale.Sig = stale.Request.Sign(bob.Keys.Op)
	write("admit, request too old", ann, groups.KindAdmit, stale)
	bob.Inc = write("admit, pulled in", ann, groups.KindAdmit, admit).ID
	write("admit, same request again", ann, groups.KindAdmit, admit)
	write("admit, already a member", ann, groups.KindAdmit, w.Request(bob, ann, nil))
	write("role by a member", bob, groups.KindRole, groups.RoleBody{OwnOp: genesis.ID, Account: bob.Account, Role: 1})
	write("role under another ownership", ann, groups.KindRole, groups.RoleBody{OwnOp: bob.Inc, Account: bob.Account, Role: 1})
	write("remove of the owner", bob, groups.KindRemove, groups.RemoveBody{Account: ann.Account})
	write("leave of the owner", ann, groups.KindLeave, groups.LeaveBody{})
	write("policy, cap", ann, groups.KindPolicy, groups.PolicyBody{OwnOp: genesis.ID, Cap: 4, Policy: groups.DefaultPolicy()})
	write("role", ann, groups.KindRole, groups.RoleBody{OwnOp: genesis.ID, Account: bob.Account, Role: 1})
	write("remove of a stranger", ann, groups.KindRemove, groups.RemoveBody{Account: cid.Account})

	s.wrong("seq 0", ann, func(c *rawControl) { c.Seq = 0 })
	s.wrong("seq 2^48", ann, func(c *rawControl) { c.Seq = 1 << 48 })
	s.wrong("seq skips", ann, func(c *rawControl) { c.Seq += 1 })
	s.wrong("prev missing", ann, func(c *rawControl) { c.Prev = nil })
	s.wrong("prev of another chain", ann, func(c *rawControl) { c.Prev = wire.SomeID(bob.Inc) })
	s.wrong("prev of 31 bytes", ann, func(c *rawControl) { c.Prev = c.Prev[:31] })
	s.wrong("inc missing", ann, func(c *rawControl) { c.Inc = nil })
	s.wrong("inc unknown", ann, func(c *rawControl) { c.Inc = make([]byte, 32) })
	s.wrong("inc is an ack", ann, func(c *rawControl) { c.Inc = c.Prev })
	s.wrong("no parents", ann, func(c *rawControl) { c.Parents = nil })
	s.wrong("17 parents", ann, func(c *rawControl) { c.Parents = make([]wire.OpID, 17) })
	s.wrong("parents twice", ann, func(c *rawControl) { c.Parents = append(c.Parents, c.Parents[0]) })
	s.wrong("parent unknown", ann, func(c *rawControl) { c.Parents = []wire.OpID{{1}} })
	s.wrong("parents no antichain", ann, func(c *rawControl) {
		c.Parents = append(c.Parents, genesis.ID)
		slices.SortFunc(c.Parents, func(a, b wire.OpID) int { return slices.Compare(a[:], b[:]) })
	})
	s.wrong("clock behind a parent", ann, func(c *rawControl) { c.HLC = groupstest.StartMs - 1 })
	s.wrong("clock 2^48", ann, func(c *rawControl) { c.HLC = 1 << 48 })
	s.wrong("clock six minutes ahead", ann, func(c *rawControl) { c.HLC += 6 * 60_000 })
	s.wrong("clock two days ahead", ann, func(c *rawControl) { c.HLC += 2 * 86_400_000 })
	s.wrong("kind unknown", ann, func(c *rawControl) { c.Kind = 16 })
	s.wrong("ext not empty", ann, func(c *rawControl) { c.Ext = wire.Raw{0x41, 0} })
	s.wrong("ext not canonical", ann, func(c *rawControl) { c.Ext = wire.Raw{0x58, 0} })
	s.wrong("version 2", ann, func(c *rawControl) { c.V = 2 })
	s.wrong("chain 3", ann, func(c *rawControl) { c.Chain = 3 })
	s.wrong("a second genesis", ann, func(c *rawControl) { c.Kind = 0 })
	s.wrong("body of another shape", ann, func(c *rawControl) { c.Body = wire.Raw{0x81, 0} })
	s.wrong("body not canonical", ann, func(c *rawControl) { c.Kind, c.Body = 2, wire.Raw{0x98, 0x01, 0x80} })
	s.wrong("cap 1", ann, func(c *rawControl) {
		c.Kind, c.Body = uint64(groups.KindPolicy), wire.Marshal(groups.PolicyBody{OwnOp: genesis.ID, Cap: 1})
	})
	s.wrong("pins out of order", ann, func(c *rawControl) {
		c.Kind, c.Body = uint64(groups.KindRemove), wire.Marshal(groups.RemoveBody{Account: bob.Account,
			Pins: []groups.Pin{{Inc: wire.OpID{2}, Seq: 1}, {Inc: wire.OpID{1}, Seq: 1}}})
	})
	s.wrong("pin at 0", ann, func(c *rawControl) {
		c.Kind, c.Body = uint64(groups.KindLeave), wire.Marshal(groups.LeaveBody{Pins: []groups.Pin{{Inc: wire.OpID{2}}}})
	})
	core := wire.Marshal(s.ack(ann))
	s.add("signed by another", s.sign(bob, core), w.NowMs)
	s.add("unsigned", slices.Concat(core, make([]byte, 64)), w.NowMs)
	s.add("bytes after the signature", append(s.sign(ann, core), 0), w.NowMs)
	s.add("empty", nil, w.NowMs)
	s.add("a map", []byte{0xa0}, w.NowMs)
	s.add("indefinite", []byte{0x9f, 0xff}, w.NowMs)
	s.add("ack", s.sign(ann, core), w.NowMs)

	content := func(name string, p *groupstest.Person) *groups.Op {
		ct := make([]byte, 304)
		o, err := s.l.ComposeContent(p.Inc, p.Keys.Op, w.NowMs, [32]byte{1}, [16]byte{2}, len(ct), func([]byte, uint64) ([]byte, error) { return ct, nil })
		if err != nil {
			t.Fatal(err)
		}
		s.add(name, o.Frame(), w.NowMs)
		return o
	}
	o := content("content", bob)
	f := o.Frame()
	f[len(f)-1] ^= 1
	s.add("content, another ciphertext", f, w.NowMs)
	content("content, the next", bob)
	s.add("content, the first again", o.Frame(), w.NowMs)
	s.add("content, detached", o.Frame()[:len(o.Core)+64], w.NowMs)
	kem, err := s.l.ComposeKEM(bob.Inc, bob.Keys.Op, w.NowMs, admit.Request.KemPk)
	if err != nil {
		t.Fatal(err)
	}
	s.add("kem", kem.Frame(), w.NowMs)
	late, err := s.l.ComposeControl(bob.Inc, bob.Keys.Op, w.NowMs, groups.KindAck, groups.AckBody{})
	if err != nil {
		t.Fatal(err)
	}
	write("remove", ann, groups.KindRemove, groups.RemoveBody{Account: bob.Account, Pins: s.l.PinsFor(bob.Account)})
	s.add("ack of somebody who did not know", late.Frame(), w.NowMs)
	write("ack of somebody who knew", bob, groups.KindAck, groups.AckBody{})
	return s
}

func TestReasonsAreComplete(t *testing.T) {
	seen := map[string]groups.Reason{}
	for r := groups.ReasonNone; r.String() != "reason "+itoa(int(r)); r++ {
		if other, ok := seen[r.String()]; ok || r.String() == "" {
			t.Errorf("reason %d has the text of %d: %q", r, other, r.String())
		}
		if r != groups.ReasonNone && r.Class() == groups.ClassNone {
			t.Errorf("reason %d %q has no class", r, r)
		}
		seen[r.String()] = r
	}
}

func itoa(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}
