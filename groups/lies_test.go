package groups_test

import (
	"testing"

	"mutuals/groups"
	"mutuals/groups/groupstest"
)

// lie writes what no honest program would.
func lie(t *testing.T, w *groupstest.World, p *groupstest.Person, kind groups.Kind, body any) *groups.Op {
	t.Helper()
	o, err := p.Log.ComposeControl(p.Inc, p.Keys.Op, w.NowMs, kind, body)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Who leaves somebody out of a rekey is refused (R19), and so is who lets
// somebody in for another who said nothing.
func TestLiesOfMembers(t *testing.T) {
	w, ann, bob := pair(t, groups.DefaultPolicy())
	for _, count := range []uint64{1, 3} {
		rekey := lie(t, w, ann, groups.KindRekey, groups.RekeyBody{Gen: 2, EID: [32]byte{1}, Count: count})
		take(t, w, ann.Log, rekey, groups.Reject, groups.ReasonRekeyCount)
	}
	cid := w.Add("cid")
	take(t, w, ann.Log, lie(t, w, ann, groups.KindAdmit, w.Request(cid, bob, nil)), groups.Reject, groups.ReasonBadRequest)
	take(t, w, bob.Log, lie(t, w, bob, groups.KindAdmit, w.Request(cid, bob, nil)), groups.Accept, groups.ReasonNone)
}

// Who adds another's device shows that device's own request, not a sibling's
// (R42).
func TestAskedForAnotherDevice(t *testing.T) {
	w, ann, bob := pair(t, groups.DefaultPolicy())
	asked, other := w.Device("asked", bob, true), w.Device("other", bob, true)
	b, of := w.DevAdd(ann, asked), w.DevAdd(ann, other)
	b.Request, b.Sig = of.Request, of.Sig
	take(t, w, ann.Log, lie(t, w, ann, groups.KindDevAdd, b), groups.Reject, groups.ReasonBadRequest)
	take(t, w, ann.Log, lie(t, w, ann, groups.KindDevAdd, of), groups.Accept, groups.ReasonNone)
}

// A message does not unsee what the one before had seen (R29).
func TestMessagesForgetNothing(t *testing.T) {
	w, ann, bob := pair(t, groups.DefaultPolicy())
	stale := groupstest.Deliver(ann.Log.Ops(), w.NowMs)
	write(t, w, ann, groups.KindAck, groups.AckBody{})
	first := say(t, w, bob, 1)
	take(t, w, ann.Log, decoded(t, first), groups.Accept, groups.ReasonNone)
	stale.Restore(bob.Inc, groups.Content, first.Seq, first.ID)
	bob.Log = stale
	take(t, w, ann.Log, decoded(t, say(t, w, bob, 2)), groups.Reject, groups.ReasonNotMonotone)
}

// An eid names the first rekey that has it, whoever writes it again (R32).
func TestTwoRekeysOfOneSecret(t *testing.T) {
	w, ann, bob := pair(t, groups.DefaultPolicy())
	body := groups.RekeyBody{Gen: 2, EID: [32]byte{1}, Count: 2}
	first := lie(t, w, ann, groups.KindRekey, body)
	take(t, w, ann.Log, first, groups.Accept, groups.ReasonNone)
	w.Give(bob, first)
	body.Gen = 3
	again := lie(t, w, bob, groups.KindRekey, body)
	take(t, w, ann.Log, again, groups.Accept, groups.ReasonNone)
	if e, ok := ann.Log.EpochByEID(body.EID); !ok || e.Rekey != first.ID {
		t.Errorf("the eid names %s, want %s", e.Rekey.Short(), first.ID.Short())
	}
}
