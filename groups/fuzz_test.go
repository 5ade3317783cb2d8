package groups_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/identity/wire"
)

func seeds(f *testing.F) [][]byte {
	b, err := os.ReadFile(opVectors)
	if err != nil {
		f.Fatal(err)
	}
	var list []opVector
	if err := json.Unmarshal(b, &list); err != nil {
		f.Fatal(err)
	}
	var out [][]byte
	for _, v := range list {
		frame, err := hex.DecodeString(v.Frame)
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, frame)
	}
	return out
}

// FuzzDecode: no byte string panics; what decodes encodes to itself, and
// fits its bounds.
func FuzzDecode(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, r := groups.Decode(b)
		if r != nil {
			if r.Reason == groups.ReasonNone || o != nil {
				t.Fatalf("refused without a reason: %v", r)
			}
			return
		}
		if !o.Update && string(o.Frame()) != string(b) {
			t.Fatal("decoded to something else")
		}
		_ = o.String()
		_, _ = groups.DecodeUnsigned(b)
	})
}

// FuzzJudge: nothing a member signs panics or breaks the state; cores are
// signed here, so that the rules behind the signature are reached.
func FuzzJudge(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	w := groupstest.NewWorld(2026)
	ann := w.Add("ann")
	genesis := w.Found(ann, 3, groups.DefaultPolicy())
	f.Fuzz(func(t *testing.T, b []byte) {
		l, _ := groups.Found(genesis)
		core, _, err := wire.First(b)
		if err != nil {
			return
		}
		sig := wire.Sign(wire.DomainOp, ann.Keys.Op, wire.Context(l.Group()), core)
		o, r := groups.Decode(append(append([]byte(nil), core...), sig[:]...))
		if r != nil {
			return
		}
		if j := l.Judge(o, w.NowMs); j.Verdict == groups.Accept || j.Verdict == groups.Void {
			l.Apply(o)
			l.State()
		}
	})
}

// FuzzJoinRequest: what decodes encodes to itself.
func FuzzJoinRequest(f *testing.F) {
	w := groupstest.NewWorld(1)
	ann, bob := w.Add("ann"), w.Add("bob")
	w.Found(ann, 3, groups.DefaultPolicy())
	f.Add(w.Request(bob, ann, nil).Request.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		q, r := groups.DecodeJoinRequest(b)
		if r == nil && string(q.Encode()) != string(b) {
			t.Fatal("decoded to something else")
		}
	})
}

// FuzzBody puts any bytes where each kind's body stands: what is accepted is
// canonical and within bounds, and no rule panics on it.
func FuzzBody(f *testing.F) {
	w := groupstest.NewWorld(2026)
	ann, bob := w.Add("ann"), w.Add("bob")
	genesis := w.Found(ann, 3, groups.DefaultPolicy())
	for kind, body := range map[groups.Kind]any{
		groups.KindAdmit: w.Request(bob, ann, nil), groups.KindLeave: groups.LeaveBody{},
		groups.KindRemove: groups.RemoveBody{Account: bob.Account}, groups.KindRole: groups.RoleBody{OwnOp: genesis.ID, Account: bob.Account, Role: 1},
		groups.KindPolicy: groups.PolicyBody{OwnOp: genesis.ID, Cap: 4}, groups.KindInvite: groups.InviteBody{MaxUses: 1, Role: 2},
		groups.KindInviteRevoke: groups.InviteRevokeBody{}, groups.KindRekey: groups.RekeyBody{Gen: 1, Count: 1}, groups.KindAck: groups.AckBody{},
	} {
		f.Add(uint64(kind), []byte(wire.Marshal(body)))
	}
	f.Fuzz(func(t *testing.T, kind uint64, body []byte) {
		if _, rest, err := wire.First(body); err != nil || len(rest) > 0 {
			return
		}
		core := wire.Marshal(rawControl{V: 1, Inc: wire.SomeID(genesis.ID), Seq: 1, Parents: []wire.OpID{genesis.ID},
			HLC: w.NowMs, Kind: kind, Body: body, Ext: wire.Raw{0x40}})
		sig := wire.Sign(wire.DomainOp, ann.Keys.Op, wire.Context(genesis.ID), core)
		o, r := groups.Decode(append(core, sig[:]...))
		if r != nil {
			return
		}
		if !o.Update && string(wire.Marshal(o.Body)) != string(body) {
			t.Fatal("body decoded to something else")
		}
		l, _ := groups.Found(genesis)
		if j := l.Judge(o, w.NowMs); j.Verdict == groups.Accept || j.Verdict == groups.Void {
			l.Apply(o)
			l.State()
		}
	})
}
