package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"mutuals/groups"
	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
	"mutuals/node/mesh"
)

const (
	// dialTime bounds reaching one address of a passcode.
	dialTime = 15 * time.Second
	// lookTime is how long the local network is asked where somebody is: answers
	// take milliseconds, and a node that has just begun may have to ask twice.
	lookTime = 3 * time.Second
	// joinTime bounds a whole join; what is not answered by then was not heard.
	joinTime = 2 * time.Minute
	// lobbyAfter is how long addresses in the code are tried before strangers are
	// asked who is listed for it.
	lobbyAfter = time.Second
	// joinPeers bounds who is asked besides the passcode's hints: peers this
	// node happens to be linked to, as on a local network.
	joinPeers = 16
)

// JoinByPasscode reads a pasted text and begins to enter the group its
// passcode names. What is wrong with the text is said at once; what happens
// then, the task says. Problems: passcode_*, invite_expired, already_member, group_unreadable.
func (n *Node) JoinByPasscode(_ context.Context, text string) (api.Task, error) {
	if !n.begun.Load() {
		return api.Task{}, api.NewProblem(api.NoIdentity)
	}
	if err := n.mayWrite(); err != nil {
		return api.Task{}, err
	}
	code, err := n.readPasscode(text)
	if err != nil {
		return api.Task{}, err
	}
	for _, r := range n.openRooms() {
		if code.OfGroup(r.group) && r.view.Load().seated() {
			return api.Task{}, api.NewProblem(api.AlreadyMember)
		}
	}
	if p := n.cannotReadAny(code.OfGroup); p != nil {
		return api.Task{}, p
	}
	ctx, cancel := context.WithTimeout(n.ctx, joinTime)
	t := n.tasks.begin(api.TaskJoin, api.StageReading, cancel)
	n.wg.Go(func() {
		defer cancel()
		n.join(ctx, t, code)
	})
	return n.Task(ctx, t.t.ID)
}

func (n *Node) readPasscode(text string) (invites.Passcode, error) {
	found, err := invites.Extract(text, n.now())
	if err != nil {
		return invites.Passcode{}, passcodeProblem(err)
	}
	if found.Passcode.V == 0 {
		return invites.Passcode{}, api.NewProblem(api.PasscodeMalformed)
	}
	return found.Passcode, nil
}

// passcodeProblem says what is wrong with a pasted text.
func passcodeProblem(err error) *api.Problem {
	var e *invites.Error
	if !errors.As(err, &e) {
		return api.NewProblem(api.PasscodeMalformed)
	}
	switch e.Code {
	case invites.CutOff:
		return api.NewProblem(api.PasscodeCutOff)
	case invites.Mistyped:
		return api.NewProblem(api.PasscodeMistyped, "part", fmt.Sprint(e.Group), "letters", e.Letters)
	case invites.Expired:
		return api.NewProblem(api.InviteExpired)
	case invites.Newer:
		return api.NewProblem(api.PasscodeNewer)
	}
	return api.NewProblem(api.PasscodeMalformed)
}

// candidate is somebody who may let us in, or why not.
type candidate struct {
	peer  wire.PeerKey
	addrs []string // to dial it anew; none if it was linked already
	way   string
	err   error
	// shown is what the inviter said of the group on the code's topic; then nobody
	// is meant.
	shown *invites.Preview
}

func (n *Node) join(ctx context.Context, t *task, code invites.Passcode) {
	t.set(func(a *api.Task) { a.Stage = api.StageFinding })
	var last *api.Problem
	var shown invites.Preview
	for c := range n.candidates(ctx, code) {
		if c.shown != nil {
			shown = *c.shown
			continue
		}
		t.tried(c.way, c.err)
		if c.err != nil {
			continue
		}
		t.set(func(a *api.Task) { a.Stage = api.StageAsking })
		if r := n.returnTo(ctx, c.peer, code); r != nil {
			n.enter(ctx, t, r, c.peer)
			return
		}
		answer, err := n.askPatiently(ctx, c, code)
		if err != nil {
			n.log.Debug("asking to join failed", "peer", c.peer.Short(), "err", err)
			t.tried(c.way, err)
			if last == nil {
				last = api.NewProblem(api.PeerUnreachable)
			}
			continue
		}
		n.nameWaitlisted(ctx, answer, code)
		if answer.problem == nil { // by somebody who has no preview to show, perhaps
			if err := answer.room.callIt(ctx, shown.Name); err != nil {
				n.log.Debug("naming a group failed", "err", err)
			}
		}
		if n.settleJoin(ctx, t, answer) {
			return
		}
		if answer.problem != nil {
			last = answer.problem // a refusal by rule says more than a silence
		}
	}
	if ctx.Err() != nil && n.ctx.Err() == nil {
		last = api.NewProblem(api.Timeout)
	}
	if last == nil {
		last = api.NewProblem(api.PeerUnreachable)
	}
	t.set(func(a *api.Task) { a.Stage = api.StageRefused })
	t.fail(last)
}

// candidates yields whoever can be reached, as they answer: the hints of the
// code, dialled side by side, whoever of them the local network may yet show,
// peers linked already, whom the directory lists for the code, and who answers on
// its topic.
func (n *Node) candidates(ctx context.Context, code invites.Passcode) <-chan candidate {
	ways := n.withKnown(n.hintWays(code.Hints), code.Hints)
	named := map[wire.PeerKey]bool{}
	for _, w := range ways {
		named[w.peer] = true
	}
	for _, b := range code.Hints {
		if h, err := invites.UnpackHint(b); err == nil && !named[h.Peer] {
			named[h.Peer] = true
			ways = append(ways, hintWay{peer: h.Peer})
		}
	}
	linked := n.mesh.Peers()
	// Nobody waits to be taken out: who has found a way reads no more.
	out := make(chan candidate, len(ways)+len(linked)+2*(joinPeers+1)+maxShown)
	var dialling, searching sync.WaitGroup
	searching.Add(3)
	var once told
	for way, search := range map[string]searcher{"dht": n.searchDirectory, "lobby": n.searchLobby} {
		n.wg.Go(func() {
			defer searching.Done()
			if slices.ContainsFunc(ways, func(w hintWay) bool { return len(w.addrs) > 0 }) && !pause(ctx, lobbyAfter) {
				return
			}
			n.searchCandidates(ctx, code, way, search, &once, out)
		})
	}
	n.wg.Go(func() {
		searching.Wait()
		close(out)
	})
	for _, w := range ways {
		dialling.Add(1)
		n.wg.Go(func() {
			defer dialling.Done()
			out <- n.dialHint(ctx, w)
		})
	}
	n.wg.Go(func() {
		defer searching.Done()
		dialling.Wait()
		for i, p := range linked {
			if i < joinPeers && !named[p.Peer] {
				out <- candidate{peer: p.Peer, way: p.Addr}
			}
		}
	})
	return out
}

// searcher looks for who lets people in by a code, gives each as found, and says
// why there are no more.
type searcher func(ctx context.Context, code invites.Passcode, found func(mesh.Found), shown func(invites.Preview)) error

// told is whom several searches have found.
type told struct {
	mu    sync.Mutex
	peers map[wire.PeerKey]bool
}

// first tells whether a peer was not told yet, and is no more than a join asks.
func (t *told) first(p wire.PeerKey) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.peers[p] || len(t.peers) >= joinPeers {
		return false
	}
	if t.peers == nil {
		t.peers = map[wire.PeerKey]bool{}
	}
	t.peers[p] = true
	return true
}

// searchCandidates yields whom a search finds and who is not linked, then why there
// are no more. Whom the code names is looked for too: its addresses are as old as it
// is.
func (n *Node) searchCandidates(ctx context.Context, code invites.Passcode, way string, search searcher, once *told, out chan<- candidate) {
	var dialling sync.WaitGroup
	err := search(ctx, code, func(f mesh.Found) {
		if !once.first(f.Peer) {
			return
		}
		dialling.Add(1)
		n.wg.Go(func() {
			defer dialling.Done()
			dial, cancel := context.WithTimeout(ctx, dialTime)
			defer cancel()
			out <- candidate{peer: f.Peer, way: way, err: n.mesh.Connect(dial, f.Peer, f.Addrs)}
		})
	}, func(p invites.Preview) { out <- candidate{way: way, shown: &p} })
	dialling.Wait()
	if err != nil && ctx.Err() == nil {
		out <- candidate{way: way, err: err}
	}
}

// pause waits; false if ctx is done first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// dialHint dials whom a code names; one without an address that may be dialled
// is looked for on the local network first.
func (n *Node) dialHint(ctx context.Context, w hintWay) candidate {
	if len(w.addrs) == 0 {
		if n.cfg.NoMDNS {
			return candidate{peer: w.peer, way: "hint", err: errors.New("the code names no address that may be dialled, and the local network is not searched")}
		}
		look, cancel := context.WithTimeout(ctx, lookTime)
		defer cancel()
		if err := n.mesh.Sighted(look, w.peer); err != nil {
			return candidate{peer: w.peer, way: "mdns", err: errors.New("not found on the local network, and the code names no address that may be dialled")}
		}
		w.addrs = n.mesh.KnownAddrs(w.peer)
		if len(w.addrs) == 0 {
			return candidate{peer: w.peer, way: "mdns", err: errors.New("found on the local network, and gone again")}
		}
	}
	dial, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	n.mesh.Pardon(w.peer) // the person asks for it
	return candidate{peer: w.peer, addrs: w.addrs, way: w.addrs[0], err: n.mesh.Connect(dial, w.peer, w.addrs)}
}

const (
	// asks is how often one sponsor is asked: a connection may be dead though
	// nobody has noticed, and a member may not have heard of the invite yet.
	asks = 3
	// askPause is the pause before the second, twice that before the third: a
	// few round trips of gossip.
	askPause = 300 * time.Millisecond
)

// askPatiently asks a sponsor that the passcode names, on a new connection each
// time; one that happens to be linked is asked once.
func (n *Node) askPatiently(ctx context.Context, c candidate, code invites.Passcode) (joinAnswer, error) {
	for try := 1; ; try++ {
		answer, err := n.ask(ctx, c.peer, code)
		if err == nil || len(c.addrs) == 0 || try == asks {
			return answer, err
		}
		n.log.Debug("asking to join again", "peer", c.peer.Short(), "err", err)
		select {
		case <-ctx.Done():
			return answer, err
		case <-time.After(time.Duration(try) * askPause):
		}
		n.mesh.ClosePeer(c.peer)
		dial, cancel := context.WithTimeout(ctx, dialTime)
		failed := n.mesh.Connect(dial, c.peer, c.addrs)
		cancel()
		if failed != nil {
			return joinAnswer{}, failed
		}
	}
}

// joinAnswer is what a sponsor said.
type joinAnswer struct {
	room    *room
	made    bool // for this question: with a no it goes
	outcome uint64
	problem *api.Problem
	sponsor wire.PeerKey
	asked   wire.AccountID // whose device that is
	nonce   [16]byte       // of the request
	ms      uint64
}

// refusalOf tells a newcomer why a sponsor did not let it in. That a member may
// not admit by this code, or could not answer, is for another one to mend.
func refusalOf(reason groups.Reason) *api.Problem {
	if reason == groups.ReasonNotSponsor {
		return api.NewProblem(api.PeerUnreachable)
	}
	return problemOf(reason)
}

// ask holds the dialogue of /mutuals/join/1 from the newcomer's side. It sends
// nothing of this account before it has seen that the group and the inviter
// are those the passcode names and that the other end is certified in the
// group.
func (n *Node) ask(ctx context.Context, peer wire.PeerKey, code invites.Passcode) (joinAnswer, error) {
	s, err := n.mesh.Open(ctx, peer, protocolJoin)
	if err != nil {
		return joinAnswer{}, err
	}
	defer s.Close()
	keys := code.Keys()
	path, err := n.readPath(s, code, keys)
	if err != nil {
		s.Reset()
		return joinAnswer{}, err
	}
	seed, pk, err := seal.GenerateKEM(n.cfg.Rand)
	if err != nil {
		return joinAnswer{}, err
	}
	req := groups.JoinRequest{
		V: 1, Group: path.group, Invite: wire.SomeID(path.invite), Inviter: path.inviter,
		Newcomer: n.dev.account(), Chain: n.dev.chain, Pop: n.dev.pop, KemPk: pk, Follow: 1, Ms: n.nowMs(),
	}
	if _, err := io.ReadFull(n.cfg.Rand, req.Nonce[:]); err != nil {
		return joinAnswer{}, fmt.Errorf("drawing a nonce: %w", err)
	}
	// The room is on disk before the request leaves: an admit that is written
	// must not find its device without the key it was made for.
	before := n.room(path.group)
	r, err := n.prepareRoom(ctx, path.genesis, pk, seed, peer)
	if err != nil {
		return joinAnswer{}, err
	}
	if code.SleepProof() {
		if err := r.keepInviteKey(ctx, keys); err != nil {
			return joinAnswer{}, err
		}
	}
	ask := askMsg{V: 1, Step: joinAsk, Request: req, Sig: req.Sign(n.dev.keys.Op), UseSig: wire.Sig(req.Use(keys.Sign))}
	s.SetDeadline(time.Now().Add(joinStep))
	if err := s.WriteFrame(wire.Marshal(ask)); err != nil {
		return joinAnswer{}, err
	}
	s.SetDeadline(time.Now().Add(joinStep))
	b, err := s.ReadFrame(maxVerdictFrame)
	if err != nil {
		return joinAnswer{}, err
	}
	var verdict verdictMsg
	if err := wire.Unmarshal(b, &verdict); err != nil {
		return joinAnswer{}, err
	}
	if err := checkStep(verdict.V, verdict.Step, joinVerdict); err != nil {
		return joinAnswer{}, err
	}
	answer := joinAnswer{room: r, made: r != before, outcome: verdict.Outcome, sponsor: peer, asked: path.sponsor, nonce: req.Nonce, ms: req.Ms}
	if verdict.Outcome == outcomeRefused {
		answer.problem = refusalOf(groups.Reason(verdict.Reason))
		return answer, nil
	}
	if shown, err := invites.OpenPreview(code, path.preview); err == nil {
		return answer, r.callIt(ctx, shown.Name)
	}
	return answer, nil
}

// readPath reads and checks what a sponsor shows of the group.
func (n *Node) readPath(s *mesh.Stream, code invites.Passcode, keys invites.Keys) (*shownPath, error) {
	hello := helloMsg{V: 1, Step: joinHello, InvitePk: keys.InvitePk()}
	if _, err := io.ReadFull(n.cfg.Rand, hello.Nonce[:]); err != nil {
		return nil, fmt.Errorf("drawing a nonce: %w", err)
	}
	core := wire.Marshal(helloCore{V: 1, N: n.mesh.Self(), S: s.Peer(), Nonce: hello.Nonce})
	hello.Signature = wire.Sign(wire.DomainJoinHello, keys.Sign, wire.NoContext, core)
	s.SetDeadline(time.Now().Add(joinStep))
	if err := s.WriteFrame(wire.Marshal(hello)); err != nil {
		return nil, err
	}
	s.SetDeadline(time.Now().Add(joinStep))
	genesis, err := s.ReadFrame(maxGenesisFrame)
	if errors.Is(err, io.EOF) {
		return nil, errors.New("it does not know this passcode")
	}
	if err != nil {
		return nil, err
	}
	op, refusal := groups.Decode(genesis)
	if refusal != nil {
		return nil, refusal
	}
	if !code.OfGroup(wire.GroupID(op.ID)) {
		return nil, errors.New("it shows another group than the passcode names")
	}
	b, err := s.ReadFrame(maxPathFrame)
	if err != nil {
		return nil, err
	}
	var msg pathMsg
	if err := wire.Unmarshal(b, &msg); err != nil {
		return nil, err
	}
	if err := checkStep(msg.V, msg.Step, joinPath); err != nil {
		return nil, err
	}
	ops := []*groups.Op{op}
	for _, frame := range msg.Frames {
		next, refusal := groups.Decode(frame)
		if refusal != nil {
			return nil, refusal
		}
		ops = append(ops, next)
	}
	path, err := checkPath(ops, code, keys, s.Peer())
	if err != nil {
		return nil, err
	}
	path.preview = msg.Preview
	return path, nil
}

// shownPath is what a newcomer keeps of the path a sponsor showed.
type shownPath struct {
	group   wire.GroupID
	genesis *groups.Op
	invite  wire.OpID
	inviter wire.AccountID
	sponsor wire.AccountID // whose device showed it
	preview []byte         // sealed, may be empty
}

// checkPath tells whether a path leads from the group the passcode names to
// its invite, by its inviter, and to the device at the other end of the
// stream.
func checkPath(ops []*groups.Op, code invites.Passcode, keys invites.Keys, peer wire.PeerKey) (*shownPath, error) {
	path, refusal := groups.CheckPath(ops)
	if refusal != nil {
		return nil, refusal
	}
	id, body, inviter, ok := path.Invite(keys.InvitePk())
	if !ok {
		return nil, errors.New("it shows no invite of this passcode")
	}
	if sleeps := len(body.KemPk) > 0; sleeps != code.SleepProof() || sleeps && !bytes.Equal(body.KemPk, seal.KEMPublic(keys.KEMSeed)) {
		return nil, errors.New("the invite has another key than the passcode")
	}
	if !code.ByInviter(inviter) {
		return nil, errors.New("the invite is by another account than the passcode names")
	}
	sponsor, ok := path.Device(peer)
	if !ok {
		return nil, errors.New("it is no device of the group it shows")
	}
	return &shownPath{group: path.Group, genesis: ops[0], invite: id, inviter: inviter, sponsor: sponsor.Account}, nil
}

// settleJoin waits for what an answer leads to; true if the task is over.
func (n *Node) settleJoin(ctx context.Context, t *task, a joinAnswer) bool {
	result := &api.TaskResult{Group: a.room.group}
	switch a.outcome {
	case outcomeRefused:
		// A room that was here before waits for another answer, to an offer or
		// to an older request, under a key that must not be lost.
		if a.made {
			n.forgetRoom(a.room)
		}
		// Another sponsor may know more: it may have seen a seat freed, or the
		// removal undone. A refusal by rule is repeated by all.
		return false
	case outcomePending:
		for _, older := range n.tasks.open(a.room.group, api.TaskJoin) {
			older.set(func(k *api.Task) { k.State = api.TaskCancelled }) // this request takes its place
			older.stop()
		}
		w := waiting{Group: a.room.group, Nonce: a.nonce, Asked: []wire.AccountID{a.asked}, Peer: a.sponsor, Addrs: n.mesh.KnownAddrs(a.sponsor), Ms: a.ms}
		n.people.meetPeer(a.asked, a.sponsor)
		if err := n.wait(n.ctx, t, w, func(k *api.Task) { k.Stage, k.Result = api.StagePending, result }); err != nil {
			t.fail(api.AsProblem(err))
			return true
		}
		n.awaitYes(t, a.room, w)
		return true
	}
	// The admit counts once the control chain is here and seats us.
	want := groups.StatusSeated
	if a.outcome == outcomeWaitlisted {
		want = groups.StatusWaitlisted
	}
	if err := a.room.await(ctx, a.sponsor, want, a.nonce); err != nil {
		if p, ok := asRuling(err); ok {
			t.set(func(k *api.Task) { k.Stage = api.StageRefused })
			t.fail(p)
			n.forgetRoom(a.room)
			return true
		}
		return false
	}
	n.enter(ctx, t, a.room, a.sponsor)
	return true
}

// enter ends the task of a join whose admit is here.
func (n *Node) enter(ctx context.Context, t *task, r *room, sponsor wire.PeerKey) {
	stage := api.StageWaitlisted
	if r.view.Load().seated() {
		stage = api.StageJoined
		r.awaitName(ctx)
		n.beginHistory(r, sponsor)
	}
	t.set(func(k *api.Task) {
		k.State, k.Stage, k.Result = api.TaskDone, stage, &api.TaskResult{Group: r.group}
	})
}

// awaitYes goes on with a join that needs a yes, however long people think
// about it: until the admit is here, the answer is no, or the request is too
// old to admit anybody. What is not over when the node stops goes on at the
// next start.
func (n *Node) awaitYes(t *task, r *room, w waiting) {
	left := time.Duration(w.Ms+groups.RequestMs-min(n.nowMs(), w.Ms+groups.RequestMs)) * time.Millisecond
	ctx, cancel := context.WithTimeout(n.ctx, left+clockAhead)
	t.onStop(cancel)
	n.wg.Go(func() {
		defer cancel()
		err := r.await(ctx, w.Peer, groups.StatusWaitlisted, w.Nonce)
		p, ruled := asRuling(err)
		switch {
		case err == nil:
			n.enter(n.ctx, t, r, w.Peer)
		case ruled && !t.over():
			t.set(func(k *api.Task) { k.Stage = api.StageRefused })
			t.fail(p)
			n.forgetRoom(r)
		case n.ctx.Err() == nil && !t.over():
			t.fail(api.NewProblem(api.Timeout))
			n.forgetRoom(r)
		}
	})
}

// endJoin ends a join that needed a yes with the no.
func (n *Node) endJoin(t *task, w waiting) {
	t.declined()
	t.stop()
	if r := n.room(w.Group); r != nil {
		n.forgetRoom(r)
	}
}
