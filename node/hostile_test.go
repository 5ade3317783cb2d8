package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
	"mutuals/node/mesh"
	"mutuals/node/mesh/meshtest"
)

var protocols = []string{protocolSync, protocolJoin, protocolKey, protocolDirect, protocolLink}

// A stranger gets nothing out of bytes that are no protocol, whatever their
// length says.
func TestStranger(t *testing.T) {
	t.Parallel()
	s := newSiege(t)
	noise := make([]byte, 4<<10)
	rand.Read(noise)
	huge := binary.AppendUvarint(nil, 1<<40)
	bad := [][]byte{
		nil, {0}, {0x80}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, huge, append(huge[:len(huge):len(huge)], noise...),
		noise, mesh.AppendFrame(nil, noise[:200]), mesh.AppendFrame(nil, nil), mesh.AppendFrame(nil, []byte{0x80}),
		mesh.AppendFrame(nil, []byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), // an array of 2^64-1
		binary.AppendUvarint(nil, 2<<20), // a megabyte announced, none sent
		mesh.AppendFrame(nil, wire.Marshal(ackMsg{V: 1, OK: 1})),
		mesh.AppendFrame(nil, bytes.Repeat([]byte{0x81}, 200)), // nested
	}
	s.attack(t, "garbage", 40, func(t *testing.T) {
		raw := s.stranger(t)
		for _, proto := range protocols {
			for i, b := range bad {
				if got := s.bytes(t, raw, proto, b); len(got) > 64 {
					t.Errorf("%s answers garbage %d with %d bytes", proto, i, len(got))
				}
			}
		}
	})

	s.attack(t, "a thousand streams", 10, func(t *testing.T) {
		raw := s.stranger(t)
		for range 1000 {
			st, err := raw.Open(t.Context(), s.ann.mesh.Self(), protocolSync)
			if err != nil {
				break
			}
			st.Write([]byte{0x85}) // half a length
		}
		if n := strings.Count(serving(), "node.(*Node).serveSync"); n > 64 {
			t.Errorf("%d streams of one stranger are served", n)
		}
		raw.Close()
	})

	// Sixteen strangers used to take every stream there was, and a member got
	// none.
	s.attack(t, "every stream taken by strangers", 60, func(t *testing.T) {
		var raws []*meshtest.Raw
		for range 17 {
			raw := s.stranger(t)
			raws = append(raws, raw)
			for range 40 {
				st, err := raw.Open(t.Context(), s.ann.mesh.Self(), protocolSync)
				if err != nil {
					break
				}
				st.Write([]byte{0x85})
			}
		}
		within(t, s.ann, patience, "the streams to be taken", func() bool { return s.ann.mesh.Stats().StreamsRefused > 100 })
		r := s.bo.room(s.group)
		if err := r.pull(t.Context(), s.ann.mesh.Self()); err != nil {
			t.Errorf("a member gets no stream: %v", err)
		}
		for _, raw := range raws {
			raw.Close()
		}
	})

	s.attack(t, "a stranger asks for the group", 1, func(t *testing.T) {
		raw := s.stranger(t)
		inv := wire.OpID{1}
		for _, m := range []groups.SyncMessage{
			&groups.SyncHello{V: groups.SyncVersion, Group: s.group},
			&groups.SyncHave{Group: s.group, Entries: groups.Vector{{Inc: inv, Chain: 1, Seq: 9}}},
		} {
			got := s.bytes(t, raw, protocolSync, mesh.AppendFrame(nil, groups.EncodeSync(m)))
			refused := groups.EncodeSync(&groups.SyncRefused{Group: s.group})
			if len(got) > 0 && !bytes.Equal(got, mesh.AppendFrame(nil, refused)) {
				t.Errorf("%T is answered with %x", m, got)
			}
		}
	})
	s.attack(t, "half-open", 5, func(t *testing.T) {
		raw := s.stranger(t)
		for _, proto := range protocols {
			for range 8 {
				if st, err := raw.Open(t.Context(), s.ann.mesh.Self(), proto); err == nil {
					st.Write([]byte{0x90, 0x01, 0x85})
				}
			}
		}
		s.flows(t) // while they hang
		raw.Close()
	})
}

// Who holds a passcode cannot use it as somebody else, nor somebody else's
// request.
func TestForgedJoin(t *testing.T) {
	s := newSiege(t)
	mine, other := invite(t, s.ann, s.group, 5, ""), invite(t, s.ann, s.group, 5, "")
	code := must[invites.Found](t)(invites.Extract(mine.Passcode, time.Now())).Passcode
	codeOther := must[invites.Found](t)(invites.Extract(other.Passcode, time.Now())).Passcode
	members := must[api.Group](t)(s.ann.Group(t.Context(), s.group)).Members

	hello := func(p *applicant, keys invites.Keys, n, to wire.PeerKey) helloMsg {
		m := helloMsg{V: 1, Step: joinHello, InvitePk: keys.InvitePk()}
		rand.Read(m.Nonce[:])
		m.Signature = wire.Sign(wire.DomainJoinHello, keys.Sign, wire.NoContext, wire.Marshal(helloCore{V: 1, N: n, S: to, Nonce: m.Nonce}))
		return m
	}
	// ask opens a join stream, sends hello and, if it was answered, the ask.
	ask := func(t *testing.T, p *applicant, h helloMsg, a func(group wire.GroupID) *askMsg) (shown bool, v verdictMsg, err error) {
		if err := p.mesh.Connect(t.Context(), s.ann.mesh.Self(), s.ann.mesh.Bound()); err != nil {
			t.Fatal(err)
		}
		st := must[*mesh.Stream](t)(p.mesh.Open(t.Context(), s.ann.mesh.Self(), protocolJoin))
		defer st.Close()
		st.SetDeadline(time.Now().Add(10 * time.Second))
		if err := st.WriteFrame(wire.Marshal(h)); err != nil {
			return false, v, err
		}
		if _, err := st.ReadFrame(maxGenesisFrame); err != nil {
			return false, v, err
		}
		if _, err := st.ReadFrame(maxPathFrame); err != nil {
			return true, v, err
		}
		if err := st.WriteFrame(wire.Marshal(*a(s.group))); err != nil {
			return true, v, err
		}
		b, err := st.ReadFrame(maxVerdictFrame)
		if err != nil {
			return true, v, err
		}
		return true, v, wire.Unmarshal(b, &v)
	}
	request := func(p *applicant, inv string, keys invites.Keys) *askMsg {
		id := must[wire.OpID](t)(wire.ParseOpID(inv))
		_, pk, _ := seal.GenerateKEM(rand.Reader)
		req := groups.JoinRequest{
			V: 1, Group: s.group, Invite: wire.SomeID(id), Inviter: s.ann.dev.account(), Newcomer: p.account(),
			Chain: p.chain, Pop: p.pop, KemPk: pk, Follow: 1, Ms: uint64(time.Now().UnixMilli()),
		}
		rand.Read(req.Nonce[:])
		return &askMsg{V: 1, Step: joinAsk, Request: req, Sig: req.Sign(p.keys.Op), UseSig: wire.Sig(req.Use(keys.Sign))}
	}
	newcomer := func(t *testing.T) *applicant {
		p := must[*applicant](t)(newApplicant(t.Context()))
		t.Cleanup(func() { p.mesh.Close() })
		return p
	}
	self := s.ann.mesh.Self()
	keys := code.Keys()

	s.attack(t, "hello", 2, func(t *testing.T) {
		p := newcomer(t)
		n := p.mesh.Self()
		good := hello(p, keys, n, self)
		overheard := hello(p, keys, wire.PeerKey{7}, self)
		elsewhere := hello(p, keys, n, wire.PeerKey{7})
		forged := good
		forged.Signature[3] ^= 1
		unknown := hello(p, invites.Keys{Sign: p.keys.Op}, n, self)
		for name, h := range map[string]helloMsg{"overheard": overheard, "for elsewhere": elsewhere, "forged": forged, "of no invite": unknown} {
			if shown, _, _ := ask(t, p, h, nil); shown {
				t.Errorf("a hello %s is answered", name)
			}
		}
	})
	s.attack(t, "ask", 2, func(t *testing.T) {
		p, q := newcomer(t), newcomer(t)
		for name, forge := range map[string]func(*askMsg){
			"with another invite's signature": func(a *askMsg) { a.UseSig = wire.Sig(a.Request.Use(codeOther.Keys().Sign)) },
			"without the invite's signature":  func(a *askMsg) { a.UseSig = wire.Sig{} },
			"signed by another device":        func(a *askMsg) { a.Sig = a.Request.Sign(q.keys.Op) },
			"for another device's chain":      func(a *askMsg) { a.Request.Chain, a.Request.Pop = q.chain, q.pop },
			"without a chain":                 func(a *askMsg) { a.Request.Chain = nil },
			"in another's name": func(a *askMsg) {
				a.Request.Newcomer = s.bo.dev.account()
				a.Sig, a.UseSig = a.Request.Sign(p.keys.Op), wire.Sig(a.Request.Use(keys.Sign))
			},
			"for another group": func(a *askMsg) {
				a.Request.Group[0] ^= 1
				a.Sig, a.UseSig = a.Request.Sign(p.keys.Op), wire.Sig(a.Request.Use(keys.Sign))
			},
			"without proof of the peer key": func(a *askMsg) {
				a.Request.Pop = identity.Pop{}
				a.Sig, a.UseSig = a.Request.Sign(p.keys.Op), wire.Sig(a.Request.Use(keys.Sign))
			},
			"with a KEM key nobody can seal for": func(a *askMsg) {
				a.Request.KemPk = make([]byte, len(a.Request.KemPk))
				a.Sig, a.UseSig = a.Request.Sign(p.keys.Op), wire.Sig(a.Request.Use(keys.Sign))
			},
			"that cites another invite": func(a *askMsg) {
				a.Request.Invite = wire.SomeID(must[wire.OpID](t)(wire.ParseOpID(other.ID.String())))
				a.Sig, a.UseSig = a.Request.Sign(p.keys.Op), wire.Sig(a.Request.Use(keys.Sign))
			},
		} {
			shown, v, err := ask(t, p, hello(p, keys, p.mesh.Self(), self), func(wire.GroupID) *askMsg {
				a := request(p, mine.ID.String(), keys)
				forge(a)
				return a
			})
			if shown && err == nil && v.Outcome != outcomeRefused {
				t.Errorf("a request %s: outcome %d", name, v.Outcome)
			}
			s.ann.rates.mu.Lock()
			clear(s.ann.rates.hellos.by)
			s.ann.rates.mu.Unlock()
		}
		// A request that was overheard is of no use to another peer.
		taken := request(p, mine.ID.String(), keys)
		if _, v, err := ask(t, q, hello(q, keys, q.mesh.Self(), self), func(wire.GroupID) *askMsg { return taken }); err == nil && v.Outcome != outcomeRefused {
			t.Errorf("a replayed request: outcome %d", v.Outcome)
		}
	})
	if got := must[api.Group](t)(s.ann.Group(t.Context(), s.group)).Members; got != members {
		t.Errorf("%d members after the forgeries, %d before", got, members)
	}
	// The code still works for who has it, the same request the same way.
	p := newcomer(t)
	a := request(p, mine.ID.String(), keys)
	var admits [][]byte
	for range 2 {
		_, v, err := ask(t, p, hello(p, keys, p.mesh.Self(), self), func(wire.GroupID) *askMsg { return a })
		if err != nil || v.Outcome != outcomeAdmitted {
			t.Fatalf("an honest request: outcome %d, %v, %v", v.Outcome, groups.Reason(v.Reason), err)
		}
		admits = append(admits, v.Admit)
	}
	if !bytes.Equal(admits[0], admits[1]) {
		t.Error("the same request got another admit")
	}
}

// A sponsor that lies is left before the newcomer has told it anything.
func TestLyingSponsor(t *testing.T) {
	t.Parallel()
	s := newSiege(t)
	inv := invite(t, s.ann, s.group, 5, "")
	code := must[invites.Found](t)(invites.Extract(inv.Passcode, time.Now())).Passcode
	var path [][]byte
	inRoom(t, s.ann, s.group, func(r *room) {
		for _, op := range r.g.AdmissionPath(must[wire.OpID](t)(wire.ParseOpID(inv.ID.String())), r.me) {
			path = append(path, op.Frame())
		}
	})
	elsewhere := newGroup(t, s.ann, api.GroupCreate{Name: "Elsewhere"})
	var foreign []byte
	inRoom(t, s.ann, elsewhere, func(r *room) { foreign = r.g.Op(wire.OpID(elsewhere)).Frame() })
	flipped := func(i int) [][]byte {
		out := append([][]byte{}, path...)
		b := bytes.Clone(out[i])
		b[len(b)-1] ^= 1
		out[i] = b
		return out
	}
	noise := make([]byte, 300)
	rand.Read(noise)
	lies := map[string][][]byte{
		"another group":       append([][]byte{foreign}, path[1:]...),
		"the right path":      path, // by a peer that is no device of the group
		"a forged signature":  flipped(len(path) - 1),
		"a forged genesis":    flipped(0),
		"no invite":           path[:1],
		"noise for a genesis": {noise},
		"noise for a path":    {path[0], noise},
		"a path of strangers": append(append([][]byte{}, path...), foreign),
	}
	cy := testNode(t, "Cy")
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			liar := must[*applicant](t)(newApplicant(t.Context()))
			defer liar.mesh.Close()
			told := make(chan int, 8)
			liar.mesh.Handle(protocolJoin, 8, func(_ context.Context, st *mesh.Stream) {
				if _, err := st.ReadFrame(maxHelloFrame); err != nil {
					return
				}
				st.WriteFrame(lie[0])
				msg := pathMsg{V: 1, Step: joinPath, Frames: lie[1:]}
				st.WriteFrame(wire.Marshal(msg))
				b, err := st.ReadFrame(maxAskFrame)
				if err == nil {
					told <- len(b)
				}
				told <- 0
			})
			led := code
			peer, addr, _ := mesh.ParseAddr(liar.mesh.Addrs()[0])
			led.Hints = [][]byte{must[[]byte](t)(invites.PackHint(invites.Hint{Addr: addr, Peer: peer}))}
			task := waitTask(t, cy, must[api.Task](t)(cy.JoinByPasscode(t.Context(), led.Text())).ID)
			if task.State != api.TaskFailed {
				t.Errorf("the join: %+v", task)
			}
			if n := <-told; n != 0 {
				t.Errorf("the liar was sent a request of %d bytes", n)
			}
			if len(cy.openRooms()) != 0 {
				t.Error("a room was made for the lie")
			}
		})
	}
}

// Key requests are answered to the seated device that asks for itself, now.
func TestForgedKeyRequests(t *testing.T) {
	t.Parallel()
	s := newSiege(t)
	r := s.newRogue(t)
	var eids [][32]byte
	inRoom(t, s.ann, s.group, func(room *room) {
		for _, e := range room.g.Epochs() {
			eids = append(eids, e.EID)
		}
	})
	boInc, _ := s.ann.room(s.group).view.Load().state.IncOfDevice(s.bo.dev.id())
	send := func(t *testing.T, key ed25519.PrivateKey, change func(*seal.Request, *keyMsg)) []byte {
		t.Helper()
		s.ann.rates.mu.Lock()
		clear(s.ann.rates.keys.by)
		s.ann.rates.mu.Unlock()
		req := seal.Request{V: 1, Inc: r.inc, EIDs: eids, Responder: s.ann.mesh.Self(), Ms: s.ann.nowMs()}
		rand.Read(req.Nonce[:])
		m := keyMsg{V: 1, Group: s.group}
		change(&req, &m)
		m.Request = wire.Marshal(seal.SignRequest(key, m.Group, req))
		st := r.open(t, s.ann, protocolKey)
		defer st.Close()
		if err := st.WriteFrame(wire.Marshal(m)); err != nil {
			return nil
		}
		st.SetDeadline(time.Now().Add(10 * time.Second))
		b, _ := st.ReadFrame(seal.MaxReply)
		return b
	}
	if len(send(t, r.keys.Op, func(*seal.Request, *keyMsg) {})) == 0 {
		t.Error("an honest request of a member is not answered")
	}
	s.attack(t, "requests", 3, func(t *testing.T) {
		other := must[identity.DeviceKeys](t)(identity.NewDeviceKeys(rand.Reader))
		for name, change := range map[string]func(*seal.Request, *keyMsg){
			"for another responder": func(q *seal.Request, _ *keyMsg) { q.Responder = s.bo.mesh.Self() },
			"of an hour ago":        func(q *seal.Request, _ *keyMsg) { q.Ms -= 3_600_000 },
			"of an hour ahead":      func(q *seal.Request, _ *keyMsg) { q.Ms += 3_600_000 },
			"of the end of time":    func(q *seal.Request, _ *keyMsg) { q.Ms = ^uint64(0) },
			"in Bo's name":          func(q *seal.Request, _ *keyMsg) { q.Inc = boInc.ID },
			"of no inc":             func(q *seal.Request, _ *keyMsg) { q.Inc = wire.OpID{} },
			"for another group":     func(_ *seal.Request, m *keyMsg) { m.Group[0] ^= 1 },
		} {
			if b := send(t, r.keys.Op, change); b != nil {
				t.Errorf("a request %s is answered", name)
			}
		}
		if b := send(t, other.Op, func(*seal.Request, *keyMsg) {}); b != nil {
			t.Error("a request signed by another key is answered")
		}
	})
	s.attack(t, "another's leaf", 3, func(t *testing.T) {
		var rekey wire.OpID
		inRoom(t, s.ann, s.group, func(room *room) { rekey = room.g.Epochs()[0].Rekey })
		st := r.open(t, s.ann, protocolSync)
		if err := writeSync(st, &groups.SyncHello{V: groups.SyncVersion, Group: s.group}); err != nil {
			t.Fatal(err)
		}
		if _, err := readSync(st); err != nil {
			t.Fatal(err)
		}
		if _, err := readVector(st); err != nil {
			t.Fatal(err)
		}
		for _, who := range []wire.OpID{boInc.ID, {}, wire.OpID(s.group)} {
			writeSync(st, &groups.SyncWrapWant{Rekey: rekey, Recipient: who})
			m, err := readSync(st)
			if _, leaf := m.(*groups.SyncWrap); leaf || err != nil {
				t.Errorf("a leaf of %s: %T, %v", who.Short(), m, err)
			}
		}
	})
	s.attack(t, "after the removal", 3, func(t *testing.T) {
		must[api.Member](t)(s.ann.RemoveMember(t.Context(), s.group, r.acc, ""))
		if b := send(t, r.keys.Op, func(*seal.Request, *keyMsg) {}); b != nil {
			t.Error("a removed member is given keys")
		}
		st := r.open(t, s.ann, protocolSync)
		writeSync(st, &groups.SyncHello{V: groups.SyncVersion, Group: s.group})
		if m, err := readSync(st); err == nil {
			if _, ok := m.(*groups.SyncRefused); !ok {
				t.Errorf("a removed member is answered with %T", m)
			}
		}
		said := len(texts(t, s.ann, s.group))
		r.say(t, s, "after all")
		s.flows(t)
		if got := len(texts(t, s.ann, s.group)); got != said+2 {
			t.Errorf("%d messages, want %d: a removed member was heard", got, said+2)
		}
	})
}

// say gives Ann a message of the rogue's own by a segment.
func (r *rogue) say(t *testing.T, s *siege, text string) {
	t.Helper()
	size := must[int](t)(seal.SealedLen(100))
	op := must[*groups.Op](t)(r.log.ComposeContent(r.inc, r.keys.Op, s.ann.nowMs(), [32]byte{1}, [16]byte{}, size, func([]byte, uint64) ([]byte, error) { return make([]byte, size), nil }))
	r.tell(t, s.ann, s.group, &groups.Segment{Inc: r.inc, Chain: 1, Frames: [][]byte{op.Frame()}})
}

// A member may send what it likes: it costs little, hides nothing, claims
// nothing for others.
func TestRogueMember(t *testing.T) {
	t.Parallel()
	s := newSiege(t)
	r := s.newRogue(t)
	at := s.ann.room(s.group)
	annInc, boInc := at.view.Load().me, wire.OpID{}
	if inc, ok := at.view.Load().state.IncOfDevice(s.bo.dev.id()); ok {
		boInc = inc.ID
	}

	s.attack(t, "lying vectors", 6, func(t *testing.T) {
		say(t, s.ann, s.group, "held by whom")
		hears(t, s.bo, s.group, "held by whom")
		var seq uint64
		inRoom(t, s.ann, s.group, func(room *room) { seq = room.heads[chainOf{annInc, groups.Content}].Seq })
		var huge groups.Vector
		for i := range groups.MaxHave {
			huge = append(huge, groups.VectorEntry{Inc: wire.OpID{byte(i), byte(i >> 8), 1}, Chain: uint64(i % 3), Seq: 1 << 47, Head: [16]byte{byte(i)}})
		}
		r.tell(t, s.ann, s.group,
			&groups.SyncHave{Group: s.group, Entries: huge.Sort()},
			&groups.SyncHave{Group: s.group, Entries: groups.Vector{{Inc: annInc, Chain: 1, Seq: seq, Head: [16]byte{9}}}},
		)
		if n, _, _ := at.holders(at.view.Load(), annInc, seq, s.ann.dev.account()); n > 1 {
			t.Errorf("held by %d, only Bo has it", n)
		}
		// What is beyond Ann's knowledge cannot be held against Mal, but it
		// speaks for Mal alone.
		ahead := groups.Vector{{Inc: annInc, Chain: 1, Seq: 1 << 47, Head: [16]byte{9}}, {Inc: boInc, Chain: 1, Seq: 1 << 47, Head: [16]byte{9}}}
		for range 3 {
			r.tell(t, s.ann, s.group, &groups.SyncHave{Group: s.group, Entries: ahead.Sort()})
		}
		if n, _, _ := at.holders(at.view.Load(), annInc, seq, s.ann.dev.account()); n > 2 {
			t.Errorf("held by %d, there are two others", n)
		}
		if n := len(at.held.by); n > 8 {
			t.Errorf("%d chains are remembered of a vector of made-up ones", n)
		}
	})

	s.attack(t, "unwanted operations", 6, func(t *testing.T) {
		elsewhere := newGroup(t, s.bo, api.GroupCreate{Name: "Bo's own"})
		var foreign [][]byte
		inRoom(t, s.bo, elsewhere, func(r *room) {
			for _, op := range r.g.Ops() {
				foreign = append(foreign, op.Frame())
			}
		})
		ack := must[*groups.Op](t)(r.log.ComposeControl(r.inc, r.keys.Op, s.ann.nowMs(), groups.KindAck, &groups.AckBody{}))
		forged := bytes.Clone(ack.Frame())
		forged[len(forged)-1] ^= 1
		remove := must[*groups.Op](t)(r.log.ComposeControl(r.inc, r.keys.Op, s.ann.nowMs(), groups.KindRemove, &groups.RemoveBody{Account: s.ann.dev.account()}))
		far := must[*groups.Op](t)(r.log.ComposeControl(r.inc, r.keys.Op, s.ann.nowMs()+groups.FarAheadMs*2, groups.KindAck, &groups.AckBody{}))
		for _, frames := range [][][]byte{foreign, {forged}, {remove.Frame()}, {far.Frame()}} {
			r.tell(t, s.ann, s.group, &groups.Segment{Inc: r.inc, Chain: 0, Frames: frames})
		}
		if m, _ := s.ann.room(s.group).view.Load().state.Member(s.ann.dev.account()); m.Status != groups.StatusSeated {
			t.Error("Ann was removed by a member")
		}
	})

	s.attack(t, "a vector without end", 6, func(t *testing.T) {
		var mu sync.Mutex
		var pulls []int // how many windows each asked for: Ann may pull by herself besides
		r.mesh.Handle(protocolSync, 32, func(_ context.Context, st *mesh.Stream) {
			m, err := readSync(st)
			hello, ok := m.(*groups.SyncHello)
			if err != nil || !ok {
				return
			}
			mu.Lock()
			pull := len(pulls)
			pulls = append(pulls, 0)
			mu.Unlock()
			writeSync(st, &groups.SyncHello{V: groups.SyncVersion, Group: hello.Group, Digest: [32]byte{1}})
			var v groups.Vector
			for i := range 200 {
				v = append(v, groups.VectorEntry{Inc: wire.OpID{byte(i), 7}, Chain: 0, Seq: 1 << 47, Floor: 1})
			}
			writeSync(st, &groups.SyncVector{Entries: v.Sort()})
			for {
				if m, err = readSync(st); err != nil {
					return
				}
				if _, ok := m.(*groups.SyncWant); !ok {
					return
				}
				mu.Lock()
				pulls[pull]++
				mu.Unlock()
				writeSync(st, &groups.SyncDone{Status: groups.SyncNotHeld})
			}
		})
		defer r.mesh.Unhandle(protocolSync)
		if err := at.pull(t.Context(), r.mesh.Self()); err != nil {
			t.Errorf("the pull: %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(pulls) == 0 || slices.Max(pulls) == 0 {
			t.Error("nothing was asked for")
		}
		for _, n := range pulls {
			if n > maxBarren+windowsAhead {
				t.Errorf("%d windows were asked for in one pull of a peer that has nothing", n)
			}
		}
	})

	// What builds on nothing is parked; a member cannot fill all there is.
	s.attack(t, "operations that wait for ever", 6, func(t *testing.T) {
		pins := make([]groups.Pin, 900)
		for i := range pins {
			binary.BigEndian.PutUint32(pins[i].Inc[:], uint32(i))
			pins[i].Seq = 1
		}
		big := wire.Marshal(groups.RemoveBody{Account: s.bo.dev.account(), Pins: pins})
		for i := range 30 {
			var segs []groups.SyncMessage
			for j := range 4 {
				op := strangerOp(4*i+j, big)
				segs = append(segs, &groups.Segment{Inc: op.IncID(), Chain: 0, Frames: [][]byte{op.Frame()}})
			}
			r.tell(t, s.ann, s.group, segs...)
		}
		inRoom(t, s.ann, s.group, func(r *room) {
			if r.parked.bytes > maxParkedBytes/parkShare {
				t.Errorf("%d bytes of one peer are parked", r.parked.bytes)
			}
		})
	})

	s.attack(t, "peer records", 6, func(t *testing.T) {
		before := len(s.ann.recordBy)
		for range 60 {
			var records [][]byte
			for range groups.MaxHelloRecords {
				_, key, _ := ed25519.GenerateKey(rand.Reader)
				records = append(records, must[[]byte](t)(meshtest.Record(key, "/ip4/192.0.2.1/tcp/1")))
			}
			st := r.open(t, s.ann, protocolSync)
			if err := writeSync(st, &groups.SyncHello{V: groups.SyncVersion, Group: s.group, Records: records}); err != nil {
				t.Fatal(err)
			}
			readSync(st)
			st.Reset()
		}
		s.ann.recordsMu.Lock()
		defer s.ann.recordsMu.Unlock()
		if n := len(s.ann.recordBy) - before; n > maxStrangeRecords {
			t.Errorf("%d records of made-up peers are kept", n)
		}
		if rec := s.ann.recordBy[s.bo.mesh.Self()]; len(rec.addrs) > 0 && strings.Contains(fmt.Sprint(rec.addrs), "192.0.2.1") {
			t.Error("Bo's addresses were changed by another")
		}
	})

	s.attack(t, "slow readers", 6, func(t *testing.T) {
		for range 40 {
			st, err := r.mesh.Open(t.Context(), s.ann.mesh.Self(), protocolSync)
			if err != nil {
				break
			}
			t.Cleanup(func() { st.Reset() })
			writeSync(st, &groups.SyncHello{V: groups.SyncVersion, Group: s.group})
			var wants []groups.Want
			for range 16 {
				wants = append(wants, groups.Want{Inc: annInc, Chain: 1, From: 1, To: 1000})
			}
			for range 4 {
				st.WriteFrame(groups.EncodeSync(&groups.SyncWant{Wants: wants}))
			}
		}
		s.flows(t)
	})
	s.attack(t, "garbage from a member", 12, func(t *testing.T) {
		r.mesh.Close()
		raw := s.rawOf(t, r.keys)
		noise := make([]byte, 2048)
		rand.Read(noise)
		for range 20 {
			for _, proto := range protocols {
				s.bytes(t, raw, proto, mesh.AppendFrame(nil, noise[:200]))
				s.bytes(t, raw, proto, binary.AppendUvarint(nil, 1<<40))
			}
		}
	})
}
