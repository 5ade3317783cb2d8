package node

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

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
	f := api.Finding{Check: "disk", Level: "error"}
	switch d.State {
	case store.DiskFull:
		f.Title = fmt.Sprintf("the disk is full: %d MiB are free, below %d nothing is written", d.Free/mib, store.MinSpaceBytes/mib)
		f.Detail = "what is here can be read, and what others write meanwhile comes once there is room"
		f.Hint = "free some space; writing goes on by itself"
	case store.DiskReadOnly:
		f.Title = "the disk takes no writes: its file system is read-only"
		f.Detail = "what is here can be read; a system makes a file system read-only when its disk fails"
		f.Hint = "look into the system's log, then make it writable; writing goes on by itself"
	case store.DiskUnknown:
		f.Title = "the system does not tell how much room the disk has, so nothing is written"
		f.Hint = "look into the system's log"
	case store.DiskLow:
		f.Level = "warning"
		f.Title = fmt.Sprintf("little space is left on this disk: %d MiB", d.Free/mib)
		f.Hint = fmt.Sprintf("free some space: below %d MiB nothing is written", store.MinSpaceBytes/mib)
	case store.DiskSlow:
		f.Level = "warning"
		f.Title = fmt.Sprintf("this disk is slow: a write took %v", d.Took.Round(100*time.Millisecond))
		f.Hint = "see what else uses it, or whether it fails"
	default:
		f.Level, f.Title = "ok", "there is space on this disk"
	}
	return f
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
