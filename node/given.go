package node

import (
	"cmp"
	"slices"

	"mutuals/groups"
	"mutuals/identity/wire"
)

// given is how far a peer that is linked was given the signed addresses that are
// known here of each group's devices. Records are numbered as they come; without
// this each hello carried 32 of them, and in a group of a hundred most of what
// idle members cost each other was addresses they had (PROTOCOLS.md N4).
type given map[wire.PeerKey]map[wire.GroupID]uint64

// numbered gives a record its number. recordsMu is held.
func (n *Node) numbered(k knownRecord) knownRecord {
	n.recordTurn++
	k.turn = n.recordTurn
	return k
}

// giveAnew has the records of some peers given to all who are linked: they have
// just become devices of a group that these share.
func (n *Node) giveAnew(peers []wire.PeerKey) {
	n.recordsMu.Lock()
	defer n.recordsMu.Unlock()
	for _, p := range peers {
		if k, known := n.recordBy[p]; known {
			n.recordBy[p] = n.numbered(k)
		}
	}
}

// forgetGiven is told when a peer is linked or lost: what it was given may not
// have been read, or was forgotten since.
func (n *Node) forgetGiven(peer wire.PeerKey) {
	n.recordsMu.Lock()
	defer n.recordsMu.Unlock()
	delete(n.given, peer)
}

// records gives this node's signed addresses, and those of members and harbors
// that a peer was not given since it was linked, as many as a hello carries. done
// is to be called once they are on their way.
func (r *room) records(peer wire.PeerKey) (out [][]byte, done func()) {
	n, v := r.n, r.view.Load()
	n.recordsMu.Lock()
	defer n.recordsMu.Unlock()
	last := n.given[peer][r.group]
	var news []knownRecord
	add := func(p wire.PeerKey) {
		if k, known := n.recordBy[p]; known && k.turn > last && p != n.mesh.Self() && p != peer && len(k.bytes) <= groups.MaxRecord {
			news = append(news, k)
		}
	}
	for p := range v.peers {
		add(p)
	}
	for p := range v.harbors {
		add(p)
	}
	slices.SortFunc(news, func(a, b knownRecord) int { return cmp.Compare(a.turn, b.turn) })
	if b := n.mesh.Record(); len(b) > 0 && len(b) <= groups.MaxRecord {
		out = append(out, b)
	}
	if last == 0 { // harbors first: who comes back finds them when nobody else is up
		for p := range v.harbors {
			if k := n.recordBy[p]; len(k.bytes) > 0 && len(k.bytes) <= groups.MaxRecord && len(out) < groups.MaxHelloRecords {
				out = append(out, k.bytes)
			}
		}
	}
	for _, k := range news {
		if len(out) == groups.MaxHelloRecords {
			break
		}
		out, last = append(out, k.bytes), k.turn
	}
	return out, func() {
		n.recordsMu.Lock()
		defer n.recordsMu.Unlock()
		if !n.mesh.Connected(peer) {
			return
		}
		if n.given[peer] == nil {
			n.given[peer] = map[wire.GroupID]uint64{}
		}
		n.given[peer][r.group] = max(n.given[peer][r.group], last)
	}
}
