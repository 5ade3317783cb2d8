package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/node/mesh"
)

// knocker is a machine that holds the dialogue of a new device by hand.
type knocker struct {
	t     *testing.T
	nc    *newcomer
	door  *Node
	hello []byte
	s     *mesh.Stream
	rB    [32]byte
	sas   identity.SAS
}

func newKnocker(t *testing.T, door *Node, code identity.LinkCode) *knocker {
	t.Helper()
	keys := must[identity.DeviceKeys](t)(identity.NewDeviceKeys(door.cfg.Rand))
	m := must[*mesh.Mesh](t)(mesh.New(t.Context(), mesh.Config{Key: keys.Peer, Listen: []string{"/ip4/127.0.0.1/tcp/0"}}))
	t.Cleanup(func() { m.Close() })
	k := &knocker{t: t, door: door, nc: &newcomer{n: door, code: code, keys: keys, mesh: m}}
	seed, pk, err := seal.GenerateKEM(door.cfg.Rand)
	if err != nil {
		t.Fatal(err)
	}
	k.nc.kem = seed
	k.hello = wire.Marshal(identity.NewLinkHello(keys, pk, code))
	k.rB[0] = 7
	return k
}

func (k *knocker) open() {
	k.t.Helper()
	if err := k.nc.mesh.Connect(k.t.Context(), k.door.mesh.Self(), k.door.mesh.Bound()); err != nil {
		k.t.Fatal(err)
	}
	k.s = must[*mesh.Stream](k.t)(k.nc.mesh.Open(k.t.Context(), k.door.mesh.Self(), protocolLink))
	k.t.Cleanup(func() { k.s.Close() })
	k.s.SetDeadline(time.Now().Add(patience))
	k.sas = identity.NewSAS(identity.SASLink, k.door.mesh.Self(), k.nc.mesh.Self(), k.hello)
}

func (k *knocker) say(m any) {
	k.t.Helper()
	if err := k.s.WriteFrame(wire.Marshal(m)); err != nil {
		k.t.Fatal(err)
	}
}

func (k *knocker) knock() {
	k.t.Helper()
	k.open()
	k.say(knockMsg{V: 1, Step: linkKnock, Hello: k.hello, Commit: k.sas.Commit(k.rB)})
}

// hear reads a message, or tells that the door ended the stream.
func (k *knocker) hear(m any) bool {
	k.t.Helper()
	b, err := k.s.ReadFrame(maxLinkReply)
	if err != nil {
		return false
	}
	if err := wire.Unmarshal(b, m); err != nil {
		k.t.Fatal(err)
	}
	return true
}

// untilNumber goes on to where the number is to be typed, and returns it.
func (k *knocker) untilNumber() string {
	k.t.Helper()
	k.knock()
	var answer randMsg
	if !k.hear(&answer) {
		k.t.Fatal("an honest knock was not answered")
	}
	k.say(randMsg{V: 1, Step: linkReveal, R: k.rB})
	return must[string](k.t)(k.sas.Number(k.sas.Commit(k.rB), answer.R, k.rB))
}

func devicesOf(t *testing.T, n *Node) int {
	t.Helper()
	return len(must[[]api.Device](t)(n.Devices(t.Context())))
}

// openFor opens a door and reads its code.
func openFor(t *testing.T, n *Node) (identity.LinkCode, api.DeviceLink) {
	t.Helper()
	open := must[api.DeviceLink](t)(n.OpenLink(t.Context(), api.DeviceLinkCreate{}))
	return must[identity.LinkCode](t)(identity.ParseLinkCode(open.Text)), open
}

// triesLeft waits until the door has so many.
func triesLeft(t *testing.T, n *Node, want int) {
	t.Helper()
	within(t, n, patience, "a try to end", func() bool {
		return must[api.DeviceLink](t)(n.Link(t.Context())).TriesLeft == want
	})
}

// Who does not hold the code gets no answer, and takes nobody's tries.
func TestLinkKnocksUnanswered(t *testing.T) {
	t.Parallel()
	c := &clock{}
	ann := startNode(t, t.TempDir(), "Ann", func(cfg *Config) { cfg.Now = c.now })
	code, _ := openFor(t, ann)
	wrong := code
	wrong.Secret[3] ^= 1
	for name, do := range map[string]func(k *knocker){
		"a wrong tag": func(k *knocker) {
			k.hello = wire.Marshal(identity.NewLinkHello(k.nc.keys, seal.KEMPublic(k.nc.kem), wrong))
			k.knock()
		},
		"another's hello": func(k *knocker) {
			other := newKnocker(t, ann, code)
			k.hello = other.hello
			k.knock()
		},
		"no hello": func(k *knocker) {
			k.hello = []byte{0x80}
			k.knock()
		},
		"another step": func(k *knocker) {
			k.open()
			k.say(randMsg{V: 1, Step: linkReveal})
		},
		"a frame without end": func(k *knocker) {
			k.open()
			k.s.WriteFrame(make([]byte, maxKnockFrame+1))
		},
		"a key nobody can seal to": func(k *knocker) {
			pk := bytes.Clone(seal.KEMPublic(k.nc.kem))
			clear(pk[len(pk)-32:])
			k.hello = wire.Marshal(identity.NewLinkHello(k.nc.keys, pk, code))
			k.knock()
		},
	} {
		k := newKnocker(t, ann, code)
		do(k)
		var answer randMsg
		if k.hear(&answer) {
			t.Errorf("%s was answered", name)
		}
	}
	if left := must[api.DeviceLink](t)(ann.Link(t.Context())).TriesLeft; left != linkTries {
		t.Errorf("%d tries are left of %d", left, linkTries)
	}
	// While one talks, another that holds the code is not answered either.
	first := newKnocker(t, ann, code)
	first.untilNumber()
	second := newKnocker(t, ann, code)
	second.knock()
	var answer randMsg
	if second.hear(&answer) {
		t.Error("two new devices talk at one time")
	}
	first.s.Reset()
	first.nc.mesh.Close()
	triesLeft(t, ann, linkTries-1)
	// A door that is too old, and none.
	c.shift(doorOpen + time.Second)
	late := newKnocker(t, ann, code)
	late.knock()
	if late.hear(&answer) {
		t.Error("an expired door answers")
	}
	if _, err := ann.Link(t.Context()); api.CodeOf(err) != api.NotFound {
		t.Errorf("an expired door is shown: %v", err)
	}
	if devicesOf(t, ann) != 1 {
		t.Error("somebody was linked")
	}
}

// Whoever holds the code and does not keep to the dialogue uses up a try, three
// of them close the door, and nobody is certified.
func TestLinkTriesEnd(t *testing.T) {
	t.Parallel()
	ann := startNode(t, t.TempDir(), "Ann", nil)
	type step struct {
		name string
		do   func(k *knocker, open api.DeviceLink)
	}
	for _, turn := range [][]step{{
		{"a second commitment", func(k *knocker, _ api.DeviceLink) {
			k.knock()
			k.hear(&randMsg{})
			k.say(knockMsg{V: 1, Step: linkKnock, Hello: k.hello, Commit: k.sas.Commit([32]byte{9})})
		}},
		{"not what was committed to", func(k *knocker, _ api.DeviceLink) {
			k.knock()
			k.hear(&randMsg{})
			k.say(randMsg{V: 1, Step: linkReveal, R: [32]byte{9}})
		}},
		{"it goes away before the number is typed", func(k *knocker, open api.DeviceLink) {
			k.untilNumber()
			awaitStage(t, ann, open.Task.ID, api.StageNumber)
			k.nc.mesh.Close()
		}},
	}, {
		{"a proof by other keys", func(k *knocker, open api.DeviceLink) {
			number := k.untilNumber()
			awaitStage(t, ann, open.Task.ID, api.StageNumber)
			must[api.Task](t)(ann.LinkNumber(t.Context(), number))
			var yes certMsg
			if !k.hear(&yes) {
				t.Fatal("no certificate after the right number")
			}
			other := must[identity.DeviceKeys](t)(identity.NewDeviceKeys(ann.cfg.Rand))
			k.say(proofMsg{V: 1, Step: linkProof, Pop: other.Prove(yes.Cert)})
		}},
		{"a proof of one key", func(k *knocker, open api.DeviceLink) {
			number := k.untilNumber()
			awaitStage(t, ann, open.Task.ID, api.StageNumber)
			must[api.Task](t)(ann.LinkNumber(t.Context(), number))
			var yes certMsg
			k.hear(&yes)
			pop := k.nc.keys.Prove(yes.Cert)
			pop.Peer = pop.Op
			k.say(proofMsg{V: 1, Step: linkProof, Pop: pop})
		}},
		{"an oversized proof", func(k *knocker, open api.DeviceLink) {
			number := k.untilNumber()
			awaitStage(t, ann, open.Task.ID, api.StageNumber)
			must[api.Task](t)(ann.LinkNumber(t.Context(), number))
			k.hear(&certMsg{})
			k.s.WriteFrame(make([]byte, maxLinkFrame+1))
		}},
	}} {
		code, open := openFor(t, ann)
		for i, st := range turn {
			k := newKnocker(t, ann, code)
			st.do(k, open)
			var reply replyMsg
			if i < len(turn)-1 {
				triesLeft(t, ann, linkTries-1-i)
			}
			if k.s != nil && k.hear(&reply) && len(reply.Box) > 0 {
				t.Errorf("%s: it was certified", st.name)
			}
		}
		if ended := waitTask(t, ann, open.Task.ID); problemCode(ended) != api.NumberWrong {
			t.Errorf("%+v", ended)
		}
		if devicesOf(t, ann) != 1 {
			t.Fatal("somebody was linked")
		}
	}
}

// A device is on the list before its certificate leaves, so that one that took
// it and said nothing more can be revoked, after a restart too; a door does not
// outlive one.
func TestLinkCutOffAtTheDoor(t *testing.T) {
	dir := t.TempDir()
	ann := startNode(t, dir, "Ann", nil)
	code, open := openFor(t, ann)
	k := newKnocker(t, ann, code)
	number := k.untilNumber()
	awaitStage(t, ann, open.Task.ID, api.StageNumber)
	must[api.Task](t)(ann.LinkNumber(t.Context(), number))
	var yes certMsg
	k.hear(&yes)
	k.say(proofMsg{V: 1, Step: linkProof, Pop: k.nc.keys.Prove(yes.Cert)})
	var reply replyMsg
	if !k.hear(&reply) {
		t.Fatal("not certified")
	}
	k.s.Reset()
	if ended := waitTask(t, ann, open.Task.ID); problemCode(ended) != api.LinkEnded || ended.Result == nil || ended.Result.Device != k.nc.keys.ID() {
		t.Errorf("%+v", ended)
	}
	code, open = openFor(t, ann)
	waits := blank(t, t.TempDir())
	task := must[api.Task](t)(waits.JoinAccount(t.Context(), open.Text))
	awaitStage(t, waits, task.ID, api.StageComparing)
	if err := ann.Close(); err != nil {
		t.Fatal(err)
	}
	if ended := awaitTask(t, waits, task.ID, api.Task.Over); problemCode(ended) != api.LinkEnded {
		t.Errorf("%+v", ended)
	}
	ann = startNode(t, dir, "Ann", nil)
	if devicesOf(t, ann) != 2 {
		t.Error("what was certified is not on the list")
	}
	after := newKnocker(t, ann, code)
	after.knock()
	if after.hear(&randMsg{}) {
		t.Error("a door outlived a restart")
	}
}

// falseDoor shows a link code and holds the dialogue by hand.
type falseDoor struct {
	keys  identity.DeviceKeys
	chain identity.Chain
	mesh  *mesh.Mesh
	code  identity.LinkCode
}

func newFalseDoor(t *testing.T) *falseDoor {
	t.Helper()
	p := applicants(t, 1)[0]
	d := &falseDoor{keys: p.keys, mesh: p.mesh}
	root := must[identity.Entropy](t)(identity.NewEntropy(rand.Reader)).Root()
	cert := identity.NewCertificate(root.Account(), p.keys, 1, identity.CapAddDevices, 1)
	d.chain = identity.Chain{root.Certify(cert)}
	d.code = must[identity.LinkCode](t)(identity.NewLinkCode(rand.Reader, p.keys.PeerKey(), uint64(time.Now().Add(doorOpen).Unix()), nil))
	return d
}

// A machine refuses whatever is not a certificate for its own keys, signed by
// the device its code names, and is as it was.
func TestFalseDoors(t *testing.T) {
	other := must[identity.DeviceKeys](t)(identity.NewDeviceKeys(rand.Reader))
	third := must[identity.DeviceKeys](t)(identity.NewDeviceKeys(rand.Reader))
	type lie struct {
		cert  func(d *falseDoor, cert *identity.Certificate)
		reply func(d *falseDoor, cert identity.Certificate, kem []byte) any
	}
	honest := func(d *falseDoor, cert identity.Certificate, kem []byte, body []byte) replyMsg {
		box := must[[]byte](t)(seal.SealLink(kem, wire.Hash(wire.Marshal(cert)), body))
		return replyMsg{V: 1, Step: linkReply, Chain: must[identity.Chain](t)(d.chain.Extend(d.keys, cert)), Box: box}
	}
	good := wire.Marshal(linkBody{V: 1, Items: []ownItem{}, Record: []byte{}})
	for name, l := range map[string]lie{
		"another op key":   {cert: func(_ *falseDoor, c *identity.Certificate) { c.OpKey = other.ID() }},
		"another peer key": {cert: func(_ *falseDoor, c *identity.Certificate) { c.PeerKey = other.PeerKey() }},
		"another certificate than shown": {reply: func(d *falseDoor, c identity.Certificate, kem []byte) any {
			c.DeviceNo++
			return honest(d, c, kem, good)
		}},
		"a signature that is none": {reply: func(d *falseDoor, c identity.Certificate, kem []byte) any {
			m := honest(d, c, kem, good)
			m.Chain[1].Sig[0] ^= 1
			return m
		}},
		"signed by another device": {reply: func(d *falseDoor, c identity.Certificate, kem []byte) any {
			m := honest(d, c, kem, good)
			mid := identity.NewCertificate(c.Account, third, 3, identity.CapAddDevices, 1)
			longer := must[identity.Chain](t)(d.chain.Extend(d.keys, mid))
			m.Chain = must[identity.Chain](t)(longer.Extend(third, c))
			return m
		}},
		"no chain": {reply: func(d *falseDoor, c identity.Certificate, kem []byte) any {
			m := honest(d, c, kem, good)
			m.Chain = m.Chain[:1]
			return m
		}},
		"a box for somebody else": {reply: func(d *falseDoor, c identity.Certificate, _ []byte) any {
			_, pk, err := seal.GenerateKEM(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			return honest(d, c, pk, good)
		}},
		"a body of a newer version": {reply: func(d *falseDoor, c identity.Certificate, kem []byte) any {
			return honest(d, c, kem, wire.Marshal(linkBody{V: 2, Items: []ownItem{}, Record: []byte{}}))
		}},
		"a body that is none": {reply: func(d *falseDoor, c identity.Certificate, kem []byte) any {
			return honest(d, c, kem, []byte{0xff})
		}},
		"an oversized reply": {reply: func(*falseDoor, identity.Certificate, []byte) any {
			return replyMsg{V: 1, Step: linkReply, Chain: identity.Chain{}, Box: make([]byte, maxLinkReply)}
		}},
	} {
		d := newFalseDoor(t)
		d.mesh.Handle(protocolLink, 1, func(_ context.Context, s *mesh.Stream) {
			s.SetDeadline(time.Now().Add(patience))
			var knock knockMsg
			if readStep(s, maxKnockFrame, &knock) != nil {
				return
			}
			hello, err := identity.DecodeLinkHello(knock.Hello)
			if err != nil || hello.Verify(d.code.Secret, d.mesh.Self(), s.Peer()) != nil {
				return
			}
			s.WriteFrame(wire.Marshal(randMsg{V: 1, Step: linkAnswer}))
			if readStep(s, maxLinkFrame, &randMsg{}) != nil {
				return
			}
			cert := identity.Certificate{V: 1, Account: d.chain.Leaf().Account, OpKey: hello.OpKey, PeerKey: hello.PeerKey, DeviceNo: 2, IssuedMs: 1}
			if l.cert != nil {
				l.cert(d, &cert)
			}
			s.WriteFrame(wire.Marshal(certMsg{V: 1, Step: linkCert, Cert: cert}))
			if readStep(s, maxLinkFrame, &proofMsg{}) != nil || l.reply == nil {
				return
			}
			s.WriteFrame(wire.Marshal(l.reply(d, cert, hello.KemPk)))
			s.ReadFrame(maxLinkFrame)
		})
		dir := t.TempDir()
		n := blank(t, dir)
		code := d.code
		nc := &newcomer{n: n, code: code}
		nc.keys = must[identity.DeviceKeys](t)(identity.NewDeviceKeys(rand.Reader))
		nc.mesh = must[*mesh.Mesh](t)(mesh.New(t.Context(), mesh.Config{Key: nc.keys.Peer, Listen: []string{"/ip4/127.0.0.1/tcp/0"}}))
		if err := nc.mesh.Connect(t.Context(), code.Peer, d.mesh.Bound()); err != nil {
			t.Fatal(err)
		}
		s := must[*mesh.Stream](t)(nc.mesh.Open(t.Context(), code.Peer, protocolLink))
		task := n.tasks.begin(api.TaskLink, api.StageFinding, nil)
		if _, _, _, err := nc.ask(t.Context(), task, s); err == nil {
			t.Errorf("%s was taken", name)
		}
		nc.mesh.Close()
		for _, file := range []string{fileKeys, fileDevice, dirStore} {
			if _, err := os.Stat(filepath.Join(dir, file)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %s is there: %v", name, file, err)
			}
		}
	}
}

// Only the devices of an account tell each other what they know, and only they
// are added to its groups.
func TestOwnFramesOfStrangers(t *testing.T) {
	ann := startNode(t, t.TempDir(), "Ann", nil)
	g := newGroup(t, ann, api.GroupCreate{})
	p := applicants(t, 1)[0]
	edge := identity.SignEdge(p.keys, p.chain, ann.dev.account(), 1, 1, ann.nowMs())
	_, pk, err := seal.GenerateKEM(ann.cfg.Rand)
	if err != nil {
		t.Fatal(err)
	}
	two := linkTo(t, ann, t.TempDir(), api.DeviceLinkCreate{})
	for name, f := range map[string]struct {
		kind uint64
		body any
	}{
		"items":                 {directOwn, ownMsg{V: 1, Items: []ownItem{item(ownEdge, edge)}}},
		"itself":                {directSibling, siblingMsg{V: 1, Device: ownDevice{Chain: p.chain, Pop: p.pop}}},
		"another's certificate": {directSibling, siblingMsg{V: 1, Device: two.devices.own()}},
		"a wish":                {directAddMe, addMeMsg{Group: g, KemPk: pk}},
	} {
		ack, err := p.direct(t, ann, f.kind, wire.Marshal(f.body))
		if err != nil || ack.OK != 0 {
			t.Errorf("%s: %+v, %v", name, ack, err)
		}
	}
	if _, err := ann.Person(t.Context(), p.account()); err == nil {
		t.Error("a stranger's items were taken")
	}
	if devicesOf(t, ann) != 2 {
		t.Error("a stranger is on the list")
	}
	members := must[[]api.Member](t)(ann.Members(t.Context(), g))
	for _, d := range members[0].Devices {
		if d != ann.dev.id() && d != two.dev.id() {
			t.Error("a stranger was let into the group")
		}
	}
}

// What an own device hands over is judged all the same: it may be a stolen one.
func TestOwnItemsThatLie(t *testing.T) {
	ann := startNode(t, t.TempDir(), "Ann", nil)
	two := linkTo(t, ann, t.TempDir(), api.DeviceLinkCreate{})
	p := applicants(t, 1)[0]
	forged := identity.SignEdge(p.keys, p.chain, ann.dev.account(), 1, 1, ann.nowMs())
	forged.Edge.State = 0
	late := identity.SignEdge(p.keys, p.chain, ann.dev.account(), ann.nowMs()+uint64(time.Hour.Milliseconds()), 1, ann.nowMs())
	elsewhere := identity.SignEdge(p.keys, p.chain, two.dev.account(), 2, 1, ann.nowMs())
	elsewhere.Edge.To = p.account()
	for name, it := range map[string]ownItem{
		"an edge with a wrong signature":   item(ownEdge, forged),
		"an edge of later than now":        item(ownEdge, late),
		"an edge of others":                item(ownEdge, elsewhere),
		"a stranger's device":              item(ownSibling, ownDevice{Chain: p.chain, Pop: p.pop}),
		"a block of itself":                item(ownBlock, blockItem{Account: ann.dev.account(), Blocked: true, Ms: 1}),
		"a setting that is none":           item(ownSettings, settingsItem{Ms: 1, AutoAccept: "everybody"}),
		"a group that is none":             item(ownGroup, groupItem{Seated: true, Genesis: []byte{1}}),
		"a place past all clocks":          item(ownRead, readItem{Ms: wire.MaxMs}),
		"a request with a strange end":     item(ownRequest, requestItem{Kind: askedSeat, End: 9}),
		"a request of later than now":      item(ownRequest, requestItem{Kind: askedSeat, Ms: ann.nowMs() + uint64(time.Hour.Milliseconds())}),
		"a request that is none":           item(ownRequest, requestItem{Kind: askedSeat, Body: []byte{0xff}}),
		"a request of a group elsewhere":   item(ownRequest, requestItem{Kind: askedOwnership, Body: wire.Marshal(heirMsg{})}),
		"a body that is none":              {Kind: ownProfile, Body: []byte{0xff}},
		"a profile with a wrong signature": item(ownProfile, identity.SignedProfile{Chain: p.chain}),
	} {
		if err := ann.takeOwn(t.Context(), two.dev.peer(), []ownItem{it}); !isRefusal(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := ann.takeOwn(t.Context(), two.dev.peer(), []ownItem{{Kind: 99, Body: []byte{1}}}); err != nil {
		t.Errorf("of a newer version: %v", err)
	}
	// What does not hold here is passed over: a follower who is none, an offer of
	// nobody mutual, and the same of a kind to come.
	offer := wire.Marshal(offerMsg{Inviter: p.account(), Genesis: []byte{1}, Nonce: [16]byte{1}})
	for _, r := range []requestItem{{Kind: askedFollow, From: p.account()}, {Kind: askedSeat, From: p.account(), Body: offer}, {Kind: 99, Body: offer}} {
		if err := ann.takeOwn(t.Context(), two.dev.peer(), []ownItem{item(ownRequest, r)}); err != nil {
			t.Errorf("a request of kind %d: %v", r.Kind, err)
		}
	}
	if list := must[[]api.Request](t)(ann.Requests(t.Context())); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	if got, err := ann.Person(t.Context(), p.account()); err == nil && got.FollowsYou {
		t.Error("a lie was taken in")
	}
	if must[api.Settings](t)(ann.Settings(t.Context())).AutoAccept == "everybody" {
		t.Error("a setting that is none was taken")
	}
}
