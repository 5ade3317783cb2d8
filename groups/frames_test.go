package groups_test

import (
	"slices"
	"testing"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
)

// What is stored or proved may lack its ciphertext or key; what comes by gossip
// may not (R9).
func TestGossipIsWhole(t *testing.T) {
	w, _, bob := pair(t, groups.DefaultPolicy())
	for _, o := range []*groups.Op{say(t, w, bob, 1), nextKey(t, w, bob)} {
		if _, r := groups.DecodeGossip(o.Frame()); r != nil {
			t.Errorf("%v: %v", o, r)
		}
		bare := o.Frame()[:len(o.Frame())-len(o.Cipher)]
		if _, r := groups.Decode(bare); r != nil {
			t.Errorf("%v without its cipher: %v", o, r)
		}
		if _, r := groups.DecodeGossip(bare); r == nil || r.Reason != groups.ReasonMalformed {
			t.Errorf("%v without its cipher, by gossip: %v", o, r)
		}
	}
}

// The generation of a KEM key is the seq of what announces it (R5).
func TestKEMGenerationIsItsSeq(t *testing.T) {
	w, _, bob := pair(t, groups.DefaultPolicy())
	o := nextKey(t, w, bob)
	const gen = 6 // of [v, chain, inc, seq, prev, hlc, gen, hash]
	var core []wire.Raw
	if err := wire.Unmarshal(o.Core, &core); err != nil {
		t.Fatal(err)
	}
	for g, want := range []groups.Reason{0: groups.ReasonOutOfBounds, 1: groups.ReasonNone, 2: groups.ReasonOutOfBounds} {
		core[gen] = wire.Marshal(uint64(g))
		frame := slices.Concat(wire.Marshal(core), o.Sig[:], o.Cipher)
		if _, r := groups.Decode(frame); reasonOf(r) != want {
			t.Errorf("generation %d at seq %d: %v, want %v", g, o.Seq, r, want)
		}
	}
}

func nextKey(t *testing.T, w *groupstest.World, p *groupstest.Person) *groups.Op {
	t.Helper()
	_, pk, err := seal.GenerateKEM(zeros{})
	if err != nil {
		t.Fatal(err)
	}
	o, err := p.Log.ComposeKEM(p.Inc, p.Keys.Op, w.NowMs, pk)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func reasonOf(r *groups.Refusal) groups.Reason {
	if r == nil {
		return groups.ReasonNone
	}
	return r.Reason
}

// What a member never said does not pass for a part of what it did, though its
// author and its place are right: the last signature vouches for what it leads
// back to, for nothing beside it (R17).
func TestSegmentTakesNothingFromBesideIt(t *testing.T) {
	w, ann, bob := pair(t, groups.DefaultPolicy())
	var whole []*groups.Op
	for i := range byte(4) {
		whole = append(whole, say(t, w, bob, i))
	}
	run := func() (out []*groups.Op) {
		for _, o := range whole {
			out = append(out, decoded(t, o))
		}
		return out
	}
	if r := ann.Log.CheckSegment(run()); r != nil {
		t.Fatal(r)
	}
	for i := range len(whole) - 1 {
		twin := groupstest.Deliver(ann.Log.Ops(), w.NowMs)
		if i > 0 {
			twin.Restore(bob.Inc, groups.Content, whole[i-1].Seq, whole[i-1].ID)
		}
		bob.Log = twin
		forged := run()
		forged[i] = decoded(t, say(t, w, bob, 99))
		forged[i].Signed, forged[i].Sig = false, wire.Sig{}
		if forged[i].Seq != whole[i].Seq {
			t.Fatalf("seq %d in the place of %d", forged[i].Seq, whole[i].Seq)
		}
		if r := ann.Log.CheckSegment(forged); reasonOf(r) != groups.ReasonMalformed {
			t.Errorf("another operation at seq %d: %v", whole[i].Seq, r)
		}
	}
}
