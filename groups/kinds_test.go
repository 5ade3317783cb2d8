package groups_test

import (
	"crypto/ed25519"
	"testing"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
)

// founded is a group of Ann's with Bob, Cid and Dan in it.
func founded(t *testing.T, policy groups.Policy) (*groupstest.World, []*groupstest.Person) {
	t.Helper()
	w := groupstest.NewWorld(7)
	var all []*groupstest.Person
	for _, name := range []string{"ann", "bob", "cid", "dan"} {
		all = append(all, w.Add(name))
	}
	w.Found(all[0], 10, policy)
	for _, q := range all[1:] {
		o, r := w.Write(all[0], groups.KindAdmit, w.Request(q, all[0], nil))
		if r != nil {
			t.Fatal(r)
		}
		q.Inc = o.ID
	}
	return w, all
}

func wrote(t *testing.T, w *groupstest.World, p *groupstest.Person, k groups.Kind, body any) *groups.Op {
	t.Helper()
	o, r := w.Write(p, k, body)
	if r != nil {
		t.Fatalf("%v: %v", k, r)
	}
	return o
}

func TestTransferOfOwnership(t *testing.T) {
	w, p := founded(t, groups.DefaultPolicy())
	ann, bob := p[0], p[1]
	s := ann.Log.State()
	b := groups.TransferBody{OwnOp: s.OwnOp(), Heir: bob.Account, HeirChain: bob.Chain, Ms: w.NowMs}
	b.Accept = groups.SignOwnerAccept(bob.Keys.Op, s.Group(), b.OwnOp, b.Heir, b.Ms)
	wrote(t, w, ann, groups.KindTransfer, b)
	for _, q := range p {
		s := q.Log.State()
		if s.Owner() != bob.Account || s.Role(ann.Account) != groups.RoleAdmin {
			t.Errorf("%s: owner %s, ann is %v", q.Name, s.Owner().Short(), s.Role(ann.Account))
		}
	}
	wrote(t, w, ann, groups.KindLeave, groups.LeaveBody{})
	if _, r := w.Write(bob, groups.KindLeave, groups.LeaveBody{}); r == nil || r.Reason != groups.ReasonOwnerStays {
		t.Errorf("the new owner leaves: %v", r)
	}
}

func TestSuccession(t *testing.T) {
	policy := groups.DefaultPolicy()
	policy.SucceedDays = 30
	w, p := founded(t, policy)
	own := p[0].Log.State().OwnOp()
	for _, q := range p[1:3] {
		wrote(t, w, p[0], groups.KindRole, groups.RoleBody{OwnOp: own, Account: q.Account, Role: uint64(groups.RoleAdmin)})
	}
	succeed := func() *groups.Refusal {
		b := groups.SucceedBody{OwnOp: own, Heir: p[3].Account, Ms: w.NowMs}
		for _, q := range p[1:3] {
			b.Sigs = append(b.Sigs, groups.SucceedSig{Inc: q.Inc, Sig: groups.SignSucceed(q.Keys.Op, q.Log.Group(), own, b.Heir, b.Ms)})
		}
		if string(b.Sigs[0].Inc[:]) > string(b.Sigs[1].Inc[:]) {
			b.Sigs[0], b.Sigs[1] = b.Sigs[1], b.Sigs[0]
		}
		_, r := w.Write(p[1], groups.KindSucceed, b)
		return r
	}
	if r := succeed(); r == nil || r.Reason != groups.ReasonNoSuccession {
		t.Fatalf("at once: %v", r)
	}
	w.NowMs += 31 * 86_400_000
	if r := succeed(); r != nil {
		t.Fatal(r)
	}
	if got := p[0].Log.State().Owner(); got != p[3].Account {
		t.Errorf("owner %s", got.Short())
	}
}

// A second device talks for its account, until it is revoked.
func TestDevices(t *testing.T) {
	w, p := founded(t, groups.DefaultPolicy())
	ann, bob := p[0], p[1]
	laptop := w.Add("bob's laptop")
	cert := identity.NewCertificate(bob.Account, laptop.Keys, 2, 0, w.NowMs)
	chain, err := bob.Chain.Extend(bob.Keys, cert)
	if err != nil {
		t.Fatal(err)
	}
	add := groups.DevAddBody{Account: bob.Account, Chain: chain, Pop: laptop.Keys.Prove(cert), KemPk: seal.KEMPublic(laptop.KEMSeed)}
	if _, r := w.Write(ann, groups.KindDevAdd, add); r == nil || r.Reason != groups.ReasonBadRequest {
		t.Errorf("by another without its request: %v", r)
	}
	o := wrote(t, w, bob, groups.KindDevAdd, add)
	s := bob.Log.State()
	if m, _ := s.Member(bob.Account); len(m.Incs) != 2 || !m.Incs[1].Seated || m.Incs[1].AddedBy != bob.Inc {
		t.Fatalf("bob's devices: %+v", m.Incs)
	}
	if n := len(s.Recipients(w.NowMs)); n != 5 {
		t.Errorf("%d recipients", n)
	}
	rev := identity.SignRevocation(bob.Keys, bob.Chain, laptop.Keys.ID(), identity.ReasonLost, w.NowMs)
	wrote(t, w, bob, groups.KindDevRevoke, groups.DevRevokeBody{Revocation: rev.Revocation, Sig: rev.Sig, Chain: rev.Chain})
	info, _ := ann.Log.State().Inc(o.ID)
	if !info.Cut || info.Seated || len(ann.Log.State().CutBy(o.ID)) != 1 {
		t.Errorf("revoked: %+v", info)
	}
	if _, r := w.Write(bob, groups.KindDevAdd, add); r == nil || r.Reason != groups.ReasonRevoked {
		t.Errorf("added again: %v", r)
	}
}

func TestFault(t *testing.T) {
	w, p := founded(t, groups.DefaultPolicy())
	bob := p[1]
	a, err := bob.Log.ComposeControl(bob.Inc, bob.Keys.Op, w.NowMs, groups.KindAck, groups.AckBody{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := bob.Log.ComposeControl(bob.Inc, bob.Keys.Op, w.NowMs+1, groups.KindAck, groups.AckBody{})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range p {
		w.Give(q, a, b)
	}
	forks := p[0].Log.State().Forks()
	if len(forks) != 1 || forks[0].Inc != bob.Inc || forks[0].Seq != 1 {
		t.Fatalf("forks %+v", forks)
	}
	f, err := p[2].Log.NewFault([]*groups.Op{a}, []*groups.Op{b})
	if err != nil {
		t.Fatal(err)
	}
	wrote(t, w, p[2], groups.KindFault, f)
	if info, _ := p[0].Log.State().Inc(bob.Inc); !info.Cut {
		t.Errorf("an equivocator goes on: %+v", info)
	}
	if n := len(p[0].Log.State().Forks()); n != 0 {
		t.Errorf("%d forks after the fault", n)
	}
	if _, r := w.Write(p[3], groups.KindFault, f); r == nil || r.Reason != groups.ReasonCutAlready {
		t.Errorf("told twice: %v", r)
	}
}

func TestHarborSponsors(t *testing.T) {
	w, p := founded(t, groups.DefaultPolicy())
	ann := p[0]
	harbor := w.Add("harbor")
	keys := harbor.Keys
	s := ann.Log.State()
	own := s.OwnOp()
	o := wrote(t, w, ann, groups.KindHarbor, groups.HarborBody{OwnOp: own, OpKey: keys.ID(), PeerKey: keys.PeerKey(),
		Rights: groups.RightStore | groups.RightSponsor, Pop: groups.ProveHarbor(keys.Op, keys.Peer, s.Group(), ann.Inc)})
	harbor.Inc = o.ID
	inv := groupstest.Invite{Key: ed25519.NewKeyFromSeed(make([]byte, 32)), Inviter: ann}
	inv.ID = wrote(t, w, ann, groups.KindInvite, groups.InviteBody{InvitePk: [32]byte(inv.Key.Public().(ed25519.PublicKey)), MaxUses: 10,
		NotAfterMs: w.NowMs + 86_400_000, Role: uint64(groups.RoleMember)}).ID
	newcomer := w.Add("eve")
	admit := func(q *groupstest.Person) *groups.Refusal {
		body := w.Request(q, ann, &inv)
		op, err := ann.Log.ComposeControl(harbor.Inc, keys.Op, w.NowMs, groups.KindAdmit, body)
		if err != nil {
			t.Fatal(err)
		}
		j := ann.Log.Judge(op, w.NowMs)
		if j.Verdict != groups.Accept {
			return &groups.Refusal{Reason: j.Reason, Detail: j.Detail}
		}
		for _, q := range p {
			w.Give(q, op)
		}
		return nil
	}
	if r := admit(newcomer); r != nil {
		t.Fatal(r)
	}
	if !p[1].Log.State().Seated(newcomer.Account) {
		t.Error("admitted by a harbor, and not seated")
	}
	wrote(t, w, ann, groups.KindHarbor, groups.HarborBody{Change: true, OwnOp: own, Harbor: o.ID, Rights: groups.RightStore})
	if r := admit(w.Add("fay")); r == nil || r.Reason != groups.ReasonNotSponsor {
		t.Errorf("without the right: %v", r)
	}
	if h := p[1].Log.State().Harbors(); len(h) != 1 || !h[0].Appointed || h[0].Rights != groups.RightStore {
		t.Errorf("harbors %+v", h)
	}
}

// What a fault must prove of messages.
func TestFaultOfContent(t *testing.T) {
	w, p := founded(t, groups.DefaultPolicy())
	bob, cid := p[1], p[2]
	var said []*groups.Op
	for range 3 {
		o, r := w.Say(bob)
		if r != nil {
			t.Fatal(r)
		}
		said = append(said, o)
	}
	side := func(o *groups.Op) groups.Evidence {
		return groups.Evidence{Op: o.ID, Cores: [][]byte{o.Core}, Sig: o.Sig[:]}
	}
	f := groups.FaultBody{Inc: bob.Inc, Chain: uint64(groups.Content), Seq: 2, A: side(said[1]), B: side(said[2]), Pins: cid.Log.PinsForInc(bob.Inc)}
	if string(f.A.Op[:]) > string(f.B.Op[:]) {
		f.A, f.B = f.B, f.A
	}
	if _, r := w.Write(cid, groups.KindFault, f); r == nil || r.Reason != groups.ReasonBadFault {
		t.Errorf("two messages of different seq: %v", r)
	}
	other := w.Contradict(bob, said[2])
	f, err := cid.Log.NewFault([]*groups.Op{said[2]}, []*groups.Op{other})
	if err != nil {
		t.Fatal(err)
	}
	low := f
	low.Pins = []groups.Pin{{Inc: bob.Inc, Seq: 1, Hash: said[0].ID}}
	if _, r := w.Write(cid, groups.KindFault, low); r == nil || r.Reason != groups.ReasonBadFault {
		t.Errorf("pinned below what nobody contradicts: %v", r)
	}
	wrote(t, w, cid, groups.KindFault, f)
}

// A harbor is appointed by the owner, with its consent.
func TestHarborIsTheOwners(t *testing.T) {
	w, p := founded(t, groups.DefaultPolicy())
	ann, bob := p[0], p[1]
	wrote(t, w, ann, groups.KindRole, groups.RoleBody{OwnOp: ann.Log.State().OwnOp(), Account: bob.Account, Role: uint64(groups.RoleAdmin)})
	box := w.Add("box")
	if _, r := w.Write(bob, groups.KindHarbor, w.Appoint(bob, box, groups.RightStore)); r == nil || r.Reason != groups.ReasonRoleNeeded {
		t.Errorf("by an admin: %v", r)
	}
	b := w.Appoint(ann, box, groups.RightStore)
	for _, sig := range []*wire.Sig{&b.Pop.Op, &b.Pop.Peer} {
		sig[0] ^= 1
		if _, r := w.Write(ann, groups.KindHarbor, b); r == nil || r.Reason != groups.ReasonBadPop {
			t.Errorf("without its consent: %v", r)
		}
		sig[0] ^= 1
	}
	wrote(t, w, ann, groups.KindHarbor, b)
}
