package node

import (
	"sync"

	"mutuals/groups/timeline"
	"mutuals/identity/wire"
	"mutuals/store"
)

// maxRecent bounds the entries kept of one room for who follows its events: what a
// burst brings in a second.
const maxRecent = 512

// recent holds entries as they were written just now, until somebody who follows
// events is shown them, or for a second or two: to read each back from the disk cost
// more than anything else of showing it. Those who come later read the disk.
type recent struct {
	mu       sync.Mutex
	now, old map[wire.OpID]timeline.Entry
}

// entered is an entry that a commit wrote, or, with no entry, took away.
type entered struct {
	id wire.OpID
	e  *timeline.Entry
}

// putEntry writes an entry.
func (r *room) putEntry(c *commit, e timeline.Entry) {
	c.row(func(tx *store.Tx) error { return storeEntry(tx, e) })
	c.entered = append(c.entered, entered{e.ID, &e})
}

// storeEntry writes an entry into the store.
func storeEntry(tx *store.Tx, e timeline.Entry) error {
	return tx.PutEntry(e.Group, e.OrderMs, e.ID, store.Byline{Inc: e.Inc, Data: e.Byline}, e.Encode())
}

// entryOf is what storeEntry wrote; the error wraps timeline.ErrEntry.
func entryOf(row store.EntryRow) (timeline.Entry, error) {
	return timeline.Decode(timeline.Key(row.Cursor), row.By, row.Data)
}

// dropEntry takes one away.
func (r *room) dropEntry(c *commit, id wire.OpID) {
	c.row(func(tx *store.Tx) error { return tx.DeleteEntry(r.group, id) })
	c.entered = append(c.entered, entered{id: id})
}

// wrote notes what a commit did, in its order; it is called before readers of the
// commit's events look.
func (n *recent) wrote(all []entered) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, at := range all {
		delete(n.now, at.id)
		delete(n.old, at.id)
		if at.e == nil || len(n.now) >= maxRecent {
			continue
		}
		if n.now == nil {
			n.now = map[wire.OpID]timeline.Entry{}
		}
		n.now[at.id] = *at.e
	}
}

// take gives an entry that was written just now, once.
func (n *recent) take(id wire.OpID) (timeline.Entry, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, ok := n.now[id]
	if !ok {
		e, ok = n.old[id]
	}
	delete(n.now, id)
	delete(n.old, id)
	return e, ok
}

// age lets go of what nobody has asked for since the last time.
func (n *recent) age() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now, n.old = nil, n.now
}
