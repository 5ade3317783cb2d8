package node

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
	"mutuals/node/mesh"
)

// applicant is somebody who holds the dialogue of /mutuals/join/1 and goes
// away: an account, a device and a host, without a store.
type applicant struct {
	keys  identity.DeviceKeys
	chain identity.Chain
	pop   identity.Pop
	mesh  *mesh.Mesh
}

func newApplicant(ctx context.Context) (*applicant, error) {
	entropy, err := identity.NewEntropy(rand.Reader)
	if err != nil {
		return nil, err
	}
	root := entropy.Root()
	keys, err := identity.NewDeviceKeys(rand.Reader)
	if err != nil {
		return nil, err
	}
	cert := identity.Certificate{V: 1, Account: root.Account(), OpKey: keys.ID(), PeerKey: keys.PeerKey(), DeviceNo: 1, IssuedMs: uint64(time.Now().UnixMilli())}
	p := &applicant{keys: keys, chain: identity.Chain{root.Certify(cert)}, pop: keys.Prove(cert)}
	p.mesh, err = mesh.New(ctx, mesh.Config{Key: keys.Peer, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	return p, err
}

func (p *applicant) account() wire.AccountID { return p.chain.Leaf().Account }

// ask asks sponsor for a seat by a passcode and returns what it says.
func (p *applicant) ask(ctx context.Context, sponsor *Node, passcode string) (v verdictMsg, err error) {
	found, err := invites.Extract(passcode, time.Now())
	if err != nil {
		return v, err
	}
	code, keys := found.Passcode, found.Passcode.Keys()
	if err := p.mesh.Connect(ctx, sponsor.mesh.Self(), sponsor.mesh.Bound()); err != nil {
		return v, err
	}
	s, err := p.mesh.Open(ctx, sponsor.mesh.Self(), protocolJoin)
	if err != nil {
		return v, err
	}
	defer s.Close()
	n := &Node{cfg: Config{Rand: rand.Reader}, mesh: p.mesh}
	path, err := n.readPath(s, code, keys)
	if err != nil {
		return v, err
	}
	_, kemPk, err := seal.GenerateKEM(rand.Reader)
	if err != nil {
		return v, err
	}
	req := groups.JoinRequest{
		V: 1, Group: path.group, Invite: wire.SomeID(path.invite), Inviter: path.inviter, Newcomer: p.account(),
		Chain: p.chain, Pop: p.pop, KemPk: kemPk, Follow: 1, Ms: uint64(time.Now().UnixMilli()),
	}
	if _, err := io.ReadFull(rand.Reader, req.Nonce[:]); err != nil {
		return v, err
	}
	msg := askMsg{V: 1, Step: joinAsk, Request: req, Sig: req.Sign(p.keys.Op), UseSig: wire.Sig(req.Use(keys.Sign))}
	if err := s.WriteFrame(wire.Marshal(msg)); err != nil {
		return v, err
	}
	b, err := s.ReadFrame(maxVerdictFrame)
	if err != nil {
		return v, err
	}
	return v, wire.Unmarshal(b, &v)
}

// A group made without a word about its cap has 100 seats. The 101st waits,
// and sits down by itself when a seat is freed; in a group without a waitlist
// it is told that the group is full.
func TestHundredAndFirst(t *testing.T) {
	t.Parallel()
	a, waiting, refused := testNode(t, "Ann"), testNode(t, "Wes"), testNode(t, "Rob")
	none := 0
	patient := newGroup(t, a, api.GroupCreate{Name: "Patient"})
	strict := newGroup(t, a, api.GroupCreate{Name: "Strict", Policy: &api.PolicyPatch{Waitlist: &none}})
	toPatient, toStrict := invite(t, a, patient, 500, ""), invite(t, a, strict, 500, "")

	var first wire.AccountID
	began := time.Now()
	for i := range 99 {
		p, err := newApplicant(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, inv := range []api.Invite{toPatient, toStrict} {
			v, err := p.ask(t.Context(), a, inv.Passcode)
			if err != nil || v.Outcome != outcomeAdmitted {
				t.Fatalf("applicant %d: outcome %d, reason %v, %v", i+2, v.Outcome, groups.Reason(v.Reason), err)
			}
		}
		if i == 0 {
			first = p.account()
		}
		p.mesh.Close()
	}
	t.Logf("198 joins in %v", time.Since(began))
	for _, g := range []wire.GroupID{patient, strict} {
		if got := must[api.Group](t)(a.Group(t.Context(), g)); got.Cap != 100 || got.Members != 100 {
			t.Fatalf("%s: %d members of %d, want 100 of 100", got.Name, got.Members, got.Cap)
		}
	}

	if task := tryJoin(t, refused, toStrict); problemCode(task) != api.GroupFull {
		t.Errorf("the 101st of a group without a waitlist: %+v", task)
	}
	task := tryJoin(t, waiting, toPatient)
	if task.Stage != api.StageWaitlisted {
		t.Fatalf("the 101st: %+v", task)
	}
	if _, err := waiting.Send(t.Context(), patient, api.MessageCreate{Text: "let me in"}); code(err) != api.Waitlisted {
		t.Errorf("who waits writes: %v", err)
	}
	list := must[[]api.Member](t)(a.Waitlist(t.Context(), patient))
	if len(list) != 1 || list[0].Account != waiting.dev.account() || list[0].Place != 1 {
		t.Errorf("waitlist: %+v", list)
	}

	must[api.Member](t)(a.RemoveMember(t.Context(), patient, first, ""))
	within(t, waiting, patience, "the 101st to be seated", func() bool {
		return must[api.Group](t)(waiting.Group(t.Context(), patient)).Status == api.MemberSeated
	})
	if got := must[api.Group](t)(a.Group(t.Context(), patient)); got.Members != 100 || got.Waitlist != 0 {
		t.Errorf("after a seat was freed: %d members, %d waiting", got.Members, got.Waitlist)
	}
	say(t, a, patient, fmt.Sprint("welcome ", waiting.ownName()))
	hears(t, waiting, patient, "welcome Wes")
	say(t, waiting, patient, "at last")
	hears(t, a, patient, "at last")
}
