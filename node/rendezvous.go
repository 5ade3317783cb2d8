package node

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"mutuals/groups/seal"
	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/api"
	"mutuals/node/mesh"
)

// Pace and bounds of finding each other in the directory (PROTOCOLS.md N19).
const (
	// meetFirst is when this is first done after a start: addresses that are known
	// are tried before strangers are asked.
	meetFirst = 10 * time.Second
	// meetSettle is how long after something changed it is done: changes come
	// several at a time.
	meetSettle = 3 * time.Second
	// relistAfter is how long a device stays listed before it says so again. Those
	// who keep the records keep them for two days, but come and go.
	relistAfter = 20 * time.Hour
	// movedPause is the least time between two listings because of new addresses: a
	// machine between two networks changes them all the time.
	movedPause = 10 * time.Minute
	// seekFirst and seekMost are the waits before a group is looked for again of
	// which nobody is linked; twice as long each time.
	seekFirst, seekMost = time.Minute, 30 * time.Minute
	// failFirst and failMost are the waits before listing is tried again when
	// nobody who keeps the directory could be reached.
	failFirst, failMost = time.Minute, time.Hour
	// maxRdvEpochs bounds the epochs of a group under which a device is listed, as
	// it bounds its topics; maxSeekEpochs those looked up at once.
	maxRdvEpochs, maxSeekEpochs = 8, 3
	// maxListedKeys bounds what one device is listed under: what a keeper of
	// records takes of one peer.
	maxListedKeys = 1024
	// maxFoundDials bounds dials after one look-up.
	maxFoundDials = 8
)

// rendezvous is what this node remembers of the directory; of the goroutine that
// runs keepListed, but for the bell.
type rendezvous struct {
	bell    chan struct{} // capacity one: something changed
	listed  map[[32]byte]time.Time
	seek    map[wire.GroupID]wait
	fail    wait
	moved   atomic.Bool // the addresses are others than those listed
	cleared time.Time   // when that was last heeded
}

// wait is until when something rests, and how long it rested.
type wait struct {
	until time.Time
	long  time.Duration
}

func (w wait) longer(now time.Time, first, most time.Duration) wait {
	w.long = min(max(2*w.long, first), most)
	return wait{now.Add(w.long*3/4 + rand.N(w.long/2)), w.long}
}

func newRendezvous() *rendezvous {
	return &rendezvous{bell: make(chan struct{}, 1), listed: map[[32]byte]time.Time{}, seek: map[wire.GroupID]wait{}}
}

// ring says that there may be something to list or to look for: a group, an
// epoch, a code, an address, or nobody left.
func (m *rendezvous) ring() {
	select {
	case m.bell <- struct{}{}:
	default:
	}
}

// meeting is where a group's members look for each other.
type meeting struct {
	room   *room
	lost   bool // somebody is to be linked and nobody is
	epochs [][32]byte
	codes  []lobbyRow
}

// keepListed lists this device where its groups' members and the holders of its
// codes look, in the directory and on the codes' topics, and looks there for those
// it has lost, for all groups in turn.
func (n *Node) keepListed() {
	if n.mesh.Directory().Mode == mesh.DHTOff && !n.cfg.Lobby {
		return
	}
	defer n.ears.close()
	timer := time.NewTimer(meetFirst/2 + rand.N(meetFirst))
	defer timer.Stop()
	due := n.now().Add(meetFirst)
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.rdv.bell:
			if at := n.now().Add(meetSettle); at.Before(due) {
				due = at
				timer.Reset(meetSettle)
			}
			continue
		case <-timer.C:
		}
		due = n.meetOnce()
		timer.Reset(max(due.Sub(n.now()), time.Second))
	}
}

// meetOnce does what is due and tells when something will be again.
func (n *Node) meetOnce() time.Time {
	now := n.now()
	next := now.Add(time.Hour) // the day may change
	soon := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	var places []meeting
	for _, r := range n.openRooms() {
		if p, ok := r.meeting(); ok {
			places = append(places, p)
		}
	}
	n.listenFor(places, now, soon)
	if n.mesh.Directory().Mode == mesh.DHTOff {
		return next
	}
	for _, p := range places {
		if !p.lost {
			delete(n.rdv.seek, p.room.group)
			continue
		}
		if w := n.rdv.seek[p.room.group]; now.Before(w.until) {
			soon(w.until)
			continue
		}
		n.seekGroup(p)
		w := n.rdv.seek[p.room.group].longer(now, seekFirst, seekMost)
		n.rdv.seek[p.room.group] = w
		soon(w.until)
	}
	if again := n.rdv.cleared.Add(movedPause); n.rdv.moved.Load() && now.Before(again) {
		soon(again)
	} else if n.rdv.moved.Swap(false) {
		clear(n.rdv.listed)
		n.rdv.cleared = now
	}
	due := n.dueKeys(places, now, soon)
	if len(due) == 0 || !n.worthListing() {
		return next
	}
	if now.Before(n.rdv.fail.until) {
		soon(n.rdv.fail.until)
		return next
	}
	if err := n.list(due); err != nil && n.ctx.Err() == nil {
		n.rdv.fail = n.rdv.fail.longer(now, failFirst, failMost)
		soon(n.rdv.fail.until)
	} else {
		n.rdv.fail = wait{}
	}
	return next
}

// worthListing tells whether somebody who found this device could reach it.
func (n *Node) worthListing() bool {
	if n.ended() {
		return false
	}
	yes, known := n.mesh.Reachable()
	return yes || !known || slices.ContainsFunc(n.mesh.Addrs(), func(a string) bool { return strings.Contains(a, "/p2p-circuit") })
}

// dueKeys are the keys of today and tomorrow under which this device is not
// listed, or not lately.
func (n *Node) dueKeys(places []meeting, now time.Time, soon func(time.Time)) [][32]byte {
	day := invites.Day(now)
	var want [][32]byte
	for _, p := range places {
		for _, d := range []uint32{day, day + 1} {
			for _, rdv := range p.epochs {
				want = append(want, seal.DHTKey(rdv, d))
			}
			for _, c := range p.codes {
				want = append(want, invites.RendezvousKey(c.Rdv, d))
			}
		}
	}
	want = want[:min(len(want), maxListedKeys)]
	var due [][32]byte
	for _, k := range want {
		if again := n.rdv.listed[k].Add(relistAfter); !now.Before(again) {
			due = append(due, k)
		} else {
			soon(again)
		}
	}
	for k := range n.rdv.listed {
		if !slices.Contains(want, k) {
			delete(n.rdv.listed, k)
		}
	}
	return due
}

// list lists this device under keys, in any order: who watches must not learn
// which belong together from what comes after what.
func (n *Node) list(keys [][32]byte) error {
	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	done := 0
	for len(keys) > 0 {
		some := keys[:min(len(keys), 16)]
		listed, err := n.mesh.Publish(n.ctx, some)
		if err != nil {
			n.log.Debug("listing this device failed", "err", err)
			return err
		}
		done += listed
		// Not all at the same moment of the next day either.
		at := n.now().Add(-rand.N(relistAfter / 10))
		for _, k := range some {
			n.rdv.listed[k] = at
		}
		keys = keys[len(some):]
	}
	n.log.Debug("listed in the directory", "keys", done)
	return nil
}

// relist says that the addresses of this device are others now.
func (m *rendezvous) relist() {
	m.moved.Store(true)
	m.ring()
}

// meeting tells where this room's members look for each other; ok is false if
// there is nothing to do.
func (r *room) meeting() (p meeting, ok bool) {
	ctx, cancel := context.WithTimeout(r.n.ctx, meetFirst)
	defer cancel()
	p.room = r
	err := r.stepNow(ctx, func(*commit) error {
		v := r.view.Load()
		if !v.seated() && !v.office.Appointed {
			return nil
		}
		others := len(v.peers) + len(v.harbors)
		if _, own := v.peers[r.n.mesh.Self()]; own {
			others--
		}
		if v.seated() && others > 0 {
			p.epochs = r.rdvEpochs()
			p.lost = len(r.links) == 0
		}
		p.codes = r.lobbyCodes(v)
		return nil
	})
	return p, err == nil && len(p.epochs)+len(p.codes) > 0
}

// rdvEpochs are the rendezvous secrets of the epochs under which this device may
// be listed, the best first: the one it writes under, and older ones that nobody
// who was put out since can know. On the room's goroutine.
func (r *room) rdvEpochs() (out [][32]byte) {
	seen := map[[32]byte]bool{}
	add := func(eid [32]byte) {
		if k := r.keys.epochs[eid]; k != nil && !seen[eid] && len(out) < maxRdvEpochs {
			seen[eid] = true
			out = append(out, k.keys.Rdv)
		}
	}
	if e, ok := r.sendEpoch(); ok {
		add(e.EID)
	}
	for _, e := range r.g.Unbroken() {
		add(e.EID)
	}
	return out
}

// seekGroup looks for devices of a group of which nobody is linked, and dials
// them. Whoever says to be there is believed only if it is known to be one.
func (n *Node) seekGroup(p meeting) {
	var keys [][32]byte
	for _, rdv := range p.epochs[:min(len(p.epochs), maxSeekEpochs)] {
		for _, k := range invites.RendezvousKeys(rdv, n.now()) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return
	}
	dialled := 0
	want := func(peer wire.PeerKey) bool {
		_, over := n.people.endedPeer(peer)
		return !over && p.room.view.Load().knows(peer) && !n.mesh.Connected(peer)
	}
	err := n.mesh.Find(n.ctx, keys, want, func(f mesh.Found) {
		if dialled++; dialled > maxFoundDials {
			return
		}
		n.wg.Go(func() {
			ctx, cancel := context.WithTimeout(n.ctx, dialTime)
			defer cancel()
			if err := n.mesh.Connect(ctx, f.Peer, f.Addrs); err != nil {
				n.log.Debug("who was found in the directory was not there", "peer", f.Peer.Short(), "err", err)
			}
		})
	})
	if err != nil && n.ctx.Err() == nil {
		n.log.Debug("looking for a group in the directory failed", "group", p.room.group.Short(), "err", err)
	}
}

// searchDirectory looks in the directory for who lets people in by a code, and gives
// each as found, then why there are no more.
func (n *Node) searchDirectory(ctx context.Context, code invites.Passcode, found func(mesh.Found), _ func(invites.Preview)) error {
	rdv := code.Keys().Rdv
	days := invites.RendezvousKeys(rdv, n.now())
	told := 0
	err := n.mesh.Find(ctx, days[:], func(p wire.PeerKey) bool { return !n.mesh.Connected(p) }, func(f mesh.Found) {
		told++
		found(f)
	})
	switch {
	case errors.Is(err, mesh.ErrDHTOff):
		return errors.New("not searched: the directory is switched off (mutualsd --dht private)")
	case errors.Is(err, mesh.ErrNoDirectory):
		return errors.New("nobody who keeps the directory could be reached: name one with mutualsd --bootstrap")
	case err != nil:
		return err
	case told == 0:
		return errors.New("nobody is listed there for this code now: ask for a new one, or try when a member is online")
	}
	return nil
}

// dhtMode reads the setting.
func dhtMode(s string) mesh.DHTMode {
	switch s {
	case api.DHTPrivate:
		return mesh.DHTPrivate
	case api.DHTPublic:
		return mesh.DHTPublic
	}
	return mesh.DHTOff
}

// dhtPeers are addresses of peers that may keep the directory: those that the
// configuration names, and harbors.
func (n *Node) dhtPeers() []string {
	out := slices.Clone(n.cfg.Bootstrap)
	if !n.begun.Load() {
		return out
	}
	seen := map[wire.PeerKey]bool{}
	for _, r := range n.openRooms() {
		for p := range r.view.Load().harbors {
			if seen[p] {
				continue
			}
			seen[p] = true
			for _, a := range n.addrsOf(p) {
				if full, err := mesh.FullAddr(p, strings.SplitN(a, "/p2p/", 2)[0]); err == nil {
					out = append(out, full)
				}
			}
		}
	}
	return out
}
