package node

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mutuals/groups"
	"mutuals/node/api"
)

// written is how far this device has written its chains in the group; on the
// room's goroutine.
func (r *room) written() (seqs [3]uint64) {
	for chain := range seqs {
		seqs[chain] = r.heads[chainOf{r.me, groups.ChainKind(chain)}].Seq
	}
	return seqs
}

// onlyHere counts what this device wrote in the group and no other device
// there, of whomever, reports on its disk. Where there is no other, nobody waits
// for it, and it counts as none; so it does once this account has left.
func (r *room) onlyHere(v *view) int {
	others := len(v.holders)
	if _, ok := v.holders[v.me]; ok {
		others--
	}
	if !v.seated() || others == 0 {
		return 0
	}
	n, safe := uint64(0), r.safety(v)
	for chain, seq := range safe.written {
		n += seq - min(seq, safe.elsewhere[chain])
	}
	return int(n)
}

// safety is how far the own chains go, here and on some other disk.
type safety struct{ written, elsewhere [3]uint64 }

func (r *room) safety(v *view) safety {
	s := safety{written: v.written}
	for chain := range s.elsewhere {
		s.elsewhere[chain] = r.heldElsewhere(v, chainOf{v.me, groups.ChainKind(chain)})
	}
	return s
}

const (
	// reportTime is how long a careful Shutdown waits for linked members to
	// report what was written last: they do within a second, twice that on a
	// slow line, and a person waits.
	reportTime = 5 * time.Second
	// reportLook is how often it looks.
	reportLook = 50 * time.Millisecond
)

// Shutdown asks whoever runs the node to close it; see Stopping. A careful one
// is refused (only_copy) while this disk has the only copy of something that
// others wait for.
func (n *Node) Shutdown(ctx context.Context, careful bool) error {
	if careful && n.begun.Load() {
		if p := n.awaitReports(ctx); p != nil {
			return p
		}
	}
	n.once.Do(func() { close(n.stop) })
	return nil
}

// awaitReports waits as long as somebody linked may still report; nil once
// nothing is here alone.
func (n *Node) awaitReports(ctx context.Context) *api.Problem {
	ctx, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	look := time.NewTicker(reportLook)
	defer look.Stop()
	for {
		count, linked, names := 0, false, []string(nil)
		for _, r := range n.openRooms() {
			v := r.view.Load()
			only := r.onlyHere(v)
			if only == 0 {
				continue
			}
			count += only
			names = append(names, r.api(v).Name)
			for p := range v.peers {
				linked = linked || n.mesh.Connected(p)
			}
		}
		if count == 0 {
			return nil
		}
		refused := api.NewProblem(api.OnlyCopy, "count", strconv.Itoa(count), "groups", someNames(names))
		if !linked {
			return refused
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return refused
		}
	}
}

// someNames tells the first few of a list, and how many more there are.
func someNames(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s +%d", strings.Join(names[:most], ", "), len(names)-most)
}
