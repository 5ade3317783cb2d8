package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
	"mutuals/node/mesh"
)

// linkAgain is when the door is looked for again: it may not have shown itself
// on the local network yet.
const linkAgain = 2 * time.Second

// JoinAccount makes this home a device of an account, by the link code that
// another of its devices shows. What is wrong with the code is said at once;
// the task shows the number to type there, and ends when this is a device of
// the account. A link that fails leaves the home as it was.
func (n *Node) JoinAccount(_ context.Context, text string) (api.Task, error) {
	code, err := n.readLinkCode(text)
	if err != nil {
		return api.Task{}, err
	}
	if !n.beginning.TryLock() {
		return api.Task{}, api.NewProblem(api.NotAllowed).Explain("an identity is being made here already")
	}
	if n.begun.Load() {
		n.beginning.Unlock()
		return api.Task{}, api.NewProblem(api.NotAllowed).Explain("this node has an identity already")
	}
	ctx, cancel := context.WithDeadline(n.ctx, time.Unix(int64(code.Expiry), 0))
	t := n.tasks.begin(api.TaskLink, api.StageFinding, cancel)
	n.wg.Go(func() {
		defer n.beginning.Unlock()
		defer cancel()
		dev, err := n.link(ctx, t, code)
		if err != nil {
			n.log.Info("linking failed", "err", err)
			t.fail(linkProblem(err))
			return
		}
		t.set(func(k *api.Task) {
			k.State, k.Stage, k.Result = api.TaskDone, api.StageLinked, &api.TaskResult{Account: dev.account(), Device: dev.id()}
		})
	})
	return n.Task(ctx, t.t.ID)
}

func (n *Node) readLinkCode(text string) (identity.LinkCode, error) {
	code, err := identity.ParseLinkCode(text)
	switch {
	case errors.Is(err, identity.ErrNewer):
		return code, api.NewProblem(api.UpdateNeeded)
	case err != nil:
		return code, api.NewProblem(api.LinkCodeBad)
	case code.Expiry <= uint64(n.now().Unix()):
		return code, api.NewProblem(api.LinkCodeExpired)
	}
	return code, nil
}

// Errors of the new device's side.
var (
	errNoDoor  = errors.New("the device that shows the code was not reached")
	errRefused = errors.New("the other device ended the linking")
)

func linkProblem(err error) *api.Problem {
	var p *api.Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, errRefused):
		return api.NewProblem(api.LinkEnded)
	case errors.Is(err, errNoDoor):
		return api.NewProblem(api.PeerUnreachable)
	case errors.Is(err, context.DeadlineExceeded):
		return api.NewProblem(api.LinkCodeExpired)
	}
	return api.NewProblem(api.LinkEnded).Explain("%v", err)
}

// newcomer is a machine that is about to become a device: its keys are in
// memory only until they are certified.
type newcomer struct {
	n    *Node
	code identity.LinkCode
	keys identity.DeviceKeys
	kem  [seal.KEMSeedLen]byte
	mesh *mesh.Mesh
}

// link finds the door, holds the dialogue, and begins as the device it made.
func (n *Node) link(ctx context.Context, t *task, code identity.LinkCode) (dev *device, err error) {
	nc := &newcomer{n: n, code: code}
	if nc.keys, err = identity.NewDeviceKeys(n.cfg.Rand); err != nil {
		return nil, err
	}
	cfg := n.meshConfig(nc.keys.Peer, n.cfg.Relaying.over(defaultRelaying))
	if n.cfg.Mesh != nil {
		n.cfg.Mesh(&cfg)
	}
	if nc.mesh, err = mesh.New(n.ctx, cfg); err != nil {
		return nil, fmt.Errorf("joining the network: %w", err)
	}
	adopted := false
	defer func() {
		err = errors.Join(err, nc.mesh.Close())
		if err == nil {
			err = n.start()
		}
		if err != nil && adopted {
			err = errors.Join(err, n.unbegin())
		}
	}()
	s, err := nc.find(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	chain, pop, body, err := nc.ask(ctx, t, s)
	if err != nil {
		s.Reset()
		return nil, err
	}
	dev = &device{keys: nc.keys, chain: chain, pop: pop}
	adopted = true
	if err := n.adopt(ctx, dev, body); err != nil {
		return nil, err
	}
	s.SetDeadline(time.Now().Add(linkStep))
	if err := s.WriteFrame(wire.Marshal(doneMsg{V: 1, Step: linkDone})); err != nil {
		n.log.Debug("telling the other device failed", "err", err) // it knows us by its own list
	}
	// It closes when it has read that; only then may the connection go.
	if _, err := s.ReadFrame(1); err != nil && !errors.Is(err, io.EOF) {
		n.log.Debug("the other device did not say goodbye", "err", err)
	}
	return dev, nil
}

// find links with the device that the code names, at the code's addresses or
// wherever the local network shows it.
func (nc *newcomer) find(ctx context.Context) (*mesh.Stream, error) {
	var addrs []string
	for _, b := range nc.code.Hints {
		h, err := invites.WithPeer(b, nc.code.Peer)
		if err == nil && mayDial(nc.mesh, h.Addr) {
			addrs = append(addrs, hintAddr(h))
		}
	}
	var last error
	for ctx.Err() == nil {
		dial, cancel := context.WithTimeout(ctx, dialTime)
		last = nc.mesh.Connect(dial, nc.code.Peer, addrs)
		cancel()
		if last == nil {
			open, cancel := context.WithTimeout(ctx, dialTime)
			s, err := nc.mesh.Open(open, nc.code.Peer, protocolLink)
			cancel()
			return s, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(linkAgain):
		}
	}
	return nil, fmt.Errorf("%w: %v", errNoDoor, last)
}

// ask holds the dialogue of /mutuals/link/1 from the new device's side. The
// code names the key of the door, which the connection has proved: nobody else
// can certify this device.
func (nc *newcomer) ask(ctx context.Context, t *task, s *mesh.Stream) (identity.Chain, identity.Pop, linkBody, error) {
	fail := func(err error) (identity.Chain, identity.Pop, linkBody, error) {
		return nil, identity.Pop{}, linkBody{}, err
	}
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	cert, err := nc.knock(ctx, t, s)
	if err != nil {
		return fail(err)
	}
	pop := nc.keys.Prove(cert)
	s.SetDeadline(time.Now().Add(linkStep))
	if err := s.WriteFrame(wire.Marshal(proofMsg{V: 1, Step: linkProof, Pop: pop})); err != nil {
		return fail(err)
	}
	var reply replyMsg
	if err := readStep(s, maxLinkReply, &reply); err != nil {
		return fail(nc.ended(ctx, err))
	}
	if err := checkStep(reply.V, reply.Step, linkReply); err != nil {
		return fail(err)
	}
	if err := reply.certifies(cert, s.Peer()); err != nil {
		return fail(err)
	}
	plain, err := seal.OpenLink(nc.kem, wire.Hash(wire.Marshal(cert)), reply.Box)
	if err != nil {
		return fail(err)
	}
	body, err := readBody(plain)
	if err != nil {
		return fail(err)
	}
	return reply.Chain, pop, body, nil
}

// knock comes to a number, shows it, and waits until the person has typed it at
// the other end: the answer is the certificate to be.
func (nc *newcomer) knock(ctx context.Context, t *task, s *mesh.Stream) (cert identity.Certificate, err error) {
	var pk []byte
	if nc.kem, pk, err = seal.GenerateKEM(nc.n.cfg.Rand); err != nil {
		return cert, err
	}
	hello := wire.Marshal(identity.NewLinkHello(nc.keys, pk, nc.code))
	sas := identity.NewSAS(identity.SASLink, s.Peer(), nc.mesh.Self(), hello)
	var rB [32]byte
	if _, err := io.ReadFull(nc.n.cfg.Rand, rB[:]); err != nil {
		return cert, fmt.Errorf("drawing for a number: %w", err)
	}
	commit := sas.Commit(rB)
	s.SetDeadline(time.Now().Add(linkStep))
	if err := s.WriteFrame(wire.Marshal(knockMsg{V: 1, Step: linkKnock, Hello: hello, Commit: commit})); err != nil {
		return cert, nc.ended(ctx, err)
	}
	var answer randMsg
	if err := readStep(s, maxLinkFrame, &answer); err != nil {
		return cert, nc.ended(ctx, err)
	}
	if err := checkStep(answer.V, answer.Step, linkAnswer); err != nil {
		return cert, err
	}
	number, err := sas.Number(commit, answer.R, rB)
	if err != nil {
		return cert, err
	}
	if err := s.WriteFrame(wire.Marshal(randMsg{V: 1, Step: linkReveal, R: rB})); err != nil {
		return cert, nc.ended(ctx, err)
	}
	t.set(func(k *api.Task) {
		k.State, k.Stage, k.Result = api.TaskWaiting, api.StageComparing, &api.TaskResult{Number: number}
	})
	s.SetDeadline(time.Now().Add(linkPatience + linkStep))
	b, err := s.ReadFrame(maxLinkFrame)
	if err != nil {
		return cert, nc.ended(ctx, err)
	}
	var yes certMsg
	if err := wire.Unmarshal(b, &yes); err != nil {
		return cert, err
	}
	if err := checkStep(yes.V, yes.Step, linkCert); err != nil {
		return cert, err
	}
	if yes.Cert.OpKey != nc.keys.ID() || yes.Cert.PeerKey != nc.keys.PeerKey() {
		return cert, fmt.Errorf("%w: a certificate for other keys", identity.ErrBadChain)
	}
	t.set(func(k *api.Task) { k.State, k.Stage, k.Result = api.TaskRunning, api.StageCertifying, nil })
	return yes.Cert, nil
}

// ended says why a stream broke off: given up here, or by the other side.
func (nc *newcomer) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %v", errRefused, err)
}

// adopt writes what makes this home a device: what the account knows, then the
// certificate, and the keys last. Cut off before that, it is a home without
// identity still.
func (n *Node) adopt(ctx context.Context, dev *device, body linkBody) (err error) {
	if dev.secrets, err = identity.NewSecrets(n.cfg.Rand, dev.keys); err != nil {
		return err
	}
	if err := n.clearHome(); err != nil {
		return err
	}
	if err := n.open(dev); err != nil {
		return err
	}
	before := dev.chain[:len(dev.chain)-1]
	door := before.Leaf().PeerKey
	if err := n.takeOwn(ctx, door, body.Items); err != nil && !errors.Is(err, errDirectRefused) {
		return err
	} else if err != nil {
		n.log.Warn("something of what the other device knows cannot be read", "err", err)
	}
	if err := n.learnRecord(ctx, door, body.Record); err != nil {
		n.log.Warn("the other device's addresses cannot be read", "err", err)
	}
	if err := n.home.write(fileDevice, wire.Marshal(deviceFile{V: 1, Chain: dev.chain, Pop: dev.pop})); err != nil {
		return err
	}
	return n.writeKeys(dev)
}

// clearHome removes what a link or an account left that was cut off before it
// was one: without keys.sealed nobody can read it.
func (n *Node) clearHome() error {
	switch _, err := os.Stat(n.home.path(fileKeys)); {
	case err == nil:
		return api.NewProblem(api.NotAllowed).Explain("this home has an identity already")
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	for _, name := range []string{fileDevice, fileRecipient} {
		if err := n.home.remove(name); err != nil {
			return err
		}
	}
	return os.RemoveAll(n.home.path(dirStore))
}
