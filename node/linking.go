package node

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"mutuals/groups/seal"
	"mutuals/identity"
	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
	"mutuals/node/mesh"
)

// Bounds of linking (PROTOCOLS.md N14).
const (
	doorOpen = 10 * time.Minute // how long a code is good
	// linkPatience is how long a person has to type the number.
	linkPatience = 2 * time.Minute
	linkStep     = 30 * time.Second // a step of the dialogue that waits for nobody
	linkTries    = 3
	maxKnocks    = 1 // streams of one peer
)

// door is a code that was shown and is still good: one new device may come in
// by it.
type door struct {
	mu     sync.Mutex
	code   identity.LinkCode
	caps   uint64
	task   *task
	cancel context.CancelFunc
	until  time.Time
	tries  int
	busy   bool      // a device that holds the code is talking
	number string    // what the person is to type, "" for nothing
	typed  chan bool // whether they did
}

// errTry means that a try at the door ended without a device.
var errTry = errors.New("the try ended")

// OpenLink opens the door for one new device, for ten minutes, and closes the
// one that was open before. Problem devices_full if the account has as many as
// it may have.
func (n *Node) OpenLink(ctx context.Context, in api.DeviceLinkCreate) (api.DeviceLink, error) {
	if n.dev.chain.Leaf().Caps&identity.CapAddDevices == 0 || len(n.dev.chain) == identity.MaxChain {
		return api.DeviceLink{}, api.NewProblem(api.NotAllowed).Explain("this device may not link others; use one of which devices list says that it may")
	}
	if err := n.mayWrite(); err != nil {
		return api.DeviceLink{}, err
	}
	if len(n.devices.siblings())+1 >= identity.MaxLiveDevices {
		return api.DeviceLink{}, api.NewProblem(api.DevicesFull, "device", n.idlest().String())
	}
	until := n.now().Add(doorOpen)
	var hints [][]byte
	for _, h := range n.ownHints() {
		if short, err := invites.WithoutPeer(h, n.dev.peer()); err == nil {
			hints = append(hints, short)
		}
	}
	code, err := identity.NewLinkCode(n.cfg.Rand, n.dev.peer(), uint64(until.Unix()), hints)
	if err != nil {
		return api.DeviceLink{}, err
	}
	life, cancel := context.WithTimeout(n.ctx, doorOpen)
	d := &door{code: code, cancel: cancel, until: until, typed: make(chan bool, 1)}
	if in.MayLink && len(n.dev.chain)+1 < identity.MaxChain {
		d.caps = identity.CapAddDevices
	}
	d.task = n.tasks.begin(api.TaskLink, api.StageOpen, cancel)
	d.task.set(func(k *api.Task) { k.State = api.TaskWaiting })
	n.doorMu.Lock()
	old := n.door
	n.door = d
	n.doorMu.Unlock()
	if old != nil {
		n.closeDoor(old, nil)
	}
	n.wg.Go(func() {
		<-life.Done()
		n.closeDoor(d, api.NewProblem(api.LinkCodeExpired))
	})
	return n.linkAPI(d), nil
}

// idlest is the device to revoke first when there are too many: not this one,
// not linked now, oldest.
func (n *Node) idlest() wire.DeviceID {
	list := n.devices.siblings()
	slices.SortStableFunc(list, func(a, b ownDevice) int {
		on := func(d ownDevice) int {
			if n.mesh.Connected(d.peer()) {
				return 1
			}
			return 0
		}
		return on(a) - on(b)
	})
	if len(list) == 0 {
		return n.dev.id()
	}
	return list[0].id()
}

func (n *Node) linkAPI(d *door) api.DeviceLink {
	d.mu.Lock()
	left := linkTries - d.tries
	d.mu.Unlock()
	n.tasks.mu.Lock()
	defer n.tasks.mu.Unlock()
	return api.DeviceLink{
		Text: d.code.Text(), Link: d.code.Link(), QR: d.code.QR(), ExpiresAt: d.until.UTC(), TriesLeft: left, Task: d.task.copy(),
	}
}

// openDoor returns the door that is open; nil for none.
func (n *Node) openDoor() *door {
	n.doorMu.Lock()
	defer n.doorMu.Unlock()
	if n.door == nil || !n.now().Before(n.door.until) {
		return nil
	}
	return n.door
}

// closeDoor ends a door, with a problem unless that is nobody's fault.
func (n *Node) closeDoor(d *door, why *api.Problem) {
	n.doorMu.Lock()
	if n.door == d {
		n.door = nil
	}
	n.doorMu.Unlock()
	d.cancel()
	d.answer(false)
	d.task.set(func(k *api.Task) {
		k.State = api.TaskCancelled
		if why != nil {
			k.State, k.Problem = api.TaskFailed, why
		}
	})
}

// answer tells the dialogue that waits what became of its number.
func (d *door) answer(right bool) {
	select {
	case d.typed <- right:
	default:
	}
}

// Link returns the door that is open; problem not_found if none is.
func (n *Node) Link(context.Context) (api.DeviceLink, error) {
	d := n.openDoor()
	if d == nil {
		return api.DeviceLink{}, api.NewProblem(api.NotFound).Explain("no link code is open")
	}
	return n.linkAPI(d), nil
}

// CloseLink closes the door.
func (n *Node) CloseLink(context.Context) (api.Task, error) {
	d := n.openDoor()
	if d == nil {
		return api.Task{}, api.NewProblem(api.NotFound).Explain("no link code is open")
	}
	n.closeDoor(d, nil)
	return d.task.set(func(*api.Task) {}), nil
}

// LinkNumber compares what the person typed with the number that the new device
// shows: right, and that device is certified. Problem number_wrong ends the try,
// and after three of them the door is closed.
func (n *Node) LinkNumber(_ context.Context, typed string) (api.Task, error) {
	digits, ok := identity.ReadNumber(typed)
	if !ok {
		return api.Task{}, api.NewProblem(api.BadRequest).Explain("the number has %d digits", identity.NumberDigits)
	}
	d := n.openDoor()
	if d == nil {
		return api.Task{}, api.NewProblem(api.NotFound).Explain("no link code is open")
	}
	d.mu.Lock()
	number := d.number
	d.number = ""
	d.mu.Unlock()
	if number == "" {
		return api.Task{}, api.NewProblem(api.NotFound).Explain("no new device waits for a number")
	}
	right := subtle.ConstantTimeCompare([]byte(number), []byte(digits)) == 1
	if right {
		// Before the dialogue goes on, so that nothing it does is undone by this.
		d.task.set(func(k *api.Task) { k.State, k.Stage = api.TaskRunning, api.StageCertifying })
	}
	d.answer(right)
	if !right {
		return api.Task{}, api.NewProblem(api.NumberWrong)
	}
	return d.task.set(func(*api.Task) {}), nil
}

// serveLink lets a new device in by the code that was shown. Who does not hold
// the code learns nothing, not even whether one was shown.
func (n *Node) serveLink(ctx context.Context, s *mesh.Stream) {
	defer s.Close()
	d := n.openDoor()
	if d == nil || !n.rates.hello(s.Peer()) {
		s.Reset()
		return
	}
	s.SetDeadline(time.Now().Add(linkStep))
	knock, hello, err := n.readKnock(s, d)
	if err != nil {
		n.blameStream(s.Peer(), err)
		n.log.Debug("a knock was not answered", "peer", s.Peer().Short(), "err", err)
		s.Reset()
		return
	}
	if !d.enter() {
		s.Reset()
		return
	}
	linked, err := n.letIn(ctx, s, d, knock, hello)
	closed := d.leave(linked)
	if err != nil {
		s.Reset()
		n.blameStream(s.Peer(), err)
		n.log.Info("linking a device failed", "peer", s.Peer().Short(), "err", err)
		d.task.tried(s.Peer().String(), err)
	}
	switch {
	case linked:
		// The task is over if the device has said that it is ready.
		n.closeDoor(d, api.NewProblem(api.LinkEnded).Explain("the new device was certified and did not say that it is ready: devices list shows it"))
	case closed:
		n.closeDoor(d, api.NewProblem(api.NumberWrong))
	default:
		d.task.set(func(k *api.Task) { k.State, k.Stage = api.TaskWaiting, api.StageOpen })
	}
}

// readKnock reads the first message of a new device and judges its tag first.
func (n *Node) readKnock(s *mesh.Stream, d *door) (knock knockMsg, hello identity.LinkHello, err error) {
	b, err := s.ReadFrame(maxKnockFrame)
	if err != nil {
		return knock, hello, err
	}
	if err := wire.Unmarshal(b, &knock); err != nil {
		return knock, hello, err
	}
	if err := checkStep(knock.V, knock.Step, linkKnock); err != nil {
		return knock, hello, err
	}
	if hello, err = identity.DecodeLinkHello(knock.Hello); err != nil {
		return knock, hello, err
	}
	if err := hello.Verify(d.code.Secret, n.mesh.Self(), s.Peer()); err != nil {
		return knock, hello, err
	}
	return knock, hello, seal.CheckKEM(hello.KemPk)
}

// enter takes the door for one dialogue; false while another talks.
func (d *door) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy || d.tries >= linkTries {
		return false
	}
	d.busy = true
	select {
	case <-d.typed: // of the try before
	default:
	}
	return true
}

// leave ends a dialogue; it tells whether the tries are over.
func (d *door) leave(linked bool) (closed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy, d.number = false, ""
	if !linked {
		d.tries++
	}
	return d.tries >= linkTries
}

// letIn holds the dialogue from the door's side, once the tag was right.
func (n *Node) letIn(ctx context.Context, s *mesh.Stream, d *door, knock knockMsg, hello identity.LinkHello) (linked bool, err error) {
	if err := n.compare(ctx, s, d, knock); err != nil {
		return false, err
	}
	cert := identity.Certificate{
		V: identity.Version, Account: n.dev.account(), OpKey: hello.OpKey, PeerKey: hello.PeerKey,
		DeviceNo: n.devices.nextNo(), Caps: d.caps, IssuedMs: n.nowMs(),
	}
	s.SetDeadline(time.Now().Add(linkStep))
	if err := s.WriteFrame(wire.Marshal(certMsg{V: 1, Step: linkCert, Cert: cert})); err != nil {
		return false, err
	}
	var proof proofMsg
	if err := readStep(s, maxLinkFrame, &proof); err != nil {
		return false, err
	}
	if err := checkStep(proof.V, proof.Step, linkProof); err != nil {
		return false, err
	}
	if err := proof.Pop.Verify(cert); err != nil {
		return false, err
	}
	chain, err := n.dev.chain.Extend(n.dev.keys, cert)
	if err != nil {
		return false, err
	}
	// Before the certificate leaves: what was certified is on the list, whatever
	// happens next, and can be revoked.
	if _, err := n.learnDevice(ctx, ownDevice{Chain: chain, Pop: proof.Pop}); err != nil {
		return false, err
	}
	box, err := n.sealBody(hello.KemPk, cert)
	if err != nil {
		return false, err
	}
	s.SetDeadline(time.Now().Add(linkStep))
	if err := s.WriteFrame(wire.Marshal(replyMsg{V: 1, Step: linkReply, Chain: chain, Box: box})); err != nil {
		return true, err
	}
	// It is certified; that it says it is ready is for the person who waits.
	d.task.set(func(k *api.Task) { k.Result = &api.TaskResult{Account: n.dev.account(), Device: hello.OpKey} })
	var done doneMsg
	if err := readStep(s, maxLinkFrame, &done); err != nil {
		return true, err
	}
	if err := checkStep(done.V, done.Step, linkDone); err != nil {
		return true, err
	}
	d.task.set(func(k *api.Task) { k.State, k.Stage = api.TaskDone, api.StageLinked })
	return true, nil
}

// compare shows that nobody stands between the two machines: the person types
// here what the new one shows (I21).
func (n *Node) compare(ctx context.Context, s *mesh.Stream, d *door, knock knockMsg) error {
	sas := identity.NewSAS(identity.SASLink, n.mesh.Self(), s.Peer(), knock.Hello)
	var rA [32]byte
	if _, err := io.ReadFull(n.cfg.Rand, rA[:]); err != nil {
		return fmt.Errorf("drawing for a number: %w", err)
	}
	s.SetDeadline(time.Now().Add(linkStep))
	if err := s.WriteFrame(wire.Marshal(randMsg{V: 1, Step: linkAnswer, R: rA})); err != nil {
		return err
	}
	var reveal randMsg
	if err := readStep(s, maxLinkFrame, &reveal); err != nil {
		return err
	}
	if err := checkStep(reveal.V, reveal.Step, linkReveal); err != nil {
		return err
	}
	number, err := sas.Number(knock.Commit, rA, reveal.R)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.number = number
	d.mu.Unlock()
	d.task.set(func(k *api.Task) { k.State, k.Stage = api.TaskWaiting, api.StageNumber })
	patience := time.NewTimer(linkPatience)
	defer patience.Stop()
	// Whoever gives up at the other end, or says anything now, ends the try.
	left := make(chan error, 1)
	s.SetDeadline(time.Now().Add(linkPatience + linkStep))
	gone := n.watchGone(s.Peer(), left)
	defer gone()
	select {
	case right := <-d.typed:
		if !right {
			return fmt.Errorf("%w: the number was wrong, or the code was closed", errTry)
		}
		return nil
	case <-patience.C:
		return fmt.Errorf("%w: nobody typed the number for %s", errTry, linkPatience)
	case err := <-left:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watchGone tells when the link to a peer is lost while a person is waited for.
func (n *Node) watchGone(peer wire.PeerKey, left chan<- error) (stop func()) {
	ctx, cancel := context.WithCancel(n.ctx)
	n.wg.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for n.mesh.Connected(peer) {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
		left <- fmt.Errorf("%w: the new device went away", errTry)
	})
	return cancel
}

// readStep reads one message of the dialogue.
func readStep(s *mesh.Stream, most int, m any) error {
	s.SetDeadline(time.Now().Add(linkStep))
	b, err := s.ReadFrame(most)
	if err != nil {
		return err
	}
	return wire.Unmarshal(b, m)
}

// sealBody is what a new device is told of its account, for it alone. What does
// not fit comes when the two are linked.
func (n *Node) sealBody(kemPk []byte, cert identity.Certificate) ([]byte, error) {
	items, err := n.ownItems()
	if err != nil {
		return nil, err
	}
	record := n.mesh.Record()
	size, fits := len(record)+64, 0
	for fits < min(len(items), maxOwnItems) {
		if size += len(items[fits].Body) + 16; size > seal.MaxLinkBody {
			break
		}
		fits++
	}
	body := wire.Marshal(linkBody{V: 1, Items: items[:fits], Record: record})
	return seal.SealLink(kemPk, wire.Hash(wire.Marshal(cert)), body)
}
