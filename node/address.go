package node

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/invites"
	"mutuals/node/mesh"
	"mutuals/store"
)

// defaultListen is QUIC and TCP on all interfaces, on ports that the system
// chooses once.
var defaultListen = []string{"/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0", "/ip6/::/udp/0/quic-v1", "/ip6/::/tcp/0"}

// listenFile is what fileListen holds: which addresses were asked for, and
// what they became. Others know this node by its ports.
type listenFile struct {
	Asked []string `json:"asked"`
	Got   []string `json:"got"`
}

// listenAddrs is where to listen: as before, if the same was asked for before.
func (n *Node) listenAddrs() []string {
	asked := n.cfg.Listen
	if len(asked) == 0 {
		asked = defaultListen
	}
	b, err := n.home.read(fileListen)
	if err != nil {
		return asked
	}
	var f listenFile
	if json.Unmarshal(b, &f) != nil || !slices.Equal(f.Asked, asked) || len(f.Got) != len(asked) {
		return asked
	}
	return f.Got
}

// keepPorts remembers the ports the system chose.
func (n *Node) keepPorts() error {
	asked := n.cfg.Listen
	if len(asked) == 0 {
		asked = defaultListen
	}
	if !slices.ContainsFunc(asked, func(a string) bool { return strings.Contains(a, "/udp/0") || strings.Contains(a, "/tcp/0") }) {
		return nil
	}
	if _, err := n.home.read(fileListen); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	b, err := json.Marshal(listenFile{Asked: asked, Got: n.mesh.Bound()})
	if err != nil {
		return err
	}
	return n.home.write(fileListen, b)
}

// knownRecord is a peer's newest signed addresses.
type knownRecord struct {
	seq   uint64
	bytes []byte
	addrs []string
	turn  uint64 // counts up: when it came
}

func (n *Node) loadRecords() error {
	return n.store.View(func(tx *store.Tx) error {
		return tx.EachRecord(func(peer wire.PeerKey, b []byte) error {
			if signer, addrs, seq, err := mesh.ParseRecord(b); err == nil && signer == peer {
				n.recordBy[peer] = n.numbered(knownRecord{seq: seq, bytes: b, addrs: addrs})
				n.strangeRecords++ // the rooms are not open yet: counted as nobody's
			}
			return nil
		})
	})
}

// maxRecordsRead bounds which records are remembered as read: those of the
// largest groups' members, in the few versions that go round.
const maxRecordsRead = 8192

// newRecord tells whether a record was not read lately. Members hand on the
// same ones with every hello, and verifying one costs more than all else that
// a hello does.
func (n *Node) newRecord(b []byte) bool {
	id := wire.Hash(b)
	n.recordsMu.Lock()
	defer n.recordsMu.Unlock()
	if _, read := n.recordsRead[id]; read {
		return false
	}
	if n.recordsRead == nil || len(n.recordsRead) >= maxRecordsRead {
		n.recordsRead = map[[32]byte]struct{}{}
	}
	n.recordsRead[id] = struct{}{}
	return true
}

// forgetRead has a record read again when it comes again.
func (n *Node) forgetRead(b []byte) {
	n.recordsMu.Lock()
	delete(n.recordsRead, wire.Hash(b))
	n.recordsMu.Unlock()
}

// hasNewer tells whether a peer's addresses are known that are as new.
func (n *Node) hasNewer(peer wire.PeerKey, seq uint64) bool {
	n.recordsMu.Lock()
	defer n.recordsMu.Unlock()
	old, known := n.recordBy[peer]
	return known && old.seq >= seq
}

// maxStrangeRecords bounds the records of peers that no group or contact is
// known to have: a newcomer gets the members' before it knows who they are, and
// a member can make up as many as it likes.
const maxStrangeRecords = 1024

// keepRecord keeps a peer's signed addresses, in memory, if they are newer
// than those known. The record was verified.
func (n *Node) keepRecord(peer wire.PeerKey, b []byte, addrs []string, seq uint64) bool {
	strange := !n.knowsPeer(peer)
	n.recordsMu.Lock()
	defer n.recordsMu.Unlock()
	old, known := n.recordBy[peer]
	if known && old.seq >= seq {
		return false
	}
	if strange && !known {
		if n.strangeRecords >= maxStrangeRecords {
			delete(n.recordsRead, wire.Hash(b)) // it may be a member's one day
			return false
		}
		n.strangeRecords++
	}
	n.recordBy[peer] = n.numbered(knownRecord{seq: seq, bytes: slices.Clone(b), addrs: addrs})
	return true
}

// storeRecords writes the newest records of some peers.
func (n *Node) storeRecords(peers []wire.PeerKey) {
	if len(peers) == 0 {
		return
	}
	err := n.store.Update(n.ctx, func(tx *store.Tx) error {
		for _, p := range peers {
			if err := tx.PutRecord(p, n.recordOf(p)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && n.ctx.Err() == nil {
		n.log.Warn("keeping addresses failed", "err", err)
	}
}

// knowsPeer tells whether a peer is a device of a group or of a contact.
func (n *Node) knowsPeer(peer wire.PeerKey) bool {
	for _, r := range n.openRooms() {
		if r.view.Load().knows(peer) {
			return true
		}
	}
	return len(n.people.claimants(peer)) > 0
}

// contactRecords are the signed addresses of contacts' devices, by device.
func (n *Node) contactRecords() [][]byte {
	var peers []wire.PeerKey
	n.people.mu.Lock()
	for a, p := range n.people.byID {
		if a != n.dev.account() && !p.blocked && (p.out != nil || p.in != nil) {
			peers = append(peers, p.peers...)
		}
	}
	n.people.mu.Unlock()
	slices.SortFunc(peers, func(a, b wire.PeerKey) int { return slices.Compare(a[:], b[:]) })
	var out [][]byte
	for _, p := range slices.Compact(peers) {
		if b := n.recordOf(p); len(b) > 0 {
			out = append(out, b)
		}
	}
	return out
}

func (n *Node) recordOf(peer wire.PeerKey) []byte {
	n.recordsMu.Lock()
	defer n.recordsMu.Unlock()
	return n.recordBy[peer].bytes
}

// addrsOf lists where a peer may be dialled: what it signed, where it was asked
// for a seat, and what its card said.
func (n *Node) addrsOf(peer wire.PeerKey) []string {
	n.recordsMu.Lock()
	out := slices.Clone(n.recordBy[peer].addrs)
	n.recordsMu.Unlock()
	out = append(out, n.tasks.addrsOf(peer)...)
	n.people.mu.Lock()
	defer n.people.mu.Unlock()
	for _, p := range n.people.byID {
		if p.card == nil {
			continue
		}
		for _, w := range n.hintWays(p.card.Card.Hints) {
			if w.peer == peer {
				out = append(out, w.addrs...)
			}
		}
	}
	return out
}

// told is of whom a card, or a join that waits, says an address; maybe one that must not
// be dialled, which addrsOf leaves out.
func (n *Node) told() map[wire.PeerKey]bool {
	out := n.tasks.addressed()
	n.people.mu.Lock()
	defer n.people.mu.Unlock()
	for _, p := range n.people.byID {
		if p.card == nil {
			continue
		}
		for _, b := range p.card.Card.Hints {
			if h, err := invites.UnpackHint(b); err == nil {
				out[h.Peer] = true
			}
		}
	}
	return out
}

// maxHints is how many addresses a card or passcode carries.
const maxHints = 3

// ownHints packs the own addresses: one of each kind (direct, at a relay, on the
// local network) before a second of any, loopback only if this node listens
// nowhere else.
func (n *Node) ownHints() [][]byte {
	var out [][]byte
	for _, a := range n.mesh.Hints(maxHints) {
		if b := packHint(a); b != nil {
			out = append(out, b)
		}
	}
	return out
}

// hints are the addresses for a passcode of a group: own ones, and the last is
// another linked member's that may let people in by it, so that the code works
// while this machine sleeps; of a sleep-proof one the first are a harbor's.
func (n *Node) hints(r *room, sleepProof bool, may func(groups.IncInfo) bool) [][]byte {
	out := n.ownHints()
	v := r.view.Load()
	if sleepProof {
		var harbors [][]byte
		for _, p := range v.sponsors() {
			for _, a := range byReach(n.addrsOf(p)) {
				full, err := mesh.FullAddr(p, a)
				if err != nil || len(harbors) == maxHints-1 {
					continue
				}
				if b := packHint(full); b != nil {
					harbors = append(harbors, b)
				}
			}
		}
		out = append(harbors, out...)
		return out[:min(len(out), maxHints)]
	}
	for _, p := range n.mesh.Peers() {
		inc, ok := v.state.Inc(v.peers[p.Peer])
		if !ok || p.Peer == n.mesh.Self() || !may(inc) {
			continue
		}
		for _, a := range byReach(n.addrsOf(p.Peer)) {
			full, err := mesh.FullAddr(p.Peer, a)
			if err != nil {
				continue
			}
			if b := packHint(full); b != nil {
				if len(out) == maxHints {
					out = out[:maxHints-1]
				}
				return append(out, b)
			}
		}
	}
	return out
}

// byReach sorts addresses by how far away they are reachable from. With any
// address but loopback, loopback ones are dropped: they say nothing elsewhere.
func byReach(addrs []string) []string {
	out := slices.Clone(addrs)
	slices.SortStableFunc(out, func(a, b string) int { return int(mesh.ReachOf(b)) - int(mesh.ReachOf(a)) })
	if len(out) > 0 && mesh.ReachOf(out[0]) > mesh.ReachLoopback {
		out = slices.DeleteFunc(out, func(a string) bool { return mesh.ReachOf(a) == mesh.ReachLoopback })
	}
	return out
}

func packHint(full string) []byte {
	peer, addr, err := mesh.ParseAddr(full)
	if err != nil {
		return nil
	}
	h := invites.Hint{Addr: addr, Peer: peer}
	if at, relay, circuit := mesh.SplitCircuit(addr); circuit {
		h.Addr, h.Relay = at, relay
	}
	b, err := invites.PackHint(h)
	if err != nil {
		return nil
	}
	return b
}

// hintAddr is where a hint says to dial, as the mesh writes it; "" if that
// cannot be written.
func hintAddr(h invites.Hint) string {
	if !h.Circuit() {
		return h.Addr
	}
	addr, err := mesh.CircuitAddr(h.Addr, h.Relay)
	if err != nil {
		return ""
	}
	return addr
}

// hintWay is a peer that hints name, with where to dial it.
type hintWay struct {
	peer  wire.PeerKey
	addrs []string
}

// hintWays reads hints and drops those that must not be dialled: a code may
// come from anybody, and must not make this node knock at the user's other
// machines (PROTOCOLS.md N6).
func (n *Node) hintWays(hints [][]byte) []hintWay {
	var out []hintWay
	for _, b := range hints {
		h, err := invites.UnpackHint(b)
		if err != nil || !mayDial(n.mesh, h.Addr) { // of a circuit: the relay's
			continue
		}
		i := slices.IndexFunc(out, func(w hintWay) bool { return w.peer == h.Peer })
		if i < 0 {
			i = len(out)
			out = append(out, hintWay{peer: h.Peer})
		}
		out[i].addrs = append(out[i].addrs, hintAddr(h))
	}
	return out
}

// withKnown adds peers that hints name at addresses that must not be dialled,
// or that moved, where this node knows them by another way: on the local
// network, or from a member.
func (n *Node) withKnown(ways []hintWay, hints [][]byte) []hintWay {
	for _, b := range hints {
		h, err := invites.UnpackHint(b)
		if err != nil || slices.ContainsFunc(ways, func(w hintWay) bool { return w.peer == h.Peer }) {
			continue
		}
		if known := n.mesh.KnownAddrs(h.Peer); len(known) > 0 {
			ways = append(ways, hintWay{peer: h.Peer, addrs: known})
		}
	}
	return ways
}

// mayDial tells whether an address from a hint may be dialled: public ones
// always, loopback only if this node listens on loopback only, private ones
// only in a subnet of an own interface.
func mayDial(m *mesh.Mesh, addr string) bool {
	switch mesh.ReachOf(addr) {
	case mesh.ReachPublic:
		return true
	case mesh.ReachLoopback:
		return !slices.ContainsFunc(m.Addrs(), func(a string) bool { return mesh.ReachOf(a) > mesh.ReachLoopback })
	}
	ip, ok := addrIP(addr)
	if !ok {
		return false
	}
	nets, err := ownNets()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(nets, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// addrIP reads the IP of "/ip4/1.2.3.4/…".
func addrIP(addr string) (netip.Addr, bool) {
	parts := strings.Split(addr, "/")
	if len(parts) < 3 {
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(parts[2])
	return ip, err == nil
}
