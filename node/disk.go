package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"mutuals/groups"
	"mutuals/identity/wire"
	"mutuals/node/api"
	"mutuals/store"
)

// Problem is what a person is told of an error of this package that has a
// remedy of theirs; nil if there is none, and it is for the log.
func Problem(err error) *api.Problem {
	var p *api.Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, store.ErrDiskFull):
		return api.NewProblem(api.DiskFull)
	case errors.Is(err, store.ErrReadOnly):
		return api.NewProblem(api.DiskReadOnly)
	}
	return nil
}

// diskOf is a disk as the API tells of it.
func diskOf(d store.Disk) api.Disk {
	return api.Disk{State: string(d.State), FreeBytes: d.Free, TookMs: d.Took.Milliseconds()}
}

// diskFinding is what doctor says of the disk.
func diskFinding(d store.Disk) api.Finding {
	const mib = 1 << 20
	switch d.State {
	case store.DiskFull:
		return api.NewFinding(api.FoundDiskIsFull, d.Free/mib, store.MinSpaceBytes/mib)
	case store.DiskReadOnly:
		return api.NewFinding(api.FoundDiskIsReadOnly)
	case store.DiskUnknown:
		return api.NewFinding(api.FoundDiskIsUnknown)
	case store.DiskLow:
		return api.NewFinding(api.FoundDiskIsLow, d.Free/mib, crowdedOps, store.LowSpaceBytes/mib, store.MinSpaceBytes/mib)
	case store.DiskSlow:
		return api.NewFinding(api.FoundDiskIsSlow, d.Took.Round(100*time.Millisecond))
	}
	return api.NewFinding(api.FoundDiskHasRoom)
}

// diskWatch notices when the disk stands differently than before.
type diskWatch struct {
	mu   sync.Mutex
	last store.DiskState // "" before the first look
}

// watch tells of a disk that became bad, worse or well again.
func (w *diskWatch) watch(n *Node) {
	now := n.store.Disk()
	w.mu.Lock()
	was := w.last
	w.last = now.State
	w.mu.Unlock()
	if now.State == was || was == "" && now.State == store.DiskOK {
		return
	}
	level := slog.LevelWarn
	if now.State == store.DiskOK {
		level = slog.LevelInfo
	}
	n.log.Log(n.ctx, level, "the disk stands differently", "now", now.State, "free", now.Free)
	n.hub.tell(api.Event{Type: api.EventDoctorWarning, At: n.now().UTC(), Object: jsonOf(diskFinding(now))})
}

// diskRefuses tells why nothing can be written now, nil if it can; it is asked
// before work that would be thrown away. Who watches is told at once.
func (n *Node) diskRefuses() error {
	err := n.store.Writable()
	if err != nil {
		n.disk.watch(n)
	}
	return err
}

// errCrowded means that content was left with its holder, because the disk is
// nearly full.
var errCrowded = errors.New("too little space to fetch what was said")

// crowdedOps is how much of one chain is fetched though the disk is nearly
// full: what gossip loses of a conversation that goes on, a quarter of a
// megabyte at most of each who speaks. Without it one lost message would keep
// out all that its author says after.
const crowdedOps = 256

// crowded tells whether the disk has room for what is said now, but none to
// spare for what was said before (PROTOCOLS.md N4).
func (n *Node) crowded() bool {
	switch n.store.Disk().State {
	case store.DiskLow, store.DiskFull:
		return true
	}
	return false
}

// affordable is what of these chains is fetched whatever room the disk has:
// those that decide who is in, the own device's words, behind which it must
// not write (N15), and little gaps.
func (r *room) affordable(wants []groups.Want) []groups.Want {
	if len(wants) == 0 || groups.ChainKind(wants[0].Chain) != groups.Content || !r.n.crowded() {
		return wants
	}
	missing := map[wire.OpID]uint64{}
	for _, w := range wants {
		missing[w.Inc] += w.To - w.From + 1
	}
	me := r.view.Load().me
	return slices.DeleteFunc(wants, func(w groups.Want) bool { return w.Inc != me && missing[w.Inc] > crowdedOps })
}

// pause notes that something waits for room on the disk.
func (r *room) pause(ctx context.Context) error {
	if err := r.step(ctx, func(*commit) error { r.crowded = true; return nil }); err != nil {
		return err
	}
	r.n.disk.watch(r.n)
	return errCrowded
}

// resumePulls fetches what was left with its holders, once there is room.
func (r *room) resumePulls() {
	if !r.crowded || r.n.crowded() {
		return
	}
	r.crowded = false
	for _, l := range r.links {
		l.pullNow()
	}
	r.n.disk.watch(r.n)
}
