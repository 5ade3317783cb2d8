package groups_test

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"testing"

	"mutuals/groups"
	"mutuals/groups/groupstest"
	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
)

const kindVectors = "testdata/vectors/kinds.json"

// Transfers, successions, devices, harbors, faults.
func TestKindVectors(t *testing.T) { climbVectors(t, kindVectors, tellKinds) }

func tellKinds(t *testing.T) *story {
	w := groupstest.NewWorld(2027)
	ann, bob, cid, dan := w.Add("ann"), w.Add("bob"), w.Add("cid"), w.Add("dan")
	s := &story{t: t, w: w}
	policy := groups.DefaultPolicy()
	policy.SucceedDays = 2
	s.add("genesis", w.Found(ann, 10, policy).Frame(), w.NowMs)
	for _, q := range []*groupstest.Person{bob, cid, dan} {
		q.Inc = s.write("admit "+q.Name, ann, groups.KindAdmit, w.Request(q, ann, nil)).ID
	}
	s.tellDevices(ann, bob)
	s.tellTransfer(ann, bob, cid)
	s.tellSuccession(bob, ann, cid, dan)
	s.tellHarbor(dan, ann)
	s.tellFault(bob, cid)
	return s
}

func (s *story) tellDevices(ann, bob *groupstest.Person) {
	second := s.w.Add("bob's second device")
	cert := identity.NewCertificate(bob.Account, second.Keys, 2, 0, s.w.NowMs)
	chain, err := bob.Chain.Extend(bob.Keys, cert)
	if err != nil {
		s.t.Fatal(err)
	}
	add := groups.DevAddBody{Account: bob.Account, Chain: chain, Pop: second.Keys.Prove(cert), KemPk: seal.KEMPublic(second.KEMSeed)}
	s.write("dev-add by another account, without request", ann, groups.KindDevAdd, add)
	noPop := add
	noPop.Pop = bob.Keys.Prove(bob.Chain.Leaf())
	s.write("dev-add, pop of another device", bob, groups.KindDevAdd, noPop)
	second.Inc = s.write("dev-add", bob, groups.KindDevAdd, add).ID
	s.write("dev-add, again", bob, groups.KindDevAdd, add)
	s.write("ack by an added device", second, groups.KindAck, groups.AckBody{})
	rev := identity.SignRevocation(bob.Keys, bob.Chain, second.Keys.ID(), identity.ReasonLost, s.w.NowMs)
	body := groups.DevRevokeBody{Revocation: rev.Revocation, Sig: rev.Sig, Chain: rev.Chain}
	s.write("dev-revoke of another account's device", ann, groups.KindDevRevoke, body)
	forged := body
	forged.Sig[0] ^= 1
	s.write("dev-revoke, forged", bob, groups.KindDevRevoke, forged)
	s.write("dev-revoke", bob, groups.KindDevRevoke, body)
	s.write("ack by a revoked device", second, groups.KindAck, groups.AckBody{})
	s.write("dev-add of a revoked device", bob, groups.KindDevAdd, add)
}

func (s *story) tellTransfer(ann, bob, cid *groupstest.Person) {
	st := s.l.State()
	b := groups.TransferBody{OwnOp: st.OwnOp(), Heir: bob.Account, HeirChain: bob.Chain, Ms: s.w.NowMs}
	s.write("transfer, not accepted", ann, groups.KindTransfer, b)
	old := b
	old.Ms -= groups.AcceptMs + 1
	old.Accept = groups.SignOwnerAccept(bob.Keys.Op, st.Group(), old.OwnOp, old.Heir, old.Ms)
	s.write("transfer, accepted too long ago", ann, groups.KindTransfer, old)
	b.Accept = groups.SignOwnerAccept(bob.Keys.Op, st.Group(), b.OwnOp, b.Heir, b.Ms)
	s.write("transfer by a member", cid, groups.KindTransfer, b)
	s.write("transfer", ann, groups.KindTransfer, b)
	s.write("transfer, twice", ann, groups.KindTransfer, b)
}

func (s *story) tellSuccession(bob, ann, cid, dan *groupstest.Person) {
	own := s.l.State().OwnOp()
	s.write("role of the new owner", bob, groups.KindRole, groups.RoleBody{OwnOp: own, Account: cid.Account, Role: 1})
	succeed := func(name string, by ...*groupstest.Person) {
		b := groups.SucceedBody{OwnOp: own, Heir: dan.Account, Ms: s.w.NowMs}
		for _, q := range by {
			b.Sigs = append(b.Sigs, groups.SucceedSig{Inc: q.Inc, Sig: groups.SignSucceed(q.Keys.Op, s.l.Group(), own, b.Heir, b.Ms)})
		}
		slices.SortFunc(b.Sigs, func(x, y groups.SucceedSig) int { return bytes.Compare(x.Inc[:], y.Inc[:]) })
		s.write(name, ann, groups.KindSucceed, b)
	}
	succeed("succeed, too early", ann, cid)
	s.w.NowMs += 3 * 86_400_000
	succeed("succeed, signed by a member", ann, dan)
	succeed("succeed", ann, cid)
}

func (s *story) tellHarbor(dan, ann *groupstest.Person) {
	harbor, eve, fay := s.w.Add("harbor"), s.w.Add("eve"), s.w.Add("fay")
	own := s.l.State().OwnOp()
	b := groups.HarborBody{OwnOp: own, OpKey: harbor.Keys.ID(), PeerKey: harbor.Keys.PeerKey(), Rights: groups.RightStore | groups.RightSponsor,
		Quota: 1 << 30, Pop: groups.ProveHarbor(harbor.Keys.Op, harbor.Keys.Peer, s.l.Group(), dan.Inc)}
	s.write("harbor by an admin", ann, groups.KindHarbor, b)
	unproved := b
	unproved.Pop.Peer[0] ^= 1
	s.write("harbor, unproved", dan, groups.KindHarbor, unproved)
	harbor.Inc = s.write("harbor", dan, groups.KindHarbor, b).ID
	s.write("ack by a harbor", harbor, groups.KindAck, groups.AckBody{})
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	inv := groupstest.Invite{Key: key, Inviter: dan}
	inv.ID = s.write("invite", dan, groups.KindInvite, groups.InviteBody{InvitePk: [32]byte(key.Public().(ed25519.PublicKey)), MaxUses: 9,
		NotAfterMs: s.w.NowMs + 86_400_000, Role: uint64(groups.RoleMember)}).ID
	// The story's people know the group from the genesis only.
	dan.Log = s.l
	s.write("admit by a harbor", harbor, groups.KindAdmit, s.w.Request(eve, dan, &inv))
	s.write("harbor, the right to sponsor taken", dan, groups.KindHarbor,
		groups.HarborBody{Change: true, OwnOp: own, Harbor: harbor.Inc, Rights: groups.RightStore})
	s.write("admit by a harbor without the right", harbor, groups.KindAdmit, s.w.Request(fay, dan, &inv))
	s.write("harbor, withdrawn", dan, groups.KindHarbor, groups.HarborBody{Change: true, OwnOp: own, Harbor: harbor.Inc})
}

func (s *story) tellFault(bob, cid *groupstest.Person) {
	one, two := s.ack(bob), s.ack(bob)
	two.HLC++
	var sides []*groups.Op
	for _, c := range []rawControl{one, two} {
		o, r := groups.Decode(s.sign(bob, wire.Marshal(c)))
		if r != nil {
			s.t.Fatal(r)
		}
		sides = append(sides, o)
	}
	slices.SortFunc(sides, func(a, b *groups.Op) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	s.add("a fork's one side", sides[0].Frame(), s.w.NowMs)
	s.add("a fork's other side", sides[1].Frame(), s.w.NowMs)
	f := groups.FaultBody{Inc: bob.Inc, Seq: sides[0].Seq, A: groups.Evidence{Op: sides[0].ID}, B: groups.Evidence{Op: sides[1].ID}}
	wrong := f
	wrong.Seq++
	s.write("fault, not proved", cid, groups.KindFault, wrong)
	s.write("fault", cid, groups.KindFault, f)
	s.write("fault, again", cid, groups.KindFault, f)
	s.write("ack after a fault", bob, groups.KindAck, groups.AckBody{})
	talks := func(salt byte) *groups.Op {
		o, err := s.l.ComposeContent(cid.Inc, cid.Keys.Op, s.w.NowMs, [32]byte{1}, [16]byte{salt}, 320,
			func([]byte, uint64) ([]byte, error) { return make([]byte, 320), nil })
		if err != nil {
			s.t.Fatal(err)
		}
		return o
	}
	x, y := talks(1), talks(2)
	proof, err := s.l.NewFault([]*groups.Op{x}, []*groups.Op{y})
	if err != nil {
		s.t.Fatal(err)
	}
	unsigned := proof
	unsigned.A.Sig = make([]byte, 64)
	ann := s.w.People[0]
	s.write("fault of content, evidence unsigned", ann, groups.KindFault, unsigned)
	s.write("fault of content", ann, groups.KindFault, proof)
}
