package main

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"mutuals/node"
	"mutuals/store/mapped"
)

const (
	// quietFor is how long little must be allocated before memory is given
	// back: to do so while there is work would only make that slower.
	quietFor = 10 * time.Second
	// quietBytes is what a node at rest allocates in that time, some times over:
	// heartbeats of gossip and of event streams, dials of many members who are
	// away.
	quietBytes = 16 << 20
	// worthBytes is how much must have been allocated since the last time: a
	// collection costs about 10 ms.
	worthBytes = 4 << 20
	// mappedBytes is the same for letting go of what is mapped, of which what is in
	// use at rest is mapped again at once, by some hundred faults.
	mappedBytes = 16 << 20
)

// giveBack returns the memory that work has left behind to the system, once
// the node rests, until ctx is done. Left alone, Go waits for the heap to
// double, and counts Badger's unwritten memtables (21 MB) as heap; and of the
// program and of the node's files all stays mapped that was ever touched.
func giveBack(ctx context.Context, n *node.Node, log *slog.Logger) {
	tick := time.NewTicker(quietFor)
	defer tick.Stop()
	given, dropped, before := uint64(0), uint64(0), allocated()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := allocated()
		if now-before < quietBytes && now-given > worthBytes {
			var err error
			drops := now-dropped > mappedBytes
			if drops {
				err = n.Rest()
			}
			debug.FreeOSMemory()
			if drops {
				err = errors.Join(err, mapped.DropProgram())
			}
			if err != nil && ctx.Err() == nil {
				log.Debug("letting go of what is mapped failed", "err", err)
			}
			now = allocated() // what that took is no work
			given = now
			if drops {
				dropped = now
			}
		}
		before = now
	}
}

// allocated is how many bytes the process has allocated so far.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
