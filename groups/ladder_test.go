package groups_test

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"testing"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
)

const day = 86_400_000

// pair is a group of two, ann and bob, in ann's log.
func pair(t *testing.T, pol groups.Policy) (w *groupstest.World, ann, bob *groupstest.Person) {
	t.Helper()
	w = groupstest.NewWorld(77)
	ann, bob = w.Add("ann"), w.Add("bob")
	w.Found(ann, 3, pol)
	write(t, w, ann, groups.KindRekey, nil)
	bob.Inc = write(t, w, ann, groups.KindAdmit, w.Request(bob, ann, nil)).ID
	return w, ann, bob
}

func write(t *testing.T, w *groupstest.World, p *groupstest.Person, kind groups.Kind, body any) *groups.Op {
	t.Helper()
	o, r := w.Write(p, kind, body)
	if r != nil {
		t.Fatalf("%s writing %v: %v", p.Name, kind, r)
	}
	return o
}

func say(t *testing.T, w *groupstest.World, p *groupstest.Person, salt byte) *groups.Op {
	t.Helper()
	ct := make([]byte, seal.MinSealed)
	ct[0] = salt
	o, err := p.Log.ComposeContent(p.Inc, p.Keys.Op, w.NowMs, [32]byte{}, [16]byte{salt}, len(ct),
		func([]byte, uint64) ([]byte, error) { return ct, nil })
	if err != nil {
		t.Fatal(err)
	}
	take(t, w, p.Log, o, groups.Accept, groups.ReasonNone)
	return o
}

// take judges o in l, wants that verdict, and applies it if it is one to.
func take(t *testing.T, w *groupstest.World, l *groups.Log, o *groups.Op, v groups.Verdict, r groups.Reason) {
	t.Helper()
	j := l.Judge(o, w.NowMs)
	if j.Verdict != v || j.Reason != r {
		t.Fatalf("%v: %v (%v, %s), want %v (%v)", o, j.Verdict, j.Reason, j.Detail, v, r)
	}
	if v == groups.Accept || v == groups.Void {
		l.Apply(o)
	}
}

func decoded(t *testing.T, o *groups.Op) *groups.Op {
	t.Helper()
	again, r := groups.Decode(o.Frame())
	if r != nil {
		t.Fatal(r)
	}
	return again
}

func TestSegmentIsAuthenticByItsLastSignature(t *testing.T) {
	w, ann, bob := pair(t, groups.DefaultPolicy())
	var whole []*groups.Op
	for i := range byte(5) {
		whole = append(whole, say(t, w, bob, i))
	}
	strip := func() []*groups.Op {
		var out []*groups.Op
		for _, o := range whole[:4] {
			bare, r := groups.DecodeUnsigned(append(slices.Clone(o.Core), o.Cipher...))
			if r != nil {
				t.Fatal(r)
			}
			out = append(out, bare)
		}
		return append(out, decoded(t, whole[4]))
	}
	seg := strip()
	take(t, w, ann.Log, seg[0], groups.Park, groups.ReasonUnsigned)
	if r := ann.Log.CheckSegment(seg[:4]); r == nil || r.Reason != groups.ReasonUnsigned {
		t.Fatalf("a segment without a signature: %v", r)
	}
	gap := append(strip()[:2], strip()[3:]...)
	if r := ann.Log.CheckSegment(gap); r == nil || r.Reason != groups.ReasonMalformed {
		t.Fatalf("a segment with a gap: %v", r)
	}
	forged := strip()
	forged[4].Sig[0] ^= 1
	if r := ann.Log.CheckSegment(forged); r == nil || r.Reason != groups.ReasonBadSignature {
		t.Fatalf("a forged segment: %v", r)
	}
	take(t, w, ann.Log, forged[0], groups.Park, groups.ReasonUnsigned)
	if r := ann.Log.CheckSegment(seg); r != nil {
		t.Fatal(r)
	}
	take(t, w, ann.Log, seg[1], groups.Park, groups.ReasonMissingPrev)
	for _, o := range seg {
		take(t, w, ann.Log, o, groups.Accept, groups.ReasonNone)
	}
	// An inner signature that was never checked is not handed on.
	inner := []*groups.Op{decoded(t, whole[0]), decoded(t, whole[1])}
	inner[0].Sig[3] ^= 1
	if r := ann.Log.CheckSegment(inner); r != nil || inner[0].Signed {
		t.Fatalf("inner signature kept: %v", r)
	}
}

// Whoever serves content hands on some signatures, so that what is held can be
// proved in a few operations.
func TestServedSegmentKeepsSomeSignatures(t *testing.T) {
	w, ann, bob := pair(t, groups.DefaultPolicy())
	var whole []*groups.Op
	for i := range byte(groups.SignedEvery + 2) {
		whole = append(whole, say(t, w, bob, i))
	}
	served := func(spoil func(*groups.Op)) (out []*groups.Op) {
		for _, o := range whole {
			o := decoded(t, o)
			if o.Seq == groups.SignedEvery {
				spoil(o)
			}
			out = append(out, o)
		}
		return out
	}
	for name, spoil := range map[string]func(*groups.Op){
		"without":  func(o *groups.Op) { o.Signed, o.Sig = false, wire.Sig{} },
		"with bad": func(o *groups.Op) { o.Sig[5] ^= 1 },
	} {
		if r := ann.Log.CheckServed(served(spoil)); r == nil || r.Reason != groups.ReasonBadSignature {
			t.Errorf("a segment %s inner signature: %v", name, r)
		}
	}
	good := served(func(*groups.Op) {})
	if r := ann.Log.CheckServed(good); r != nil {
		t.Fatal(r)
	}
	for _, o := range good {
		if kept := o.Seq%groups.SignedEvery == 0 || o == good[len(good)-1]; o.Signed != kept || groups.FrameSigned(o.Frame()) != kept {
			t.Errorf("seq %d: signature kept: %v", o.Seq, o.Signed)
		}
		take(t, w, ann.Log, o, groups.Accept, groups.ReasonNone)
	}
}

func TestContentPinsAndHistory(t *testing.T) {
	w, ann, bob := pair(t, groups.DefaultPolicy())
	first, second, third := say(t, w, bob, 1), say(t, w, bob, 2), say(t, w, bob, 3)
	take(t, w, ann.Log, decoded(t, first), groups.Accept, groups.ReasonNone)
	bob.Offline = true
	pins := ann.Log.PinsFor(bob.Account)
	if len(pins) != 1 || pins[0].Seq != 1 || pins[0].Hash != first.ID {
		t.Fatalf("pins %v", pins)
	}
	write(t, w, ann, groups.KindRemove, groups.RemoveBody{Account: bob.Account, Pins: pins})
	take(t, w, ann.Log, decoded(t, second), groups.Void, groups.ReasonPastPin)
	if st := ann.Log.State().ContentStanding(bob.Inc, 1); st != groups.Counts {
		t.Fatalf("within the pin: %v", st)
	}
	// A newcomer's log begins past the chain's first operation.
	l := groupstest.Deliver(ann.Log.Ops(), w.NowMs)
	l.Restore(bob.Inc, groups.Content, 2, second.ID)
	take(t, w, l, decoded(t, third), groups.Void, groups.ReasonPastPin)
	if j := l.JudgeHistory(decoded(t, first)); j.Verdict != groups.Accept {
		t.Fatalf("history: %v", j)
	}
	// Who knows of its removal may not speak at all.
	w.Online(bob)
	ct := make([]byte, seal.MinSealed)
	late, err := bob.Log.ComposeContent(bob.Inc, bob.Keys.Op, w.NowMs, [32]byte{}, [16]byte{}, len(ct), func([]byte, uint64) ([]byte, error) { return ct, nil })
	if err != nil {
		t.Fatal(err)
	}
	take(t, w, bob.Log, late, groups.Reject, groups.ReasonIncNotLive)
}

func TestSilencedUntilItIsLifted(t *testing.T) {
	w, ann, bob := pair(t, groups.DefaultPolicy())
	p := groups.DefaultPolicy()
	p.Posting = groups.PostAdmins
	own := ann.Log.State().OwnOp()
	bob.Offline = true
	write(t, w, ann, groups.KindPolicy, groups.PolicyBody{OwnOp: own, Cap: 3, Policy: p})
	unaware := say(t, w, bob, 1)
	take(t, w, ann.Log, decoded(t, unaware), groups.Void, groups.ReasonPastPin)
	w.Online(bob)
	if bob.Log.State().MayPost(bob.Account) {
		t.Fatal("a member may post where admins do")
	}
	write(t, w, ann, groups.KindPolicy, groups.PolicyBody{OwnOp: own, Cap: 3, Policy: groups.DefaultPolicy()})
	take(t, w, ann.Log, decoded(t, say(t, w, bob, 2)), groups.Accept, groups.ReasonNone)
}

func TestKEMKeyRotates(t *testing.T) {
	w, ann, bob := pair(t, groups.DefaultPolicy())
	_, pk, err := seal.GenerateKEM(zeros{})
	if err != nil {
		t.Fatal(err)
	}
	o, err := bob.Log.ComposeKEM(bob.Inc, bob.Keys.Op, w.NowMs, pk)
	if err != nil {
		t.Fatal(err)
	}
	held := ann.Log.State()
	take(t, w, ann.Log, decoded(t, o), groups.Accept, groups.ReasonNone)
	for _, r := range ann.Log.State().Recipients(w.NowMs) {
		if r.Inc == bob.Inc && (r.KemGen != 1 || !slices.Equal(r.KemPk, pk)) {
			t.Fatalf("gen %d", r.KemGen)
		}
	}
	if i, _ := held.Inc(bob.Inc); i.KemGen != 0 {
		t.Fatal("a state that was handed out changed")
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestMayAdmitSaysTheSameAgain(t *testing.T) {
	w, ann, _ := pair(t, groups.DefaultPolicy())
	cid := w.Add("cid")
	b := w.Request(cid, ann, nil)
	if id, waits, r := ann.Log.MayAdmit(ann.Inc, b.Request, b.Sig, b.UseSig, w.NowMs); r != groups.ReasonNone || waits || !id.IsZero() {
		t.Fatal(id, waits, r)
	}
	o := write(t, w, ann, groups.KindAdmit, b)
	if id, waits, r := ann.Log.MayAdmit(ann.Inc, b.Request, b.Sig, b.UseSig, w.NowMs); r != groups.ReasonNone || waits || id != o.ID {
		t.Fatal(id, waits, r)
	}
	dan := w.Add("dan")
	d := w.Request(dan, ann, nil)
	if _, waits, r := ann.Log.MayAdmit(ann.Inc, d.Request, d.Sig, d.UseSig, w.NowMs); r != groups.ReasonNone || !waits {
		t.Fatal("the fourth of three does not wait", r)
	}
	if _, _, r := ann.Log.MayAdmit(dan.Inc, d.Request, d.Sig, d.UseSig, w.NowMs); r != groups.ReasonNotSeated {
		t.Fatal(r)
	}
	d.Sig[0] ^= 1
	if _, _, r := ann.Log.MayAdmit(ann.Inc, d.Request, d.Sig, d.UseSig, w.NowMs); r != groups.ReasonBadRequest {
		t.Fatal(r)
	}
}

func TestAdmissionPathIsVerifiedWithoutTheRest(t *testing.T) {
	w, ann, bob := pair(t, groups.DefaultPolicy())
	key := seedKey(9)
	inv := write(t, w, bob, groups.KindInvite, groups.InviteBody{InvitePk: key.pk, MaxUses: 2, NotAfterMs: w.NowMs + day, Role: 2})
	cid := w.Add("cid")
	b := w.Request(cid, bob, &groupstest.Invite{ID: inv.ID, Key: key.sk, Inviter: bob})
	cid.Inc = write(t, w, ann, groups.KindAdmit, b).ID
	ops := ann.Log.AdmissionPath(inv.ID, cid.Inc)
	if len(ops) != 4 || ops[0].Kind != groups.KindGenesis {
		t.Fatalf("path %v", ops)
	}
	var fresh []*groups.Op
	for _, o := range ops {
		fresh = append(fresh, decoded(t, o))
	}
	p, r := groups.CheckPath(fresh)
	if r != nil {
		t.Fatal(r)
	}
	id, _, inviter, ok := p.Invite(key.pk)
	if !ok || id != inv.ID || inviter != bob.Account || p.Group != ann.Log.Group() {
		t.Fatal(id, inviter, ok)
	}
	if d, ok := p.Device(cid.Keys.PeerKey()); !ok || d.Account != cid.Account {
		t.Fatal("the sponsor's device is not on its path")
	}
	if _, r := groups.CheckPath(append(fresh[:1:1], fresh[2:]...)); r == nil {
		t.Fatal("a path with a gap was believed")
	}
	bad := decoded(t, ops[2])
	bad.Sig[5] ^= 1
	if _, r := groups.CheckPath([]*groups.Op{fresh[0], fresh[1], bad}); r == nil || r.Reason != groups.ReasonBadSignature {
		t.Fatal(r)
	}
}

func TestWhoMayHaveAnEpoch(t *testing.T) {
	pol := groups.DefaultPolicy()
	w, ann, bob := pair(t, pol)
	first := ann.Log.Epochs()[0]
	if !ann.Log.MayHaveKey(ann.Inc, bob.Inc, first.EID, 0) || !ann.Log.MayHaveKey(bob.Inc, ann.Inc, first.EID, 0) {
		t.Fatal("the epoch in use is withheld")
	}
	w.NowMs += 30 * day
	write(t, w, ann, groups.KindRekey, nil)
	w.NowMs += 30 * day
	cid := w.Add("cid")
	cid.Inc = write(t, w, bob, groups.KindAdmit, w.Request(cid, bob, nil)).ID
	second := ann.Log.Epochs()[1]
	if !ann.Log.MayHaveKey(cid.Inc, ann.Inc, second.EID, 0) {
		t.Fatal("cid is not given the epoch in use when it came")
	}
	if ann.Log.MayHaveKey(cid.Inc, ann.Inc, first.EID, 0) {
		t.Fatal("cid is given an epoch of two months ago")
	}
	since := ann.Log.HistoryFrom(cid.Inc)
	if !ann.Log.MayHaveKey(cid.Inc, ann.Inc, first.EID, since) || ann.Log.MayHaveKey(cid.Inc, ann.Inc, first.EID, since-1) {
		t.Fatal("an old epoch is given for what was said under it since, and for nothing else")
	}
	if from := ann.Log.HistoryFrom(cid.Inc); from != w.NowMs-1-7*day {
		t.Fatalf("history from %d", from)
	}
	write(t, w, ann, groups.KindRemove, groups.RemoveBody{Account: bob.Account})
	if ann.Log.MayHaveKey(bob.Inc, ann.Inc, second.EID, 0) {
		t.Fatal("who was removed is given keys")
	}
	if !ann.Log.NeedRekey() {
		t.Fatal("no rekey after a removal")
	}
	third := write(t, w, ann, groups.KindRekey, nil)
	eid := third.Body.(*groups.RekeyBody).EID
	if !ann.Log.EligibleAt(ann.Log.Heads(), eid) || ann.Log.EligibleAt(third.Heads, eid) {
		t.Fatal("an epoch is readable where it is not known")
	}
	if ann.Log.EligibleAt(ann.Log.Heads(), second.EID) {
		t.Fatal("what bob can read is still used")
	}
	path := ann.Log.UnseatPath(bob.Account)
	if len(path) == 0 || path[len(path)-1].Kind != groups.KindRemove {
		t.Fatalf("the removed is told %v", path)
	}
}

func TestHistoryNoneAndAll(t *testing.T) {
	for days, want := range map[uint64]bool{groups.HistoryNone: false, groups.HistoryAll: true} {
		pol := groups.DefaultPolicy()
		pol.HistoryDays = days
		_, ann, bob := pair(t, pol)
		if got := ann.Log.MayHaveKey(bob.Inc, ann.Inc, ann.Log.Epochs()[0].EID, 0); got != want {
			t.Errorf("history %d: %v", days, got)
		}
	}
}

func TestAnswersOfALogThatKnowsLittle(t *testing.T) {
	w, ann, bob := pair(t, groups.DefaultPolicy())
	o := decoded(t, say(t, w, bob, 1))
	l, r := groups.Found(ann.Log.Ops()[0])
	if r != nil {
		t.Fatal(r)
	}
	j := l.Judge(o, w.NowMs)
	if j.Verdict != groups.Park || !slices.Equal(j.Missing, []wire.OpID{bob.Inc}) {
		t.Fatalf("%+v", j)
	}
	if _, ok := l.At(o.Heads); ok {
		t.Fatal("the state of unknown heads")
	}
}

type inviteKey struct {
	sk ed25519.PrivateKey
	pk [32]byte
}

func seedKey(b byte) inviteKey {
	sk := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
	return inviteKey{sk, [32]byte(sk.Public().(ed25519.PublicKey))}
}

// History from its newest end: what holds below an operation is what Judge would
// have accepted before it.
func TestJudgeBelow(t *testing.T) {
	w, ann, bob := pair(t, groups.DefaultPolicy())
	first := say(t, w, bob, 1)
	write(t, w, ann, groups.KindRekey, nil)
	second, third := say(t, w, bob, 2), say(t, w, bob, 3)
	below := func(o, above *groups.Op, v groups.Verdict, r groups.Reason) {
		t.Helper()
		if j := ann.Log.JudgeBelow(o, above); j.Verdict != v || j.Reason != r {
			t.Errorf("%v below %v: %v (%v, %s), want %v (%v)", o, above, j.Verdict, j.Reason, j.Detail, v, r)
		}
	}
	below(decoded(t, second), decoded(t, third), groups.Accept, groups.ReasonNone)
	below(decoded(t, first), decoded(t, second), groups.Accept, groups.ReasonNone)
	below(decoded(t, first), decoded(t, third), groups.Reject, groups.ReasonMalformed)
	early := decoded(t, third)
	early.HLC = second.HLC - 1
	below(decoded(t, second), early, groups.Reject, groups.ReasonClockBehind)
	blind := decoded(t, third)
	blind.Heads = first.Heads // it had seen less than the one before it
	below(decoded(t, second), blind, groups.Reject, groups.ReasonNotMonotone)
	bob.Offline = true
	take(t, w, ann.Log, decoded(t, first), groups.Accept, groups.ReasonNone)
	pins := ann.Log.PinsFor(bob.Account)
	write(t, w, ann, groups.KindRemove, groups.RemoveBody{Account: bob.Account, Pins: pins})
	below(decoded(t, second), decoded(t, third), groups.Void, groups.ReasonPastPin)
	below(decoded(t, first), decoded(t, second), groups.Accept, groups.ReasonNone)
}
