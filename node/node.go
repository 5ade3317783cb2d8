package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/mesh"
	"mutuals/store"
)

// Node is one running device: its keys, its store, its place in the network,
// and a room for each group. Before an identity exists it has none of these
// and answers for its status only.
type Node struct {
	cfg  Config
	home home
	lock *os.File
	log  *slog.Logger

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	stop   chan struct{} // closed when somebody asks the daemon to stop
	once   sync.Once

	beginning sync.Mutex // one identity is made at a time
	backing   sync.Mutex // one backup is made at a time
	begun     atomic.Bool

	// Set once, before begun.
	dev     *device
	store   *store.Store
	mesh    *mesh.Mesh
	reached Relaying // as the mesh was told
	people  *people
	devices *devices

	restored *restored // nil: not made from words

	doorMu sync.Mutex
	door   *door // open for a new device

	edges   sync.Mutex // one follow edge is made or taken at a time
	opening sync.Mutex // one room of a group is opened at a time
	pairing sync.Mutex // one direct conversation is begun at a time
	roomsMu sync.RWMutex
	rooms   map[wire.GroupID]*room
	// unreadable are the groups that were not opened; roomsMu guards it too.
	unreadable map[wire.GroupID]unreadable
	badBlocks  atomic.Int64 // of the store, when it was looked through last

	rdv  *rendezvous
	ears ears // of the goroutine that runs keepListed

	keeping sync.Mutex
	keeps   map[wire.PeerKey]bool
	absent  *absences

	delivering sync.Mutex
	deliveries map[wire.AccountID]*delivery
	refusals   refusedBy

	recordsMu sync.Mutex
	recordBy  map[wire.PeerKey]knownRecord
	// recordTurn is the number of the newest, given what peers have of them.
	recordTurn uint64
	given      given
	// strangeRecords counts those that were of nobody known when they came.
	strangeRecords int
	// recordsRead are the hashes of records read lately, known or not.
	recordsRead map[[32]byte]struct{}

	dropped   atomic.Int64 // bodies, since the disk was given back what they took
	compacted time.Time    // when that was; of housekeep

	harbored atomic.Int64 // bytes kept for others' groups, as their harbor
	receipts atomic.Bool  // the person takes read receipts
	clocks   clocks
	disk     diskWatch
	tasks    *tasks
	hub      *hub
	rates    *rates
	hellos   counted
	stats    struct {
		dropped atomic.Uint64 // messages of gossip that found no room
		fetched atomic.Uint64 // operations that came by sync, also those that were here
		served  atomic.Uint64 // operations that were read to be sent by sync
	}
	measures measures
}

// Open takes a home, and with an identity in it starts the node. The error is
// a *HomeInUse if another daemon has the home.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	h := home{dir: cfg.Home}
	if err := h.make(); err != nil {
		return nil, err
	}
	lock, err := lockHome(h)
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, home: h, lock: lock, log: cfg.Log,
		stop: make(chan struct{}), rooms: map[wire.GroupID]*room{}, keeps: map[wire.PeerKey]bool{}, absent: newAbsences(), rdv: newRendezvous(),
		deliveries: map[wire.AccountID]*delivery{}, refusals: refusedBy{}, recordBy: map[wire.PeerKey]knownRecord{}, given: given{},
		hub: newHub(), rates: newRates(), hellos: counted{most: maxOpenHellos},
	}
	n.tasks = &tasks{now: cfg.Now, rand: cfg.Rand, hub: n.hub, keep: n.keepTask}
	n.ctx, n.cancel = context.WithCancel(context.WithoutCancel(ctx))
	dev, err := n.readDevice()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return n, nil // no identity yet
	case err == nil:
		err = n.begin(dev)
	}
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// begin opens the store, the rooms and the network for a device.
func (n *Node) begin(dev *device) error {
	if err := n.open(dev); err != nil {
		return err
	}
	return n.start()
}

// open opens the store of a device, and reads what it knows of people.
func (n *Node) open(dev *device) (err error) {
	n.dev = dev
	o := store.Options{Log: n.log, FreeSpace: n.cfg.FreeSpace, MemTable: n.cfg.MemTable}
	if n.cfg.Ballast {
		o.Ballast = store.BallastBytes
	}
	n.store, err = store.Open(n.home.path(dirStore), dev.storeKey(), o)
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	if n.people, err = loadPeople(n.store); err != nil {
		return fmt.Errorf("reading people: %w", err)
	}
	if err := n.loadDevices(); err != nil {
		return err
	}
	if err := n.loadRestored(); err != nil {
		return fmt.Errorf("reading how this device was restored: %w", err)
	}
	n.loadSaid()
	return n.loadReceipts()
}

// start joins the network and opens the rooms.
func (n *Node) start() error {
	if err := n.joinNetwork(); err != nil {
		return err
	}
	return n.openUp()
}

// joinNetwork reads what must be known before anybody is met, and joins.
func (n *Node) joinNetwork() error {
	if err := n.loadRecords(); err != nil {
		return fmt.Errorf("reading addresses: %w", err)
	}
	if err := n.loadWaiting(); err != nil {
		return fmt.Errorf("reading tasks: %w", err)
	}
	if err := n.loadAskers(); err != nil {
		return fmt.Errorf("reading requests: %w", err)
	}
	return n.startMesh()
}

// openUp opens the rooms and serves everybody.
func (n *Node) openUp() error {
	var ids []wire.GroupID
	if err := n.store.View(func(tx *store.Tx) error {
		return tx.EachGroup(func(g store.GroupRow) error {
			ids = append(ids, g.ID)
			return nil
		})
	}); err != nil {
		return fmt.Errorf("listing groups: %w", err)
	}
	for _, g := range ids {
		r, err := n.openRoom(g)
		if err != nil {
			err = n.setAside(g, err)
		} else {
			err = n.dropUnfinished(r)
		}
		if err != nil {
			return err
		}
	}
	n.resumeWaiting()
	n.serve()
	n.begun.Store(true)
	// Who linked while the rooms were opened was told to nobody.
	for _, p := range n.mesh.Peers() {
		n.onPeer(p.Peer, true)
	}
	n.tuneKeeps()
	n.mesh.LookForRelays() // whose they are is known now
	n.bootstrap()
	n.wg.Go(n.housekeep)
	n.wg.Go(n.keepScrubbed)
	n.wg.Go(n.chooseAnew)
	n.wg.Go(n.keepListed)
	return nil
}

// startMesh joins the network on the ports used before, or on new ones.
func (n *Node) startMesh() error {
	r, err := n.relaying()
	if err != nil {
		return err
	}
	if why := r.whole(); why != "" {
		return errors.New(why)
	}
	n.reached = r
	cfg := n.meshConfig(n.dev.keys.Peer, r)
	cfg.RelayBy, cfg.RelayFor = n.relayedBy, n.relayService(r)
	cfg.DHT, cfg.DHTServe, cfg.DHTPeers = dhtMode(n.cfg.DHT), n.cfg.Harbor, n.dhtPeers
	if n.cfg.Lobby {
		cfg.Lobby = n.judgeLobby
	}
	cfg.OnPeer = func(peer wire.PeerKey, connected bool) {
		if n.begun.Load() {
			n.onPeer(peer, connected)
		}
	}
	cfg.OnAddrs = func() {
		if n.begun.Load() {
			n.addrsChanged()
		}
	}
	cfg.OnAbsent = func(peer wire.PeerKey) { n.absent.missed(peer, n.now()) }
	if n.cfg.Mesh != nil {
		n.cfg.Mesh(&cfg)
	}
	if n.mesh, err = mesh.New(n.ctx, cfg); err != nil {
		return fmt.Errorf("joining the network: %w", err)
	}
	return n.keepPorts()
}

// serve answers what others ask, each protocol with its own bounds.
func (n *Node) serve() {
	n.mesh.Handle(protocolSync, maxSyncStreams, n.serveSync)
	n.mesh.Handle(protocolJoin, maxJoinStreams, n.serveJoin)
	n.mesh.Handle(protocolKey, maxKeyStreams, n.serveKey)
	n.mesh.Handle(protocolDirect, maxDirectStreams, n.serveDirect)
	n.mesh.Handle(protocolRestore, maxRestoreStreams, n.serveRestore)
	n.mesh.Handle(protocolLink, maxKnocks, n.serveLink)
	n.mesh.Handle(protocolReceipt, maxReceiptStreams, n.serveReceipts)
	n.mesh.Handle(protocolHarbor, maxHarborStreams, n.serveHarbor)
}

// bootstrap dials the peers that the configuration names.
func (n *Node) bootstrap() {
	for _, a := range n.cfg.Bootstrap {
		peer, addr, err := mesh.ParseAddr(a)
		if err != nil {
			n.log.Warn("a bootstrap address is no multiaddr with /p2p", "addr", a)
			continue
		}
		n.wg.Go(func() {
			ctx, cancel := context.WithTimeout(n.ctx, dialTime)
			defer cancel()
			if err := n.mesh.Connect(ctx, peer, []string{addr}); err != nil {
				n.log.Info("dialling a bootstrap peer failed", "peer", peer.Short(), "err", err)
			}
		})
	}
}

// housekeeping is how often what is due by the hour is looked at.
const housekeeping = time.Minute

// housekeep forgets what is old.
func (n *Node) housekeep() {
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-tick.C:
		}
		if err := n.store.Update(n.ctx, func(tx *store.Tx) error { return tx.PruneAnswers(n.nowMs()) }); err != nil && n.ctx.Err() == nil {
			n.log.Warn("forgetting old answers failed", "err", err)
		}
		n.disk.watch(n)
		n.giveBack()
		n.seekAll()
		n.absent.sweep(n.now())
		n.tuneKeeps() // who was not there is to be tried again some time
	}
}

// Rest lets go of what was read from the node's files: for when it has little to
// do. Nothing is lost, and it is read again when it is needed.
func (n *Node) Rest() error {
	if !n.begun.Load() {
		return nil
	}
	return n.store.Rest()
}

// Close stops everything and waits for it. Linked members are told first what
// is on this disk: somebody may wait to hear that.
func (n *Node) Close() error {
	n.sayLast()
	n.cancel()
	n.beginning.Lock() // an identity that is being made comes up or goes
	defer n.beginning.Unlock()
	var errs []error
	if n.mesh != nil {
		errs = append(errs, n.mesh.Close())
	}
	n.wg.Wait()
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	return errors.Join(append(errs, n.lock.Close())...)
}

// Stopping is closed when Shutdown was asked for.
func (n *Node) Stopping() <-chan struct{} { return n.stop }

func (n *Node) now() time.Time { return n.cfg.Now() }
func (n *Node) nowMs() uint64  { return uint64(n.cfg.Now().UnixMilli()) }

// accountsOf lists the accounts a peer is a device of, as chains of contacts
// or groups say.
func (n *Node) accountsOf(peer wire.PeerKey) []wire.AccountID {
	seen := map[wire.AccountID]bool{}
	for _, a := range n.people.claimants(peer) {
		seen[a] = true
	}
	for _, r := range n.openRooms() {
		v := r.view.Load()
		if inc, ok := v.state.Inc(v.peers[peer]); ok {
			seen[inc.Account] = true
		}
	}
	if _, over := n.people.endedPeer(peer); over {
		return nil
	}
	out := make([]wire.AccountID, 0, len(seen))
	for a := range seen {
		out = append(out, a)
	}
	return out
}

// devicesOf lists the peer keys of an account's known devices.
func (n *Node) devicesOf(a wire.AccountID) []wire.PeerKey {
	out := n.people.devices(a)
	seen := map[wire.PeerKey]bool{}
	for _, p := range out {
		seen[p] = true
	}
	for _, r := range n.openRooms() {
		for _, p := range r.view.Load().state.Peers(a) {
			if !seen[p] && p != n.dev.peer() {
				seen[p] = true
				out = append(out, p)
			}
		}
	}
	return slices.DeleteFunc(out, func(p wire.PeerKey) bool {
		_, over := n.people.endedPeer(p)
		return over
	})
}

// reach sees to it that an account's devices are dialled while something waits
// for it, and hands it over if one is linked.
func (n *Node) reach(a wire.AccountID) {
	n.tuneKeeps()
	n.flush(a)
}

// outboxAccounts lists whom something waits for.
func (n *Node) outboxAccounts() []wire.AccountID {
	seen := map[wire.AccountID]bool{}
	err := n.store.View(func(tx *store.Tx) error {
		return tx.EachOutbox(func(o store.Out) error {
			seen[o.To] = true
			return nil
		})
	})
	if err != nil {
		n.log.Warn("reading the outbox failed", "err", err)
	}
	out := make([]wire.AccountID, 0, len(seen))
	for a := range seen {
		out = append(out, a)
	}
	return out
}

// stop ends a room that is dropped; its goroutine closes done.
func (r *room) stop() {
	select {
	case r.calls <- func() { r.ended = true }:
		<-r.done
	case <-r.done:
	}
}

// waits tells whether this account stands in the waitlist.
func (v *view) waits() bool {
	inc, ok := v.state.Inc(v.me)
	if !ok {
		return false
	}
	m, ok := v.state.Member(inc.Account)
	return ok && m.Status == groups.StatusWaitlisted
}
