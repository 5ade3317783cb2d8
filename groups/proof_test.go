package groups_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/identity"
	"mutuals/identity/wire"
)

// proofWorld is a group in which everybody came another way: ann founded it,
// bob was pulled in, cid came by bob's code, dan by cid's code let in by ann,
// and bob has left since.
func proofWorld(t testing.TB) (w *groupstest.World, l *groups.Log) {
	w = groupstest.NewWorld(60)
	names := map[string]*groupstest.Person{}
	for _, n := range []string{"ann", "bob", "cid", "dan", "eve"} {
		names[n] = w.Add(n)
	}
	ann, bob, cid, dan := names["ann"], names["bob"], names["cid"], names["dan"]
	w.Found(ann, 10, groups.DefaultPolicy())
	put := func(p *groupstest.Person, kind groups.Kind, body any) *groups.Op {
		o, r := w.Write(p, kind, body)
		if r != nil {
			t.Fatalf("%s writing %v: %v", p.Name, kind, r)
		}
		return o
	}
	put(ann, groups.KindRekey, nil)
	bob.Inc = put(ann, groups.KindAdmit, w.Request(bob, ann, nil)).ID
	code := func(p *groupstest.Person) groupstest.Invite {
		seed := sha256.Sum256([]byte("the code of " + p.Name))
		inv := groupstest.Invite{Key: ed25519.NewKeyFromSeed(seed[:]), Inviter: p}
		inv.ID = put(p, groups.KindInvite, groups.InviteBody{InvitePk: [32]byte(inv.Key.Public().(ed25519.PublicKey)),
			MaxUses: 5, NotAfterMs: w.NowMs + 7*day, Role: uint64(groups.RoleMember)}).ID
		return inv
	}
	byBob := code(bob)
	cid.Inc = put(bob, groups.KindAdmit, w.Request(cid, bob, &byBob)).ID
	byCid := code(cid)
	dan.Inc = put(ann, groups.KindAdmit, w.Request(dan, ann, &byCid)).ID
	put(bob, groups.KindLeave, groups.LeaveBody{})

	// Fay has a second device, which another account's device let in on the
	// root's word; by its code a harbor lets Gus in.
	entropy := identity.Entropy(sha256.Sum256([]byte("fay")))
	root := entropy.Root()
	fay, fay2 := w.Add("fay"), w.Add("fay's other")
	for no, p := range []*groupstest.Person{fay, fay2} {
		p.Account = root.Account()
		p.Chain = identity.NewChain(root, p.Keys, uint64(no+1), 0, groupstest.StartMs)
		p.Log = ann.Log
	}
	fay.Inc = put(ann, groups.KindAdmit, w.Request(fay, ann, nil)).ID
	own := w.Request(fay2, fay2, nil)
	fay2.Inc = put(ann, groups.KindDevAdd, groups.DevAddBody{Account: fay2.Account, Chain: fay2.Chain, Pop: own.Request.Pop, KemPk: own.Request.KemPk,
		Request: own.Request.Encode(), Sig: own.Sig[:]}).ID
	byFay := code(fay2)
	harbor, gus := w.Add("harbor"), w.Add("gus")
	harbor.Log = ann.Log
	harbor.Inc = put(ann, groups.KindHarbor, groups.HarborBody{OwnOp: wire.OpID(ann.Log.Group()), OpKey: harbor.Keys.ID(), PeerKey: harbor.Keys.PeerKey(),
		Rights: groups.RightStore | groups.RightSponsor, Pop: groups.ProveHarbor(harbor.Keys.Op, harbor.Keys.Peer, ann.Log.Group(), ann.Inc)}).ID
	gus.Inc = put(harbor, groups.KindAdmit, w.Request(gus, harbor, &byFay)).ID
	return w, ann.Log
}

func proofOf(t testing.TB, w *groupstest.World, l *groups.Log, name string) []byte {
	p, err := w.Person(name)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := l.Proof(p.Account)
	if err != nil {
		t.Fatalf("proof of %s: %v", name, err)
	}
	return proof.Encode()
}

func TestProofsShowHowEverybodyCameIn(t *testing.T) {
	w, l := proofWorld(t)
	for name, want := range map[string]string{
		"ann": "founded, genesis by ann, names ann",
		"bob": "pulled-in by ann, admitted by ann, request by bob, admit by ann, names ann bob",
		"cid": "invited by bob, admitted by bob, invite by bob, request by cid, invite-use by cid, admit by bob, names ann bob cid",
		"dan": "invited by cid, admitted by ann, invite by cid, request by dan, invite-use by dan, admit by ann, names ann bob cid dan",
		"fay": "pulled-in by ann, admitted by ann, request by fay, admit by ann, names ann fay",
		"gus": "invited by fay, admitted by nobody, invite by fay, request by gus, invite-use by gus, admit by nobody, names ann fay gus",
	} {
		c, err := groups.VerifyProof(proofOf(t, w, l, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := consentWords(w, c); got != want {
			t.Errorf("%s: %s\nwant %s", name, got, want)
		}
		if p, _ := w.Person(name); c.Account != p.Account || c.Device != p.Keys.ID() || c.Group != l.Group() {
			t.Errorf("%s: account %v device %v", name, c.Account, c.Device)
		}
	}
	eve, _ := w.Person("eve")
	if _, err := l.Proof(eve.Account); !errors.Is(err, groups.ErrNotAdmitted) {
		t.Errorf("of a stranger: %v", err)
	}
}

func consentWords(w *groupstest.World, c groups.Consent) string {
	name := func(a wire.AccountID) string {
		if a.IsZero() {
			return "nobody"
		}
		for _, p := range w.People {
			if p.Account == a {
				return p.Name
			}
		}
		return a.Short()
	}
	words := []string{c.Way.String()}
	if c.Way != groups.WayFounded {
		words[0] += " by " + name(c.Inviter)
		words = append(words, "admitted by "+name(c.Sponsor))
	}
	for _, s := range c.Signatures {
		words = append(words, s.What+" by "+name(s.Account))
	}
	var names []string
	for _, a := range c.Names {
		names = append(names, name(a))
	}
	return strings.Join(append(words, "names "+strings.Join(names, " ")), ", ")
}

// TestEveryMemberHasAProof: whoever is listed, here or gone, in histories with
// liars in them and in every scenario, can be shown to have come in.
func TestEveryMemberHasAProof(t *testing.T) {
	shown := map[groups.ConsentWay]int{}
	prove := func(name string, l *groups.Log) {
		for _, m := range l.State().Members() {
			p, err := l.Proof(m.Account)
			if err != nil {
				t.Fatalf("%s: %v %v: %v", name, m.Status, m.Account, err)
			}
			c, err := groups.VerifyProof(p.Encode())
			if err != nil {
				t.Fatalf("%s: %v %v: %v", name, m.Status, m.Account, err)
			}
			if c.Account != m.Account || c.Inviter != m.Inviter || c.Admit != m.Via || c.AtMs != m.JoinedMs || c.Group != l.Group() {
				t.Fatalf("%s: proof of %v shows %+v", name, m, c)
			}
			shown[c.Way]++
		}
	}
	for seed := range *histories / 80 {
		prove(fmt.Sprint("seed ", seed), groupstest.Random(6000+seed, 7, 40).People[0].Log)
	}
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sc, err := groupstest.Parse(filepath.Base(file), string(text))
		if err != nil {
			t.Fatal(err)
		}
		if w, err := sc.Play(); err == nil && len(w.People) < 50 {
			prove(sc.Name, w.People[0].Log)
		}
	}
	if shown[groups.WayFounded] == 0 || shown[groups.WayPulledIn] == 0 || shown[groups.WayInvited] == 0 {
		t.Errorf("ways shown: %v", shown)
	}
}

// TestProofNeedsEverySignature: a log that dropped an inner signature says so
// instead of exporting what nobody could verify.
func TestProofNeedsEverySignature(t *testing.T) {
	w, l := proofWorld(t)
	cid, _ := w.Person("cid")
	o, r := groups.Decode(l.Op(cid.Inc).Frame())
	if r != nil {
		t.Fatal(r)
	}
	fresh, _ := groups.Found(l.Op(wire.OpID(l.Group())))
	for _, op := range l.Ops()[1:] {
		if op.ID == cid.Inc {
			o.Sig, o.Signed = wire.Sig{}, false
			op = o
		}
		fresh.Apply(op)
	}
	if _, err := fresh.Proof(cid.Account); !errors.Is(err, groups.ErrProofSignature) {
		t.Errorf("got %v", err)
	}
}

// TestAnyChangedByteSpoilsAProof (R61).
func TestAnyChangedByteSpoilsAProof(t *testing.T) {
	w, l := proofWorld(t)
	for _, name := range []string{"ann", "dan", "gus"} {
		good := proofOf(t, w, l, name)
		rapid.Check(t, func(t *rapid.T) {
			bad := slices.Clone(good)
			at := rapid.IntRange(0, len(bad)-1).Draw(t, "at")
			bad[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
			spoiled(t, bad)
			spoiled(t, good[:at])
			spoiled(t, slices.Concat(good[:at], good[at+1:]))
		})
		spoiled(t, append(slices.Clone(good), 0))
	}
}

func spoiled(t interface{ Fatalf(string, ...any) }, b []byte) {
	var why *groups.ProofError
	if c, err := groups.VerifyProof(b); !errors.As(err, &why) || why.Refusal.Reason == groups.ReasonNone {
		t.Fatalf("a spoiled proof of %d bytes: %v, %+v", len(b), err, c)
	}
}

// TestEveryByteOfAProofCounts goes through all of one proof; the property
// above samples.
func TestEveryByteOfAProofCounts(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of verifications")
	}
	w, l := proofWorld(t)
	good := proofOf(t, w, l, "ann")
	for at := range good {
		bad := slices.Clone(good)
		bad[at] ^= 1
		spoiled(t, bad)
	}
}

const proofVectors = "testdata/vectors/proofs.json"

// proofVector is one proof and what VerifyProof says of it.
type proofVector struct {
	Name   string `json:"name"`
	Proof  string `json:"proof"`
	Holds  string `json:"holds,omitempty"`  // what it shows; empty: it is refused
	Reason string `json:"reason,omitempty"` // why it is refused
	Frame  int    `json:"frame,omitempty"`  // at which operation, counted from 1; 0: as a whole
}

func verdictOn(b []byte) (v proofVector) {
	c, err := groups.VerifyProof(b)
	var why *groups.ProofError
	if errors.As(err, &why) {
		v.Reason, v.Frame = why.Refusal.Reason.String(), why.Frame+1
		return v
	}
	v.Holds = fmt.Sprintf("%v group %x account %x inviter %x sponsor %x at %d signatures", c.Way, c.Group[:], c.Account[:], c.Inviter[:], c.Sponsor[:], c.AtMs)
	for _, s := range c.Signatures {
		v.Holds += fmt.Sprintf(" %s by %x at %d", s.What, s.Key, s.AtMs)
	}
	return v
}

func TestProofVectors(t *testing.T) {
	if *update {
		writeProofVectors(t)
	}
	list := readProofVectors(t)
	held := 0
	for _, v := range list {
		b, err := hex.DecodeString(v.Proof)
		if err != nil {
			t.Fatal(err)
		}
		got := verdictOn(b)
		if got.Holds != v.Holds || got.Reason != v.Reason || got.Frame != v.Frame {
			t.Errorf("%s:\n got %+v\nwant %+v", v.Name, got, proofVector{Holds: v.Holds, Reason: v.Reason, Frame: v.Frame})
		}
		if got.Holds != "" {
			held++
		}
	}
	if held < 4 || len(list)-held < 12 {
		t.Errorf("%d vectors hold, %d do not", held, len(list)-held)
	}
}

func readProofVectors(t testing.TB) (list []proofVector) {
	b, err := os.ReadFile(proofVectors)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// writeProofVectors adds the vectors whose name is not there yet.
func writeProofVectors(t *testing.T) {
	var list []proofVector
	if b, err := os.ReadFile(proofVectors); err == nil {
		if err := json.Unmarshal(b, &list); err != nil {
			t.Fatal(err)
		}
	}
	tellProofs(t, func(name string, b []byte) {
		if slices.ContainsFunc(list, func(v proofVector) bool { return v.Name == name }) {
			return
		}
		v := verdictOn(b)
		v.Name, v.Proof = name, hex.EncodeToString(b)
		list = append(list, v)
	})
	b, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(proofVectors, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tellProofs makes good proofs, and bad ones of each kind.
func tellProofs(t testing.TB, add func(name string, b []byte)) {
	w, l := proofWorld(t)
	for _, name := range []string{"ann", "bob", "cid", "dan", "fay", "gus"} {
		add(name, proofOf(t, w, l, name))
	}
	proof := func(name string, change func(p *groups.Proof)) []byte {
		p, err := groups.DecodeProof(proofOf(t, w, l, name))
		if err != nil {
			t.Fatal(err)
		}
		p.Frames = slices.Clone(p.Frames)
		change(&p)
		return p.Encode()
	}
	bob, _ := w.Person("bob")
	cid, _ := w.Person("cid")
	dan, _ := w.Person("dan")
	add("empty", nil)
	add("cut off", proofOf(t, w, l, "ann")[:100])
	add("another name", proof("ann", func(p *groups.Proof) { p.Name = "mutuals-Proof" }))
	add("version 2", proof("ann", func(p *groups.Proof) { p.V = 2 }))
	add("no operations", proof("ann", func(p *groups.Proof) { p.Frames = nil }))
	add("another group", proof("bob", func(p *groups.Proof) { p.Group[0] ^= 1 }))
	add("another admit", proof("dan", func(p *groups.Proof) { p.Admit = cid.Inc }))
	add("the admit is the genesis", proof("bob", func(p *groups.Proof) { p.Admit = wire.OpID(p.Group) }))
	add("without genesis", proof("bob", func(p *groups.Proof) { p.Frames = p.Frames[1:] }))
	add("invite missing", proof("dan", func(p *groups.Proof) { p.Frames = slices.Delete(p.Frames, len(p.Frames)-2, len(p.Frames)-1) }))
	add("inviter's admission missing", proof("dan", func(p *groups.Proof) { p.Frames = slices.Delete(p.Frames, 1, 2) }))
	add("newest first", proof("bob", func(p *groups.Proof) { slices.Reverse(p.Frames) }))
	add("genesis twice", proof("bob", func(p *groups.Proof) { p.Frames = slices.Insert(p.Frames, 1, p.Frames[0]) }))
	add("an operation too many", proof("bob", func(p *groups.Proof) {
		byBob := slices.IndexFunc(l.Ops(), func(o *groups.Op) bool { return o.Kind == groups.KindInvite })
		p.Frames = append(p.Frames, l.Ops()[byBob].Frame())
	}))
	add("a rekey among them", proof("bob", func(p *groups.Proof) { p.Frames = slices.Insert(p.Frames, 1, l.Ops()[1].Frame()) }))
	add("signature changed", proof("bob", func(p *groups.Proof) {
		last := slices.Clone(p.Frames[1])
		last[len(last)-1] ^= 1
		p.Frames[1] = last
	}))
	add("signature left out", proof("bob", func(p *groups.Proof) {
		last := slices.Clone(p.Frames[1])
		clear(last[len(last)-64:])
		p.Frames[1] = last
	}))
	add("bytes after the signature", proof("bob", func(p *groups.Proof) { p.Frames[1] = append(slices.Clone(p.Frames[1]), 0) }))

	add("device without its account's admission", proof("gus", func(p *groups.Proof) { p.Frames = slices.Delete(p.Frames, 1, 2) }))
	add("harbor's appointment missing", proof("gus", func(p *groups.Proof) { p.Frames = slices.Delete(p.Frames, 4, 5) }))

	// Well signed, but not what both agreed to.
	ann, _ := w.Person("ann")
	forge := func(of string, p *groupstest.Person, body groups.AdmitBody, nowMs uint64) []byte {
		o, err := ann.Log.ComposeControl(p.Inc, p.Keys.Op, nowMs, groups.KindAdmit, body)
		if err != nil {
			t.Fatal(err)
		}
		return proof(of, func(p *groups.Proof) {
			p.Frames[len(p.Frames)-1], p.Admit = o.Frame(), o.ID
		})
	}
	admit := func(of *groupstest.Person) groups.AdmitBody {
		return *ann.Log.Op(of.Inc).Body.(*groups.AdmitBody)
	}
	add("pulled in by another than its inviter", forge("cid", bob, func() groups.AdmitBody { b := w.Request(cid, ann, nil); return b }(), w.NowMs))
	add("request signed by another", forge("bob", ann, func() groups.AdmitBody {
		b := admit(bob)
		b.Sig = b.Request.Sign(dan.Keys.Op)
		return b
	}(), w.NowMs))
	add("request for another group", forge("bob", ann, func() groups.AdmitBody {
		b := admit(bob)
		b.Request.Group[0] ^= 1
		b.Sig = b.Request.Sign(bob.Keys.Op)
		return b
	}(), w.NowMs))
	add("invite not used with its key", forge("dan", ann, func() groups.AdmitBody {
		b := admit(dan)
		b.UseSig = b.Request.Use(dan.Keys.Op)
		return b
	}(), w.NowMs))
	add("inviter is not the invite's", forge("dan", ann, func() groups.AdmitBody {
		b := admit(dan)
		b.Request.Inviter = ann.Account
		b.Sig, b.UseSig = b.Request.Sign(dan.Keys.Op), nil
		b.UseSig = make([]byte, 64)
		return b
	}(), w.NowMs))
	add("proof of possession of another device", forge("bob", ann, func() groups.AdmitBody {
		b := admit(bob)
		b.Request.Pop = dan.Keys.Prove(dan.Chain.Leaf())
		b.Sig = b.Request.Sign(bob.Keys.Op)
		return b
	}(), w.NowMs))
	// The same, with a clock its author's log would not write.
	dated := func(of string, o *groups.Op, hlc uint64) []byte {
		core := wire.Marshal(rawControl{V: 1, Inc: o.Inc, Seq: o.Seq, Prev: o.Prev, Parents: o.Heads, HLC: hlc, Kind: uint64(o.Kind), Body: wire.Marshal(o.Body), Ext: wire.Raw{0x40}})
		sig := wire.Sign(wire.DomainOp, ann.Keys.Op, wire.Context(l.Group()), core)
		return proof(of, func(p *groups.Proof) {
			p.Frames[len(p.Frames)-1], p.Admit = slices.Concat(core, sig[:]), wire.Hash(core)
		})
	}
	add("clock behind its inc", dated("bob", ann.Log.Op(bob.Inc), groupstest.StartMs-1))
	add("clock behind its invite", dated("dan", ann.Log.Op(dan.Inc), groupstest.StartMs))
	add("request older than a week", forge("bob", ann, admit(bob), w.NowMs+8*day))
	add("after the invite's time", forge("dan", ann, func() groups.AdmitBody {
		b := admit(dan)
		b.Request.Ms = w.NowMs + 7*day
		b.Sig = b.Request.Sign(dan.Keys.Op)
		seed := sha256.Sum256([]byte("the code of cid"))
		b.UseSig = b.Request.Use(ed25519.NewKeyFromSeed(seed[:]))
		return b
	}(), w.NowMs+7*day+1000))
}

// FuzzVerifyProof: no byte string panics, and nothing but what a vector says
// holds, holds.
func FuzzVerifyProof(f *testing.F) {
	good := map[string]bool{}
	for _, v := range readProofVectors(f) {
		b, err := hex.DecodeString(v.Proof)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		good[string(b)] = v.Holds != ""
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := groups.VerifyProof(b)
		var why *groups.ProofError
		if err != nil && (!errors.As(err, &why) || why.Refusal == nil || why.Error() == "") {
			t.Fatalf("refused by %v", err)
		}
		if err == nil && !good[string(b)] {
			t.Fatal("a proof nobody made holds")
		}
	})
}
